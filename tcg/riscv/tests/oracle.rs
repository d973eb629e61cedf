//! Random programs, run here and by QEMU's user mode: all registers, float flags and memory must agree.
//!
//! This proves the meaning of instructions, by an implementation that shares nothing with this one. Skipped where
//! `qemu-riscv64` is not installed. `MIMIC_ORACLE_PROGRAMS` sets the number of programs a family, each of 100 cases of
//! up to 12 instructions; `MIMIC_ORACLE_SEED` the first program.

mod support;

use base::CpuLines;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use support::Rng;
use support::program::{self, BASE, CASE, CODE, Program};
use tcg_core::cpu::CpuHeader;
use tcg_core::run::{CodeCache, CodeConfig, Tiers, Vcpu, VcpuConfig};
use tcg_core::testing::oracle;
use tcg_riscv::Riscv;
use tcg_riscv::cpu::{Hart, REGS};
use tcg_riscv::csr::Csrs;
use tcg_riscv::csr::bits::{cause, mstatus};
use tcg_riscv::decode;
use tcg_riscv::features::{Ext, Features};
use tcg_riscv::isa::{ROWS, Row};
use vm_memory::{Bytes, GuestAddress};

/// EM_RISCV; RVC, double-float ABI.
const MACHINE: (u16, u32) = (243, 5);

const CASES: usize = 100;
const INSNS: u64 = 12;

/// What the oracle makes of a program; `None` if it is not installed.
fn expected(program: &Program, name: &str) -> Option<Vec<u8>> {
    let file = support::scratch("oracle").join(name);
    oracle::output("qemu-riscv64", MACHINE, BASE, &program.image, &file)
}

/// What we make of it.
fn ours(program: &Program, tiers: Tiers) -> Vec<u8> {
    let size = (program.image.len() as u64).next_multiple_of(0x1000);
    let ram = base::allocate_ram(&[(BASE, size)]).expect("little memory");
    let space = Arc::new(base::AddressSpace::new(ram));
    space.ram().write_slice(&program.image, GuestAddress(BASE)).expect("it fits");
    let mut csr = Csrs::new(Features::max(), 0);
    csr.mstatus |= 1 << mstatus::FS_SHIFT | 1 << mstatus::VS_SHIFT;
    let mut head = CpuHeader::new();
    head.pc = BASE;
    let hart = Hart {
        head,
        x: [0; 32],
        f: [0; 32],
        v: Default::default(),
        reservation: u64::MAX,
        reserved_value: 0,
        csr,
    };
    let code = CodeCache::new(space.clone(), CodeConfig::default()).expect("code memory");
    let config = VcpuConfig { tiers, ..VcpuConfig::default() };
    let mut vcpu = Vcpu::<Riscv>::new(hart, Arc::new(CpuLines::default()), &code, config);
    let handle = vcpu.handle().clone();
    vcpu.set_trap_hook(Box::new(move |vcpu, trap| {
        let pc = vcpu.cpu().head.pc;
        assert_eq!(trap.code, cause::ECALL_U + 3, "{trap:x?} at {pc:#x}");
        handle.stop();
        true
    }));
    vcpu.run();
    let range = program.output();
    let mut data = vec![0; (range.end - range.start) as usize];
    space.ram().read_slice(&mut data, GuestAddress(range.start)).expect("it was written there");
    data
}

fn word(data: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(data[at..at + 8].try_into().expect("eight bytes"))
}

/// The first case that differs: its listing, and its state before, here and there.
fn report(program: &Program, ours: &[u8], theirs: &[u8]) -> Option<String> {
    let case = CASE as usize;
    let n = (0..program.cases.len()).find(|n| ours[n * case..][..case] != theirs[n * case..][..case])?;
    let before = &program.image[CODE as usize + n * case..][..case];
    let (ours, theirs) = (&ours[n * case..][..case], &theirs[n * case..][..case]);
    let mut text = format!("case {n}:\n");
    let mut at = program.cases[n].start;
    while at < program.cases[n].end {
        let bits = u32::from_le_bytes(program.image[at..at + 4].try_into().expect("four bytes"));
        let (bits, len) = if bits & 3 == 3 { (bits, 4) } else { (bits & 0xffff, 2) };
        let pc = BASE + at as u64;
        let insn = decode::decode(bits, support::mode(Features::max(), 0));
        writeln!(text, "  {pc:x}: {bits:08x}  {}", tcg_riscv::print(insn, pc)).expect("a string");
        at += len;
    }
    for at in (0..case).step_by(8) {
        let name = match at / 8 {
            n @ 0..64 => REGS[n].name.to_string(),
            n @ 64..68 => ["fcsr", "vcsr", "vl", "vtype"][n - 64].into(),
            n @ 136.. => format!("v{}, {}", (n - 136) / 2, if n % 2 == 0 { "lower" } else { "upper" }),
            _ => format!("window {:+}", at as i64 - 576 - 256),
        };
        let [before, a, b] = [before, ours, theirs].map(|data| word(data, at));
        if a != b {
            writeln!(text, "  {name}: before {before:#x}, here {a:#x}, there {b:#x}").expect("a string");
        } else if !(68 * 8..136 * 8).contains(&at) {
            writeln!(text, "  {name}: before {before:#x}, after {a:#x}").expect("a string");
        }
    }
    Some(text)
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Programs of the rows that `choose` allows, by interpretation and by translation.
fn agree(family: &str, choose: impl Fn(&Row) -> bool) {
    let first = setting("MIMIC_ORACLE_SEED", 1);
    // Enough for every row to come up.
    let default = if matches!(family, "all" | "vi" | "vf") { 16 } else { 4 };
    let seeds = first..first + setting("MIMIC_ORACLE_PROGRAMS", default);
    let random = |seed| program::random(&mut Rng::new(seed), CASES, INSNS, &choose);
    let mut seen = BTreeSet::new();
    for seed in seeds {
        let program = random(seed);
        let Some(theirs) = expected(&program, &format!("{family}-{seed}")) else {
            eprintln!("skipped: qemu-riscv64 is not installed");
            return;
        };
        for (how, translate_after) in [("interpreted", u32::MAX), ("translated", 0)] {
            let ours = ours(&program, Tiers { translate_after });
            assert_eq!(ours.len(), theirs.len());
            if let Some(text) = report(&program, &ours, &theirs) {
                panic!("{family}, program {seed}, {how}, {text}");
            }
        }
        seen.extend(program.rows);
    }
    let all = ROWS.iter().filter(|row| program::runs(row) && choose(row)).map(|row| row.name);
    let missing: Vec<_> = all.filter(|name| !seen.contains(name)).collect();
    assert!(missing.is_empty(), "never came up: {missing:?}");
}

fn of(row: &Row, extensions: &[Ext]) -> bool {
    row.extensions.iter().any(|ext| extensions.contains(ext))
}

#[test]
fn base_integer() {
    agree("i", |row| of(row, &[Ext::I, Ext::Zicond, Ext::Zifencei, Ext::Zihintntl, Ext::Zihintpause]));
}

#[test]
fn multiplication_and_bits() {
    agree("mb", |row| of(row, &[Ext::M, Ext::Zmmul, Ext::Zba, Ext::Zbb, Ext::Zbc, Ext::Zbs]));
}

#[test]
fn atomic() {
    agree("a", |row| of(row, &[Ext::Zaamo, Ext::Zalrsc, Ext::Zicboz, Ext::Zicbop]));
}

#[test]
fn single() {
    agree("f", |row| of(row, &[Ext::F, Ext::Zicsr]));
}

#[test]
fn double() {
    agree("d", |row| of(row, &[Ext::D, Ext::Zicsr]) && !of(row, &[Ext::Zfa, Ext::Zfhmin]));
}

#[test]
fn half_and_additional() {
    agree("zf", |row| of(row, &[Ext::Zfa, Ext::Zfhmin, Ext::Zicsr]));
}

#[test]
fn compressed() {
    agree("c", |row| row.width == 16);
}

#[test]
fn vector_integer() {
    agree("vi", |row| of(row, &[Ext::V]) && !vector_float(row));
}

#[test]
fn vector_floats() {
    agree("vf", |row| of(row, &[Ext::V]) && (vector_float(row) || row.name.starts_with("vset")));
}

fn vector_float(row: &Row) -> bool {
    ["vf", "vmf"].iter().any(|start| row.name.starts_with(start)) && row.name != "vfirst.m"
}

#[test]
fn everything() {
    agree("all", |_| true);
}

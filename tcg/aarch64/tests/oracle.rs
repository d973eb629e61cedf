//! Random programs, run here and by QEMU's user mode: all registers, flags and memory must agree.
//!
//! This proves the meaning of instructions, by an implementation that shares nothing with this one. Skipped where
//! `qemu-aarch64` is not installed. `MIMIC_ORACLE_PROGRAMS` sets the number of programs a family, each of 100 cases of
//! up to 12 instructions; `MIMIC_ORACLE_SEED` the first program.

mod support;

use base::CpuLines;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use support::Rng;
use support::program::{self, BASE, CASE, CODE, Control, Program};
use tcg_aarch64::Aarch64;
use tcg_aarch64::cpu::Cpu;
use tcg_aarch64::decode;
use tcg_aarch64::esr::{class, class_of};
use tcg_aarch64::features::{Ext, Features};
use tcg_aarch64::isa::{ROWS, Row};
use tcg_aarch64::sysreg::fpcr;
use tcg_core::run::{CodeCache, CodeConfig, Tiers, Vcpu, VcpuConfig};
use tcg_core::testing::oracle;
use vm_memory::{Bytes, GuestAddress};

/// EM_AARCH64; no flags.
const MACHINE: (u16, u32) = (183, 0);

const CASES: usize = 100;
const INSNS: u64 = 12;

/// What the oracle makes of a program; `None` if it is not installed.
fn expected(program: &Program, name: &str) -> Option<Vec<u8>> {
    let file = support::scratch("oracle").join(name);
    oracle::output("qemu-aarch64", MACHINE, BASE, &program.image, &file)
}

/// What we make of it.
fn ours(program: &Program, tiers: Tiers) -> Vec<u8> {
    let size = (program.image.len() as u64).next_multiple_of(0x1000);
    let ram = base::allocate_ram(&[(BASE, size)]).expect("little memory");
    let space = Arc::new(base::AddressSpace::new(ram));
    space.ram().write_slice(&program.image, GuestAddress(BASE)).expect("it fits");
    let mut cpu = Cpu::new(Features::max());
    cpu.head.pc = BASE;
    let code = CodeCache::new(space.clone(), CodeConfig::default()).expect("code memory");
    let config = VcpuConfig { tiers, ..VcpuConfig::default() };
    let mut vcpu = Vcpu::<Aarch64>::new(cpu, Arc::new(CpuLines::default()), &code, config);
    let handle = vcpu.handle().clone();
    vcpu.set_trap_hook(Box::new(move |vcpu, trap| {
        let pc = vcpu.cpu().head.pc;
        assert_eq!(class_of(trap.code), class::SVC, "{trap:x?} at {pc:#x}");
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

fn name_of(at: usize) -> String {
    match at / 8 {
        31 => "sp".into(),
        n @ 0..31 => format!("x{n}"),
        n @ 32..96 => format!("v{}.d[{}]", (n - 32) / 2, n % 2),
        96 => "nzcv".into(),
        97 => "fpsr".into(),
        98 => "fpcr".into(),
        _ => format!("window {:+}", at as i64 - 832 - 320),
    }
}

/// The first case that differs: its listing, and its state before, here and there.
fn report(program: &Program, ours: &[u8], theirs: &[u8]) -> Option<String> {
    let case = CASE as usize;
    let n = (0..program.cases.len()).find(|n| ours[n * case..][..case] != theirs[n * case..][..case])?;
    let before = &program.image[CODE as usize + n * case..][..case];
    let (ours, theirs) = (&ours[n * case..][..case], &theirs[n * case..][..case]);
    let mut text = format!("case {n}:\n");
    let mode = support::mode(Features::max(), 0);
    for at in program.cases[n].clone().step_by(4) {
        let bits = u32::from_le_bytes(program.image[at..at + 4].try_into().expect("four bytes"));
        let pc = BASE + at as u64;
        writeln!(text, "  {pc:x}: {bits:08x}  {}", tcg_aarch64::print(decode::decode(bits, mode), pc))
            .expect("a string");
    }
    for at in (0..case).step_by(8) {
        let [before, a, b] = [before, ours, theirs].map(|data| word(data, at));
        let name = name_of(at);
        if a != b {
            writeln!(text, "  {name}: before {before:#x}, here {a:#x}, there {b:#x}").expect("a string");
        } else if at < 99 * 8 && (a != before || uses(program, n, at)) {
            writeln!(text, "  {name}: before {before:#x}, after {a:#x}").expect("a string");
        }
    }
    Some(text)
}

/// Whether an instruction of case `n` may read the register at `at` of the case's data, going by the usual fields.
fn uses(program: &Program, n: usize, at: usize) -> bool {
    let number = if at < 256 { at / 8 } else { (at - 256) / 16 % 32 } as u32;
    program.cases[n].clone().step_by(4).any(|at| {
        let bits = u32::from_le_bytes(program.image[at..at + 4].try_into().expect("four bytes"));
        [5, 10, 16].iter().any(|shift| bits >> shift & 31 == number)
    })
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

const PLAIN: Control = Control { rounding: false, bits: 0 };

/// Programs of the rows that `choose` allows, by interpretation and by translation.
fn agree(family: &str, control: Control, choose: impl Fn(&Row) -> bool) {
    let first = setting("MIMIC_ORACLE_SEED", 1);
    let seeds = first..first + setting("MIMIC_ORACLE_PROGRAMS", 4);
    let random = |seed| program::random(&mut Rng::new(seed), (CASES, INSNS), control, &choose);
    let mut seen = BTreeSet::new();
    for (how, translate_after) in [("interpreted", u32::MAX), ("translated", 0)] {
        for seed in seeds.clone() {
            let program = random(seed);
            let Some(theirs) = expected(&program, &format!("{family}-{seed}")) else {
                eprintln!("skipped: qemu-aarch64 is not installed");
                return;
            };
            let ours = ours(&program, Tiers { translate_after });
            assert_eq!(ours.len(), theirs.len());
            if let Some(text) = report(&program, &ours, &theirs) {
                panic!("{family}, program {seed}, {how}, {text}");
            }
            seen.extend(program.rows);
        }
    }
    let all = ROWS.iter().filter(|row| program::runs(row) && choose(row)).map(|row| row.name);
    let missing: Vec<_> = all.filter(|name| !seen.contains(name)).collect();
    // All rows at once are too many for every one to come up.
    assert!(missing.is_empty() || family == "all", "never came up: {missing:?}");
}

fn of(row: &Row, extensions: &[Ext]) -> bool {
    row.extensions.iter().any(|ext| extensions.contains(ext))
}

/// Loads and stores have x1x0 in bits 28 to 25.
fn is_memory(row: &Row) -> bool {
    row.value >> 27 & 1 == 1 && row.value >> 25 & 1 == 0
}

const FLOAT: [Ext; 4] = [Ext::Fp, Ext::Fp16, Ext::FrintTs, Ext::Jscvt];

#[test]
fn integer() {
    agree("integer", PLAIN, |row| {
        !is_memory(row) && of(row, &[Ext::Base, Ext::Crc32, Ext::FlagM, Ext::FlagM2, Ext::Hbc])
    });
}

#[test]
fn others() {
    agree("others", PLAIN, |row| !is_memory(row) && of(row, &[Ext::Base, Ext::Pauth, Ext::Sb, Ext::FlagM]));
}

#[test]
fn loads_and_stores() {
    agree("memory", PLAIN, |row| is_memory(row) && of(row, &[Ext::Base, Ext::Fp, Ext::Rcpc2]));
}

#[test]
fn atomic() {
    agree("atomic", PLAIN, |row| {
        is_memory(row) && of(row, &[Ext::Lse, Ext::Lor, Ext::Rcpc, Ext::Base]) && row.has("rs")
    });
}

#[test]
fn memory_copy_and_set() {
    agree("mops", PLAIN, |row| of(row, &[Ext::Mops]));
}

#[test]
fn float_by_default() {
    agree("float", PLAIN, |row| !is_memory(row) && of(row, &FLOAT));
}

#[test]
fn float_rounding() {
    let control = Control { rounding: true, bits: fpcr::DN };
    agree("rounding", control, |row| !is_memory(row) && of(row, &FLOAT));
}

#[test]
fn float_flushing() {
    let control = Control { rounding: true, bits: fpcr::DN | fpcr::FZ | fpcr::FZ16 | fpcr::AHP };
    agree("flushing", control, |row| !is_memory(row) && of(row, &FLOAT));
}

#[test]
fn simd() {
    agree("simd", PLAIN, |row| !is_memory(row) && of(row, &[Ext::AdvSimd, Ext::Aes, Ext::Pmull]));
}

#[test]
fn simd_rounding() {
    let control = Control { rounding: true, bits: fpcr::DN | fpcr::FZ };
    agree("simd-rounding", control, |row| !is_memory(row) && of(row, &[Ext::AdvSimd]) && row.has("sz"));
}

#[test]
fn simd_memory() {
    agree("simd-memory", PLAIN, |row| is_memory(row) && of(row, &[Ext::AdvSimd]));
}

#[test]
fn everything() {
    agree("all", PLAIN, |_| true);
}

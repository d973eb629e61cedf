//! Random programs, run here and by QEMU's user mode: all registers, float flags and memory must agree.
//!
//! Skipped where `qemu-riscv64` is not installed. `MIMIC_ORACLE_PROGRAMS` sets the number of programs a family, each of 100 cases of
//! up to 12 instructions; `MIMIC_ORACLE_SEED` the first program.

mod support;

use support::program;
use tcg_core::cpu::CpuHeader;
use tcg_core::guest::Trap;
use tcg_core::testing::oracle::{self, AMOUNT, Target};
use tcg_riscv::Riscv;
use tcg_riscv::cpu::{Hart, REGS};
use tcg_riscv::csr::Csrs;
use tcg_riscv::csr::bits::{cause, mstatus};
use tcg_riscv::features::{Ext, Features};
use tcg_riscv::isa::{ROWS, Row};

struct Qemu;

impl Target for Qemu {
    type Guest = Riscv;
    const EMULATOR: &'static str = "qemu-riscv64";
    // EM_RISCV; RVC, double-float ABI.
    const MACHINE: (u16, u32) = (243, 5);

    fn cpu() -> Hart {
        let mut csr = Csrs::new(Features::max(), 0);
        csr.mstatus |= 1 << mstatus::FS_SHIFT | 1 << mstatus::VS_SHIFT;
        Hart {
            head: CpuHeader::new(),
            x: [0; 32],
            f: [0; 32],
            v: Default::default(),
            reservation: u64::MAX,
            reserved_value: 0,
            csr,
        }
    }

    fn is_call(trap: Trap) -> bool {
        trap.code == cause::ECALL_U + 3
    }

    fn name(at: usize) -> String {
        match at / 8 {
            n @ 0..64 => REGS[n].name.to_string(),
            n @ 64..68 => ["fcsr", "vcsr", "vl", "vtype"][n - 64].into(),
            n @ 136.. => format!("v{}, {}", (n - 136) / 2, if n % 2 == 0 { "lower" } else { "upper" }),
            _ => format!("window {:+}", at as i64 - 576 - 256),
        }
    }

    fn matters(_: &[u8], at: usize) -> bool {
        !(68 * 8..136 * 8).contains(&at)
    }
}

/// Programs of the rows that `choose` allows.
fn agree(family: &str, choose: impl Fn(&Row) -> bool) {
    // Enough for every row to come up.
    let programs = if matches!(family, "all" | "vi" | "vf") { 16 } else { 4 };
    let rows: Vec<_> =
        ROWS.iter().filter(|row| program::runs(row) && choose(row)).map(|row| row.name).collect();
    let folder = support::scratch("oracle");
    oracle::agree::<Qemu>(family, &folder, programs, &rows, |rng| program::random(rng, AMOUNT, &choose));
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

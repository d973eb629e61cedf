//! Random programs, run here and by QEMU's user mode: all registers, flags and memory must agree.
//!
//! Skipped where `qemu-aarch64` is not installed. `MIMIC_ORACLE_PROGRAMS` sets the number of programs a family, each of 100 cases of
//! up to 12 instructions; `MIMIC_ORACLE_SEED` the first program.

mod support;

use support::program::{self, Control};
use tcg_aarch64::Aarch64;
use tcg_aarch64::cpu::Cpu;
use tcg_aarch64::esr::{class, class_of};
use tcg_aarch64::features::{Ext, Features};
use tcg_aarch64::isa::{ROWS, Row};
use tcg_aarch64::sysreg::fpcr;
use tcg_core::guest::Trap;
use tcg_core::testing::oracle::{self, AMOUNT, Target};

struct Qemu;

impl Target for Qemu {
    type Guest = Aarch64;
    const EMULATOR: &'static str = "qemu-aarch64";
    // EM_AARCH64; no flags.
    const MACHINE: (u16, u32) = (183, 0);

    fn cpu() -> Cpu {
        Cpu::new(Features::max())
    }

    fn is_call(trap: Trap) -> bool {
        class_of(trap.code) == class::SVC
    }

    fn name(at: usize) -> String {
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

    /// Registers that an instruction may read, going by the usual fields.
    fn matters(code: &[u8], at: usize) -> bool {
        let number = if at < 256 { at / 8 } else { (at - 256) / 16 % 32 } as u32;
        let reads = |word: u32| [0, 5, 10, 16].iter().any(|shift| word >> shift & 31 == number);
        let words = code.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")));
        (96 * 8..99 * 8).contains(&at) || at < 96 * 8 && words.into_iter().any(reads)
    }
}

const PLAIN: Control = Control { rounding: false, bits: 0 };

/// Programs of the rows that `choose` allows.
fn agree(family: &str, control: Control, choose: impl Fn(&Row) -> bool) {
    // All rows at once are too many for every one to come up.
    let needed = |row: &&Row| family != "all" && program::runs(row) && choose(row);
    let rows: Vec<_> = ROWS.iter().filter(needed).map(|row| row.name).collect();
    let folder = support::scratch("oracle");
    oracle::agree::<Qemu>(family, &folder, 6, &rows, |rng| program::random(rng, AMOUNT, control, &choose));
}

fn of(row: &Row, extensions: &[Ext]) -> bool {
    row.extensions.iter().any(|ext| extensions.contains(ext))
}

/// Loads and stores have x1x0 in bits 28 to 25.
fn is_memory(row: &Row) -> bool {
    row.value >> 27 & 1 == 1 && row.value >> 25 & 1 == 0
}

const FLOAT: [Ext; 4] = [Ext::Fp, Ext::Fp16, Ext::FrintTs, Ext::Jscvt];

/// Scalar floating point: what is not Advanced SIMD.
fn is_float(row: &Row) -> bool {
    !is_memory(row) && of(row, &FLOAT) && !of(row, &[Ext::AdvSimd])
}

/// Advanced SIMD on lanes of floats: the mnemonics begin with F, or convert, or are of BFloat16.
fn is_simd_float(row: &Row) -> bool {
    let floats = ["f", "bf", "scvtf", "ucvtf"].iter().any(|start| row.name.starts_with(start));
    !is_memory(row) && of(row, &[Ext::AdvSimd]) && floats
}

/// Of halves.
fn is_half(row: &Row) -> bool {
    is_simd_float(row) && of(row, &[Ext::Fp16, Ext::Fhm, Ext::Bf16])
}

/// Advanced SIMD on lanes of integers.
fn is_simd_integer(row: &Row) -> bool {
    !is_memory(row) && of(row, &[Ext::AdvSimd]) && !is_simd_float(row)
}

/// Mnemonics that say that results saturate.
fn saturates(row: &Row) -> bool {
    is_simd_integer(row) && ["sq", "uq", "suq", "usq"].iter().any(|start| row.name.starts_with(start))
}

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
    agree("float", PLAIN, is_float);
}

#[test]
fn float_rounding() {
    let control = Control { rounding: true, bits: fpcr::DN };
    agree("rounding", control, is_float);
}

#[test]
fn float_flushing() {
    let control = Control { rounding: true, bits: fpcr::DN | fpcr::FZ | fpcr::FZ16 | fpcr::AHP };
    agree("flushing", control, is_float);
}

#[test]
fn simd() {
    agree("simd", PLAIN, |row| is_simd_integer(row) && !saturates(row));
}

#[test]
fn simd_saturating() {
    agree("simd-saturating", PLAIN, saturates);
}

#[test]
fn simd_float() {
    agree("simd-float", PLAIN, |row| is_simd_float(row) && !is_half(row));
}

#[test]
fn simd_half() {
    agree("simd-half", PLAIN, is_half);
}

#[test]
fn simd_rounding() {
    let control = Control { rounding: true, bits: fpcr::DN };
    agree("simd-rounding", control, is_simd_float);
}

#[test]
fn simd_flushing() {
    let bits = fpcr::DN | fpcr::FZ | fpcr::FZ16 | fpcr::AHP | fpcr::EBF;
    let control = Control { rounding: true, bits };
    agree("simd-flushing", control, is_simd_float);
}

#[test]
fn simd_memory() {
    agree("simd-memory", PLAIN, |row| is_memory(row) && of(row, &[Ext::AdvSimd]));
}

#[test]
fn everything() {
    agree("all", PLAIN, |_| true);
}

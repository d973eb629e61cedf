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

/// QEMU with vector registers of so many bits.
struct Qemu<const VLEN: u64>;

impl<const VLEN: u64> Target for Qemu<VLEN> {
    type Guest = Riscv;
    const EMULATOR: &'static str = "qemu-riscv64";
    // EM_RISCV; RVC, double-float ABI.
    const MACHINE: (u16, u32) = (243, 5);
    const CPU: &'static str = match VLEN {
        1024 => "max,vlen=1024",
        512 => "max,vlen=512",
        256 => "max,vlen=256",
        _ => "max",
    };

    fn cpu() -> Hart {
        let features = Features::parse(Self::CPU).expect("a model");
        let mut csr = Csrs::new(features, 0);
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
            n @ 136.. => {
                let words = VLEN as usize / 64;
                format!("v{}, doubleword {}", (n - 136) / words, (n - 136) % words)
            }
            _ => format!("window {:+}", at as i64 - 576 - 256),
        }
    }

    fn matters(_: &[u8], at: usize) -> bool {
        !(68 * 8..136 * 8).contains(&at)
    }
}

/// Programs of the rows that `choose` allows.
fn agree(family: &str, choose: impl Fn(&Row) -> bool) {
    agree_at::<128>(family, choose);
}

/// The same with vector registers of so many bits.
fn agree_at<const VLEN: u64>(family: &str, choose: impl Fn(&Row) -> bool) {
    // Enough for every row to come up.
    let programs = match family {
        "all" => 32,
        _ if family.starts_with('v') => 16,
        _ => 4,
    };
    let rows: Vec<_> =
        ROWS.iter().filter(|row| program::runs(row) && choose(row)).map(|row| row.name).collect();
    let folder = support::scratch("oracle");
    let features = Features::parse(Qemu::<VLEN>::CPU).expect("a model");
    oracle::agree::<Qemu<VLEN>>(family, &folder, programs, &rows, |rng| {
        program::random(rng, AMOUNT, features, &choose)
    });
}

fn of(row: &Row, extensions: &[Ext]) -> bool {
    row.extensions.iter().any(|ext| extensions.contains(ext))
}

#[test]
fn base_integer() {
    agree("i", |row| {
        of(row, &[Ext::I, Ext::Zicond, Ext::Zifencei, Ext::Zihintntl, Ext::Zihintpause, Ext::Zimop])
    });
}

#[test]
fn multiplication_and_bits() {
    let bits = [Ext::Zba, Ext::Zbb, Ext::ZbbOrZbkb, Ext::Zbc, Ext::ZbcOrZbkc, Ext::Zbs, Ext::M, Ext::Zmmul];
    agree("mb", |row| of(row, &bits));
}

#[test]
fn scalar_cryptography() {
    let own = [Ext::Zbkb, Ext::Zbkx, Ext::Zknd, Ext::Zkne, Ext::ZkndOrZkne, Ext::Zknh, Ext::Zksed, Ext::Zksh];
    agree("zk", |row| of(row, &own) || of(row, &[Ext::ZbbOrZbkb, Ext::ZbcOrZbkc]));
}

#[test]
fn atomic() {
    agree("a", |row| of(row, &[Ext::Zaamo, Ext::Zabha, Ext::Zalrsc, Ext::Zicboz, Ext::Zicbop]));
}

#[test]
fn single() {
    agree("f", |row| of(row, &[Ext::F, Ext::Zicsr]));
}

#[test]
fn double() {
    agree("d", |row| of(row, &[Ext::D, Ext::Zicsr]) && !of(row, &[Ext::Zfa, Ext::Zfh, Ext::Zfhmin]));
}

#[test]
fn half_and_additional() {
    agree("zf", |row| of(row, &[Ext::Zfa, Ext::Zfh, Ext::Zfhmin, Ext::Zicsr]));
}

#[test]
fn compressed() {
    agree("c", |row| row.width == 16);
}

fn vector_integers(row: &Row) -> bool {
    of(row, &[Ext::Zve32x])
}

fn vector_floats(row: &Row) -> bool {
    of(row, &[Ext::Zve32f]) || row.name.starts_with("vset")
}

#[test]
fn integers_in_vectors() {
    agree("vi", vector_integers);
}

#[test]
fn integers_in_vectors_of_256_bits() {
    agree_at::<256>("vi256", vector_integers);
}

#[test]
fn integers_in_vectors_of_512_bits() {
    agree_at::<512>("vi512", vector_integers);
}

#[test]
fn integers_in_vectors_of_1024_bits() {
    agree_at::<1024>("vi1024", vector_integers);
}

fn vector_cryptography(row: &Row) -> bool {
    of(row, &program::VECTORS) && !of(row, &[Ext::Zve32x, Ext::Zve32f]) || row.name.starts_with("vset")
}

#[test]
fn bits_and_cryptography_in_vectors() {
    agree("vk", vector_cryptography);
}

#[test]
fn bits_and_cryptography_in_vectors_of_256_bits() {
    agree_at::<256>("vk256", vector_cryptography);
}

#[test]
fn bits_and_cryptography_in_vectors_of_1024_bits() {
    agree_at::<1024>("vk1024", vector_cryptography);
}

#[test]
fn floats_in_vectors() {
    agree("vf", vector_floats);
}

#[test]
fn floats_in_vectors_of_256_bits() {
    agree_at::<256>("vf256", vector_floats);
}

#[test]
fn floats_in_vectors_of_512_bits() {
    agree_at::<512>("vf512", vector_floats);
}

#[test]
fn floats_in_vectors_of_1024_bits() {
    agree_at::<1024>("vf1024", vector_floats);
}

#[test]
fn everything() {
    agree("all", |_| true);
}

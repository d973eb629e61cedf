//! System registers as one table: name, encoding, who may use them, where they are kept. D17 of the manual.

use crate::board::{Board, Wiring};
use crate::cpu::{self, Cpu};
use crate::features::{Ext, Features, IdReg};
use crate::tlbi::Domain;
use base::Clock;
use std::sync::Arc;
use tcg_core::cpu::RegId;
use tcg_core::run::collect_flags;
use tcg_core::sem::{flags, packed};

/// Bits of FPCR.
pub mod fpcr {
    /// Extended BFloat16 behaviour.
    pub const EBF: u64 = 1 << 13;
    /// Flush subnormal halves.
    pub const FZ16: u64 = 1 << 19;
    /// Rounding mode.
    pub const RMODE_SHIFT: u32 = 22;
    /// Flush subnormal singles and doubles.
    pub const FZ: u64 = 1 << 24;
    /// Default NaN.
    pub const DN: u64 = 1 << 25;
    /// Alternative half precision.
    pub const AHP: u64 = 1 << 26;
    /// What can be written. Stride and Len are kept, and mean nothing in AArch64 state.
    pub const WRITABLE: u64 = 0x7ff << 16 | EBF;
}

/// FPSR's flags of AArch32 comparisons.
const FPSR_STORED: u64 = 0xf << 28;
/// FPSR bits and the flags they are.
const FPSR: [(u64, u32); 6] = [
    (1, flags::NV),
    (1 << 1, flags::DZ),
    (1 << 2, flags::OF),
    (1 << 3, flags::UF),
    (1 << 4, flags::NX),
    (1 << 7, flags::ID),
];

/// FPSR.QC.
const QC: u64 = 1 << 27;

/// A pointer authentication key, low half first.
pub type Key = [u64; 2];

/// State that only system instructions see.
pub struct System {
    /// Exception level.
    pub el: u8,
    /// Identification registers answer at EL0, as under Linux, which emulates them.
    pub user_ids: bool,
    /// What there is.
    pub features: Features,
    /// FPCR.
    pub fpcr: u64,
    /// FPSR's highest bits; the flags are the translator's.
    pub fpsr: u64,
    /// Keys IA, IB, DA, DB, GA.
    pub keys: [Key; 5],
    /// PSTATE.DIT.
    pub dit: bool,
    /// PSTATE.SSBS.
    pub ssbs: bool,
    /// What the system counter counts; without it the counter stands still.
    pub clock: Option<Arc<dyn Clock>>,
    /// What the board decides.
    pub board: Board,
    /// What is connected.
    pub wiring: Option<Wiring>,
    /// The PEs that TLB maintenance is told to.
    pub domain: Option<Arc<Domain>>,
    /// TPIDR2_EL0 and others that only hold what is written.
    pub stored: [u64; Stored::COUNT],
}

impl System {
    /// The state at EL0 of a user program.
    pub fn new(features: Features) -> Self {
        Self {
            el: 0,
            user_ids: true,
            features,
            fpcr: 0,
            fpsr: 0,
            keys: [[0; 2]; 5],
            dit: false,
            ssbs: false,
            clock: None,
            board: Board { number: 0, mpidr: 0, has_el2: false, has_el3: false, cntfrq: COUNTER_HZ },
            wiring: None,
            domain: None,
            stored: [0; Stored::COUNT],
        }
    }
}

/// Registers that are nothing but storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stored {
    /// TPIDR_EL1.
    TpidrEl1,
    /// CONTEXTIDR_EL1.
    ContextidrEl1,
    /// VBAR_EL1.
    VbarEl1,
    /// ELR_EL1.
    ElrEl1,
    /// SPSR_EL1.
    SpsrEl1,
    /// ESR_EL1.
    EsrEl1,
    /// FAR_EL1.
    FarEl1,
    /// SCTLR_EL1.
    SctlrEl1,
    /// TTBR0_EL1.
    Ttbr0El1,
    /// TTBR1_EL1.
    Ttbr1El1,
    /// TCR_EL1.
    TcrEl1,
    /// MAIR_EL1.
    MairEl1,
    /// CPACR_EL1.
    CpacrEl1,
    /// SP_EL0.
    SpEl0,
}

impl Stored {
    /// How many there are.
    pub const COUNT: usize = Self::SpEl0 as usize + 1;
}

/// Where a register is.
#[derive(Clone, Copy)]
pub enum Place {
    /// A register of the translator's table.
    Direct(RegId),
    /// NZCV: made of the packed flags.
    Nzcv,
    /// Behind functions; translations do not depend on it.
    Functions(fn(&mut Cpu) -> u64, fn(&mut Cpu, u64)),
    /// Behind functions; translations depend on it.
    Mode(fn(&mut Cpu) -> u64, fn(&mut Cpu, u64)),
    /// A random number; reading it clears PSTATE.{N,Z,C,V}, which says that there was one.
    Random,
    /// Storage, and the bits that can be written.
    Stored(Stored, u64),
}

/// Nobody.
const NEVER: u8 = 4;

/// One register.
pub struct Row {
    /// The manual's name.
    pub name: &'static str,
    /// op0 (its low bit), op1, CRn, CRm, op2, as an instruction has them.
    pub encoding: u16,
    /// Lowest exception level that reads it.
    pub read: u8,
    /// Lowest exception level that writes it.
    pub write: u8,
    /// An extension that it needs.
    pub needs: Ext,
    /// Where it is.
    pub place: Place,
}

/// The encoding of a system register with `op0` 2 or 3.
pub const fn encode(op0: u16, op1: u16, crn: u16, crm: u16, op2: u16) -> u16 {
    (op0 & 1) << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

/// The name that every register has.
pub fn generic_name(reg: u16) -> String {
    format!("s{}_{}_c{}_c{}_{}", 2 + (reg >> 14 & 1), reg >> 11 & 7, reg >> 7 & 15, reg >> 3 & 15, reg & 7)
}

/// The row of a register.
pub fn find(encoding: u16) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.encoding == encoding)
}

/// Whether `encoding` is in the space of identification registers, whose unnamed ones read as zero.
pub fn is_identification(encoding: u16) -> bool {
    encoding & !0x7f == encode(3, 0, 0, 0, 0)
}

/// Identification registers that Linux does not let EL0 read as zero when they have no name.
pub fn is_emulated_identification(encoding: u16) -> bool {
    is_identification(encoding)
        && (encoding >> 3 & 15 == 0 && matches!(encoding & 7, 0 | 5 | 6) || encoding >> 3 & 15 >= 4)
}

/// The value of FPSR.
pub fn fpsr(cpu: &mut Cpu) -> u64 {
    collect_flags(&mut cpu.head);
    let accrued =
        FPSR.iter().filter(|(_, flag)| cpu.head.fp_flags & flag != 0).fold(0, |all, (bit, _)| all | bit);
    let saturated = cpu.qc != 0 || cpu.head.fp_flags & flags::SAT != 0;
    accrued | cpu.system.fpsr | if saturated { QC } else { 0 }
}

/// FPSR becomes `value`.
pub fn set_fpsr(cpu: &mut Cpu, value: u64) {
    collect_flags(&mut cpu.head);
    cpu.head.fp_flags = FPSR.iter().filter(|(bit, _)| value & bit != 0).fold(0, |all, (_, flag)| all | flag);
    cpu.qc = (value & QC).into();
    cpu.system.fpsr = value & FPSR_STORED;
}

/// FPCR becomes `value`. The caller sees to it that translations for the new mode are used.
pub fn set_fpcr(cpu: &mut Cpu, value: u64) {
    let half = if cpu.system.features.has(Ext::Fp16) { 0 } else { fpcr::FZ16 };
    let extended = if cpu.system.features.has(Ext::Ebf16) { 0 } else { fpcr::EBF };
    cpu.system.fpcr = value & fpcr::WRITABLE & !half & !extended;
}

/// PSTATE.{N,Z,C,V} in bits 31 to 28.
pub fn nzcv(flags: u64) -> u64 {
    let bit = |mask: u64, to: u32| if flags & mask != 0 { 1 << to } else { 0 };
    bit(packed::N, 31) | bit(packed::Z, 30) | bit(packed::C, 29) | bit(packed::V, 28)
}

/// Packed flags of bits 31 to 28.
pub fn packed_flags(nzcv: u64) -> u64 {
    let bit = |from: u32, mask: u64| if nzcv >> from & 1 != 0 { mask } else { 0 };
    bit(31, packed::N) | bit(30, packed::Z) | bit(29, packed::C) | bit(28, packed::V)
}

/// Counts a second of the system counter.
pub const COUNTER_HZ: u64 = 1_000_000_000;

fn counter(cpu: &mut Cpu) -> u64 {
    cpu.system.clock.as_ref().map_or(0, |clock| clock.now())
}

fn ignore(_: &mut Cpu, _: u64) {}

fn bit(value: bool, at: u32) -> u64 {
    u64::from(value) << at
}

macro_rules! id {
    ($reg:ident) => {
        Place::Functions(|cpu| cpu.system.features.id(IdReg::$reg), ignore)
    };
}

macro_rules! key {
    ($n:literal, $half:literal) => {
        Place::Functions(|cpu| cpu.system.keys[$n][$half], |cpu, value| cpu.system.keys[$n][$half] = value)
    };
}

const fn row(name: &'static str, encoding: u16, (read, write): (u8, u8), needs: Ext, place: Place) -> Row {
    Row { name, encoding, read, write, needs, place }
}

const fn stored(name: &'static str, encoding: u16, place: Stored, mask: u64) -> Row {
    row(name, encoding, (1, 1), Ext::Base, Place::Stored(place, mask))
}

/// Every register.
pub static ROWS: &[Row] = &[
    row(
        "MIDR_EL1",
        encode(3, 0, 0, 0, 0),
        (1, NEVER),
        Ext::Base,
        Place::Functions(|c| c.system.features.midr(), ignore),
    ),
    row(
        "MPIDR_EL1",
        encode(3, 0, 0, 0, 5),
        (1, NEVER),
        Ext::Base,
        Place::Functions(|c| 1 << 31 | c.system.board.mpidr, ignore),
    ),
    row("REVIDR_EL1", encode(3, 0, 0, 0, 6), (1, NEVER), Ext::Base, Place::Functions(|_| 0, ignore)),
    row("ID_AA64PFR0_EL1", encode(3, 0, 0, 4, 0), (1, NEVER), Ext::Base, id!(Pfr0)),
    row("ID_AA64PFR1_EL1", encode(3, 0, 0, 4, 1), (1, NEVER), Ext::Base, id!(Pfr1)),
    row("ID_AA64DFR0_EL1", encode(3, 0, 0, 5, 0), (1, NEVER), Ext::Base, id!(Dfr0)),
    row("ID_AA64ISAR0_EL1", encode(3, 0, 0, 6, 0), (1, NEVER), Ext::Base, id!(Isar0)),
    row("ID_AA64ISAR1_EL1", encode(3, 0, 0, 6, 1), (1, NEVER), Ext::Base, id!(Isar1)),
    row("ID_AA64ISAR2_EL1", encode(3, 0, 0, 6, 2), (1, NEVER), Ext::Base, id!(Isar2)),
    row("ID_AA64MMFR0_EL1", encode(3, 0, 0, 7, 0), (1, NEVER), Ext::Base, id!(Mmfr0)),
    row("ID_AA64MMFR1_EL1", encode(3, 0, 0, 7, 1), (1, NEVER), Ext::Base, id!(Mmfr1)),
    row("ID_AA64MMFR2_EL1", encode(3, 0, 0, 7, 2), (1, NEVER), Ext::Base, id!(Mmfr2)),
    stored("SCTLR_EL1", encode(3, 0, 1, 0, 0), Stored::SctlrEl1, u64::MAX),
    stored("CPACR_EL1", encode(3, 0, 1, 0, 2), Stored::CpacrEl1, 0xf << 20),
    stored("TTBR0_EL1", encode(3, 0, 2, 0, 0), Stored::Ttbr0El1, u64::MAX),
    stored("TTBR1_EL1", encode(3, 0, 2, 0, 1), Stored::Ttbr1El1, u64::MAX),
    stored("TCR_EL1", encode(3, 0, 2, 0, 2), Stored::TcrEl1, u64::MAX),
    row("APIAKeyLo_EL1", encode(3, 0, 2, 1, 0), (1, 1), Ext::Pauth, key!(0, 0)),
    row("APIAKeyHi_EL1", encode(3, 0, 2, 1, 1), (1, 1), Ext::Pauth, key!(0, 1)),
    row("APIBKeyLo_EL1", encode(3, 0, 2, 1, 2), (1, 1), Ext::Pauth, key!(1, 0)),
    row("APIBKeyHi_EL1", encode(3, 0, 2, 1, 3), (1, 1), Ext::Pauth, key!(1, 1)),
    row("APDAKeyLo_EL1", encode(3, 0, 2, 2, 0), (1, 1), Ext::Pauth, key!(2, 0)),
    row("APDAKeyHi_EL1", encode(3, 0, 2, 2, 1), (1, 1), Ext::Pauth, key!(2, 1)),
    row("APDBKeyLo_EL1", encode(3, 0, 2, 2, 2), (1, 1), Ext::Pauth, key!(3, 0)),
    row("APDBKeyHi_EL1", encode(3, 0, 2, 2, 3), (1, 1), Ext::Pauth, key!(3, 1)),
    row("APGAKeyLo_EL1", encode(3, 0, 2, 3, 0), (1, 1), Ext::Pauth, key!(4, 0)),
    row("APGAKeyHi_EL1", encode(3, 0, 2, 3, 1), (1, 1), Ext::Pauth, key!(4, 1)),
    stored("SPSR_EL1", encode(3, 0, 4, 0, 0), Stored::SpsrEl1, u64::MAX),
    stored("ELR_EL1", encode(3, 0, 4, 0, 1), Stored::ElrEl1, u64::MAX),
    stored("SP_EL0", encode(3, 0, 4, 1, 0), Stored::SpEl0, u64::MAX),
    row(
        "CurrentEL",
        encode(3, 0, 4, 2, 2),
        (1, NEVER),
        Ext::Base,
        Place::Functions(|c| u64::from(c.system.el) << 2, ignore),
    ),
    stored("ESR_EL1", encode(3, 0, 5, 2, 0), Stored::EsrEl1, u64::MAX),
    stored("FAR_EL1", encode(3, 0, 6, 0, 0), Stored::FarEl1, u64::MAX),
    stored("MAIR_EL1", encode(3, 0, 10, 2, 0), Stored::MairEl1, u64::MAX),
    stored("VBAR_EL1", encode(3, 0, 12, 0, 0), Stored::VbarEl1, !0x7ff),
    stored("CONTEXTIDR_EL1", encode(3, 0, 13, 0, 1), Stored::ContextidrEl1, 0xffff_ffff),
    stored("TPIDR_EL1", encode(3, 0, 13, 0, 4), Stored::TpidrEl1, u64::MAX),
    row(
        "CTR_EL0",
        encode(3, 3, 0, 0, 1),
        (0, NEVER),
        Ext::Base,
        Place::Functions(|c| c.system.features.ctr(), ignore),
    ),
    row(
        "DCZID_EL0",
        encode(3, 3, 0, 0, 7),
        (0, NEVER),
        Ext::Base,
        Place::Functions(|c| c.system.features.dczid(), ignore),
    ),
    row("RNDR", encode(3, 3, 2, 4, 0), (0, NEVER), Ext::Rng, Place::Random),
    row("RNDRRS", encode(3, 3, 2, 4, 1), (0, NEVER), Ext::Rng, Place::Random),
    row("NZCV", encode(3, 3, 4, 2, 0), (0, 0), Ext::Base, Place::Nzcv),
    row(
        "DIT",
        encode(3, 3, 4, 2, 5),
        (0, 0),
        Ext::Dit,
        Place::Functions(|c| bit(c.system.dit, 24), |c, v| c.system.dit = v >> 24 & 1 != 0),
    ),
    row(
        "SSBS",
        encode(3, 3, 4, 2, 6),
        (0, 0),
        Ext::Ssbs2,
        Place::Functions(|c| bit(c.system.ssbs, 12), |c, v| c.system.ssbs = v >> 12 & 1 != 0),
    ),
    row("FPCR", encode(3, 3, 4, 4, 0), (0, 0), Ext::Fp, Place::Mode(|c| c.system.fpcr, set_fpcr)),
    row("FPSR", encode(3, 3, 4, 4, 1), (0, 0), Ext::Fp, Place::Mode(fpsr, set_fpsr)),
    row("TPIDR_EL0", encode(3, 3, 13, 0, 2), (0, 0), Ext::Base, Place::Direct(cpu::TPIDR_EL0)),
    row("TPIDRRO_EL0", encode(3, 3, 13, 0, 3), (0, 1), Ext::Base, Place::Direct(cpu::TPIDRRO_EL0)),
    row(
        "CNTFRQ_EL0",
        encode(3, 3, 14, 0, 0),
        (0, NEVER),
        Ext::Base,
        Place::Functions(|_| COUNTER_HZ, ignore),
    ),
    row("CNTPCT_EL0", encode(3, 3, 14, 0, 1), (1, NEVER), Ext::Base, Place::Functions(counter, ignore)),
    row("CNTPCTSS_EL0", encode(3, 3, 14, 0, 5), (1, NEVER), Ext::Ecv, Place::Functions(counter, ignore)),
    row("CNTVCTSS_EL0", encode(3, 3, 14, 0, 6), (0, NEVER), Ext::Ecv, Place::Functions(counter, ignore)),
    row("CNTVCT_EL0", encode(3, 3, 14, 0, 2), (0, NEVER), Ext::Base, Place::Functions(counter, ignore)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_have_one_encoding() {
        for (n, row) in ROWS.iter().enumerate() {
            assert!(ROWS[n + 1..].iter().all(|other| other.encoding != row.encoding), "{}", row.name);
        }
    }

    #[test]
    fn flags_are_packed_and_unpacked() {
        for n in 0..16u64 {
            assert_eq!(nzcv(packed_flags(n << 28)), n << 28);
        }
    }

    #[test]
    fn fpsr_keeps_what_is_written() {
        let mut cpu = Cpu::new(Features::max());
        set_fpsr(&mut cpu, u64::MAX);
        assert_eq!(fpsr(&mut cpu), 0xf800_009f);
    }
}

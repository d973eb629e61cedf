//! System registers as one table, in files by subject: name, encoding, who may use them, what traps them, where they are
//! kept. D17 of the manual. Bits that are reserved are kept where QEMU keeps them, which the manual allows.

mod access;
mod bits;
mod control;
mod debug;
mod gic;
mod hypervisor;
mod identification;
mod monitor;
mod pmu;
mod special;
mod system;
mod timer;

pub use access::{Group, Instruction, check_masks, instruction_trap, read, wait_trap, write};
pub use bits::{cpacr, cptr, hcr, mdcr, mdscr, scr, sctlr, tcr};
pub use special::set_daif;
pub use system::{Stored, System};

use crate::cpu::Cpu;
use crate::features::{Ext, IdReg};
use std::sync::LazyLock;
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

/// Where a register is.
#[derive(Clone, Copy)]
pub enum Place {
    /// A register of the translator's table.
    Direct(RegId),
    /// NZCV: made of the packed flags.
    Nzcv,
    /// Behind functions.
    Functions(fn(&mut Cpu) -> u64, fn(&mut Cpu, u64)),
    /// Storage, and the bits that can be written.
    Stored(Stored, u64),
}

/// What a register needs to be there.
#[derive(Clone, Copy)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// An extension.
    Ext(Ext),
    /// A field of an identification register, at least so high.
    Field(IdReg, u32, u64),
    /// EL2.
    El2,
    /// Neither EL2 nor EL3.
    OnlyEl1,
    /// EL2 or EL3.
    El2OrEl3,
    /// EL2 with VHE.
    Host,
    /// EL2, and no EL3.
    HighestEl2,
    /// EL2 with RAS.
    HypervisorRas,
    /// EL2 with HCRX_EL2.
    HcrX,
    /// EL3.
    El3,
    /// The GIC's registers.
    Gic,
    /// The same with EL2.
    GicEl2,
    /// The same with EL3.
    GicEl3,
    /// Neoverse N1, for its implementation defined registers.
    NeoverseN1,
    /// A core with those of Cortex-A5x.
    CortexA5x,
}

impl Needs {
    /// Whether it is there.
    pub fn are_met(self, system: &System) -> bool {
        let features = system.features;
        match self {
            Self::Nothing => true,
            Self::Ext(ext) => features.has(ext),
            Self::Field(reg, at, least) => features.field(reg, at) >= least,
            Self::El2 => system.board.has_el2,
            Self::OnlyEl1 => !system.board.has_el2 && !system.board.has_el3,
            Self::El2OrEl3 => system.board.has_el2 || system.board.has_el3,
            Self::Host => system.board.has_el2 && features.field(IdReg::Mmfr1, 8) != 0,
            Self::HighestEl2 => system.board.has_el2 && !system.board.has_el3,
            Self::HypervisorRas => system.board.has_el2 && features.field(IdReg::Pfr0, 28) != 0,
            Self::HcrX => system.board.has_el2 && features.field(IdReg::Mmfr1, 40) != 0,
            Self::El3 => system.board.has_el3,
            Self::Gic => system.wiring.as_ref().is_some_and(|wiring| wiring.gic.is_some()),
            Self::GicEl2 => system.board.has_el2 && Self::Gic.are_met(system),
            Self::GicEl3 => system.board.has_el3 && Self::Gic.are_met(system),
            Self::NeoverseN1 => features.model_name() == "neoverse-n1",
            Self::CortexA5x => features.is_cortex_a5x(),
        }
    }
}

/// Nobody.
pub const NEVER: u8 = 4;

/// One register.
#[derive(Clone, Copy)]
pub struct Row {
    /// The manual's name.
    pub name: &'static str,
    /// op0 (its low bit), op1, CRn, CRm, op2, as an instruction has them.
    pub encoding: u16,
    /// Lowest exception level that reads it.
    pub read: u8,
    /// Lowest exception level that writes it.
    pub write: u8,
    /// What it needs to be there.
    pub needs: Needs,
    /// What traps it.
    pub group: Group,
    /// The register that EL2 finds under the name, where it is a host.
    pub host: Option<u16>,
    /// Told of a write, with the old value.
    pub changed: Option<fn(&mut Cpu, u64)>,
    /// Translations depend on it.
    pub resync: bool,
    /// Where it is.
    pub place: Place,
}

impl Row {
    const fn new(name: &'static str, encoding: u16, place: Place) -> Self {
        // The manual gives op1 by the lowest level.
        let level = match encoding >> 11 & 7 {
            3 => 0,
            4 | 5 => 2,
            6 | 7 => 3,
            _ => 1,
        };
        Self {
            name,
            encoding,
            read: level,
            write: level,
            needs: Needs::Nothing,
            group: Group::Plain,
            host: None,
            changed: None,
            resync: false,
            place,
        }
    }

    const fn levels(self, read: u8, write: u8) -> Self {
        Self { read, write, ..self }
    }

    const fn needs(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    const fn group(self, group: Group) -> Self {
        Self { group, ..self }
    }

    /// EL2 finds `encoding` under this name, where it is a host.
    const fn host(self, encoding: u16) -> Self {
        Self { host: Some(encoding), ..self }
    }

    const fn changed(self, changed: fn(&mut Cpu, u64)) -> Self {
        Self { changed: Some(changed), resync: true, ..self }
    }

    const fn resync(self) -> Self {
        Self { resync: true, ..self }
    }
}

const fn stored(name: &'static str, encoding: u16, place: Stored, mask: u64) -> Row {
    Row::new(name, encoding, Place::Stored(place, mask))
}

const fn functions(
    name: &'static str,
    encoding: u16,
    read: fn(&mut Cpu) -> u64,
    write: fn(&mut Cpu, u64),
) -> Row {
    Row::new(name, encoding, Place::Functions(read, write))
}

/// A register that can not be written.
const fn constant(name: &'static str, encoding: u16, read: fn(&mut Cpu) -> u64) -> Row {
    let row = functions(name, encoding, read, ignore);
    let read = row.read;
    row.levels(read, NEVER)
}

/// A register that reads as zero and ignores writes.
const fn zero(name: &'static str, encoding: u16) -> Row {
    functions(name, encoding, |_| 0, ignore)
}

/// The encoding of a system register with `op0` 2 or 3.
pub const fn encode(op0: u16, op1: u16, crn: u16, crm: u16, op2: u16) -> u16 {
    (op0 & 1) << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

/// The name that every register has.
pub fn generic_name(reg: u16) -> String {
    format!("s{}_{}_c{}_c{}_{}", 2 + (reg >> 14 & 1), reg >> 11 & 7, reg >> 7 & 15, reg >> 3 & 15, reg & 7)
}

/// Every register.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    let tables = [special::ROWS, identification::ROWS, control::ROWS, hypervisor::ROWS, monitor::ROWS];
    let more = [timer::ROWS, pmu::ROWS, debug::ROWS, gic::ROWS];
    tables.into_iter().chain(more).flatten()
}

/// The rows by their encoding.
static BY_ENCODING: LazyLock<Vec<Option<&'static Row>>> = LazyLock::new(|| {
    let mut all = vec![None; 1 << 15];
    rows().for_each(|row| all[usize::from(row.encoding)] = Some(row));
    all
});

/// The row of a register.
pub fn find(encoding: u16) -> Option<&'static Row> {
    BY_ENCODING.get(usize::from(encoding)).copied().flatten()
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

fn ignore(_: &mut Cpu, _: u64) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Features;

    #[test]
    fn no_two_rows_have_one_encoding() {
        for (n, row) in rows().enumerate() {
            assert!(rows().skip(n + 1).all(|other| other.encoding != row.encoding), "{}", row.name);
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

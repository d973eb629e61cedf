//! State of one PE, and the table of its registers that translations work on: B1.2 (registers in AArch64 state).

use crate::features::Features;
use crate::sysreg::{Stored, System};
use std::mem::offset_of;
use tcg_core::cpu::{CpuHeader, RegDesc, RegId};
use tcg_core::ty::Ty;

/// One processing element.
#[repr(C)]
pub struct Cpu {
    /// What the translator knows.
    pub head: CpuHeader,
    /// X0 to X30.
    pub x: [u64; 31],
    /// The stack pointer in use.
    pub sp: u64,
    /// SIMD and float registers.
    pub v: [u128; 32],
    /// FPSR.QC, which is set if a bit is: integer operations that saturate collect here what differs from what had no room.
    pub qc: u128,
    /// PSTATE.{N,Z,C,V}, as [`tcg_core::sem::packed`].
    pub flags: u64,
    /// Address that the local exclusive monitor holds; all ones for none.
    pub exclusive_addr: u64,
    /// What the exclusive load saw there.
    pub exclusive: [u64; 2],
    /// Arguments and results of helpers that take more than three or give more than one.
    pub scratch: [u64; 4],
    /// Thread pointer that EL0 writes.
    pub tpidr_el0: u64,
    /// Thread pointer that EL0 only reads.
    pub tpidrro_el0: u64,
    /// PSTATE.{D,A,I,F}, where DAIF has them.
    pub daif: u64,
    /// Everything else.
    pub system: System,
}

impl Cpu {
    /// A PE at EL0 in an address space without translation, as a user program sees it first; all registers zero.
    pub fn new(features: Features) -> Self {
        Self {
            head: CpuHeader::new(),
            x: [0; 31],
            sp: 0,
            v: [0; 32],
            qc: 0,
            flags: 0,
            exclusive_addr: u64::MAX,
            exclusive: [0; 2],
            scratch: [0; 4],
            tpidr_el0: 0,
            tpidrro_el0: 0,
            daif: 0,
            system: System::new(features),
        }
    }
}

impl AsRef<CpuHeader> for Cpu {
    fn as_ref(&self) -> &CpuHeader {
        &self.head
    }
}

impl AsMut<CpuHeader> for Cpu {
    fn as_mut(&mut self) -> &mut CpuHeader {
        &mut self.head
    }
}

/// Register `x[n]` (0..=30).
pub const fn x(n: u8) -> RegId {
    RegId(n as u16)
}

/// The stack pointer.
pub const SP: RegId = RegId(31);

/// Register `v[n]`.
pub const fn v(n: u8) -> RegId {
    RegId(32 + n as u16)
}

/// [`Cpu::flags`].
pub const FLAGS: RegId = RegId(64);
/// [`Cpu::exclusive_addr`].
pub const EXCLUSIVE_ADDR: RegId = RegId(65);
/// [`Cpu::exclusive`], low half.
pub const EXCLUSIVE_LOW: RegId = RegId(66);
/// [`Cpu::exclusive`], high half.
pub const EXCLUSIVE_HIGH: RegId = RegId(67);
/// [`Cpu::tpidr_el0`].
pub const TPIDR_EL0: RegId = RegId(68);
/// [`Cpu::tpidrro_el0`].
pub const TPIDRRO_EL0: RegId = RegId(69);

/// [`Cpu::scratch`], word `n`.
pub const fn scratch(n: u8) -> RegId {
    RegId(70 + n as u16)
}

/// [`Cpu::qc`].
pub const QC: RegId = RegId(74);

/// [`Cpu::daif`].
pub const DAIF: RegId = RegId(75);
/// TPIDR_EL1.
pub const TPIDR_EL1: RegId = RegId(76);
/// SP_EL0, while another stack pointer is in use.
pub const SP_EL0: RegId = RegId(77);
/// ELR_EL1.
pub const ELR_EL1: RegId = RegId(78);
/// SPSR_EL1.
pub const SPSR_EL1: RegId = RegId(79);
/// ESR_EL1.
pub const ESR_EL1: RegId = RegId(80);
/// FAR_EL1.
pub const FAR_EL1: RegId = RegId(81);

/// Half `half` (0 the lower) of key `key` (IA, IB, DA, DB).
pub const fn key(key: u8, half: u8) -> RegId {
    RegId(82 + 2 * key as u16 + half as u16)
}

const COUNT: usize = 90;

const fn of_key(key: usize, half: usize) -> usize {
    offset_of!(Cpu, system) + offset_of!(System, keys) + key * 16 + half * 8
}

const fn stored(register: Stored) -> usize {
    offset_of!(Cpu, system) + offset_of!(System, stored) + register as usize * 8
}

const X_NAMES: [&str; 31] = [
    "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
    "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30",
];
const V_NAMES: [&str; 32] = [
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
    "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
    "v31",
];
const OTHERS: [(&str, Ty, usize); COUNT - 64] = [
    ("nzcv", Ty::I32, offset_of!(Cpu, flags)),
    ("exclusive_addr", Ty::I64, offset_of!(Cpu, exclusive_addr)),
    ("exclusive_low", Ty::I64, offset_of!(Cpu, exclusive)),
    ("exclusive_high", Ty::I64, offset_of!(Cpu, exclusive) + 8),
    ("tpidr_el0", Ty::I64, offset_of!(Cpu, tpidr_el0)),
    ("tpidrro_el0", Ty::I64, offset_of!(Cpu, tpidrro_el0)),
    ("scratch0", Ty::I64, offset_of!(Cpu, scratch)),
    ("scratch1", Ty::I64, offset_of!(Cpu, scratch) + 8),
    ("scratch2", Ty::I64, offset_of!(Cpu, scratch) + 16),
    ("scratch3", Ty::I64, offset_of!(Cpu, scratch) + 24),
    ("qc", Ty::V128, offset_of!(Cpu, qc)),
    ("daif", Ty::I64, offset_of!(Cpu, daif)),
    ("tpidr_el1", Ty::I64, stored(Stored::TpidrEl1)),
    ("sp_el0", Ty::I64, stored(Stored::SpEl0)),
    ("elr_el1", Ty::I64, stored(Stored::ElrEl1)),
    ("spsr_el1", Ty::I64, stored(Stored::SpsrEl1)),
    ("esr_el1", Ty::I64, stored(Stored::EsrEl1)),
    ("far_el1", Ty::I64, stored(Stored::FarEl1)),
    ("apia_low", Ty::I64, of_key(0, 0)),
    ("apia_high", Ty::I64, of_key(0, 1)),
    ("apib_low", Ty::I64, of_key(1, 0)),
    ("apib_high", Ty::I64, of_key(1, 1)),
    ("apda_low", Ty::I64, of_key(2, 0)),
    ("apda_high", Ty::I64, of_key(2, 1)),
    ("apdb_low", Ty::I64, of_key(3, 0)),
    ("apdb_high", Ty::I64, of_key(3, 1)),
];

const fn table() -> [RegDesc; COUNT] {
    let mut regs = [RegDesc { name: "", ty: Ty::I64, offset: 0 }; COUNT];
    let mut n = 0;
    while n < COUNT {
        let (name, ty, offset) = match n {
            0..31 => (X_NAMES[n], Ty::I64, offset_of!(Cpu, x) + n * 8),
            31 => ("sp", Ty::I64, offset_of!(Cpu, sp)),
            32..64 => (V_NAMES[n - 32], Ty::V128, offset_of!(Cpu, v) + (n - 32) * 16),
            _ => OTHERS[n - 64],
        };
        regs[n] = RegDesc { name, ty, offset: offset as u32 };
        n += 1;
    }
    regs
}

/// Registers that semantics functions get and set.
pub static REGS: [RegDesc; COUNT] = table();

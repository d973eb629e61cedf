//! State of one hart, and the table of its registers that translations work on.
//!
//! From: RISC-V Unprivileged ISA 20240411, chapters 2 (x registers), 20 (f registers); Privileged ISA 20240411 for the
//! CSRs, which stand in [`Csrs`].

use crate::csr::Csrs;
use std::mem::offset_of;
use tcg_core::cpu::{CpuHeader, RegDesc, RegId};
use tcg_core::ty::Ty;

/// One hart.
#[repr(C)]
pub struct Hart {
    /// What the translator knows.
    pub head: CpuHeader,
    /// Integer registers; `x[0]` stays zero.
    pub x: [u64; 32],
    /// Float registers, narrower values NaN-boxed.
    pub f: [u64; 32],
    /// Address of the reservation that LR made; all ones for none.
    pub reservation: u64,
    /// The value that LR loaded.
    pub reserved_value: u64,
    /// Everything else.
    pub csr: Csrs,
}

impl AsRef<CpuHeader> for Hart {
    fn as_ref(&self) -> &CpuHeader {
        &self.head
    }
}

impl AsMut<CpuHeader> for Hart {
    fn as_mut(&mut self) -> &mut CpuHeader {
        &mut self.head
    }
}

/// Register `x[n]` (1..=31; x0 is no register of the table's user: it reads as a constant).
pub const fn x(n: u8) -> RegId {
    RegId(n as u16)
}

/// Register `f[n]`.
pub const fn f(n: u8) -> RegId {
    RegId(32 + n as u16)
}

/// [`Hart::reservation`].
pub const RESERVATION: RegId = RegId(64);
/// [`Hart::reserved_value`].
pub const RESERVED_VALUE: RegId = RegId(65);

/// The assembler's names of the integer registers.
pub const X_NAMES: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
    "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];
/// The assembler's names of the float registers.
pub const F_NAMES: [&str; 32] = [
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4",
    "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8",
    "ft9", "ft10", "ft11",
];

const fn table() -> [RegDesc; 66] {
    let mut regs = [RegDesc { name: "", ty: Ty::I64, offset: 0 }; 66];
    let mut n = 0;
    while n < 32 {
        let at = (n * 8) as u32;
        regs[n] = RegDesc { name: X_NAMES[n], ty: Ty::I64, offset: offset_of!(Hart, x) as u32 + at };
        regs[32 + n] = RegDesc { name: F_NAMES[n], ty: Ty::F64, offset: offset_of!(Hart, f) as u32 + at };
        n += 1;
    }
    regs[64] = RegDesc { name: "reservation", ty: Ty::I64, offset: offset_of!(Hart, reservation) as u32 };
    regs[65] =
        RegDesc { name: "reserved_value", ty: Ty::I64, offset: offset_of!(Hart, reserved_value) as u32 };
    regs
}

/// Registers that semantics functions get and set.
pub static REGS: [RegDesc; 66] = table();

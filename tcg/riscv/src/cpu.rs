//! State of one hart, and the table of its registers that translations work on.
//!
//! From: RISC-V Unprivileged ISA 20240411, chapters 2 (x registers), 20 (f registers); Privileged ISA 20240411 for the
//! CSRs, which stand in [`Csrs`].

use crate::csr::{Csrs, VectorCsrs};
use crate::vector::MAX_VLEN;
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
    /// Vector registers.
    pub v: VectorFile,
    /// Address of the reservation that LR made; all ones for none.
    pub reservation: u64,
    /// The value that LR loaded.
    pub reserved_value: u64,
    /// Everything else.
    pub csr: Csrs,
}

/// Most bytes of the 32 vector registers.
const V_BYTES: usize = 32 * MAX_VLEN as usize / 8;

/// The 32 vector registers, one right after the other, as wide as the hart's are; nothing behind them.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub struct VectorFile([u8; V_BYTES]);

impl Default for VectorFile {
    fn default() -> Self {
        Self([0; V_BYTES])
    }
}

impl VectorFile {
    /// All bytes, those of v0 first.
    pub fn bytes(&self) -> &[u8; V_BYTES] {
        &self.0
    }

    /// The same, to change them.
    pub fn bytes_mut(&mut self) -> &mut [u8; V_BYTES] {
        &mut self.0
    }
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

/// Part `n` of the vector registers, of 128 bits; where they have 128 bits, `v[n]`.
pub const fn v(n: u16) -> RegId {
    RegId(FIRST_V as u16 + n)
}

const FIRST_V: usize = 66;
/// How many parts the vector registers may have.
const V_PARTS: usize = V_BYTES / 16;
const REG_COUNT: usize = FIRST_V + V_PARTS + 3 + KEPT.len();
/// The register `vl`.
pub const VL: RegId = RegId((FIRST_V + V_PARTS) as u16);
/// The register `vtype`.
pub const VTYPE: RegId = RegId((FIRST_V + V_PARTS + 1) as u16);
/// The register `vxsat`.
pub const VXSAT: RegId = RegId((FIRST_V + V_PARTS + 2) as u16);

/// CSRs that only keep what is written to them: number, name, place.
const KEPT: [(u16, &str, usize); 8] = [
    (0x140, "sscratch", offset_of!(Hart, csr.sscratch)),
    (0x141, "sepc", offset_of!(Hart, csr.sepc)),
    (0x142, "scause", offset_of!(Hart, csr.scause)),
    (0x143, "stval", offset_of!(Hart, csr.stval)),
    (0x340, "mscratch", offset_of!(Hart, csr.mscratch)),
    (0x341, "mepc", offset_of!(Hart, csr.mepc)),
    (0x342, "mcause", offset_of!(Hart, csr.mcause)),
    (0x343, "mtval", offset_of!(Hart, csr.mtval)),
];

/// The register that CSR `number` is, if it is one of those.
pub fn kept_csr(number: u16) -> Option<RegId> {
    let n = KEPT.iter().position(|(kept, ..)| *kept == number)?;
    Some(RegId(VXSAT.0 + 1 + n as u16))
}

/// The names of the vector registers.
pub const V_NAMES: [&str; 32] = [
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
    "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
    "v31",
];
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

/// Names of the parts: v0 and on.
const PART_NAMES: &[[u8; 4]; V_PARTS] = &{
    let mut names = [[b'v', 0, 0, 0]; V_PARTS];
    let mut n = 0;
    while n < V_PARTS {
        let digits = [b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        let mut digit = if n < 10 {
            2
        } else if n < 100 {
            1
        } else {
            0
        };
        let mut at = 1;
        while digit < 3 {
            names[n][at] = digits[digit];
            (at, digit) = (at + 1, digit + 1);
        }
        n += 1;
    }
    names
};

const fn part_name(n: usize) -> &'static str {
    let len = if n < 10 {
        2
    } else if n < 100 {
        3
    } else {
        4
    };
    match std::str::from_utf8(PART_NAMES[n].split_at(len).0) {
        Ok(name) => name,
        Err(_) => unreachable!(),
    }
}

const fn table() -> [RegDesc; REG_COUNT] {
    let mut regs = [RegDesc { name: "", ty: Ty::I64, offset: 0 }; REG_COUNT];
    let mut n = 0;
    while n < 32 {
        let at = (n * 8) as u32;
        regs[n] = RegDesc { name: X_NAMES[n], ty: Ty::I64, offset: offset_of!(Hart, x) as u32 + at };
        regs[32 + n] = RegDesc { name: F_NAMES[n], ty: Ty::F64, offset: offset_of!(Hart, f) as u32 + at };
        n += 1;
    }
    n = 0;
    while n < V_PARTS {
        let offset = (offset_of!(Hart, v) + n * 16) as u32;
        regs[FIRST_V + n] = RegDesc { name: part_name(n), ty: Ty::V128, offset };
        n += 1;
    }
    regs[64] = RegDesc { name: "reservation", ty: Ty::I64, offset: offset_of!(Hart, reservation) as u32 };
    let vector = offset_of!(Hart, csr.vector);
    let at = (vector + offset_of!(VectorCsrs, vl)) as u32;
    regs[VL.0 as usize] = RegDesc { name: "vl", ty: Ty::I64, offset: at };
    let at = (vector + offset_of!(VectorCsrs, vtype)) as u32;
    regs[VTYPE.0 as usize] = RegDesc { name: "vtype", ty: Ty::I64, offset: at };
    let at = (vector + offset_of!(VectorCsrs, vxsat)) as u32;
    regs[VXSAT.0 as usize] = RegDesc { name: "vxsat", ty: Ty::I64, offset: at };
    let mut n = 0;
    while n < KEPT.len() {
        let (_, name, offset) = KEPT[n];
        regs[VXSAT.0 as usize + 1 + n] = RegDesc { name, ty: Ty::I64, offset: offset as u32 };
        n += 1;
    }
    regs[65] =
        RegDesc { name: "reserved_value", ty: Ty::I64, offset: offset_of!(Hart, reserved_value) as u32 };
    regs
}

/// Registers that semantics functions get and set.
pub static REGS: [RegDesc; REG_COUNT] = table();

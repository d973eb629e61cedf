//! Fetching and decoding: RISC-V Unprivileged ISA 20240411, 1.5 (instruction lengths).

use crate::csr::bits::cause;
use crate::features::Ext;
use crate::isa::{self, Op};
use crate::mode::{self, Fs};
use crate::sem::Cx;
use tcg_core::guest::{Ctx, Fetch, Trap};
use tcg_core::sem::{Flow, Sem};

/// A decoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// What it is; `None`: illegal.
    pub op: Option<Op>,
    /// Its 16 or 32 bits: what the trap value tells of an illegal instruction.
    pub bits: u32,
}

/// Decodes the instruction at `pc`; also gives its length in bytes.
pub fn fetch_insn(fetch: &mut impl Fetch, pc: u64, mode: u64) -> Result<(Insn, u64), Trap> {
    let low = u32::from(fetch.u16(pc)?);
    if low & 3 != 3 {
        return Ok((decode(low, mode), 2));
    }
    let high = u32::from(fetch.u16(pc.wrapping_add(2))?);
    Ok((decode(high << 16 | low, mode), 4))
}

/// Decodes `bits`: 16 of them if the lowest two are not both set.
pub fn decode(bits: u32, mode: u64) -> Insn {
    let float_off = mode::fs(mode) == Fs::Off;
    let vector_off = mode::vs(mode) == Fs::Off;
    let features = mode::features(mode);
    let on = |ext| features.has(ext) && !(float_off && uses_float(ext)) && !(vector_off && uses_vectors(ext));
    let op = if bits & 3 == 3 { isa::decode32(bits, on) } else { isa::decode16(bits, on) };
    Insn { op, bits }
}

/// Extensions all of whose instructions are illegal while the float unit is off.
fn uses_float(ext: Ext) -> bool {
    matches!(ext, Ext::F | Ext::D | Ext::Zfa | Ext::Zfhmin | Ext::Zfh | Ext::Zcd)
}

/// Extensions all of whose instructions are illegal while the vector unit is off.
fn uses_vectors(ext: Ext) -> bool {
    matches!(
        ext,
        Ext::Zve32x
            | Ext::Zve32f
            | Ext::Zvbb
            | Ext::Zvbc
            | Ext::Zvkb
            | Ext::Zvkg
            | Ext::Zvkned
            | Ext::ZvknhaOrZvknhb
            | Ext::Zvksed
            | Ext::Zvksh
    )
}

/// The meaning of an instruction.
#[inline]
pub fn exec<S: Sem>(s: &mut S, at: &Ctx, insn: Insn) -> Flow<S> {
    let cx = Cx { at: *at, bits: insn.bits };
    match insn.op {
        Some(op) => isa::exec(s, &cx, op),
        None => cx.trap::<S>(cause::ILLEGAL, insn.bits.into()),
    }
}

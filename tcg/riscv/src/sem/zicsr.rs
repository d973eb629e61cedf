//! Control and status register instructions: chapter 7.

use super::{Cx, fall, set_x, x};
use crate::cpu;
use crate::csr::{Access, Update};
use crate::features::Ext;
use crate::helpers;
use crate::isa::{Csr, CsrI};
use crate::mode::{self, Fs};
use tcg_core::cpu::exit;
use tcg_core::sem::{Flow, Next, Sem, V};
use tcg_core::ty::I64;

const VXSAT: u16 = 0x009;
const VCSR: u16 = 0x00f;

/// A register of the vector unit that translations know: `vl`, `vtype`, `vlenb`.
fn of_vectors<S: Sem>(s: &mut S, cx: &Cx, access: Access) -> Option<V<S, I64>> {
    let readable = access.write.is_none() && cx.has(Ext::Zve32x) && mode::vs(cx.at.mode) != Fs::Off;
    Some(match access.number {
        0xc20 if readable => s.get(cpu::VL),
        0xc21 if readable => s.get(cpu::VTYPE),
        0xc22 if readable => s.k(mode::features(cx.at.mode).vlen() / 8),
        _ => return None,
    })
}

/// The access, then on in step with what it may have changed.
fn access<S: Sem>(s: &mut S, cx: &Cx, rd: u8, access: Access, operand: V<S, I64>) -> Flow<S> {
    if let Some(value) = of_vectors(s, cx, access) {
        set_x(s, rd, value);
        return fall::<S>();
    }
    let (packed, bits) = (s.k(helpers::pack(access)), cx.bits_value(s));
    let helper = if matches!(access.number, VXSAT | VCSR) { helpers::CSR_VECTOR } else { helpers::CSR };
    let old = s.call(helper, &[packed, operand, bits])?;
    set_x(s, rd, old);
    Ok(if access.write.is_some() { Next::Exit(exit::RESYNC) } else { Next::Fall })
}

/// With a register: x0 as operand of set and clear writes nothing.
fn by_register<S: Sem>(s: &mut S, cx: &Cx, a: Csr, update: Update) -> Flow<S> {
    let operand = x(s, a.rs1);
    let write = (update == Update::Write || a.rs1 != 0).then_some(update);
    access(s, cx, a.rd, Access { number: a.csr, write, read: a.rd != 0 }, operand)
}

/// With a constant: zero as operand of set and clear writes nothing.
fn by_constant<S: Sem>(s: &mut S, cx: &Cx, a: CsrI, update: Update) -> Flow<S> {
    let operand = s.k(a.uimm.into());
    let write = (update == Update::Write || a.uimm != 0).then_some(update);
    access(s, cx, a.rd, Access { number: a.csr, write, read: a.rd != 0 }, operand)
}

/// Read and write.
pub fn csrrw<S: Sem>(s: &mut S, cx: &Cx, a: Csr) -> Flow<S> {
    by_register(s, cx, a, Update::Write)
}

/// Read and set bits.
pub fn csrrs<S: Sem>(s: &mut S, cx: &Cx, a: Csr) -> Flow<S> {
    by_register(s, cx, a, Update::Set)
}

/// Read and clear bits.
pub fn csrrc<S: Sem>(s: &mut S, cx: &Cx, a: Csr) -> Flow<S> {
    by_register(s, cx, a, Update::Clear)
}

/// Read and write a constant.
pub fn csrrwi<S: Sem>(s: &mut S, cx: &Cx, a: CsrI) -> Flow<S> {
    by_constant(s, cx, a, Update::Write)
}

/// Read and set bits of a constant.
pub fn csrrsi<S: Sem>(s: &mut S, cx: &Cx, a: CsrI) -> Flow<S> {
    by_constant(s, cx, a, Update::Set)
}

/// Read and clear bits of a constant.
pub fn csrrci<S: Sem>(s: &mut S, cx: &Cx, a: CsrI) -> Flow<S> {
    by_constant(s, cx, a, Update::Clear)
}

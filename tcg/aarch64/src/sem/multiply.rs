//! Multiplication and division: C4.1.95.

use super::{Cx, Width, by_width, fall, set_x, x};
use crate::isa::{MulHigh, MulLong, R3, R4};
use tcg_core::sem::{Flow, Sem};
use tcg_core::ty::{I32, I64};

fn multiply_add<T: Width, S: Sem>(s: &mut S, a: R4, subtract: bool) -> Flow<S> {
    let (v, w, c) = (T::get(s, a.rn), T::get(s, a.rm), T::get(s, a.ra));
    let product = s.mul(v, w);
    let v = if subtract { s.sub(c, product) } else { s.add(product, c) };
    T::set(s, a.rd, v);
    fall::<S>()
}

/// Multiply and add.
pub fn madd<S: Sem>(s: &mut S, _: &Cx, a: R4) -> Flow<S> {
    by_width!(a.sf, multiply_add(s, a, false))
}

/// Multiply and subtract.
pub fn msub<S: Sem>(s: &mut S, _: &Cx, a: R4) -> Flow<S> {
    by_width!(a.sf, multiply_add(s, a, true))
}

fn long<S: Sem>(s: &mut S, a: MulLong, signed: bool, subtract: bool) -> Flow<S> {
    let (v, w, c) = (I32::get(s, a.rn), I32::get(s, a.rm), x(s, a.ra));
    let (v, w) = if signed { (s.sextw(v), s.sextw(w)) } else { (s.zextw(v), s.zextw(w)) };
    let product = s.mul(v, w);
    let v = if subtract { s.sub(c, product) } else { s.add(product, c) };
    set_x(s, a.rd, v);
    fall::<S>()
}

/// Signed multiply long and add.
pub fn smaddl<S: Sem>(s: &mut S, _: &Cx, a: MulLong) -> Flow<S> {
    long(s, a, true, false)
}

/// Signed multiply long and subtract.
pub fn smsubl<S: Sem>(s: &mut S, _: &Cx, a: MulLong) -> Flow<S> {
    long(s, a, true, true)
}

/// Unsigned multiply long and add.
pub fn umaddl<S: Sem>(s: &mut S, _: &Cx, a: MulLong) -> Flow<S> {
    long(s, a, false, false)
}

/// Unsigned multiply long and subtract.
pub fn umsubl<S: Sem>(s: &mut S, _: &Cx, a: MulLong) -> Flow<S> {
    long(s, a, false, true)
}

/// High half of the signed product.
pub fn smulh<S: Sem>(s: &mut S, _: &Cx, a: MulHigh) -> Flow<S> {
    let (v, w) = (x(s, a.rn), x(s, a.rm));
    let v = s.mulhs(v, w);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// High half of the unsigned product.
pub fn umulh<S: Sem>(s: &mut S, _: &Cx, a: MulHigh) -> Flow<S> {
    let (v, w) = (x(s, a.rn), x(s, a.rm));
    let v = s.mulhu(v, w);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// A quotient, zero for the divisor zero.
fn divide<T: Width, S: Sem>(s: &mut S, a: R3, signed: bool) -> Flow<S> {
    let (v, w, zero) = (T::get(s, a.rn), T::get(s, a.rm), s.k(0));
    let quotient = if signed { s.divs(v, w) } else { s.divu(v, w) };
    let by_zero = s.eq(w, zero);
    let v = s.select(by_zero, zero, quotient);
    T::set(s, a.rd, v);
    fall::<S>()
}

/// Unsigned division.
pub fn udiv<S: Sem>(s: &mut S, _: &Cx, a: R3) -> Flow<S> {
    by_width!(a.sf, divide(s, a, false))
}

/// Signed division.
pub fn sdiv<S: Sem>(s: &mut S, _: &Cx, a: R3) -> Flow<S> {
    by_width!(a.sf, divide(s, a, true))
}

//! Integer multiplication and division: chapter 13. Division by zero and overflow are as the operations define them.

use super::i::binary_word;
use super::{Cx, binary};
use crate::isa::R;
use tcg_core::sem::{Flow, Sem};

/// Low half of the product.
pub fn mul<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::mul)
}

/// High half of the signed product.
pub fn mulh<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::mulhs)
}

/// High half of the product of signed rs1 and unsigned rs2: a negative rs1 counts 2^64 too much as unsigned.
pub fn mulhsu<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let high = s.mulhu(v, w);
        let k63 = s.k(63);
        let sign = s.shrs(v, k63);
        let excess = s.and(sign, w);
        s.sub(high, excess)
    })
}

/// High half of the unsigned product.
pub fn mulhu<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::mulhu)
}

/// Product, word.
pub fn mulw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary_word(s, a, S::mul)
}

/// Signed quotient.
pub fn div<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::divs)
}

/// Unsigned quotient.
pub fn divu<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::divu)
}

/// Signed remainder.
pub fn rem<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::rems)
}

/// Unsigned remainder.
pub fn remu<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::remu)
}

/// Signed quotient, word.
pub fn divw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary_word(s, a, S::divs)
}

/// Unsigned quotient, word.
pub fn divuw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary_word(s, a, S::divu)
}

/// Signed remainder, word.
pub fn remw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary_word(s, a, S::rems)
}

/// Unsigned remainder, word.
pub fn remuw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary_word(s, a, S::remu)
}

//! Bit manipulation: chapter 30 (Zba, Zbb, Zbc, Zbs).

use super::i::{binary_word, on_words, shift, shift_word};
use super::{Cx, binary, unary};
use crate::isa::{R, R2, Shift, ShiftW};
use tcg_core::sem::{Flow, Sem, V};
use tcg_core::ty::{I32, I64};

/// rs2 plus f(rs1) shifted left by `by`.
fn shift_add<S: Sem>(s: &mut S, a: R, by: u64, f: impl FnOnce(&mut S, V<S, I64>) -> V<S, I64>) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let (v, by) = (f(s, v), s.k(by));
        let v = s.shl(v, by);
        s.add(v, w)
    })
}

fn as_is<S: Sem>(_: &mut S, v: V<S, I64>) -> V<S, I64> {
    v
}

fn low_word<S: Sem>(s: &mut S, v: V<S, I64>) -> V<S, I64> {
    s.zext(v, 32)
}

/// Shift left by 1 and add.
pub fn sh1add<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    shift_add(s, a, 1, as_is)
}

/// Shift left by 2 and add.
pub fn sh2add<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    shift_add(s, a, 2, as_is)
}

/// Shift left by 3 and add.
pub fn sh3add<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    shift_add(s, a, 3, as_is)
}

/// Add unsigned word.
pub fn add_uw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    shift_add(s, a, 0, low_word)
}

/// Shift unsigned word left by 1 and add.
pub fn sh1add_uw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    shift_add(s, a, 1, low_word)
}

/// Shift unsigned word left by 2 and add.
pub fn sh2add_uw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    shift_add(s, a, 2, low_word)
}

/// Shift unsigned word left by 3 and add.
pub fn sh3add_uw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    shift_add(s, a, 3, low_word)
}

/// Shift unsigned word left by a constant.
pub fn slli_uw<S: Sem>(s: &mut S, _: &Cx, a: Shift) -> Flow<S> {
    shift(s, a, |s, v, by| {
        let v = low_word(s, v);
        s.shl(v, by)
    })
}

/// And with the complement.
pub fn andn<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let w = s.not(w);
        s.and(v, w)
    })
}

/// Or with the complement.
pub fn orn<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let w = s.not(w);
        s.or(v, w)
    })
}

/// Exclusive nor.
pub fn xnor<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let w = s.not(w);
        s.xor(v, w)
    })
}

/// Leading zeros.
pub fn clz<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    unary(s, a, S::clz)
}

/// Trailing zeros.
pub fn ctz<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    unary(s, a, S::ctz)
}

/// Set bits.
pub fn cpop<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    unary(s, a, S::popcnt)
}

/// rd = f(rs1) on the low word.
fn unary_word<S: Sem>(s: &mut S, a: R2, f: impl FnOnce(&mut S, V<S, I32>) -> V<S, I32>) -> Flow<S> {
    unary(s, a, |s, v| {
        let v = s.trunc(v);
        let v = f(s, v);
        s.sextw(v)
    })
}

/// Leading zeros, word.
pub fn clzw<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    unary_word(s, a, S::clz)
}

/// Trailing zeros, word.
pub fn ctzw<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    unary_word(s, a, S::ctz)
}

/// Set bits, word.
pub fn cpopw<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    unary_word(s, a, S::popcnt)
}

/// Sign-extend byte.
pub fn sext_b<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    unary(s, a, |s, v| s.sext(v, 8))
}

/// Sign-extend halfword.
pub fn sext_h<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    unary(s, a, |s, v| s.sext(v, 16))
}

/// Zero-extend halfword.
pub fn zext_h<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    unary(s, a, |s, v| s.zext(v, 16))
}

/// Minimum.
pub fn min<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let first = s.lts(v, w);
        s.select(first, v, w)
    })
}

/// Unsigned minimum.
pub fn minu<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let first = s.ltu(v, w);
        s.select(first, v, w)
    })
}

/// Maximum.
pub fn max<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let first = s.lts(w, v);
        s.select(first, v, w)
    })
}

/// Unsigned maximum.
pub fn maxu<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let first = s.ltu(w, v);
        s.select(first, v, w)
    })
}

fn rotate_left<S: Sem>(s: &mut S, v: V<S, I64>, by: V<S, I64>) -> V<S, I64> {
    let by = s.neg(by);
    s.rotr(v, by)
}

/// Rotate left.
pub fn rol<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, rotate_left)
}

/// Rotate right.
pub fn ror<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::rotr)
}

/// Rotate right by a constant.
pub fn rori<S: Sem>(s: &mut S, _: &Cx, a: Shift) -> Flow<S> {
    shift(s, a, S::rotr)
}

/// Rotate left, word.
pub fn rolw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, by| {
        let by = s.neg(by);
        on_words(s, v, by, S::rotr)
    })
}

/// Rotate right, word.
pub fn rorw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary_word(s, a, S::rotr)
}

/// Rotate right by a constant, word.
pub fn roriw<S: Sem>(s: &mut S, _: &Cx, a: ShiftW) -> Flow<S> {
    shift_word(s, a, S::rotr)
}

/// All ones for each byte that is not zero: its top bit is found by a carry into it.
pub fn orc_b<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    unary(s, a, |s, v| {
        let (low, top) = (s.k(0x7f7f_7f7f_7f7f_7f7f), s.k(0x8080_8080_8080_8080));
        let carried = s.and(v, low);
        let carried = s.add(carried, low);
        let any = s.or(carried, v);
        let any = s.and(any, top);
        let (seven, ones) = (s.k(7), s.k(0xff));
        let any = s.shru(any, seven);
        s.mul(any, ones)
    })
}

/// Bytes in reverse order.
pub fn rev8<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    unary(s, a, S::bswap)
}

/// Low half of the carry-less product.
pub fn clmul<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::clmul)
}

/// High half of the carry-less product.
pub fn clmulh<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::clmulh)
}

/// Carry-less product, reversed: its bits 126 to 63.
pub fn clmulr<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let (high, low) = (s.clmulh(v, w), s.clmul(v, w));
        let (one, top) = (s.k(1), s.k(63));
        let (high, low) = (s.shl(high, one), s.shru(low, top));
        s.or(high, low)
    })
}

/// 1 shifted left by `by`.
fn single<S: Sem>(s: &mut S, by: V<S, I64>) -> V<S, I64> {
    let one = s.k(1);
    s.shl(one, by)
}

fn clear<S: Sem>(s: &mut S, v: V<S, I64>, by: V<S, I64>) -> V<S, I64> {
    let bit = single(s, by);
    let others = s.not(bit);
    s.and(v, others)
}

fn extract<S: Sem>(s: &mut S, v: V<S, I64>, by: V<S, I64>) -> V<S, I64> {
    let v = s.shru(v, by);
    s.zext(v, 1)
}

fn invert<S: Sem>(s: &mut S, v: V<S, I64>, by: V<S, I64>) -> V<S, I64> {
    let bit = single(s, by);
    s.xor(v, bit)
}

fn set<S: Sem>(s: &mut S, v: V<S, I64>, by: V<S, I64>) -> V<S, I64> {
    let bit = single(s, by);
    s.or(v, bit)
}

/// Clear bit.
pub fn bclr<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, clear)
}

/// Clear bit of constant number.
pub fn bclri<S: Sem>(s: &mut S, _: &Cx, a: Shift) -> Flow<S> {
    shift(s, a, clear)
}

/// Extract bit.
pub fn bext<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, extract)
}

/// Extract bit of constant number.
pub fn bexti<S: Sem>(s: &mut S, _: &Cx, a: Shift) -> Flow<S> {
    shift(s, a, extract)
}

/// Invert bit.
pub fn binv<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, invert)
}

/// Invert bit of constant number.
pub fn binvi<S: Sem>(s: &mut S, _: &Cx, a: Shift) -> Flow<S> {
    shift(s, a, invert)
}

/// Set bit.
pub fn bset<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, set)
}

/// Set bit of constant number.
pub fn bseti<S: Sem>(s: &mut S, _: &Cx, a: Shift) -> Flow<S> {
    shift(s, a, set)
}

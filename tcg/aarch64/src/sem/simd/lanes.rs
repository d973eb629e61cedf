//! Lanes of integers: arithmetic, comparisons and bits: C4.1.96, three and two registers of the same lanes.

use super::{get, put};
use crate::isa::{V2, V3, VB2, VB3, VD2, VD3};
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Sem, splat_bits};
use tcg_core::ty::Ty;

/// The greater minus the less.
pub(super) fn difference<S: Sem>(s: &mut S, ty: Ty, (most, least): (Op, Op), n: S::W, m: S::W) -> S::W {
    let (most, least) = (s.v2(most, ty, n, m), s.v2(least, ty, n, m));
    s.v2(Op::Sub, ty, most, least)
}

/// Half of a sum or, with `op` the difference of what the halves share, of a difference: see the callers.
fn halved<S: Sem>(s: &mut S, ty: Ty, shift: Op, n: S::W, m: S::W) -> S::W {
    let differ = s.v2(Op::Xor, Ty::V128, n, m);
    s.shift_lanes(shift, ty, differ, 1)
}

/// Floor of half the sum: what both have, and half of what one has.
fn half_sum<S: Sem>(s: &mut S, ty: Ty, shift: Op, n: S::W, m: S::W) -> S::W {
    let (both, half) = (s.v2(Op::And, Ty::V128, n, m), halved(s, ty, shift, n, m));
    s.v2(Op::Add, ty, both, half)
}

/// Ceiling of half the sum.
fn half_sum_up<S: Sem>(s: &mut S, ty: Ty, shift: Op, n: S::W, m: S::W) -> S::W {
    let (any, half) = (s.v2(Op::Or, Ty::V128, n, m), halved(s, ty, shift, n, m));
    s.v2(Op::Sub, ty, any, half)
}

/// Floor of half the difference.
fn half_difference<S: Sem>(s: &mut S, ty: Ty, shift: Op, n: S::W, m: S::W) -> S::W {
    let (only_m, half) = (s.v2(Op::AndNot, Ty::V128, m, n), halved(s, ty, shift, n, m));
    s.v2(Op::Sub, ty, half, only_m)
}

/// The complement of a comparison.
fn not_less<S: Sem>(s: &mut S, op: Op, ty: Ty, n: S::W, m: S::W) -> S::W {
    let less = s.v2(op, ty, n, m);
    s.vnot(less)
}

fn test<S: Sem>(s: &mut S, ty: Ty, n: S::W, m: S::W) -> S::W {
    let (both, zero) = (s.v2(Op::And, Ty::V128, n, m), s.vector(0));
    let none = s.v2(Op::Eq, ty, both, zero);
    s.vnot(none)
}

macro_rules! three {
    ($($(#[$doc:meta])* $name:ident = |$s:ident, $ty:ident, $n:ident, $m:ident, $d:pat_param| $body:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>($s: &mut S, _: &Cx, a: V3) -> Flow<S> {
            let $ty = Ty::int_lanes(a.size);
            let ($n, $m, $d) = (get($s, a.rn), get($s, a.rm), get($s, a.rd));
            let v = $body;
            put($s, a.q, a.rd, v)
        }
    )* };
}

three! {
    /// Sum.
    add_v = |s, ty, n, m, _| s.v2(Op::Add, ty, n, m);
    /// Difference.
    sub_v = |s, ty, n, m, _| s.v2(Op::Sub, ty, n, m);
    /// Product.
    mul_v = |s, ty, n, m, _| s.v2(Op::Mul, ty, n, m);
    /// Product, added.
    mla_v = |s, ty, n, m, d| { let p = s.v2(Op::Mul, ty, n, m); s.v2(Op::Add, ty, d, p) };
    /// Product, subtracted.
    mls_v = |s, ty, n, m, d| { let p = s.v2(Op::Mul, ty, n, m); s.v2(Op::Sub, ty, d, p) };
    /// Signed greater.
    cmgt_v = |s, ty, n, m, _| s.v2(Op::LtS, ty, m, n);
    /// Unsigned greater.
    cmhi_v = |s, ty, n, m, _| s.v2(Op::LtU, ty, m, n);
    /// Signed greater or equal.
    cmge_v = |s, ty, n, m, _| not_less(s, Op::LtS, ty, n, m);
    /// Unsigned greater or equal.
    cmhs_v = |s, ty, n, m, _| not_less(s, Op::LtU, ty, n, m);
    /// Equal.
    cmeq_v = |s, ty, n, m, _| s.v2(Op::Eq, ty, n, m);
    /// Common bits.
    cmtst_v = |s, ty, n, m, _| test(s, ty, n, m);
    /// Signed maximum.
    smax_v = |s, ty, n, m, _| s.v2(Op::MaxS, ty, n, m);
    /// Unsigned maximum.
    umax_v = |s, ty, n, m, _| s.v2(Op::MaxU, ty, n, m);
    /// Signed minimum.
    smin_v = |s, ty, n, m, _| s.v2(Op::MinS, ty, n, m);
    /// Unsigned minimum.
    umin_v = |s, ty, n, m, _| s.v2(Op::MinU, ty, n, m);
    /// Signed absolute difference.
    sabd_v = |s, ty, n, m, _| difference(s, ty, (Op::MaxS, Op::MinS), n, m);
    /// Unsigned absolute difference.
    uabd_v = |s, ty, n, m, _| difference(s, ty, (Op::MaxU, Op::MinU), n, m);
    /// Signed absolute difference, added.
    saba_v = |s, ty, n, m, d| { let v = difference(s, ty, (Op::MaxS, Op::MinS), n, m); s.v2(Op::Add, ty, d, v) };
    /// Unsigned absolute difference, added.
    uaba_v = |s, ty, n, m, d| { let v = difference(s, ty, (Op::MaxU, Op::MinU), n, m); s.v2(Op::Add, ty, d, v) };
    /// Half of the signed sum.
    shadd_v = |s, ty, n, m, _| half_sum(s, ty, Op::ShrS, n, m);
    /// Half of the unsigned sum.
    uhadd_v = |s, ty, n, m, _| half_sum(s, ty, Op::ShrU, n, m);
    /// Half of the signed sum, rounded.
    srhadd_v = |s, ty, n, m, _| half_sum_up(s, ty, Op::ShrS, n, m);
    /// Half of the unsigned sum, rounded.
    urhadd_v = |s, ty, n, m, _| half_sum_up(s, ty, Op::ShrU, n, m);
    /// Half of the signed difference.
    shsub_v = |s, ty, n, m, _| half_difference(s, ty, Op::ShrS, n, m);
    /// Half of the unsigned difference.
    uhsub_v = |s, ty, n, m, _| half_difference(s, ty, Op::ShrU, n, m);
}

macro_rules! bitwise {
    ($($(#[$doc:meta])* $name:ident = |$s:ident, $n:ident, $m:ident, $d:pat_param| $body:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>($s: &mut S, _: &Cx, a: VB3) -> Flow<S> {
            let ($n, $m, $d) = (get($s, a.rn), get($s, a.rm), get($s, a.rd));
            let v = $body;
            put($s, a.q, a.rd, v)
        }
    )* };
}

bitwise! {
    /// Bitwise and.
    and_v = |s, n, m, _| s.v2(Op::And, Ty::V128, n, m);
    /// Bits cleared.
    bic_v = |s, n, m, _| s.v2(Op::AndNot, Ty::V128, n, m);
    /// Bitwise or.
    orr_v = |s, n, m, _| s.v2(Op::Or, Ty::V128, n, m);
    /// Bitwise or with the complement.
    orn_v = |s, n, m, _| { let m = s.vnot(m); s.v2(Op::Or, Ty::V128, n, m) };
    /// Bitwise exclusive or.
    eor_v = |s, n, m, _| s.v2(Op::Xor, Ty::V128, n, m);
    /// Bits of one or the other as the destination says.
    bsl_v = |s, n, m, d| s.bitselect(d, n, m);
    /// Bits inserted where the mask is set.
    bit_v = |s, n, m, d| s.bitselect(m, n, d);
    /// Bits inserted where the mask is clear.
    bif_v = |s, n, m, d| s.bitselect(m, d, n);
}

/// The scalar forms on doublewords are those on vectors, of which half is kept.
fn doublewords(a: VD3) -> V3 {
    V3 { q: 0, size: 3, rm: a.rm, rn: a.rn, rd: a.rd }
}

macro_rules! scalars {
    ($($(#[$doc:meta])* $name:ident = $vector:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: VD3) -> Flow<S> {
            $vector(s, cx, doublewords(a))
        }
    )* };
}

scalars! {
    /// Sum.
    add_d = add_v;
    /// Difference.
    sub_d = sub_v;
    /// Signed greater.
    cmgt_d = cmgt_v;
    /// Unsigned greater.
    cmhi_d = cmhi_v;
    /// Signed greater or equal.
    cmge_d = cmge_v;
    /// Unsigned greater or equal.
    cmhs_d = cmhs_v;
    /// Common bits.
    cmtst_d = cmtst_v;
    /// Equal.
    cmeq_d = cmeq_v;
}

/// Leading bits that are as the sign.
fn leading_signs<S: Sem>(s: &mut S, ty: Ty, n: S::W) -> S::W {
    let shifted = s.shift_lanes(Op::ShrS, ty, n, 1);
    let differ = s.v2(Op::Xor, Ty::V128, n, shifted);
    let count = s.v1(Op::Clz, ty, differ);
    let one = s.vector(splat_bits(ty, 1));
    s.v2(Op::Sub, ty, count, one)
}

fn negative<S: Sem>(s: &mut S, ty: Ty, n: S::W) -> S::W {
    let zero = s.vector(0);
    s.v2(Op::Sub, ty, zero, n)
}

fn zero_compared<S: Sem>(s: &mut S, ty: Ty, n: S::W, f: impl FnOnce(&mut S, Ty, S::W, S::W) -> S::W) -> S::W {
    let zero = s.vector(0);
    f(s, ty, n, zero)
}

macro_rules! two {
    ($($(#[$doc:meta])* $name:ident $(, $scalar:ident)? = |$s:ident, $ty:ident, $n:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>($s: &mut S, _: &Cx, a: V2) -> Flow<S> {
            let ($ty, $n) = (Ty::int_lanes(a.size), get($s, a.rn));
            let v = $body;
            put($s, a.q, a.rd, v)
        }
        $(
            /// The same of a doubleword.
            pub fn $scalar<S: Sem>(s: &mut S, cx: &Cx, a: VD2) -> Flow<S> {
                $name(s, cx, V2 { q: 0, size: 3, rn: a.rn, rd: a.rd })
            }
        )?
    )* };
}

two! {
    /// Leading bits that are as the sign.
    cls_v = |s, ty, n| leading_signs(s, ty, n);
    /// Leading zeros.
    clz_v = |s, ty, n| s.v1(Op::Clz, ty, n);
    /// Set bits.
    cnt_v = |s, ty, n| s.v1(Op::Popcnt, ty, n);
    /// Absolute value.
    abs_v, abs_d = |s, ty, n| s.v1(Op::Abs, ty, n);
    /// Negative.
    neg_v, neg_d = |s, ty, n| negative(s, ty, n);
    /// Greater than zero.
    cmgt_vz, cmgt_dz = |s, ty, n| zero_compared(s, ty, n, |s, ty, n, z| s.v2(Op::LtS, ty, z, n));
    /// Equal to zero.
    cmeq_vz, cmeq_dz = |s, ty, n| zero_compared(s, ty, n, |s, ty, n, z| s.v2(Op::Eq, ty, n, z));
    /// Less than zero.
    cmlt_vz, cmlt_dz = |s, ty, n| zero_compared(s, ty, n, |s, ty, n, z| s.v2(Op::LtS, ty, n, z));
    /// Not less than zero.
    cmge_vz, cmge_dz = |s, ty, n| zero_compared(s, ty, n, |s, ty, n, z| not_less(s, Op::LtS, ty, n, z));
    /// Not greater than zero.
    cmle_vz, cmle_dz = |s, ty, n| zero_compared(s, ty, n, |s, ty, n, z| not_less(s, Op::LtS, ty, z, n));
}

/// Bitwise complement.
pub fn not_v<S: Sem>(s: &mut S, _: &Cx, a: VB2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = s.vnot(n);
    put(s, a.q, a.rd, v)
}

/// Bits of bytes in reverse order.
pub fn rbit_v<S: Sem>(s: &mut S, _: &Cx, a: VB2) -> Flow<S> {
    let mut v = get(s, a.rn);
    for (by, mask) in [(4, 0x0f0f_0f0f_0f0f_0f0f), (2, 0x3333_3333_3333_3333), (1, 0x5555_5555_5555_5555)] {
        let mask = s.vector(splat_bits(Ty::I64x2, mask));
        let high = s.shift_lanes(Op::ShrU, Ty::I64x2, v, by);
        let (high, low) = (s.v2(Op::And, Ty::V128, high, mask), s.v2(Op::And, Ty::V128, v, mask));
        let low = s.shift_lanes(Op::Shl, Ty::I64x2, low, by);
        v = s.v2(Op::Or, Ty::V128, high, low);
    }
    put(s, a.q, a.rd, v)
}

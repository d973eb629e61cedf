//! Advanced SIMD on lanes of integers: C4.1.96, three registers, two registers, across lanes, shifts, by element.

use super::{Cx, fall};
use crate::cpu;
use crate::helpers;
use crate::isa::{V2, V3, VB2, VB3, VD2, VD3, VDShR, VE, VPmull, VShR};
use crate::simd::Soft;
use tcg_core::ir::Op;
use tcg_core::sem::{Aes, Flow, Lane, Narrow, Sem, splat_bits, widen};
use tcg_core::ty::{F64, I64, Ty};

/// The value of `v[n]`.
pub(super) fn get<S: Sem>(s: &mut S, n: u8) -> S::W {
    s.get_vector(cpu::v(n))
}

/// `v` with zeros above its low half.
pub(super) fn lower<S: Sem>(s: &mut S, v: S::W) -> S::W {
    let (low, zero) = (s.extract::<F64>(Lane::new(3, 0), v), s.vector(0));
    s.insert(Ty::F64x2, 0, zero, low)
}

/// `v[rd]` becomes `v`, of which without `q` only the low half counts.
pub(super) fn put<S: Sem>(s: &mut S, q: u8, rd: u8, v: S::W) -> Flow<S> {
    let v = if q == 0 { lower(s, v) } else { v };
    s.set_vector(cpu::v(rd), v);
    fall::<S>()
}

/// An operation in software.
fn soft<S: Sem>(s: &mut S, op: Soft, (size, q): (u8, u8), args: &[S::W]) -> S::W {
    s.call_vector(helpers::SIMD, op.pack(size, 8 << q), args)
}

/// The greater minus the less.
fn difference<S: Sem>(s: &mut S, ty: Ty, (most, least): (Op, Op), n: S::W, m: S::W) -> S::W {
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

/// Numbers of the bytes of even or odd lanes of two vectors one after the other.
pub(super) fn alternate(size: u8, q: u8, odd: usize) -> [u8; 16] {
    let (bytes, half) = (1usize << size, (8usize << q) / 2);
    std::array::from_fn(|n| {
        let (vector, at) = (n / half % 2, n % half);
        let lane = at / bytes * 2 + odd;
        (16 * vector + lane * bytes + at % bytes) as u8
    })
}

/// An operation on neighbouring lanes of both vectors, one after the other.
fn pairwise<S: Sem>(s: &mut S, a: V3, op: Op) -> Flow<S> {
    let (n, m) = (get(s, a.rn), get(s, a.rm));
    let even = s.shuffle(n, m, alternate(a.size, a.q, 0));
    let odd = s.shuffle(n, m, alternate(a.size, a.q, 1));
    let v = s.v2(op, Ty::int_lanes(a.size), even, odd);
    put(s, a.q, a.rd, v)
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

macro_rules! soft_three {
    ($($(#[$doc:meta])* $name:ident = $op:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
            let (n, m) = (get(s, a.rn), get(s, a.rm));
            let v = soft(s, Soft::$op, (a.size, a.q), &[n, m]);
            put(s, a.q, a.rd, v)
        }
    )* };
}

soft_three! {
    /// Signed sum, saturating.
    sqadd_v = Sqadd;
    /// Unsigned sum, saturating.
    uqadd_v = Uqadd;
    /// Signed difference, saturating.
    sqsub_v = Sqsub;
    /// Unsigned difference, saturating.
    uqsub_v = Uqsub;
    /// Signed shift.
    sshl_v = Sshl;
    /// Unsigned shift.
    ushl_v = Ushl;
    /// Signed shift, saturating.
    sqshl_v = Sqshl;
    /// Unsigned shift, saturating.
    uqshl_v = Uqshl;
    /// Signed shift, rounding.
    srshl_v = Srshl;
    /// Unsigned shift, rounding.
    urshl_v = Urshl;
    /// Signed shift, saturating and rounding.
    sqrshl_v = Sqrshl;
    /// Unsigned shift, saturating and rounding.
    uqrshl_v = Uqrshl;
    /// Polynomial product.
    pmul_v = Pmul;
    /// High half of the doubled product, saturating.
    sqdmulh_v = Sqdmulh;
    /// High half of the doubled product, saturating and rounding.
    sqrdmulh_v = Sqrdmulh;
}

/// Sum of neighbours.
pub fn addp_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    pairwise(s, a, Op::Add)
}

/// Signed maximum of neighbours.
pub fn smaxp_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    pairwise(s, a, Op::MaxS)
}

/// Unsigned maximum of neighbours.
pub fn umaxp_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    pairwise(s, a, Op::MaxU)
}

/// Signed minimum of neighbours.
pub fn sminp_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    pairwise(s, a, Op::MinS)
}

/// Unsigned minimum of neighbours.
pub fn uminp_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    pairwise(s, a, Op::MinU)
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
    /// Signed shift.
    sshl_d = sshl_v;
    /// Unsigned shift.
    ushl_d = ushl_v;
    /// Signed shift, rounding.
    srshl_d = srshl_v;
    /// Unsigned shift, rounding.
    urshl_d = urshl_v;
}

/// Bytes in reverse order within groups of `bytes`, whole lanes of `1 << size` bytes staying as they are.
fn reverse<S: Sem>(s: &mut S, a: V2, bytes: usize) -> Flow<S> {
    let (n, lane) = (get(s, a.rn), 1usize << a.size);
    let lanes = bytes / lane;
    let order = std::array::from_fn(|at| {
        let (group, within) = (at / bytes, at % bytes);
        (group * bytes + (lanes - 1 - within / lane) * lane + within % lane) as u8
    });
    let v = s.shuffle(n, n, order);
    put(s, a.q, a.rd, v)
}

/// Lanes in reverse order within doublewords.
pub fn rev64_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    reverse(s, a, 8)
}

/// Lanes in reverse order within words.
pub fn rev32_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    reverse(s, a, 4)
}

/// Lanes in reverse order within halfwords.
pub fn rev16_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    reverse(s, a, 2)
}

/// Sums of neighbours in lanes twice as wide.
fn long_pairs<S: Sem>(s: &mut S, a: V2, signed: bool) -> S::W {
    let (n, wide, bits) = (get(s, a.rn), Ty::int_lanes(a.size + 1), 8 << a.size);
    let shift = if signed { Op::ShrS } else { Op::ShrU };
    let high = s.shift_lanes(shift, wide, n, bits);
    let low = s.shift_lanes(Op::Shl, wide, n, bits);
    let low = s.shift_lanes(shift, wide, low, bits);
    s.v2(Op::Add, wide, low, high)
}

fn add_long_pairs<S: Sem>(s: &mut S, a: V2, signed: bool) -> Flow<S> {
    let (sum, d) = (long_pairs(s, a, signed), get(s, a.rd));
    let v = s.v2(Op::Add, Ty::int_lanes(a.size + 1), d, sum);
    put(s, a.q, a.rd, v)
}

/// Signed sums of neighbours.
pub fn saddlp_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    let v = long_pairs(s, a, true);
    put(s, a.q, a.rd, v)
}

/// Unsigned sums of neighbours.
pub fn uaddlp_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    let v = long_pairs(s, a, false);
    put(s, a.q, a.rd, v)
}

/// Signed sums of neighbours, added.
pub fn sadalp_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    add_long_pairs(s, a, true)
}

/// Unsigned sums of neighbours, added.
pub fn uadalp_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    add_long_pairs(s, a, false)
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

fn soft_two<S: Sem>(s: &mut S, a: V2, op: Soft) -> Flow<S> {
    let n = get(s, a.rn);
    let v = soft(s, op, (a.size, a.q), &[n]);
    put(s, a.q, a.rd, v)
}

/// Absolute value, saturating.
pub fn sqabs_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    soft_two(s, a, Soft::Sqabs)
}

/// Negative, saturating.
pub fn sqneg_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    soft_two(s, a, Soft::Sqneg)
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

/// `narrow`, whose low half counts, becomes the low half of `v[rd]` with zeros above, or with `q` the high half.
pub(super) fn put_half<S: Sem>(s: &mut S, q: u8, rd: u8, narrow: S::W) -> Flow<S> {
    if q == 0 {
        return put(s, 0, rd, narrow);
    }
    let (low, d) = (s.extract::<I64>(Lane::new(3, 0), narrow), get(s, rd));
    let v = s.insert(Ty::I64x2, 1, d, low);
    put(s, 1, rd, v)
}

/// Narrowed.
pub fn xtn_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = s.lanes(Op::Narrow, Ty::int_lanes(a.size), Narrow::Truncate as u64, &[n, n]);
    put_half(s, a.q, a.rd, v)
}

fn soft_narrow<S: Sem>(s: &mut S, a: V2, op: Soft) -> Flow<S> {
    let n = get(s, a.rn);
    let v = soft(s, op, (a.size, 1), &[n]);
    put_half(s, a.q, a.rd, v)
}

/// Narrowed, signed, saturating.
pub fn sqxtn_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    soft_narrow(s, a, Soft::Sqxtn)
}

/// Narrowed, signed to unsigned, saturating.
pub fn sqxtun_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    soft_narrow(s, a, Soft::Sqxtun)
}

/// Narrowed, unsigned, saturating.
pub fn uqxtn_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    soft_narrow(s, a, Soft::Uqxtn)
}

/// The low half of `v[n]`, or with `q` the high one, in lanes twice as wide as `1 << size` bytes.
fn widened<S: Sem>(s: &mut S, (size, q): (u8, u8), n: u8, signed: bool) -> S::W {
    let v = get(s, n);
    let imm = if signed { widen::SIGNED } else { 0 } | if q == 1 { widen::HIGH } else { 0 };
    s.lanes(Op::Widen, Ty::int_lanes(size + 1), imm, &[v])
}

/// Widened and shifted by the width.
pub fn shll_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    let v = widened(s, (a.size, a.q), a.rn, false);
    let v = s.shift_lanes(Op::Shl, Ty::int_lanes(a.size + 1), v, 8 << a.size);
    put(s, 1, a.rd, v)
}

/// All lanes combined by `op`, in the lowest.
fn across<S: Sem>(s: &mut S, a: V2, op: Op) -> Flow<S> {
    let mut v = get(s, a.rn);
    let mut distance = 4usize << a.q;
    while distance >= 1 << a.size {
        let turned = s.shuffle(v, v, std::array::from_fn(|n| ((n + distance) % 16) as u8));
        v = s.v2(op, Ty::int_lanes(a.size), v, turned);
        distance /= 2;
    }
    let lowest = s.vector(u128::MAX >> (128 - (8 << a.size)));
    let v = s.v2(Op::And, Ty::V128, v, lowest);
    put(s, 1, a.rd, v)
}

/// Sum of all lanes.
pub fn addv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    across(s, a, Op::Add)
}

/// Signed maximum of all lanes.
pub fn smaxv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    across(s, a, Op::MaxS)
}

/// Signed minimum of all lanes.
pub fn sminv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    across(s, a, Op::MinS)
}

/// Unsigned maximum of all lanes.
pub fn umaxv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    across(s, a, Op::MaxU)
}

/// Unsigned minimum of all lanes.
pub fn uminv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    across(s, a, Op::MinU)
}

/// Signed long sum of all lanes.
pub fn saddlv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = soft(s, Soft::Saddlv, (a.size, a.q), &[n]);
    put(s, 1, a.rd, v)
}

/// Unsigned long sum of all lanes.
pub fn uaddlv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = soft(s, Soft::Uaddlv, (a.size, a.q), &[n]);
    put(s, 1, a.rd, v)
}

/// Sum of both doublewords.
pub fn addp_d<S: Sem>(s: &mut S, _: &Cx, a: VD2) -> Flow<S> {
    let n = get(s, a.rn);
    let (low, high) = (s.extract::<I64>(Lane::new(3, 0), n), s.extract(Lane::new(3, 1), n));
    let sum = s.add(low, high);
    super::set_v_low(s, a.rd, sum);
    fall::<S>()
}

/// Lane size and shift of the instructions that shift right: immh:immb is twice the bits minus the shift.
fn right(imm: u8) -> (u8, u32) {
    let size = 7 - (imm >> 3).leading_zeros() as u8;
    (size, (16 << size) - u32::from(imm))
}

/// Lane size and shift of those that shift left: the bits plus the shift.
fn left(imm: u8) -> (u8, u32) {
    let size = 7 - (imm >> 3).leading_zeros() as u8;
    (size, u32::from(imm) - (8 << size))
}

/// Shifted right, halves rounded up: the last bit shifted out is added.
fn rounded<S: Sem>(s: &mut S, ty: Ty, op: Op, n: S::W, by: u32) -> S::W {
    let v = s.shift_lanes(op, ty, n, by);
    let last = s.shift_lanes(Op::ShrU, ty, n, by - 1);
    let one = s.vector(splat_bits(ty, 1));
    let last = s.v2(Op::And, Ty::V128, last, one);
    s.v2(Op::Add, ty, v, last)
}

macro_rules! right_shifts {
    ($($(#[$doc:meta])* $name:ident = |$s:ident, $ty:ident, $n:ident, $by:ident, $d:pat_param| $body:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>($s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
            let (size, $by) = right(a.imm);
            let ($ty, $n, $d) = (Ty::int_lanes(size), get($s, a.rn), get($s, a.rd));
            let v = $body;
            put($s, a.q, a.rd, v)
        }
    )* };
}

right_shifts! {
    /// Signed shift right.
    sshr_v = |s, ty, n, by, _| s.shift_lanes(Op::ShrS, ty, n, by);
    /// Unsigned shift right.
    ushr_v = |s, ty, n, by, _| s.shift_lanes(Op::ShrU, ty, n, by);
    /// Signed shift right, rounding.
    srshr_v = |s, ty, n, by, _| rounded(s, ty, Op::ShrS, n, by);
    /// Unsigned shift right, rounding.
    urshr_v = |s, ty, n, by, _| rounded(s, ty, Op::ShrU, n, by);
    /// Signed shift right, added.
    ssra_v = |s, ty, n, by, d| { let v = s.shift_lanes(Op::ShrS, ty, n, by); s.v2(Op::Add, ty, d, v) };
    /// Unsigned shift right, added.
    usra_v = |s, ty, n, by, d| { let v = s.shift_lanes(Op::ShrU, ty, n, by); s.v2(Op::Add, ty, d, v) };
    /// Signed shift right, rounding, added.
    srsra_v = |s, ty, n, by, d| { let v = rounded(s, ty, Op::ShrS, n, by); s.v2(Op::Add, ty, d, v) };
    /// Unsigned shift right, rounding, added.
    ursra_v = |s, ty, n, by, d| { let v = rounded(s, ty, Op::ShrU, n, by); s.v2(Op::Add, ty, d, v) };
    /// Shift right and insert.
    sri_v = |s, ty, n, by, d| {
        let v = s.shift_lanes(Op::ShrU, ty, n, by);
        let mask = s.vector(splat_bits(ty, ty.mask().checked_shr(by).unwrap_or(0)));
        s.bitselect(mask, v, d)
    };
}

/// Shift left.
pub fn shl_v<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
    let ((size, by), n) = (left(a.imm), get(s, a.rn));
    let v = s.shift_lanes(Op::Shl, Ty::int_lanes(size), n, by);
    put(s, a.q, a.rd, v)
}

/// Shift left and insert.
pub fn sli_v<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
    let ((size, by), n, d) = (left(a.imm), get(s, a.rn), get(s, a.rd));
    let ty = Ty::int_lanes(size);
    let v = s.shift_lanes(Op::Shl, ty, n, by);
    let mask = s.vector(splat_bits(ty, ty.mask() << by & ty.mask()));
    let v = s.bitselect(mask, v, d);
    put(s, a.q, a.rd, v)
}

fn doubleword_shift(a: VDShR) -> VShR {
    VShR { q: 0, imm: a.imm | 64, rn: a.rn, rd: a.rd }
}

/// Signed shift right.
pub fn sshr_d<S: Sem>(s: &mut S, cx: &Cx, a: VDShR) -> Flow<S> {
    sshr_v(s, cx, doubleword_shift(a))
}

/// Unsigned shift right.
pub fn ushr_d<S: Sem>(s: &mut S, cx: &Cx, a: VDShR) -> Flow<S> {
    ushr_v(s, cx, doubleword_shift(a))
}

/// Shift left.
pub fn shl_d<S: Sem>(s: &mut S, cx: &Cx, a: VDShR) -> Flow<S> {
    shl_v(s, cx, doubleword_shift(a))
}

/// Shifts lanes twice as wide as the result's right, and narrows.
fn shift_narrow<S: Sem>(s: &mut S, a: VShR, rounds: bool) -> Flow<S> {
    let ((size, by), n) = (right(a.imm), get(s, a.rn));
    let wide = Ty::int_lanes(size + 1);
    let n = if rounds {
        let half = s.vector(splat_bits(wide, 1 << (by - 1)));
        s.v2(Op::Add, wide, n, half)
    } else {
        n
    };
    let v = s.shift_lanes(Op::ShrU, wide, n, by);
    let v = s.lanes(Op::Narrow, Ty::int_lanes(size), Narrow::Truncate as u64, &[v, v]);
    put_half(s, a.q, a.rd, v)
}

/// Shift right and narrow.
pub fn shrn_v<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
    shift_narrow(s, a, false)
}

/// Shift right, round and narrow.
pub fn rshrn_v<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
    shift_narrow(s, a, true)
}

fn widen_shift<S: Sem>(s: &mut S, a: VShR, signed: bool) -> Flow<S> {
    let (size, by) = left(a.imm);
    let v = widened(s, (size, a.q), a.rn, signed);
    let v = s.shift_lanes(Op::Shl, Ty::int_lanes(size + 1), v, by);
    put(s, 1, a.rd, v)
}

/// Widen, signed, and shift left.
pub fn sshll_v<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
    widen_shift(s, a, true)
}

/// Widen, unsigned, and shift left.
pub fn ushll_v<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
    widen_shift(s, a, false)
}

macro_rules! long {
    ($($(#[$doc:meta])* $name:ident = $signed:literal, |$s:ident, $ty:ident, $n:ident, $m:ident, $d:pat_param| $body:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>($s: &mut S, _: &Cx, a: V3) -> Flow<S> {
            let ($n, $m) = (widened($s, (a.size, a.q), a.rn, $signed), widened($s, (a.size, a.q), a.rm, $signed));
            let ($ty, $d) = (Ty::int_lanes(a.size + 1), get($s, a.rd));
            let v = $body;
            put($s, 1, a.rd, v)
        }
    )* };
}

long! {
    /// Signed long sum.
    saddl_v = true, |s, ty, n, m, _| s.v2(Op::Add, ty, n, m);
    /// Unsigned long sum.
    uaddl_v = false, |s, ty, n, m, _| s.v2(Op::Add, ty, n, m);
    /// Signed long difference.
    ssubl_v = true, |s, ty, n, m, _| s.v2(Op::Sub, ty, n, m);
    /// Unsigned long difference.
    usubl_v = false, |s, ty, n, m, _| s.v2(Op::Sub, ty, n, m);
    /// Signed long absolute difference.
    sabdl_v = true, |s, ty, n, m, _| difference(s, ty, (Op::MaxS, Op::MinS), n, m);
    /// Unsigned long absolute difference.
    uabdl_v = false, |s, ty, n, m, _| difference(s, ty, (Op::MaxS, Op::MinS), n, m);
    /// Signed long absolute difference, added.
    sabal_v = true, |s, ty, n, m, d| { let v = difference(s, ty, (Op::MaxS, Op::MinS), n, m); s.v2(Op::Add, ty, d, v) };
    /// Unsigned long absolute difference, added.
    uabal_v = false, |s, ty, n, m, d| { let v = difference(s, ty, (Op::MaxS, Op::MinS), n, m); s.v2(Op::Add, ty, d, v) };
    /// Signed long product.
    smull_v = true, |s, ty, n, m, _| s.v2(Op::Mul, ty, n, m);
    /// Unsigned long product.
    umull_v = false, |s, ty, n, m, _| s.v2(Op::Mul, ty, n, m);
    /// Signed long product, added.
    smlal_v = true, |s, ty, n, m, d| { let p = s.v2(Op::Mul, ty, n, m); s.v2(Op::Add, ty, d, p) };
    /// Unsigned long product, added.
    umlal_v = false, |s, ty, n, m, d| { let p = s.v2(Op::Mul, ty, n, m); s.v2(Op::Add, ty, d, p) };
    /// Signed long product, subtracted.
    smlsl_v = true, |s, ty, n, m, d| { let p = s.v2(Op::Mul, ty, n, m); s.v2(Op::Sub, ty, d, p) };
    /// Unsigned long product, subtracted.
    umlsl_v = false, |s, ty, n, m, d| { let p = s.v2(Op::Mul, ty, n, m); s.v2(Op::Sub, ty, d, p) };
}

fn wide_sum<S: Sem>(s: &mut S, a: V3, op: Op, signed: bool) -> Flow<S> {
    let (n, m) = (get(s, a.rn), widened(s, (a.size, a.q), a.rm, signed));
    let v = s.v2(op, Ty::int_lanes(a.size + 1), n, m);
    put(s, 1, a.rd, v)
}

/// Signed wide sum.
pub fn saddw_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    wide_sum(s, a, Op::Add, true)
}

/// Unsigned wide sum.
pub fn uaddw_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    wide_sum(s, a, Op::Add, false)
}

/// Signed wide difference.
pub fn ssubw_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    wide_sum(s, a, Op::Sub, true)
}

/// Unsigned wide difference.
pub fn usubw_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    wide_sum(s, a, Op::Sub, false)
}

/// High halves of the lanes of a sum or difference.
fn high_halves<S: Sem>(s: &mut S, a: V3, op: Op, rounds: bool) -> Flow<S> {
    let (n, m, wide) = (get(s, a.rn), get(s, a.rm), Ty::int_lanes(a.size + 1));
    let bits = 8 << a.size;
    let mut v = s.v2(op, wide, n, m);
    if rounds {
        let half = s.vector(splat_bits(wide, 1 << (bits - 1)));
        v = s.v2(Op::Add, wide, v, half);
    }
    let v = s.shift_lanes(Op::ShrU, wide, v, bits);
    let v = s.lanes(Op::Narrow, Ty::int_lanes(a.size), Narrow::Truncate as u64, &[v, v]);
    put_half(s, a.q, a.rd, v)
}

/// High halves of the sum.
pub fn addhn_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    high_halves(s, a, Op::Add, false)
}

/// High halves of the difference.
pub fn subhn_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    high_halves(s, a, Op::Sub, false)
}

/// High halves of the sum, rounding.
pub fn raddhn_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    high_halves(s, a, Op::Add, true)
}

/// High halves of the difference, rounding.
pub fn rsubhn_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    high_halves(s, a, Op::Sub, true)
}

/// The element of the last operand, in every lane.
fn element<S: Sem>(s: &mut S, a: VE) -> S::W {
    let (rm, index) =
        if a.size == 1 { (a.rm, a.h << 2 | a.l << 1 | a.m) } else { (a.m << 4 | a.rm, a.h << 1 | a.l) };
    let v = get(s, rm);
    let v = s.extract::<I64>(Lane::new(a.size, index), v);
    s.splat(Ty::int_lanes(a.size), v)
}

/// Product with an element.
pub fn mul_e<S: Sem>(s: &mut S, _: &Cx, a: VE) -> Flow<S> {
    let (n, m) = (get(s, a.rn), element(s, a));
    let v = s.v2(Op::Mul, Ty::int_lanes(a.size), n, m);
    put(s, a.q, a.rd, v)
}

fn accumulate<S: Sem>(s: &mut S, a: VE, op: Op) -> Flow<S> {
    let (n, m, d, ty) = (get(s, a.rn), element(s, a), get(s, a.rd), Ty::int_lanes(a.size));
    let product = s.v2(Op::Mul, ty, n, m);
    let v = s.v2(op, ty, d, product);
    put(s, a.q, a.rd, v)
}

/// Product with an element, added.
pub fn mla_e<S: Sem>(s: &mut S, _: &Cx, a: VE) -> Flow<S> {
    accumulate(s, a, Op::Add)
}

/// Product with an element, subtracted.
pub fn mls_e<S: Sem>(s: &mut S, _: &Cx, a: VE) -> Flow<S> {
    accumulate(s, a, Op::Sub)
}

fn aes<S: Sem>(s: &mut S, a: VD2, step: Aes) -> Flow<S> {
    let n = get(s, a.rn);
    let n = match step {
        Aes::Sub | Aes::InvSub => {
            let d = get(s, a.rd);
            s.v2(Op::Xor, Ty::V128, d, n)
        }
        Aes::Mix | Aes::InvMix => n,
    };
    let v = s.lanes(Op::Aes, Ty::V128, step as u64, &[n]);
    put(s, 1, a.rd, v)
}

/// AES round: key, bytes and rows.
pub fn aese<S: Sem>(s: &mut S, _: &Cx, a: VD2) -> Flow<S> {
    aes(s, a, Aes::Sub)
}

/// AES inverse round: key, bytes and rows.
pub fn aesd<S: Sem>(s: &mut S, _: &Cx, a: VD2) -> Flow<S> {
    aes(s, a, Aes::InvSub)
}

/// AES round: columns.
pub fn aesmc<S: Sem>(s: &mut S, _: &Cx, a: VD2) -> Flow<S> {
    aes(s, a, Aes::Mix)
}

/// AES inverse round: columns.
pub fn aesimc<S: Sem>(s: &mut S, _: &Cx, a: VD2) -> Flow<S> {
    aes(s, a, Aes::InvMix)
}

/// Polynomial product of doublewords.
pub fn pmull_d<S: Sem>(s: &mut S, _: &Cx, a: VPmull) -> Flow<S> {
    let (n, m) = (get(s, a.rn), get(s, a.rm));
    let v = s.lanes(Op::ClmulWide, Ty::V128, if a.q == 1 { 3 } else { 0 }, &[n, m]);
    put(s, 1, a.rd, v)
}

//! What saturates and raises FPSR.QC: C4.1.96. QC is a vector that collects bits in which results differ from what there was
//! no room for.

use super::shift::{left, right, rounded};
use super::{Part, get, put_half, soft, widened};
use crate::isa::{V2, V3, VE, VES, VS2, VS3, VSShL, VShR};
use crate::sem::Cx;
use crate::simd::Soft;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Narrow, Sem, splat_bits};
use tcg_core::ty::Ty;

/// What an operation gives, and bits that are set where it saturated.
type Saturated<S> = (<S as Sem>::W, <S as Sem>::W);

/// `v[rd]` becomes the result.
fn finish<S: Sem>(s: &mut S, part: Part, rd: u8, (v, differs): Saturated<S>) -> Flow<S> {
    part.note_saturation(s, differs);
    part.put(s, rd, v)
}

/// An operation that saturates, and the one that wraps.
fn both<S: Sem>(s: &mut S, ty: Ty, (saturating, wrapping): (Op, Op), n: S::W, m: S::W) -> Saturated<S> {
    let (v, w) = (s.v2(saturating, ty, n, m), s.v2(wrapping, ty, n, m));
    (v, s.v2(Op::Xor, Ty::V128, v, w))
}

/// The highest bit of every lane.
fn least<S: Sem>(s: &mut S, ty: Ty) -> S::W {
    s.vector(splat_bits(ty, 1 << (ty.lane_bits() - 1)))
}

/// High half of the doubled product. Only the least number squared has no room.
fn doubled_high<S: Sem>(s: &mut S, ty: Ty, rounds: bool, n: S::W, m: S::W) -> Saturated<S> {
    let bits = ty.lane_bits();
    let (high, low) = (s.v2(Op::MulHS, ty, n, m), s.v2(Op::Mul, ty, n, m));
    let (high, top) = (s.shift_lanes(Op::Shl, ty, high, 1), s.shift_lanes(Op::ShrU, ty, low, bits - 1));
    let mut v = s.v2(Op::Or, Ty::V128, high, top);
    if rounds {
        let (last, one) = (s.shift_lanes(Op::ShrU, ty, low, bits - 2), s.vector(splat_bits(ty, 1)));
        let last = s.v2(Op::And, Ty::V128, last, one);
        v = s.v2(Op::Add, ty, v, last);
    }
    let least = least(s, ty);
    let differs = s.v2(Op::Eq, ty, v, least);
    (s.v2(Op::Xor, Ty::V128, v, differs), differs)
}

macro_rules! three {
    ($($(#[$doc:meta])* $name:ident, $scalar:ident = |$s:ident, $ty:ident, $n:ident, $m:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>($s: &mut S, _: &Cx, a: V3) -> Flow<S> {
            let ($ty, $n, $m) = (Ty::int_lanes(a.size), get($s, a.rn), get($s, a.rm));
            let result = $body;
            finish($s, Part::of(a.q), a.rd, result)
        }
        /// The same of a scalar.
        pub fn $scalar<S: Sem>($s: &mut S, _: &Cx, a: VS3) -> Flow<S> {
            let ($ty, $n, $m) = (Ty::int_lanes(a.size), get($s, a.rn), get($s, a.rm));
            let result = $body;
            finish($s, Part::Scalar(a.size), a.rd, result)
        }
    )* };
}

three! {
    /// Signed sum.
    sqadd_v, sqadd_s = |s, ty, n, m| both(s, ty, (Op::AddSatS, Op::Add), n, m);
    /// Unsigned sum.
    uqadd_v, uqadd_s = |s, ty, n, m| both(s, ty, (Op::AddSatU, Op::Add), n, m);
    /// Signed difference.
    sqsub_v, sqsub_s = |s, ty, n, m| both(s, ty, (Op::SubSatS, Op::Sub), n, m);
    /// Unsigned difference.
    uqsub_v, uqsub_s = |s, ty, n, m| both(s, ty, (Op::SubSatU, Op::Sub), n, m);
    /// High half of the doubled product.
    sqdmulh_v, sqdmulh_s = |s, ty, n, m| doubled_high(s, ty, false, n, m);
    /// High half of the doubled product, rounding.
    sqrdmulh_v, sqrdmulh_s = |s, ty, n, m| doubled_high(s, ty, true, n, m);
}

macro_rules! by_element {
    ($($(#[$doc:meta])* $name:ident, $scalar:ident = |$s:ident, $ty:ident, $n:ident, $m:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>($s: &mut S, _: &Cx, a: VE) -> Flow<S> {
            let ($ty, $n, $m) = (Ty::int_lanes(a.size), get($s, a.rn), super::element::of($s, a));
            let result = $body;
            finish($s, Part::of(a.q), a.rd, result)
        }
        /// The same of a scalar.
        pub fn $scalar<S: Sem>($s: &mut S, _: &Cx, a: VES) -> Flow<S> {
            let ($ty, $n) = (Ty::int_lanes(a.size), get($s, a.rn));
            let $m = super::element::of($s, vector(a));
            let result = $body;
            finish($s, Part::Scalar(a.size), a.rd, result)
        }
    )* };
}

/// The scalar form as that on a vector.
fn vector(a: VES) -> VE {
    VE { q: 0, size: a.size, l: a.l, m: a.m, rm: a.rm, h: a.h, rn: a.rn, rd: a.rd }
}

by_element! {
    /// High half of the doubled product with an element.
    sqdmulh_e, sqdmulh_es = |s, ty, n, m| doubled_high(s, ty, false, n, m);
    /// High half of the doubled product with an element, rounding.
    sqrdmulh_e, sqrdmulh_es = |s, ty, n, m| doubled_high(s, ty, true, n, m);
}

/// Operations in software, which raise FPSR.QC themselves.
macro_rules! soft_three {
    ($($(#[$doc:meta])* $name:ident, $scalar:ident = $op:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
            let (n, m, d, part) = (get(s, a.rn), get(s, a.rm), get(s, a.rd), Part::of(a.q));
            let v = soft(s, Soft::$op, (a.size, part), &[n, m, d]);
            part.put(s, a.rd, v)
        }
        /// The same of a scalar.
        pub fn $scalar<S: Sem>(s: &mut S, _: &Cx, a: VS3) -> Flow<S> {
            let (n, m, d, part) = (get(s, a.rn), get(s, a.rm), get(s, a.rd), Part::Scalar(a.size));
            let v = soft(s, Soft::$op, (a.size, part), &[n, m, d]);
            part.put(s, a.rd, v)
        }
    )* };
}

soft_three! {
    /// Signed shift.
    sqshl_v, sqshl_s = Sqshl;
    /// Unsigned shift.
    uqshl_v, uqshl_s = Uqshl;
    /// Signed shift, rounding.
    sqrshl_v, sqrshl_s = Sqrshl;
    /// Unsigned shift, rounding.
    uqrshl_v, uqrshl_s = Uqrshl;
    /// High half of the doubled product, rounding, added.
    sqrdmlah_v, sqrdmlah_s = Sqrdmlah;
    /// High half of the doubled product, rounding, subtracted.
    sqrdmlsh_v, sqrdmlsh_s = Sqrdmlsh;
}

fn soft_element<S: Sem>(s: &mut S, a: VE, part: Part, op: Soft) -> Flow<S> {
    let (n, m, d) = (get(s, a.rn), super::element::of(s, a), get(s, a.rd));
    let v = soft(s, op, (a.size, part), &[n, m, d]);
    part.put(s, a.rd, v)
}

/// High half of the doubled product with an element, rounding, added.
pub fn sqrdmlah_e<S: Sem>(s: &mut S, _: &Cx, a: VE) -> Flow<S> {
    soft_element(s, a, Part::of(a.q), Soft::Sqrdmlah)
}

/// High half of the doubled product with an element, rounding, subtracted.
pub fn sqrdmlsh_e<S: Sem>(s: &mut S, _: &Cx, a: VE) -> Flow<S> {
    soft_element(s, a, Part::of(a.q), Soft::Sqrdmlsh)
}

/// The same of a scalar, added.
pub fn sqrdmlah_es<S: Sem>(s: &mut S, _: &Cx, a: VES) -> Flow<S> {
    soft_element(s, vector(a), Part::Scalar(a.size), Soft::Sqrdmlah)
}

/// The same of a scalar, subtracted.
pub fn sqrdmlsh_es<S: Sem>(s: &mut S, _: &Cx, a: VES) -> Flow<S> {
    soft_element(s, vector(a), Part::Scalar(a.size), Soft::Sqrdmlsh)
}

/// Signed `d` plus unsigned `n`: unsigned addition of numbers counted from the least.
fn signed_plus_unsigned<S: Sem>(s: &mut S, ty: Ty, n: S::W, d: S::W) -> Saturated<S> {
    let least = least(s, ty);
    let d = s.v2(Op::Xor, Ty::V128, d, least);
    let (v, differs) = both(s, ty, (Op::AddSatU, Op::Add), d, n);
    (s.v2(Op::Xor, Ty::V128, v, least), differs)
}

/// Unsigned `d` plus signed `n`.
fn unsigned_plus_signed<S: Sem>(s: &mut S, ty: Ty, n: S::W, d: S::W) -> Saturated<S> {
    let least = least(s, ty);
    let d = s.v2(Op::Xor, Ty::V128, d, least);
    let (v, differs) = both(s, ty, (Op::AddSatS, Op::Add), d, n);
    (s.v2(Op::Xor, Ty::V128, v, least), differs)
}

/// Absolute value: that of the least number, as an unsigned one, is one too large.
fn absolute<S: Sem>(s: &mut S, ty: Ty, n: S::W) -> Saturated<S> {
    let (v, least) = (s.v1(Op::Abs, ty, n), least(s, ty));
    let differs = s.v2(Op::Eq, ty, v, least);
    (s.v2(Op::Add, ty, v, differs), differs)
}

fn negative<S: Sem>(s: &mut S, ty: Ty, n: S::W) -> Saturated<S> {
    let zero = s.vector(0);
    both(s, ty, (Op::SubSatS, Op::Sub), zero, n)
}

macro_rules! two {
    ($($(#[$doc:meta])* $name:ident, $scalar:ident = |$s:ident, $ty:ident, $n:ident, $d:pat_param| $body:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>($s: &mut S, _: &Cx, a: V2) -> Flow<S> {
            let ($ty, $n, $d) = (Ty::int_lanes(a.size), get($s, a.rn), get($s, a.rd));
            let result = $body;
            finish($s, Part::of(a.q), a.rd, result)
        }
        /// The same of a scalar.
        pub fn $scalar<S: Sem>($s: &mut S, _: &Cx, a: VS2) -> Flow<S> {
            let ($ty, $n, $d) = (Ty::int_lanes(a.size), get($s, a.rn), get($s, a.rd));
            let result = $body;
            finish($s, Part::Scalar(a.size), a.rd, result)
        }
    )* };
}

two! {
    /// Signed sum with unsigned numbers.
    suqadd_v, suqadd_s = |s, ty, n, d| signed_plus_unsigned(s, ty, n, d);
    /// Unsigned sum with signed numbers.
    usqadd_v, usqadd_s = |s, ty, n, d| unsigned_plus_signed(s, ty, n, d);
    /// Absolute value.
    sqabs_v, sqabs_s = |s, ty, n, _| absolute(s, ty, n);
    /// Negative.
    sqneg_v, sqneg_s = |s, ty, n, _| negative(s, ty, n);
}

/// Doublewords made to fit words: hosts narrow these without looking.
fn fitting_words<S: Sem>(s: &mut S, kind: Narrow, n: S::W) -> S::W {
    let (ty, words) = (Ty::I64x2, u64::from(u32::MAX));
    let both = |s: &mut S, v: u64| s.vector(splat_bits(ty, v));
    match kind {
        Narrow::UnsignedToUnsigned => {
            let most = both(s, words);
            s.v2(Op::MinU, ty, n, most)
        }
        _ => {
            let is_signed = kind == Narrow::SignedToSigned;
            let (least, most) = if is_signed { (!(words >> 1), words >> 1) } else { (0, words) };
            let (least, most) = (both(s, least), both(s, most));
            let v = s.v2(Op::MaxS, ty, n, least);
            s.v2(Op::MinS, ty, v, most)
        }
    }
}

/// `n`, of lanes twice as wide as `1 << size` bytes, made to fit these, in the lower half.
fn narrowed<S: Sem>(s: &mut S, size: u8, kind: Narrow, n: S::W) -> Saturated<S> {
    let (v, how) = if size == 2 { (fitting_words(s, kind, n), Narrow::Truncate) } else { (n, kind) };
    let v = s.lanes(Op::Narrow, Ty::int_lanes(size), how as u64, &[v, v]);
    let back = widened(s, (size, 0), v, kind == Narrow::SignedToSigned);
    (v, s.v2(Op::Xor, Ty::V128, back, n))
}

/// `v[rd]` becomes the narrow result, one half of it.
fn finish_half<S: Sem>(s: &mut S, q: u8, rd: u8, (v, differs): Saturated<S>) -> Flow<S> {
    Part::All.note_saturation(s, differs);
    put_half(s, q, rd, v)
}

/// `v[rd]` becomes the narrow result, a scalar.
fn finish_narrow<S: Sem>(s: &mut S, size: u8, rd: u8, (v, differs): Saturated<S>) -> Flow<S> {
    Part::Scalar(size + 1).note_saturation(s, differs);
    Part::Scalar(size).put(s, rd, v)
}

macro_rules! narrows {
    ($($(#[$doc:meta])* $name:ident, $scalar:ident = $kind:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
            let n = get(s, a.rn);
            let result = narrowed(s, a.size, Narrow::$kind, n);
            finish_half(s, a.q, a.rd, result)
        }
        /// The same of a scalar.
        pub fn $scalar<S: Sem>(s: &mut S, _: &Cx, a: VS2) -> Flow<S> {
            let n = get(s, a.rn);
            let result = narrowed(s, a.size, Narrow::$kind, n);
            finish_narrow(s, a.size, a.rd, result)
        }
    )* };
}

narrows! {
    /// Narrowed, signed.
    sqxtn_v, sqxtn_s = SignedToSigned;
    /// Narrowed, signed to unsigned.
    sqxtun_v, sqxtun_s = SignedToUnsigned;
    /// Narrowed, unsigned.
    uqxtn_v, uqxtn_s = UnsignedToUnsigned;
}

/// Shifted right, rounding or not, and narrowed.
fn shift_narrow<S: Sem>(s: &mut S, imm: u8, rn: u8, rounds: bool, kind: Narrow) -> Saturated<S> {
    let ((size, by), n) = (right(imm), get(s, rn));
    let wide = Ty::int_lanes(size + 1);
    let op = if kind == Narrow::UnsignedToUnsigned { Op::ShrU } else { Op::ShrS };
    let v = if rounds { rounded(s, wide, op, n, by) } else { s.shift_lanes(op, wide, n, by) };
    narrowed(s, size, kind, v)
}

macro_rules! shift_narrows {
    ($($(#[$doc:meta])* $name:ident, $scalar:ident = $rounds:literal $kind:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
            let result = shift_narrow(s, a.imm, a.rn, $rounds, Narrow::$kind);
            finish_half(s, a.q, a.rd, result)
        }
        /// The same of a scalar.
        pub fn $scalar<S: Sem>(s: &mut S, _: &Cx, a: VSShL) -> Flow<S> {
            let result = shift_narrow(s, a.imm, a.rn, $rounds, Narrow::$kind);
            finish_narrow(s, right(a.imm).0, a.rd, result)
        }
    )* };
}

shift_narrows! {
    /// Shift right and narrow, signed.
    sqshrn_v, sqshrn_s = false SignedToSigned;
    /// Shift right, round and narrow, signed.
    sqrshrn_v, sqrshrn_s = true SignedToSigned;
    /// Shift right and narrow, signed to unsigned.
    sqshrun_v, sqshrun_s = false SignedToUnsigned;
    /// Shift right, round and narrow, signed to unsigned.
    sqrshrun_v, sqrshrun_s = true SignedToUnsigned;
    /// Shift right and narrow, unsigned.
    uqshrn_v, uqshrn_s = false UnsignedToUnsigned;
    /// Shift right, round and narrow, unsigned.
    uqrshrn_v, uqrshrn_s = true UnsignedToUnsigned;
}

/// Shifted left by a constant. What comes back shifted right again had room.
fn shift_left<S: Sem>(s: &mut S, (ty, by): (Ty, u32), n: S::W, kind: Narrow) -> Saturated<S> {
    let (zero, ones) = (s.vector(0), s.vector(u128::MAX));
    let from = if kind == Narrow::SignedToUnsigned { s.v2(Op::MaxS, ty, n, zero) } else { n };
    let v = s.shift_lanes(Op::Shl, ty, from, by);
    let back_op = if kind == Narrow::SignedToSigned { Op::ShrS } else { Op::ShrU };
    let back = s.shift_lanes(back_op, ty, v, by);
    let fits = s.v2(Op::Eq, ty, back, n);
    let limit = match kind {
        Narrow::UnsignedToUnsigned => ones,
        _ => {
            let signs = s.shift_lanes(Op::ShrS, ty, n, ty.lane_bits() - 1);
            let positive = if kind == Narrow::SignedToSigned { ty.mask() >> 1 } else { ty.mask() };
            let most = s.vector(splat_bits(ty, positive));
            s.v2(Op::Xor, Ty::V128, signs, most)
        }
    };
    let differs = s.vnot(fits);
    (s.bitselect(fits, v, limit), differs)
}

macro_rules! left_shifts {
    ($($(#[$doc:meta])* $name:ident, $scalar:ident = $kind:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
            let ((size, by), n) = (left(a.imm), get(s, a.rn));
            let result = shift_left(s, (Ty::int_lanes(size), by), n, Narrow::$kind);
            finish(s, Part::of(a.q), a.rd, result)
        }
        /// The same of a scalar.
        pub fn $scalar<S: Sem>(s: &mut S, _: &Cx, a: VSShL) -> Flow<S> {
            let ((size, by), n) = (left(a.imm), get(s, a.rn));
            let result = shift_left(s, (Ty::int_lanes(size), by), n, Narrow::$kind);
            finish(s, Part::Scalar(size), a.rd, result)
        }
    )* };
}

left_shifts! {
    /// Shift left by a constant, signed.
    sqshl_vi, sqshl_si = SignedToSigned;
    /// Shift left by a constant, unsigned.
    uqshl_vi, uqshl_si = UnsignedToUnsigned;
    /// Shift left by a constant, signed to unsigned.
    sqshlu_v, sqshlu_s = SignedToUnsigned;
}

/// Doubled long product of lanes that have been widened, and with `sum` its sum with or difference from the last operand.
fn doubled_long<S: Sem>(s: &mut S, wide: Ty, sum: Option<Op>, [n, m, d]: [S::W; 3]) -> Saturated<S> {
    let product = s.v2(Op::Mul, wide, n, m);
    let (v, differs) = both(s, wide, (Op::AddSatS, Op::Add), product, product);
    let Some(op) = sum else { return (v, differs) };
    let wrapping = if op == Op::AddSatS { Op::Add } else { Op::Sub };
    let (v, more) = both(s, wide, (op, wrapping), d, v);
    (v, s.v2(Op::Or, Ty::V128, differs, more))
}

macro_rules! doubled_longs {
    ($($(#[$doc:meta])* $name:ident $scalar:ident $element:ident $scalar_element:ident = $sum:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
            let (n, m, d) = (get(s, a.rn), get(s, a.rm), get(s, a.rd));
            let (n, m) = (widened(s, (a.size, a.q), n, true), widened(s, (a.size, a.q), m, true));
            let result = doubled_long(s, Ty::int_lanes(a.size + 1), $sum, [n, m, d]);
            finish(s, Part::All, a.rd, result)
        }
        /// The same of a scalar.
        pub fn $scalar<S: Sem>(s: &mut S, _: &Cx, a: VS3) -> Flow<S> {
            let (n, m, d) = (get(s, a.rn), get(s, a.rm), get(s, a.rd));
            let (n, m) = (widened(s, (a.size, 0), n, true), widened(s, (a.size, 0), m, true));
            let result = doubled_long(s, Ty::int_lanes(a.size + 1), $sum, [n, m, d]);
            finish(s, Part::Scalar(a.size + 1), a.rd, result)
        }
        /// The same with an element.
        pub fn $element<S: Sem>(s: &mut S, _: &Cx, a: VE) -> Flow<S> {
            let (n, m, d) = (get(s, a.rn), super::element::of(s, a), get(s, a.rd));
            let (n, m) = (widened(s, (a.size, a.q), n, true), widened(s, (a.size, 0), m, true));
            let result = doubled_long(s, Ty::int_lanes(a.size + 1), $sum, [n, m, d]);
            finish(s, Part::All, a.rd, result)
        }
        /// The same of a scalar with an element.
        pub fn $scalar_element<S: Sem>(s: &mut S, _: &Cx, a: VES) -> Flow<S> {
            let (n, m, d) = (get(s, a.rn), super::element::of(s, vector(a)), get(s, a.rd));
            let (n, m) = (widened(s, (a.size, 0), n, true), widened(s, (a.size, 0), m, true));
            let result = doubled_long(s, Ty::int_lanes(a.size + 1), $sum, [n, m, d]);
            finish(s, Part::Scalar(a.size + 1), a.rd, result)
        }
    )* };
}

doubled_longs! {
    /// Doubled long product.
    sqdmull_v sqdmull_s sqdmull_e sqdmull_es = None;
    /// Doubled long product, added.
    sqdmlal_v sqdmlal_s sqdmlal_e sqdmlal_es = Some(Op::AddSatS);
    /// Doubled long product, subtracted.
    sqdmlsl_v sqdmlsl_s sqdmlsl_e sqdmlsl_es = Some(Op::SubSatS);
}

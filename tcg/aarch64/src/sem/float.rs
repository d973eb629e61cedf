//! Scalar floating point: C4.1.96. What FPCR says of NaNs and subnormal numbers is known when an instruction is translated.

use super::{Cx, choose, condition, fall, set_flags, set_v_low};
use crate::cpu;
use crate::helpers;
use crate::isa::{F2, F3, F4, FCCmp, FCSel, FCmp, FCmpZ, FImm};
use crate::mode;
use crate::sysreg::packed_flags;
use tcg_core::fp::min_max;
use tcg_core::ir::Op;
use tcg_core::sem::{FloatMode, Flow, Lane, Rm, Sem, V};
use tcg_core::ty::{F16, F32, F64, Float, I32, I64, Scalar, Ty};

/// A float format as SIMD registers hold it, zeros above. Constants are bit patterns.
pub trait Kind: Float {
    /// The sign.
    const SIGN: u64;
    /// Bits of the fraction, and what is added to the exponent.
    const LAYOUT: (u32, i64);

    /// Two to the power of `exponent`, a normal number.
    fn power_of_two(exponent: i64) -> u64 {
        let (fraction_bits, bias) = Self::LAYOUT;
        ((bias + exponent) as u64) << fraction_bits
    }

    /// The bits of `v[n]`.
    fn bits<S: Sem>(s: &mut S, n: u8) -> V<S, Self::Bits>;
    /// An integer that holds the format's bits as one of 64 bits.
    fn widen<S: Sem>(s: &mut S, bits: V<S, Self::Bits>) -> V<S, I64>;
    /// `v[n]` becomes the float of these bits.
    fn set_bits<S: Sem>(s: &mut S, n: u8, bits: V<S, Self::Bits>);
    /// The float in `v[n]`.
    fn get<S: Sem>(s: &mut S, n: u8) -> V<S, Self>;
    /// `v[n]` becomes `value`.
    fn set<S: Sem>(s: &mut S, n: u8, value: V<S, Self>);
}

/// `v[n]` becomes a scalar in its lowest lane of `lanes`, zeros above.
fn set_lowest<T: Scalar, S: Sem>(s: &mut S, n: u8, lanes: Ty, value: V<S, T>) {
    let zero = s.vector(0);
    let v = s.insert(lanes, 0, zero, value);
    s.set_vector(cpu::v(n), v);
}

/// The lowest `1 << size` bytes of `v[n]`.
fn lowest<T: Scalar, S: Sem>(s: &mut S, n: u8, size: u8) -> V<S, T> {
    let v = s.get_vector(cpu::v(n));
    s.extract(Lane::new(size, 0), v)
}

impl Kind for F16 {
    const SIGN: u64 = 1 << 15;
    const LAYOUT: (u32, i64) = (10, 15);

    fn bits<S: Sem>(s: &mut S, n: u8) -> V<S, I32> {
        lowest(s, n, 1)
    }

    fn widen<S: Sem>(s: &mut S, bits: V<S, I32>) -> V<S, I64> {
        s.zextw(bits)
    }

    fn set_bits<S: Sem>(s: &mut S, n: u8, bits: V<S, I32>) {
        set_lowest(s, n, Ty::I16x8, bits);
    }

    fn get<S: Sem>(s: &mut S, n: u8) -> V<S, F16> {
        let bits = Self::bits(s, n);
        s.bits_to_float(bits)
    }

    fn set<S: Sem>(s: &mut S, n: u8, value: V<S, F16>) {
        let bits = s.float_to_bits(value);
        Self::set_bits(s, n, bits);
    }
}

impl Kind for F32 {
    const SIGN: u64 = 1 << 31;
    const LAYOUT: (u32, i64) = (23, 127);

    fn bits<S: Sem>(s: &mut S, n: u8) -> V<S, I32> {
        lowest(s, n, 2)
    }

    fn widen<S: Sem>(s: &mut S, bits: V<S, I32>) -> V<S, I64> {
        s.zextw(bits)
    }

    fn set_bits<S: Sem>(s: &mut S, n: u8, bits: V<S, I32>) {
        set_lowest(s, n, Ty::I32x4, bits);
    }

    fn get<S: Sem>(s: &mut S, n: u8) -> V<S, F32> {
        lowest(s, n, 2)
    }

    fn set<S: Sem>(s: &mut S, n: u8, value: V<S, F32>) {
        set_lowest(s, n, Ty::F32x4, value);
    }
}

impl Kind for F64 {
    const SIGN: u64 = 1 << 63;
    const LAYOUT: (u32, i64) = (52, 1023);

    fn bits<S: Sem>(s: &mut S, n: u8) -> V<S, I64> {
        lowest(s, n, 3)
    }

    fn widen<S: Sem>(_: &mut S, bits: V<S, I64>) -> V<S, I64> {
        bits
    }

    fn set_bits<S: Sem>(s: &mut S, n: u8, bits: V<S, I64>) {
        set_lowest(s, n, Ty::I64x2, bits);
    }

    fn get<S: Sem>(s: &mut S, n: u8) -> V<S, F64> {
        lowest(s, n, 3)
    }

    fn set<S: Sem>(s: &mut S, n: u8, value: V<S, F64>) {
        set_lowest(s, n, Ty::F64x2, value);
    }
}

/// Calls the generic function with the type that field `ftype` says.
macro_rules! by_type {
    ($ftype:expr, $f:ident($($arg:expr),* $(,)?)) => {
        match $ftype {
            0 => $f::<F32, S>($($arg),*),
            1 => $f::<F64, S>($($arg),*),
            _ => $f::<F16, S>($($arg),*),
        }
    };
}
pub(super) use by_type;

/// How operations on `K` behave that round as FPCR says.
pub(super) fn dynamic<K: Scalar>(cx: &Cx) -> FloatMode {
    mode::float(cx.at.mode, K::TY, mode::rounding(cx.at.mode))
}

/// How operations on `K` behave that round by `rm`.
pub(super) fn rounding_by<K: Scalar>(cx: &Cx, rm: Rm) -> FloatMode {
    mode::float(cx.at.mode, K::TY, rm)
}

fn negate<K: Kind, S: Sem>(s: &mut S, v: V<S, K>) -> V<S, K> {
    let (bits, sign) = (s.float_to_bits(v), s.k(K::SIGN));
    let bits = s.xor(bits, sign);
    s.bits_to_float(bits)
}

fn change_bits<K: Kind, S: Sem>(
    s: &mut S,
    a: F2,
    f: impl FnOnce(&mut S, V<S, K::Bits>) -> V<S, K::Bits>,
) -> Flow<S> {
    let v = K::bits(s, a.rn);
    let v = f(s, v);
    K::set_bits(s, a.rd, v);
    fall::<S>()
}

fn copy<K: Kind, S: Sem>(s: &mut S, a: F2) -> Flow<S> {
    change_bits::<K, S>(s, a, |_, v| v)
}

fn absolute<K: Kind, S: Sem>(s: &mut S, a: F2) -> Flow<S> {
    change_bits::<K, S>(s, a, |s, v| {
        let mask = s.k(K::SIGN - 1);
        s.and(v, mask)
    })
}

fn opposite<K: Kind, S: Sem>(s: &mut S, a: F2) -> Flow<S> {
    change_bits::<K, S>(s, a, |s, v| {
        let sign = s.k(K::SIGN);
        s.xor(v, sign)
    })
}

/// Move.
pub fn fmov_r<S: Sem>(s: &mut S, _: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, copy(s, a))
}

/// Absolute value.
pub fn fabs<S: Sem>(s: &mut S, _: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, absolute(s, a))
}

/// Negative.
pub fn fneg<S: Sem>(s: &mut S, _: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, opposite(s, a))
}

fn square_root<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: F2) -> Flow<S> {
    let v = K::get(s, a.rn);
    let v = s.fsqrt(v, dynamic::<K>(cx));
    K::set(s, a.rd, v);
    fall::<S>()
}

/// Square root.
pub fn fsqrt<S: Sem>(s: &mut S, cx: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, square_root(s, cx, a))
}

fn arithmetic<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: F3, op: Op) -> Flow<S> {
    let (v, w) = (K::get(s, a.rn), K::get(s, a.rm));
    let v = s.float2(op, v, w, dynamic::<K>(cx));
    K::set(s, a.rd, v);
    fall::<S>()
}

/// Product.
pub fn fmul<S: Sem>(s: &mut S, cx: &Cx, a: F3) -> Flow<S> {
    by_type!(a.ftype, arithmetic(s, cx, a, Op::FMul))
}

/// Quotient.
pub fn fdiv<S: Sem>(s: &mut S, cx: &Cx, a: F3) -> Flow<S> {
    by_type!(a.ftype, arithmetic(s, cx, a, Op::FDiv))
}

/// Sum.
pub fn fadd<S: Sem>(s: &mut S, cx: &Cx, a: F3) -> Flow<S> {
    by_type!(a.ftype, arithmetic(s, cx, a, Op::FAdd))
}

/// Difference.
pub fn fsub<S: Sem>(s: &mut S, cx: &Cx, a: F3) -> Flow<S> {
    by_type!(a.ftype, arithmetic(s, cx, a, Op::FSub))
}

fn negated_product<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: F3) -> Flow<S> {
    let (v, w) = (K::get(s, a.rn), K::get(s, a.rm));
    let v = s.float2(Op::FMul, v, w, dynamic::<K>(cx));
    let v = negate::<K, S>(s, v);
    K::set(s, a.rd, v);
    fall::<S>()
}

/// Negative of the product.
pub fn fnmul<S: Sem>(s: &mut S, cx: &Cx, a: F3) -> Flow<S> {
    by_type!(a.ftype, negated_product(s, cx, a))
}

fn extreme<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: F3, op: Op, kind: u64) -> Flow<S> {
    let (v, w) = (K::get(s, a.rn), K::get(s, a.rm));
    let v = s.op2::<K, K>(op, dynamic::<K>(cx).bits() | kind, v, w);
    K::set(s, a.rd, v);
    fall::<S>()
}

/// Maximum.
pub fn fmax<S: Sem>(s: &mut S, cx: &Cx, a: F3) -> Flow<S> {
    by_type!(a.ftype, extreme(s, cx, a, Op::FMax, min_max::NAN))
}

/// Minimum.
pub fn fmin<S: Sem>(s: &mut S, cx: &Cx, a: F3) -> Flow<S> {
    by_type!(a.ftype, extreme(s, cx, a, Op::FMin, min_max::NAN))
}

/// Maximum, a number if one is.
pub fn fmaxnm<S: Sem>(s: &mut S, cx: &Cx, a: F3) -> Flow<S> {
    by_type!(a.ftype, extreme(s, cx, a, Op::FMax, min_max::NUM_2008))
}

/// Minimum, a number if one is.
pub fn fminnm<S: Sem>(s: &mut S, cx: &Cx, a: F3) -> Flow<S> {
    by_type!(a.ftype, extreme(s, cx, a, Op::FMin, min_max::NUM_2008))
}

/// Which operands of a fused multiply-add are negated: the product, the addend.
fn fused<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: F4, (product, addend): (bool, bool)) -> Flow<S> {
    let (v, w, c) = (K::get(s, a.rn), K::get(s, a.rm), K::get(s, a.ra));
    let v = if product { negate::<K, S>(s, v) } else { v };
    let c = if addend { negate::<K, S>(s, c) } else { c };
    let v = s.fmuladd(v, w, c, dynamic::<K>(cx));
    K::set(s, a.rd, v);
    fall::<S>()
}

/// Addend plus product.
pub fn fmadd<S: Sem>(s: &mut S, cx: &Cx, a: F4) -> Flow<S> {
    by_type!(a.ftype, fused(s, cx, a, (false, false)))
}

/// Addend minus product.
pub fn fmsub<S: Sem>(s: &mut S, cx: &Cx, a: F4) -> Flow<S> {
    by_type!(a.ftype, fused(s, cx, a, (true, false)))
}

/// Negative of addend plus product.
pub fn fnmadd<S: Sem>(s: &mut S, cx: &Cx, a: F4) -> Flow<S> {
    by_type!(a.ftype, fused(s, cx, a, (true, true)))
}

/// Product minus addend.
pub fn fnmsub<S: Sem>(s: &mut S, cx: &Cx, a: F4) -> Flow<S> {
    by_type!(a.ftype, fused(s, cx, a, (false, true)))
}

fn round<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: F2, rm: Rm, exact: bool) -> Flow<S> {
    let v = K::get(s, a.rn);
    let imm = rounding_by::<K>(cx, rm).bits() | u64::from(exact) << 8;
    let v = s.op1::<K, K>(Op::FRound, imm, v);
    K::set(s, a.rd, v);
    fall::<S>()
}

/// To integral, nearest, ties to even.
pub fn frintn<S: Sem>(s: &mut S, cx: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, round(s, cx, a, Rm::Rne, false))
}

/// To integral, up.
pub fn frintp<S: Sem>(s: &mut S, cx: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, round(s, cx, a, Rm::Rup, false))
}

/// To integral, down.
pub fn frintm<S: Sem>(s: &mut S, cx: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, round(s, cx, a, Rm::Rdn, false))
}

/// To integral, towards zero.
pub fn frintz<S: Sem>(s: &mut S, cx: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, round(s, cx, a, Rm::Rtz, false))
}

/// To integral, nearest, ties away from zero.
pub fn frinta<S: Sem>(s: &mut S, cx: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, round(s, cx, a, Rm::Rmm, false))
}

/// To integral as FPCR says, raising inexact.
pub fn frintx<S: Sem>(s: &mut S, cx: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, round(s, cx, a, mode::rounding(cx.at.mode), true))
}

/// To integral as FPCR says.
pub fn frinti<S: Sem>(s: &mut S, cx: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, round(s, cx, a, mode::rounding(cx.at.mode), false))
}

/// To an integral value that fits a signed integer of `bits` bits, or the least of them.
fn round_within<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: F2, rm: Rm, bits: u64) -> Flow<S> {
    let v = K::bits(s, a.rn);
    let v = K::widen(s, v);
    let kind = s.k(rounding_by::<K>(cx, rm).bits() | bits << 8 | (K::TY as u64) << 16);
    let v = s.call(helpers::ROUND_WITHIN, &[v, kind])?;
    set_v_low(s, a.rd, v);
    fall::<S>()
}

/// To integral within 32 bits, towards zero.
pub fn frint32z<S: Sem>(s: &mut S, cx: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, round_within(s, cx, a, Rm::Rtz, 32))
}

/// To integral within 32 bits as FPCR says.
pub fn frint32x<S: Sem>(s: &mut S, cx: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, round_within(s, cx, a, mode::rounding(cx.at.mode), 32))
}

/// To integral within 64 bits, towards zero.
pub fn frint64z<S: Sem>(s: &mut S, cx: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, round_within(s, cx, a, Rm::Rtz, 64))
}

/// To integral within 64 bits as FPCR says.
pub fn frint64x<S: Sem>(s: &mut S, cx: &Cx, a: F2) -> Flow<S> {
    by_type!(a.ftype, round_within(s, cx, a, mode::rounding(cx.at.mode), 64))
}

/// Flags of a comparison.
fn compared<K: Kind, S: Sem>(s: &mut S, cx: &Cx, v: V<S, K>, w: V<S, K>, signalling: bool) -> V<S, I32> {
    let imm = rounding_by::<K>(cx, Rm::Rne).bits() | u64::from(signalling) << 8;
    s.op2(Op::FlagsFloat, imm, v, w)
}

fn compare<K: Kind, S: Sem>(s: &mut S, cx: &Cx, rn: u8, rm: Option<u8>, signalling: bool) -> Flow<S> {
    let v = K::get(s, rn);
    let w = match rm {
        Some(rm) => K::get(s, rm),
        None => s.k(0),
    };
    let flags = compared::<K, S>(s, cx, v, w, signalling);
    set_flags(s, flags);
    fall::<S>()
}

/// Compare.
pub fn fcmp<S: Sem>(s: &mut S, cx: &Cx, a: FCmp) -> Flow<S> {
    by_type!(a.ftype, compare(s, cx, a.rn, Some(a.rm), false))
}

/// Compare with zero.
pub fn fcmp_zero<S: Sem>(s: &mut S, cx: &Cx, a: FCmpZ) -> Flow<S> {
    by_type!(a.ftype, compare(s, cx, a.rn, None, false))
}

/// Compare, any NaN being invalid.
pub fn fcmpe<S: Sem>(s: &mut S, cx: &Cx, a: FCmp) -> Flow<S> {
    by_type!(a.ftype, compare(s, cx, a.rn, Some(a.rm), true))
}

/// Compare with zero, any NaN being invalid.
pub fn fcmpe_zero<S: Sem>(s: &mut S, cx: &Cx, a: FCmpZ) -> Flow<S> {
    by_type!(a.ftype, compare(s, cx, a.rn, None, true))
}

/// Flags of a comparison if a condition holds, else constant ones.
fn compare_if<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: FCCmp, signalling: bool) -> Flow<S> {
    let Some(holds) = condition(s, a.cond) else {
        return compare::<K, S>(s, cx, a.rn, Some(a.rm), signalling);
    };
    let other = s.k::<I32>(packed_flags(u64::from(a.nzcv) << 28));
    set_flags(s, other);
    s.when(holds, |s| {
        let (v, w) = (K::get(s, a.rn), K::get(s, a.rm));
        let flags = compared::<K, S>(s, cx, v, w, signalling);
        set_flags(s, flags);
        Ok(())
    })?;
    fall::<S>()
}

/// Conditional compare.
pub fn fccmp<S: Sem>(s: &mut S, cx: &Cx, a: FCCmp) -> Flow<S> {
    by_type!(a.ftype, compare_if(s, cx, a, false))
}

/// Conditional compare, any NaN being invalid.
pub fn fccmpe<S: Sem>(s: &mut S, cx: &Cx, a: FCCmp) -> Flow<S> {
    by_type!(a.ftype, compare_if(s, cx, a, true))
}

fn select<K: Kind, S: Sem>(s: &mut S, a: FCSel) -> Flow<S> {
    let (yes, no) = (K::bits(s, a.rn), K::bits(s, a.rm));
    let v = choose(s, a.cond, yes, no);
    K::set_bits(s, a.rd, v);
    fall::<S>()
}

/// Conditional select.
pub fn fcsel<S: Sem>(s: &mut S, _: &Cx, a: FCSel) -> Flow<S> {
    by_type!(a.ftype, select(s, a))
}

/// The float that an 8-bit constant stands for: VFPExpandImm of the manual.
pub fn expand_constant(imm: u8, ty: Ty) -> u64 {
    let (exponent_bits, fraction_bits) = match ty {
        Ty::F16 => (5, 10),
        Ty::F32 => (8, 23),
        _ => (11, 52),
    };
    let imm = u64::from(imm);
    let b = imm >> 6 & 1;
    let repeated = if b == 0 { 0 } else { (1 << (exponent_bits - 3)) - 1 };
    let exponent = (b ^ 1) << (exponent_bits - 1) | repeated << 2 | imm >> 4 & 3;
    imm >> 7 << (exponent_bits + fraction_bits)
        | exponent << fraction_bits
        | (imm & 15) << (fraction_bits - 4)
}

fn constant<K: Kind, S: Sem>(s: &mut S, a: FImm) -> Flow<S> {
    let v = s.k(expand_constant(a.imm, K::TY));
    K::set_bits(s, a.rd, v);
    fall::<S>()
}

/// Move a constant.
pub fn fmov_imm<S: Sem>(s: &mut S, _: &Cx, a: FImm) -> Flow<S> {
    by_type!(a.ftype, constant(s, a))
}

//! Additional floating-point instructions: chapter 25 (Zfa).

use super::float::{self, Kind};
use super::{Cx, set_x};
use crate::isa::{F2Rm, Fli, R, R2};
use tcg_core::fp;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Rm, Sem};
use tcg_core::ty::{F16, F32, F64, I32, Ty};

/// What `fli` loads, as the assembler writes it (table 25.1).
pub const FLI_TEXT: [&str; 32] = [
    "-1.0", "min", "0x1p-16", "0x1p-15", "0x1p-8", "0x1p-7", "0.0625", "0.125", "0.25", "0.3125", "0.375",
    "0.4375", "0.5", "0.625", "0.75", "0.875", "1.0", "1.25", "1.5", "1.75", "2.0", "2.5", "3.0", "4.0",
    "8.0", "16.0", "128.0", "256.0", "32768.0", "65536.0", "inf", "nan",
];

/// The values of these, except the smallest normal number, infinity and NaN, which depend on the format.
const FLI: [f32; 32] = [
    -1.0,
    0.0,
    1.0 / 65536.0,
    1.0 / 32768.0,
    1.0 / 256.0,
    1.0 / 128.0,
    0.0625,
    0.125,
    0.25,
    0.3125,
    0.375,
    0.4375,
    0.5,
    0.625,
    0.75,
    0.875,
    1.0,
    1.25,
    1.5,
    1.75,
    2.0,
    2.5,
    3.0,
    4.0,
    8.0,
    16.0,
    128.0,
    256.0,
    32768.0,
    65536.0,
    0.0,
    0.0,
];

/// The bits of constant `n` in format `K`, whose bits of a number are `number`.
fn constant<K: Kind>(n: u8, number: impl FnOnce(f32) -> u64) -> u64 {
    match n {
        1 => K::MIN_NORMAL,
        30 => K::INFINITY,
        31 => K::NAN,
        n => number(FLI[usize::from(n & 31)]),
    }
}

/// Load a constant, single.
pub fn fli_s<S: Sem>(s: &mut S, cx: &Cx, a: Fli) -> Flow<S> {
    let v = s.k(constant::<F32>(a.n, |v| v.to_bits().into()));
    float::change(s, cx, |s| F32::set_bits(s, a.rd, v))
}

/// Load a constant, double.
pub fn fli_d<S: Sem>(s: &mut S, cx: &Cx, a: Fli) -> Flow<S> {
    let v = s.k(constant::<F64>(a.n, |v| f64::from(v).to_bits()));
    float::change(s, cx, |s| F64::set_bits(s, a.rd, v))
}

/// Minimum, NaN if one is, single.
pub fn fminm_s<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::min_max_nan::<F32, S>(s, cx, a, Op::FMin)
}

/// Maximum, NaN if one is, single.
pub fn fmaxm_s<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::min_max_nan::<F32, S>(s, cx, a, Op::FMax)
}

/// To an integral value, single.
pub fn fround_s<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::rounded::<F32, F32, S>(s, cx, a, |s, v, rm| s.fround(v, rm, false))
}

/// To an integral value, raising inexact, single.
pub fn froundnx_s<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::rounded::<F32, F32, S>(s, cx, a, |s, v, rm| s.fround(v, rm, true))
}

/// Quiet less or equal, single.
pub fn fleq_s<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F32, S>(s, cx, a, Op::FLeQ)
}

/// Quiet less, single.
pub fn fltq_s<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F32, S>(s, cx, a, Op::FLtQ)
}

/// Minimum, NaN if one is, double.
pub fn fminm_d<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::min_max_nan::<F64, S>(s, cx, a, Op::FMin)
}

/// Maximum, NaN if one is, double.
pub fn fmaxm_d<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::min_max_nan::<F64, S>(s, cx, a, Op::FMax)
}

/// To an integral value, double.
pub fn fround_d<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::rounded::<F64, F64, S>(s, cx, a, |s, v, rm| s.fround(v, rm, false))
}

/// To an integral value, raising inexact, double.
pub fn froundnx_d<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::rounded::<F64, F64, S>(s, cx, a, |s, v, rm| s.fround(v, rm, true))
}

/// Quiet less or equal, double.
pub fn fleq_d<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F64, S>(s, cx, a, Op::FLeQ)
}

/// Quiet less, double.
pub fn fltq_d<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F64, S>(s, cx, a, Op::FLtQ)
}

/// Truncated, modulo 2^32, to a signed word; flags as of `fcvt.w.d`.
pub fn fcvtmod_w_d<S: Sem>(s: &mut S, cx: &Cx, a: R2) -> Flow<S> {
    let v = F64::get(s, a.rs1);
    let bits = s.float_to_bits(v);
    // For the flags alone.
    s.ftoi::<F64, I32>(v, true, Rm::Rtz);
    let (fifty_two, sixty_three) = (s.k(52), s.k(63));
    let exponent = s.shru(bits, fifty_two);
    let exponent = s.zext(exponent, 11);
    let (fraction, one) = (s.zext(bits, 52), s.k(1 << 52));
    let significand = s.or(fraction, one);
    // The significand counts units of 2^(exponent - 1075).
    let left = s.add_imm(exponent, -1075);
    let right = s.neg(left);
    let (grown, shrunk, zero) = (s.shl(significand, left), s.shru(significand, right), s.k(0));
    let small = s.lts(left, zero);
    let size = s.select(small, shrunk, grown);
    // Below 1, and from 2^84, where the low 32 bits are zero; infinities and NaNs are there too.
    let (from_one, range) = (s.add_imm(exponent, -1023), s.k(84));
    let in_range = s.ltu(from_one, range);
    let size = s.select(in_range, size, zero);
    let sign = s.shrs(bits, sixty_three);
    let value = s.xor(size, sign);
    let value = s.sub(value, sign);
    let value = s.sext(value, 32);
    float::change(s, cx, |s| set_x(s, a.rd, value))
}

/// Load a constant, half; what is too large for it is infinite, and the smallest are subnormal.
pub fn fli_h<S: Sem>(s: &mut S, cx: &Cx, a: Fli) -> Flow<S> {
    let number = |v: f32| fp::convert((Ty::F32, Ty::F16), v.to_bits().into(), Rm::Rne.into(), &mut 0);
    let v = s.k(constant::<F16>(a.n, number));
    float::change(s, cx, |s| F16::set_bits(s, a.rd, v))
}

/// Minimum, NaN if one is, half.
pub fn fminm_h<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::min_max_nan::<F16, S>(s, cx, a, Op::FMin)
}

/// Maximum, NaN if one is, half.
pub fn fmaxm_h<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::min_max_nan::<F16, S>(s, cx, a, Op::FMax)
}

/// To an integral value, half.
pub fn fround_h<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::rounded::<F16, F16, S>(s, cx, a, |s, v, rm| s.fround(v, rm, false))
}

/// To an integral value, raising inexact, half.
pub fn froundnx_h<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::rounded::<F16, F16, S>(s, cx, a, |s, v, rm| s.fround(v, rm, true))
}

/// Quiet less or equal, half.
pub fn fleq_h<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F16, S>(s, cx, a, Op::FLeQ)
}

/// Quiet less, half.
pub fn fltq_h<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F16, S>(s, cx, a, Op::FLtQ)
}

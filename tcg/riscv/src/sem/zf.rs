//! Half-precision conversions: chapter 24 (Zfhmin). Additional operations: chapter 25 (Zfa).

use super::float::{self, Kind};
use super::i::address;
use super::{Cx, fall, set_x, x};
use crate::cpu;
use crate::helpers;
use crate::isa::{F2Rm, Fli, I, R, R2, S as Store};
use tcg_core::cpu::HelperId;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, MemOp, Rm, Sem, V};
use tcg_core::ty::{F32, F64, I32, I64};

/// The upper bits of a register that holds a binary16.
const HALF_BOX: u64 = !0xffff;
/// The canonical NaN of binary16.
const HALF_NAN: u64 = 0x7e00;

/// Register `f[n]` becomes the binary16 in the low bits of `v`.
fn set_half<S: Sem>(s: &mut S, cx: &Cx, n: u8, v: V<S, I64>) -> Flow<S> {
    let high = s.k(HALF_BOX);
    let v = s.or(v, high);
    float::change(s, cx, |s| s.set::<I64>(cpu::f(n), v))
}

/// Load halfword.
pub fn flh<S: Sem>(s: &mut S, cx: &Cx, a: I) -> Flow<S> {
    let addr = address(s, a.rs1, a.imm);
    let v = s.load(addr, MemOp::new(1))?;
    set_half(s, cx, a.rd, v)
}

/// Store halfword: the low bits, boxed or not.
pub fn fsh<S: Sem>(s: &mut S, _: &Cx, a: Store) -> Flow<S> {
    let (addr, v) = (address(s, a.rs1, a.imm), s.get::<I64>(cpu::f(a.rs2)));
    s.store(addr, v, MemOp::new(1))?;
    fall::<S>()
}

/// The low halfword to an integer register, boxed or not, with the sign extended.
pub fn fmv_x_h<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    let v = s.get(cpu::f(a.rs1));
    let v = s.sext(v, 16);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// The low halfword of an integer register.
pub fn fmv_h_x<S: Sem>(s: &mut S, cx: &Cx, a: R2) -> Flow<S> {
    let v = x(s, a.rs1);
    set_half(s, cx, a.rd, v)
}

/// fd = fs1, a binary16, in format `K`.
fn from_half<K: Kind, S: Sem>(
    s: &mut S,
    cx: &Cx,
    a: F2Rm,
    helper: HelperId,
    bits: impl FnOnce(&mut S, V<S, I64>) -> V<S, K::Bits>,
) -> Flow<S> {
    if float::rounding(cx, a.rm).is_none() {
        return cx.illegal::<S>();
    }
    let (all, least, nan) = (s.get::<I64>(cpu::f(a.rs1)), s.k(HALF_BOX), s.k(HALF_NAN));
    let unboxed = s.ltu(all, least);
    let v = s.select(unboxed, nan, all);
    let v = s.call(helper, &[v])?;
    let v = bits(s, v);
    float::change(s, cx, |s| K::set_bits(s, a.rd, v))
}

/// fd = fs1 of format `K`, as a binary16.
fn to_half<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: F2Rm, helper: HelperId) -> Flow<S> {
    let Some(rm) = float::rounding(cx, a.rm) else { return cx.illegal::<S>() };
    let v = K::bits(s, a.rs1);
    let (v, rm) = (K::widen(s, v), s.k(rm as u64));
    let v = s.call(helper, &[v, rm])?;
    set_half(s, cx, a.rd, v)
}

/// From half to single.
pub fn fcvt_s_h<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    from_half::<F32, S>(s, cx, a, helpers::HALF_TO_SINGLE, S::trunc)
}

/// From single to half.
pub fn fcvt_h_s<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    to_half::<F32, S>(s, cx, a, helpers::SINGLE_TO_HALF)
}

/// From half to double.
pub fn fcvt_d_h<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    from_half::<F64, S>(s, cx, a, helpers::HALF_TO_DOUBLE, |_, v| v)
}

/// From double to half.
pub fn fcvt_h_d<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    to_half::<F64, S>(s, cx, a, helpers::DOUBLE_TO_HALF)
}

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

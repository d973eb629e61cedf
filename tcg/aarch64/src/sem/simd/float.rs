//! Advanced SIMD on lanes of floats: C4.1.96. Where half a register is used, the other half holds numbers that raise no
//! flags.

use super::{alternate, get, lower, put, put_half};
use crate::cpu;
use crate::isa::{VB2, VF2, VF3, VFE, VFS2, VFS3};
use crate::mode;
use crate::sem::float::{Kind, dynamic, rounding_by};
use crate::sem::{self, Cx, Width, fall};
use tcg_core::fp::{NAN_TO_ZERO, min_max};
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Rm, Sem, V, splat_bits};
use tcg_core::ty::{F32, F64, I32, I64, Int, Ty};

/// Lanes of singles or, with `sz`, of doubles.
fn lanes(sz: u8) -> Ty {
    if sz == 0 { Ty::F32x4 } else { Ty::F64x2 }
}

/// The immediate of operations that round as FPCR says.
fn control(cx: &Cx, sz: u8) -> u64 {
    if sz == 0 { dynamic::<F32>(cx) } else { dynamic::<F64>(cx) }.bits()
}

/// The immediate of operations that do not round.
fn exact(cx: &Cx, sz: u8) -> u64 {
    if sz == 0 { rounding_by::<F32>(cx, Rm::Rne) } else { rounding_by::<F64>(cx, Rm::Rne) }.bits()
}

/// The operand in `v[n]`, with zeros in what is not used.
fn operand<S: Sem>(s: &mut S, q: u8, n: u8) -> S::W {
    let v = get(s, n);
    if q == 0 { lower(s, v) } else { v }
}

/// All bits but the signs, or the signs alone.
fn sign_mask<S: Sem>(s: &mut S, sz: u8, signs: bool) -> S::W {
    let sign = if sz == 0 { F32::SIGN } else { F64::SIGN };
    s.vector(splat_bits(lanes(sz), if signs { sign } else { sign - 1 }))
}

fn absolute<S: Sem>(s: &mut S, sz: u8, v: S::W) -> S::W {
    let mask = sign_mask(s, sz, false);
    s.v2(Op::And, Ty::V128, v, mask)
}

fn negative<S: Sem>(s: &mut S, sz: u8, v: S::W) -> S::W {
    let mask = sign_mask(s, sz, true);
    s.v2(Op::Xor, Ty::V128, v, mask)
}

fn binary<S: Sem>(s: &mut S, a: VF3, op: Op, imm: u64) -> Flow<S> {
    let (n, m) = (operand(s, a.q, a.rn), operand(s, a.q, a.rm));
    let v = s.lanes(op, lanes(a.sz), imm, &[n, m]);
    put(s, a.q, a.rd, v)
}

/// Sum.
pub fn fadd_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    binary(s, a, Op::FAdd, control(cx, a.sz))
}

/// Difference.
pub fn fsub_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    binary(s, a, Op::FSub, control(cx, a.sz))
}

/// Product.
pub fn fmul_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    binary(s, a, Op::FMul, control(cx, a.sz))
}

/// Quotient.
pub fn fdiv_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    let (n, m) = (operand(s, a.q, a.rn), operand(s, a.q, a.rm));
    let m = if a.q == 0 {
        // Nothing divided by nothing would be invalid.
        let one = s.k::<I64>(u64::from(1f32.to_bits()) * 0x1_0000_0001);
        s.insert(Ty::I64x2, 1, m, one)
    } else {
        m
    };
    let v = s.lanes(Op::FDiv, lanes(a.sz), control(cx, a.sz), &[n, m]);
    put(s, a.q, a.rd, v)
}

/// Maximum.
pub fn fmax_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    binary(s, a, Op::FMax, control(cx, a.sz) | min_max::NAN)
}

/// Minimum.
pub fn fmin_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    binary(s, a, Op::FMin, control(cx, a.sz) | min_max::NAN)
}

/// Maximum, a number if one is.
pub fn fmaxnm_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    binary(s, a, Op::FMax, control(cx, a.sz) | min_max::NUM_2008)
}

/// Minimum, a number if one is.
pub fn fminnm_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    binary(s, a, Op::FMin, control(cx, a.sz) | min_max::NUM_2008)
}

/// An operation on neighbours of both vectors, one after the other.
fn pairwise<S: Sem>(s: &mut S, a: VF3, op: Op, imm: u64) -> Flow<S> {
    let (n, m) = (operand(s, a.q, a.rn), operand(s, a.q, a.rm));
    let even = s.shuffle(n, m, alternate(2 + a.sz, a.q, 0));
    let odd = s.shuffle(n, m, alternate(2 + a.sz, a.q, 1));
    let (even, odd) = if a.q == 0 { (lower(s, even), lower(s, odd)) } else { (even, odd) };
    let v = s.lanes(op, lanes(a.sz), imm, &[even, odd]);
    put(s, a.q, a.rd, v)
}

/// Sum of neighbours.
pub fn faddp_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    pairwise(s, a, Op::FAdd, control(cx, a.sz))
}

/// Maximum of neighbours.
pub fn fmaxp_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    pairwise(s, a, Op::FMax, control(cx, a.sz) | min_max::NAN)
}

/// Minimum of neighbours.
pub fn fminp_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    pairwise(s, a, Op::FMin, control(cx, a.sz) | min_max::NAN)
}

/// Maximum of neighbours, a number if one is.
pub fn fmaxnmp_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    pairwise(s, a, Op::FMax, control(cx, a.sz) | min_max::NUM_2008)
}

/// Minimum of neighbours, a number if one is.
pub fn fminnmp_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    pairwise(s, a, Op::FMin, control(cx, a.sz) | min_max::NUM_2008)
}

fn fused<S: Sem>(s: &mut S, cx: &Cx, a: VF3, subtract: bool) -> Flow<S> {
    let (n, m, d) = (operand(s, a.q, a.rn), operand(s, a.q, a.rm), operand(s, a.q, a.rd));
    let n = if subtract { negative(s, a.sz, n) } else { n };
    let v = s.lanes(Op::FMulAdd, lanes(a.sz), control(cx, a.sz), &[n, m, d]);
    put(s, a.q, a.rd, v)
}

/// Product, added.
pub fn fmla_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    fused(s, cx, a, false)
}

/// Product, subtracted.
pub fn fmls_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    fused(s, cx, a, true)
}

/// Absolute difference.
pub fn fabd_v<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
    let (n, m) = (operand(s, a.q, a.rn), operand(s, a.q, a.rm));
    let v = s.lanes(Op::FSub, lanes(a.sz), control(cx, a.sz), &[n, m]);
    let v = absolute(s, a.sz, v);
    put(s, a.q, a.rd, v)
}

/// Which comparison of the operands, or of their absolute values.
#[derive(Clone, Copy)]
enum Compare {
    Equal,
    GreaterEqual,
    Greater,
    AbsoluteGreaterEqual,
    AbsoluteGreater,
}

fn compared<S: Sem>(s: &mut S, cx: &Cx, sz: u8, compare: Compare, (n, m): (S::W, S::W)) -> S::W {
    let absolutes = matches!(compare, Compare::AbsoluteGreaterEqual | Compare::AbsoluteGreater);
    let (n, m) = if absolutes { (absolute(s, sz, n), absolute(s, sz, m)) } else { (n, m) };
    let (op, args) = match compare {
        Compare::Equal => (Op::FEq, [n, m]),
        Compare::GreaterEqual | Compare::AbsoluteGreaterEqual => (Op::FLe, [m, n]),
        Compare::Greater | Compare::AbsoluteGreater => (Op::FLt, [m, n]),
    };
    s.lanes(op, lanes(sz), exact(cx, sz), &args)
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident, $scalar:ident = $compare:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: VF3) -> Flow<S> {
            let both = (operand(s, a.q, a.rn), operand(s, a.q, a.rm));
            let v = compared(s, cx, a.sz, Compare::$compare, both);
            put(s, a.q, a.rd, v)
        }
        $(#[$doc])*
        pub fn $scalar<S: Sem>(s: &mut S, cx: &Cx, a: VFS3) -> Flow<S> {
            let both = (scalar(s, a.sz, a.rn), scalar(s, a.sz, a.rm));
            let v = compared(s, cx, a.sz, Compare::$compare, both);
            put_scalar(s, a.sz, a.rd, v)
        }
    )* };
}

comparisons! {
    /// Equal.
    fcmeq_v, fcmeq_s = Equal;
    /// Greater or equal.
    fcmge_v, fcmge_s = GreaterEqual;
    /// Greater.
    fcmgt_v, fcmgt_s = Greater;
    /// Greater or equal in magnitude.
    facge_v, facge_s = AbsoluteGreaterEqual;
    /// Greater in magnitude.
    facgt_v, facgt_s = AbsoluteGreater;
}

/// The lowest lane of `v[n]`, zeros above.
fn scalar<S: Sem>(s: &mut S, sz: u8, n: u8) -> S::W {
    let v = get(s, n);
    let mask = s.vector(if sz == 0 { 0xffff_ffff } else { u64::MAX.into() });
    s.v2(Op::And, Ty::V128, v, mask)
}

/// `v[rd]` becomes the lowest lane of `v`, zeros above.
fn put_scalar<S: Sem>(s: &mut S, sz: u8, rd: u8, v: S::W) -> Flow<S> {
    let mask = s.vector(if sz == 0 { 0xffff_ffff } else { u64::MAX.into() });
    let v = s.v2(Op::And, Ty::V128, v, mask);
    put(s, 1, rd, v)
}

/// Absolute difference of scalars.
pub fn fabd_s<S: Sem>(s: &mut S, cx: &Cx, a: VFS3) -> Flow<S> {
    let (n, m) = (scalar(s, a.sz, a.rn), scalar(s, a.sz, a.rm));
    let v = s.lanes(Op::FSub, lanes(a.sz), control(cx, a.sz), &[n, m]);
    let v = absolute(s, a.sz, v);
    put_scalar(s, a.sz, a.rd, v)
}

fn compare_zero<S: Sem>(s: &mut S, cx: &Cx, a: VF2, op: Op, swapped: bool) -> Flow<S> {
    let (n, zero) = (operand(s, a.q, a.rn), s.vector(0));
    let args = if swapped { [zero, n] } else { [n, zero] };
    let v = s.lanes(op, lanes(a.sz), exact(cx, a.sz), &args);
    put(s, a.q, a.rd, v)
}

/// Equal to zero.
pub fn fcmeq_vz<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    compare_zero(s, cx, a, Op::FEq, false)
}

/// Greater than zero.
pub fn fcmgt_vz<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    compare_zero(s, cx, a, Op::FLt, true)
}

/// Not less than zero.
pub fn fcmge_vz<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    compare_zero(s, cx, a, Op::FLe, true)
}

/// Less than zero.
pub fn fcmlt_vz<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    compare_zero(s, cx, a, Op::FLt, false)
}

/// Not greater than zero.
pub fn fcmle_vz<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    compare_zero(s, cx, a, Op::FLe, false)
}

/// Absolute value.
pub fn fabs_v<S: Sem>(s: &mut S, _: &Cx, a: VF2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = absolute(s, a.sz, n);
    put(s, a.q, a.rd, v)
}

/// Negative.
pub fn fneg_v<S: Sem>(s: &mut S, _: &Cx, a: VF2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = negative(s, a.sz, n);
    put(s, a.q, a.rd, v)
}

/// Square root.
pub fn fsqrt_v<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    let n = operand(s, a.q, a.rn);
    let v = s.lanes(Op::FSqrt, lanes(a.sz), control(cx, a.sz), &[n]);
    put(s, a.q, a.rd, v)
}

fn round<S: Sem>(s: &mut S, cx: &Cx, a: VF2, rm: Rm, inexact: bool) -> Flow<S> {
    let mode = if a.sz == 0 { rounding_by::<F32>(cx, rm) } else { rounding_by::<F64>(cx, rm) };
    let n = operand(s, a.q, a.rn);
    let v = s.lanes(Op::FRound, lanes(a.sz), mode.bits() | u64::from(inexact) << 8, &[n]);
    put(s, a.q, a.rd, v)
}

/// To integral, nearest, ties to even.
pub fn frintn_v<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    round(s, cx, a, Rm::Rne, false)
}

/// To integral, down.
pub fn frintm_v<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    round(s, cx, a, Rm::Rdn, false)
}

/// To integral, up.
pub fn frintp_v<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    round(s, cx, a, Rm::Rup, false)
}

/// To integral, towards zero.
pub fn frintz_v<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    round(s, cx, a, Rm::Rtz, false)
}

/// To integral, nearest, ties away from zero.
pub fn frinta_v<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    round(s, cx, a, Rm::Rmm, false)
}

/// To integral as FPCR says, raising inexact.
pub fn frintx_v<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    round(s, cx, a, mode::rounding(cx.at.mode), true)
}

/// To integral as FPCR says.
pub fn frinti_v<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    round(s, cx, a, mode::rounding(cx.at.mode), false)
}

/// Integer lanes as wide as the floats.
fn integers(sz: u8) -> Ty {
    if sz == 0 { Ty::I32x4 } else { Ty::I64x2 }
}

/// Converts the lowest lane.
fn scalar_to_integer<K: Kind, T: Int + Width, S: Sem>(
    s: &mut S,
    cx: &Cx,
    a: VFS2,
    op: Op,
    rm: Rm,
) -> Flow<S> {
    let v = K::get(s, a.rn);
    let v: V<S, T> = s.op1(op, rounding_by::<K>(cx, rm).bits() | NAN_TO_ZERO, v);
    let v = T::widen(s, v);
    sem::set_v_low(s, a.rd, v);
    fall::<S>()
}

macro_rules! to_integers {
    ($($(#[$doc:meta])* $name:ident, $scalar:ident = $op:ident $rm:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
            let mode = if a.sz == 0 { rounding_by::<F32>(cx, Rm::$rm) } else { rounding_by::<F64>(cx, Rm::$rm) };
            let n = operand(s, a.q, a.rn);
            let v = s.lanes(Op::$op, integers(a.sz), mode.bits() | NAN_TO_ZERO, &[n]);
            put(s, a.q, a.rd, v)
        }
        $(#[$doc])*
        pub fn $scalar<S: Sem>(s: &mut S, cx: &Cx, a: VFS2) -> Flow<S> {
            if a.sz == 0 {
                scalar_to_integer::<F32, I32, S>(s, cx, a, Op::$op, Rm::$rm)
            } else {
                scalar_to_integer::<F64, I64, S>(s, cx, a, Op::$op, Rm::$rm)
            }
        }
    )* };
}

to_integers! {
    /// To signed, nearest, ties to even.
    fcvtns_v, fcvtns_s = FToS Rne;
    /// To unsigned, nearest, ties to even.
    fcvtnu_v, fcvtnu_s = FToU Rne;
    /// To signed, down.
    fcvtms_v, fcvtms_s = FToS Rdn;
    /// To unsigned, down.
    fcvtmu_v, fcvtmu_s = FToU Rdn;
    /// To signed, nearest, ties away from zero.
    fcvtas_v, fcvtas_s = FToS Rmm;
    /// To unsigned, nearest, ties away from zero.
    fcvtau_v, fcvtau_s = FToU Rmm;
    /// To signed, up.
    fcvtps_v, fcvtps_s = FToS Rup;
    /// To unsigned, up.
    fcvtpu_v, fcvtpu_s = FToU Rup;
    /// To signed, towards zero.
    fcvtzs_v, fcvtzs_s = FToS Rtz;
    /// To unsigned, towards zero.
    fcvtzu_v, fcvtzu_s = FToU Rtz;
}

fn of_integers<S: Sem>(s: &mut S, cx: &Cx, a: VF2, op: Op) -> Flow<S> {
    let n = operand(s, a.q, a.rn);
    let v = s.lanes(op, lanes(a.sz), control(cx, a.sz), &[n]);
    put(s, a.q, a.rd, v)
}

fn of_scalar<S: Sem>(s: &mut S, cx: &Cx, a: VFS2, op: Op) -> Flow<S> {
    let n = s.get_vector(cpu::v(a.rn));
    if a.sz == 0 {
        let v = s.extract::<I32>(Lane::new(2, 0), n);
        let v = s.op1::<I32, F32>(op, dynamic::<F32>(cx).bits(), v);
        F32::set(s, a.rd, v);
    } else {
        let v = s.extract::<I64>(Lane::new(3, 0), n);
        let v = s.op1::<I64, F64>(op, dynamic::<F64>(cx).bits(), v);
        F64::set(s, a.rd, v);
    }
    fall::<S>()
}

/// From signed.
pub fn scvtf_v<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    of_integers(s, cx, a, Op::SToF)
}

/// From unsigned.
pub fn ucvtf_v<S: Sem>(s: &mut S, cx: &Cx, a: VF2) -> Flow<S> {
    of_integers(s, cx, a, Op::UToF)
}

/// From a signed scalar.
pub fn scvtf_s<S: Sem>(s: &mut S, cx: &Cx, a: VFS2) -> Flow<S> {
    of_scalar(s, cx, a, Op::SToF)
}

/// From an unsigned scalar.
pub fn ucvtf_s<S: Sem>(s: &mut S, cx: &Cx, a: VFS2) -> Flow<S> {
    of_scalar(s, cx, a, Op::UToF)
}

/// Sum of two lanes.
pub fn faddp_s<S: Sem>(s: &mut S, cx: &Cx, a: VFS2) -> Flow<S> {
    let n = s.get_vector(cpu::v(a.rn));
    if a.sz == 0 {
        let (v, w) = (s.extract::<F32>(Lane::new(2, 0), n), s.extract(Lane::new(2, 1), n));
        let v = s.float2(Op::FAdd, v, w, dynamic::<F32>(cx));
        F32::set(s, a.rd, v);
    } else {
        let (v, w) = (s.extract::<F64>(Lane::new(3, 0), n), s.extract(Lane::new(3, 1), n));
        let v = s.float2(Op::FAdd, v, w, dynamic::<F64>(cx));
        F64::set(s, a.rd, v);
    }
    fall::<S>()
}

/// Doubles to singles.
pub fn fcvtn_v<S: Sem>(s: &mut S, cx: &Cx, a: VB2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = s.lanes(Op::FToF, Ty::F32x4, dynamic::<F64>(cx).bits(), &[n]);
    put_half(s, a.q, a.rd, v)
}

/// Singles to doubles.
pub fn fcvtl_v<S: Sem>(s: &mut S, cx: &Cx, a: VB2) -> Flow<S> {
    let n = get(s, a.rn);
    let n = if a.q == 1 { s.shuffle(n, n, std::array::from_fn(|at| (at as u8 + 8) % 16)) } else { n };
    let v = s.lanes(Op::FToF, Ty::F64x2, dynamic::<F64>(cx).bits(), &[n]);
    put(s, 1, a.rd, v)
}

/// The element of the last operand, in every lane that is used.
fn element<S: Sem>(s: &mut S, a: VFE) -> S::W {
    let rm = a.m << 4 | a.rm;
    let v = get(s, rm);
    let v = if a.sz == 0 {
        let v = s.extract::<F32>(Lane::new(2, a.h << 1 | a.l), v);
        s.splat(Ty::F32x4, v)
    } else {
        let v = s.extract::<F64>(Lane::new(3, a.h), v);
        s.splat(Ty::F64x2, v)
    };
    if a.q == 0 { lower(s, v) } else { v }
}

/// Product with an element.
pub fn fmul_e<S: Sem>(s: &mut S, cx: &Cx, a: VFE) -> Flow<S> {
    let (n, m) = (operand(s, a.q, a.rn), element(s, a));
    let v = s.lanes(Op::FMul, lanes(a.sz), control(cx, a.sz), &[n, m]);
    put(s, a.q, a.rd, v)
}

fn fused_element<S: Sem>(s: &mut S, cx: &Cx, a: VFE, subtract: bool) -> Flow<S> {
    let (n, m, d) = (operand(s, a.q, a.rn), element(s, a), operand(s, a.q, a.rd));
    let n = if subtract { negative(s, a.sz, n) } else { n };
    let v = s.lanes(Op::FMulAdd, lanes(a.sz), control(cx, a.sz), &[n, m, d]);
    put(s, a.q, a.rd, v)
}

/// Product with an element, added.
pub fn fmla_e<S: Sem>(s: &mut S, cx: &Cx, a: VFE) -> Flow<S> {
    fused_element(s, cx, a, false)
}

/// Product with an element, subtracted.
pub fn fmls_e<S: Sem>(s: &mut S, cx: &Cx, a: VFE) -> Flow<S> {
    fused_element(s, cx, a, true)
}

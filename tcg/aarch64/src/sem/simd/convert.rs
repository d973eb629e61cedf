//! Advanced SIMD conversions and roundings of floats: C4.1.96.

use super::estimate::float_soft;
use super::float::{Floats, Form, each_unary};
use super::{Part, get, put, put_half};
use crate::float::lanes::FloatSoft;
use crate::isa::{MoveX, VB2, VD2, VF2, VFS2, VSShL, VShR};
use crate::mode;
use crate::sem::float::{Kind, dynamic, rounding_by};
use crate::sem::{self, Cx, Width, fall};
use tcg_core::fp::NAN_TO_ZERO;
use tcg_core::ir::Op;
use tcg_core::sem::{FloatMode, Flow, Lane, Rm, Sem, V, splat_bits};
use tcg_core::ty::{F32, F64, I32, I64, Int, Ty};

fn round<S: Sem>(s: &mut S, cx: &Cx, f: Floats, rm: Rm, inexact: bool, n: S::W) -> S::W {
    s.lanes(Op::FRound, f.ty(), f.rounding_by(cx, rm).bits() | u64::from(inexact) << 8, &[n])
}

fn round_within<S: Sem>(s: &mut S, cx: &Cx, f: Floats, rm: Rm, bits: u8, n: S::W) -> S::W {
    float_soft(s, FloatSoft::RoundWithin, f, (f.rounding_by(cx, rm), bits), &[n])
}

/// The rounding mode that FPCR says.
fn current(cx: &Cx) -> Rm {
    mode::rounding(cx.at.mode)
}

each_unary! {
    /// To integral, nearest, ties to even.
    frintn_v: VF2, frintn_vh: VB2 = |s, cx, f, n| round(s, cx, f, Rm::Rne, false, n);
    /// To integral, down.
    frintm_v: VF2, frintm_vh: VB2 = |s, cx, f, n| round(s, cx, f, Rm::Rdn, false, n);
    /// To integral, up.
    frintp_v: VF2, frintp_vh: VB2 = |s, cx, f, n| round(s, cx, f, Rm::Rup, false, n);
    /// To integral, towards zero.
    frintz_v: VF2, frintz_vh: VB2 = |s, cx, f, n| round(s, cx, f, Rm::Rtz, false, n);
    /// To integral, nearest, ties away from zero.
    frinta_v: VF2, frinta_vh: VB2 = |s, cx, f, n| round(s, cx, f, Rm::Rmm, false, n);
    /// To integral as FPCR says, raising inexact.
    frintx_v: VF2, frintx_vh: VB2 = |s, cx, f, n| round(s, cx, f, current(cx), true, n);
    /// To integral as FPCR says.
    frinti_v: VF2, frinti_vh: VB2 = |s, cx, f, n| round(s, cx, f, current(cx), false, n);
    /// To integral within 32 bits, towards zero.
    frint32z_v: VF2 = |s, cx, f, n| round_within(s, cx, f, Rm::Rtz, 32, n);
    /// To integral within 32 bits as FPCR says.
    frint32x_v: VF2 = |s, cx, f, n| round_within(s, cx, f, current(cx), 32, n);
    /// To integral within 64 bits, towards zero.
    frint64z_v: VF2 = |s, cx, f, n| round_within(s, cx, f, Rm::Rtz, 64, n);
    /// To integral within 64 bits as FPCR says.
    frint64x_v: VF2 = |s, cx, f, n| round_within(s, cx, f, current(cx), 64, n);
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

fn to_integers<S: Sem>(s: &mut S, cx: &Cx, f: Floats, (op, rm): (Op, Rm), n: S::W) -> S::W {
    s.lanes(op, f.integers(), f.rounding_by(cx, rm).bits() | NAN_TO_ZERO, &[n])
}

macro_rules! to_integers {
    ($(#[$doc:meta] $name:ident $half:ident $scalar:ident $half_scalar:ident = $op:ident $rm:ident;)*) => { $(
        each_unary! {
            #[$doc]
            $name: VF2, $half: VB2, $half_scalar: VD2 =
                |s, cx, f, n| to_integers(s, cx, f, (Op::$op, Rm::$rm), n);
        }
        #[$doc]
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
    fcvtns_v fcvtns_vh fcvtns_s fcvtns_sh = FToS Rne;
    /// To unsigned, nearest, ties to even.
    fcvtnu_v fcvtnu_vh fcvtnu_s fcvtnu_sh = FToU Rne;
    /// To signed, down.
    fcvtms_v fcvtms_vh fcvtms_s fcvtms_sh = FToS Rdn;
    /// To unsigned, down.
    fcvtmu_v fcvtmu_vh fcvtmu_s fcvtmu_sh = FToU Rdn;
    /// To signed, nearest, ties away from zero.
    fcvtas_v fcvtas_vh fcvtas_s fcvtas_sh = FToS Rmm;
    /// To unsigned, nearest, ties away from zero.
    fcvtau_v fcvtau_vh fcvtau_s fcvtau_sh = FToU Rmm;
    /// To signed, up.
    fcvtps_v fcvtps_vh fcvtps_s fcvtps_sh = FToS Rup;
    /// To unsigned, up.
    fcvtpu_v fcvtpu_vh fcvtpu_s fcvtpu_sh = FToU Rup;
    /// To signed, towards zero.
    fcvtzs_v fcvtzs_vh fcvtzs_s fcvtzs_sh = FToS Rtz;
    /// To unsigned, towards zero.
    fcvtzu_v fcvtzu_vh fcvtzu_s fcvtzu_sh = FToU Rtz;
}

each_unary! {
    /// From signed.
    scvtf_v: VF2, scvtf_vh: VB2, scvtf_sh: VD2 = |s, cx, f, n| f.operate(s, cx, Op::SToF, &[n]);
    /// From unsigned.
    ucvtf_v: VF2, ucvtf_vh: VB2, ucvtf_sh: VD2 = |s, cx, f, n| f.operate(s, cx, Op::UToF, &[n]);
}

fn of_scalar<S: Sem>(s: &mut S, cx: &Cx, a: VFS2, op: Op) -> Flow<S> {
    let n = get(s, a.rn);
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

/// From a signed scalar.
pub fn scvtf_s<S: Sem>(s: &mut S, cx: &Cx, a: VFS2) -> Flow<S> {
    of_scalar(s, cx, a, Op::SToF)
}

/// From an unsigned scalar.
pub fn ucvtf_s<S: Sem>(s: &mut S, cx: &Cx, a: VFS2) -> Flow<S> {
    of_scalar(s, cx, a, Op::UToF)
}

/// Between fixed point and floats: `imm` is twice the lane's bits minus those behind the point.
fn fixed<S: Sem>(s: &mut S, cx: &Cx, (imm, q): (u8, Option<u8>), op: FloatSoft, rn: u8) -> (Floats, S::W) {
    let (size, fraction) = super::shift::right(imm);
    let f = q.map_or(Floats::scalar(size), |q| Floats::vector(size, q));
    let of = matches!(op, FloatSoft::OfSignedFixed | FloatSoft::OfUnsignedFixed);
    let rm = if of { current(cx) } else { Rm::Rtz };
    let n = f.operand(s, rn);
    if of && size > 1 {
        // No such number is too small to be scaled exactly.
        let op = if op == FloatSoft::OfSignedFixed { Op::SToF } else { Op::UToF };
        let v = f.operate(s, cx, op, &[n]);
        let scale = s.vector(splat_bits(f.integers(), f.power_of_two(-i64::from(fraction))));
        return (f, f.operate(s, cx, Op::FMul, &[v, scale]));
    }
    (f, float_soft(s, op, f, (f.rounding_by(cx, rm), fraction as u8), &[n]))
}

macro_rules! fixed_points {
    ($($(#[$doc:meta])* $name:ident $scalar:ident = $op:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: VShR) -> Flow<S> {
            let (f, v) = fixed(s, cx, (a.imm, Some(a.q)), FloatSoft::$op, a.rn);
            f.part.put(s, a.rd, v)
        }
        $(#[$doc])*
        pub fn $scalar<S: Sem>(s: &mut S, cx: &Cx, a: VSShL) -> Flow<S> {
            let (f, v) = fixed(s, cx, (a.imm, None), FloatSoft::$op, a.rn);
            f.part.put(s, a.rd, v)
        }
    )* };
}

fixed_points! {
    /// From signed fixed point.
    scvtf_vfix scvtf_sfix = OfSignedFixed;
    /// From unsigned fixed point.
    ucvtf_vfix ucvtf_sfix = OfUnsignedFixed;
    /// To signed fixed point.
    fcvtzs_vfix fcvtzs_sfix = ToSignedFixed;
    /// To unsigned fixed point.
    fcvtzu_vfix fcvtzu_sfix = ToUnsignedFixed;
}

/// The mode of conversions between formats: what flushes, the wider one's bit says.
fn between(cx: &Cx) -> FloatMode {
    dynamic::<F64>(cx)
}

/// Doubles to singles.
pub fn fcvtn_v<S: Sem>(s: &mut S, cx: &Cx, a: VB2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = s.lanes(Op::FToF, Ty::F32x4, between(cx).bits(), &[n]);
    put_half(s, a.q, a.rd, v)
}

/// The upper half of `v[n]`, if `q`, else the lower.
fn half<S: Sem>(s: &mut S, q: u8, n: u8) -> S::W {
    let n = get(s, n);
    if q == 1 { s.shuffle(n, n, std::array::from_fn(|at| (at as u8 + 8) % 16)) } else { n }
}

/// Singles to doubles.
pub fn fcvtl_v<S: Sem>(s: &mut S, cx: &Cx, a: VB2) -> Flow<S> {
    let n = half(s, a.q, a.rn);
    let v = s.lanes(Op::FToF, Ty::F64x2, between(cx).bits(), &[n]);
    put(s, 1, a.rd, v)
}

/// Four singles.
const SINGLES: Floats = Floats::vector(2, 1);

/// Halves to singles.
pub fn fcvtl_vh<S: Sem>(s: &mut S, cx: &Cx, a: VB2) -> Flow<S> {
    let (n, mode) = (half(s, a.q, a.rn), between(cx));
    let v = if mode::alternative_half(cx.at.mode) {
        float_soft(s, FloatSoft::OfHalves, SINGLES, (mode, 0), &[n])
    } else {
        s.lanes(Op::FOfHalves, Ty::F32x4, mode.bits(), &[n])
    };
    put(s, 1, a.rd, v)
}

/// Singles to halves.
pub fn fcvtn_vh<S: Sem>(s: &mut S, cx: &Cx, a: VB2) -> Flow<S> {
    let (n, mode) = (get(s, a.rn), between(cx));
    let v = if mode::alternative_half(cx.at.mode) {
        float_soft(s, FloatSoft::ToHalves, SINGLES, (mode, 0), &[n])
    } else {
        s.lanes(Op::FToHalves, Ty::F16x8, mode.bits(), &[n])
    };
    put_half(s, a.q, a.rd, v)
}

/// Doubles to singles, rounded to odd.
pub fn fcvtxn_v<S: Sem>(s: &mut S, cx: &Cx, a: VB2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = float_soft(s, FloatSoft::NarrowToOdd, Floats::vector(3, 1), (between(cx), 0), &[n]);
    put_half(s, a.q, a.rd, v)
}

/// A double to a single, rounded to odd.
pub fn fcvtxn_s<S: Sem>(s: &mut S, cx: &Cx, a: VD2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = float_soft(s, FloatSoft::NarrowToOdd, Floats::scalar(3), (between(cx), 0), &[n]);
    Part::Scalar(2).put(s, a.rd, v)
}

/// Singles to BFloat16.
pub fn bfcvtn<S: Sem>(s: &mut S, cx: &Cx, a: VB2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = float_soft(s, FloatSoft::ToBfloat, SINGLES, (dynamic::<F32>(cx), 0), &[n]);
    put_half(s, a.q, a.rd, v)
}

/// A single to BFloat16.
pub fn bfcvt<S: Sem>(s: &mut S, cx: &Cx, a: MoveX) -> Flow<S> {
    let n = get(s, a.rn);
    let v = float_soft(s, FloatSoft::ToBfloat, Floats::scalar(2), (dynamic::<F32>(cx), 0), &[n]);
    Part::Scalar(1).put(s, a.rd, v)
}

//! Estimates of reciprocals and steps that improve them: C4.1.96.

use super::float::{Floats, Form, each, each_unary};
use super::{Part, get, soft};
use crate::float::lanes::{FloatParam, FloatSoft};
use crate::helpers;
use crate::isa::{VB2, VB3, VD2, VD3, VF2, VF3, VFS2, VFS3};
use crate::sem::Cx;
use crate::simd::Soft;
use tcg_core::fp;
use tcg_core::ir::Op;
use tcg_core::sem::{FloatMode, Flow, Sem, splat_bits};
use tcg_core::ty::Ty;

/// An operation on floats in software.
pub(super) fn float_soft<S: Sem>(
    s: &mut S,
    op: FloatSoft,
    f: Floats,
    (mode, more): (FloatMode, u8),
    args: &[S::W],
) -> S::W {
    let param = FloatParam { op, size: f.size, lanes: f.lanes(), mode, more };
    s.call_vector(helpers::FLOATS, param.pack(), args)
}

/// One that rounds as FPCR says.
fn dynamic<S: Sem>(s: &mut S, cx: &Cx, f: Floats, op: FloatSoft, args: &[S::W]) -> S::W {
    float_soft(s, op, f, (f.dynamic(cx), 0), args)
}

/// Whether it is better to leave everything to software: hosts neither have halves nor flush as FPCR says.
fn is_soft(cx: &Cx, f: Floats) -> bool {
    f.size == 1 || f.dynamic(cx).flushes()
}

/// Ones in lanes where one operand is zero and the other infinity.
fn zero_times_infinity<S: Sem>(s: &mut S, f: Floats, n: S::W, m: S::W) -> S::W {
    let ty = f.integers();
    let infinity = s.vector(splat_bits(ty, fp::infinity(f.ty().float_lane())));
    let zero = s.vector(0);
    let (n, m) = (f.absolute(s, n), f.absolute(s, m));
    let [one, other] = [(n, m), (m, n)].map(|(a, b)| {
        let (a, b) = (s.v2(Op::Eq, ty, a, infinity), s.v2(Op::Eq, ty, b, zero));
        s.v2(Op::And, Ty::V128, a, b)
    });
    s.v2(Op::Or, Ty::V128, one, other)
}

/// Two, in every lane.
fn twos<S: Sem>(s: &mut S, f: Floats) -> S::W {
    s.vector(splat_bits(f.integers(), f.power_of_two(1)))
}

/// The product, two for zero times infinity.
pub(super) fn multiplied<S: Sem>(s: &mut S, cx: &Cx, f: Floats, n: S::W, m: S::W) -> S::W {
    if is_soft(cx, f) {
        return dynamic(s, cx, f, FloatSoft::MultiplyExtended, &[n, m]);
    }
    let special = zero_times_infinity(s, f, n, m);
    let [a, b] = [n, m].map(|v| s.v2(Op::AndNot, Ty::V128, v, special));
    let product = f.operate(s, cx, Op::FMul, &[a, b]);
    let differ = s.v2(Op::Xor, Ty::V128, n, m);
    let size = f.absolute(s, differ);
    let sign = s.v2(Op::Xor, Ty::V128, differ, size);
    let two = twos(s, f);
    let two = s.v2(Op::Or, Ty::V128, two, sign);
    s.bitselect(special, two, product)
}

/// Two minus the product, two for zero times infinity.
fn reciprocal_step<S: Sem>(s: &mut S, cx: &Cx, f: Floats, n: S::W, m: S::W) -> S::W {
    if is_soft(cx, f) {
        return dynamic(s, cx, f, FloatSoft::ReciprocalStep, &[n, m]);
    }
    let special = zero_times_infinity(s, f, n, m);
    let n = f.negative(s, n);
    let [a, b] = [n, m].map(|v| s.v2(Op::AndNot, Ty::V128, v, special));
    let two = twos(s, f);
    f.operate(s, cx, Op::FMulAdd, &[a, b, two])
}

each! {
    /// Product, two for zero times infinity.
    fmulx_v: VF3, fmulx_vh: VB3, fmulx_s: VFS3, fmulx_sh: VD3 = |s, cx, f, n, m, _d| multiplied(s, cx, f, n, m);
    /// Two minus the product.
    frecps_v: VF3, frecps_vh: VB3, frecps_s: VFS3, frecps_sh: VD3 =
        |s, cx, f, n, m, _d| reciprocal_step(s, cx, f, n, m);
    /// Half of three minus the product.
    frsqrts_v: VF3, frsqrts_vh: VB3, frsqrts_s: VFS3, frsqrts_sh: VD3 =
        |s, cx, f, n, m, _d| dynamic(s, cx, f, FloatSoft::ReciprocalRootStep, &[n, m]);
}

each_unary! {
    /// Estimate of the reciprocal.
    frecpe_v: VF2, frecpe_vh: VB2, frecpe_s: VFS2, frecpe_sh: VD2 =
        |s, cx, f, n| dynamic(s, cx, f, FloatSoft::Reciprocal, &[n]);
    /// Estimate of the reciprocal of the square root.
    frsqrte_v: VF2, frsqrte_vh: VB2, frsqrte_s: VFS2, frsqrte_sh: VD2 =
        |s, cx, f, n| dynamic(s, cx, f, FloatSoft::ReciprocalRoot, &[n]);
    /// The reciprocal's exponent.
    frecpx_s: VFS2, frecpx_sh: VD2 = |s, cx, f, n| dynamic(s, cx, f, FloatSoft::ReciprocalExponent, &[n]);
}

fn unsigned<S: Sem>(s: &mut S, a: VB2, op: Soft) -> Flow<S> {
    let (n, part) = (get(s, a.rn), Part::of(a.q));
    let v = soft(s, op, (2, part), &[n]);
    part.put(s, a.rd, v)
}

/// Estimate of the reciprocal of unsigned fractions.
pub fn urecpe_v<S: Sem>(s: &mut S, _: &Cx, a: VB2) -> Flow<S> {
    unsigned(s, a, Soft::Urecpe)
}

/// Estimate of the reciprocal of the square root of unsigned fractions.
pub fn ursqrte_v<S: Sem>(s: &mut S, _: &Cx, a: VB2) -> Flow<S> {
    unsigned(s, a, Soft::Ursqrte)
}

//! Reductions: 31.14. Integers are folded by parts, then within one; sums of floats are made in the order of the elements.

use super::by_element::by_element;
use super::lanes::float_shape;
use super::shape::{Shape, blend, change};
use crate::cpu;
use crate::features::Ext;
use crate::isa::VV;
use crate::mode;
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Sem, splat_bits, widen};
use tcg_core::ty::{F32, F64, Float, I64, Ty};

/// Element 0 of vd becomes that of `value`, of `1 << eew` bytes, unless there are no elements.
fn set_first<S: Sem>(s: &mut S, cx: &Cx, shape: &Shape, (vd, eew): (u8, u8), value: S::W) -> Flow<S> {
    let part = shape.part(vd, 0);
    let (first, old) = (s.vector(u128::MAX >> (128 - (8 << eew))), s.get_vector(part));
    let mut value = s.bitselect(first, value, old);
    if !shape.whole {
        let (vl, zero) = (s.get::<I64>(cpu::VL), s.k(0));
        let any = s.ne(vl, zero);
        value = s.select_vector(any, value, old);
    }
    change(s, cx, |s| s.set_vector(part, value))
}

/// Folds the lanes of `value` into lane 0.
fn within<S: Sem>(s: &mut S, op: Op, ty: Ty, mut value: S::W) -> S::W {
    let on = if matches!(op, Op::And | Op::Or | Op::Xor) { Ty::V128 } else { ty };
    let mut bytes = 8;
    while bytes * 8 >= ty.lane_bits() {
        let upper = s.shuffle(value, value, std::array::from_fn(|i| (i as u8 + bytes as u8) % 16));
        value = s.v2(op, on, value, upper);
        bytes /= 2;
    }
    value
}

/// Folds vs2 and element 0 of vs1 by `op`; what takes no part counts as `neutral`, a lane.
fn fold<S: Sem>(s: &mut S, cx: &Cx, a: VV, (op, neutral): (Op, u64)) -> Flow<S> {
    let legal = |shape: &Shape| shape.is_group(a.vs2, shape.sew);
    let Some(shape) = Shape::of(cx).filter(legal) else { return by_element(s, cx) };
    let ty = Ty::int_lanes(shape.sew);
    let on = if matches!(op, Op::And | Op::Or | Op::Xor) { Ty::V128 } else { ty };
    let neutral = s.vector(splat_bits(ty, neutral >> (64 - ty.lane_bits())));
    let mut sum = None;
    for n in 0..shape.parts(shape.sew) {
        let active = shape.active(s, a.vm == 0, shape.sew, n);
        let part = s.get_vector(shape.part(a.vs2, n));
        let part = blend(s, active, part, neutral);
        sum = Some(sum.map_or(part, |sum| s.v2(op, on, sum, part)));
    }
    let sum = sum.unwrap_or(neutral);
    let sum = within(s, op, ty, sum);
    let start = s.get_vector(shape.part(a.vs1, 0));
    let value = s.v2(op, on, sum, start);
    set_first(s, cx, &shape, (a.vd, shape.sew), value)
}

macro_rules! folds {
    ($($name:ident $op:ident $neutral:expr;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: VV) -> Flow<S> {
            fold(s, cx, a, (Op::$op, $neutral))
        }
    )* };
}

// What changes nothing, at the top of a doubleword; lanes are cut from there.
folds! {
    vredsum_vs Add 0;
    vredand_vs And u64::MAX;
    vredor_vs Or 0;
    vredxor_vs Xor 0;
    vredminu_vs MinU u64::MAX;
    vredmaxu_vs MaxU 0;
}

/// The signed minimum or maximum, whose neutral lanes are not alike in all bytes.
fn fold_signed<S: Sem>(s: &mut S, cx: &Cx, a: VV, op: Op) -> Flow<S> {
    fold(s, cx, a, (op, if op == Op::MinS { i64::MAX as u64 } else { 1 << 63 }))
}

/// Signed minimum.
pub fn vredmin_vs<S: Sem>(s: &mut S, cx: &Cx, a: VV) -> Flow<S> {
    fold_signed(s, cx, a, Op::MinS)
}

/// Signed maximum.
pub fn vredmax_vs<S: Sem>(s: &mut S, cx: &Cx, a: VV) -> Flow<S> {
    fold_signed(s, cx, a, Op::MaxS)
}

/// The sum of widened elements.
fn wide_sum<S: Sem>(s: &mut S, cx: &Cx, a: VV, signed: bool) -> Flow<S> {
    let legal = |shape: &Shape| {
        let single = shape.apart_from_register((a.vs2, shape.sew), a.vs1);
        shape.sew < 3 && shape.is_group(a.vs2, shape.sew) && single
    };
    let Some(shape) = Shape::of(cx).filter(legal) else { return by_element(s, cx) };
    let ty = Ty::int_lanes(shape.sew + 1);
    let sign = if signed { widen::SIGNED } else { 0 };
    let (zero, mut sum) = (s.vector(0), s.vector(0));
    for n in 0..shape.parts(shape.sew) {
        let active = shape.active(s, a.vm == 0, shape.sew, n);
        let part = s.get_vector(shape.part(a.vs2, n));
        let part = blend(s, active, part, zero);
        for half in [0, widen::HIGH] {
            let wide = s.lanes(Op::Widen, ty, sign | half, &[part]);
            sum = s.v2(Op::Add, ty, sum, wide);
        }
    }
    let sum = within(s, Op::Add, ty, sum);
    let start = s.get_vector(shape.part(a.vs1, 0));
    let value = s.v2(Op::Add, ty, sum, start);
    set_first(s, cx, &shape, (a.vd, shape.sew + 1), value)
}

/// Of unsigned elements.
pub fn vwredsumu_vs<S: Sem>(s: &mut S, cx: &Cx, a: VV) -> Flow<S> {
    wide_sum(s, cx, a, false)
}

/// Of signed elements.
pub fn vwredsum_vs<S: Sem>(s: &mut S, cx: &Cx, a: VV) -> Flow<S> {
    wide_sum(s, cx, a, true)
}

/// All elements folded by `op`, in their order, as scalars of type `F`.
fn float_fold<S: Sem, F: Float>(s: &mut S, cx: &Cx, a: VV, (shape, op): (&Shape, Op)) -> Flow<S> {
    let (rm, ty) = (mode::rounding(cx.at.mode), Ty::int_lanes(shape.sew));
    let start = s.get_vector(shape.part(a.vs1, 0));
    let mut sum = s.extract::<F>(Lane::new(shape.sew, 0), start);
    for n in 0..shape.parts(shape.sew) {
        let part = s.get_vector(shape.part(a.vs2, n));
        for lane in 0..ty.lanes().min((shape.vlmax - u64::from(n) * u64::from(ty.lanes())) as u32) {
            let value = s.extract::<F>(Lane::new(shape.sew, lane as u8), part);
            sum = s.float2(op, sum, value, rm);
        }
    }
    let bits = s.float_to_bits(sum);
    let value = s.splat(ty, bits);
    set_first(s, cx, shape, (a.vd, shape.sew), value)
}

fn ordered<S: Sem>(s: &mut S, cx: &Cx, a: VV, op: Op) -> Flow<S> {
    let all = |shape: &Shape| shape.whole && a.vm != 0 && shape.is_group(a.vs2, shape.sew);
    match float_shape(cx).filter(|(shape, _)| all(shape)) {
        Some((shape, Ty::F32x4)) => float_fold::<S, F32>(s, cx, a, (&shape, op)),
        Some((shape, Ty::F64x2)) => float_fold::<S, F64>(s, cx, a, (&shape, op)),
        _ => by_element(s, cx),
    }
}

macro_rules! ordered {
    ($($name:ident $op:ident;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: VV) -> Flow<S> {
            ordered(s, cx, a, Op::$op)
        }
    )* };
}

ordered! {
    vfredusum_vs FAdd;
    vfredosum_vs FAdd;
    vfredmin_vs FMin;
    vfredmax_vs FMax;
}

/// The sum of all singles, in their order, as doubles.
fn wide_float_sum<S: Sem>(s: &mut S, cx: &Cx, a: VV) -> Flow<S> {
    let legal = |(shape, ty): &(Shape, Ty)| {
        let single = shape.apart_from_register((a.vs2, shape.sew), a.vs1);
        shape.whole && a.vm != 0 && *ty == Ty::F32x4 && shape.is_group(a.vs2, 2) && single
    };
    let Some((shape, _)) = float_shape(cx).filter(|known| legal(known) && cx.has(Ext::Zve64d)) else {
        return by_element(s, cx);
    };
    let rm = mode::rounding(cx.at.mode);
    let start = s.get_vector(shape.part(a.vs1, 0));
    let mut sum = s.extract::<F64>(Lane::new(3, 0), start);
    for i in 0..shape.vlmax {
        let part = s.get_vector(shape.part(a.vs2, (i / 4) as u16));
        let value = s.extract::<F32>(Lane::new(2, (i % 4) as u8), part);
        let value = s.fwiden(value);
        sum = s.float2(Op::FAdd, sum, value, rm);
    }
    let bits = s.float_to_bits(sum);
    let value = s.splat(Ty::I64x2, bits);
    set_first(s, cx, &shape, (a.vd, 3), value)
}

/// The sum of widened elements, in any order.
pub fn vfwredusum_vs<S: Sem>(s: &mut S, cx: &Cx, a: VV) -> Flow<S> {
    wide_float_sum(s, cx, a)
}

/// In order.
pub fn vfwredosum_vs<S: Sem>(s: &mut S, cx: &Cx, a: VV) -> Flow<S> {
    wide_float_sum(s, cx, a)
}

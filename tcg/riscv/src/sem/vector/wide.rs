//! Instructions on lanes of two widths: widening, narrowing and extending integers, 31.11.

use super::by_element::by_element;
use super::lanes::{Operands, leaves_mask, shift_count};
use super::shape::{Shape, blend, change};
use crate::isa::{V1, VU, VV, VX};
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Narrow, Sem, splat_bits, widen};
use tcg_core::ty::Ty;

/// Which sources of a widening instruction have a sign, and whether vs2 is wide already.
#[derive(Clone, Copy)]
struct Sources {
    a_signed: bool,
    b_signed: bool,
    a_wide: bool,
}

/// Half `n & 1` of the lanes of `a`, widened to `ty`.
pub(super) fn half<S: Sem>(s: &mut S, ty: Ty, a: S::W, n: u16, signed: bool) -> S::W {
    let high = if n & 1 != 0 { widen::HIGH } else { 0 };
    s.lanes(Op::Widen, ty, high | if signed { widen::SIGNED } else { 0 }, &[a])
}

/// The destination, of lanes twice as wide, becomes what `f` makes of itself and the sources.
fn widening<S: Sem, A: Operands>(
    s: &mut S,
    cx: &Cx,
    (a, of): (A, Sources),
    f: impl Fn(&mut S, Ty, [S::W; 3]) -> S::W,
) -> Flow<S> {
    let ((vd, vs2, unmasked), vs1) = (a.registers(), a.vs1());
    let legal = |shape: &Shape| {
        let (narrow, wide) = (shape.sew, shape.sew + 1);
        let to = (vd, wide);
        let a_fits = if of.a_wide {
            shape.is_group(vs2, wide) && vs1.is_none_or(|vs1| shape.apart((vs2, wide), (vs1, narrow)))
        } else {
            shape.is_group(vs2, narrow) && shape.apart(to, (vs2, narrow))
        };
        let b_fits = |vs1| shape.is_group(vs1, narrow) && shape.apart(to, (vs1, narrow));
        shape.is_group(vd, wide) && a_fits && vs1.is_none_or(b_fits) && leaves_mask(&a)
    };
    let Some(shape) = Shape::of(cx).filter(legal) else { return by_element(s, cx) };
    let (narrow, ty) = (Ty::int_lanes(shape.sew), Ty::int_lanes(shape.sew + 1));
    let scalar = a.splat(s, narrow);
    change(s, cx, |s| {
        for n in 0..shape.parts(shape.sew + 1) {
            let active = shape.active(s, !unmasked, shape.sew + 1, n);
            let first = s.get_vector(shape.part(vs2, if of.a_wide { n } else { n / 2 }));
            let first = if of.a_wide { first } else { half(s, ty, first, n, of.a_signed) };
            let second = vs1.map_or(scalar, |vs1| s.get_vector(shape.part(vs1, n / 2)));
            let second = half(s, ty, second, n, of.b_signed);
            let old = s.get_vector(shape.part(vd, n));
            let value = f(s, ty, [first, second, old]);
            let value = blend(s, active, value, old);
            s.set_vector(shape.part(vd, n), value);
        }
    })
}

macro_rules! widening {
    ($($($format:ident $name:ident),*: $a:literal $b:literal $wide:literal |$s:ident, $ty:ident, $e:ident| $body:expr;)*) => { $($(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: $format) -> Flow<S> {
            let of = Sources { a_signed: $a, b_signed: $b, a_wide: $wide };
            widening(s, cx, (a, of), |$s, $ty, $e| $body)
        }
    )*)* };
}

fn product_sum<S: Sem>(s: &mut S, ty: Ty, [a, b, d]: [S::W; 3]) -> S::W {
    let product = s.v2(Op::Mul, ty, a, b);
    s.v2(Op::Add, ty, product, d)
}

// Of vs2 and of the other source: has a sign; vs2 is wide.
widening! {
    VV vwaddu_vv, VX vwaddu_vx: false false false |s, ty, e| s.v2(Op::Add, ty, e[0], e[1]);
    VV vwadd_vv, VX vwadd_vx: true true false |s, ty, e| s.v2(Op::Add, ty, e[0], e[1]);
    VV vwsubu_vv, VX vwsubu_vx: false false false |s, ty, e| s.v2(Op::Sub, ty, e[0], e[1]);
    VV vwsub_vv, VX vwsub_vx: true true false |s, ty, e| s.v2(Op::Sub, ty, e[0], e[1]);
    VV vwaddu_wv, VX vwaddu_wx: false false true |s, ty, e| s.v2(Op::Add, ty, e[0], e[1]);
    VV vwadd_wv, VX vwadd_wx: true true true |s, ty, e| s.v2(Op::Add, ty, e[0], e[1]);
    VV vwsubu_wv, VX vwsubu_wx: false false true |s, ty, e| s.v2(Op::Sub, ty, e[0], e[1]);
    VV vwsub_wv, VX vwsub_wx: true true true |s, ty, e| s.v2(Op::Sub, ty, e[0], e[1]);
    VV vwmulu_vv, VX vwmulu_vx: false false false |s, ty, e| s.v2(Op::Mul, ty, e[0], e[1]);
    VV vwmulsu_vv, VX vwmulsu_vx: true false false |s, ty, e| s.v2(Op::Mul, ty, e[0], e[1]);
    VV vwmul_vv, VX vwmul_vx: true true false |s, ty, e| s.v2(Op::Mul, ty, e[0], e[1]);
    VV vwmaccu_vv, VX vwmaccu_vx: false false false |s, ty, e| product_sum(s, ty, e);
    VV vwmacc_vv, VX vwmacc_vx: true true false |s, ty, e| product_sum(s, ty, e);
    VV vwmaccsu_vv, VX vwmaccsu_vx: false true false |s, ty, e| product_sum(s, ty, e);
    VX vwmaccus_vx: true false false |s, ty, e| product_sum(s, ty, e);
    VV vwsll_vv, VX vwsll_vx, VU vwsll_vi: false false false |s, ty, e| {
        let by = shift_count(s, ty, e[1]);
        s.v2(Op::Shl, ty, e[0], by)
    };
}

/// The configuration, if vs2 is a group of twice SEW that stands apart from the others, of SEW, and none is the mask.
pub(super) fn narrowing_shape<A: Operands>(cx: &Cx, a: &A) -> Option<Shape> {
    let ((vd, vs2, _), vs1) = (a.registers(), a.vs1());
    let legal = |shape: &Shape| {
        let (narrow, wide) = (shape.sew, shape.sew + 1);
        let shift_fits = |vs1| shape.is_group(vs1, narrow) && shape.apart((vs1, narrow), (vs2, wide));
        let groups = shape.is_group(vd, narrow) && shape.is_group(vs2, wide) && vs1.is_none_or(shift_fits);
        groups && shape.apart((vd, narrow), (vs2, wide)) && leaves_mask(a)
    };
    Shape::of(cx).filter(legal)
}

/// Lanes of twice SEW shifted right by `op`, and their low halves.
fn narrowing<S: Sem, A: Operands>(s: &mut S, cx: &Cx, a: A, op: Op) -> Flow<S> {
    let ((vd, vs2, unmasked), vs1) = (a.registers(), a.vs1());
    let Some(shape) = narrowing_shape(cx, &a) else { return by_element(s, cx) };
    let (narrow, ty) = (Ty::int_lanes(shape.sew), Ty::int_lanes(shape.sew + 1));
    let scalar = a.splat(s, narrow);
    let mask = s.vector(splat_bits(ty, u64::from(ty.lane_bits()) - 1));
    change(s, cx, |s| {
        for n in 0..shape.parts(shape.sew) {
            let active = shape.active(s, !unmasked, shape.sew, n);
            let by = vs1.map_or(scalar, |vs1| s.get_vector(shape.part(vs1, n)));
            let halves = [0, 1].map(|upper| {
                if 2 * n + upper >= shape.parts(shape.sew + 1) {
                    return s.vector(0);
                }
                let wide = s.get_vector(shape.part(vs2, 2 * n + upper));
                let by = half(s, ty, by, upper, false);
                let by = s.v2(Op::And, Ty::V128, by, mask);
                s.v2(op, ty, wide, by)
            });
            let value = s.lanes(Op::Narrow, narrow, Narrow::Truncate as u64, &halves);
            let old = s.get_vector(shape.part(vd, n));
            let value = blend(s, active, value, old);
            s.set_vector(shape.part(vd, n), value);
        }
    })
}

macro_rules! narrowing {
    ($($format:ident $name:ident $op:ident;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: $format) -> Flow<S> {
            narrowing(s, cx, a, Op::$op)
        }
    )* };
}

narrowing! {
    VV vnsrl_wv ShrU;
    VX vnsrl_wx ShrU;
    VU vnsrl_wi ShrU;
    VV vnsra_wv ShrS;
    VX vnsra_wx ShrS;
    VU vnsra_wi ShrS;
}

/// Elements of SEW from those that are `1 << steps` times as narrow.
fn extend<S: Sem>(s: &mut S, cx: &Cx, a: V1, steps: u8, signed: bool) -> Flow<S> {
    let legal = |shape: &Shape| {
        let Some(from) = shape.sew.checked_sub(steps) else { return false };
        let groups = shape.is_group(a.vd, shape.sew) && shape.is_group(a.vs2, from);
        groups && shape.apart((a.vd, shape.sew), (a.vs2, from)) && leaves_mask(&a)
    };
    let Some(shape) = Shape::of(cx).filter(legal) else { return by_element(s, cx) };
    change(s, cx, |s| {
        for n in 0..shape.parts(shape.sew) {
            let active = shape.active(s, a.vm == 0, shape.sew, n);
            let mut value = s.get_vector(shape.part(a.vs2, n >> steps));
            for step in (0..steps).rev() {
                value = half(s, Ty::int_lanes(shape.sew - step), value, n >> step, signed);
            }
            let old = s.get_vector(shape.part(a.vd, n));
            let value = blend(s, active, value, old);
            s.set_vector(shape.part(a.vd, n), value);
        }
    })
}

macro_rules! extending {
    ($($name:ident $steps:literal $signed:literal;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
            extend(s, cx, a, $steps, $signed)
        }
    )* };
}

extending! {
    vzext_vf2 1 false;
    vsext_vf2 1 true;
    vzext_vf4 2 false;
    vsext_vf4 2 true;
    vzext_vf8 3 false;
    vsext_vf8 3 true;
}

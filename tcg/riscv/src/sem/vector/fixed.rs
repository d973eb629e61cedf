//! Fixed-point arithmetic, 31.12: saturation noted in `vxsat`, rounding by `vxrm`, which the mode tells.

use super::by_element::by_element;
use super::lanes::{Lanes, Operands, each, shape, shift_count};
use super::shape::{blend, change};
use super::wide::{half, narrowing_shape};
use crate::cpu;
use crate::isa::{VI, VU, VV, VX};
use crate::mode::{self, FixedRounding};
use crate::sem::Cx;
use std::cell::Cell;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Narrow, Sem, splat_bits};
use tcg_core::ty::{I64, Ty};

/// Notes in `vxsat` whether any bit of `saturated` is set.
fn note<S: Sem>(s: &mut S, saturated: Option<S::W>) {
    let Some(saturated) = saturated else { return };
    let any = s.any(saturated);
    let (any, old) = (s.bool_to_int(any), s.get::<I64>(cpu::VXSAT));
    let new = s.or(old, any);
    s.set(cpu::VXSAT, new);
}

/// `all`, or what `more` has where lanes are `active` as well.
fn gathered<S: Sem>(s: &mut S, all: Option<S::W>, active: Option<S::W>, more: S::W) -> Option<S::W> {
    let more = match active {
        Some(active) => s.v2(Op::And, Ty::V128, more, active),
        None => more,
    };
    Some(match all {
        Some(all) => s.v2(Op::Or, Ty::V128, all, more),
        None => more,
    })
}

/// The destination becomes the first of what `f` makes; where the second has bits, something was saturated.
fn saturating<S: Sem, A: Operands>(
    s: &mut S,
    cx: &Cx,
    a: A,
    f: impl Fn(&mut S, Ty, &Lanes<S::W>) -> [S::W; 2],
) -> Flow<S> {
    let Some(shape) = shape(cx, &a).filter(|_| mode::is_dirty(cx.at.mode)) else { return by_element(s, cx) };
    let ty = Ty::int_lanes(shape.sew);
    let scalar = a.splat(s, ty);
    let saturated = Cell::new(None);
    let flow = each(s, cx, (a, shape, scalar), |s, e, active| {
        let [value, wrong] = f(s, ty, &e);
        saturated.set(gathered(s, saturated.get(), active, wrong));
        value
    })?;
    note(s, saturated.get());
    Ok(flow)
}

/// By one of the saturating operations and by the wrapping one.
fn both<S: Sem>(s: &mut S, ty: Ty, e: &Lanes<S::W>, (saturates, wraps): (Op, Op)) -> [S::W; 2] {
    let (value, wrapped) = (s.v2(saturates, ty, e.a, e.b), s.v2(wraps, ty, e.a, e.b));
    let wrong = s.v2(Op::Xor, Ty::V128, value, wrapped);
    [value, wrong]
}

/// One in every lane.
fn one<S: Sem>(s: &mut S, ty: Ty) -> S::W {
    s.vector(splat_bits(ty, 1))
}

/// `floor` rounded, whose lost bits are `lost`, the highest first, at the top of each lane.
fn rounded<S: Sem>(s: &mut S, ty: Ty, (floor, lost): (S::W, S::W), how: FixedRounding) -> S::W {
    let bits = ty.lane_bits();
    let one = one(s, ty);
    let up = match how {
        FixedRounding::Down => return floor,
        FixedRounding::Up => s.shift_lanes(Op::ShrU, ty, lost, bits - 1),
        FixedRounding::Even => {
            let (half, rest) =
                (s.shift_lanes(Op::ShrU, ty, lost, bits - 1), s.shift_lanes(Op::Shl, ty, lost, 1));
            let zero = s.vector(0);
            let tie = s.v2(Op::Eq, ty, rest, zero);
            let above = s.vnot(tie);
            let odd_or_above = s.v2(Op::Or, Ty::V128, floor, above);
            s.v2(Op::And, Ty::V128, half, odd_or_above)
        }
        FixedRounding::Odd => {
            let zero = s.vector(0);
            let exact = s.v2(Op::Eq, ty, lost, zero);
            let even = s.v2(Op::AndNot, Ty::V128, one, floor);
            s.v2(Op::AndNot, Ty::V128, even, exact)
        }
    };
    s.v2(Op::Add, ty, floor, up)
}

/// `a` shifted right by `by`, which is less than the lanes' bits, and rounded.
fn scaled<S: Sem>(s: &mut S, (op, ty): (Op, Ty), [a, by]: [S::W; 2], how: FixedRounding) -> S::W {
    let floor = s.v2(op, ty, a, by);
    if how == FixedRounding::Down {
        return floor;
    }
    let bits = s.vector(splat_bits(ty, ty.lane_bits().into()));
    let up = s.v2(Op::Sub, ty, bits, by);
    let lost = s.v2(Op::Shl, ty, a, up);
    rounded(s, ty, (floor, lost), how)
}

/// The mean of a and b, or half of their difference: `shift` is the right shift of their type.
fn averaged<S: Sem>(
    s: &mut S,
    ty: Ty,
    e: &Lanes<S::W>,
    (shift, adds): (Op, bool),
    how: FixedRounding,
) -> S::W {
    if adds && shift == Op::ShrU && how == FixedRounding::Up {
        return s.v2(Op::AvgU, ty, e.a, e.b);
    }
    let differ = s.v2(Op::Xor, Ty::V128, e.a, e.b);
    let halved = s.shift_lanes(shift, ty, differ, 1);
    let floor = if adds {
        let common = s.v2(Op::And, Ty::V128, e.a, e.b);
        s.v2(Op::Add, ty, halved, common)
    } else {
        let borrowed = s.v2(Op::AndNot, Ty::V128, e.b, e.a);
        s.v2(Op::Sub, ty, halved, borrowed)
    };
    let lost = s.shift_lanes(Op::Shl, ty, differ, ty.lane_bits() - 1);
    rounded(s, ty, (floor, lost), how)
}

/// The upper half of twice the product of a and b, rounded, and where it did not fit.
fn fraction<S: Sem>(s: &mut S, ty: Ty, e: &Lanes<S::W>, how: FixedRounding) -> [S::W; 2] {
    let bits = ty.lane_bits();
    let (high, low) = (s.v2(Op::MulHS, ty, e.a, e.b), s.v2(Op::Mul, ty, e.a, e.b));
    let (high, carry) = (s.shift_lanes(Op::Shl, ty, high, 1), s.shift_lanes(Op::ShrU, ty, low, bits - 1));
    let floor = s.v2(Op::Or, Ty::V128, high, carry);
    let lost = s.shift_lanes(Op::Shl, ty, low, 1);
    let value = rounded(s, ty, (floor, lost), how);
    // Of the least number by itself.
    let least = s.vector(splat_bits(ty, 1 << (bits - 1)));
    let (p, q) = (s.v2(Op::Eq, ty, e.a, least), s.v2(Op::Eq, ty, e.b, least));
    let wrong = s.v2(Op::And, Ty::V128, p, q);
    [s.v2(Op::Add, ty, value, wrong), wrong]
}

macro_rules! saturating {
    (|$s:ident, $ty:ident, $e:ident, $how:ident| $($($format:ident $name:ident),*: $body:expr;)*) => { $($(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: $format) -> Flow<S> {
            let $how = mode::fixed_rounding(cx.at.mode);
            saturating(s, cx, a, |$s, $ty, $e| { let _ = $how; $body })
        }
    )*)* };
}

saturating! { |s, ty, e, how|
    VV vsaddu_vv, VX vsaddu_vx, VI vsaddu_vi: both(s, ty, e, (Op::AddSatU, Op::Add));
    VV vsadd_vv, VX vsadd_vx, VI vsadd_vi: both(s, ty, e, (Op::AddSatS, Op::Add));
    VV vssubu_vv, VX vssubu_vx: both(s, ty, e, (Op::SubSatU, Op::Sub));
    VV vssub_vv, VX vssub_vx: both(s, ty, e, (Op::SubSatS, Op::Sub));
    VV vsmul_vv, VX vsmul_vx: fraction(s, ty, e, how);
}

/// Rounds without saturating.
fn rounding<S: Sem, A: Operands>(
    s: &mut S,
    cx: &Cx,
    a: A,
    f: impl Fn(&mut S, Ty, &Lanes<S::W>, FixedRounding) -> S::W,
) -> Flow<S> {
    let Some(shape) = shape(cx, &a) else { return by_element(s, cx) };
    let (ty, how) = (Ty::int_lanes(shape.sew), mode::fixed_rounding(cx.at.mode));
    let scalar = a.splat(s, ty);
    each(s, cx, (a, shape, scalar), |s, e, _| f(s, ty, &e, how))
}

macro_rules! rounding {
    (|$s:ident, $ty:ident, $e:ident, $how:ident| $($($format:ident $name:ident),*: $body:expr;)*) => { $($(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: $format) -> Flow<S> {
            rounding(s, cx, a, |$s, $ty, $e, $how| $body)
        }
    )*)* };
}

rounding! { |s, ty, e, how|
    VV vaaddu_vv, VX vaaddu_vx: averaged(s, ty, e, (Op::ShrU, true), how);
    VV vaadd_vv, VX vaadd_vx: averaged(s, ty, e, (Op::ShrS, true), how);
    VV vasubu_vv, VX vasubu_vx: averaged(s, ty, e, (Op::ShrU, false), how);
    VV vasub_vv, VX vasub_vx: averaged(s, ty, e, (Op::ShrS, false), how);
    VV vssrl_vv, VX vssrl_vx, VU vssrl_vi: {
        let by = shift_count(s, ty, e.b);
        scaled(s, (Op::ShrU, ty), [e.a, by], how)
    };
    VV vssra_vv, VX vssra_vx, VU vssra_vi: {
        let by = shift_count(s, ty, e.b);
        scaled(s, (Op::ShrS, ty), [e.a, by], how)
    };
}

/// `wide` within the bounds of lanes half as wide.
fn clamped<S: Sem>(s: &mut S, ty: Ty, wide: S::W, signed: bool) -> S::W {
    let bits = ty.lane_bits() / 2;
    if !signed {
        let most = s.vector(splat_bits(ty, (1 << bits) - 1));
        return s.v2(Op::MinU, ty, wide, most);
    }
    let most = (1u64 << (bits - 1)) - 1;
    let (least, most) = (s.vector(splat_bits(ty, !most)), s.vector(splat_bits(ty, most)));
    let value = s.v2(Op::MaxS, ty, wide, least);
    s.v2(Op::MinS, ty, value, most)
}

/// Lanes of twice SEW shifted right, rounded, and made to fit.
fn clip<S: Sem, A: Operands>(s: &mut S, cx: &Cx, a: A, signed: bool) -> Flow<S> {
    let ((vd, vs2, unmasked), vs1) = (a.registers(), a.vs1());
    let Some(shape) = narrowing_shape(cx, &a).filter(|_| mode::is_dirty(cx.at.mode)) else {
        return by_element(s, cx);
    };
    let how = mode::fixed_rounding(cx.at.mode);
    let (narrow, ty) = (Ty::int_lanes(shape.sew), Ty::int_lanes(shape.sew + 1));
    let op = if signed { Op::ShrS } else { Op::ShrU };
    let scalar = a.splat(s, narrow);
    let mut saturated = None;
    let flow = change(s, cx, |s| {
        for n in 0..shape.parts(shape.sew) {
            let active = shape.active(s, !unmasked, shape.sew, n);
            let by = vs1.map_or(scalar, |vs1| s.get_vector(shape.part(vs1, n)));
            let halves = [0, 1].map(|upper| {
                if 2 * n + upper >= shape.parts(shape.sew + 1) {
                    return s.vector(0);
                }
                let wide = s.get_vector(shape.part(vs2, 2 * n + upper));
                let by = half(s, ty, by, upper, false);
                let by = shift_count(s, ty, by);
                let value = scaled(s, (op, ty), [wide, by], how);
                let fits = clamped(s, ty, value, signed);
                let wrong = s.v2(Op::Xor, Ty::V128, value, fits);
                let wide_active = shape.active(s, !unmasked, shape.sew + 1, 2 * n + upper);
                saturated = gathered(s, saturated, wide_active, wrong);
                fits
            });
            let value = s.lanes(Op::Narrow, narrow, Narrow::Truncate as u64, &halves);
            let old = s.get_vector(shape.part(vd, n));
            let value = blend(s, active, value, old);
            s.set_vector(shape.part(vd, n), value);
        }
    })?;
    note(s, saturated);
    Ok(flow)
}

macro_rules! clips {
    ($($format:ident $name:ident $signed:literal;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: $format) -> Flow<S> {
            clip(s, cx, a, $signed)
        }
    )* };
}

clips! {
    VV vnclipu_wv false;
    VX vnclipu_wx false;
    VU vnclipu_wi false;
    VV vnclip_wv true;
    VX vnclip_wx true;
    VU vnclip_wi true;
}

//! Narrowing conversions of floats, to them, and between them: 31.13.19.

use super::by_element::by_element;
use super::lanes::{float_shape, ones};
use super::shape::{Shape, blend, change};
use super::wide::narrowing_shape;
use super::wide_float::{widened, wider};
use crate::features::Ext;
use crate::isa::V1;
use crate::mode;
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Narrow, Rm, Sem, splat_bits};
use tcg_core::ty::Ty;

/// The destination becomes what `f` makes of two parts of vs2, whose lanes are twice as wide. Of these, lanes that take no part
/// are `idle`.
fn narrowing<S: Sem>(
    s: &mut S,
    cx: &Cx,
    (a, shape, idle): (V1, Shape, S::W),
    f: impl Fn(&mut S, [S::W; 2], Rm) -> S::W,
) -> Flow<S> {
    let rm = mode::rounding(cx.at.mode);
    change(s, cx, |s| {
        for n in 0..shape.parts(shape.sew) {
            let halves = [0, 1].map(|upper| {
                let n = 2 * n + upper;
                if n >= shape.parts(shape.sew + 1) {
                    return idle;
                }
                let value = s.get_vector(shape.part(a.vs2, n));
                let active = shape.active(s, a.vm == 0, shape.sew + 1, n);
                blend(s, active, value, idle)
            });
            let value = f(s, halves, rm);
            let active = shape.active(s, a.vm == 0, shape.sew, n);
            let old = s.get_vector(shape.part(a.vd, n));
            let value = blend(s, active, value, old);
            s.set_vector(shape.part(a.vd, n), value);
        }
    })
}

/// The configuration where the destination has floats, and their type and the one twice as wide.
fn to_floats(cx: &Cx, a: &V1) -> Option<(Shape, Ty, Ty)> {
    let (_, narrow) = float_shape(cx)?;
    Some((narrowing_shape(cx, a)?, narrow, wider(cx, narrow)?))
}

/// Lanes of two vectors of floats, twice as wide as those of `narrow`, rounded to that.
fn narrowed<S: Sem>(s: &mut S, narrow: Ty, halves: [S::W; 2], rm: Rm) -> S::W {
    let op = if narrow == Ty::F32x4 { Op::FToF } else { Op::FToHalves };
    let [low, high] = halves.map(|a| s.lanes(op, narrow, rm as u64, &[a]));
    s.shuffle(low, high, std::array::from_fn(|i| i as u8 + if i < 8 { 0 } else { 8 }))
}

/// Floats of twice SEW rounded to SEW.
pub fn vfncvt_f_f_w<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
    let Some((shape, narrow, wide)) = to_floats(cx, &a) else { return by_element(s, cx) };
    let idle = ones(s, wide);
    narrowing(s, cx, (a, shape, idle), |s, halves, rm| narrowed(s, narrow, halves, rm))
}

/// The same, rounded to odd: what is inexact has the lowest bit set.
pub fn vfncvt_rod_f_f_w<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
    let Some((shape, narrow, wide)) = to_floats(cx, &a) else { return by_element(s, cx) };
    let idle = ones(s, wide);
    narrowing(s, cx, (a, shape, idle), |s, halves, _| {
        let value = narrowed(s, narrow, halves, Rm::Rtz);
        let ints = integers(wide);
        let inexact = [0, 1].map(|n| {
            let back = widened(s, wide, value, n);
            let half = halves[usize::from(n)];
            let (same, number) = (s.v2(Op::Eq, ints, back, half), s.v2(Op::FEq, wide, half, half));
            s.v2(Op::AndNot, Ty::V128, number, same)
        });
        let to = if narrow == Ty::F32x4 { Ty::I32x4 } else { Ty::I16x8 };
        let (inexact, one) = (truncated(s, to, inexact), s.vector(splat_bits(to, 1)));
        let odd = s.v2(Op::And, Ty::V128, inexact, one);
        s.v2(Op::Or, Ty::V128, value, odd)
    })
}

/// Integer lanes as wide as those of floats.
fn integers(float: Ty) -> Ty {
    match float {
        Ty::F16x8 => Ty::I16x8,
        Ty::F32x4 => Ty::I32x4,
        _ => Ty::I64x2,
    }
}

/// The low halves of the lanes of two vectors.
fn truncated<S: Sem>(s: &mut S, narrow: Ty, halves: [S::W; 2]) -> S::W {
    s.lanes(Op::Narrow, narrow, Narrow::Truncate as u64, &halves)
}

/// Floats of SEW from integers of twice SEW.
fn of_integers<S: Sem>(s: &mut S, cx: &Cx, a: V1, (to, from): (Op, Op)) -> Flow<S> {
    let Some((shape, narrow, wide)) = to_floats(cx, &a) else { return by_element(s, cx) };
    let ints = integers(wide);
    let idle = s.vector(splat_bits(ints, 1));
    narrowing(s, cx, (a, shape, idle), |s, halves, rm| {
        // Rounded to odd, so that rounding once more gives what rounding once would.
        let floats = halves.map(|half| {
            let value = s.lanes(to, wide, Rm::Rtz as u64, &[half]);
            let back = s.lanes(from, ints, Rm::Rtz as u64, &[value]);
            let (same, one) = (s.v2(Op::Eq, ints, back, half), s.vector(splat_bits(ints, 1)));
            let odd = s.v2(Op::AndNot, Ty::V128, one, same);
            s.v2(Op::Or, Ty::V128, value, odd)
        });
        narrowed(s, narrow, floats, rm)
    })
}

/// From signed integers.
pub fn vfncvt_f_x_w<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
    of_integers(s, cx, a, (Op::SToF, Op::FToS))
}

/// From unsigned integers.
pub fn vfncvt_f_xu_w<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
    of_integers(s, cx, a, (Op::UToF, Op::FToU))
}

/// The least and the greatest float, and whether they count, that become an integer of so many bits.
fn limits(bits: u32, signed: bool, rm: Rm) -> [(f64, bool); 2] {
    let end = f64::from(bits - u32::from(signed)).exp2();
    let start = if signed { -end } else { 0.0 };
    match rm {
        Rm::Rtz => [(start - 1.0, false), (end, false)],
        Rm::Rdn => [(start, true), (end, false)],
        Rm::Rup => [(start - 1.0, false), (end - 1.0, true)],
        // Ties go to `start`, which is even, and to `end`.
        Rm::Rne => [(start - 0.5, true), (end - 0.5, false)],
        Rm::Rmm => [(start - 0.5, false), (end - 0.5, false)],
    }
}

/// `value`, which it can be exactly, in every lane of floats.
fn splat_float<S: Sem>(s: &mut S, ty: Ty, value: f64) -> S::W {
    let bits = match ty {
        Ty::F64x2 => value.to_bits(),
        Ty::F32x4 => (value as f32).to_bits().into(),
        _ if value == 0.0 => 0,
        _ => {
            // Normal numbers: the exponent has another bias, and ten bits of fraction are left.
            let bits = value.to_bits();
            (bits >> 48 & 0x8000) | ((bits >> 52 & 0x7ff) - 1023 + 15) << 10 | bits >> 42 & 0x3ff
        }
    };
    s.vector(splat_bits(ty, bits))
}

/// Integers of SEW from floats of twice SEW, rounded in the current mode unless `rm` says how.
fn to_integers<S: Sem>(s: &mut S, cx: &Cx, a: V1, (signed, rm): (bool, Option<Rm>)) -> Flow<S> {
    let known = || {
        let shape = narrowing_shape(cx, &a)?;
        let wide = match shape.sew {
            0 if cx.has(Ext::Zvfh) => Ty::F16x8,
            1 => Ty::F32x4,
            2 if cx.has(Ext::Zve64d) => Ty::F64x2,
            _ => return None,
        };
        mode::float_ready(cx.at.mode).then_some((shape, wide))
    };
    let Some((shape, wide)) = known() else { return by_element(s, cx) };
    let (narrow, ints) = (Ty::int_lanes(shape.sew), integers(wide));
    let idle = ones(s, wide);
    narrowing(s, cx, (a, shape, idle), |s, halves, current| {
        let rm = rm.unwrap_or(current);
        let bits = narrow.lane_bits();
        let compare = |s: &mut S, counts: bool, a: S::W, b: S::W| {
            s.v2(if counts { Op::FLe } else { Op::FLt }, wide, a, b)
        };
        let [(least, least_counts), (most, most_counts)] = limits(bits, signed, rm);
        let (least, most) = (splat_float(s, wide, least), splat_float(s, wide, most));
        let max = u64::MAX >> (64 - bits + u32::from(signed));
        let min = if signed { max + 1 } else { 0 };
        let (max, min) = (s.vector(splat_bits(ints, max)), s.vector(splat_bits(ints, min)));
        // Out of the wider integers' range as well, so that it is invalid and not inexact.
        let invalid = s.vector(u128::MAX);
        let results = halves.map(|value| {
            // What is not a number counts as too large.
            let above_least = compare(s, least_counts, least, value);
            let below_most = compare(s, most_counts, value, most);
            let fits = s.v2(Op::And, Ty::V128, above_least, below_most);
            let value = s.bitselect(fits, value, invalid);
            let result = s.lanes(Op::FToS, ints, rm as u64, &[value]);
            let result = s.bitselect(fits, result, max);
            let small = s.v2(Op::AndNot, Ty::V128, below_most, above_least);
            s.bitselect(small, min, result)
        });
        truncated(s, narrow, results)
    })
}

macro_rules! to_integers {
    ($($name:ident $signed:literal $rm:expr;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
            to_integers(s, cx, a, ($signed, $rm))
        }
    )* };
}

to_integers! {
    vfncvt_x_f_w true None;
    vfncvt_xu_f_w false None;
    vfncvt_rtz_x_f_w true Some(Rm::Rtz);
    vfncvt_rtz_xu_f_w false Some(Rm::Rtz);
}

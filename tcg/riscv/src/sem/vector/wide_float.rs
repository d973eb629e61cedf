//! Floats twice as wide as others: widening arithmetic, 31.13.2 and on, and widening conversions, 31.13.18.

use super::by_element::by_element;
use super::lanes::{Operands, float_shape, leaves_mask, ones};
use super::shape::{Shape, blend, change};
use super::wide::half;
use crate::features::Ext;
use crate::isa::{V1, VV, VX};
use crate::mode;
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Rm, Sem, splat_bits};
use tcg_core::ty::Ty;

/// Lanes of floats twice as wide as those of `narrow`.
pub(super) fn wider(cx: &Cx, narrow: Ty) -> Option<Ty> {
    match narrow {
        Ty::F16x8 => Some(Ty::F32x4),
        Ty::F32x4 if cx.has(Ext::Zve64d) => Some(Ty::F64x2),
        _ => None,
    }
}

/// Half `n & 1` of the lanes of `a` as floats of type `ty`, which are twice as wide.
pub(super) fn widened<S: Sem>(s: &mut S, ty: Ty, a: S::W, n: u16) -> S::W {
    let a = if n & 1 != 0 { s.shuffle(a, a, std::array::from_fn(|i| (i as u8 + 8) % 16)) } else { a };
    s.lanes(if ty == Ty::F64x2 { Op::FToF } else { Op::FOfHalves }, ty, Rm::Rne as u64, &[a])
}

/// The configuration of an instruction with a destination twice as wide, and both types.
fn widening_shape<A: Operands>(cx: &Cx, a: &A, a_wide: bool) -> Option<(Shape, Ty, Ty)> {
    let ((vd, vs2, _), vs1) = (a.registers(), a.vs1());
    let (shape, narrow_ty) = float_shape(cx)?;
    let (narrow, wide) = (shape.sew, shape.sew + 1);
    let apart = |register| shape.is_group(register, narrow) && shape.apart((vd, wide), (register, narrow));
    let a_fits = if a_wide {
        shape.is_group(vs2, wide) && vs1.is_none_or(|vs1| shape.apart((vs2, wide), (vs1, narrow)))
    } else {
        apart(vs2)
    };
    let legal = shape.is_group(vd, wide) && a_fits && vs1.is_none_or(apart) && leaves_mask(a);
    Some((shape, narrow_ty, wider(cx, narrow_ty).filter(|_| legal)?))
}

/// The destination becomes what `f` makes of both sources, widened, and of itself; `a_wide`: vs2 is wide already.
fn widening<S: Sem, A: Operands>(
    s: &mut S,
    cx: &Cx,
    (a, a_wide): (A, bool),
    f: impl Fn(&mut S, Ty, [S::W; 3], Rm) -> S::W,
) -> Flow<S> {
    let ((vd, vs2, unmasked), vs1) = (a.registers(), a.vs1());
    let Some((shape, narrow, ty)) = widening_shape(cx, &a, a_wide) else { return by_element(s, cx) };
    let rm = mode::rounding(cx.at.mode);
    let scalar = a.splat_float(s, narrow);
    change(s, cx, |s| {
        for n in 0..shape.parts(shape.sew + 1) {
            // Lanes that take no part raise nothing.
            let quiet = |s: &mut S, (eew, n): (u8, u16), value: S::W, ty: Ty| {
                let active = shape.active(s, !unmasked, eew, n);
                if active.is_none() {
                    return value;
                }
                let one = ones(s, ty);
                blend(s, active, value, one)
            };
            let narrow_part = |s: &mut S, value: S::W| {
                let value = quiet(s, (shape.sew, n / 2), value, narrow);
                widened(s, ty, value, n)
            };
            let first = if a_wide {
                let value = s.get_vector(shape.part(vs2, n));
                quiet(s, (shape.sew + 1, n), value, ty)
            } else {
                let value = s.get_vector(shape.part(vs2, n / 2));
                narrow_part(s, value)
            };
            let second = vs1.map_or(scalar, |vs1| s.get_vector(shape.part(vs1, n / 2)));
            let second = narrow_part(s, second);
            let old = s.get_vector(shape.part(vd, n));
            let third = quiet(s, (shape.sew + 1, n), old, ty);
            let value = f(s, ty, [first, second, third], rm);
            let active = shape.active(s, !unmasked, shape.sew + 1, n);
            let value = blend(s, active, value, old);
            s.set_vector(shape.part(vd, n), value);
        }
    })
}

/// First times second plus third, the product or the third negated.
fn fused<S: Sem>(s: &mut S, ty: Ty, ([a, b, c], rm): ([S::W; 3], Rm), product: bool, addend: bool) -> S::W {
    let signs = s.vector(splat_bits(ty, 1 << (ty.lane_bits() - 1)));
    let mut signed = |v, negative| if negative { s.v2(Op::Xor, Ty::V128, v, signs) } else { v };
    let (a, c) = (signed(a, product), signed(c, addend));
    s.lanes(Op::FMulAdd, ty, rm as u64, &[a, b, c])
}

macro_rules! widening {
    (|$s:ident, $ty:ident, $e:ident, $rm:ident| $($($format:ident $name:ident),*: $wide:literal $body:expr;)*) => { $($(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: $format) -> Flow<S> {
            widening(s, cx, (a, $wide), |$s, $ty, $e, $rm| $body)
        }
    )*)* };
}

// Whether vs2 is wide.
widening! { |s, ty, e, rm|
    VV vfwadd_vv, VX vfwadd_vf: false s.lanes(Op::FAdd, ty, rm as u64, &[e[0], e[1]]);
    VV vfwsub_vv, VX vfwsub_vf: false s.lanes(Op::FSub, ty, rm as u64, &[e[0], e[1]]);
    VV vfwmul_vv, VX vfwmul_vf: false s.lanes(Op::FMul, ty, rm as u64, &[e[0], e[1]]);
    VV vfwadd_wv, VX vfwadd_wf: true s.lanes(Op::FAdd, ty, rm as u64, &[e[0], e[1]]);
    VV vfwsub_wv, VX vfwsub_wf: true s.lanes(Op::FSub, ty, rm as u64, &[e[0], e[1]]);
    VV vfwmacc_vv, VX vfwmacc_vf: false fused(s, ty, (e, rm), false, false);
    VV vfwnmacc_vv, VX vfwnmacc_vf: false fused(s, ty, (e, rm), true, true);
    VV vfwmsac_vv, VX vfwmsac_vf: false fused(s, ty, (e, rm), false, true);
    VV vfwnmsac_vv, VX vfwnmsac_vf: false fused(s, ty, (e, rm), true, false);
}

/// Converts to lanes twice as wide, of which `f` makes what it makes of floats of that width.
fn widening_of_floats<S: Sem>(
    s: &mut S,
    cx: &Cx,
    a: V1,
    f: impl Fn(&mut S, Ty, S::W, Rm) -> S::W,
) -> Flow<S> {
    let Some((shape, narrow, ty)) = widening_shape(cx, &a, false) else { return by_element(s, cx) };
    let rm = mode::rounding(cx.at.mode);
    change(s, cx, |s| {
        for n in 0..shape.parts(shape.sew + 1) {
            let mut value = s.get_vector(shape.part(a.vs2, n / 2));
            if let Some(active) = shape.active(s, a.vm == 0, shape.sew, n / 2) {
                let one = ones(s, narrow);
                value = blend(s, Some(active), value, one);
            }
            let value = widened(s, ty, value, n);
            let value = f(s, ty, value, rm);
            let old = s.get_vector(shape.part(a.vd, n));
            let active = shape.active(s, a.vm == 0, shape.sew + 1, n);
            let value = blend(s, active, value, old);
            s.set_vector(shape.part(a.vd, n), value);
        }
    })
}

/// Lanes of integers as wide as those of floats.
fn integers(ty: Ty) -> Ty {
    if ty == Ty::F64x2 { Ty::I64x2 } else { Ty::I32x4 }
}

macro_rules! of_floats {
    ($($name:ident |$s:ident, $ty:ident, $a:ident, $rm:ident| $body:expr;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
            widening_of_floats(s, cx, a, |$s, $ty, $a, $rm| $body)
        }
    )* };
}

of_floats! {
    vfwcvt_f_f_v |s, ty, a, rm| { let _ = (s, ty, rm); a };
    vfwcvt_x_f_v |s, ty, a, rm| s.lanes(Op::FToS, integers(ty), rm as u64, &[a]);
    vfwcvt_xu_f_v |s, ty, a, rm| s.lanes(Op::FToU, integers(ty), rm as u64, &[a]);
    vfwcvt_rtz_x_f_v |s, ty, a, rm| { let _ = rm; s.lanes(Op::FToS, integers(ty), Rm::Rtz as u64, &[a]) };
    vfwcvt_rtz_xu_f_v |s, ty, a, rm| { let _ = rm; s.lanes(Op::FToU, integers(ty), Rm::Rtz as u64, &[a]) };
}

/// Floats of twice SEW from integers, all of which they can be.
fn widening_of_integers<S: Sem>(s: &mut S, cx: &Cx, a: V1, signed: bool) -> Flow<S> {
    let known = || {
        let shape = Shape::of(cx)?;
        let ty = match shape.sew {
            1 => Ty::F32x4,
            2 if cx.has(Ext::Zve64d) => Ty::F64x2,
            _ => return None,
        };
        let groups = shape.is_group(a.vd, shape.sew + 1) && shape.is_group(a.vs2, shape.sew);
        let apart = shape.apart((a.vd, shape.sew + 1), (a.vs2, shape.sew));
        (mode::float_ready(cx.at.mode) && groups && apart && leaves_mask(&a)).then_some((shape, ty))
    };
    let Some((shape, ty)) = known() else { return by_element(s, cx) };
    let rm = mode::rounding(cx.at.mode);
    change(s, cx, |s| {
        for n in 0..shape.parts(shape.sew + 1) {
            let value = s.get_vector(shape.part(a.vs2, n / 2));
            let value = half(s, integers(ty), value, n, signed);
            // Without a sign it is not negative in twice the bits.
            let value = s.lanes(Op::SToF, ty, rm as u64, &[value]);
            let old = s.get_vector(shape.part(a.vd, n));
            let active = shape.active(s, a.vm == 0, shape.sew + 1, n);
            let value = blend(s, active, value, old);
            s.set_vector(shape.part(a.vd, n), value);
        }
    })
}

/// From signed integers.
pub fn vfwcvt_f_x_v<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
    widening_of_integers(s, cx, a, true)
}

/// From unsigned integers.
pub fn vfwcvt_f_xu_v<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
    widening_of_integers(s, cx, a, false)
}

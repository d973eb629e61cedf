//! Moves of single elements and slides by one: 31.16.

use super::by_element::by_element;
use super::lanes::{float_shape, leaves_mask, splat_f, splat_x};
use super::shape::{Shape, blend, change, numbers};
use crate::cpu;
use crate::isa::{V2ToX, V2X, VX};
use crate::sem::float::Kind;
use crate::sem::{Cx, set_x};
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Sem};
use tcg_core::ty::{F16, F32, F64, I32, I64, Ty};

/// Element 0 to an integer register.
pub fn vmv_x_s<S: Sem>(s: &mut S, cx: &Cx, a: V2ToX) -> Flow<S> {
    let Some(shape) = Shape::of(cx) else { return by_element(s, cx) };
    let part = s.get_vector(shape.part(a.vs2, 0));
    let value = s.extract::<I64>(Lane::new(shape.sew, 0).signed(), part);
    change(s, cx, |s| set_x(s, a.rd, value))
}

/// Element 0 to a float register.
pub fn vfmv_f_s<S: Sem>(s: &mut S, cx: &Cx, a: V2ToX) -> Flow<S> {
    let Some((shape, ty)) = float_shape(cx) else { return by_element(s, cx) };
    let part = s.get_vector(shape.part(a.vs2, 0));
    let lane = Lane::new(shape.sew, 0);
    match ty {
        Ty::F64x2 => {
            let bits = s.extract(lane, part);
            change(s, cx, |s| F64::set_bits(s, a.rd, bits))
        }
        Ty::F32x4 => {
            let bits = s.extract::<I32>(lane, part);
            change(s, cx, |s| F32::set_bits(s, a.rd, bits))
        }
        _ => {
            let bits = s.extract::<I32>(lane, part);
            change(s, cx, |s| F16::set_bits(s, a.rd, bits))
        }
    }
}

/// Element 0 becomes `value`'s, if there is one.
fn set_first<S: Sem>(s: &mut S, cx: &Cx, shape: &Shape, vd: u8, value: S::W) -> Flow<S> {
    let part = shape.part(vd, 0);
    let first = s.vector(u128::MAX >> (128 - (8 << shape.sew)));
    let old = s.get_vector(part);
    let mut value = s.bitselect(first, value, old);
    if !shape.whole {
        let (vl, zero) = (s.get::<I64>(cpu::VL), s.k(0));
        let any = s.ne(vl, zero);
        value = s.select_vector(any, value, old);
    }
    change(s, cx, |s| s.set_vector(part, value))
}

/// An integer register to element 0.
pub fn vmv_s_x<S: Sem>(s: &mut S, cx: &Cx, a: V2X) -> Flow<S> {
    let Some(shape) = Shape::of(cx) else { return by_element(s, cx) };
    let value = splat_x(s, a.rs1, Ty::int_lanes(shape.sew));
    set_first(s, cx, &shape, a.vd, value)
}

/// A float register to element 0.
pub fn vfmv_s_f<S: Sem>(s: &mut S, cx: &Cx, a: V2X) -> Flow<S> {
    let Some((shape, ty)) = float_shape(cx) else { return by_element(s, cx) };
    let value = splat_f(s, a.rs1, ty);
    set_first(s, cx, &shape, a.vd, value)
}

/// Elements move up by one, `first` comes to the lowest place; or down, and it comes to the highest.
fn slide<S: Sem>(s: &mut S, cx: &Cx, a: VX, (shape, up, first): (Shape, bool, S::W)) -> Flow<S> {
    let groups = shape.is_group(a.vd, shape.sew) && shape.is_group(a.vs2, shape.sew);
    let apart = shape.apart((a.vd, shape.sew), (a.vs2, shape.sew));
    if !groups || !apart && (up || a.vd != a.vs2) || !leaves_mask(&a) {
        return by_element(s, cx);
    }
    let (ty, size, count) = (Ty::int_lanes(shape.sew), 1u8 << shape.sew, shape.parts(shape.sew));
    change(s, cx, |s| {
        let parts: Vec<_> = (0..count).map(|n| s.get_vector(shape.part(a.vs2, n))).collect();
        for n in 0..count {
            let at = usize::from(n);
            let value = if up {
                let before = if n == 0 { first } else { parts[at - 1] };
                s.shuffle(before, parts[at], std::array::from_fn(|i| 16 - size + i as u8))
            } else {
                let after = *parts.get(at + 1).unwrap_or(&first);
                let value = s.shuffle(parts[at], after, std::array::from_fn(|i| size + i as u8));
                // The last element of the body.
                let lanes = u64::from(n) * u64::from(ty.lanes());
                let last = if shape.whole {
                    s.k(shape.vlmax - 1 - lanes.min(shape.vlmax - 1))
                } else {
                    let vl = s.get::<I64>(cpu::VL);
                    s.add_imm(vl, -1 - lanes as i64)
                };
                let (limit, last) = (s.k(u64::from(ty.lanes())), last);
                let here = s.ltu(last, limit);
                let (numbers, place) = (numbers(s, ty, 0), s.splat(ty, last));
                let is_last = s.v2(Op::Eq, ty, numbers, place);
                let with = s.bitselect(is_last, first, value);
                if shape.whole {
                    if n + 1 == count { with } else { value }
                } else {
                    s.select_vector(here, with, value)
                }
            };
            let active = shape.active(s, a.vm == 0, shape.sew, n);
            let old = s.get_vector(shape.part(a.vd, n));
            let value = blend(s, active, value, old);
            s.set_vector(shape.part(a.vd, n), value);
        }
    })
}

fn slide_integer<S: Sem>(s: &mut S, cx: &Cx, a: VX, up: bool) -> Flow<S> {
    let Some(shape) = Shape::of(cx) else { return by_element(s, cx) };
    let first = splat_x(s, a.rs1, Ty::int_lanes(shape.sew));
    slide(s, cx, a, (shape, up, first))
}

fn slide_float<S: Sem>(s: &mut S, cx: &Cx, a: VX, up: bool) -> Flow<S> {
    let Some((shape, ty)) = float_shape(cx) else { return by_element(s, cx) };
    let first = splat_f(s, a.rs1, ty);
    slide(s, cx, a, (shape, up, first))
}

/// Up by one, an integer below.
pub fn vslide1up_vx<S: Sem>(s: &mut S, cx: &Cx, a: VX) -> Flow<S> {
    slide_integer(s, cx, a, true)
}

/// Down by one, an integer above.
pub fn vslide1down_vx<S: Sem>(s: &mut S, cx: &Cx, a: VX) -> Flow<S> {
    slide_integer(s, cx, a, false)
}

/// Up by one, a float below.
pub fn vfslide1up_vf<S: Sem>(s: &mut S, cx: &Cx, a: VX) -> Flow<S> {
    slide_float(s, cx, a, true)
}

/// Down by one, a float above.
pub fn vfslide1down_vf<S: Sem>(s: &mut S, cx: &Cx, a: VX) -> Flow<S> {
    slide_float(s, cx, a, false)
}

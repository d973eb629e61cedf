//! Slides by more than one, gathers and compression: 31.16.3 to 31.16.5.
//!
//! Elements are found by the numbers of their bytes in the group, of which tables of a part each give those that they have.

use super::by_element::by_element;
use super::lanes::Operands;
use super::shape::{Shape, blend, change, numbers};
use crate::cpu;
use crate::helpers;
use crate::isa::{VU, VV, VVM, VX};
use crate::mode;
use crate::sem::{Cx, x};
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Narrow, Sem, V, splat_bits, widen};
use tcg_core::ty::{I64, Ty};

/// Most parts of a group whose bytes numbers of eight bits can tell apart from others.
const MAX_TABLES: u16 = 4;

/// The configuration, if vd and vs2 are groups of SEW that have nothing in common, or the same (`same` allows it).
fn shape(cx: &Cx, (vd, vs2, unmasked): (u8, u8, bool), same: bool) -> Option<Shape> {
    let shape = Shape::of(cx)?;
    let groups = shape.is_group(vd, shape.sew) && shape.is_group(vs2, shape.sew);
    let apart = shape.apart((vd, shape.sew), (vs2, shape.sew)) || same && vd == vs2;
    (groups && apart && (unmasked || vd != 0 && vs2 != 0)).then_some(shape)
}

/// The parts of the group at `register`; what is behind VLMAX is zero.
fn parts<S: Sem>(s: &mut S, shape: &Shape, register: u8) -> Vec<S::W> {
    let bytes = shape.vlmax << shape.sew;
    let all = (0..shape.parts(shape.sew)).map(|n| s.get_vector(shape.part(register, n))).collect::<Vec<_>>();
    if bytes >= 16 {
        return all;
    }
    let there = s.vector((1 << (8 * bytes)) - 1);
    all.into_iter().map(|part| s.v2(Op::And, Ty::V128, part, there)).collect()
}

/// The bytes that `places` numbers; zero where there is no such one.
fn looked_up<S: Sem>(s: &mut S, tables: &[S::W], places: S::W) -> S::W {
    let mut all = s.v2(Op::Table, Ty::V128, tables[0], places);
    for (n, table) in tables.iter().enumerate().skip(1) {
        let before = s.vector(splat_bits(Ty::I8x16, 16 * n as u64));
        let places = s.v2(Op::Sub, Ty::I8x16, places, before);
        let some = s.v2(Op::Table, Ty::V128, *table, places);
        all = s.v2(Op::Or, Ty::V128, all, some);
    }
    all
}

/// Puts what `f` makes of each part's number into the destination, where lanes take part.
fn put<S: Sem>(
    s: &mut S,
    cx: &Cx,
    (shape, vd, unmasked): (Shape, u8, bool),
    mut f: impl FnMut(&mut S, u16, S::W) -> S::W,
) -> Flow<S> {
    change(s, cx, |s| {
        for n in 0..shape.parts(shape.sew) {
            let old = s.get_vector(shape.part(vd, n));
            let value = f(s, n, old);
            let active = shape.active(s, !unmasked, shape.sew, n);
            let value = blend(s, active, value, old);
            s.set_vector(shape.part(vd, n), value);
        }
    })
}

/// By a constant number of elements.
fn slide_by<S: Sem>(s: &mut S, cx: &Cx, a: VU, up: bool) -> Flow<S> {
    let (vd, vs2, unmasked) = a.registers();
    let Some(shape) = shape(cx, (vd, vs2, unmasked), !up) else { return by_element(s, cx) };
    let (offset, sources) = (i64::from(a.uimm) << shape.sew, parts(s, &shape, vs2));
    let bytes = (shape.vlmax << shape.sew) as i64;
    let zero = s.vector(0);
    put(s, cx, (shape, vd, unmasked), |s, n, old| {
        let first = 16 * i64::from(n) + if up { -offset } else { offset };
        let (from, start) = (first.div_euclid(16), first.rem_euclid(16) as u8);
        let source = |n: i64| usize::try_from(n).ok().and_then(|n| sources.get(n)).copied().unwrap_or(zero);
        let moved = s.shuffle(source(from), source(from + 1), std::array::from_fn(|i| start + i as u8));
        if !up || first >= 0 {
            return moved;
        }
        // Those below the distance stay.
        let kept = (-first).min(bytes).min(16) as u32;
        let below = s.vector(if kept == 16 { u128::MAX } else { (1 << (8 * kept)) - 1 });
        s.bitselect(below, old, moved)
    })
}

/// Slide up by a constant.
pub fn vslideup_vi<S: Sem>(s: &mut S, cx: &Cx, a: VU) -> Flow<S> {
    slide_by(s, cx, a, true)
}

/// Slide down by a constant.
pub fn vslidedown_vi<S: Sem>(s: &mut S, cx: &Cx, a: VU) -> Flow<S> {
    slide_by(s, cx, a, false)
}

/// `value`, or `most` if it is more.
fn at_most<S: Sem>(s: &mut S, value: V<S, I64>, most: u64) -> V<S, I64> {
    let most = s.k(most);
    let less = s.ltu(value, most);
    s.select(less, value, most)
}

/// The configuration, if numbers of bytes have eight bits.
fn small(shape: Option<Shape>) -> Option<Shape> {
    shape.filter(|shape| shape.parts(shape.sew) <= MAX_TABLES)
}

/// By as many elements as a register says.
fn slide<S: Sem>(s: &mut S, cx: &Cx, a: VX, up: bool) -> Flow<S> {
    let (vd, vs2, unmasked) = a.registers();
    let Some(shape) = small(shape(cx, (vd, vs2, unmasked), !up)) else { return by_element(s, cx) };
    let distance = x(s, a.rs1);
    let (distance, by) = (at_most(s, distance, shape.vlmax), s.k(shape.sew.into()));
    let offset = s.shl(distance, by);
    let offset = s.splat(Ty::I8x16, offset);
    let sources = parts(s, &shape, vs2);
    put(s, cx, (shape, vd, unmasked), |s, n, old| {
        let here = numbers(s, Ty::I8x16, 16 * u64::from(n));
        let places = s.v2(if up { Op::Sub } else { Op::Add }, Ty::I8x16, here, offset);
        let moved = looked_up(s, &sources, places);
        if !up {
            return moved;
        }
        let below = s.v2(Op::LtU, Ty::I8x16, here, offset);
        s.bitselect(below, old, moved)
    })
}

/// Slide up.
pub fn vslideup_vx<S: Sem>(s: &mut S, cx: &Cx, a: VX) -> Flow<S> {
    slide(s, cx, a, true)
}

/// Slide down.
pub fn vslidedown_vx<S: Sem>(s: &mut S, cx: &Cx, a: VX) -> Flow<S> {
    slide(s, cx, a, false)
}

/// One element everywhere, by a constant.
pub fn vrgather_vi<S: Sem>(s: &mut S, cx: &Cx, a: VU) -> Flow<S> {
    let (vd, vs2, unmasked) = a.registers();
    let Some(shape) = shape(cx, (vd, vs2, unmasked), false) else { return by_element(s, cx) };
    let (at, size) = (u64::from(a.uimm) << shape.sew, 1u8 << shape.sew);
    let value = if u64::from(a.uimm) < shape.vlmax {
        let part = s.get_vector(shape.part(vs2, (at / 16) as u16));
        s.shuffle(part, part, std::array::from_fn(|i| (at % 16) as u8 + i as u8 % size))
    } else {
        s.vector(0)
    };
    put(s, cx, (shape, vd, unmasked), |_, _, _| value)
}

/// One element everywhere, by a register.
pub fn vrgather_vx<S: Sem>(s: &mut S, cx: &Cx, a: VX) -> Flow<S> {
    let (vd, vs2, unmasked) = a.registers();
    let Some(shape) = small(shape(cx, (vd, vs2, unmasked), false)) else { return by_element(s, cx) };
    let index = x(s, a.rs1);
    let (index, by) = (at_most(s, index, shape.vlmax), s.k(shape.sew.into()));
    let at = s.shl(index, by);
    let at = s.splat(Ty::I8x16, at);
    let places = within_element(s, shape.sew, at);
    let tables = parts(s, &shape, vs2);
    let value = looked_up(s, &tables, places);
    put(s, cx, (shape, vd, unmasked), |_, _, _| value)
}

/// The bytes of elements of `1 << sew` bytes, whose first bytes all bytes of `at` number.
fn within_element<S: Sem>(s: &mut S, sew: u8, at: S::W) -> S::W {
    let size = 1u8 << sew;
    let own = s.vector(u128::from_le_bytes(std::array::from_fn(|i| i as u8 % size)));
    s.v2(Op::Add, Ty::I8x16, at, own)
}

/// The bytes of the elements that the lanes of `index` number, as numbers; of those that there are not, numbers of none.
fn places<S: Sem>(s: &mut S, shape: &Shape, index: S::W) -> S::W {
    let ty = Ty::int_lanes(shape.sew);
    // Of bytes, VLMAX may be more than they can tell.
    let beyond = (shape.vlmax <= ty.mask()).then(|| {
        let max = s.vector(splat_bits(ty, shape.vlmax));
        let there = s.v2(Op::LtU, ty, index, max);
        s.vnot(there)
    });
    let at = s.shift_lanes(Op::Shl, ty, index, shape.sew.into());
    let size = 1u8 << shape.sew;
    let at = s.shuffle(at, at, std::array::from_fn(|i| i as u8 / size * size));
    let at = within_element(s, shape.sew, at);
    match beyond {
        Some(beyond) => s.v2(Op::Or, Ty::V128, at, beyond),
        None => at,
    }
}

/// Part `n` of the indices as lanes of SEW; they have `1 << iew` bytes.
fn indices<S: Sem>(s: &mut S, shape: &Shape, (vs1, iew, n): (u8, u8, u16)) -> S::W {
    if iew == shape.sew {
        return s.get_vector(shape.part(vs1, n));
    }
    if shape.sew == 0 {
        // Saturated: no element has so high a number.
        let (first, last) = (2 * n, (2 * n + 1).min(shape.parts(1) - 1));
        let halves = [first, last].map(|n| s.get_vector(shape.part(vs1, n)));
        return s.lanes(Op::Narrow, Ty::I8x16, Narrow::UnsignedToUnsigned as u64, &halves);
    }
    let steps = shape.sew - iew;
    let mut value = s.get_vector(shape.part(vs1, n >> steps));
    for step in (0..steps).rev() {
        let high = if n >> step & 1 != 0 { widen::HIGH } else { 0 };
        value = s.lanes(Op::Widen, Ty::int_lanes(shape.sew - step), high, &[value]);
    }
    value
}

fn gather<S: Sem>(s: &mut S, cx: &Cx, a: VV, iew: Option<u8>) -> Flow<S> {
    let (vd, vs2, unmasked) = a.registers();
    let legal = |shape: &Shape| {
        let index = (a.vs1, iew.unwrap_or(shape.sew));
        let apart = |group| shape.apart(group, index);
        shape.is_group(index.0, index.1)
            && apart((vd, shape.sew))
            && (index.1 == shape.sew || apart((vs2, shape.sew)))
            // Numbers of bytes that saturate have to be those of none.
            && shape.vlmax < 256
            && (unmasked || a.vs1 != 0)
    };
    let Some(shape) = small(shape(cx, (vd, vs2, unmasked), false)).filter(legal) else {
        return by_element(s, cx);
    };
    let tables = parts(s, &shape, vs2);
    put(s, cx, (shape, vd, unmasked), |s, n, _| {
        let index = indices(s, &shape, (a.vs1, iew.unwrap_or(shape.sew), n));
        let places = places(s, &shape, index);
        looked_up(s, &tables, places)
    })
}

/// Gather.
pub fn vrgather_vv<S: Sem>(s: &mut S, cx: &Cx, a: VV) -> Flow<S> {
    gather(s, cx, a, None)
}

/// Gather by indices of 16 bits.
pub fn vrgatherei16_vv<S: Sem>(s: &mut S, cx: &Cx, a: VV) -> Flow<S> {
    gather(s, cx, a, Some(1))
}

/// The elements whose bits are set, side by side.
pub fn vcompress_vm<S: Sem>(s: &mut S, cx: &Cx, a: VVM) -> Flow<S> {
    let legal = |shape: &Shape| {
        let apart = shape.apart_from_register((a.vd, shape.sew), a.vs1);
        shape.parts(shape.sew) == 1 && apart && mode::vectors(cx.at.mode).is_some()
    };
    let Some(shape) = shape(cx, (a.vd, a.vs2, true), false).filter(legal) else { return by_element(s, cx) };
    let mask = s.get_vector(shape.part(a.vs1, 0));
    let mask = s.extract::<I64>(Lane::new(3, 0), mask);
    let mask = if shape.whole {
        s.zext(mask, shape.vlmax as u32)
    } else {
        let (vl, one) = (s.get::<I64>(cpu::VL), s.k(1));
        let bits = s.shl(one, vl);
        let body = s.add_imm(bits, -1);
        s.and(mask, body)
    };
    let mask = s.splat(Ty::I64x2, mask);
    let (from, old) = (s.get_vector(shape.part(a.vs2, 0)), s.get_vector(shape.part(a.vd, 0)));
    let value = s.call_vector(helpers::COMPRESS, shape.sew.into(), &[from, mask, old]);
    change(s, cx, |s| s.set_vector(shape.part(a.vd, 0), value))
}

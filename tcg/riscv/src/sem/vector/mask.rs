//! Masks: comparisons that give them, 31.11.8 and 31.13.13, and what is done with them, 31.15. A mask is handled in words of
//! 64 bits.

use super::by_element::by_element;
use super::lanes::{Operands, float_shape, ones};
use super::shape::{Shape, blend, change, numbers};
use crate::cpu;
use crate::isa::{V0, V1, VI, VIM, VToX, VV, VVM, VX, VXM};
use crate::sem::{Cx, set_x};
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Narrow, Sem, V};
use tcg_core::ty::{I64, Ty};

/// How many words a mask has.
fn words(shape: &Shape) -> u16 {
    shape.vlmax.div_ceil(64) as u16
}

/// Word `n` of mask register `register`.
fn word<S: Sem>(s: &mut S, shape: &Shape, register: u8, n: u16) -> V<S, I64> {
    let part = s.get_vector(shape.part(register, n / 2));
    s.extract(Lane::new(3, (n % 2) as u8), part)
}

/// The bits of word `n` that are in the body.
fn body<S: Sem>(s: &mut S, shape: &Shape, n: u16) -> V<S, I64> {
    let first = 64 * u64::from(n);
    if shape.whole {
        return s.k(u64::MAX >> (64 - (shape.vlmax - first).min(64)));
    }
    // Fewer than VLMAX.
    let (vl, one, ones) = (s.get::<I64>(cpu::VL), s.k(1), s.k(u64::MAX));
    let bits = s.shl(one, vl);
    let bits = s.add(bits, ones);
    if shape.vlmax <= 64 {
        return bits;
    }
    let left = s.add_imm(vl, -(first as i64));
    let (zero, all) = (s.k(0), s.k(63));
    let (before, after) = (s.lts(left, zero), s.lts(all, left));
    let bits = s.select(after, ones, bits);
    s.select(before, zero, bits)
}

/// The bits of word `n` that take part.
pub(super) fn active<S: Sem>(s: &mut S, shape: &Shape, masked: bool, n: u16) -> V<S, I64> {
    let body = body(s, shape, n);
    if !masked {
        return body;
    }
    let mask = word(s, shape, 0, n);
    s.and(mask, body)
}

/// Mask register `vd` becomes `new`, word by word, where bits of `active` are set.
fn write<S: Sem>(s: &mut S, shape: &Shape, vd: u8, (n, new, active): (u16, V<S, I64>, V<S, I64>)) {
    let old = word(s, shape, vd, n);
    let (new, others) = (s.and(new, active), s.not(active));
    let old = s.and(old, others);
    let value = s.or(new, old);
    let (part, lane) = (shape.part(vd, n / 2), u32::from(n % 2));
    let register = s.get_vector(part);
    let register = s.insert(Ty::I64x2, lane, register, value);
    s.set_vector(part, register);
}

/// The words of a mask whose bits are the lanes of `parts`, of `1 << eew` bytes, of ones or zeros.
fn gather<S: Sem>(s: &mut S, parts: &[S::W], eew: u8) -> Vec<V<S, I64>> {
    let mut chunks = parts.to_vec();
    for narrow in (0..eew).rev() {
        let zero = s.vector(0);
        let pairs = chunks.chunks(2).map(|pair| [pair[0], *pair.get(1).unwrap_or(&zero)]);
        let pairs: Vec<_> = pairs.collect();
        // What hosts do at once; of ones and zeros all make the same.
        let how = if narrow == 2 { Narrow::Truncate } else { Narrow::SignedToSigned } as u64;
        chunks = pairs.iter().map(|pair| s.lanes(Op::Narrow, Ty::int_lanes(narrow), how, pair)).collect();
    }
    let words = chunks.chunks(4).map(|four| {
        let mut word = s.k::<I64>(0);
        for (n, chunk) in four.iter().enumerate() {
            let bits = s.byte_signs(*chunk);
            let (bits, by) = (s.zextw(bits), s.k(16 * n as u64));
            let bits = s.shl(bits, by);
            word = s.or(word, bits);
        }
        word
    });
    words.collect()
}

/// Compares the sources by `test`, which gives lanes of ones or zeros; `negated`: of zeros or ones.
fn compare<S: Sem, A: Operands>(
    s: &mut S,
    cx: &Cx,
    (a, float, negated): (A, bool, bool),
    test: impl Fn(&mut S, Ty, S::W, S::W) -> S::W,
) -> Flow<S> {
    let ((vd, vs2, unmasked), vs1) = (a.registers(), a.vs1());
    let known =
        if float { float_shape(cx) } else { Shape::of(cx).map(|shape| (shape, Ty::int_lanes(shape.sew))) };
    // A mask may stand in the first register of a source, no other.
    let fits = |shape: &Shape, register| {
        let (group, to) = ((register, shape.sew), vd);
        shape.is_group(register, shape.sew) && (to == register || shape.apart_from_register(group, to))
    };
    let legal = |(shape, _): &(Shape, Ty)| fits(shape, vs2) && vs1.is_none_or(|vs1| fits(shape, vs1));
    let Some((shape, ty)) = known.filter(legal) else { return by_element(s, cx) };
    let scalar = if float { a.splat_float(s, ty) } else { a.splat(s, ty) };
    change(s, cx, |s| {
        let mut lanes = Vec::new();
        for n in 0..shape.parts(shape.sew) {
            let b = vs1.map_or(scalar, |vs1| s.get_vector(shape.part(vs1, n)));
            let mut operands = [s.get_vector(shape.part(vs2, n)), b];
            if float && let Some(active) = shape.active(s, !unmasked, shape.sew, n) {
                let one = ones(s, ty);
                operands = operands.map(|operand| blend(s, Some(active), operand, one));
            }
            lanes.push(test(s, ty, operands[0], operands[1]));
        }
        let words = gather(s, &lanes, shape.sew);
        let actives: Vec<_> = (0..words.len() as u16).map(|n| active(s, &shape, !unmasked, n)).collect();
        for (n, (bits, active)) in words.into_iter().zip(actives).enumerate() {
            let bits = if negated { s.not(bits) } else { bits };
            write(s, &shape, vd, (n as u16, bits, active));
        }
    })
}

macro_rules! compares {
    ($float:literal: $($($format:ident $name:ident),*: $negated:literal |$s:ident, $ty:ident, $a:ident, $b:ident| $body:expr;)*) => { $($(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: $format) -> Flow<S> {
            compare(s, cx, (a, $float, $negated), |$s, $ty, $a, $b| $body)
        }
    )*)* };
}

compares! { false:
    VV vmseq_vv, VX vmseq_vx, VI vmseq_vi: false |s, ty, a, b| s.v2(Op::Eq, ty, a, b);
    VV vmsne_vv, VX vmsne_vx, VI vmsne_vi: true |s, ty, a, b| s.v2(Op::Eq, ty, a, b);
    VV vmsltu_vv, VX vmsltu_vx: false |s, ty, a, b| s.v2(Op::LtU, ty, a, b);
    VV vmslt_vv, VX vmslt_vx: false |s, ty, a, b| s.v2(Op::LtS, ty, a, b);
    VV vmsleu_vv, VX vmsleu_vx, VI vmsleu_vi: true |s, ty, a, b| s.v2(Op::LtU, ty, b, a);
    VV vmsle_vv, VX vmsle_vx, VI vmsle_vi: true |s, ty, a, b| s.v2(Op::LtS, ty, b, a);
    VX vmsgtu_vx, VI vmsgtu_vi: false |s, ty, a, b| s.v2(Op::LtU, ty, b, a);
    VX vmsgt_vx, VI vmsgt_vi: false |s, ty, a, b| s.v2(Op::LtS, ty, b, a);
}

compares! { true:
    VV vmfeq_vv, VX vmfeq_vf: false |s, ty, a, b| s.v2(Op::FEq, ty, a, b);
    VV vmfne_vv, VX vmfne_vf: true |s, ty, a, b| s.v2(Op::FEq, ty, a, b);
    VV vmflt_vv, VX vmflt_vf: false |s, ty, a, b| s.v2(Op::FLt, ty, a, b);
    VV vmfle_vv, VX vmfle_vf: false |s, ty, a, b| s.v2(Op::FLe, ty, a, b);
    VX vmfgt_vf: false |s, ty, a, b| s.v2(Op::FLt, ty, b, a);
    VX vmfge_vf: false |s, ty, a, b| s.v2(Op::FLe, ty, b, a);
}

/// The carries of sums, or the borrows of differences, of which `carried` has those that come in from the mask.
fn carries<S: Sem, A: Operands>(s: &mut S, cx: &Cx, a: A, (adds, carried): (bool, bool)) -> Flow<S> {
    let ((vd, vs2, _), vs1) = (a.registers(), a.vs1());
    let fits = |shape: &Shape, register| {
        shape.is_group(register, shape.sew)
            && (vd == register || shape.apart_from_register((register, shape.sew), vd))
    };
    let legal =
        |shape: &Shape| fits(shape, vs2) && vs1.is_none_or(|vs1| fits(shape, vs1)) && !(carried && vd == 0);
    let Some(shape) = Shape::of(cx).filter(legal) else { return by_element(s, cx) };
    let ty = Ty::int_lanes(shape.sew);
    let scalar = a.splat(s, ty);
    change(s, cx, |s| {
        let mut lanes = Vec::new();
        for n in 0..shape.parts(shape.sew) {
            let v = s.get_vector(shape.part(vs2, n));
            let w = vs1.map_or(scalar, |vs1| s.get_vector(shape.part(vs1, n)));
            let result = s.v2(if adds { Op::Add } else { Op::Sub }, ty, v, w);
            lanes.push(match (adds, carried) {
                (true, false) => s.v2(Op::LtU, ty, result, v),
                (false, false) => s.v2(Op::LtU, ty, v, w),
                (_, true) => {
                    // Ones in a lane are minus one.
                    let mask = shape.mask(s, shape.sew, n);
                    let result = s.v2(if adds { Op::Sub } else { Op::Add }, ty, result, mask);
                    let (p, lost) = if adds { (v, s.vnot(result)) } else { (s.vnot(v), result) };
                    let (both, either) = (s.v2(Op::And, Ty::V128, p, w), s.v2(Op::Or, Ty::V128, p, w));
                    let one = s.v2(Op::And, Ty::V128, either, lost);
                    let bits = s.v2(Op::Or, Ty::V128, both, one);
                    s.shift_lanes(Op::ShrS, ty, bits, ty.lane_bits() - 1)
                }
            });
        }
        let words = gather(s, &lanes, shape.sew);
        let bodies: Vec<_> = (0..words.len() as u16).map(|n| body(s, &shape, n)).collect();
        for (n, (bits, body)) in words.into_iter().zip(bodies).enumerate() {
            write(s, &shape, vd, (n as u16, bits, body));
        }
    })
}

macro_rules! carries {
    ($($($format:ident $name:ident),*: $adds:literal $carried:literal;)*) => { $($(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: $format) -> Flow<S> {
            carries(s, cx, a, ($adds, $carried))
        }
    )*)* };
}

carries! {
    VVM vmadc_vvm, VXM vmadc_vxm, VIM vmadc_vim: true true;
    VVM vmadc_vv, VXM vmadc_vx, VIM vmadc_vi: true false;
    VVM vmsbc_vvm, VXM vmsbc_vxm: false true;
    VVM vmsbc_vv, VXM vmsbc_vx: false false;
}

/// Logic between masks.
fn logic<S: Sem>(
    s: &mut S,
    cx: &Cx,
    a: VVM,
    f: impl Fn(&mut S, V<S, I64>, V<S, I64>) -> V<S, I64>,
) -> Flow<S> {
    let Some(shape) = Shape::of(cx) else { return by_element(s, cx) };
    change(s, cx, |s| {
        for n in 0..words(&shape) {
            let (v, w, body) = (word(s, &shape, a.vs2, n), word(s, &shape, a.vs1, n), body(s, &shape, n));
            let value = f(s, v, w);
            write(s, &shape, a.vd, (n, value, body));
        }
    })
}

macro_rules! logics {
    ($($name:ident |$s:ident, $a:ident, $b:ident| $body:expr;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: VVM) -> Flow<S> {
            logic(s, cx, a, |$s, $a, $b| $body)
        }
    )* };
}

logics! {
    vmand_mm |s, a, b| s.and(a, b);
    vmnand_mm |s, a, b| { let v = s.and(a, b); s.not(v) };
    vmandn_mm |s, a, b| { let b = s.not(b); s.and(a, b) };
    vmxor_mm |s, a, b| s.xor(a, b);
    vmor_mm |s, a, b| s.or(a, b);
    vmnor_mm |s, a, b| { let v = s.or(a, b); s.not(v) };
    vmorn_mm |s, a, b| { let b = s.not(b); s.or(a, b) };
    vmxnor_mm |s, a, b| { let v = s.xor(a, b); s.not(v) };
}

/// How many bits are set.
pub fn vcpop_m<S: Sem>(s: &mut S, cx: &Cx, a: VToX) -> Flow<S> {
    let Some(shape) = Shape::of(cx) else { return by_element(s, cx) };
    let mut count = s.k(0);
    for n in 0..words(&shape) {
        let (bits, active) = (word(s, &shape, a.vs2, n), active(s, &shape, a.vm == 0, n));
        let bits = s.and(bits, active);
        let more = s.popcnt(bits);
        count = s.add(count, more);
    }
    scalar(s, cx, a.rd, count)
}

/// The first bit that is set.
pub fn vfirst_m<S: Sem>(s: &mut S, cx: &Cx, a: VToX) -> Flow<S> {
    let Some(shape) = Shape::of(cx) else { return by_element(s, cx) };
    let mut first = s.k(u64::MAX);
    for n in (0..words(&shape)).rev() {
        let (bits, active) = (word(s, &shape, a.vs2, n), active(s, &shape, a.vm == 0, n));
        let (bits, zero) = (s.and(bits, active), s.k(0));
        let at = s.ctz(bits);
        let (at, any) = (s.add_imm(at, 64 * i64::from(n)), s.ne(bits, zero));
        first = s.select(any, at, first);
    }
    scalar(s, cx, a.rd, first)
}

/// A scalar result; as any vector instruction it makes the unit's state dirty.
fn scalar<S: Sem>(s: &mut S, cx: &Cx, rd: u8, value: V<S, I64>) -> Flow<S> {
    change(s, cx, |s| set_x(s, rd, value))
}

/// One of `vmsbf`, `vmsif`, `vmsof`: `f` of the bits, and of all those up to and with the first that is set.
fn up_to_first<S: Sem>(
    s: &mut S,
    cx: &Cx,
    a: V1,
    f: impl FnOnce(&mut S, V<S, I64>, V<S, I64>) -> V<S, I64>,
) -> Flow<S> {
    let legal = |shape: &Shape| words(shape) == 1 && a.vd != a.vs2 && (a.vm != 0 || a.vd != 0);
    let Some(shape) = Shape::of(cx).filter(legal) else { return by_element(s, cx) };
    let (bits, active) = (word(s, &shape, a.vs2, 0), active(s, &shape, a.vm == 0, 0));
    let bits = s.and(bits, active);
    let below = s.add_imm(bits, -1);
    let with_first = s.xor(bits, below);
    let value = f(s, bits, with_first);
    change(s, cx, |s| write(s, &shape, a.vd, (0, value, active)))
}

/// All bits before the first that is set.
pub fn vmsbf_m<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
    up_to_first(s, cx, a, |s, bits, with_first| {
        let others = s.not(bits);
        s.and(with_first, others)
    })
}

/// These and the first.
pub fn vmsif_m<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
    up_to_first(s, cx, a, |_, _, with_first| with_first)
}

/// The first alone.
pub fn vmsof_m<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
    up_to_first(s, cx, a, |s, bits, with_first| s.and(with_first, bits))
}

/// How many bits are set below each element's, of those that take part.
pub fn viota_m<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
    let legal = |shape: &Shape| {
        let apart = shape.apart_from_register((a.vd, shape.sew), a.vs2);
        shape.is_group(a.vd, shape.sew) && apart && (a.vm != 0 || a.vd != 0)
    };
    let Some(shape) = Shape::of(cx).filter(legal) else { return by_element(s, cx) };
    let (ty, eew) = (Ty::int_lanes(shape.sew), shape.sew);
    change(s, cx, |s| {
        let mut before = s.k::<I64>(0);
        let parts: Vec<_> = (0..shape.parts(eew))
            .map(|n| {
                let mut set = shape.bits(s, a.vs2, eew, n);
                if a.vm == 0 {
                    let mask = shape.mask(s, eew, n);
                    set = s.v2(Op::And, Ty::V128, set, mask);
                }
                // Ones in a lane are minus one. Twice as many lanes are added up with each step.
                let size = 1u8 << eew;
                let mut sums = set;
                for by in (0..4 - eew).map(|step| size << step) {
                    let from = |i: usize| (i as u8).checked_sub(by).unwrap_or(32);
                    let below = s.shuffle(sums, sums, std::array::from_fn(from));
                    sums = s.v2(Op::Add, ty, sums, below);
                }
                let (base, others) = (s.splat(ty, before), s.v2(Op::Sub, ty, sums, set));
                let all = s.extract::<I64>(Lane::new(eew, (ty.lanes() - 1) as u8).signed(), sums);
                before = s.sub(before, all);
                s.v2(Op::Sub, ty, base, others)
            })
            .collect();
        for (n, value) in (0..).zip(parts) {
            let active = shape.active(s, a.vm == 0, eew, n);
            let old = s.get_vector(shape.part(a.vd, n));
            let value = blend(s, active, value, old);
            s.set_vector(shape.part(a.vd, n), value);
        }
    })
}

/// The numbers of the elements.
pub fn vid_v<S: Sem>(s: &mut S, cx: &Cx, a: V0) -> Flow<S> {
    let legal = |shape: &Shape| shape.is_group(a.vd, shape.sew) && (a.vm != 0 || a.vd != 0);
    let Some(shape) = Shape::of(cx).filter(legal) else { return by_element(s, cx) };
    let ty = Ty::int_lanes(shape.sew);
    change(s, cx, |s| {
        for n in 0..shape.parts(shape.sew) {
            let active = shape.active(s, a.vm == 0, shape.sew, n);
            let old = s.get_vector(shape.part(a.vd, n));
            let value = numbers(s, ty, u64::from(n) * u64::from(ty.lanes()));
            let value = blend(s, active, value, old);
            s.set_vector(shape.part(a.vd, n), value);
        }
    })
}

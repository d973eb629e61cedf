//! Instructions that work on lanes of one width: integers, 31.11; floats, 31.13; Zvkb, 33.

use super::by_element::by_element;
use super::shape::{Shape, blend, change};
use crate::features::Ext;
use crate::isa::*;
use crate::mode;
use crate::sem::float::Kind;
use crate::sem::{Cx, x};
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Rm, Sem, splat_bits};
use tcg_core::ty::{F16, F32, F64, Ty};

/// What an instruction works on, whatever its format.
pub trait Operands {
    /// Destination, second source, and whether nothing is masked off.
    fn registers(&self) -> (u8, u8, bool);
    /// The other source: a register, if it is one.
    fn vs1(&self) -> Option<u8> {
        None
    }
    /// The other source: an integer in every lane.
    fn splat<S: Sem>(&self, s: &mut S, ty: Ty) -> S::W;
    /// The other source: a float in every lane.
    fn splat_float<S: Sem>(&self, s: &mut S, ty: Ty) -> S::W {
        self.splat(s, ty)
    }
}

pub(super) fn splat_x<S: Sem>(s: &mut S, n: u8, ty: Ty) -> S::W {
    let value = x(s, n);
    s.splat(ty, value)
}

pub(super) fn splat_f<S: Sem>(s: &mut S, n: u8, ty: Ty) -> S::W {
    match ty {
        Ty::F64x2 => {
            let value = F64::get(s, n);
            s.splat(ty, value)
        }
        Ty::F16x8 => {
            let bits = F16::bits(s, n);
            s.splat(Ty::I16x8, bits)
        }
        _ => {
            let value = F32::get(s, n);
            s.splat(ty, value)
        }
    }
}

macro_rules! operands {
    ($($format:ident |$a:ident, $s:ident, $ty:ident|: $vs2:expr, $vm:expr, $vs1:expr, $splat:expr, $float:expr;)*) => { $(
        #[allow(unused_variables, reason = "not every format needs all that it is given")]
        impl Operands for $format {
            fn registers(&self) -> (u8, u8, bool) {
                let $a = self;
                ($a.vd, $vs2, $vm)
            }
            fn vs1(&self) -> Option<u8> {
                let $a = self;
                $vs1
            }
            fn splat<S: Sem>(&self, $s: &mut S, $ty: Ty) -> S::W {
                let $a = self;
                $splat
            }
            fn splat_float<S: Sem>(&self, $s: &mut S, $ty: Ty) -> S::W {
                let $a = self;
                $float
            }
        }
    )* };
}

operands! {
    VV |a, s, _ty|: a.vs2, a.vm != 0, Some(a.vs1), s.vector(0), s.vector(0);
    VX |a, s, ty|: a.vs2, a.vm != 0, None, splat_x(s, a.rs1, ty), splat_f(s, a.rs1, ty);
    VI |a, s, ty|: a.vs2, a.vm != 0, None, s.vector(splat_bits(ty, a.imm as u64)), s.vector(0);
    VU |a, s, ty|: a.vs2, a.vm != 0, None, s.vector(splat_bits(ty, a.uimm.into())), s.vector(0);
    VRor |a, s, ty|: a.vs2, a.vm != 0, None, s.vector(splat_bits(ty, a.uimm.into())), s.vector(0);
    VVM |a, s, _ty|: a.vs2, true, Some(a.vs1), s.vector(0), s.vector(0);
    VXM |a, s, ty|: a.vs2, true, None, splat_x(s, a.rs1, ty), splat_f(s, a.rs1, ty);
    VIM |a, s, ty|: a.vs2, true, None, s.vector(splat_bits(ty, a.imm as u64)), s.vector(0);
    V1 |a, s, _ty|: a.vs2, a.vm != 0, None, s.vector(0), s.vector(0);
    V2V |a, s, _ty|: a.vd, true, Some(a.vs1), s.vector(0), s.vector(0);
    V2X |a, s, ty|: a.vd, true, None, splat_x(s, a.rs1, ty), splat_f(s, a.rs1, ty);
    V2I |a, s, ty|: a.vd, true, None, s.vector(splat_bits(ty, a.imm as u64)), s.vector(0);
}

/// One part of the operands: vs2, the other source, what the destination holds; the rounding mode.
pub(super) struct Lanes<W> {
    pub a: W,
    pub b: W,
    pub d: W,
    pub rm: Rm,
}

/// The configuration, if all registers are groups of SEW and none is the mask.
pub(super) fn shape<A: Operands>(cx: &Cx, a: &A) -> Option<Shape> {
    let shape = Shape::of(cx)?;
    let (vd, vs2, _) = a.registers();
    let all = [vd, vs2, a.vs1().unwrap_or(vd)];
    let groups = all.iter().all(|register| shape.is_group(*register, shape.sew));
    (groups && leaves_mask(a)).then_some(shape)
}

/// Whether no operand is the mask, where there is one (31.5.3).
pub(super) fn leaves_mask<A: Operands>(a: &A) -> bool {
    let (vd, vs2, unmasked) = a.registers();
    unmasked || vd != 0 && vs2 != 0 && a.vs1() != Some(0)
}

/// What a float instruction works on, if the unit is ready.
pub(super) fn float_shape(cx: &Cx) -> Option<(Shape, Ty)> {
    let shape = Shape::of(cx)?;
    let ready = mode::float_ready(cx.at.mode);
    let ty = match shape.sew {
        1 if cx.has(Ext::Zvfh) => Ty::F16x8,
        2 => Ty::F32x4,
        3 if cx.has(Ext::Zve64d) => Ty::F64x2,
        _ => return None,
    };
    ready.then_some((shape, ty))
}

/// 1.0 in every lane.
pub(super) fn ones<S: Sem>(s: &mut S, ty: Ty) -> S::W {
    let one = match ty {
        Ty::F16x8 => 0x3c00,
        Ty::F32x4 => 0x3f80_0000,
        _ => 0x3ff0 << 48,
    };
    s.vector(splat_bits(ty, one))
}

/// Puts what `f` makes of each part into the destination, where lanes take part.
pub(super) fn each<S: Sem, A: Operands>(
    s: &mut S,
    cx: &Cx,
    (a, shape, scalar): (A, Shape, S::W),
    f: impl Fn(&mut S, Lanes<S::W>, Option<S::W>) -> S::W,
) -> Flow<S> {
    let ((vd, vs2, unmasked), vs1) = (a.registers(), a.vs1());
    let rm = mode::rounding(cx.at.mode);
    change(s, cx, |s| {
        for n in 0..shape.parts(shape.sew) {
            let active = shape.active(s, !unmasked, shape.sew, n);
            let b = vs1.map_or(scalar, |vs1| s.get_vector(shape.part(vs1, n)));
            let (a, d) = (s.get_vector(shape.part(vs2, n)), s.get_vector(shape.part(vd, n)));
            let value = f(s, Lanes { a, b, d, rm }, active);
            let value = blend(s, active, value, d);
            s.set_vector(shape.part(vd, n), value);
        }
    })
}

pub(super) fn integers<S: Sem, A: Operands>(
    s: &mut S,
    cx: &Cx,
    a: A,
    f: impl Fn(&mut S, Ty, Lanes<S::W>) -> S::W,
) -> Flow<S> {
    let Some(shape) = shape(cx, &a) else { return by_element(s, cx) };
    let ty = Ty::int_lanes(shape.sew);
    let scalar = a.splat(s, ty);
    each(s, cx, (a, shape, scalar), |s, e, _| f(s, ty, e))
}

fn floats<S: Sem, A: Operands>(
    s: &mut S,
    cx: &Cx,
    a: A,
    f: impl Fn(&mut S, Ty, Lanes<S::W>) -> S::W,
) -> Flow<S> {
    let (Some(shape), Some((_, ty))) = (shape(cx, &a), float_shape(cx)) else { return by_element(s, cx) };
    let scalar = a.splat_float(s, ty);
    each(s, cx, (a, shape, scalar), |s, mut e, active| {
        // Lanes that take no part raise nothing.
        if active.is_some() {
            let one = ones(s, ty);
            for operand in [&mut e.a, &mut e.b, &mut e.d] {
                *operand = blend(s, active, *operand, one);
            }
        }
        f(s, ty, e)
    })
}

/// Instructions that have the mask as a third operand: it says nothing about what takes part. `twice`: it may be another as well, as
/// in QEMU.
fn with_mask<S: Sem, A: Operands>(
    s: &mut S,
    cx: &Cx,
    (a, twice): (A, bool),
    f: impl Fn(&mut S, Ty, Lanes<S::W>, S::W) -> S::W,
) -> Flow<S> {
    let (vd, vs2, _) = a.registers();
    let apart = vd != 0 && (twice || vs2 != 0 && a.vs1() != Some(0));
    let Some(shape) = shape(cx, &a).filter(|_| apart) else { return by_element(s, cx) };
    let ty = Ty::int_lanes(shape.sew);
    let scalar = a.splat(s, ty);
    selected(s, cx, (a, shape, scalar), |s, e, mask| f(s, ty, e, mask))
}

fn selected<S: Sem, A: Operands>(
    s: &mut S,
    cx: &Cx,
    (a, shape, scalar): (A, Shape, S::W),
    f: impl Fn(&mut S, Lanes<S::W>, S::W) -> S::W,
) -> Flow<S> {
    let ((vd, vs2, _), vs1) = (a.registers(), a.vs1());
    change(s, cx, |s| {
        for n in 0..shape.parts(shape.sew) {
            let (active, mask) = (shape.active(s, false, shape.sew, n), shape.mask(s, shape.sew, n));
            let b = vs1.map_or(scalar, |vs1| s.get_vector(shape.part(vs1, n)));
            let (a, d) = (s.get_vector(shape.part(vs2, n)), s.get_vector(shape.part(vd, n)));
            let value = f(s, Lanes { a, b, d, rm: Rm::Rne }, mask);
            let value = blend(s, active, value, d);
            s.set_vector(shape.part(vd, n), value);
        }
    })
}

/// Elements of the other source where the mask is set, else of vs2; floats.
pub fn vfmerge_vfm<S: Sem>(s: &mut S, cx: &Cx, a: VXM) -> Flow<S> {
    let (Some(shape), Some((_, ty))) = (shape(cx, &a).filter(|_| a.vd != 0 && a.vs2 != 0), float_shape(cx))
    else {
        return by_element(s, cx);
    };
    let scalar = splat_f(s, a.rs1, ty);
    selected(s, cx, (a, shape, scalar), |s, e, mask| s.bitselect(mask, e.b, e.a))
}

macro_rules! with_mask {
    (|$s:ident, $ty:ident, $e:ident, $mask:ident| $($($format:ident $name:ident),*: $twice:literal $body:expr;)*) => { $($(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: $format) -> Flow<S> {
            with_mask(s, cx, (a, $twice), |$s, $ty, $e, $mask| $body)
        }
    )*)* };
}

with_mask! { |s, ty, e, mask|
    VVM vmerge_vvm, VXM vmerge_vxm, VIM vmerge_vim: false { let _ = ty; s.bitselect(mask, e.b, e.a) };
    // Ones in a lane are minus one.
    VVM vadc_vvm, VXM vadc_vxm, VIM vadc_vim: true { let sum = s.v2(Op::Add, ty, e.a, e.b); s.v2(Op::Sub, ty, sum, mask) };
    VVM vsbc_vvm, VXM vsbc_vxm: true { let rest = s.v2(Op::Sub, ty, e.a, e.b); s.v2(Op::Add, ty, rest, mask) };
}

/// The low bits of `by`, which shifts take as their count.
pub(super) fn shift_count<S: Sem>(s: &mut S, ty: Ty, by: S::W) -> S::W {
    let mask = s.vector(splat_bits(ty, u64::from(ty.lane_bits()) - 1));
    s.v2(Op::And, Ty::V128, by, mask)
}

fn shift<S: Sem>(s: &mut S, op: Op, ty: Ty, e: &Lanes<S::W>) -> S::W {
    let by = shift_count(s, ty, e.b);
    s.v2(op, ty, e.a, by)
}

/// Shifted one way by the low bits of the count, and what that pushes out comes back at the other end.
fn rotate<S: Sem>(s: &mut S, ty: Ty, e: &Lanes<S::W>, (there, back): (Op, Op)) -> S::W {
    let bits = u64::from(ty.lane_bits());
    let (mask, all) = (s.vector(splat_bits(ty, bits - 1)), s.vector(splat_bits(ty, bits)));
    let by = s.v2(Op::And, Ty::V128, e.b, mask);
    let rest = s.v2(Op::Sub, ty, all, by);
    let (a, b) = (s.v2(there, ty, e.a, by), s.v2(back, ty, e.a, rest));
    s.v2(Op::Or, Ty::V128, a, b)
}

/// `a` with the sign bits of every lane turned.
fn negate<S: Sem>(s: &mut S, ty: Ty, a: S::W) -> S::W {
    let signs = signs(s, ty);
    s.v2(Op::Xor, Ty::V128, a, signs)
}

fn signs<S: Sem>(s: &mut S, ty: Ty) -> S::W {
    s.vector(splat_bits(ty, 1 << (ty.lane_bits() - 1)))
}

/// First times second plus third, each negated if asked for: the product, the sum.
fn fused<S: Sem>(s: &mut S, ty: Ty, (args, rm): ([S::W; 3], Rm), product: bool, addend: bool) -> S::W {
    let [a, b, c] = args;
    let a = if product { negate(s, ty, a) } else { a };
    let c = if addend { negate(s, ty, c) } else { c };
    s.lanes(Op::FMulAdd, ty, rm as u64, &[a, b, c])
}

macro_rules! lanes {
    ($how:ident |$s:ident, $ty:ident, $e:ident| $($($format:ident $name:ident),*: $body:expr;)*) => { $($(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: $format) -> Flow<S> {
            $how(s, cx, a, |$s, $ty, $e| $body)
        }
    )*)* };
}

lanes! { integers |s, ty, e|
    VV vadd_vv, VX vadd_vx, VI vadd_vi: s.v2(Op::Add, ty, e.a, e.b);
    VV vsub_vv, VX vsub_vx: s.v2(Op::Sub, ty, e.a, e.b);
    VX vrsub_vx, VI vrsub_vi: s.v2(Op::Sub, ty, e.b, e.a);
    VV vminu_vv, VX vminu_vx: s.v2(Op::MinU, ty, e.a, e.b);
    VV vmin_vv, VX vmin_vx: s.v2(Op::MinS, ty, e.a, e.b);
    VV vmaxu_vv, VX vmaxu_vx: s.v2(Op::MaxU, ty, e.a, e.b);
    VV vmax_vv, VX vmax_vx: s.v2(Op::MaxS, ty, e.a, e.b);
    VV vand_vv, VX vand_vx, VI vand_vi: { let _ = ty; s.v2(Op::And, Ty::V128, e.a, e.b) };
    VV vor_vv, VX vor_vx, VI vor_vi: { let _ = ty; s.v2(Op::Or, Ty::V128, e.a, e.b) };
    VV vxor_vv, VX vxor_vx, VI vxor_vi: { let _ = ty; s.v2(Op::Xor, Ty::V128, e.a, e.b) };
    VV vsll_vv, VX vsll_vx, VU vsll_vi: shift(s, Op::Shl, ty, &e);
    VV vsrl_vv, VX vsrl_vx, VU vsrl_vi: shift(s, Op::ShrU, ty, &e);
    VV vsra_vv, VX vsra_vx, VU vsra_vi: shift(s, Op::ShrS, ty, &e);
    VV vmul_vv, VX vmul_vx: s.v2(Op::Mul, ty, e.a, e.b);
    VV vmulh_vv, VX vmulh_vx: s.v2(Op::MulHS, ty, e.a, e.b);
    VV vmulhu_vv, VX vmulhu_vx: s.v2(Op::MulHU, ty, e.a, e.b);
    VV vmulhsu_vv, VX vmulhsu_vx: {
        // As if unsigned, which is too much by the second where the first is negative.
        let high = s.v2(Op::MulHU, ty, e.a, e.b);
        let zero = s.vector(0);
        let negative = s.v2(Op::LtS, ty, e.a, zero);
        let excess = s.v2(Op::And, Ty::V128, negative, e.b);
        s.v2(Op::Sub, ty, high, excess)
    };
    VV vmacc_vv, VX vmacc_vx: { let p = s.v2(Op::Mul, ty, e.a, e.b); s.v2(Op::Add, ty, p, e.d) };
    VV vnmsac_vv, VX vnmsac_vx: { let p = s.v2(Op::Mul, ty, e.a, e.b); s.v2(Op::Sub, ty, e.d, p) };
    VV vmadd_vv, VX vmadd_vx: { let p = s.v2(Op::Mul, ty, e.d, e.b); s.v2(Op::Add, ty, p, e.a) };
    VV vnmsub_vv, VX vnmsub_vx: { let p = s.v2(Op::Mul, ty, e.d, e.b); s.v2(Op::Sub, ty, e.a, p) };
    V2V vmv_v_v, V2X vmv_v_x, V2I vmv_v_i: { let _ = (s, ty); e.b };
    VV vandn_vv, VX vandn_vx: { let _ = ty; s.v2(Op::AndNot, Ty::V128, e.a, e.b) };
    VV vrol_vv, VX vrol_vx: rotate(s, ty, &e, (Op::Shl, Op::ShrU));
    VV vror_vv, VX vror_vx, VRor vror_vi: rotate(s, ty, &e, (Op::ShrU, Op::Shl));
}

lanes! { floats |s, ty, e|
    VV vfadd_vv, VX vfadd_vf: s.lanes(Op::FAdd, ty, e.rm as u64, &[e.a, e.b]);
    VV vfsub_vv, VX vfsub_vf: s.lanes(Op::FSub, ty, e.rm as u64, &[e.a, e.b]);
    VX vfrsub_vf: s.lanes(Op::FSub, ty, e.rm as u64, &[e.b, e.a]);
    VV vfmul_vv, VX vfmul_vf: s.lanes(Op::FMul, ty, e.rm as u64, &[e.a, e.b]);
    VV vfdiv_vv, VX vfdiv_vf: s.lanes(Op::FDiv, ty, e.rm as u64, &[e.a, e.b]);
    VX vfrdiv_vf: s.lanes(Op::FDiv, ty, e.rm as u64, &[e.b, e.a]);
    VV vfmin_vv, VX vfmin_vf: s.v2(Op::FMin, ty, e.a, e.b);
    VV vfmax_vv, VX vfmax_vf: s.v2(Op::FMax, ty, e.a, e.b);
    V1 vfsqrt_v: s.lanes(Op::FSqrt, ty, e.rm as u64, &[e.a]);
    VV vfsgnj_vv, VX vfsgnj_vf: { let signs = signs(s, ty); s.bitselect(signs, e.b, e.a) };
    VV vfsgnjn_vv, VX vfsgnjn_vf: { let (signs, b) = (signs(s, ty), s.vnot(e.b)); s.bitselect(signs, b, e.a) };
    VV vfsgnjx_vv, VX vfsgnjx_vf: {
        let signs = signs(s, ty);
        let b = s.v2(Op::And, Ty::V128, e.b, signs);
        s.v2(Op::Xor, Ty::V128, e.a, b)
    };
    VV vfmacc_vv, VX vfmacc_vf: fused(s, ty, ([e.b, e.a, e.d], e.rm), false, false);
    VV vfnmacc_vv, VX vfnmacc_vf: fused(s, ty, ([e.b, e.a, e.d], e.rm), true, true);
    VV vfmsac_vv, VX vfmsac_vf: fused(s, ty, ([e.b, e.a, e.d], e.rm), false, true);
    VV vfnmsac_vv, VX vfnmsac_vf: fused(s, ty, ([e.b, e.a, e.d], e.rm), true, false);
    VV vfmadd_vv, VX vfmadd_vf: fused(s, ty, ([e.b, e.d, e.a], e.rm), false, false);
    VV vfnmadd_vv, VX vfnmadd_vf: fused(s, ty, ([e.b, e.d, e.a], e.rm), true, true);
    VV vfmsub_vv, VX vfmsub_vf: fused(s, ty, ([e.b, e.d, e.a], e.rm), false, true);
    VV vfnmsub_vv, VX vfnmsub_vf: fused(s, ty, ([e.b, e.d, e.a], e.rm), true, false);
    V2X vfmv_v_f: { let _ = (s, ty); e.b };
    V1 vfcvt_x_f_v: s.lanes(Op::FToS, integer(ty), e.rm as u64, &[e.a]);
    V1 vfcvt_xu_f_v: s.lanes(Op::FToU, integer(ty), e.rm as u64, &[e.a]);
    V1 vfcvt_rtz_x_f_v: s.lanes(Op::FToS, integer(ty), Rm::Rtz as u64, &[e.a]);
    V1 vfcvt_rtz_xu_f_v: s.lanes(Op::FToU, integer(ty), Rm::Rtz as u64, &[e.a]);
    V1 vfcvt_f_x_v: s.lanes(Op::SToF, ty, e.rm as u64, &[e.a]);
    V1 vfcvt_f_xu_v: s.lanes(Op::UToF, ty, e.rm as u64, &[e.a]);
    V1 vfclass_v: classes(s, ty, e.a);
}

/// One bit for the class of each lane, as `fclass` has it.
fn classes<S: Sem>(s: &mut S, float: Ty, a: S::W) -> S::W {
    let (ty, bits) = (integer(float), float.lane_bits());
    let fraction = match float {
        Ty::F16x8 => 10,
        Ty::F32x4 => 23,
        _ => 52,
    };
    let sign = 1u64 << (bits - 1);
    let infinity = sign - (1 << fraction);
    let lanes = |s: &mut S, value: u64| s.vector(splat_bits(ty, value));
    let signs = lanes(s, sign);
    let size = s.v2(Op::AndNot, Ty::V128, a, signs);
    let negative = s.shift_lanes(Op::ShrS, ty, a, bits - 1);
    let [zero, normal, inf, quiet] =
        [0, 1 << fraction, infinity, infinity | 1 << (fraction - 1)].map(|value| lanes(s, value));
    let is_zero = s.v2(Op::Eq, ty, size, zero);
    let is_subnormal = s.v2(Op::LtS, ty, size, normal);
    let is_infinite = s.v2(Op::Eq, ty, size, inf);
    let is_nan = s.v2(Op::LtS, ty, inf, size);
    let is_signaling = s.v2(Op::LtS, ty, size, quiet);
    // What a later one says counts.
    let mut class = lanes(s, 1 << 6);
    let finite = [(is_subnormal, 5), (is_zero, 4), (is_infinite, 7)];
    let mut negatives = lanes(s, 1 << 1);
    for (which, bit) in finite {
        let (positive, mirrored) = (lanes(s, 1 << bit), lanes(s, 1 << (7 - bit)));
        class = s.bitselect(which, positive, class);
        negatives = s.bitselect(which, mirrored, negatives);
    }
    class = s.bitselect(negative, negatives, class);
    let (signaling, others) = (lanes(s, 1 << 8), lanes(s, 1 << 9));
    let nans = s.bitselect(is_signaling, signaling, others);
    s.bitselect(is_nan, nans, class)
}

fn integer(ty: Ty) -> Ty {
    match ty {
        Ty::F64x2 => Ty::I64x2,
        Ty::F16x8 => Ty::I16x8,
        _ => Ty::I32x4,
    }
}

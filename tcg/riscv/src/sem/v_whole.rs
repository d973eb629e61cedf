//! Vector instructions where every element takes part: nothing masked off, no tail, whole registers (31.11 to 31.13, 31.7).
//!
//! The mode of a translation tells (`vl` and `vtype` are part of it); in any other case the helper does the work.

use super::v::by_element;
use super::{Cx, fall, x};
use crate::cpu;
use crate::features::Ext;
use crate::helpers;
use crate::isa::{V1, V2I, V2V, V2X, VI, VMem, VMem8, VU, VV, VX};
use crate::mode::{self, Fs};
use crate::sem::float::Kind;
use tcg_core::cpu::exit;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, MemOp, Next, Rm, Sem, splat_bits};
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

fn splat_x<S: Sem>(s: &mut S, n: u8, ty: Ty) -> S::W {
    let value = x(s, n);
    s.splat(ty, value)
}

fn splat_f<S: Sem>(s: &mut S, n: u8, ty: Ty) -> S::W {
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
    V1 |a, s, _ty|: a.vs2, a.vm != 0, None, s.vector(0), s.vector(0);
    V2V |a, s, _ty|: a.vd, true, Some(a.vs1), s.vector(0), s.vector(0);
    V2X |a, s, ty|: a.vd, true, None, splat_x(s, a.rs1, ty), splat_f(s, a.rs1, ty);
    V2I |a, s, ty|: a.vd, true, None, s.vector(splat_bits(ty, a.imm as u64)), s.vector(0);
}

/// One register's worth of operands: vs2, the other source, what the destination holds; the rounding mode.
struct Lanes<W> {
    a: W,
    b: W,
    d: W,
    rm: Rm,
}

/// How many parts of 128 bits a register has.
fn parts(cx: &Cx) -> u16 {
    (mode::features(cx.at.mode).vlen() / 128) as u16
}

/// log2 of SEW in bytes and the number of parts, if the instruction works on whole registers.
fn whole<A: Operands>(cx: &Cx, a: &A) -> Option<(u8, u16)> {
    let (sew, lmul) = mode::whole_vectors(cx.at.mode)?;
    let (vd, vs2, unmasked) = a.registers();
    let all = vd | vs2 | a.vs1().unwrap_or(0);
    (unmasked && all & ((1 << lmul) - 1) == 0).then_some((sew, parts(cx) << lmul))
}

/// Runs `change`, which writes vector registers, with the unit's state dirty.
fn change<S: Sem>(s: &mut S, cx: &Cx, change: impl FnOnce(&mut S)) -> Flow<S> {
    if mode::vs(cx.at.mode) == Fs::Dirty {
        change(s);
        return fall::<S>();
    }
    s.call(helpers::SET_VS_DIRTY, &[])?;
    change(s);
    Ok(Next::Exit(exit::RESYNC))
}

fn each<S: Sem, A: Operands>(
    s: &mut S,
    cx: &Cx,
    (a, count, scalar): (A, u16, S::W),
    f: impl Fn(&mut S, Lanes<S::W>) -> S::W,
) -> Flow<S> {
    let ((vd, vs2, _), vs1) = (a.registers(), a.vs1());
    let (rm, parts) = (mode::rounding(cx.at.mode), parts(cx));
    let part = |register: u8, n: u16| cpu::v(u16::from(register) * parts + n);
    change(s, cx, |s| {
        for n in 0..count {
            let b = vs1.map_or(scalar, |vs1| s.get_vector(part(vs1, n)));
            let (a, d) = (s.get_vector(part(vs2, n)), s.get_vector(part(vd, n)));
            let value = f(s, Lanes { a, b, d, rm });
            s.set_vector(part(vd, n), value);
        }
    })
}

fn integers<S: Sem, A: Operands>(
    s: &mut S,
    cx: &Cx,
    a: A,
    f: impl Fn(&mut S, Ty, Lanes<S::W>) -> S::W,
) -> Flow<S> {
    let Some((sew, count)) = whole(cx, &a) else { return by_element(s, cx) };
    let ty = Ty::int_lanes(sew);
    let scalar = a.splat(s, ty);
    each(s, cx, (a, count, scalar), |s, e| f(s, ty, e))
}

fn floats<S: Sem, A: Operands>(
    s: &mut S,
    cx: &Cx,
    a: A,
    f: impl Fn(&mut S, Ty, Lanes<S::W>) -> S::W,
) -> Flow<S> {
    let ready = mode::fs(cx.at.mode) == Fs::Dirty && mode::frm(cx.at.mode).is_some();
    let ty = match whole(cx, &a) {
        Some((1, _)) if ready && cx.has(Ext::Zvfh) => Ty::F16x8,
        Some((2, _)) if ready => Ty::F32x4,
        Some((3, _)) if ready && cx.has(Ext::Zve64d) => Ty::F64x2,
        _ => return by_element(s, cx),
    };
    let count = whole(cx, &a).map_or(0, |(_, count)| count);
    let scalar = a.splat_float(s, ty);
    each(s, cx, (a, count, scalar), |s, e| f(s, ty, e))
}

/// Shifts take the low bits of their count.
fn shift<S: Sem>(s: &mut S, op: Op, ty: Ty, e: &Lanes<S::W>) -> S::W {
    let mask = s.vector(splat_bits(ty, u64::from(ty.lane_bits()) - 1));
    let by = s.v2(Op::And, Ty::V128, e.b, mask);
    s.v2(op, ty, e.a, by)
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

macro_rules! whole {
    ($how:ident |$s:ident, $ty:ident, $e:ident| $($($format:ident $name:ident),*: $body:expr;)*) => { $($(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: $format) -> Flow<S> {
            $how(s, cx, a, |$s, $ty, $e| $body)
        }
    )*)* };
}

whole! { integers |s, ty, e|
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
    VV vmacc_vv, VX vmacc_vx: { let p = s.v2(Op::Mul, ty, e.a, e.b); s.v2(Op::Add, ty, p, e.d) };
    VV vnmsac_vv, VX vnmsac_vx: { let p = s.v2(Op::Mul, ty, e.a, e.b); s.v2(Op::Sub, ty, e.d, p) };
    VV vmadd_vv, VX vmadd_vx: { let p = s.v2(Op::Mul, ty, e.d, e.b); s.v2(Op::Add, ty, p, e.a) };
    VV vnmsub_vv, VX vnmsub_vx: { let p = s.v2(Op::Mul, ty, e.d, e.b); s.v2(Op::Sub, ty, e.a, p) };
    V2V vmv_v_v, V2X vmv_v_x, V2I vmv_v_i: { let _ = (s, ty); e.b };
}

whole! { floats |s, ty, e|
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
}

fn integer(ty: Ty) -> Ty {
    match ty {
        Ty::F64x2 => Ty::I64x2,
        Ty::F16x8 => Ty::I16x8,
        _ => Ty::I32x4,
    }
}

/// Where a unit-stride access of elements of `1 << eew` bytes goes: the number of parts, if it is of whole registers.
fn whole_memory(cx: &Cx, (vd, eew): (u8, u8), (nf, vm): (u8, u8)) -> Option<u16> {
    let (sew, lmul) = mode::whole_vectors(cx.at.mode)?;
    (sew == eew && nf == 0 && vm != 0 && vd & ((1 << lmul) - 1) == 0).then_some(parts(cx) << lmul)
}

fn load<S: Sem>(s: &mut S, cx: &Cx, (vd, rs1): (u8, u8), count: Option<u16>) -> Flow<S> {
    let Some(count) = count else { return by_element(s, cx) };
    let (base, first) = (x(s, rs1), u16::from(vd) * parts(cx));
    let mut values = Vec::with_capacity(count.into());
    for n in 0..count {
        let addr = s.add_imm(base, 16 * i64::from(n));
        values.push(s.load_vector(addr, MemOp::new(4))?);
    }
    change(s, cx, |s| (first..).zip(&values).for_each(|(n, value)| s.set_vector(cpu::v(n), *value)))
}

fn store<S: Sem>(s: &mut S, cx: &Cx, (vs3, rs1): (u8, u8), count: Option<u16>) -> Flow<S> {
    let Some(count) = count else { return by_element(s, cx) };
    let (base, first) = (x(s, rs1), u16::from(vs3) * parts(cx));
    for n in 0..count {
        let (addr, value) = (s.add_imm(base, 16 * i64::from(n)), s.get_vector(cpu::v(first + n)));
        s.store_vector(addr, value, MemOp::new(4))?;
    }
    fall::<S>()
}

/// Loads bytes.
pub fn vl_unit8<S: Sem>(s: &mut S, cx: &Cx, a: VMem8) -> Flow<S> {
    load(s, cx, (a.vd, a.rs1), whole_memory(cx, (a.vd, 0), (a.nf, a.vm)))
}

/// Loads wider elements.
pub fn vl_unit<S: Sem>(s: &mut S, cx: &Cx, a: VMem) -> Flow<S> {
    load(s, cx, (a.vd, a.rs1), whole_memory(cx, (a.vd, a.w), (a.nf, a.vm)))
}

/// Stores bytes.
pub fn vs_unit8<S: Sem>(s: &mut S, cx: &Cx, a: VMem8) -> Flow<S> {
    store(s, cx, (a.vd, a.rs1), whole_memory(cx, (a.vd, 0), (a.nf, a.vm)))
}

/// Stores wider elements.
pub fn vs_unit<S: Sem>(s: &mut S, cx: &Cx, a: VMem) -> Flow<S> {
    store(s, cx, (a.vd, a.rs1), whole_memory(cx, (a.vd, a.w), (a.nf, a.vm)))
}

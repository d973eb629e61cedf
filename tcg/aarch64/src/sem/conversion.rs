//! Conversions between float formats, integers and fixed-point numbers, and moves between registers: C4.1.96.

use super::float::{Kind, by_type, dynamic, rounding_by};
use super::{Cx, Width, fall, set_flags, set_v_low, set_x, x};
use crate::cpu;
use crate::helpers;
use crate::isa::{FToI, Fcvt, FixToI, MoveH, MoveX};
use crate::mode;
use tcg_core::fp::NAN_TO_ZERO;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Rm, Sem, packed};
use tcg_core::ty::{F16, F32, F64, I32, I64, Scalar, Ty};

fn to_integer<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: FToI, rm: Rm, signed: bool) -> Flow<S> {
    if a.sf != 0 {
        to_width::<K, I64, S>(s, cx, a, rm, signed)
    } else {
        to_width::<K, I32, S>(s, cx, a, rm, signed)
    }
}

fn to_width<K: Kind, T: Width, S: Sem>(s: &mut S, cx: &Cx, a: FToI, rm: Rm, signed: bool) -> Flow<S> {
    let v = K::get(s, a.rn);
    let imm = rounding_by::<K>(cx, rm).bits() | NAN_TO_ZERO;
    let v = s.op1::<K, T>(if signed { Op::FToS } else { Op::FToU }, imm, v);
    T::set(s, a.rd, v);
    fall::<S>()
}

macro_rules! to_integers {
    ($($(#[$doc:meta])* $name:ident = $rm:ident $signed:literal;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: FToI) -> Flow<S> {
            by_type!(a.ftype, to_integer(s, cx, a, Rm::$rm, $signed))
        }
    )* };
}

to_integers! {
    /// To signed, nearest, ties to even.
    fcvtns = Rne true;
    /// To unsigned, nearest, ties to even.
    fcvtnu = Rne false;
    /// To signed, nearest, ties away from zero.
    fcvtas = Rmm true;
    /// To unsigned, nearest, ties away from zero.
    fcvtau = Rmm false;
    /// To signed, up.
    fcvtps = Rup true;
    /// To unsigned, up.
    fcvtpu = Rup false;
    /// To signed, down.
    fcvtms = Rdn true;
    /// To unsigned, down.
    fcvtmu = Rdn false;
    /// To signed, towards zero.
    fcvtzs = Rtz true;
    /// To unsigned, towards zero.
    fcvtzu = Rtz false;
}

fn of_integer<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: FToI, signed: bool) -> Flow<S> {
    let imm = dynamic::<K>(cx).bits();
    let op = if signed { Op::SToF } else { Op::UToF };
    let v = if a.sf != 0 {
        let v = x(s, a.rn);
        s.op1::<I64, K>(op, imm, v)
    } else {
        let v = I32::get(s, a.rn);
        s.op1::<I32, K>(op, imm, v)
    };
    K::set(s, a.rd, v);
    fall::<S>()
}

/// From signed.
pub fn scvtf<S: Sem>(s: &mut S, cx: &Cx, a: FToI) -> Flow<S> {
    by_type!(a.ftype, of_integer(s, cx, a, true))
}

/// From unsigned.
pub fn ucvtf<S: Sem>(s: &mut S, cx: &Cx, a: FToI) -> Flow<S> {
    by_type!(a.ftype, of_integer(s, cx, a, false))
}

/// A fixed-point conversion as one argument of its helper.
fn fixed_kind<K: Kind>(cx: &Cx, a: FixToI, rm: Rm, signed: bool) -> u64 {
    let fraction = 64 - u64::from(a.scale);
    rounding_by::<K>(cx, rm).bits()
        | fraction << 8
        | (K::TY as u64) << 16
        | u64::from(signed) << 24
        | u64::from(a.sf) << 25
}

fn to_fixed<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: FixToI, signed: bool) -> Flow<S> {
    let v = K::bits(s, a.rn);
    let (v, kind) = (K::widen(s, v), s.k(fixed_kind::<K>(cx, a, Rm::Rtz, signed)));
    let v = s.call(helpers::TO_FIXED, &[v, kind])?;
    set_x(s, a.rd, v);
    fall::<S>()
}

fn of_fixed<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: FixToI, signed: bool) -> Flow<S> {
    if K::TY != F16::TY {
        // No such number is too small to be scaled exactly.
        let (imm, op) = (dynamic::<K>(cx), if signed { Op::SToF } else { Op::UToF });
        let v = if a.sf != 0 {
            let v = x(s, a.rn);
            s.op1::<I64, K>(op, imm.bits(), v)
        } else {
            let v = I32::get(s, a.rn);
            s.op1::<I32, K>(op, imm.bits(), v)
        };
        let scale = s.k(K::power_of_two(i64::from(a.scale) - 64));
        let scale = s.bits_to_float(scale);
        let v = s.float2(Op::FMul, v, scale, imm);
        K::set(s, a.rd, v);
        return fall::<S>();
    }
    let kind = s.k(fixed_kind::<K>(cx, a, mode::rounding(cx.at.mode), signed));
    let v = x(s, a.rn);
    let v = s.call(helpers::OF_FIXED, &[v, kind])?;
    set_v_low(s, a.rd, v);
    fall::<S>()
}

/// To signed fixed point.
pub fn fcvtzs_fix<S: Sem>(s: &mut S, cx: &Cx, a: FixToI) -> Flow<S> {
    by_type!(a.ftype, to_fixed(s, cx, a, true))
}

/// To unsigned fixed point.
pub fn fcvtzu_fix<S: Sem>(s: &mut S, cx: &Cx, a: FixToI) -> Flow<S> {
    by_type!(a.ftype, to_fixed(s, cx, a, false))
}

/// From signed fixed point.
pub fn scvtf_fix<S: Sem>(s: &mut S, cx: &Cx, a: FixToI) -> Flow<S> {
    by_type!(a.ftype, of_fixed(s, cx, a, true))
}

/// From unsigned fixed point.
pub fn ucvtf_fix<S: Sem>(s: &mut S, cx: &Cx, a: FixToI) -> Flow<S> {
    by_type!(a.ftype, of_fixed(s, cx, a, false))
}

/// From `K` to `L`. What flushes, the wider of the two formats' bit says.
fn convert<K: Kind, L: Kind, S: Sem>(s: &mut S, cx: &Cx, a: Fcvt) -> Flow<S> {
    let imm = dynamic::<F64>(cx).bits();
    if (K::TY == F16::TY || L::TY == F16::TY) && mode::alternative_half(cx.at.mode) {
        let v = K::bits(s, a.rn);
        let (v, kind) = (K::widen(s, v), s.k(imm | (K::TY as u64) << 8 | (L::TY as u64) << 16));
        let v = s.call(helpers::CONVERT_ALTERNATIVE, &[v, kind])?;
        set_v_low(s, a.rd, v);
        return fall::<S>();
    }
    let v = K::get(s, a.rn);
    let v = s.op1::<K, L>(Op::FToF, imm, v);
    L::set(s, a.rd, v);
    fall::<S>()
}

/// Between float formats.
pub fn fcvt<S: Sem>(s: &mut S, cx: &Cx, a: Fcvt) -> Flow<S> {
    match (a.ftype, a.opc) {
        (0, 1) => convert::<F32, F64, S>(s, cx, a),
        (0, 3) => convert::<F32, F16, S>(s, cx, a),
        (1, 0) => convert::<F64, F32, S>(s, cx, a),
        (1, 3) => convert::<F64, F16, S>(s, cx, a),
        (3, 0) => convert::<F16, F32, S>(s, cx, a),
        (3, 1) => convert::<F16, F64, S>(s, cx, a),
        _ => cx.undefined::<S>(),
    }
}

/// JavaScript's conversion to a 32-bit integer: modulo 2^32; Z says that it was exact.
pub fn fjcvtzs<S: Sem>(s: &mut S, cx: &Cx, a: MoveX) -> Flow<S> {
    let (v, kind) = (F64::bits(s, a.rn), s.k(rounding_by::<F64>(cx, Rm::Rtz).bits()));
    let v = s.call(helpers::JAVASCRIPT_TO_INT, &[v, kind])?;
    // The helper says in bit 32 that it was exact.
    let (low, by, z) =
        (s.zext::<I64>(v, 32), s.k(32 - u64::from(packed::Z.trailing_zeros())), s.k(packed::Z));
    let exact = s.shru(v, by);
    let exact = s.trunc(exact);
    let flags = s.and(exact, z);
    set_x(s, a.rd, low);
    set_flags(s, flags);
    fall::<S>()
}

/// The low word to a general register.
pub fn fmov_to_w<S: Sem>(s: &mut S, _: &Cx, a: MoveX) -> Flow<S> {
    let v = F32::bits(s, a.rn);
    I32::set(s, a.rd, v);
    fall::<S>()
}

/// The low half to a general register.
pub fn fmov_to_x<S: Sem>(s: &mut S, _: &Cx, a: MoveX) -> Flow<S> {
    let v = F64::bits(s, a.rn);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// The high half to a general register.
pub fn fmov_top_to_x<S: Sem>(s: &mut S, _: &Cx, a: MoveX) -> Flow<S> {
    let v = s.get_vector(cpu::v(a.rn));
    let v = s.extract(Lane::new(3, 1), v);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// A word from a general register.
pub fn fmov_of_w<S: Sem>(s: &mut S, _: &Cx, a: MoveX) -> Flow<S> {
    let v = I32::get(s, a.rn);
    F32::set_bits(s, a.rd, v);
    fall::<S>()
}

/// A doubleword from a general register.
pub fn fmov_of_x<S: Sem>(s: &mut S, _: &Cx, a: MoveX) -> Flow<S> {
    let v = x(s, a.rn);
    F64::set_bits(s, a.rd, v);
    fall::<S>()
}

/// A doubleword from a general register to the high half.
pub fn fmov_x_to_top<S: Sem>(s: &mut S, _: &Cx, a: MoveX) -> Flow<S> {
    let (v, old) = (x(s, a.rn), s.get_vector(cpu::v(a.rd)));
    let v = s.insert(Ty::I64x2, 1, old, v);
    s.set_vector(cpu::v(a.rd), v);
    fall::<S>()
}

/// A half to a general register.
pub fn fmov_half_to<S: Sem>(s: &mut S, _: &Cx, a: MoveH) -> Flow<S> {
    let v = F16::bits(s, a.rn);
    I32::set(s, a.rd, v);
    fall::<S>()
}

/// A half from a general register.
pub fn fmov_half_of<S: Sem>(s: &mut S, _: &Cx, a: MoveH) -> Flow<S> {
    let v = I32::get(s, a.rn);
    let v = s.zext(v, 16);
    F16::set_bits(s, a.rd, v);
    fall::<S>()
}

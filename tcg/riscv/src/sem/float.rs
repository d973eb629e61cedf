//! What the float extensions share: registers and NaN boxing (22.2), rounding modes (21.2), state of the float unit
//! (Privileged ISA 3.1.6.6), and the operations that F and D have alike.

use super::{Cx, fall, set_x, x};
use crate::cpu;
use crate::helpers;
use crate::isa::{F2Rm, FRm, R, R2, R4};
use crate::mode::{self, Fs};
use tcg_core::cpu::exit;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Next, Rm, Sem, V};
use tcg_core::ty::{F16, F32, F64, Float, I32, I64, Int};

/// A float format as registers hold it. Constants are bit patterns.
pub trait Kind: Float {
    /// The sign.
    const SIGN: u64;
    /// Infinity.
    const INFINITY: u64;
    /// The smallest normal number.
    const MIN_NORMAL: u64;
    /// The canonical NaN, and smallest quiet one.
    const NAN: u64;

    /// The bits of `f[n]`; the canonical NaN if it holds no such float.
    fn bits<S: Sem>(s: &mut S, n: u8) -> V<S, Self::Bits>;
    /// `f[n]` becomes the float of these bits.
    fn set_bits<S: Sem>(s: &mut S, n: u8, bits: V<S, Self::Bits>);
    /// The float in `f[n]`.
    fn get<S: Sem>(s: &mut S, n: u8) -> V<S, Self> {
        let bits = Self::bits(s, n);
        s.bits_to_float(bits)
    }
    /// `f[n]` becomes `value`.
    fn set<S: Sem>(s: &mut S, n: u8, value: V<S, Self>) {
        let bits = s.float_to_bits(value);
        Self::set_bits(s, n, bits);
    }
}

/// The bits above a binary16 in its register.
const HALF_BOX: u64 = !0xffff;

impl Kind for F16 {
    const SIGN: u64 = 1 << 15;
    const INFINITY: u64 = 0x7c00;
    const MIN_NORMAL: u64 = 0x0400;
    const NAN: u64 = 0x7e00;

    fn bits<S: Sem>(s: &mut S, n: u8) -> V<S, I32> {
        let (all, least, nan) = (s.get(cpu::f(n)), s.k(HALF_BOX), s.k(Self::NAN));
        let unboxed = s.ltu::<I64>(all, least);
        let low = s.trunc(all);
        let low = s.zext(low, 16);
        s.select(unboxed, nan, low)
    }

    fn set_bits<S: Sem>(s: &mut S, n: u8, bits: V<S, I32>) {
        let (low, high) = (s.zextw(bits), s.k(HALF_BOX));
        let all = s.or(low, high);
        s.set(cpu::f(n), all);
    }
}

impl Kind for F32 {
    const SIGN: u64 = 1 << 31;
    const INFINITY: u64 = 0x7f80_0000;
    const MIN_NORMAL: u64 = 0x0080_0000;
    const NAN: u64 = 0x7fc0_0000;

    fn bits<S: Sem>(s: &mut S, n: u8) -> V<S, I32> {
        let value = Self::get(s, n);
        s.float_to_bits(value)
    }

    fn set_bits<S: Sem>(s: &mut S, n: u8, bits: V<S, I32>) {
        let value = s.bits_to_float(bits);
        Self::set(s, n, value);
    }

    fn get<S: Sem>(s: &mut S, n: u8) -> V<S, F32> {
        let all = s.get(cpu::f(n));
        s.nan_unbox(all)
    }

    fn set<S: Sem>(s: &mut S, n: u8, value: V<S, F32>) {
        let all = s.nan_box(value);
        s.set(cpu::f(n), all);
    }
}

impl Kind for F64 {
    const SIGN: u64 = 1 << 63;
    const INFINITY: u64 = 0x7ff << 52;
    const MIN_NORMAL: u64 = 1 << 52;
    const NAN: u64 = 0x7ff8 << 48;

    fn bits<S: Sem>(s: &mut S, n: u8) -> V<S, I64> {
        s.get(cpu::f(n))
    }

    fn set_bits<S: Sem>(s: &mut S, n: u8, bits: V<S, I64>) {
        s.set(cpu::f(n), bits);
    }

    fn get<S: Sem>(s: &mut S, n: u8) -> V<S, F64> {
        s.get(cpu::f(n))
    }

    fn set<S: Sem>(s: &mut S, n: u8, value: V<S, F64>) {
        s.set(cpu::f(n), value);
    }
}

/// The rounding mode in an instruction's `rm` field; `None` for a reserved one.
pub fn rounding(cx: &Cx, rm: u8) -> Option<Rm> {
    match rm {
        7 => mode::frm(cx.at.mode),
        n => Rm::from_bits(n.into()),
    }
}

/// Changes float state by `change`, the last thing that an instruction does. Translations are made for a unit that is
/// dirty already or is not; the first change ends the latter, so that no loop goes on in it.
pub fn change<S: Sem>(s: &mut S, cx: &Cx, change: impl FnOnce(&mut S)) -> Flow<S> {
    if mode::fs(cx.at.mode) == Fs::Dirty {
        change(s);
        return fall::<S>();
    }
    s.call(helpers::SET_FS_DIRTY, &[])?;
    change(s);
    Ok(Next::Exit(exit::RESYNC))
}

/// `f[rd]` becomes `value`.
fn set_f<K: Kind, S: Sem>(s: &mut S, cx: &Cx, rd: u8, value: V<S, K>) -> Flow<S> {
    change(s, cx, |s| K::set(s, rd, value))
}

/// fd = fs1 op fs2, rounded.
pub fn arithmetic<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: FRm, op: Op) -> Flow<S> {
    let Some(rm) = rounding(cx, a.rm) else { return cx.illegal::<S>() };
    let (v, w) = (K::get(s, a.rs1), K::get(s, a.rs2));
    let v = s.float2(op, v, w, rm);
    set_f::<K, S>(s, cx, a.rd, v)
}

/// fd = f(fs1), rounded.
pub fn rounded<K: Kind, L: Kind, S: Sem>(
    s: &mut S,
    cx: &Cx,
    a: F2Rm,
    f: impl FnOnce(&mut S, V<S, K>, Rm) -> V<S, L>,
) -> Flow<S> {
    let Some(rm) = rounding(cx, a.rm) else { return cx.illegal::<S>() };
    let v = K::get(s, a.rs1);
    let v = f(s, v, rm);
    set_f::<L, S>(s, cx, a.rd, v)
}

/// Which parts of a fused multiply-add are negated.
#[derive(Clone, Copy)]
pub struct Negated {
    pub product: bool,
    pub addend: bool,
}

/// fd = fs1 times fs2 plus fs3, rounded once.
pub fn fused<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: R4, negated: Negated) -> Flow<S> {
    let Some(rm) = rounding(cx, a.rm) else { return cx.illegal::<S>() };
    let (v, w, c) = (K::get(s, a.rs1), K::get(s, a.rs2), K::get(s, a.rs3));
    let v = if negated.product { negate::<K, S>(s, v) } else { v };
    let c = if negated.addend { negate::<K, S>(s, c) } else { c };
    let v = s.fmuladd(v, w, c, rm);
    set_f::<K, S>(s, cx, a.rd, v)
}

fn negate<K: Kind, S: Sem>(s: &mut S, v: V<S, K>) -> V<S, K> {
    let (bits, sign) = (s.float_to_bits(v), s.k(K::SIGN));
    let bits = s.xor(bits, sign);
    s.bits_to_float(bits)
}

/// fd = the magnitude of fs1 with the sign that `sign` makes of those of fs1 and fs2.
pub fn sign_inject<K: Kind, S: Sem>(
    s: &mut S,
    cx: &Cx,
    a: R,
    sign: impl FnOnce(&mut S, V<S, K::Bits>, V<S, K::Bits>) -> V<S, K::Bits>,
) -> Flow<S> {
    let (v, w) = (K::bits(s, a.rs1), K::bits(s, a.rs2));
    let (mask, rest) = (s.k(K::SIGN), s.k(K::SIGN - 1));
    let sign = sign(s, v, w);
    let sign = s.and(sign, mask);
    let magnitude = s.and(v, rest);
    let v = s.or(magnitude, sign);
    change(s, cx, |s| K::set_bits(s, a.rd, v))
}

/// fd = the minimum or maximum of fs1 and fs2, a number if one is.
pub fn min_max<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: R, op: Op) -> Flow<S> {
    let (v, w) = (K::get(s, a.rs1), K::get(s, a.rs2));
    let v = s.float2(op, v, w, Rm::Rne);
    set_f::<K, S>(s, cx, a.rd, v)
}

/// fd = the minimum or maximum of fs1 and fs2, NaN if one is: Zfa.
pub fn min_max_nan<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: R, op: Op) -> Flow<S> {
    let (v, w) = (K::get(s, a.rs1), K::get(s, a.rs2));
    let least = s.float2(op, v, w, Rm::Rne);
    let least = s.float_to_bits(least);
    let (infinity, nan) = (s.k(K::INFINITY), s.k(K::NAN));
    let v = magnitude::<K, S>(s, a.rs1);
    let w = magnitude::<K, S>(s, a.rs2);
    let (v, w) = (s.ltu(infinity, v), s.ltu(infinity, w));
    let value = s.select(v, nan, least);
    let value = s.select(w, nan, value);
    change(s, cx, |s| K::set_bits(s, a.rd, value))
}

/// rd = a comparison of fs1 and fs2.
pub fn compare<K: Kind, S: Sem>(s: &mut S, cx: &Cx, a: R, op: Op) -> Flow<S> {
    let (v, w) = (K::get(s, a.rs1), K::get(s, a.rs2));
    let holds = s.fcmp(op, v, w);
    let v = s.bool_to_int(holds);
    change(s, cx, |s| set_x(s, a.rd, v))
}

/// The bits of `f[n]` without the sign.
fn magnitude<K: Kind, S: Sem>(s: &mut S, n: u8) -> V<S, K::Bits> {
    let (bits, mask) = (K::bits(s, n), s.k(K::SIGN - 1));
    s.and(bits, mask)
}

/// rd = one bit for the class of fs1: from negative infinity (0) over the negative and positive subnormals and zeros to
/// infinity (7), signalling NaN (8) and quiet NaN (9).
pub fn classify<K: Kind, S: Sem>(s: &mut S, a: R2) -> Flow<S> {
    let bits = K::bits(s, a.rs1);
    let sign = s.k(K::SIGN);
    let sign = s.and(bits, sign);
    let size = magnitude::<K, S>(s, a.rs1);
    // Classes of positive values count up from 4 with the magnitude; those of negative values mirror them.
    let mut class = s.k::<I64>(4);
    for least in [1, K::MIN_NORMAL, K::INFINITY] {
        let last_below = s.k(least - 1);
        let above = s.ltu(last_below, size);
        let above = s.bool_to_int(above);
        class = s.add(class, above);
    }
    let seven = s.k(7);
    let mirrored = s.xor(class, seven);
    let zero = s.k(0);
    let negative = s.ne(sign, zero);
    let class = s.select(negative, mirrored, class);
    let (infinity, last_signalling) = (s.k(K::INFINITY), s.k(K::NAN - 1));
    let is_nan = s.ltu(infinity, size);
    let quiet = s.ltu(last_signalling, size);
    let quiet = s.bool_to_int(quiet);
    let eight = s.k(8);
    let nan_class = s.or(eight, quiet);
    let class = s.select(is_nan, nan_class, class);
    let one = s.k(1);
    let v = s.shl(one, class);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// rd = fs1 as an integer of type `T`.
pub fn to_int<K: Kind, T: Source, S: Sem>(s: &mut S, cx: &Cx, a: F2Rm, signed: bool) -> Flow<S> {
    let Some(rm) = rounding(cx, a.rm) else { return cx.illegal::<S>() };
    let v = K::get(s, a.rs1);
    let v = s.ftoi::<K, T>(v, signed, rm);
    let v = T::to_x(s, v);
    change(s, cx, |s| set_x(s, a.rd, v))
}

/// fd = rs1, an integer of type `T`.
pub fn from_int<K: Kind, T: Source, S: Sem>(s: &mut S, cx: &Cx, a: F2Rm, signed: bool) -> Flow<S> {
    let Some(rm) = rounding(cx, a.rm) else { return cx.illegal::<S>() };
    let v = x(s, a.rs1);
    let v = T::from_x(s, v);
    let v = s.itof::<T, K>(v, signed, rm);
    set_f::<K, S>(s, cx, a.rd, v)
}

/// Integers that convert to and from floats, as x registers hold them.
pub trait Source: Int {
    /// From a register.
    fn from_x<S: Sem>(s: &mut S, v: V<S, I64>) -> V<S, Self>;
    /// To a register.
    fn to_x<S: Sem>(s: &mut S, v: V<S, Self>) -> V<S, I64>;
}

impl Source for I32 {
    fn from_x<S: Sem>(s: &mut S, v: V<S, I64>) -> V<S, I32> {
        s.trunc(v)
    }

    fn to_x<S: Sem>(s: &mut S, v: V<S, I32>) -> V<S, I64> {
        s.sextw(v)
    }
}

impl Source for I64 {
    fn from_x<S: Sem>(_: &mut S, v: V<S, I64>) -> V<S, I64> {
        v
    }

    fn to_x<S: Sem>(_: &mut S, v: V<S, I64>) -> V<S, I64> {
        v
    }
}

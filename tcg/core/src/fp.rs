//! Floating point by Berkeley SoftFloat: the exact reference, and the slow path of generated code.
//!
//! Values travel as bits in the low end of a `u64`. What guests do not agree about, a [`FloatMode`] says: which NaN a
//! result is, when it counts as tiny, whether subnormal numbers count as zero. Conversions to integer saturate
//! (IEEE 754-2019).

use crate::ir::Op;
use crate::sem::{FloatMode, Rm, flags, packed};
use crate::ty::Ty;
use softfloat as sf;
use softfloat::{float16_t, float32_t, float64_t};

/// Runs one SoftFloat operation in `mode` and adds the flags that it raises to `raised`.
fn with_mode<T>(mode: FloatMode, raised: &mut u32, operation: impl FnOnce() -> T) -> T {
    let tininess = if mode.is_tiny_before() {
        sf::softfloat_tininess_beforeRounding
    } else {
        sf::softfloat_tininess_afterRounding
    };
    // SAFETY: these set thread-local variables; the modes have SoftFloat's own numbers.
    unsafe {
        sf::softfloat_roundingMode_write_helper(mode.rm() as u8);
        sf::softfloat_detectTininess_write_helper(tininess);
        sf::softfloat_exceptionFlags_write_helper(0);
    }
    let result = operation();
    // SAFETY: reads a thread-local variable. SoftFloat's flag numbers are those of `sem::flags`.
    *raised |= u32::from(unsafe { sf::softfloat_exceptionFlags_read_helper() });
    result
}

fn f16(bits: u64) -> float16_t {
    float16_t { v: bits as u16 }
}

fn f32(bits: u64) -> float32_t {
    float32_t { v: bits as u32 }
}

fn f64(bits: u64) -> float64_t {
    float64_t { v: bits }
}

/// Bits of the fraction.
const fn fraction_bits(ty: Ty) -> u32 {
    match ty {
        Ty::F16 => 10,
        Ty::F32 => 23,
        _ => 52,
    }
}

/// Infinity; without the sign, what is above it is a NaN.
pub const fn infinity(ty: Ty) -> u64 {
    match ty {
        Ty::F16 => 0x7c00,
        Ty::F32 => 0x7f80_0000,
        _ => 0x7ff0_0000_0000_0000,
    }
}

/// The bit that makes a NaN quiet.
const fn quiet_bit(ty: Ty) -> u64 {
    1 << (fraction_bits(ty) - 1)
}

/// The canonical quiet NaN.
pub const fn canonical_nan(ty: Ty) -> u64 {
    infinity(ty) | quiet_bit(ty)
}

const fn sign_bit(ty: Ty) -> u64 {
    1 << (ty.bits() - 1)
}

/// Whether `a` is a NaN. By its bits: a host comparison would raise flags, which may be the guest's just now.
pub const fn is_nan(ty: Ty, a: u64) -> bool {
    a & (sign_bit(ty) - 1) > infinity(ty)
}

/// Whether `a` is a signalling NaN.
pub const fn is_snan(ty: Ty, a: u64) -> bool {
    is_nan(ty, a) && a & quiet_bit(ty) == 0
}

/// Whether `a` is subnormal.
pub const fn is_subnormal(ty: Ty, a: u64) -> bool {
    let size = a & (sign_bit(ty) - 1);
    size != 0 && size >> fraction_bits(ty) == 0
}

/// `a`, or the zero that a mode that flushes makes of it. binary16 has no flag for that.
pub fn flush_input(ty: Ty, a: u64, mode: FloatMode, raised: &mut u32) -> u64 {
    if !mode.flushes() || !is_subnormal(ty, a) {
        return a;
    }
    if ty != Ty::F16 {
        *raised |= flags::ID;
    }
    a & sign_bit(ty)
}

/// The NaN that comes of these operands under a mode that propagates NaNs: the first signalling one, or the first.
fn propagated(ty: Ty, args: &[u64], raised: &mut u32) -> Option<u64> {
    let signalling = args.iter().find(|a| is_snan(ty, **a));
    if signalling.is_some() {
        *raised |= flags::NV;
    }
    signalling.or_else(|| args.iter().find(|a| is_nan(ty, **a))).map(|nan| nan | quiet_bit(ty))
}

/// Rounds the result of `operation` as `mode` says about tiny ones.
fn flushed(ty: Ty, mode: FloatMode, raised: &mut u32, operation: impl FnOnce() -> u64) -> u64 {
    let mut own = 0;
    let result = with_mode(mode, &mut own, operation);
    if mode.flushes() && (is_subnormal(ty, result) || own & flags::UF != 0) {
        *raised |= flags::UF;
        return result & sign_bit(ty);
    }
    *raised |= own;
    result
}

/// An operation on operands of its own type, with everything around it that `mode` asks for.
fn operate<const N: usize>(
    ty: Ty,
    args: [u64; N],
    mode: FloatMode,
    raised: &mut u32,
    operation: impl FnOnce([u64; N]) -> u64,
) -> u64 {
    let args = args.map(|a| flush_input(ty, a, mode, raised));
    if mode.propagates_nans()
        && let Some(nan) = propagated(ty, &args, raised)
    {
        return nan;
    }
    flushed(ty, mode, raised, || operation(args))
}

macro_rules! by_type {
    ($ty:expr, $half:ident $single:ident $double:ident ($($arg:expr),*)) => {
        match $ty {
            // SAFETY: a pure function of its arguments and the thread-local mode.
            Ty::F16 => unsafe { sf::$half($(f16($arg)),*).v.into() },
            // SAFETY: as above.
            Ty::F32 => unsafe { sf::$single($(f32($arg)),*).v.into() },
            // SAFETY: as above.
            _ => unsafe { sf::$double($(f64($arg)),*).v },
        }
    };
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident $half:ident $single:ident $double:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name(ty: Ty, a: u64, b: u64, mode: FloatMode, raised: &mut u32) -> u64 {
            operate(ty, [a, b], mode, raised, |[a, b]| by_type!(ty, $half $single $double (a, b)))
        }
    )* };
}

binary! {
    /// Sum.
    add f16_add f32_add f64_add;
    /// Difference.
    sub f16_sub f32_sub f64_sub;
    /// Product.
    mul f16_mul f32_mul f64_mul;
    /// Quotient.
    div f16_div f32_div f64_div;
}

/// Square root.
pub fn sqrt(ty: Ty, a: u64, mode: FloatMode, raised: &mut u32) -> u64 {
    operate(ty, [a], mode, raised, |[a]| by_type!(ty, f16_sqrt f32_sqrt f64_sqrt (a)))
}

/// `a` times `b` plus `c`, rounded once. Of several NaNs that of the addend comes first; infinity times zero plus a
/// quiet NaN is invalid, and not that NaN.
pub fn fmuladd(ty: Ty, [a, b, c]: [u64; 3], mode: FloatMode, raised: &mut u32) -> u64 {
    let [c, a, b] = [c, a, b].map(|v| flush_input(ty, v, mode, raised));
    let size = |v: u64| v & (sign_bit(ty) - 1);
    let no_product = |a: u64, b: u64| size(a) == infinity(ty) && size(b) == 0;
    let invalid = is_nan(ty, c) && !is_snan(ty, c) && (no_product(a, b) || no_product(b, a));
    if mode.propagates_nans()
        && !invalid
        && let Some(nan) = propagated(ty, &[c, a, b], raised)
    {
        return nan;
    }
    flushed(ty, mode, raised, || by_type!(ty, f16_mulAdd f32_mulAdd f64_mulAdd (a, b, c)))
}

/// Which minimum or maximum: bits of the immediate of [`Op::FMin`] and [`Op::FMax`].
pub mod min_max {
    /// IEEE 754-2019 minimumNumber.
    pub const NUMBER: u64 = 0;
    /// IEEE 754-2008 minNum: a quiet NaN counts as missing, a signalling one does not.
    pub const NUM_2008: u64 = 1 << 8;
    /// IEEE 754-2019 minimum: not a number if one operand is not.
    pub const NAN: u64 = 1 << 9;
}

/// A minimum, or maximum if `max`, of the kind in `imm`; -0 is below +0.
pub fn min_or_max(ty: Ty, [a, b]: [u64; 2], max: bool, imm: u64, raised: &mut u32) -> u64 {
    let mode = FloatMode::from_bits(imm);
    let [a, b] = [a, b].map(|v| flush_input(ty, v, mode, raised));
    let signals = is_snan(ty, a) || is_snan(ty, b);
    if signals {
        *raised |= flags::NV;
    }
    let (a_nan, b_nan) = (is_nan(ty, a), is_nan(ty, b));
    let number_wins = imm & min_max::NAN == 0 && !(imm & min_max::NUM_2008 != 0 && signals);
    if a_nan && b_nan || (a_nan || b_nan) && !number_wins {
        let nan = propagated(ty, &[a, b], raised).filter(|_| mode.propagates_nans());
        return nan.unwrap_or(canonical_nan(ty));
    }
    if a_nan || b_nan {
        return if a_nan { b } else { a };
    }
    let sign = |v: u64| v & sign_bit(ty) != 0;
    let a_below = if sign(a) != sign(b) { sign(a) } else { compare(Op::FLtQ, ty, [a, b], mode, &mut 0) };
    if a_below != max { a } else { b }
}

/// A comparison: [`Op::FEq`] to [`Op::FLeQ`].
pub fn compare(op: Op, ty: Ty, [a, b]: [u64; 2], mode: FloatMode, raised: &mut u32) -> bool {
    let [a, b] = [a, b].map(|v| flush_input(ty, v, mode, raised));
    macro_rules! each {
        ($half:ident, $single:ident, $double:ident) => {
            match ty {
                // SAFETY: a pure function of its arguments.
                Ty::F16 => unsafe { sf::$half(f16(a), f16(b)) },
                // SAFETY: as above.
                Ty::F32 => unsafe { sf::$single(f32(a), f32(b)) },
                // SAFETY: as above.
                _ => unsafe { sf::$double(f64(a), f64(b)) },
            }
        };
    }
    with_mode(mode, raised, || match op {
        Op::FLt => each!(f16_lt, f32_lt, f64_lt),
        Op::FLe => each!(f16_le, f32_le, f64_le),
        Op::FLtQ => each!(f16_lt_quiet, f32_lt_quiet, f64_lt_quiet),
        Op::FLeQ => each!(f16_le_quiet, f32_le_quiet, f64_le_quiet),
        _ => each!(f16_eq, f32_eq, f64_eq),
    })
}

/// [`Op::FlagsFloat`]: packed flags of a comparison; `signalling` on any NaN.
pub fn compare_flags(ty: Ty, [a, b]: [u64; 2], mode: FloatMode, signalling: bool, raised: &mut u32) -> u64 {
    let unordered = is_nan(ty, a) || is_nan(ty, b);
    let less = compare(if signalling { Op::FLt } else { Op::FLtQ }, ty, [a, b], mode, raised);
    if unordered {
        packed::C | packed::V
    } else if less {
        packed::N
    } else if compare(Op::FEq, ty, [a, b], mode, raised) {
        packed::Z | packed::C
    } else {
        packed::C
    }
}

/// `nan` of type `from` as one of type `to`: sign and the upper bits of its payload stay.
fn convert_nan(from: Ty, to: Ty, nan: u64) -> u64 {
    let sign = if nan & sign_bit(from) != 0 { sign_bit(to) } else { 0 };
    let payload = nan & (quiet_bit(from) - 1);
    let (have, want) = (fraction_bits(from), fraction_bits(to));
    sign | canonical_nan(to) | if want > have { payload << (want - have) } else { payload >> (have - want) }
}

/// From float type `from` to float type `to`. What flushes does so for binary32 and binary64 only.
pub fn convert((from, to): (Ty, Ty), a: u64, mode: FloatMode, raised: &mut u32) -> u64 {
    let a = if from == Ty::F16 { a } else { flush_input(from, a, mode, raised) };
    if mode.propagates_nans() && is_nan(from, a) {
        if is_snan(from, a) {
            *raised |= flags::NV;
        }
        return convert_nan(from, to, a);
    }
    let mode = if to == Ty::F16 { mode.keeping_subnormals() } else { mode };
    // SAFETY (all calls below): pure functions of their argument and the thread-local mode.
    flushed(to, mode, raised, || match (from, to) {
        // SAFETY: see above.
        (Ty::F32, Ty::F64) => unsafe { sf::f32_to_f64(f32(a)).v },
        // SAFETY: see above.
        (Ty::F64, Ty::F32) => unsafe { sf::f64_to_f32(f64(a)).v.into() },
        // SAFETY: see above.
        (Ty::F16, Ty::F32) => unsafe { sf::f16_to_f32(f16(a)).v.into() },
        // SAFETY: see above.
        (Ty::F16, Ty::F64) => unsafe { sf::f16_to_f64(f16(a)).v },
        // SAFETY: see above.
        (Ty::F32, Ty::F16) => unsafe { sf::f32_to_f16(f32(a)).v.into() },
        // SAFETY: see above.
        (Ty::F64, Ty::F16) => unsafe { sf::f64_to_f16(f64(a)).v.into() },
        _ => a,
    })
}

/// Bit of the immediate of [`Op::FToS`] and [`Op::FToU`]: NaN becomes zero, not the largest value.
pub const NAN_TO_ZERO: u64 = 1 << 8;

/// From float type `from` to an integer of type `to` (I32 or I64), saturating; `imm` as the operation has it.
pub fn to_int((from, to): (Ty, Ty), signed: bool, a: u64, imm: u64, raised: &mut u32) -> u64 {
    let mode = FloatMode::from_bits(imm);
    let a = flush_input(from, a, mode, raised);
    if imm & NAN_TO_ZERO != 0 && is_nan(from, a) {
        *raised |= flags::NV;
        return 0;
    }
    let rm = mode.rm() as u8;
    macro_rules! from {
        ($value:expr, $i32:ident $u32:ident $i64:ident $u64:ident) => {
            match (to, signed) {
                // SAFETY: a pure function of its arguments.
                (Ty::I32, true) => unsafe { sf::$i32($value, rm, true) as u64 },
                // SAFETY: as above.
                (Ty::I32, false) => unsafe { sf::$u32($value, rm, true) as u64 },
                // SAFETY: as above.
                (_, true) => unsafe { sf::$i64($value, rm, true) as u64 },
                // SAFETY: as above.
                (_, false) => unsafe { sf::$u64($value, rm, true) },
            }
        };
    }
    let value = with_mode(mode, raised, || match from {
        Ty::F16 => from!(f16(a), f16_to_i32 f16_to_ui32 f16_to_i64 f16_to_ui64),
        Ty::F32 => from!(f32(a), f32_to_i32 f32_to_ui32 f32_to_i64 f32_to_ui64),
        _ => from!(f64(a), f64_to_i32 f64_to_ui32 f64_to_i64 f64_to_ui64),
    });
    value & to.mask()
}

/// A conversion to a word, made to fit 16 bits: what does not is invalid, and nothing else.
pub fn halfword(signed: bool, raised: &mut u32, conversion: impl FnOnce(&mut u32) -> u64) -> u64 {
    let mut own = 0;
    let wide = conversion(&mut own) as u32;
    let (value, back) = if signed {
        let value = (wide as i32).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        (value as u16, i32::from(value) as u32)
    } else {
        let value = wide.min(u16::MAX.into()) as u16;
        (value, value.into())
    };
    *raised |= if back == wide { own } else { flags::NV };
    value.into()
}

/// From an integer of type `from` (I32 or I64) to float type `to`.
pub fn from_int((from, to): (Ty, Ty), signed: bool, a: u64, mode: FloatMode, raised: &mut u32) -> u64 {
    // The 64-bit conversions give the same result for a value that was extended from 32 bits.
    let wide = if from == Ty::I32 && signed { a as u32 as i32 as i64 as u64 } else { a & from.mask() };
    with_mode(mode, raised, || match (to, signed) {
        // SAFETY: a pure function of its argument and the thread-local mode.
        (Ty::F16, true) => unsafe { sf::i64_to_f16(wide as i64).v.into() },
        // SAFETY: as above.
        (Ty::F16, false) => unsafe { sf::ui64_to_f16(wide).v.into() },
        // SAFETY: as above.
        (Ty::F32, true) => unsafe { sf::i64_to_f32(wide as i64).v.into() },
        // SAFETY: as above.
        (Ty::F32, false) => unsafe { sf::ui64_to_f32(wide).v.into() },
        // SAFETY: as above.
        (_, true) => unsafe { sf::i64_to_f64(wide as i64).v },
        // SAFETY: as above.
        (_, false) => unsafe { sf::ui64_to_f64(wide).v },
    })
}

/// A fixed-point number: an integer with so many (0..=64) of its bits behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// Bits behind the point.
    pub fraction_bits: u32,
    /// Whether it has a sign.
    pub signed: bool,
}

/// `a` of type `ty` as binary128, exactly; `a` is not a NaN.
fn widest(ty: Ty, a: u64) -> sf::float128_t {
    match ty {
        // SAFETY: a pure function of its argument.
        Ty::F16 => unsafe { sf::f16_to_f128(f16(a)) },
        // SAFETY: as above.
        Ty::F32 => unsafe { sf::f32_to_f128(f32(a)) },
        // SAFETY: as above.
        _ => unsafe { sf::f64_to_f128(f64(a)) },
    }
}

/// `v` times two to the power of `by`, exactly: the exponents of narrower formats leave room enough.
fn scaled(v: sf::float128_t, by: i64) -> sf::float128_t {
    let exponent = v.v[1] >> 48 & 0x7fff;
    if exponent == 0 || exponent == 0x7fff {
        return v;
    }
    sf::float128_t { v: [v.v[0], v.v[1].wrapping_add((by << 48) as u64)] }
}

/// From float type `from` to a fixed-point number in an integer of type `to`, saturating, NaN to zero.
pub fn to_fixed((from, to): (Ty, Ty), a: u64, fixed: Fixed, mode: FloatMode, raised: &mut u32) -> u64 {
    let a = flush_input(from, a, mode, raised);
    if is_nan(from, a) {
        *raised |= flags::NV;
        return 0;
    }
    let v = scaled(widest(from, a), fixed.fraction_bits.into());
    let rm = mode.rm() as u8;
    let value = with_mode(mode, raised, || match (to, fixed.signed) {
        // SAFETY: a pure function of its arguments.
        (Ty::I32, true) => unsafe { sf::f128_to_i32(v, rm, true) as u64 },
        // SAFETY: as above.
        (Ty::I32, false) => unsafe { sf::f128_to_ui32(v, rm, true) as u64 },
        // SAFETY: as above.
        (_, true) => unsafe { sf::f128_to_i64(v, rm, true) as u64 },
        // SAFETY: as above.
        (_, false) => unsafe { sf::f128_to_ui64(v, rm, true) },
    });
    value & to.mask()
}

/// From a fixed-point number in an integer of type `from` to float type `to`.
pub fn from_fixed((from, to): (Ty, Ty), a: u64, fixed: Fixed, mode: FloatMode, raised: &mut u32) -> u64 {
    let wide = if from == Ty::I32 && fixed.signed { a as u32 as i32 as i64 as u64 } else { a & from.mask() };
    let v = if fixed.signed {
        // SAFETY: a pure function of its argument.
        unsafe { sf::i64_to_f128(wide as i64) }
    } else {
        // SAFETY: as above.
        unsafe { sf::ui64_to_f128(wide) }
    };
    let v = scaled(v, -i64::from(fixed.fraction_bits));
    flushed(to, mode, raised, || match to {
        // SAFETY: a pure function of its argument and the thread-local mode.
        Ty::F16 => unsafe { sf::f128_to_f16(v).v.into() },
        // SAFETY: as above.
        Ty::F32 => unsafe { sf::f128_to_f32(v).v.into() },
        // SAFETY: as above.
        _ => unsafe { sf::f128_to_f64(v).v },
    })
}

/// As [`convert`] with the alternative half-precision format, which has numbers where binary16 has infinities and NaNs.
pub fn convert_alternative((from, to): (Ty, Ty), a: u64, mode: FloatMode, raised: &mut u32) -> u64 {
    const LARGEST: u64 = 0x7fff;
    const MAX_EXPONENT: u64 = 0x1f;
    if from == Ty::F16 {
        if a >> 10 & MAX_EXPONENT != MAX_EXPONENT {
            return convert((from, to), a, mode, raised);
        }
        // One binade up from what binary16 has below.
        let half = convert((from, to), a & !(1 << 10), mode, raised);
        return half + (1 << fraction_bits(to));
    }
    let a = flush_input(from, a, mode, raised);
    let sign = if a & sign_bit(from) != 0 { sign_bit(Ty::F16) } else { 0 };
    if is_nan(from, a) {
        *raised |= flags::NV;
        return sign;
    }
    if a & (sign_bit(from) - 1) == infinity(from) {
        *raised |= flags::NV;
        return sign | LARGEST;
    }
    // Halved it fits binary16 if it fits at all; small numbers convert as they are.
    let mode = mode.keeping_subnormals();
    let v = widest(from, a);
    // SAFETY: a pure function of its argument and the thread-local mode.
    let narrow = |v, own: &mut u32| with_mode(mode, own, || u64::from(unsafe { sf::f128_to_f16(v) }.v));
    let mut own = 0;
    let plain = narrow(v, &mut own);
    if own & flags::OF == 0 && plain >> 10 & MAX_EXPONENT != MAX_EXPONENT {
        *raised |= own;
        return plain;
    }
    own = 0;
    let half = narrow(scaled(v, -1), &mut own);
    if own & flags::OF != 0 || half >> 10 & MAX_EXPONENT == MAX_EXPONENT {
        *raised |= flags::NV;
        return sign | LARGEST;
    }
    *raised |= own;
    half + (1 << 10)
}

/// To an integral value of the same type; `exact` raises inexact if that changes it.
pub fn round(ty: Ty, a: u64, mode: FloatMode, exact: bool, raised: &mut u32) -> u64 {
    let rm: Rm = mode.rm();
    operate(ty, [a], mode, raised, |[a]| match ty {
        // SAFETY: a pure function of its arguments.
        Ty::F16 => unsafe { sf::f16_roundToInt(f16(a), rm as u8, exact).v.into() },
        // SAFETY: as above.
        Ty::F32 => unsafe { sf::f32_roundToInt(f32(a), rm as u8, exact).v.into() },
        // SAFETY: as above.
        _ => unsafe { sf::f64_roundToInt(f64(a), rm as u8, exact).v },
    })
}

#[cfg(test)]
#[path = "fp_tests.rs"]
mod tests;

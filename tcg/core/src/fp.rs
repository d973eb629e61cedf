//! Floating point by Berkeley SoftFloat: the exact reference, and the slow path of generated code.
//!
//! Values travel as bits in the low end of a `u64`. Results that are not numbers are the canonical quiet NaN;
//! tininess is detected after rounding; conversions to integer saturate, NaN to the largest value (IEEE 754-2019 as
//! RISC-V pins it down; guests that differ say so in their semantics).

use crate::ir::Op;
use crate::sem::{Rm, flags};
use crate::ty::Ty;
use softfloat as sf;
use softfloat::{float16_t, float32_t, float64_t};

/// Runs one SoftFloat operation in mode `rm` and adds the flags that it raises to `raised`.
fn with_mode<T>(rm: Rm, raised: &mut u32, operation: impl FnOnce() -> T) -> T {
    // SAFETY: these set thread-local variables; the modes have SoftFloat's own numbers.
    unsafe {
        sf::softfloat_roundingMode_write_helper(rm as u8);
        sf::softfloat_detectTininess_write_helper(sf::softfloat_tininess_afterRounding);
        sf::softfloat_exceptionFlags_write_helper(0);
    }
    let result = operation();
    // SAFETY: reads a thread-local variable. SoftFloat's flag numbers are those of `sem::flags`.
    *raised |= u32::from(unsafe { sf::softfloat_exceptionFlags_read_helper() });
    result
}

fn f32(bits: u64) -> float32_t {
    float32_t { v: bits as u32 }
}

fn f64(bits: u64) -> float64_t {
    float64_t { v: bits }
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident $single:ident $double:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name(ty: Ty, a: u64, b: u64, rm: Rm, raised: &mut u32) -> u64 {
            with_mode(rm, raised, || match ty {
                // SAFETY: a pure function of its arguments and the thread-local mode.
                Ty::F32 => unsafe { sf::$single(f32(a), f32(b)).v.into() },
                // SAFETY: as above.
                _ => unsafe { sf::$double(f64(a), f64(b)).v },
            })
        }
    )* };
}

binary! {
    /// Sum.
    add f32_add f64_add;
    /// Difference.
    sub f32_sub f64_sub;
    /// Product.
    mul f32_mul f64_mul;
    /// Quotient.
    div f32_div f64_div;
}

/// Square root.
pub fn sqrt(ty: Ty, a: u64, rm: Rm, raised: &mut u32) -> u64 {
    with_mode(rm, raised, || match ty {
        // SAFETY: a pure function of its argument and the thread-local mode.
        Ty::F32 => unsafe { sf::f32_sqrt(f32(a)).v.into() },
        // SAFETY: as above.
        _ => unsafe { sf::f64_sqrt(f64(a)).v },
    })
}

/// `a` times `b` plus `c`, rounded once.
pub fn fmuladd(ty: Ty, [a, b, c]: [u64; 3], rm: Rm, raised: &mut u32) -> u64 {
    with_mode(rm, raised, || match ty {
        // SAFETY: a pure function of its arguments and the thread-local mode.
        Ty::F32 => unsafe { sf::f32_mulAdd(f32(a), f32(b), f32(c)).v.into() },
        // SAFETY: as above.
        _ => unsafe { sf::f64_mulAdd(f64(a), f64(b), f64(c)).v },
    })
}

/// The canonical quiet NaN.
pub fn canonical_nan(ty: Ty) -> u64 {
    match ty {
        Ty::F32 => 0x7fc0_0000,
        _ => 0x7ff8_0000_0000_0000,
    }
}

/// Whether `a` is a NaN. By its bits: a host comparison would raise flags, which may be the guest's just now.
pub fn is_nan(ty: Ty, a: u64) -> bool {
    match ty {
        Ty::F32 => a & 0x7fff_ffff > 0x7f80_0000,
        _ => a & (u64::MAX >> 1) > 0x7ff0_0000_0000_0000,
    }
}

/// Whether `a` is a signalling NaN.
pub fn is_snan(ty: Ty, a: u64) -> bool {
    let quiet = if ty == Ty::F32 { 1 << 22 } else { 1 << 51 };
    is_nan(ty, a) && a & quiet == 0
}

/// minimumNumber, or maximumNumber if `max`; -0 is below +0.
pub fn min_max(ty: Ty, a: u64, b: u64, max: bool, raised: &mut u32) -> u64 {
    if is_snan(ty, a) || is_snan(ty, b) {
        *raised |= flags::NV;
    }
    match (is_nan(ty, a), is_nan(ty, b)) {
        (true, true) => return canonical_nan(ty),
        (true, false) => return b,
        (false, true) => return a,
        (false, false) => {}
    }
    let sign = |v: u64| v >> (ty.bits() - 1) & 1 != 0;
    let a_below = if sign(a) != sign(b) { sign(a) } else { compare(Op::FLtQ, ty, a, b, &mut 0) };
    if a_below != max { a } else { b }
}

/// A comparison: [`Op::FEq`] to [`Op::FLeQ`].
pub fn compare(op: Op, ty: Ty, a: u64, b: u64, raised: &mut u32) -> bool {
    macro_rules! both {
        ($single:ident, $double:ident) => {
            match ty {
                // SAFETY: a pure function of its arguments.
                Ty::F32 => unsafe { sf::$single(f32(a), f32(b)) },
                // SAFETY: as above.
                _ => unsafe { sf::$double(f64(a), f64(b)) },
            }
        };
    }
    with_mode(Rm::Rne, raised, || match op {
        Op::FLt => both!(f32_lt, f64_lt),
        Op::FLe => both!(f32_le, f64_le),
        Op::FLtQ => both!(f32_lt_quiet, f64_lt_quiet),
        Op::FLeQ => both!(f32_le_quiet, f64_le_quiet),
        _ => both!(f32_eq, f64_eq),
    })
}

/// From float type `from` to float type `to`.
pub fn convert(from: Ty, to: Ty, a: u64, rm: Rm, raised: &mut u32) -> u64 {
    with_mode(rm, raised, || match (from, to) {
        // SAFETY: a pure function of its argument and the thread-local mode.
        (Ty::F32, Ty::F64) => unsafe { sf::f32_to_f64(f32(a)).v },
        // SAFETY: as above.
        (Ty::F64, Ty::F32) => unsafe { sf::f64_to_f32(f64(a)).v.into() },
        _ => a,
    })
}

/// From binary16 to float type `to`.
pub fn from_half(to: Ty, a: u64, raised: &mut u32) -> u64 {
    let half = float16_t { v: a as u16 };
    with_mode(Rm::Rne, raised, || match to {
        // SAFETY: a pure function of its argument.
        Ty::F32 => unsafe { sf::f16_to_f32(half).v.into() },
        // SAFETY: as above.
        _ => unsafe { sf::f16_to_f64(half).v },
    })
}

/// From float type `from` to binary16.
pub fn to_half(from: Ty, a: u64, rm: Rm, raised: &mut u32) -> u64 {
    with_mode(rm, raised, || match from {
        // SAFETY: a pure function of its argument and the thread-local mode.
        Ty::F32 => unsafe { sf::f32_to_f16(f32(a)).v.into() },
        // SAFETY: as above.
        _ => unsafe { sf::f64_to_f16(f64(a)).v.into() },
    })
}

/// From float type `from` to an integer of type `to` (I32 or I64), saturating.
pub fn to_int(from: Ty, to: Ty, signed: bool, a: u64, (rm, raised): (Rm, &mut u32)) -> u64 {
    let mode = rm as u8;
    // SAFETY (all calls below): pure functions of their arguments.
    let value = with_mode(rm, raised, || match (from, to, signed) {
        // SAFETY: see above.
        (Ty::F32, Ty::I32, true) => unsafe { sf::f32_to_i32(f32(a), mode, true) as u64 },
        // SAFETY: see above.
        (Ty::F32, Ty::I32, false) => unsafe { sf::f32_to_ui32(f32(a), mode, true) as u64 },
        // SAFETY: see above.
        (Ty::F32, _, true) => unsafe { sf::f32_to_i64(f32(a), mode, true) as u64 },
        // SAFETY: see above.
        (Ty::F32, _, false) => unsafe { sf::f32_to_ui64(f32(a), mode, true) },
        // SAFETY: see above.
        (_, Ty::I32, true) => unsafe { sf::f64_to_i32(f64(a), mode, true) as u64 },
        // SAFETY: see above.
        (_, Ty::I32, false) => unsafe { sf::f64_to_ui32(f64(a), mode, true) as u64 },
        // SAFETY: see above.
        (_, _, true) => unsafe { sf::f64_to_i64(f64(a), mode, true) as u64 },
        // SAFETY: see above.
        (_, _, false) => unsafe { sf::f64_to_ui64(f64(a), mode, true) },
    });
    value & to.mask()
}

/// From an integer of type `from` (I32 or I64) to float type `to`.
pub fn from_int(from: Ty, to: Ty, signed: bool, a: u64, (rm, raised): (Rm, &mut u32)) -> u64 {
    // The 64-bit conversions give the same result for a value that was extended from 32 bits.
    let wide = if from == Ty::I32 && signed { a as u32 as i32 as i64 as u64 } else { a & from.mask() };
    with_mode(rm, raised, || match (to, signed) {
        // SAFETY: a pure function of its argument and the thread-local mode.
        (Ty::F32, true) => unsafe { sf::i64_to_f32(wide as i64).v.into() },
        // SAFETY: as above.
        (Ty::F32, false) => unsafe { sf::ui64_to_f32(wide).v.into() },
        // SAFETY: as above.
        (_, true) => unsafe { sf::i64_to_f64(wide as i64).v },
        // SAFETY: as above.
        (_, false) => unsafe { sf::ui64_to_f64(wide).v },
    })
}

/// To an integral value of the same type; `exact` raises inexact if that changes it.
pub fn round(ty: Ty, a: u64, rm: Rm, exact: bool, raised: &mut u32) -> u64 {
    with_mode(rm, raised, || match ty {
        // SAFETY: a pure function of its arguments.
        Ty::F32 => unsafe { sf::f32_roundToInt(f32(a), rm as u8, exact).v.into() },
        // SAFETY: as above.
        _ => unsafe { sf::f64_roundToInt(f64(a), rm as u8, exact).v },
    })
}

#[cfg(test)]
#[path = "fp_tests.rs"]
mod tests;

//! Float operations that only this architecture has, on bits: J1.1.3 of the manual.

pub mod bf16;
pub mod estimate;
pub mod lanes;

use tcg_core::fp;
use tcg_core::sem::{FloatMode, Rm, flags};
use tcg_core::ty::Ty;

/// Fields of a float format.
#[derive(Clone, Copy)]
struct Format {
    fraction_bits: u32,
    /// All ones: infinity and NaNs.
    max_exponent: u64,
    bits: u32,
}

impl Format {
    const fn of(ty: Ty) -> Self {
        let (fraction_bits, exponent_bits) = match ty {
            Ty::F16 => (10, 5),
            Ty::F32 => (23, 8),
            _ => (52, 11),
        };
        Self { fraction_bits, max_exponent: (1 << exponent_bits) - 1, bits: ty.bits() }
    }

    const fn sign(self) -> u64 {
        1 << (self.bits - 1)
    }

    const fn fraction(self) -> u64 {
        (1 << self.fraction_bits) - 1
    }

    /// The number with this exponent, and a fraction of the highest bit if `half`.
    const fn number(self, exponent: i64, half: bool) -> u64 {
        let biased = (exponent + (self.max_exponent >> 1) as i64) as u64;
        biased << self.fraction_bits | (half as u64) << (self.fraction_bits - 1)
    }
}

/// The result of an operation whose operand is NaN `a`.
fn processed_nan(ty: Ty, a: u64, mode: FloatMode, raised: &mut u32) -> u64 {
    if fp::is_snan(ty, a) {
        *raised |= flags::NV;
    }
    if mode.propagates_nans() { a | fp::canonical_nan(ty) } else { fp::canonical_nan(ty) }
}

/// Whether one operand is infinity and the other zero, as they count under `mode`.
fn is_zero_times_infinity(ty: Ty, [a, b]: [u64; 2], mode: FloatMode) -> bool {
    let size = |v: u64| fp::flush_input(ty, v, mode, &mut 0) & !Format::of(ty).sign();
    let (a, b) = (size(a), size(b));
    (a == 0 && b == fp::infinity(ty)) || (b == 0 && a == fp::infinity(ty))
}

/// Raises what flushing the operands raises.
fn flush_inputs(ty: Ty, args: [u64; 2], mode: FloatMode, raised: &mut u32) {
    for a in args {
        fp::flush_input(ty, a, mode, raised);
    }
}

/// FMULX: the product, two for zero times infinity.
pub fn multiply_extended(ty: Ty, [a, b]: [u64; 2], mode: FloatMode, raised: &mut u32) -> u64 {
    if is_zero_times_infinity(ty, [a, b], mode) {
        flush_inputs(ty, [a, b], mode, raised);
        let f = Format::of(ty);
        return (a ^ b) & f.sign() | f.number(1, false);
    }
    fp::mul(ty, a, b, mode, raised)
}

/// FRECPS: two minus the product, rounded once.
pub fn reciprocal_step(ty: Ty, [a, b]: [u64; 2], mode: FloatMode, raised: &mut u32) -> u64 {
    let f = Format::of(ty);
    let two = f.number(1, false);
    if is_zero_times_infinity(ty, [a, b], mode) {
        flush_inputs(ty, [a, b], mode, raised);
        return two;
    }
    fp::fmuladd(ty, [a ^ f.sign(), b, two], mode, raised)
}

/// FRSQRTS: half of three minus the product, rounded once.
pub fn reciprocal_root_step(ty: Ty, [a, b]: [u64; 2], mode: FloatMode, raised: &mut u32) -> u64 {
    let f = Format::of(ty);
    let three_halves = f.number(0, true);
    if is_zero_times_infinity(ty, [a, b], mode) {
        flush_inputs(ty, [a, b], mode, raised);
        return three_halves;
    }
    flush_inputs(ty, [a, b], mode, raised);
    let [a, b] = [a, b].map(|v| fp::flush_input(ty, v, mode, &mut 0));
    let exponent = |v: u64| v >> f.fraction_bits & f.max_exponent;
    // The greater factor is halved, exactly. Where both are too small for that, their product is next to nothing anyway.
    let halved = |v: u64| match exponent(v) {
        0 | 1 => v,
        e if e == f.max_exponent => v,
        _ => v - (1 << f.fraction_bits),
    };
    let a = a ^ f.sign();
    let (a, b) = if exponent(a) > exponent(b) { (halved(a), b) } else { (a, halved(b)) };
    fp::fmuladd(ty, [a, b, three_halves], mode, raised)
}

/// FMLAL: the single `c` plus the product of halves `a` and `b`. Subnormal halves count as zero with `flushes`.
pub fn add_long_product([a, b, c]: [u64; 3], flushes: bool, mode: FloatMode, raised: &mut u32) -> u64 {
    let widened = |half: u64| {
        let sign = half >> 15 << 31;
        if flushes && fp::is_subnormal(Ty::F16, half) {
            return sign;
        }
        if fp::is_nan(Ty::F16, half) {
            // Quiet or not stays as it is.
            return sign | fp::infinity(Ty::F32) | (half & 0x3ff) << 13;
        }
        fp::convert((Ty::F16, Ty::F32), half, FloatMode::new(Rm::Rne), &mut 0)
    };
    fp::fmuladd(Ty::F32, [widened(a), widened(b), c], mode, raised)
}

/// FCVTXN: a double as a single, rounded to odd.
pub fn narrow_to_odd(a: u64, mode: FloatMode, raised: &mut u32) -> u64 {
    let mode = FloatMode::from_bits(mode.bits() & !7 | Rm::Rtz as u64);
    let mut own = 0;
    let v = fp::convert((Ty::F64, Ty::F32), a, mode, &mut own);
    *raised |= own;
    v | u64::from(own & flags::NX != 0)
}

/// FRINT32 and FRINT64: to an integral value within so many bits; NaNs and what does not fit become the least integer, and
/// are invalid.
pub fn round_within(ty: Ty, a: u64, bits: u64, mode: FloatMode, raised: &mut u32) -> u64 {
    let a = fp::flush_input(ty, a, mode, raised);
    let mut own = 0;
    let rounded = fp::round(ty, a, mode, true, &mut own);
    let mut outside = 0;
    let to = if bits == 32 { Ty::I32 } else { Ty::I64 };
    fp::to_int((ty, to), true, rounded, mode.bits(), &mut outside);
    if outside & flags::NV != 0 || fp::is_nan(ty, a) {
        *raised |= flags::NV;
        // -2^31 or -2^63.
        let f = Format::of(ty);
        return f.sign() | f.number(bits as i64 - 1, false);
    }
    *raised |= own;
    rounded
}

/// FJCVTZS: JavaScript's conversion of a double to a 32-bit integer, modulo 2^32; with [`EXACT`].
pub fn javascript_to_int(a: u64, mode: FloatMode, raised: &mut u32) -> u64 {
    let flushed = fp::flush_input(Ty::F64, a, mode, raised);
    if flushed != a {
        return 0;
    }
    let exponent = (a >> 52 & 0x7ff) as i64 - 1023;
    let fraction = a & ((1 << 52) - 1) | 1 << 52;
    if exponent == 1024 {
        *raised |= flags::NV;
        return 0;
    }
    if exponent < 0 {
        let zero = a << 1 == 0;
        if !zero {
            *raised |= flags::NX;
        }
        return if a == 0 { EXACT } else { 0 };
    }
    let (size, inexact) = match exponent {
        0..=51 => (fraction >> (52 - exponent), fraction << (12 + exponent) != 0),
        52..=83 => (fraction << (exponent - 52), false),
        _ => (0, false),
    };
    let value = if a >> 63 != 0 { size.wrapping_neg() } else { size };
    let fits = exponent < 31 || exponent == 31 && a >> 63 != 0 && size == 1 << 31;
    if !fits {
        *raised |= flags::NV;
    } else if inexact {
        *raised |= flags::NX;
    }
    value & 0xffff_ffff | if fits && !inexact { EXACT } else { 0 }
}

/// Bit of [`javascript_to_int`]'s result: nothing was lost.
pub const EXACT: u64 = 1 << 32;

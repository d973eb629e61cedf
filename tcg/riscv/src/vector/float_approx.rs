//! The estimates `vfrec7` and `vfrsqrt7`, 31.13.9 and 31.13.10: seven bits from tables, which are what correct rounding
//! of the value in the middle of each interval gives.

use tcg_core::fp;
use tcg_core::sem::{Rm, flags};
use tcg_core::ty::Ty;

/// Fraction bits, exponent bits.
fn layout(ty: Ty) -> (u32, u32) {
    match ty {
        Ty::F64 => (52, 11),
        Ty::F16 => (10, 5),
        _ => (23, 8),
    }
}

/// Sign (in place), exponent and fraction of `a`; a subnormal number's made normal, its exponent then at most zero.
fn unpack(ty: Ty, a: u64) -> (u64, i64, u64) {
    let (fraction_bits, exponent_bits) = layout(ty);
    let sign = a & 1 << (fraction_bits + exponent_bits);
    let exponent = (a >> fraction_bits & ((1 << exponent_bits) - 1)) as i64;
    let fraction = a & ((1 << fraction_bits) - 1);
    if exponent != 0 || fraction == 0 {
        return (sign, exponent, fraction);
    }
    let shift = fraction.leading_zeros() - (63 - fraction_bits);
    (sign, 1 - i64::from(shift), fraction << shift & ((1 << fraction_bits) - 1))
}

// By integers alone: the flags of the host's float unit are the guest's.

/// The seven bits below the leading one of twice the reciprocal of 1 + (top + 1/2) / 128.
fn reciprocal(top: u64) -> u64 {
    let (numerator, denominator) = (128 * (255 - 2 * top), 257 + 2 * top);
    (2 * numerator + denominator) / (2 * denominator)
}

/// The seven bits below the leading one of 2 / sqrt(x), x being `scale` times 1 + (top + 1/2) / 64.
fn reciprocal_root(top: u64, scale: u64) -> u64 {
    // The nearest integer to 256 / sqrt(x).
    let below = |m: u64| (2 * m - 1).pow(2) * (129 + 2 * top) * scale <= 4 << 23;
    let nearest = (128..=256).rev().find(|m| below(*m)).unwrap_or(128);
    nearest.min(255) - 128
}

/// An estimate of the reciprocal square root.
pub fn rsqrt7(ty: Ty, a: u64, raised: &mut u32) -> u64 {
    let (fraction_bits, exponent_bits) = layout(ty);
    let (sign, exponent, fraction) = unpack(ty, a);
    let infinity = fp::infinity(ty);
    if fp::is_nan(ty, a) || sign != 0 && a != sign {
        if fp::is_snan(ty, a) || !fp::is_nan(ty, a) {
            *raised |= flags::NV;
        }
        return fp::canonical_nan(ty);
    }
    if a == sign {
        *raised |= flags::DZ;
        return sign | infinity;
    }
    if a == infinity {
        return 0;
    }
    let bias = (1i64 << (exponent_bits - 1)) - 1;
    // An even exponent stands for twice an even power.
    let bits = reciprocal_root(fraction >> (fraction_bits - 6), if exponent & 1 != 0 { 1 } else { 2 });
    let result = (3 * bias - 1 - exponent).div_euclid(2) as u64;
    result << fraction_bits | bits << (fraction_bits - 7)
}

/// An estimate of the reciprocal.
pub fn rec7(ty: Ty, a: u64, rm: Rm, raised: &mut u32) -> u64 {
    let (fraction_bits, exponent_bits) = layout(ty);
    let (sign, exponent, fraction) = unpack(ty, a);
    let infinity = fp::infinity(ty);
    let size = a ^ sign;
    if fp::is_nan(ty, a) {
        if fp::is_snan(ty, a) {
            *raised |= flags::NV;
        }
        return fp::canonical_nan(ty);
    }
    if size == infinity {
        return sign;
    }
    if size == 0 {
        *raised |= flags::DZ;
        return sign | infinity;
    }
    let bias = (1i64 << (exponent_bits - 1)) - 1;
    if exponent < -1 {
        // Too small: the reciprocal overflows.
        *raised |= flags::OF | flags::NX;
        let largest = match rm {
            Rm::Rtz => true,
            Rm::Rdn => sign == 0,
            Rm::Rup => sign != 0,
            Rm::Rne | Rm::Rmm => false,
        };
        return sign | if largest { infinity - 1 } else { infinity };
    }
    let bits = reciprocal(fraction >> (fraction_bits - 7));
    let result = 2 * bias - 1 - exponent;
    let fraction = bits << (fraction_bits - 7);
    if result > 0 {
        return sign | (result as u64) << fraction_bits | fraction;
    }
    // Subnormal: the leading one becomes visible.
    let fraction = (fraction | 1 << fraction_bits) >> (1 - result);
    sign | fraction
}

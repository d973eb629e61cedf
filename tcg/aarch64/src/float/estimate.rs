//! Estimates of reciprocals and of reciprocals of square roots: FPRecipEstimate and FPRSqrtEstimate of the manual (J1.1.3),
//! on bits. Eight bits of the result are meaningful, and the same everywhere.

use super::{Format, processed_nan};
use tcg_core::fp;
use tcg_core::sem::{FloatMode, Rm, flags};
use tcg_core::ty::Ty;

/// Of `a`, 256 to 511, in units of 2^-9: the same of its reciprocal, halved.
fn reciprocal_of(a: u64) -> u64 {
    ((1 << 19) / (2 * a + 1)).div_ceil(2)
}

/// Of `a`, 128 to 511, in units of 2^-9: 256 to 511, in the same units, of the reciprocal of its square root, halved.
fn reciprocal_root_of(a: u64) -> u64 {
    let a = if a < 256 { 2 * a + 1 } else { ((a >> 1 << 1) + 1) * 2 };
    let fits = |b: u64| a * (b + 1) * (b + 1) < 1 << 28;
    let b = (512..1024).find(|b| !fits(*b)).unwrap_or(1023);
    b.div_ceil(2)
}

/// URECPE.
pub fn unsigned_reciprocal(a: u32) -> u32 {
    if a >> 31 == 0 { u32::MAX } else { (reciprocal_of((a >> 23).into()) as u32) << 23 }
}

/// URSQRTE.
pub fn unsigned_reciprocal_root(a: u32) -> u32 {
    if a >> 30 == 0 { u32::MAX } else { (reciprocal_root_of((a >> 23).into()) as u32) << 23 }
}

/// Exponent and fraction of a number that is not zero; the latter in the upper bits of 52, with the exponent of subnormal
/// numbers as low as normalising takes it.
fn parts(ty: Ty, a: u64) -> (i64, u64) {
    let f = Format::of(ty);
    let exponent = (a >> f.fraction_bits & f.max_exponent) as i64;
    let fraction = (a & f.fraction()) << (52 - f.fraction_bits);
    if exponent != 0 {
        return (exponent, fraction);
    }
    // The highest set bit becomes the one that is implied.
    let by = fraction.leading_zeros() - 11;
    (1 - i64::from(by), fraction << by & ((1 << 52) - 1))
}

/// FRECPE.
pub fn reciprocal(ty: Ty, a: u64, mode: FloatMode, raised: &mut u32) -> u64 {
    let f = Format::of(ty);
    let a = fp::flush_input(ty, a, mode, raised);
    if fp::is_nan(ty, a) {
        return processed_nan(ty, a, mode, raised);
    }
    let (sign, size) = (a & f.sign(), a & !f.sign());
    if size == fp::infinity(ty) {
        return sign;
    }
    if size == 0 {
        *raised |= flags::DZ;
        return sign | fp::infinity(ty);
    }
    // A quarter of the least normal number: its reciprocal is too large.
    if size < 1 << (f.fraction_bits - 2) {
        *raised |= flags::OF | flags::NX;
        let away = match mode.rm() {
            Rm::Rne | Rm::Rmm => true,
            Rm::Rup => sign == 0,
            Rm::Rdn => sign != 0,
            Rm::Rtz => false,
        };
        return sign | (fp::infinity(ty) - u64::from(!away));
    }
    let exponent = size >> f.fraction_bits;
    if mode.flushes() && exponent >= f.max_exponent - 2 {
        *raised |= flags::UF;
        return sign;
    }
    let (exponent, fraction) = parts(ty, size);
    let estimate = reciprocal_of(256 | fraction >> 44);
    let fraction = (estimate & 0xff) << 44;
    let (exponent, fraction) = match f.max_exponent as i64 - 2 - exponent {
        0 => (0, 1 << 51 | fraction >> 1),
        -1 => (0, 1 << 50 | fraction >> 2),
        exponent => (exponent, fraction),
    };
    sign | (exponent as u64) << f.fraction_bits | fraction >> (52 - f.fraction_bits)
}

/// FRSQRTE.
pub fn reciprocal_root(ty: Ty, a: u64, mode: FloatMode, raised: &mut u32) -> u64 {
    let f = Format::of(ty);
    let a = fp::flush_input(ty, a, mode, raised);
    if fp::is_nan(ty, a) {
        return processed_nan(ty, a, mode, raised);
    }
    let (sign, size) = (a & f.sign(), a & !f.sign());
    if size == 0 {
        *raised |= flags::DZ;
        return sign | fp::infinity(ty);
    }
    if sign != 0 {
        *raised |= flags::NV;
        return fp::canonical_nan(ty);
    }
    if size == fp::infinity(ty) {
        return 0;
    }
    let (exponent, fraction) = parts(ty, size);
    let scaled = if exponent & 1 == 0 { 256 | fraction >> 44 } else { 128 | fraction >> 45 };
    let estimate = reciprocal_root_of(scaled) & 0xff;
    // Three times the bias, less one: 44, 380, 3068.
    let bias = f.max_exponent as i64 >> 1;
    let exponent = (3 * bias - 1 - exponent) / 2;
    (exponent as u64) << f.fraction_bits | estimate << (f.fraction_bits - 8)
}

/// FRECPX: a number of about the reciprocal's exponent.
pub fn reciprocal_exponent(ty: Ty, a: u64, mode: FloatMode, raised: &mut u32) -> u64 {
    let f = Format::of(ty);
    let a = fp::flush_input(ty, a, mode, raised);
    if fp::is_nan(ty, a) {
        return processed_nan(ty, a, mode, raised);
    }
    let exponent = a >> f.fraction_bits & f.max_exponent;
    let exponent = if exponent == 0 { f.max_exponent - 1 } else { !exponent & f.max_exponent };
    a & f.sign() | exponent << f.fraction_bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manuals_ends_of_the_tables() {
        assert_eq!((reciprocal_of(256), reciprocal_of(511)), (511, 256));
        assert_eq!((reciprocal_root_of(128), reciprocal_root_of(511)), (511, 256));
    }

    #[test]
    fn powers_of_two() {
        let mode = FloatMode::new(Rm::Rne);
        let mut raised = 0;
        let half = reciprocal(Ty::F32, 2f32.to_bits().into(), mode, &mut raised);
        assert_eq!(f32::from_bits(half as u32), 0.499_023_44);
        assert_eq!(raised, 0);
        assert_eq!(reciprocal(Ty::F64, 0, mode, &mut raised), fp::infinity(Ty::F64));
        assert_eq!(raised, flags::DZ);
    }
}

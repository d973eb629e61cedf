//! BFloat16 arithmetic: J1.1.3, the functions that begin with BF. The upper halves of singles; sums of products are rounded to
//! odd, without flags, NaN payloads and subnormal numbers, whatever FPCR says; unless FPCR.EBF asks for the extended behaviour.

use super::processed_nan;
use tcg_core::fp;
use tcg_core::sem::{FloatMode, Rm, flags};
use tcg_core::ty::Ty;

const SIGN: u64 = 1 << 31;

/// Half of the bits that are dropped.
const HALF: u64 = 1 << 15;

/// A single as BFloat16.
pub fn narrow(a: u64, mode: FloatMode, raised: &mut u32) -> u64 {
    let a = fp::flush_input(Ty::F32, a, mode, raised);
    if fp::is_nan(Ty::F32, a) {
        return processed_nan(Ty::F32, a, mode, raised) >> 16;
    }
    let dropped = a & 0xffff;
    let (kept, negative) = (a >> 16, a & SIGN != 0);
    if dropped == 0 {
        return kept;
    }
    let up = match mode.rm() {
        Rm::Rne => dropped > HALF || dropped == HALF && kept & 1 != 0,
        Rm::Rmm => dropped >= HALF,
        Rm::Rtz => false,
        Rm::Rup => !negative,
        Rm::Rdn => negative,
    };
    *raised |= flags::NX;
    if fp::is_subnormal(Ty::F32, a) {
        *raised |= flags::UF;
    }
    let rounded = kept + u64::from(up);
    if rounded & 0x7fff == fp::infinity(Ty::F32) >> 16 {
        *raised |= flags::OF;
    }
    rounded
}

/// Subnormal numbers are zero.
fn flushed(a: u64) -> u64 {
    if fp::is_subnormal(Ty::F32, a) { a & SIGN } else { a }
}

/// An operation on singles, rounded to odd; too large is infinity.
fn to_odd(operation: fn(Ty, u64, u64, FloatMode, &mut u32) -> u64, a: u64, b: u64) -> u64 {
    let mut raised = 0;
    let v = operation(Ty::F32, flushed(a), flushed(b), FloatMode::new(Rm::Rtz), &mut raised);
    if fp::is_nan(Ty::F32, v) {
        return fp::canonical_nan(Ty::F32);
    }
    if raised & flags::OF != 0 {
        return v & SIGN | fp::infinity(Ty::F32);
    }
    if fp::is_subnormal(Ty::F32, v) || raised & flags::UF != 0 {
        return v & SIGN;
    }
    v | u64::from(raised & flags::NX != 0)
}

/// The single `sum` and the products of two pairs of BFloat16 numbers, lower halves and upper.
pub fn add_products(sum: u64, a: u64, b: u64) -> u64 {
    let low = |v: u64| v << 16 & 0xffff_0000;
    let high = |v: u64| v & 0xffff_0000;
    let products = to_odd(fp::add, to_odd(fp::mul, low(a), low(b)), to_odd(fp::mul, high(a), high(b)));
    to_odd(fp::add, sum, products)
}

/// The same with the extended behaviour: the sum of the products is rounded once, as `mode` says, and then added.
pub fn add_products_extended(sum: u64, a: u64, b: u64, mode: FloatMode) -> u64 {
    let mode = mode.canonical_nans();
    let exact = FloatMode::new(Rm::Rtz);
    let double = |v: u64| {
        let v = fp::flush_input(Ty::F32, v, mode, &mut 0);
        fp::convert((Ty::F32, Ty::F64), v, exact, &mut 0)
    };
    // Doubles have room for each product.
    let product = |a, b| fp::mul(Ty::F64, double(a), double(b), exact, &mut 0);
    let (low, high) =
        (product(a << 16 & 0xffff_0000, b << 16 & 0xffff_0000), product(a & 0xffff_0000, b & 0xffff_0000));
    let mut raised = 0;
    let both = fp::add(Ty::F64, low, high, exact, &mut raised);
    let both = match both << 1 {
        // The sign of a zero depends on the rounding mode.
        0 => fp::add(Ty::F64, low, high, FloatMode::new(mode.rm()), &mut 0),
        // Rounded to odd, which rounding again does not notice.
        _ => both | u64::from(raised & flags::NX != 0),
    };
    let products = fp::convert((Ty::F64, Ty::F32), both, mode, &mut 0);
    fp::add(Ty::F32, sum, products, mode, &mut 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrowing_rounds() {
        let mode = FloatMode::new(Rm::Rne);
        let mut raised = 0;
        assert_eq!(narrow(0x3f80_0000, mode, &mut raised), 0x3f80);
        assert_eq!(raised, 0);
        assert_eq!(narrow(0x3f80_8000, mode, &mut raised), 0x3f80);
        assert_eq!(narrow(0x3f81_8000, mode, &mut raised), 0x3f82);
        assert_eq!(raised, flags::NX);
        assert_eq!(narrow(0x7f7f_ffff, mode, &mut raised), 0x7f80);
        assert_eq!(raised, flags::NX | flags::OF);
    }
}

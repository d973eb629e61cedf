//! The tininess rule, NaN canonicalisation and saturation on values whose answers are known.

use super::*;

const MIN_NORMAL: u64 = 0x0010_0000_0000_0000;

#[test]
fn tininess_is_detected_after_rounding() {
    // The largest subnormal's neighbour: (1 - 2^-53) * 2^-1022 * 1 rounds to the smallest normal number.
    let below_one = 0x3fef_ffff_ffff_ffff;
    let mut raised = 0;
    let product = mul(Ty::F64, MIN_NORMAL, below_one, Rm::Rne.into(), &mut raised);
    assert_eq!((product, raised), (MIN_NORMAL, flags::NX | flags::UF));
}

#[test]
fn nan_results_are_canonical() {
    let mut raised = 0;
    let payload = 0xfff0_dead_beef_0001;
    assert_eq!(add(Ty::F64, payload, 0, Rm::Rne.into(), &mut raised), canonical_nan(Ty::F64));
    assert_eq!(raised, flags::NV);
    assert_eq!(min_or_max(Ty::F64, [payload, 5], true, min_max::NUMBER, &mut 0), 5);
}

#[test]
fn conversions_saturate() {
    let mut raised = 0;
    let huge = 1e30f64.to_bits();
    assert_eq!(to_int((Ty::F64, Ty::I32), true, huge, Rm::Rtz as u64, &mut raised), 0x7fff_ffff);
    assert_eq!(to_int((Ty::F64, Ty::I32), false, (-1f64).to_bits(), Rm::Rtz as u64, &mut raised), 0);
    assert_eq!(
        to_int((Ty::F64, Ty::I64), true, canonical_nan(Ty::F64), Rm::Rtz as u64, &mut raised),
        i64::MAX as u64
    );
    assert_eq!(raised, flags::NV);
}

#[test]
fn ordinary_values_agree_with_the_host() {
    for (a, b) in [(1.5f64, -2.25), (1e300, 1e10), (0.1, 0.2), (-0.0, 3.0)] {
        let bits = |f: f64| f.to_bits();
        assert_eq!(add(Ty::F64, bits(a), bits(b), Rm::Rne.into(), &mut 0), bits(a + b));
        assert_eq!(div(Ty::F64, bits(a), bits(b), Rm::Rne.into(), &mut 0), bits(a / b));
    }
}

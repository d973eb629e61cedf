//! Operations on lanes that are carried out in software: rare ones, and shifts by registers that saturate.

use crate::float::estimate;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// What is done to each lane.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Soft { $($(#[$doc])* $name,)* }

        impl Soft {
            const ALL: &[Soft] = &[$(Soft::$name,)*];
        }
    };
}

operations! {
    /// Shift by a signed amount, left if that is positive: signed, saturating.
    Sqshl;
    /// Unsigned, saturating.
    Uqshl;
    /// Signed, saturating and rounding.
    Sqrshl;
    /// Unsigned, saturating and rounding.
    Uqrshl;
    /// Polynomial product.
    Pmul;
    /// Polynomial product of the lower lanes, in lanes twice as wide.
    PmulLong;
    /// High half of the doubled product and what it is added to, saturating and rounding.
    Sqrdmlah;
    /// The same, subtracted.
    Sqrdmlsh;
    /// Estimate of the reciprocal of an unsigned fraction.
    Urecpe;
    /// Estimate of the reciprocal of its square root.
    Ursqrte;
}

impl Soft {
    /// As the parameter of the helper: with the size of lanes and the bytes that count, from the lowest.
    pub fn pack(self, size: u8, bytes: u8) -> u64 {
        self as u64 | u64::from(size) << 8 | u64::from(bytes) << 16
    }
}

/// Carries out what [`Soft::pack`] made; also tells whether a lane saturated.
pub fn run(param: u64, [a, b, c]: [u128; 3]) -> (u128, bool) {
    let op = Soft::ALL[(param & 0xff) as usize % Soft::ALL.len()];
    let (size, bytes) = ((param >> 8 & 3) as u32, (param >> 16 & 31) as u32);
    let bits = 8 << size;
    let mut saturated = false;
    let mut result = 0u128;
    if op == Soft::PmulLong {
        for n in 0..64 / bits {
            let product = polynomial(lane(a, n, bits), lane(b, n, bits));
            result |= u128::from(product) << (2 * n * bits);
        }
        return (result, false);
    }
    for n in 0..bytes * 8 / bits {
        let [a, b, c] = [a, b, c].map(|v| lane(v, n, bits));
        let v = each(op, bits, [a, b, c], &mut saturated);
        result |= u128::from(v) << (n * bits);
    }
    (result, saturated)
}

fn mask(bits: u32) -> u128 {
    u128::MAX >> (128 - bits)
}

fn lane(v: u128, n: u32, bits: u32) -> u64 {
    ((v >> (n * bits)) & mask(bits)) as u64
}

fn signed(v: u64, bits: u32) -> i128 {
    i128::from((v << (64 - bits)) as i64 >> (64 - bits))
}

/// `value` made to fit `bits` bits.
fn clamp(value: i128, bits: u32, is_signed: bool, saturated: &mut bool) -> u64 {
    let (least, most) = if is_signed {
        (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
    } else {
        (0, (1i128 << bits) - 1)
    };
    let fits = value.clamp(least, most);
    *saturated |= fits != value;
    fits as u64 & mask(bits) as u64
}

fn each(op: Soft, bits: u32, [a, b, c]: [u64; 3], saturated: &mut bool) -> u64 {
    let (sa, sb, sc) = (signed(a, bits), signed(b, bits), signed(c, bits));
    let by = signed(b & 0xff, 8);
    let half = 1i128 << (bits - 1);
    match op {
        Soft::Sqshl => clamp(shifted(sa, by, false), bits, true, saturated),
        Soft::Uqshl => clamp(shifted(a.into(), by, false), bits, false, saturated),
        Soft::Sqrshl => clamp(shifted(sa, by, true), bits, true, saturated),
        Soft::Uqrshl => clamp(shifted(a.into(), by, true), bits, false, saturated),
        Soft::Pmul | Soft::PmulLong => polynomial(a, b) & mask(bits) as u64,
        Soft::Sqrdmlah => clamp(((sc << bits) + 2 * sa * sb + half) >> bits, bits, true, saturated),
        Soft::Sqrdmlsh => clamp(((sc << bits) - 2 * sa * sb + half) >> bits, bits, true, saturated),
        Soft::Urecpe => estimate::unsigned_reciprocal(a as u32).into(),
        Soft::Ursqrte => estimate::unsigned_reciprocal_root(a as u32).into(),
    }
}

/// Product of polynomials over {0, 1}.
fn polynomial(a: u64, b: u64) -> u64 {
    (0..64).filter(|n| b >> n & 1 != 0).fold(0, |sum, n| sum ^ a << n)
}

/// `v` shifted left by `by`, or right if that is negative, with nothing lost to the left; what goes very far there is the
/// greatest or least number.
fn shifted(v: i128, by: i128, rounds: bool) -> i128 {
    if by >= 0 {
        return match by {
            0..64 => v << by,
            _ if v == 0 => 0,
            _ if v > 0 => i128::MAX,
            _ => i128::MIN,
        };
    }
    let by = by.unsigned_abs().min(126) as u32;
    let half = if rounds { 1i128 << (by - 1) } else { 0 };
    // What is shifted by more than its width is at most the rounding of its sign.
    (v + half) >> by
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturation_is_told() {
        let shift = |a, b| run(Soft::Sqshl.pack(0, 16), [a, b, 0]);
        assert_eq!(shift(0x40, 1), (0x7f, true));
        assert_eq!(shift(0x3f, 1), (0x7e, false));
        assert_eq!(run(Soft::Uqshl.pack(3, 8), [1, 64, 0]), (u64::MAX.into(), true));
    }

    #[test]
    fn only_the_lanes_that_count_saturate() {
        assert_eq!(run(Soft::Sqshl.pack(0, 1), [0x4000, 0x0100, 0]), (0, false));
    }
}

//! Operations on lanes that are carried out in software: those that saturate, since they raise FPSR.QC, and shifts by
//! variable amounts in both directions.

/// What is done to each lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Soft {
    /// Signed sum, saturating.
    Sqadd,
    /// Unsigned sum, saturating.
    Uqadd,
    /// Signed difference, saturating.
    Sqsub,
    /// Unsigned difference, saturating.
    Uqsub,
    /// Shift by a signed amount: signed.
    Sshl,
    /// Unsigned.
    Ushl,
    /// Signed, saturating.
    Sqshl,
    /// Unsigned, saturating.
    Uqshl,
    /// Signed, rounding.
    Srshl,
    /// Unsigned, rounding.
    Urshl,
    /// Signed, saturating and rounding.
    Sqrshl,
    /// Unsigned, saturating and rounding.
    Uqrshl,
    /// Polynomial product.
    Pmul,
    /// High half of the doubled product, saturating.
    Sqdmulh,
    /// The same, rounding.
    Sqrdmulh,
    /// Absolute value, saturating.
    Sqabs,
    /// Negative, saturating.
    Sqneg,
    /// Narrowed, signed to signed; `size` is that of the result.
    Sqxtn,
    /// Narrowed, signed to unsigned.
    Sqxtun,
    /// Narrowed, unsigned to unsigned.
    Uqxtn,
    /// Sum of all lanes, signed; the first `imm` bytes count.
    Saddlv,
    /// Sum of all lanes, unsigned.
    Uaddlv,
}

impl Soft {
    const ALL: [Soft; 22] = [
        Soft::Sqadd,
        Soft::Uqadd,
        Soft::Sqsub,
        Soft::Uqsub,
        Soft::Sshl,
        Soft::Ushl,
        Soft::Sqshl,
        Soft::Uqshl,
        Soft::Srshl,
        Soft::Urshl,
        Soft::Sqrshl,
        Soft::Uqrshl,
        Soft::Pmul,
        Soft::Sqdmulh,
        Soft::Sqrdmulh,
        Soft::Sqabs,
        Soft::Sqneg,
        Soft::Sqxtn,
        Soft::Sqxtun,
        Soft::Uqxtn,
        Soft::Saddlv,
        Soft::Uaddlv,
    ];

    /// As the parameter of the helper: with the size of lanes and the bytes that count (8 or 16, from the lowest).
    pub fn pack(self, size: u8, bytes: u8) -> u64 {
        self as u64 | u64::from(size) << 8 | u64::from(bytes) << 16
    }
}

/// Carries out what [`Soft::pack`] made; also tells whether a lane saturated.
pub fn run(param: u64, [a, b, _]: [u128; 3]) -> (u128, bool) {
    let op = Soft::ALL[(param & 0xff) as usize % Soft::ALL.len()];
    let (size, bytes) = ((param >> 8 & 3) as u32, (param >> 16 & 31) as u32);
    let bits = 8 << size;
    let mut saturated = false;
    let mut result = 0u128;
    match op {
        Soft::Saddlv | Soft::Uaddlv => {
            let lanes = (0..bytes * 8 / bits).map(|n| lane(a, n, bits));
            let sum: i128 =
                lanes.map(|v| if op == Soft::Saddlv { signed(v, bits) } else { i128::from(v) }).sum();
            result = sum as u128 & mask(2 * bits);
        }
        Soft::Sqxtn | Soft::Sqxtun | Soft::Uqxtn => {
            for n in 0..64 / bits {
                let wide = lane(a, n, 2 * bits);
                let value = if op == Soft::Uqxtn { i128::from(wide) } else { signed(wide, 2 * bits) };
                let v = clamp(value, bits, op == Soft::Sqxtn, &mut saturated);
                result |= u128::from(v) << (n * bits);
            }
        }
        _ => {
            for n in 0..bytes * 8 / bits {
                let v = each(op, bits, lane(a, n, bits), lane(b, n, bits), &mut saturated);
                result |= u128::from(v) << (n * bits);
            }
        }
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

fn each(op: Soft, bits: u32, a: u64, b: u64, saturated: &mut bool) -> u64 {
    let (sa, sb) = (signed(a, bits), signed(b, bits));
    let (ua, ub) = (i128::from(a), i128::from(b));
    let by = signed(b & 0xff, 8);
    match op {
        Soft::Sqadd => clamp(sa + sb, bits, true, saturated),
        Soft::Uqadd => clamp(ua + ub, bits, false, saturated),
        Soft::Sqsub => clamp(sa - sb, bits, true, saturated),
        Soft::Uqsub => clamp(ua - ub, bits, false, saturated),
        Soft::Sshl => (shifted(sa, by, bits, false)) as u64 & mask(bits) as u64,
        Soft::Ushl => (shifted(ua, by, bits, false)) as u64 & mask(bits) as u64,
        Soft::Srshl => (shifted(sa, by, bits, true)) as u64 & mask(bits) as u64,
        Soft::Urshl => (shifted(ua, by, bits, true)) as u64 & mask(bits) as u64,
        Soft::Sqshl => clamp(shifted_far(sa, by, false), bits, true, saturated),
        Soft::Uqshl => clamp(shifted_far(ua, by, false), bits, false, saturated),
        Soft::Sqrshl => clamp(shifted_far(sa, by, true), bits, true, saturated),
        Soft::Uqrshl => clamp(shifted_far(ua, by, true), bits, false, saturated),
        Soft::Pmul => (0..8).filter(|n| b >> n & 1 != 0).fold(0, |sum, n| sum ^ a << n) & mask(bits) as u64,
        Soft::Sqdmulh => clamp((2 * sa * sb) >> bits, bits, true, saturated),
        Soft::Sqrdmulh => clamp((2 * sa * sb + (1 << (bits - 1))) >> bits, bits, true, saturated),
        Soft::Sqabs => clamp(sa.abs(), bits, true, saturated),
        Soft::Sqneg => clamp(-sa, bits, true, saturated),
        _ => 0,
    }
}

/// `v` shifted left by `by`, or right if that is negative; everything may be shifted out.
fn shifted(v: i128, by: i128, bits: u32, rounds: bool) -> i128 {
    if by >= bits.into() { 0 } else { shifted_far(v, by, rounds) }
}

/// The same with nothing lost to the left; what goes very far there is the greatest or least number.
fn shifted_far(v: i128, by: i128, rounds: bool) -> i128 {
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
        let sum = |a, b| run(Soft::Sqadd.pack(0, 16), [a, b, 0]);
        assert_eq!(sum(0x7f, 1), (0x7f, true));
        assert_eq!(sum(0x7e, 1), (0x7f, false));
        assert_eq!(run(Soft::Uqshl.pack(3, 8), [1, 64, 0]), (u64::MAX.into(), true));
        assert_eq!(run(Soft::Uqxtn.pack(0, 16), [0x0100_00ff, 0, 0]), (0xffff, true));
    }

    #[test]
    fn numbers_are_those_of_the_list() {
        for (n, op) in Soft::ALL.into_iter().enumerate() {
            assert_eq!(n, op as usize);
        }
    }
}

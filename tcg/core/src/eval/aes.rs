//! The steps of an AES round, FIPS 197. The state's byte `r + 4 * c` (row, column) is byte `r + 4 * c` of the vector.

use crate::sem::Aes;

/// Product in the field of 256 elements, 4.2.
fn times(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        if b >> bit & 1 != 0 {
            product ^= a;
        }
        a = a << 1 ^ if a & 0x80 != 0 { 0x1b } else { 0 };
    }
    product
}

/// SubBytes, 5.1.1, of each byte of a word: SubWord of 5.2.
pub fn substituted(word: u32) -> u32 {
    u32::from_le_bytes(word.to_le_bytes().map(|byte| SUB[usize::from(byte)]))
}

/// SubBytes, 5.1.1, of every byte.
const fn forward() -> [u8; 256] {
    // 3 generates the field: p runs through its powers, q through those of its inverse.
    let mut table = [0x63u8; 256];
    let (mut p, mut q) = (1u8, 1u8);
    loop {
        p = p ^ p << 1 ^ if p & 0x80 != 0 { 0x1b } else { 0 };
        q ^= q << 1;
        q ^= q << 2;
        q ^= q << 4;
        if q & 0x80 != 0 {
            q ^= 0x09;
        }
        let spread = q ^ q.rotate_left(1) ^ q.rotate_left(2) ^ q.rotate_left(3) ^ q.rotate_left(4);
        table[p as usize] = spread ^ 0x63;
        if p == 1 {
            return table;
        }
    }
}

const fn backward() -> [u8; 256] {
    let (forward, mut table) = (forward(), [0; 256]);
    let mut n = 0;
    while n < 256 {
        table[forward[n] as usize] = n as u8;
        n += 1;
    }
    table
}

static SUB: [u8; 256] = forward();
static INV_SUB: [u8; 256] = backward();

/// Every column times the polynomial with these coefficients, 5.1.3.
fn mix(state: [u8; 16], row: [u8; 4]) -> [u8; 16] {
    std::array::from_fn(|i| {
        let (r, column) = (i % 4, &state[i & !3..(i & !3) + 4]);
        (0..4).fold(0, |sum, n| sum ^ times(column[n], row[(n + 4 - r) % 4]))
    })
}

/// One step on `state`.
pub fn step(kind: Aes, state: [u8; 16]) -> u128 {
    u128::from_le_bytes(match kind {
        // Row r moves r columns to the left, or back to the right.
        Aes::Sub => std::array::from_fn(|i| SUB[state[(i + 4 * (i % 4)) % 16] as usize]),
        Aes::InvSub => std::array::from_fn(|i| INV_SUB[state[(i + 16 - 4 * (i % 4)) % 16] as usize]),
        Aes::Mix => mix(state, [2, 3, 1, 1]),
        Aes::InvMix => mix(state, [14, 11, 13, 9]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SubBytes of one byte, 5.1.1: the inverse (a to the power of 254), then the affine map.
    fn sub(a: u8) -> u8 {
        let (mut inverse, mut power) = (1, a);
        for _ in 1..8 {
            power = times(power, power);
            inverse = times(inverse, power);
        }
        (0..5).fold(0x63, |sum, n| sum ^ inverse.rotate_left(n))
    }

    #[test]
    fn the_table_is_the_definition() {
        (0..=255).for_each(|a| assert_eq!(SUB[usize::from(a)], sub(a)));
    }

    #[test]
    fn first_round_of_the_standards_example() {
        // FIPS 197, appendix B: the state at the start of round 1, after its steps.
        let bytes = |hex: u128| hex.to_be_bytes();
        let start = bytes(0x193de3bea0f4e22b9ac68d2ae9f84808);
        let shifted = step(Aes::Sub, start);
        assert_eq!(shifted.to_le_bytes(), bytes(0xd4bf5d30e0b452aeb84111f11e2798e5));
        let mixed = step(Aes::Mix, shifted.to_le_bytes());
        assert_eq!(mixed.to_le_bytes(), bytes(0x046681e5e0cb199a48f8d37a2806264c));
        assert_eq!(step(Aes::InvMix, mixed.to_le_bytes()), shifted);
        assert_eq!(step(Aes::InvSub, shifted.to_le_bytes()).to_le_bytes(), start);
    }
}

//! The product of GHASH: NIST SP 800-38D, 6.3.

/// The product of two elements whose coefficient of x^n is bit n, modulo x^128 + x^7 + x^2 + x + 1.
pub fn times(a: u128, b: u128) -> u128 {
    let (mut product, mut power) = (0, b);
    for bit in 0..128 {
        if a >> bit & 1 != 0 {
            product ^= power;
        }
        power = power << 1 ^ if power >> 127 != 0 { 0x87 } else { 0 };
    }
    product
}

#[cfg(test)]
mod tests {
    use super::times;

    #[test]
    fn the_standards_example() {
        // The Galois/Counter Mode of Operation, appendix B, test case 2: the hash key times the ciphertext.
        let element = |hex: u128| hex.reverse_bits();
        let h = element(0x66e94bd4ef8a2c3b884cfa59ca342b2e);
        let c = element(0x0388dace60b6a392f328c2b971b2fe78);
        assert_eq!(times(c, h), element(0x5e2ec746917062882c85b0685353deb7));
        assert_eq!(times(1, h), h);
    }
}

//! CRC-32 of CRC32 and CRC32C instructions: C6.2.78. Polynomials 0x04c11db7 and 0x1edc6f41, bits reflected.

const fn table(polynomial: u32) -> [u32; 256] {
    let reflected = polynomial.reverse_bits();
    let mut all = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut value = n as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 != 0 { value >> 1 ^ reflected } else { value >> 1 };
            bit += 1;
        }
        all[n] = value;
        n += 1;
    }
    all
}

static ISO: [u32; 256] = table(0x04c1_1db7);
static CASTAGNOLI: [u32; 256] = table(0x1edc_6f41);

/// `crc` after the `1 << size` low bytes of `value`.
pub fn update(crc: u32, value: u64, size: u32, castagnoli: bool) -> u32 {
    let table = if castagnoli { &CASTAGNOLI } else { &ISO };
    value.to_le_bytes()[..1 << size]
        .iter()
        .fold(crc, |crc, byte| table[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::update;

    fn check(castagnoli: bool) -> u32 {
        !b"123456789".iter().fold(!0, |crc, byte| update(crc, (*byte).into(), 0, castagnoli))
    }

    #[test]
    fn check_values() {
        assert_eq!(check(false), 0xcbf4_3926);
        assert_eq!(check(true), 0xe306_9283);
    }
}

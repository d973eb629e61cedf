//! The first instructions of an aarch64 machine that boots a kernel directly, at the start of RAM: registers as the Linux
//! boot protocol has them (Documentation/arch/arm64/booting.rst), x0 the device tree and x1 to x3 zero.

/// Bytes at the start of RAM that are the stub's.
pub const SIZE: u64 = 4096;

/// The code, which may stand anywhere: jumps to `entry` with the device tree at `fdt`.
pub fn code(entry: u64, fdt: u64) -> Vec<u8> {
    let code: [u32; 6] = [
        0x5800_00c0, // ldr x0, #24
        0xaa1f_03e1, // mov x1, xzr
        0xaa1f_03e2, // mov x2, xzr
        0xaa1f_03e3, // mov x3, xzr
        0x5800_0084, // ldr x4, #16
        0xd61f_0080, // br  x4
    ];
    let mut bytes: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend([fdt, entry].iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_where_the_code_looks() {
        let code = code(0x4020_0000, 0x4800_0000);
        let word = |at: usize| u32::from_le_bytes(code[at..at + 4].try_into().expect("in range"));
        // The distance of an `ldr` is in words, in bits 23 to 5.
        let target = |at: usize| at + 4 * (word(at) >> 5 & 0x7_ffff) as usize;
        let long = |at: usize| u64::from_le_bytes(code[at..at + 8].try_into().expect("in range"));
        assert_eq!((long(target(0)), long(target(16))), (0x4800_0000, 0x4020_0000));
    }
}

//! The smallest static ELF executable (System V ABI, ELF-64): one segment that may be read, written and executed.

/// An executable for Linux on aarch64 that is `image`, loaded at `base` (page-aligned) and entered there.
pub fn executable(base: u64, image: &[u8]) -> Vec<u8> {
    const HEADERS: u64 = 0x1000;
    let size = image.len() as u64;
    let mut elf = Vec::new();
    // Identification: 64-bit, little-endian, version 1, System V.
    elf.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // ET_EXEC, EM_AARCH64, version; entry, program headers, no section headers.
    halves(&mut elf, &[2, 183]);
    words(&mut elf, &[1]);
    doubles(&mut elf, &[base, 64, 0]);
    // No flags. Header sizes and counts.
    words(&mut elf, &[0]);
    halves(&mut elf, &[64, 56, 1, 0, 0, 0]);
    // PT_LOAD, RWX.
    words(&mut elf, &[1, 7]);
    doubles(&mut elf, &[HEADERS, base, base, size, size, 0x1000]);
    elf.resize(HEADERS as usize, 0);
    elf.extend(image);
    elf
}

fn halves(elf: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|v| elf.extend(v.to_le_bytes()));
}

fn words(elf: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|v| elf.extend(v.to_le_bytes()));
}

fn doubles(elf: &mut Vec<u8>, values: &[u64]) {
    values.iter().for_each(|v| elf.extend(v.to_le_bytes()));
}

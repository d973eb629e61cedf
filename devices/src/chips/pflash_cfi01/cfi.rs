//! What the chips say about themselves: identifier codes and the CFI query table.

/// Manufacturer code: Intel.
pub const MANUFACTURER: u16 = 0x89;
/// Device code of a 128 Mbit part.
pub const DEVICE: u16 = 0x18;
/// log2 of the program buffer of one chip, in bytes.
pub const BUFFER_LOG2: u8 = 11;

/// Chips side by side.
const CHIPS: u64 = 2;
/// Where the primary vendor-specific extended table starts.
const EXTENDED: u8 = 0x31;

/// The byte at `index` of the CFI query of one chip, for `size` bytes in sectors of `sector_size`, both counted on
/// all chips together.
pub fn query(index: u64, size: u64, sector_size: u64) -> u8 {
    let sectors = (size / sector_size - 1) as u16;
    // In units of 256 bytes.
    let sector_units = (sector_size / CHIPS / 256) as u16;
    match index {
        0x10 => b'Q',
        0x11 => b'R',
        0x12 => b'Y',
        // Primary command set: Intel/Sharp extended.
        0x13 => 0x01,
        0x15 => EXTENDED,
        // Supply voltage: 4.5 V to 5.5 V, in BCD.
        0x1b => 0x45,
        0x1c => 0x55,
        // log2 of typical times: word and buffer program in us, sector erase in ms.
        0x1f | 0x20 => 0x07,
        0x21 => 0x0a,
        // log2 of how much longer the longest takes.
        0x23..=0x25 => 0x04,
        0x27 => (size / CHIPS).ilog2() as u8,
        // Interface: x8 and x16.
        0x28 => 0x02,
        0x2a => BUFFER_LOG2,
        // Erase regions: one, its number of sectors less one, and their size.
        0x2c => 0x01,
        0x2d => sectors as u8,
        0x2e => (sectors >> 8) as u8,
        0x2f => sector_units as u8,
        0x30 => (sector_units >> 8) as u8,
        // The extended table, version 1.0: no optional features, one protection field.
        0x31 => b'P',
        0x32 => b'R',
        0x33 => b'I',
        0x34 => b'1',
        0x35 => b'0',
        0x3f => 0x01,
        _ => 0,
    }
}

//! What Arm's PrimeCells have in common: identification at the end of the register file, a byte a word.

/// Offset of the first identification register, PeriphID0.
const FIRST: u64 = 0xfe0;
/// PCellID0 to PCellID3.
const CELL: [u8; 4] = [0x0d, 0xf0, 0x05, 0xb1];

/// What an identification register of the cell with PeriphID0 to PeriphID3 `peripheral` reads; `None` where other registers are.
pub fn identification(peripheral: [u8; 4], offset: u64) -> Option<u8> {
    let at = (offset.checked_sub(FIRST)? / 4) as usize;
    Some(peripheral.iter().chain(&CELL).nth(at).copied().unwrap_or(0))
}

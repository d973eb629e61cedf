//! The mask ROM of a RISC-V board: the first instructions of every hart, and what they hand to the firmware.
//!
//! Registers as the SBI boot convention has them: a0 the hart's number, a1 the device tree, a2 the `fw_dynamic`
//! information of OpenSBI (docs/firmware/fw_dynamic.md).

/// Where `fw_dynamic` firmware goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextStage {
    /// Entry address of the next stage.
    pub addr: u64,
    /// Whether there is one that runs in S-mode; without one the firmware stays in M-mode.
    pub supervisor: bool,
}

const FW_DYNAMIC_MAGIC: u64 = 0x4942_534f;
const FW_DYNAMIC_VERSION: u64 = 2;
/// No particular hart must boot.
const ANY_HART: u64 = u64::MAX;

/// The content of the ROM, which may stand anywhere: jumps to `entry` with the device tree at `fdt`.
pub fn rom(entry: u64, fdt: u64, next: NextStage) -> Vec<u8> {
    // The information block stands behind code and literals, at a fixed distance from the first instruction.
    let code: [u32; 6] = [
        0x0000_0297, // auipc t0, 0
        0x0282_8613, // addi  a2, t0, 40
        0xf140_2573, // csrr  a0, mhartid
        0x0202_b583, // ld    a1, 32(t0)
        0x0182_b283, // ld    t0, 24(t0)
        0x0002_8067, // jr    t0
    ];
    let next_mode = if next.supervisor { 1 } else { 3 };
    let words = [entry, fdt, FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, next.addr, next_mode, 0, ANY_HART];
    let mut bytes: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_where_the_code_looks() {
        let rom = rom(0x8000_0000, 0x8fe0_0000, NextStage { addr: 0x8020_0000, supervisor: true });
        let word = |at: usize| u64::from_le_bytes(rom[at..at + 8].try_into().expect("in range"));
        assert_eq!(word(24), 0x8000_0000);
        assert_eq!(word(32), 0x8fe0_0000);
        assert_eq!(word(40), FW_DYNAMIC_MAGIC);
        assert_eq!((word(56), word(64)), (0x8020_0000, 1));
    }
}

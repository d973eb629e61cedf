//! The Secure and the Non-secure physical address space of a PE with EL3: D8.2.6 (Security state of translation regimes),
//! NS and NSTable of descriptors (D8.3), PAR_EL1.NS.
//!
//! Nearly everything is at one address in both. What a board has for the Secure world alone, or shows to it in another way,
//! stands elsewhere on the bus: [`SecureSpace`].

/// Where the two address spaces differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecureSpace {
    /// What the bus address of something in one of `ranges` is above its Secure physical address.
    pub base: u64,
    /// First address and size of each range that the Secure world has for itself; a multiple of 4 KiB.
    pub ranges: &'static [(u64, u64)],
}

impl SecureSpace {
    /// The spaces do not differ.
    pub const NONE: Self = Self { base: 0, ranges: &[] };

    /// The bus address of `phys`, and log2 of the size of the range around it, at most `size_log2`, which is all in one place.
    pub fn place(self, phys: u64, secure: bool, size_log2: u32) -> (u64, u32) {
        if !secure {
            return (phys, size_log2);
        }
        let mut at = phys;
        let mut size_log2 = size_log2;
        for &(first, size) in self.ranges {
            let inside = phys.wrapping_sub(first) < size;
            if inside {
                at = phys + self.base;
            }
            // Either all of the block is in the range, or nothing of it.
            let fits = |log2: u32| {
                let block = phys >> log2 << log2;
                let last = block + ((1 << log2) - 1);
                if inside {
                    block >= first && last < first + size
                } else {
                    last < first || block >= first + size
                }
            };
            while size_log2 > base::PAGE_SHIFT && !fits(size_log2) {
                size_log2 -= 1;
            }
        }
        (at, size_log2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_reach_into_ranges() {
        let space = SecureSpace { base: 1 << 60, ranges: &[(0, 0x400_0000), (0x900_4000, 0x1000)] };
        assert_eq!(space.place(0x1234, true, 30), (1 << 60 | 0x1234, 26));
        assert_eq!(space.place(0x1234, false, 30), (0x1234, 30));
        assert_eq!(space.place(0x900_4008, true, 21), (1 << 60 | 0x900_4008, 12));
        assert_eq!(space.place(0x900_6008, true, 21), (0x900_6008, 13));
        assert_eq!(space.place(0x4000_0000, true, 30), (0x4000_0000, 30));
        assert_eq!(SecureSpace::NONE.place(5, true, 30), (5, 30));
    }
}

//! What descriptors allow, and memory attributes: D8.4, D8.5, D8.6.

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
    /// Fetches.
    pub fetch: bool,
}

impl Rights {
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, fetch: true };

    /// What both allow.
    pub fn and(self, other: Self) -> Self {
        Self {
            read: self.read && other.read,
            write: self.write && other.write,
            fetch: self.fetch && other.fetch,
        }
    }
}

/// Normal memory, write-back: what stage 1 that is off makes with HCR_EL2.DC.
pub const WRITE_BACK: u8 = 0xff;
/// Device-nGnRnE.
pub const DEVICE: u8 = 0;
/// Normal memory, non-cacheable.
pub const NON_CACHEABLE: u8 = 0x44;

/// Attributes of a stage 2 descriptor's MemAttr field, in the form of MAIR.
pub fn of_stage2(field: u64) -> u8 {
    match field & 15 {
        device @ 0..4 => (device as u8) << 2,
        normal => {
            let half = |bits: u64| match bits & 3 {
                1 => 4,
                2 => 8 | 2,
                _ => 0xf,
            };
            half(normal >> 2) << 4 | half(normal)
        }
    }
}

/// The attributes of both stages together: the stronger ones.
pub fn combined(first: u8, second: u8) -> u8 {
    let device = |attributes: u8| attributes & 0xf0 == 0;
    match (device(first), device(second)) {
        (true, true) => first.min(second),
        (true, false) => first,
        (false, true) => second,
        (false, false) => {
            let half = |a: u8, b: u8| {
                if a == 4 || b == 4 {
                    4
                } else if a & 0xc == 8 || b & 0xc == 8 {
                    a.min(b)
                } else {
                    a
                }
            };
            half(first >> 4, second >> 4) << 4 | half(first & 15, second & 15)
        }
    }
}

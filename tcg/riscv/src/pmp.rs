//! Physical memory protection: RISC-V Privileged ISA 20240411, 3.7. 16 entries, granularity 4 bytes.
//!
//! Left out: Smepmp (`mseccfg`).

use crate::csr::Priv;
use serde::{Deserialize, Serialize};

/// Entries that are implemented; the CSRs of the others read as zero.
pub const ENTRIES: usize = 16;

const R: u8 = 1;
const W: u8 = 2;
const X: u8 = 4;
const LOCK: u8 = 0x80;
/// Bits of an entry's configuration, and of its address.
const CFG: u8 = LOCK | 0x1f;
const ADDR: u64 = (1 << 54) - 1;

/// Rights over a piece of memory.
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
    /// Nothing.
    pub const NONE: Self = Self { read: false, write: false, fetch: false };
}

/// The PMP unit of one hart.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pmp {
    cfg: [u8; ENTRIES],
    addr: [u64; ENTRIES],
    /// What the entries cover, as first and last byte; worked out when a register is written.
    #[serde(skip)]
    ranges: [Option<(u64, u64)>; ENTRIES],
}

impl Pmp {
    /// A unit that was saved, with values that it can have.
    pub(crate) fn loaded(mut self) -> Self {
        self.cfg.iter_mut().for_each(|cfg| *cfg &= CFG);
        self.addr.iter_mut().for_each(|addr| *addr &= ADDR);
        self.work_out();
        self
    }

    /// `pmpcfg` number `n` (even: 64-bit registers hold eight entries).
    pub fn cfg(&self, n: usize) -> u64 {
        let at = n / 2 * 8;
        let bytes = self.cfg.get(at..at + 8).and_then(|b| <[u8; 8]>::try_from(b).ok());
        bytes.map_or(0, u64::from_le_bytes)
    }

    /// Writes `pmpcfg` number `n`; locked entries stay.
    pub fn set_cfg(&mut self, n: usize, value: u64) {
        let at = n / 2 * 8;
        for (i, new) in value.to_le_bytes().into_iter().enumerate() {
            let Some(cfg) = self.cfg.get_mut(at + i).filter(|cfg| **cfg & LOCK == 0) else { continue };
            let new = new & CFG;
            // Writable but not readable is reserved; WARL keeps the rights as they were.
            let rights = if new & (R | W) == W { *cfg & 7 } else { new & 7 };
            *cfg = new & !7 | rights;
        }
        self.work_out();
    }

    /// `pmpaddr` number `n`.
    pub fn addr(&self, n: usize) -> u64 {
        self.addr.get(n).copied().unwrap_or(0)
    }

    /// Writes `pmpaddr` number `n`, unless it is locked, by itself or as the bottom of a locked range.
    pub fn set_addr(&mut self, n: usize, value: u64) {
        let next_is_locked_top = self.cfg.get(n + 1).is_some_and(|c| c & LOCK != 0 && c >> 3 & 3 == 1);
        if n < ENTRIES && self.cfg[n] & LOCK == 0 && !next_is_locked_top {
            self.addr[n] = value & ADDR;
            self.work_out();
        }
    }

    fn work_out(&mut self) {
        for n in 0..ENTRIES {
            let addr = self.addr[n];
            self.ranges[n] = match self.cfg[n] >> 3 & 3 {
                0 => None,
                1 => {
                    let bottom = if n == 0 { 0 } else { self.addr[n - 1] };
                    (bottom < addr).then(|| (bottom << 2, (addr << 2) - 1))
                }
                2 => Some((addr << 2, (addr << 2) + 3)),
                _ => {
                    let size = 8u64 << addr.trailing_ones();
                    let base = addr << 2 & !(size - 1);
                    Some((base, base + (size - 1)))
                }
            };
        }
    }

    /// Rights of `privilege` over the byte at `phys`, if they are the same for the whole naturally aligned range of
    /// `1 << size_log2` bytes around it; `None` if they are not.
    pub fn rights(&self, phys: u64, size_log2: u32, privilege: Priv) -> Option<Rights> {
        let first = phys & (u64::MAX << size_log2);
        let last = first | !(u64::MAX << size_log2);
        for (range, cfg) in self.ranges.iter().zip(self.cfg) {
            let Some((from, to)) = *range else { continue };
            if to < first || last < from {
                continue;
            }
            if first < from || to < last {
                return None;
            }
            let free = privilege == Priv::M && cfg & LOCK == 0;
            let has = |bit: u8| free || cfg & bit != 0;
            return Some(Rights { read: has(R), write: has(W), fetch: has(X) });
        }
        Some(if privilege == Priv::M { Rights::ALL } else { Rights::NONE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn napot_tor_and_na4() {
        let mut pmp = Pmp::default();
        pmp.set_addr(0, 0x8000_0000 >> 2 | 0xfff); // 32 KiB at 0x80000000
        pmp.set_addr(1, 0x9000_0000 >> 2);
        pmp.set_addr(2, 0xa000_0000 >> 2);
        pmp.set_addr(3, 0xb000_0000 >> 2);
        pmp.set_cfg(0, 0x11_09_00_18);
        let s = |at, size| pmp.rights(at, size, Priv::S);
        assert_eq!(s(0x8000_7fff, 0), Some(Rights::NONE));
        assert_eq!(s(0x8000_0000, 21), None, "the range ends inside");
        assert_eq!(s(0x9000_0000, 12), Some(Rights { read: true, write: false, fetch: false }));
        assert_eq!(s(0xb000_0003, 2), Some(Rights { read: true, write: false, fetch: false }));
        assert_eq!(s(0xb000_0004, 2), Some(Rights::NONE));
        assert_eq!(pmp.rights(0x8000_0000, 12, Priv::M), Some(Rights::ALL));
    }

    #[test]
    fn everything_by_all_ones() {
        let mut pmp = Pmp::default();
        pmp.set_addr(0, u64::MAX);
        pmp.set_cfg(0, 0x1f);
        assert_eq!(pmp.rights(0x1234_5678, 30, Priv::U), Some(Rights::ALL));
    }

    #[test]
    fn locked_entries_stay() {
        let mut pmp = Pmp::default();
        pmp.set_addr(0, 0x1000);
        pmp.set_cfg(0, 0x98);
        pmp.set_addr(0, 0x2000);
        pmp.set_cfg(0, 0x1f);
        assert_eq!((pmp.addr(0), pmp.cfg(0)), (0x1000, 0x98));
        assert_eq!(pmp.rights(0x4000, 2, Priv::M), Some(Rights::NONE));
    }
}

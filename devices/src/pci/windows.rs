//! The windows through which the CPU sees the bus.

use super::{Bar, BarKind};
use std::ops::Range;

/// A range of CPU addresses behind which bus addresses lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciWindow {
    /// First CPU address.
    pub cpu: u64,
    /// First bus address.
    pub bus: u64,
    /// Size in bytes.
    pub size: u64,
}

impl PciWindow {
    /// The CPU address of `len` bytes at bus address `bus`, if all of them are in the window.
    fn cpu_address(&self, bus: u64, len: u64) -> Option<u64> {
        let offset = bus.checked_sub(self.bus)?;
        (offset.checked_add(len)? <= self.size).then(|| self.cpu + offset)
    }

    fn range(&self) -> Range<u64> {
        self.cpu..self.cpu + self.size
    }
}

/// Where the host is in the address space.
#[derive(Clone, Copy, Debug)]
pub struct PciWindows {
    /// Configuration space; its bus addresses have no meaning.
    pub ecam: PciWindow,
    /// I/O ports.
    pub io: PciWindow,
    /// Memory below 4 GiB.
    pub memory: PciWindow,
    /// Memory above 4 GiB, if there is room for it.
    pub high_memory: Option<PciWindow>,
}

impl PciWindows {
    /// The CPU address of a BAR at bus address `bus`, if it is in a window.
    pub(super) fn cpu_address(&self, bar: Bar, bus: u64) -> Option<u64> {
        match bar.kind {
            BarKind::Io => self.io.cpu_address(bus, bar.size),
            _ => [Some(self.memory), self.high_memory]
                .into_iter()
                .flatten()
                .find_map(|window| window.cpu_address(bus, bar.size)),
        }
    }

    /// The CPU addresses of all of them.
    pub(super) fn ranges(&self) -> Vec<Range<u64>> {
        let all = [Some(self.ecam), Some(self.io), Some(self.memory), self.high_memory];
        all.into_iter().flatten().map(|window| window.range()).collect()
    }
}

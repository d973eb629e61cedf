//! The guest-physical address space: which address is RAM, ROM or a device.

use crate::{GuestRam, Mmio, RomRegion, Shared, Width};
use parking_lot::{Mutex, RwLock};
use std::sync::atomic::{AtomicU64, Ordering};
use thiserror::Error;
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};

/// Names one mapping, to take it away again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapId(u64);

/// What a range of addresses is mapped to (RAM is given to [`AddressSpace::new`]).
#[derive(Clone)]
pub enum Slot {
    /// A device.
    Device(Shared<dyn Mmio>),
    /// Memory that is only read; writes are ignored.
    Rom(RomRegion),
    /// Memory that is read directly while [`RomRegion::direct`], and a device for everything else.
    RomDevice(RomRegion, Shared<dyn Mmio>),
}

/// Why a mapping was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MapError {
    /// The range is empty or wraps around.
    #[error("{base:#x}+{size:#x} is no range of addresses")]
    Range {
        /// First address.
        base: u64,
        /// Size in bytes.
        size: u64,
    },
    /// Something is there already.
    #[error("{base:#x}+{size:#x} overlaps {other} at {other_base:#x}")]
    Overlap {
        /// First address.
        base: u64,
        /// Size in bytes.
        size: u64,
        /// What is there.
        other: String,
        /// Where it starts.
        other_base: u64,
    },
}

struct Mapping {
    id: MapId,
    name: String,
    base: u64,
    size: u64,
    slot: Slot,
}

/// What lies at one address.
pub enum Target {
    /// RAM: the host address of the byte, and how many bytes of RAM follow it, this one included.
    Ram {
        /// Host address.
        host: *mut u8,
        /// Bytes up to the end of the region.
        left: u64,
    },
    /// Memory that can be read but not written directly.
    Rom {
        /// Host address.
        host: *const u8,
        /// Bytes up to the end of the region.
        left: u64,
        /// It stays so; otherwise a device may answer here instead, after any write to it.
        constant: bool,
    },
    /// A device, and the offset into it.
    Device(Shared<dyn Mmio>, u64),
    /// Nothing: an access is a bus error.
    Nothing,
}

struct RamRange {
    base: u64,
    size: u64,
    host: *mut u8,
}

// SAFETY: `host` points into a mapping that `AddressSpace::ram` keeps alive; guest memory is shared between threads
// by nature and only ever accessed through volatile or atomic operations.
unsafe impl Send for RamRange {}
// SAFETY: as above.
unsafe impl Sync for RamRange {}

/// Called after the map changed.
type Listener = Box<dyn Fn() + Send + Sync>;

/// The guest-physical address space of one machine.
pub struct AddressSpace {
    ram: GuestRam,
    ranges: Vec<RamRange>,
    map: RwLock<Vec<Mapping>>,
    next_id: AtomicU64,
    listeners: Mutex<Vec<Listener>>,
}

impl AddressSpace {
    /// An address space with RAM and nothing else.
    pub fn new(ram: GuestRam) -> Self {
        let ranges = ram
            .iter()
            .map(|r| RamRange { base: r.start_addr().0, size: r.len(), host: r.get_mmap().as_ptr() })
            .collect();
        Self { ram, ranges, map: RwLock::default(), next_id: AtomicU64::new(0), listeners: Mutex::default() }
    }

    /// All RAM, for devices that read and write it by themselves.
    pub fn ram(&self) -> &GuestRam {
        &self.ram
    }

    /// Maps `slot` at `base .. base + size` under `name` (for people: `info mtree`, error sentences).
    pub fn map(&self, name: &str, base: u64, size: u64, slot: Slot) -> Result<MapId, MapError> {
        let end = base.checked_add(size).filter(|_| size > 0).ok_or(MapError::Range { base, size })?;
        let overlap = |other: &str, other_base: u64| {
            Err(MapError::Overlap { base, size, other: other.into(), other_base })
        };
        if let Some(r) = self.ranges.iter().find(|r| base < r.base + r.size && r.base < end) {
            return overlap("ram", r.base);
        }
        let mut map = self.map.write();
        if let Some(m) = map.iter().find(|m| base < m.base + m.size && m.base < end) {
            return overlap(&m.name, m.base);
        }
        let id = MapId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let at = map.partition_point(|m| m.base < base);
        map.insert(at, Mapping { id, name: name.into(), base, size, slot });
        drop(map);
        self.changed();
        Ok(id)
    }

    /// Takes a mapping away; an id that is gone already is ignored.
    pub fn unmap(&self, id: MapId) {
        self.map.write().retain(|m| m.id != id);
        self.changed();
    }

    /// Registers a call for every later change of the map; translators drop what they remember of it there.
    pub fn on_change(&self, listener: impl Fn() + Send + Sync + 'static) {
        self.listeners.lock().push(Box::new(listener));
    }

    /// Tells the listeners that the meaning of some address changed.
    pub fn changed(&self) {
        self.listeners.lock().iter().for_each(|listener| listener());
    }

    /// Every mapping as (name, base, size), in address order, RAM included.
    pub fn list(&self) -> Vec<(String, u64, u64)> {
        let mut all: Vec<_> = self.ranges.iter().map(|r| ("ram".to_string(), r.base, r.size)).collect();
        all.extend(self.map.read().iter().map(|m| (m.name.clone(), m.base, m.size)));
        all.sort_by_key(|entry| entry.1);
        all
    }

    /// The name of the mapping at `addr`; `None` for RAM and for nothing.
    pub fn name_at(&self, addr: u64) -> Option<String> {
        let map = self.map.read();
        let at = map.partition_point(|m| m.base <= addr).checked_sub(1)?;
        Some(&map[at]).filter(|m| addr - m.base < m.size).map(|m| m.name.clone())
    }

    /// What lies at `addr`.
    pub fn lookup(&self, addr: u64) -> Target {
        if let Some(r) = self.ranges.iter().find(|r| addr.wrapping_sub(r.base) < r.size) {
            let offset = addr - r.base;
            // SAFETY: `offset` is within the mapping.
            return Target::Ram { host: unsafe { r.host.add(offset as usize) }, left: r.size - offset };
        }
        let map = self.map.read();
        let at = map.partition_point(|m| m.base <= addr);
        let Some(m) = at.checked_sub(1).map(|at| &map[at]).filter(|m| addr - m.base < m.size) else {
            return Target::Nothing;
        };
        let offset = addr - m.base;
        let direct = |rom: &RomRegion, constant: bool| {
            let left = rom.len().saturating_sub(offset);
            if left == 0 {
                return Target::Nothing;
            }
            // SAFETY: `offset` is below the length of the mapping.
            Target::Rom { host: unsafe { rom.as_ptr().add(offset as usize) }, left, constant }
        };
        match &m.slot {
            Slot::Device(device) => Target::Device(device.clone(), offset),
            Slot::Rom(rom) => direct(rom, true),
            Slot::RomDevice(rom, _) if rom.direct() => direct(rom, false),
            Slot::RomDevice(_, device) => Target::Device(device.clone(), offset),
        }
    }

    /// Reads a naturally aligned value; `None` is a bus error.
    pub fn read(&self, addr: u64, width: Width) -> Option<u64> {
        if !addr.is_multiple_of(width.bytes()) {
            return None;
        }
        match self.lookup(addr) {
            // SAFETY: an aligned access never crosses the page-multiple end of a region.
            Target::Ram { host, .. } => Some(unsafe { load(host, width) }),
            // SAFETY: as above.
            Target::Rom { host, .. } => Some(unsafe { load(host, width) }),
            Target::Device(device, offset) => read_device(&device, offset, width),
            Target::Nothing => None,
        }
    }

    /// Writes a naturally aligned value; false is a bus error. Writes to ROM are ignored.
    pub fn write(&self, addr: u64, width: Width, value: u64) -> bool {
        if !addr.is_multiple_of(width.bytes()) {
            return false;
        }
        match self.lookup(addr) {
            Target::Ram { .. } => {
                // Through `vm-memory`, so that the write is reported to the region's watch.
                use vm_memory::{Bytes, GuestAddress};
                let at = GuestAddress(addr);
                match width {
                    Width::B1 => self.ram.write_obj(value as u8, at),
                    Width::B2 => self.ram.write_obj((value as u16).to_le(), at),
                    Width::B4 => self.ram.write_obj((value as u32).to_le(), at),
                    Width::B8 => self.ram.write_obj(value.to_le(), at),
                }
                .is_ok()
            }
            Target::Rom { .. } => match self.device_at(addr) {
                Some((device, offset)) => write_device(&device, offset, width, value),
                None => true,
            },
            Target::Device(device, offset) => write_device(&device, offset, width, value),
            Target::Nothing => false,
        }
    }

    /// The device that takes writes at `addr`, also where reads go to its memory directly.
    fn device_at(&self, addr: u64) -> Option<(Shared<dyn Mmio>, u64)> {
        let map = self.map.read();
        let at = map.partition_point(|m| m.base <= addr);
        let m = at.checked_sub(1).map(|at| &map[at]).filter(|m| addr - m.base < m.size)?;
        match &m.slot {
            Slot::Device(device) | Slot::RomDevice(_, device) => Some((device.clone(), addr - m.base)),
            Slot::Rom(_) => None,
        }
    }
}

/// # Safety
/// `host` is aligned for `width` and valid for reads of that many bytes.
unsafe fn load(host: *const u8, width: Width) -> u64 {
    // SAFETY: the caller's promise; volatile because guest memory changes under us.
    unsafe {
        match width {
            Width::B1 => host.read_volatile().into(),
            Width::B2 => u16::from_le(host.cast::<u16>().read_volatile()).into(),
            Width::B4 => u32::from_le(host.cast::<u32>().read_volatile()).into(),
            Width::B8 => u64::from_le(host.cast::<u64>().read_volatile()),
        }
    }
}

/// Splits what is wider than the chip takes; refuses what is narrower.
fn pieces(device: &dyn Mmio, width: Width) -> Option<(Width, u64)> {
    let widths = device.widths();
    if width < widths.min {
        return None;
    }
    let piece = width.min(widths.max);
    Some((piece, width.bytes() / piece.bytes()))
}

fn read_device(device: &Shared<dyn Mmio>, offset: u64, width: Width) -> Option<u64> {
    let mut device = device.lock();
    let (piece, count) = pieces(&*device, width)?;
    let mut value = 0;
    for i in 0..count {
        let part = device.read(offset + i * piece.bytes(), piece) & piece.mask();
        value |= part << (8 * i * piece.bytes());
    }
    Some(value)
}

fn write_device(device: &Shared<dyn Mmio>, offset: u64, width: Width, value: u64) -> bool {
    let mut device = device.lock();
    let Some((piece, count)) = pieces(&*device, width) else { return false };
    for i in 0..count {
        let part = value >> (8 * i * piece.bytes()) & piece.mask();
        device.write(offset + i * piece.bytes(), piece, part);
    }
    true
}

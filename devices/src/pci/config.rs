//! The configuration space of one function: a header of type 0, or 1 for a bridge, its BARs and its capabilities.
//!
//! Every byte has a mask of the bits that software can write. BAR sizing needs nothing more: the address bits below
//! the size of a BAR are simply not writable.

use base::{StateError, Width};
use serde::{Deserialize, Serialize};

const SIZE: usize = 4096;

const COMMAND: usize = 0x04;
const STATUS: usize = 0x06;
const BAR0: usize = 0x10;
const CAPABILITIES: usize = 0x34;
/// In a header of type 1: bus numbers, and the windows of addresses that a bridge hands on.
const PRIMARY_BUS: usize = 0x18;
const SECONDARY_BUS: usize = 0x19;
const IO_BASE: usize = 0x1c;
const IO_LIMIT: usize = 0x1d;
const MEMORY_BASE: usize = 0x20;
const MEMORY_LIMIT: usize = 0x22;
const PREFETCH_BASE: usize = 0x24;
const PREFETCH_LIMIT: usize = 0x26;
const PREFETCH_BASE_HIGH: usize = 0x28;
const PREFETCH_LIMIT_HIGH: usize = 0x2c;
pub(super) const BRIDGE_CONTROL: usize = 0x3e;
/// Bit of the bridge control register: the bus behind is reset.
pub(super) const BRIDGE_RESET: u16 = 1 << 6;
/// Parity and system errors, and the reset.
const BRIDGE_CONTROL_WRITABLE: u16 = 0b11 | BRIDGE_RESET;
const HEADER_TYPE: usize = 0x0e;
/// Where capabilities start, after the header.
const FIRST_CAPABILITY: usize = 0x40;

const COMMAND_IO: u16 = 1 << 0;
const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_MASTER: u16 = 1 << 2;
const COMMAND_PARITY: u16 = 1 << 6;
const COMMAND_SERR: u16 = 1 << 8;
const COMMAND_NO_INTX: u16 = 1 << 10;
const STATUS_CAPABILITIES: u8 = 1 << 4;

/// Who a function is.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Subsystem vendor id.
    pub subsystem_vendor: u16,
    /// Subsystem id.
    pub subsystem: u16,
    /// Base class, subclass and programming interface, from high to low.
    pub class: u32,
    /// Revision id.
    pub revision: u8,
    /// Interrupt pin: 1 is INTA, 0 is none.
    pub pin: u8,
}

/// Which space a BAR is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// I/O ports.
    Io,
    /// Memory below 4 GiB.
    Memory32,
    /// Memory anywhere; takes the next BAR register, too. Prefetchable.
    Memory64,
}

/// A range of addresses that software places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Its space.
    pub kind: BarKind,
    /// Its size in bytes, a power of two and at least 16.
    pub size: u64,
}

/// A configuration space of 4096 bytes.
pub struct ConfigSpace {
    bytes: Vec<u8>,
    writable: Vec<u8>,
    bars: [Option<Bar>; 6],
    /// Where the next capability goes, and where its address is to be entered.
    next_capability: usize,
    link: usize,
}

/// The bits that software wrote: offset and value of each byte that is not zero.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ConfigState(Vec<(u16, u8)>);

impl ConfigSpace {
    /// A space without BARs and capabilities.
    pub fn new(identity: Identity) -> Self {
        let mut space = Self::header(identity);
        space.put(0x2c, &identity.subsystem_vendor.to_le_bytes());
        space.put(0x2e, &identity.subsystem.to_le_bytes());
        space
    }

    /// The same for a bridge: it has the registers of the bus behind it. The subsystem of `identity` has no place in its header.
    pub fn bridge(identity: Identity) -> Self {
        let mut space = Self::header(identity);
        space.put(HEADER_TYPE, &[1]);
        space.allow(PRIMARY_BUS, &[0xff; 3]);
        space.allow(IO_BASE, &[0xf0; 2]);
        for register in [MEMORY_BASE, MEMORY_LIMIT, PREFETCH_BASE, PREFETCH_LIMIT] {
            space.allow(register, &0xfff0u16.to_le_bytes());
        }
        for (register, high) in [(PREFETCH_BASE, PREFETCH_BASE_HIGH), (PREFETCH_LIMIT, PREFETCH_LIMIT_HIGH)] {
            space.put(register, &[1]); // 64 bits
            space.allow(high, &[0xff; 4]);
        }
        space.allow(BRIDGE_CONTROL, &BRIDGE_CONTROL_WRITABLE.to_le_bytes());
        space
    }

    fn header(identity: Identity) -> Self {
        let mut space = Self {
            bytes: vec![0; SIZE],
            writable: vec![0; SIZE],
            bars: [None; 6],
            next_capability: FIRST_CAPABILITY,
            link: CAPABILITIES,
        };
        space.put(0x00, &identity.vendor.to_le_bytes());
        space.put(0x02, &identity.device.to_le_bytes());
        space.put(0x08, &(identity.class << 8 | u32::from(identity.revision)).to_le_bytes());
        space.put(0x3d, &[identity.pin]);
        let command =
            COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_PARITY | COMMAND_SERR | COMMAND_NO_INTX;
        space.allow(COMMAND, &command.to_le_bytes());
        space.allow(0x0c, &[0xff]); // cache line size
        space.allow(0x3c, &[0xff]); // interrupt line
        space
    }

    /// Sets registers, whether software can write them or not.
    pub(super) fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn allow(&mut self, offset: usize, mask: &[u8]) {
        self.writable[offset..offset + mask.len()].copy_from_slice(mask);
    }

    /// Adds BAR `index`.
    pub fn add_bar(&mut self, index: usize, bar: Bar) {
        assert!(bar.size.is_power_of_two() && bar.size >= 16, "a BAR's size is a power of two");
        let (kind, mask) = match bar.kind {
            BarKind::Io => (1u64, !(bar.size - 1) & 0xffff_fffc),
            BarKind::Memory32 => (0, !(bar.size - 1) & 0xffff_fff0),
            BarKind::Memory64 => (0b1100, !(bar.size - 1)),
        };
        let len = if bar.kind == BarKind::Memory64 { 8 } else { 4 };
        self.put(BAR0 + 4 * index, &kind.to_le_bytes()[..len]);
        self.allow(BAR0 + 4 * index, &mask.to_le_bytes()[..len]);
        self.bars[index] = Some(bar);
    }

    /// Adds a capability: `body` follows the id and the link; `writable` is the mask of the first bytes of the body.
    /// Returns the offset of the capability.
    pub fn add_capability(&mut self, id: u8, body: &[u8], writable: &[u8]) -> usize {
        let at = self.next_capability;
        assert!(at + 2 + body.len() <= 256, "the capabilities of a function fit into its first 256 bytes");
        self.bytes[STATUS] |= STATUS_CAPABILITIES;
        self.bytes[self.link] = at as u8;
        self.put(at, &[id, 0]);
        self.put(at + 2, body);
        self.allow(at + 2, writable);
        self.link = at + 1;
        self.next_capability = (at + 2 + body.len()).next_multiple_of(4);
        at
    }

    /// Reads `width` (up to 4) bytes at `offset`.
    pub fn read(&self, offset: usize, width: Width) -> u32 {
        (0..width.bytes() as usize)
            .map(|i| u32::from(self.bytes.get(offset + i).copied().unwrap_or(0)) << (8 * i))
            .fold(0, |all, part| all | part)
    }

    /// Writes the writable bits among `width` (up to 4) bytes at `offset`.
    pub fn write(&mut self, offset: usize, width: Width, value: u32) {
        for (i, new) in value.to_le_bytes().into_iter().enumerate().take(width.bytes() as usize) {
            if let (Some(byte), Some(mask)) = (self.bytes.get_mut(offset + i), self.writable.get(offset + i))
            {
                *byte = *byte & !mask | new & mask;
            }
        }
    }

    fn command(&self) -> u16 {
        self.read(COMMAND, Width::B2) as u16
    }

    /// Whether the function may write to memory, messages included.
    pub fn is_master(&self) -> bool {
        self.command() & COMMAND_MASTER != 0
    }

    /// Whether the function must not use its INTx pin.
    pub fn intx_disabled(&self) -> bool {
        self.command() & COMMAND_NO_INTX != 0
    }

    /// The BARs.
    pub fn bars(&self) -> &[Option<Bar>; 6] {
        &self.bars
    }

    /// Where BAR `index` is on the bus; `None` while its space is switched off.
    pub fn bar_address(&self, index: usize) -> Option<u64> {
        let bar = (*self.bars.get(index)?)?;
        let low = u64::from(self.read(BAR0 + 4 * index, Width::B4));
        let (enable, address) = match bar.kind {
            BarKind::Io => (COMMAND_IO, low & !3),
            BarKind::Memory32 => (COMMAND_MEMORY, low & !15),
            BarKind::Memory64 => {
                (COMMAND_MEMORY, low & !15 | u64::from(self.read(BAR0 + 4 * index + 4, Width::B4)) << 32)
            }
        };
        (self.command() & enable != 0).then_some(address)
    }

    /// The number of the bus behind a bridge; 0 while it has none.
    pub(super) fn secondary_bus(&self) -> u8 {
        self.bytes[SECONDARY_BUS]
    }

    /// Whether a bridge hands on accesses to `size` bytes at `address`, which a BAR of this kind has behind it.
    pub(super) fn forwards(&self, kind: BarKind, address: u64, size: u64) -> bool {
        let word = |at| u64::from(self.read(at, Width::B2));
        let long = |at| u64::from(self.read(at, Width::B4));
        let inside = |base: u64, limit: u64| {
            base <= address && address.checked_add(size - 1).is_some_and(|last| last <= limit)
        };
        let memory = || inside((word(MEMORY_BASE) & 0xfff0) << 16, word(MEMORY_LIMIT) << 16 | 0xf_ffff);
        let prefetchable = || {
            let base = long(PREFETCH_BASE_HIGH) << 32 | (word(PREFETCH_BASE) & 0xfff0) << 16;
            let limit = long(PREFETCH_LIMIT_HIGH) << 32 | word(PREFETCH_LIMIT) << 16 | 0xf_ffff;
            inside(base, limit)
        };
        let io = || {
            let (base, limit) = (u64::from(self.bytes[IO_BASE]), u64::from(self.bytes[IO_LIMIT]));
            inside(base << 8, limit << 8 | 0xfff)
        };
        match kind {
            BarKind::Io => self.command() & COMMAND_IO != 0 && io(),
            _ => self.command() & COMMAND_MEMORY != 0 && (memory() || prefetchable()),
        }
    }

    /// Takes back all that software wrote.
    pub fn reset(&mut self) {
        self.bytes.iter_mut().zip(&self.writable).for_each(|(byte, mask)| *byte &= !mask);
    }

    pub(crate) fn save(&self) -> ConfigState {
        let written = self.bytes.iter().zip(&self.writable).map(|(byte, mask)| byte & mask);
        ConfigState((0..).zip(written).filter(|(_, byte)| *byte != 0).collect())
    }

    pub(crate) fn check(state: &ConfigState) -> Result<(), StateError> {
        if state.0.iter().all(|(at, _)| usize::from(*at) < SIZE) {
            Ok(())
        } else {
            Err(StateError::Value("offset in configuration space"))
        }
    }

    /// Takes over a state that passed [`ConfigSpace::check`].
    pub(crate) fn load(&mut self, state: &ConfigState) {
        self.reset();
        for &(at, saved) in &state.0 {
            let at = usize::from(at);
            self.bytes[at] |= saved & self.writable[at];
        }
    }
}

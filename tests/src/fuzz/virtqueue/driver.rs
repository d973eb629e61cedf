//! The driver's side: registers of both transports, rings, and requests that are nearly right.

use super::{ECAM, HIGH, MEMORY, RAM, RAM_SIZE, SLOT};
use arbitrary::Arbitrary;
use base::{AddressSpace, Width};
use std::sync::Arc;
use virtio_bindings::bindings::virtio_mmio::*;
use vm_memory::{Bytes, GuestAddress};

/// Configuration space of the function in slot 1.
const FUNCTION: u64 = ECAM + (1 << 15);
/// BAR 4, with the virtio structures, and BAR 1, with the MSI-X table.
const STRUCTURES: u64 = HIGH;
const TABLE: u64 = MEMORY;
/// Queues that steps name.
const QUEUES: usize = 8;
/// The parts of queue n lie at `RAM + n * RING`.
const RING: u64 = 0x1000;
const AVAIL: u64 = 0x800;
const USED: u64 = 0xc00;
/// Where buffers start.
const BUFFERS: u64 = 0x1_0000;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const VERSION_1: u64 = 1 << 32;

/// One thing that happens.
#[derive(Arbitrary, Debug)]
pub(super) enum Step {
    /// An access to the registers.
    Access { area: u8, at: u16, width: u8, write: Option<u64> },
    /// The way to a running device, nearly as virtio 1.2, section 3.1.1 has it.
    Start { without: u64, log_size: u8, odd: Option<(u8, Place)> },
    /// A descriptor of a queue's table.
    Descriptor { queue: u8, index: u8, descriptor: Descriptor },
    /// A descriptor anywhere, for tables that others point to.
    Indirect { at: u16, descriptor: Descriptor },
    /// An entry of the available ring, and the index moved on.
    Publish { queue: u8, head: u16 },
    /// The words of the available ring as they are given.
    Ring { queue: u8, flags: u16, index: u16, event: u16 },
    /// Guest memory.
    Poke { at: u32, value: u64 },
    /// A whole request: a header, data, and room for a status.
    Request { queue: u8, kind: u8, sector: u16, data: u16, shape: u8 },
    /// The driver tells that there are buffers.
    Notify { queue: u8 },
    /// Something happens on the host's side.
    Host { what: u8, len: u16 },
    /// Time passes until the device has nothing to do.
    Idle,
    /// The state moves out of the device and back.
    Move,
    /// The machine resets the device.
    Reset,
}

/// Where a buffer is.
#[derive(Arbitrary, Debug)]
pub(super) enum Place {
    Buffer(u16),
    Ram(u32),
    Any(u64),
}

/// How long a buffer is.
#[derive(Arbitrary, Debug)]
pub(super) enum Length {
    Short(u8),
    Long(u16),
    Any(u32),
}

#[derive(Arbitrary, Debug)]
pub(super) struct Descriptor {
    place: Place,
    length: Length,
    flags: u8,
    next: u8,
}

impl Place {
    fn address(&self) -> u64 {
        match *self {
            Self::Buffer(at) => RAM + BUFFERS + u64::from(at),
            // A little beyond the end, too.
            Self::Ram(at) => RAM + u64::from(at) % (RAM_SIZE + 64),
            Self::Any(at) => at,
        }
    }
}

impl Length {
    fn bytes(&self) -> u32 {
        match *self {
            Self::Short(n) => n.into(),
            Self::Long(n) => n.into(),
            Self::Any(n) => n,
        }
    }
}

/// A register: offset and width.
type Register = (u64, Width);

/// Where a transport has what a driver needs.
struct Layout {
    base: u64,
    status: Register,
    features_half: Register,
    features: Register,
    queue: Register,
    size: Register,
    ready: Register,
    /// Low halves; the high ones follow.
    rings: [u64; 3],
}

const MMIO: Layout = Layout {
    base: SLOT,
    status: (VIRTIO_MMIO_STATUS as u64, Width::B4),
    features_half: (VIRTIO_MMIO_DRIVER_FEATURES_SEL as u64, Width::B4),
    features: (VIRTIO_MMIO_DRIVER_FEATURES as u64, Width::B4),
    queue: (VIRTIO_MMIO_QUEUE_SEL as u64, Width::B4),
    size: (VIRTIO_MMIO_QUEUE_NUM as u64, Width::B4),
    ready: (VIRTIO_MMIO_QUEUE_READY as u64, Width::B4),
    rings: [
        VIRTIO_MMIO_QUEUE_DESC_LOW as u64,
        VIRTIO_MMIO_QUEUE_AVAIL_LOW as u64,
        VIRTIO_MMIO_QUEUE_USED_LOW as u64,
    ],
};

const PCI: Layout = Layout {
    base: STRUCTURES,
    status: (20, Width::B1),
    features_half: (8, Width::B4),
    features: (12, Width::B4),
    queue: (22, Width::B2),
    size: (24, Width::B2),
    ready: (28, Width::B2),
    rings: [32, 40, 48],
};

/// What the driver remembers.
pub(super) struct Driver {
    space: Arc<AddressSpace>,
    layout: &'static Layout,
    pci: bool,
    log_size: u8,
    next_avail: [u16; QUEUES],
}

impl Driver {
    pub(super) fn new(space: Arc<AddressSpace>, pci: bool) -> Self {
        let layout = if pci { &PCI } else { &MMIO };
        let driver = Self { space, layout, pci, log_size: 0, next_avail: [0; QUEUES] };
        driver.place_bars();
        driver
    }

    /// Whether an access is answered is the device's affair.
    fn set(&self, at: u64, width: Width, value: u64) {
        self.space.write(at, width, value);
    }

    fn register(&self, (offset, width): Register, value: u64) {
        self.set(self.layout.base + offset, width, value);
    }

    /// Memory that is not there takes no bytes.
    fn poke(&self, at: u64, bytes: &[u8]) {
        let _ = self.space.ram().write_slice(bytes, GuestAddress(at));
    }

    fn place_bars(&self) {
        if self.pci {
            self.set(FUNCTION + 0x14, Width::B4, TABLE);
            self.set(FUNCTION + 0x20, Width::B4, STRUCTURES & 0xffff_ffff);
            self.set(FUNCTION + 0x24, Width::B4, STRUCTURES >> 32);
            self.set(FUNCTION + 4, Width::B2, 6);
        }
    }

    /// Takes a step of the driver's.
    pub(super) fn take(&mut self, step: Step) {
        match step {
            Step::Access { area, at, width, write } => self.access(area, at, width, write),
            Step::Start { without, log_size, odd } => self.start(without, log_size % 7, odd),
            Step::Descriptor { queue, index, descriptor } => {
                let (ring, index) = (ring(queue), u64::from(index) % self.size());
                self.descriptor(ring + 16 * index, &descriptor);
            }
            Step::Indirect { at, descriptor } => self.descriptor(RAM + BUFFERS + u64::from(at), &descriptor),
            Step::Publish { queue, head } => self.publish(queue, head),
            Step::Ring { queue, flags, index, event } => {
                let avail = ring(queue) + AVAIL;
                self.poke(avail, &flags.to_le_bytes());
                self.poke(avail + 2, &index.to_le_bytes());
                self.poke(avail + 4 + 2 * self.size(), &event.to_le_bytes());
            }
            Step::Poke { at, value } => self.poke(RAM + u64::from(at) % RAM_SIZE, &value.to_le_bytes()),
            Step::Request { queue, kind, sector, data, shape } => {
                self.request(queue, kind, (sector, data), shape);
            }
            Step::Notify { queue } => self.notify(queue),
            // Not the driver's.
            Step::Host { .. } | Step::Idle | Step::Move | Step::Reset => {}
        }
    }

    fn size(&self) -> u64 {
        1 << self.log_size
    }

    fn access(&self, area: u8, at: u16, width: u8, write: Option<u64>) {
        let width = [Width::B1, Width::B2, Width::B4, Width::B8][usize::from(width % 4)];
        let (base, size) = match (self.pci, area % 4) {
            (false, _) => (SLOT, 0x200),
            (true, 0) => (FUNCTION, 0x1000),
            (true, 1) => (TABLE, 0x1000),
            (true, 2) => (STRUCTURES, 0x4000),
            (true, _) => (STRUCTURES, 0x40),
        };
        let at = base + u64::from(at) % size;
        match write {
            Some(value) => self.set(at, width, value),
            // Any answer is right, even none.
            None => _ = self.space.read(at, width),
        }
    }

    fn start(&mut self, without: u64, log_size: u8, odd: Option<(u8, Place)>) {
        self.log_size = log_size;
        self.next_avail = [0; QUEUES];
        self.place_bars();
        let layout = self.layout;
        for status in [0, 1, 3] {
            self.register(layout.status, status);
        }
        let features = self.offered() & !without | VERSION_1;
        for half in 0..2 {
            self.register(layout.features_half, half);
            self.register(layout.features, features >> (32 * half) & 0xffff_ffff);
        }
        self.register(layout.status, 11);
        for queue in 0..QUEUES as u64 {
            self.poke(RAM + queue * RING, &[0; RING as usize]);
            self.register(layout.queue, queue);
            self.register(layout.size, self.size());
            for (part, (register, offset)) in (0u8..).zip(layout.rings.into_iter().zip([0, AVAIL, USED])) {
                let mut address = RAM + queue * RING + offset;
                if let Some((which, place)) = &odd
                    && *which % 32 == part + 4 * queue as u8
                {
                    address = place.address();
                }
                self.register((register, Width::B4), address & 0xffff_ffff);
                self.register((register + 4, Width::B4), address >> 32);
            }
            self.register(layout.ready, 1);
        }
        self.register(layout.status, 15);
    }

    fn offered(&self) -> u64 {
        let (select, read) = match self.pci {
            false => (VIRTIO_MMIO_DEVICE_FEATURES_SEL.into(), VIRTIO_MMIO_DEVICE_FEATURES.into()),
            true => (0, 4),
        };
        (0..2).fold(0, |features, half| {
            self.register((select, Width::B4), half);
            features | self.space.read(self.layout.base + read, Width::B4).unwrap_or(0) << (32 * half)
        })
    }

    fn descriptor(&self, at: u64, descriptor: &Descriptor) {
        let Descriptor { place, length, flags, next } = descriptor;
        self.write_descriptor(at, place.address(), length.bytes(), u16::from(*flags % 8), u16::from(*next));
    }

    fn write_descriptor(&self, at: u64, address: u64, len: u32, flags: u16, next: u16) {
        let fields = u128::from(next) << 112 | u128::from(flags) << 96 | u128::from(len) << 64;
        self.poke(at, &(fields | u128::from(address)).to_le_bytes());
    }

    fn publish(&mut self, queue: u8, head: u16) {
        let avail = ring(queue) + AVAIL;
        let next = &mut self.next_avail[usize::from(queue) % QUEUES];
        let slot = avail + 4 + 2 * (u64::from(*next) % (1 << self.log_size));
        *next = next.wrapping_add(1);
        let next = *next;
        self.poke(slot, &head.to_le_bytes());
        self.poke(avail + 2, &next.to_le_bytes());
    }

    /// A disk's request, which is also a frame with its header and a console's message: up to three descriptors from
    /// a place in the table that `shape` names, the last two of them to be written as it says.
    fn request(&mut self, queue: u8, kind: u8, (sector, data): (u16, u16), shape: u8) {
        let table = ring(queue);
        let first = u16::from(shape >> 4) % self.size() as u16;
        let after = |n: u16| (first + n) % self.size() as u16;
        let buffer = RAM + BUFFERS + u64::from(first) * 0x400;
        let mut header = [0; 16];
        header[..2].copy_from_slice(&[kind, 0]);
        header[8..10].copy_from_slice(&sector.to_le_bytes());
        self.poke(buffer, &header);
        let at = |n: u16| table + 16 * u64::from(after(n));
        let data_flags = if shape & 1 != 0 { WRITE } else { 0 };
        let header_flags = if shape & 8 != 0 { WRITE } else { 0 };
        let more = if shape & 4 != 0 { 0 } else { NEXT };
        self.write_descriptor(at(0), buffer, 16, header_flags | more, after(1));
        let data = u32::from(data) * if shape & 2 != 0 { 1 } else { 512 };
        self.write_descriptor(at(1), buffer + 64, data % 0x1_0000, data_flags | NEXT, after(2));
        self.write_descriptor(at(2), buffer + 32, 1, WRITE, 0);
        self.publish(queue, first);
        self.notify(queue);
    }

    fn notify(&self, queue: u8) {
        let queue = u64::from(queue) % 72;
        match self.pci {
            false => self.register((VIRTIO_MMIO_QUEUE_NOTIFY.into(), Width::B4), queue),
            true => self.set(STRUCTURES + 0x3000 + 4 * queue, Width::B2, queue),
        }
    }
}

fn ring(queue: u8) -> u64 {
    RAM + u64::from(queue) % QUEUES as u64 * RING
}

//! The driver's side of a virtqueue, for tests: rings and buffers in guest memory, and the steps that bring a
//! device up over MMIO.

use super::{VIRTIO_MMIO_SIZE, VirtioDevice, VirtioMmio};
use base::{Device, GuestRam, IrqLine, LineRecorder, Mmio, Width, allocate_ram};
use std::sync::Arc;
use std::time::{Duration, Instant};
use virtio_bindings::bindings::virtio_mmio::*;
use vm_memory::{Bytes, GuestAddress};

pub const RAM_BASE: u64 = 0x8000_0000;
pub const RAM_SIZE: u64 = 4 << 20;
/// Where buffers start; the rings of queue n are at `RAM_BASE + n * RING_STEP`.
const BUFFERS: u64 = RAM_BASE + (2 << 20);
const RING_STEP: u64 = 0x4000;

pub const NEXT: u16 = 1;
pub const WRITE: u16 = 2;
pub const INDIRECT: u16 = 4;

const VERSION_1: u64 = 1 << 32;
pub const EVENT_IDX: u64 = 1 << 29;

pub fn ram() -> GuestRam {
    allocate_ram(&[(RAM_BASE, RAM_SIZE)]).unwrap()
}

/// One part of a buffer.
pub enum Part<'a> {
    /// The device reads these bytes.
    Out(&'a [u8]),
    /// The device writes up to so many bytes.
    In(usize),
}

/// A split ring as a driver keeps it.
pub struct DriverQueue {
    pub ram: GuestRam,
    pub size: u16,
    pub desc: u64,
    pub avail: u64,
    pub used: u64,
    next_desc: u16,
    next_avail: u16,
    seen_used: u16,
    next_buffer: u64,
}

impl DriverQueue {
    pub fn new(ram: &GuestRam, index: u16, size: u16) -> Self {
        let base = RAM_BASE + u64::from(index) * RING_STEP;
        let queue = Self {
            ram: ram.clone(),
            size,
            desc: base,
            avail: base + 0x2000,
            used: base + 0x3000,
            next_desc: 0,
            next_avail: 0,
            seen_used: 0,
            next_buffer: BUFFERS + u64::from(index) * 0x20000,
        };
        ram.write_slice(&[0; RING_STEP as usize], GuestAddress(base)).unwrap();
        queue
    }

    pub fn write_descriptor(&self, table: u64, index: u16, fields: (u64, u32, u16, u16)) {
        let at = table + u64::from(index) * 16;
        let (addr, len, flags, next) = fields;
        self.ram.write_obj(addr, GuestAddress(at)).unwrap();
        self.ram.write_obj(len, GuestAddress(at + 8)).unwrap();
        self.ram.write_obj(flags, GuestAddress(at + 12)).unwrap();
        self.ram.write_obj(next, GuestAddress(at + 14)).unwrap();
    }

    /// A piece of guest memory that no other buffer uses until the space wraps around.
    pub fn buffer(&mut self, len: usize) -> u64 {
        let start = self.next_buffer;
        self.next_buffer += (len as u64).next_multiple_of(64);
        assert!(self.next_buffer <= RAM_BASE + RAM_SIZE, "the test uses too much memory");
        start
    }

    /// Uses the space for buffers from its start again.
    pub fn rewind(&mut self) {
        self.next_buffer = BUFFERS + (self.desc - RAM_BASE) / RING_STEP * 0x20000;
    }

    /// Makes a chain of `parts` available; returns its head and the address of each part.
    pub fn add(&mut self, parts: &[Part<'_>]) -> (u16, Vec<u64>) {
        let head = self.next_desc;
        let mut addresses = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            let (len, mut flags) = match part {
                Part::Out(bytes) => (bytes.len(), 0),
                Part::In(len) => (*len, WRITE),
            };
            let at = self.buffer(len);
            if let Part::Out(bytes) = part {
                self.ram.write_slice(bytes, GuestAddress(at)).unwrap();
            }
            if i + 1 < parts.len() {
                flags |= NEXT;
            }
            let index = self.next_desc;
            self.next_desc = (index + 1) % self.size;
            self.write_descriptor(self.desc, index, (at, len as u32, flags, self.next_desc));
            addresses.push(at);
        }
        self.publish(head);
        (head, addresses)
    }

    /// Puts `head` into the available ring.
    pub fn publish(&mut self, head: u16) {
        let slot = self.avail + 4 + 2 * u64::from(self.next_avail % self.size);
        self.ram.write_obj(head, GuestAddress(slot)).unwrap();
        self.next_avail = self.next_avail.wrapping_add(1);
        self.ram
            .store(self.next_avail, GuestAddress(self.avail + 2), std::sync::atomic::Ordering::SeqCst)
            .unwrap();
    }

    pub fn used_index(&self) -> u16 {
        self.ram.load(GuestAddress(self.used + 2), std::sync::atomic::Ordering::SeqCst).unwrap()
    }

    /// The next used element, (head, length), if there is one.
    pub fn take_used(&mut self) -> Option<(u32, u32)> {
        if self.used_index() == self.seen_used {
            return None;
        }
        let at = self.used + 4 + 8 * u64::from(self.seen_used % self.size);
        self.seen_used = self.seen_used.wrapping_add(1);
        let head = self.ram.read_obj(GuestAddress(at)).unwrap();
        let len = self.ram.read_obj(GuestAddress(at + 4)).unwrap();
        Some((head, len))
    }

    /// Waits for the next used element.
    pub fn wait_used(&mut self) -> (u32, u32) {
        let mut found = None;
        wait_until(|| {
            found = self.take_used();
            found.is_some()
        });
        found.unwrap()
    }

    pub fn read(&self, addr: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.ram.read_slice(&mut bytes, GuestAddress(addr)).unwrap();
        bytes
    }
}

pub fn wait_until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "the device does not answer");
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// A device in an MMIO slot, with its driver.
pub struct MmioDriver {
    pub slot: VirtioMmio,
    pub lines: Arc<LineRecorder>,
    pub queues: Vec<DriverQueue>,
}

impl MmioDriver {
    /// `device` in a slot, started with all features but those in `without`.
    pub fn start_with(device: impl VirtioDevice + 'static, without: u64) -> Self {
        let (ram, lines) = (ram(), Arc::new(LineRecorder::default()));
        let slot = VirtioMmio::new(Box::new(device), ram.clone(), IrqLine::new(lines.clone(), 0));
        let mut driver = Self { slot, lines, queues: Vec::new() };
        driver.start(&ram, without);
        driver
    }

    pub fn get(&mut self, register: u32) -> u32 {
        self.slot.read(register.into(), Width::B4) as u32
    }

    pub fn set(&mut self, register: u32, value: u32) {
        self.slot.write(register.into(), Width::B4, value.into());
    }

    /// All features the device offers.
    pub fn offered(&mut self) -> u64 {
        self.set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
        let low = self.get(VIRTIO_MMIO_DEVICE_FEATURES);
        self.set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
        u64::from(self.get(VIRTIO_MMIO_DEVICE_FEATURES)) << 32 | u64::from(low)
    }

    /// The steps of virtio 1.2, section 3.1.1, with all features offered but those in `without`.
    pub fn start(&mut self, ram: &GuestRam, without: u64) {
        self.set(VIRTIO_MMIO_STATUS, 0);
        assert_eq!(self.get(VIRTIO_MMIO_STATUS), 0);
        self.set(VIRTIO_MMIO_STATUS, 3);
        let features = self.offered() & !without;
        assert_ne!(features & VERSION_1, 0);
        for half in 0..2 {
            self.set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
            self.set(VIRTIO_MMIO_DRIVER_FEATURES, (features >> (32 * half)) as u32);
        }
        self.set(VIRTIO_MMIO_STATUS, 11);
        assert_eq!(self.get(VIRTIO_MMIO_STATUS), 11);
        self.queues.clear();
        for index in 0.. {
            self.set(VIRTIO_MMIO_QUEUE_SEL, index);
            let max = self.get(VIRTIO_MMIO_QUEUE_NUM_MAX);
            if max == 0 {
                break;
            }
            let queue = DriverQueue::new(ram, index as u16, max.min(256) as u16);
            self.set(VIRTIO_MMIO_QUEUE_NUM, queue.size.into());
            for (register, address) in [
                (VIRTIO_MMIO_QUEUE_DESC_LOW, queue.desc),
                (VIRTIO_MMIO_QUEUE_AVAIL_LOW, queue.avail),
                (VIRTIO_MMIO_QUEUE_USED_LOW, queue.used),
            ] {
                self.set(register, address as u32);
                self.set(register + 4, (address >> 32) as u32);
            }
            self.set(VIRTIO_MMIO_QUEUE_READY, 1);
            self.queues.push(queue);
        }
        self.set(VIRTIO_MMIO_STATUS, 15);
    }

    pub fn notify(&mut self, queue: usize) {
        self.set(VIRTIO_MMIO_QUEUE_NOTIFY, queue as u32);
    }

    pub fn status(&mut self) -> u32 {
        self.get(VIRTIO_MMIO_STATUS)
    }
}

/// Reset twice is reset once, save-load-save is equal, and no access of any width panics.
pub fn check_laws(mut make: impl FnMut() -> VirtioMmio) {
    let mut slot = make();
    slot.reset();
    let first = slot.save();
    slot.reset();
    assert_eq!(first, slot.save(), "reset is idempotent");
    let mut random = Random(7);
    for _ in 0..20_000 {
        let offset = random.next() % VIRTIO_MMIO_SIZE;
        let width = [Width::B1, Width::B2, Width::B4][random.below(3)];
        let offset = offset & !(width.bytes() - 1);
        match random.below(3) {
            0 => drop(slot.read(offset, width)),
            1 => slot.write(offset, width, random.next() & 0xff),
            _ => slot.write(offset, width, random.next()),
        }
    }
    let saved = slot.save();
    let mut other = make();
    other.load(&saved).unwrap();
    assert_eq!(saved, other.save(), "save, load, save");
    slot.reset();
    assert_eq!(first, slot.save(), "reset restores the power-on state");
}

/// A small generator of random numbers (xorshift64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

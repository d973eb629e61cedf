//! A virtio function driven through configuration space and BARs.

use super::*;
use crate::pci::{PciHost, PciSocket, PciWindow, PciWindows};
use crate::virtio::testing::{DriverQueue, Part, RAM_BASE, Random, ram};
use crate::virtio::{HostEntropy, Rng};
use base::{AddressSpace, IrqLine, LineRecorder, Shared, Slot, shared};
use vm_memory::{Bytes, GuestAddress};

const ECAM: u64 = 0x3000_0000;
const BAR: u64 = 0x4_0000_0000;
const TABLE: u64 = 0x4000_0000;

struct Bench {
    space: Arc<AddressSpace>,
    host: Shared<PciHost>,
    lines: Arc<LineRecorder>,
}

fn bench() -> Bench {
    bench_with(ram())
}

fn bench_with(ram: GuestRam) -> Bench {
    let space = Arc::new(AddressSpace::new(ram));
    let lines = Arc::new(LineRecorder::default());
    let wires = std::array::from_fn(|i| IrqLine::new(lines.clone(), i as u32));
    let window = |cpu, size| PciWindow { cpu, bus: cpu, size };
    let windows = PciWindows {
        ecam: window(ECAM, 256 << 20),
        io: PciWindow { cpu: 0x300_0000, bus: 0, size: 64 << 10 },
        memory: window(0x4000_0000, 1 << 30),
        high_memory: Some(window(BAR, 16 << 30)),
    };
    let mut host = PciHost::new(windows, &space, wires);
    let rng = Box::new(Rng::new(Box::new(HostEntropy)));
    host.add(PciSocket::default(), |wiring| shared(VirtioPci::new(rng, space.ram().clone(), wiring)))
        .unwrap();
    let host = shared(host);
    space.map("ecam", ECAM, 256 << 20, Slot::Device(host.clone())).unwrap();
    Bench { space, host, lines }
}

impl Bench {
    fn config(&self, offset: u64, width: Width) -> u64 {
        self.space.read(ECAM + (1 << 15) + offset, width).unwrap()
    }

    fn set_config(&self, offset: u64, width: Width, value: u64) {
        assert!(self.space.write(ECAM + (1 << 15) + offset, width, value));
    }

    fn get(&self, offset: u64, width: Width) -> u64 {
        self.space.read(BAR + offset, width).unwrap()
    }

    fn set(&self, offset: u64, width: Width, value: u64) {
        assert!(self.space.write(BAR + offset, width, value));
    }

    /// Places the BARs and brings the device up; returns its queue.
    fn start(&self) -> DriverQueue {
        self.set_config(0x14, Width::B4, TABLE);
        self.set_config(0x20, Width::B4, BAR as u32 as u64);
        self.set_config(0x24, Width::B4, BAR >> 32);
        self.set_config(4, Width::B2, 6);
        self.bring_up()
    }

    fn bring_up(&self) -> DriverQueue {
        self.set(20, Width::B1, 0);
        self.set(20, Width::B1, 3);
        for half in 0..2 {
            self.set(0, Width::B4, half);
            let offered = self.get(4, Width::B4);
            self.set(8, Width::B4, half);
            self.set(12, Width::B4, offered);
        }
        self.set(20, Width::B1, 11);
        assert_eq!(self.get(20, Width::B1), 11);
        assert_eq!(self.get(18, Width::B2), 1, "queues");
        self.set(22, Width::B2, 0);
        let queue = DriverQueue::new(self.space.ram(), 0, self.get(24, Width::B2) as u16);
        for (register, address) in [(32, queue.desc), (40, queue.avail), (48, queue.used)] {
            self.set(register, Width::B8, address);
            assert_eq!(self.get(register, Width::B8), address);
        }
        self.set(28, Width::B2, 1);
        assert_eq!(self.get(28, Width::B2), 1);
        self.set(20, Width::B1, 15);
        queue
    }
}

#[test]
fn shows_the_ids_and_capabilities_of_a_modern_device() {
    let b = bench();
    assert_eq!(b.config(0, Width::B4), 0x1044_1af4);
    assert_eq!(b.config(8, Width::B1), 1);
    assert_ne!(b.config(6, Width::B2) & 0x10, 0, "there are capabilities");
    let mut found = Vec::new();
    let mut at = b.config(0x34, Width::B1);
    while at != 0 {
        found.push((b.config(at, Width::B1), b.config(at + 3, Width::B1), b.config(at + 8, Width::B4)));
        at = b.config(at + 1, Width::B1);
    }
    let virtio: Vec<_> = found.iter().filter(|c| c.0 == 9).map(|c| (c.1, c.2)).collect();
    assert_eq!(virtio, [(1, 0), (3, 0x1000), (4, 0x2000), (2, 0x3000), (5, 0)]);
    assert_eq!(found.iter().filter(|c| c.0 == 0x11).count(), 1);
}

#[test]
fn interrupts_through_the_pin() {
    let b = bench();
    let mut queue = b.start();
    let (_, at) = queue.add(&[Part::In(32)]);
    b.set(0x3000, Width::B2, 0);
    assert_eq!(queue.take_used(), Some((0, 32)));
    assert_ne!(queue.read(at[0], 32), [0; 32]);
    assert!(b.lines.level(1));
    assert_ne!(b.config(6, Width::B2) & 8, 0, "interrupt status");
    assert_ne!(b.config(4, Width::B4) & 8 << 16, 0);
    assert_eq!(b.get(0x1000, Width::B1), 1);
    assert!(!b.lines.level(1));
    assert_eq!(b.get(0x1000, Width::B1), 0);
    assert_eq!(b.config(6, Width::B2) & 8, 0);
}

#[test]
fn interrupts_through_messages() {
    let b = bench();
    b.start();
    b.set_config(0x42, Width::B2, 0x8000);
    let mut queue = b.bring_up();
    let target = RAM_BASE + 0x10_0000;
    b.space.write(TABLE + 16, Width::B8, target);
    b.space.write(TABLE + 24, Width::B4, 33);
    b.space.write(TABLE + 28, Width::B4, 0);
    b.set(22, Width::B2, 0);
    b.set(26, Width::B2, 5);
    assert_eq!(b.get(26, Width::B2), 0xffff, "no such vector");
    b.set(26, Width::B2, 1);
    assert_eq!(b.get(26, Width::B2), 1);
    queue.add(&[Part::In(32)]);
    b.set(0x3000, Width::B2, 0);
    assert_eq!(queue.take_used(), Some((0, 32)));
    assert_eq!(b.space.ram().read_obj::<u32>(GuestAddress(target)).unwrap(), 33);
    assert!(!b.lines.level(1));
    assert_eq!(b.get(0x1000, Width::B1), 0);
}

#[test]
fn structures_are_reached_through_configuration_space() {
    let b = bench();
    let mut at = b.config(0x34, Width::B1);
    while b.config(at, Width::B1) != 9 || b.config(at + 3, Width::B1) != 5 {
        at = b.config(at + 1, Width::B1);
    }
    b.set_config(at + 4, Width::B1, 4);
    b.set_config(at + 8, Width::B4, 20);
    b.set_config(at + 12, Width::B4, 1);
    b.set_config(at + 16, Width::B1, 3);
    assert_eq!(b.config(at + 16, Width::B1), 3, "device status");
    b.set_config(at + 8, Width::B4, 18);
    b.set_config(at + 12, Width::B4, 2);
    assert_eq!(b.config(at + 16, Width::B4), 1, "queues");
    b.set_config(at + 8, Width::B4, 0xffff_fffe);
    b.config(at + 16, Width::B4);
}

#[test]
fn state_moves_while_the_device_runs() {
    let b = bench();
    let mut queue = b.start();
    queue.add(&[Part::In(8)]);
    b.set(0x3000, Width::B2, 0);
    queue.take_used().unwrap();
    let saved = b.host.lock().save();
    let other = bench_with(b.space.ram().clone());
    other.host.lock().load(&saved).unwrap();
    assert_eq!(other.host.lock().save(), saved);
    assert!(other.lines.level(1), "the interrupt is still pending");
    assert_eq!(other.get(20, Width::B1), 15);
}

#[test]
fn any_access_is_survived() {
    let b = bench();
    let first = b.host.lock().save();
    let mut random = Random(5);
    for round in 0..200 {
        b.start();
        for _ in 0..100 {
            let width = [Width::B1, Width::B2, Width::B4, Width::B8][random.below(4)];
            let base = [
                BAR,
                BAR + 0x1000,
                BAR + 0x2000,
                BAR + 0x3000,
                TABLE,
                TABLE + 0x800,
                ECAM + (1 << 15) + 0x30,
            ];
            let at = (base[random.below(7)] + random.next() % 0x80) & !(width.bytes() - 1);
            if random.below(2) == 0 {
                b.space.read(at, width);
            } else {
                b.space.write(at, width, if round % 2 == 0 { random.next() } else { random.next() & 0xf });
            }
        }
        b.host.lock().reset();
        assert_eq!(b.host.lock().save(), first);
    }
}

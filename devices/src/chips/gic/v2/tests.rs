use super::*;
use crate::chips::gic::{ppi_input, spi_input, testing};
use base::{LineRecorder, set_requester};

const CTLR: u64 = 0;
const PMR: u64 = 4;
const BPR: u64 = 8;
const IAR: u64 = 0xc;
const EOIR: u64 = 0x10;
const RPR: u64 = 0x14;
const HPPIR: u64 = 0x18;
const AIAR: u64 = 0x20;
const AEOIR: u64 = 0x24;
const DIR: u64 = 0x1000;

struct Bench {
    recorder: Arc<LineRecorder>,
    gic: GicV2,
    distributor: DistributorFrame,
    interface: InterfaceFrame,
}

/// A controller for two CPUs that lets everything through, with SPI 0 to 31 enabled at priority 0x80 and sent to CPU 0.
fn bench() -> Bench {
    let (recorder, pins) = testing::pins(2);
    let gic = GicV2::new(64, pins, None, Security::One);
    let (distributor, interface) = (gic.distributor(), gic.interface());
    let mut b = Bench { recorder, gic, distributor, interface };
    b.set(CTLR, 3);
    b.set(0x104, u32::MAX);
    for n in 0..8 {
        b.set(0x400 + 32 + 4 * n, 0x8080_8080);
        b.set(0x800 + 32 + 4 * n, 0x0101_0101);
    }
    for cpu in 0..2 {
        b.write(cpu, PMR, 0xff);
        b.write(cpu, CTLR, 1);
    }
    b
}

impl Bench {
    fn set(&mut self, offset: u64, value: u32) {
        self.distributor.write(offset, Width::B4, value.into());
    }

    fn get(&mut self, offset: u64) -> u32 {
        self.distributor.read(offset, Width::B4) as u32
    }

    fn write(&mut self, cpu: u32, offset: u64, value: u32) {
        set_requester(cpu);
        self.interface.write(offset, Width::B4, value.into());
        set_requester(0);
    }

    fn read(&mut self, cpu: u32, offset: u64) -> u32 {
        set_requester(cpu);
        let value = self.interface.read(offset, Width::B4) as u32;
        set_requester(0);
        value
    }

    fn drive(&self, spi: u32, level: bool) {
        self.gic.inputs().set(spi_input(spi), level);
    }

    fn irq(&self, cpu: u32) -> bool {
        self.recorder.level(2 * cpu)
    }

    fn fiq(&self, cpu: u32) -> bool {
        self.recorder.level(2 * cpu + 1)
    }
}

#[test]
fn a_level_asks_until_it_is_low() {
    let mut b = bench();
    b.drive(1, true);
    assert!(b.irq(0) && !b.irq(1) && !b.fiq(0));
    assert_eq!(b.read(0, HPPIR), 33);
    assert_eq!(b.read(0, IAR), 33);
    assert!(!b.irq(0));
    assert_eq!((b.read(0, RPR), b.read(0, IAR)), (0x80, 1023));
    b.write(0, EOIR, 33);
    assert!(b.irq(0));
    assert_eq!(b.read(0, IAR), 33);
    b.drive(1, false);
    b.write(0, EOIR, 33);
    assert!(!b.irq(0));
    assert_eq!(b.read(0, RPR), 0xff);
}

#[test]
fn an_edge_asks_once_and_is_kept_while_it_is_served() {
    let mut b = bench();
    b.set(0xc08, 2 << 4);
    b.drive(2, true);
    assert_eq!(b.read(0, IAR), 34);
    b.drive(2, false);
    b.drive(2, true);
    assert!(!b.irq(0));
    b.write(0, EOIR, 34);
    assert!(b.irq(0));
    assert_eq!(b.read(0, IAR), 34);
    b.write(0, EOIR, 34);
    assert!(!b.irq(0));
}

#[test]
fn priorities_mask_and_preempt() {
    let mut b = bench();
    b.distributor.write(0x400 + 35, Width::B1, 0x40);
    b.drive(1, true);
    assert_eq!(b.read(0, IAR), 33);
    // 0x40 breaks in on 0x80, unless the binary point says that they are alike.
    b.drive(3, true);
    assert!(b.irq(0));
    b.write(0, BPR, 7);
    assert!(!b.irq(0));
    b.write(0, BPR, 0);
    assert_eq!((b.read(0, BPR), b.read(0, IAR), b.read(0, RPR)), (2, 35, 0x40));
    b.write(0, EOIR, 35);
    assert_eq!(b.read(0, RPR), 0x80);
    b.write(0, PMR, 0x40);
    b.write(0, EOIR, 33);
    // Only what is more urgent than the mask.
    assert!(!b.irq(0));
    b.write(0, PMR, 0x48);
    assert_eq!(b.read(0, IAR), 35);
}

#[test]
fn software_interrupts_name_their_senders() {
    let mut b = bench();
    set_requester(1);
    b.set(0xf00, 1 << 16 | 5);
    set_requester(0);
    // To itself, too.
    b.set(0xf00, 2 << 24 | 5);
    assert_eq!(b.get(0xf24), 3 << 8);
    assert_eq!(b.read(0, IAR), 5);
    b.write(0, EOIR, 5);
    assert_eq!(b.read(0, IAR), 1 << 10 | 5);
    b.write(0, EOIR, 1 << 10 | 5);
    assert!(!b.irq(0));
    // To all others.
    b.set(0xf00, 1 << 24 | 2);
    assert!(!b.irq(0) && b.irq(1));
    assert_eq!(b.read(1, IAR), 2);
}

#[test]
fn private_interrupts_are_each_cpus_own() {
    let mut b = bench();
    set_requester(1);
    b.set(0x100, 1 << 27);
    assert_eq!(b.get(0x100), 1 << 27 | 0xffff);
    assert_eq!(b.get(0x800 + 24), 0x0202_0202);
    set_requester(0);
    assert_eq!(b.get(0x100), 0xffff);
    for cpu in 0..2 {
        b.gic.inputs().set(ppi_input(cpu, 27), true);
    }
    assert!(!b.irq(0) && b.irq(1));
    assert_eq!(b.read(1, IAR), 27);
}

#[test]
fn groups_are_told_apart() {
    let mut b = bench();
    b.set(0x84, 1 << 1);
    b.drive(1, true);
    // Group 1 is not let in yet.
    assert!(!b.irq(0));
    // Group 0 by FIQ, group 1 by IRQ.
    b.write(0, CTLR, 1 << 3 | 3);
    assert!(b.irq(0) && !b.fiq(0));
    assert_eq!((b.read(0, IAR), b.read(0, AIAR)), (1022, 33));
    assert_eq!(b.read(0, RPR), 0x80);
    b.drive(1, false);
    b.write(0, AEOIR, 33);
    assert_eq!(b.read(0, RPR), 0xff);
    b.drive(4, true);
    assert!(!b.irq(0) && b.fiq(0));
    assert_eq!(b.read(0, AIAR), 1023);
}

#[test]
fn deactivation_may_come_later() {
    let mut b = bench();
    b.write(0, CTLR, 1 << 9 | 1);
    b.drive(1, true);
    assert_eq!(b.read(0, IAR), 33);
    b.write(0, EOIR, 33);
    assert_eq!((b.read(0, RPR), b.get(0x304)), (0xff, 2));
    assert!(!b.irq(0));
    b.write(0, DIR, 33);
    assert!(b.irq(0));
}

#[test]
fn messages_become_edges() {
    let mut b = bench();
    let mut frame = super::super::v2m::GicV2m::new(b.gic.inputs(), 16, 8);
    assert_eq!(frame.read(8, Width::B4), 48 << 16 | 8);
    b.set(0xc00 + 12, u32::MAX);
    frame.write(0x40, Width::B4, 50);
    frame.write(0x40, Width::B4, 56);
    assert_eq!(b.read(0, IAR), 50);
    assert_eq!(b.read(0, IAR), 1023);
}

#[test]
fn a_single_cpu_gets_everything() {
    let (recorder, pins) = testing::pins(1);
    let gic = GicV2::new(32, pins, None, Security::One);
    let (mut distributor, mut interface) = (gic.distributor(), gic.interface());
    for (offset, value) in [(CTLR, 1), (0x104, 1), (0x800 + 32, 0)] {
        distributor.write(offset, Width::B4, value);
    }
    interface.write(PMR, Width::B4, 0xff);
    interface.write(CTLR, Width::B4, 1);
    assert_eq!(distributor.read(0x800 + 32, Width::B4), 0);
    gic.inputs().set(spi_input(0), true);
    assert!(recorder.level(0));
}

#[test]
fn two_states_have_views_of_their_own() {
    let (recorder, pins) = testing::pins(1);
    let gic = GicV2::new(32, pins, None, Security::Two { for_kernel: false });
    let (mut distributor, mut open) = (gic.secure_distributor(), gic.distributor());
    let (mut monitor, mut kernel) = (gic.secure_interface(), gic.interface());
    // SPI 0 is group 0, SPI 1 group 1.
    for (at, value) in [(CTLR, 3), (0x84, 2), (0x104, 3), (0x420, 0xa020)] {
        distributor.write(at, Width::B4, value);
    }
    assert_eq!([CTLR, 0x84, 0x104, 0x420].map(|at| open.read(at, Width::B4)), [1, 0, 2, 0x4000]);
    open.write(0x184, Width::B4, 3);
    open.write(0x420, Width::B4, 0x6060);
    assert_eq!((distributor.read(0x104, Width::B4), distributor.read(0x420, Width::B4)), (1, 0xb020));
    distributor.write(0x104, Width::B4, 3);
    // Group 0 by FIQ, both let in; the other state has its enable in the place of the first.
    monitor.write(PMR, Width::B4, 0xf8);
    monitor.write(CTLR, Width::B4, 1 | 1 << 3);
    kernel.write(CTLR, Width::B4, 1 | 1 << 9);
    assert_eq!((monitor.read(CTLR, Width::B4), kernel.read(CTLR, Width::B4)), (0x40b, 0x201));
    assert_eq!(kernel.read(PMR, Width::B4), 0xf0);
    gic.inputs().set(spi_input(0), true);
    gic.inputs().set(spi_input(1), true);
    assert!(recorder.level(1) && !recorder.level(0));
    assert_eq!((kernel.read(IAR, Width::B4), kernel.read(HPPIR, Width::B4)), (1023, 1023));
    assert_eq!(monitor.read(IAR, Width::B4), 32);
    assert_eq!((monitor.read(RPR, Width::B4), kernel.read(RPR, Width::B4)), (0x20, 0));
    gic.inputs().set(spi_input(0), false);
    kernel.write(EOIR, Width::B4, 32);
    assert_eq!(monitor.read(RPR, Width::B4), 0x20, "it is not the kernel's to end");
    monitor.write(EOIR, Width::B4, 32);
    assert!(recorder.level(0) && !recorder.level(1));
    assert_eq!(monitor.read(IAR, Width::B4), 1022, "of the other group");
    assert_eq!((kernel.read(IAR, Width::B4), kernel.read(RPR, Width::B4)), (33, 0x60));
    kernel.write(EOIR, Width::B4, 33);
    assert_eq!((kernel.read(RPR, Width::B4), distributor.read(0x304, Width::B4)), (0xff, 2), "still active");
    kernel.write(DIR, Width::B4, 33);
    assert_eq!(distributor.read(0x304, Width::B4), 0);
}

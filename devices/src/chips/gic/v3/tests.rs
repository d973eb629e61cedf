use super::*;
use crate::chips::gic::{ppi_input, spi_input, testing};
use InterfaceRegister as R;
use base::{LineRecorder, allocate_ram};
use vm_memory::{Bytes, GuestAddress};

/// Where the tests keep tables.
const CONFIG: u64 = 0x1_0000;
const PENDING: u64 = 0x2_0000;

/// Accesses of a kernel, in the only Security state.
const EL1: Origin = Origin { el: 1, secure: false, fiq_to_el3: false, irq_to_el3: false };

struct Bench {
    recorder: Arc<LineRecorder>,
    gic: GicV3,
    distributor: DistributorFrame,
    redistributors: RedistributorFrames,
    cpus: CpuInterfaces,
    ram: GuestRam,
}

/// A controller for three CPUs that are awake, all private interrupts and SPI 0 to 31 in group 1, enabled at 0x80.
fn bench() -> Bench {
    let ram = allocate_ram(&[(0, 0x10_0000)]).expect("memory");
    let (recorder, pins) = testing::pins(3);
    let gic = GicV3::new(
        Config { spis: 64, lpis: true, maintenance: None, security: Security::One },
        pins,
        ram.clone(),
    );
    let (distributor, redistributors) = (gic.distributor(), gic.redistributors());
    let cpus = gic.interfaces();
    let mut b = Bench { recorder, gic, distributor, redistributors, cpus, ram };
    b.set(0, 3);
    b.set(0x84, u32::MAX);
    b.set(0x104, u32::MAX);
    for n in 0..8 {
        b.set(0x420 + 4 * n, 0x8080_8080);
    }
    for cpu in 0..3 {
        b.set_own(cpu, 0x14, 0);
        b.set_own(cpu, 0x1_0080, u32::MAX);
        b.set_own(cpu, 0x1_0100, u32::MAX);
        for n in 0..8 {
            b.set_own(cpu, 0x1_0400 + 4 * n, 0x8080_8080);
        }
        b.cpus.write(cpu, R::PMR, EL1, 0xff);
        b.cpus.write(cpu, R::IGRPEN(Group::One), EL1, 1);
        b.cpus.write(cpu, R::IGRPEN(Group::Zero), EL1, 1);
    }
    b
}

impl Bench {
    fn set(&mut self, offset: u64, value: u32) {
        self.distributor.write(offset, Width::B4, value.into());
    }

    fn set_own(&mut self, cpu: usize, offset: u64, value: u32) {
        self.redistributors.write(cpu as u64 * REDISTRIBUTOR_SIZE + offset, Width::B4, value.into());
    }

    fn get_own(&mut self, cpu: usize, offset: u64) -> u32 {
        self.redistributors.read(cpu as u64 * REDISTRIBUTOR_SIZE + offset, Width::B4) as u32
    }

    fn acknowledge(&self, cpu: usize) -> u64 {
        self.cpus.read(cpu, R::IAR(Group::One), EL1)
    }

    fn end(&self, cpu: usize, interrupt: u64) {
        self.cpus.write(cpu, R::EOIR(Group::One), EL1, interrupt);
    }

    fn irq(&self, cpu: u32) -> bool {
        self.recorder.level(2 * cpu)
    }

    fn fiq(&self, cpu: u32) -> bool {
        self.recorder.level(2 * cpu + 1)
    }

    /// Enables LPIs everywhere, LPI 8192 to 8199 with priority 0xa0.
    fn enable_lpis(&mut self) {
        self.ram.write_slice(&[0xa1; 8], GuestAddress(CONFIG)).expect("RAM");
        for cpu in 0..3 {
            self.set_own(cpu, 0x70, CONFIG as u32 | 15);
            self.set_own(cpu, 0x78, (PENDING + 0x1_0000 * cpu as u64) as u32);
            self.set_own(cpu, 0, 1);
        }
    }
}

#[test]
fn an_spi_goes_where_its_route_says() {
    let mut b = bench();
    b.set(0x6000 + 8 * 33, 2);
    b.gic.inputs().set(spi_input(1), true);
    assert!(!b.irq(0) && b.irq(2) && !b.fiq(2));
    assert_eq!((b.acknowledge(0), b.acknowledge(2)), (1023, 33));
    assert!(!b.irq(2));
    assert_eq!(b.cpus.read(2, R::RPR, EL1), 0x80);
    b.gic.inputs().set(spi_input(1), false);
    b.end(2, 33);
    assert_eq!(b.cpus.read(2, R::RPR, EL1), 0xff);
    assert!(!b.irq(2));
}

#[test]
fn a_private_input_is_one_cpus() {
    let b = bench();
    b.gic.inputs().set(ppi_input(1, 27), true);
    assert!(!b.irq(0) && b.irq(1));
    assert_eq!(b.acknowledge(1), 27);
    b.end(1, 27);
    assert!(b.irq(1));
    b.gic.inputs().set(ppi_input(1, 27), false);
    assert!(!b.irq(1));
}

#[test]
fn software_interrupts_reach_lists_and_all_others() {
    let mut b = bench();
    b.cpus.write(0, R::SGI1R, EL1, 7 << 24 | 0b110);
    assert!(!b.irq(0) && b.irq(1) && b.irq(2));
    assert_eq!((b.acknowledge(1), b.acknowledge(2)), (7, 7));
    b.cpus.write(1, R::SGI1R, EL1, 1 << 40 | 9 << 24);
    assert_eq!((b.acknowledge(0), b.get_own(2, 0x1_0200), b.get_own(1, 0x1_0200)), (9, 1 << 9, 0));
    // Affinities that nobody has, and a group that it is not in.
    b.cpus.write(0, R::SGI1R, EL1, 1 << 16 | 3 << 24 | 1);
    b.cpus.write(0, R::SGI0R, EL1, 3 << 24 | 7);
    assert_eq!((b.get_own(0, 0x1_0200), b.get_own(1, 0x1_0200)), (0, 0));
}

#[test]
fn group_0_is_fiq() {
    let mut b = bench();
    b.set(0x84, 0);
    b.gic.inputs().set(spi_input(1), true);
    assert!(!b.irq(0) && b.fiq(0));
    assert_eq!((b.acknowledge(0), b.cpus.read(0, R::HPPIR(Group::One), EL1)), (1023, 1023));
    assert_eq!(b.cpus.read(0, R::IAR(Group::Zero), EL1), 33);
    assert_eq!(b.cpus.read(0, R::APR(Group::Zero, 0), EL1), 1 << 16);
    // The end of the other group's interrupt changes nothing at this priority.
    b.end(0, 34);
    assert_eq!(b.cpus.read(0, R::RPR, EL1), 0x80);
    b.cpus.write(0, R::EOIR(Group::Zero), EL1, 33);
    assert!(b.fiq(0));
}

#[test]
fn priorities_mask_and_preempt() {
    let mut b = bench();
    b.distributor.write(0x400 + 34, Width::B1, 0x47);
    b.gic.inputs().set(spi_input(1), true);
    assert_eq!(b.acknowledge(0), 33);
    b.gic.inputs().set(spi_input(2), true);
    assert!(b.irq(0));
    b.cpus.write(0, R::BPR(Group::One), EL1, 7);
    assert!(b.irq(0));
    b.cpus.write(0, R::CTLR, EL1, 1);
    b.cpus.write(0, R::BPR(Group::Zero), EL1, 7);
    assert!(!b.irq(0));
    b.cpus.write(0, R::CTLR, EL1, 0);
    b.cpus.write(0, R::BPR(Group::One), EL1, 0);
    b.cpus.write(0, R::PMR, EL1, 0x40);
    assert!(!b.irq(0));
    b.cpus.write(0, R::PMR, EL1, 0x48);
    assert_eq!((b.acknowledge(0), b.cpus.read(0, R::RPR, EL1)), (34, 0x40));
    b.end(0, 34);
    assert_eq!(b.cpus.read(0, R::RPR, EL1), 0x80);
}

#[test]
fn ending_and_deactivating_may_be_apart() {
    let mut b = bench();
    b.cpus.write(0, R::CTLR, EL1, 2);
    b.gic.inputs().set(spi_input(1), true);
    assert_eq!(b.acknowledge(0), 33);
    b.end(0, 33);
    assert_eq!((b.cpus.read(0, R::RPR, EL1), b.distributor.read(0x304, Width::B4)), (0xff, 2));
    assert!(!b.irq(0));
    b.cpus.write(0, R::DIR, EL1, 33);
    assert!(b.irq(0));
    b.set_own(0, 0x14, 2);
    assert!(b.irq(0));
    assert_eq!(b.get_own(0, 0x14), 6);
}

/// Sends commands to the service.
struct Service {
    its: its::Its,
    ram: GuestRam,
    next: u64,
}

const RING: u64 = 0x8_0000;

impl Service {
    fn new(b: &Bench) -> Self {
        let mut its = b.gic.its();
        let mut set = |offset, value: u64| {
            its.write(offset, Width::B4, value & 0xffff_ffff);
            its.write(offset + 4, Width::B4, value >> 32);
        };
        set(0x80, 1 << 63 | RING);
        // Devices in two levels, collections in one.
        set(0x100, 3 << 62 | 0x9_0000);
        set(0x108, 1 << 63 | 0xa_0000);
        b.ram.write_obj(1u64 << 63 | 0xb_0000, GuestAddress(0x9_0000)).expect("RAM");
        its.write(0, Width::B4, 1);
        let mut service = Self { its, ram: b.ram.clone(), next: 0 };
        for cpu in 0..3 {
            service.send([9, 0, 1 << 63 | cpu << 16 | cpu, 0]);
        }
        // Device 8 with 4 events.
        service.send([8 << 32 | 8, 1, 1 << 63 | 0xc_0000, 0]);
        service
    }

    fn send(&mut self, command: [u64; 4]) {
        for word in command {
            self.ram.write_obj(word, GuestAddress(RING + self.next)).expect("RAM");
            self.next += 8;
        }
        self.its.write(0x88, Width::B4, self.next);
        assert_eq!(self.its.read(0x90, Width::B4), self.next);
    }

    /// MAPTI of device 8.
    fn map(&mut self, event: u64, interrupt: u64, collection: u64) {
        self.send([8 << 32 | 0xa, interrupt << 32 | event, collection, 0]);
    }
}

#[test]
fn messages_become_interrupts_of_the_collections_cpu() {
    let mut b = bench();
    b.enable_lpis();
    let mut service = Service::new(&b);
    service.map(1, 8193, 2);
    service.map(2, 8194, 1);
    let translator = service.its.translator();
    translator.message(8, 1);
    assert!(!b.irq(0) && !b.irq(1) && b.irq(2));
    assert_eq!(b.acknowledge(2), 8193);
    assert_eq!(b.cpus.read(2, R::RPR, EL1), 0xa0);
    b.end(2, 8193);
    assert!(!b.irq(2));
    // What leads nowhere: an event and a device that are not mapped, an event that the device does not have.
    for (device, event) in [(8, 0), (9, 1), (8, 4), (0x1_0008, 1), (8, u32::MAX)] {
        translator.message(device, event);
    }
    assert!((0..3).all(|cpu| !b.irq(cpu)));
    // INT and CLEAR do what a message does and undoes.
    service.send([8 << 32 | 3, 2, 0, 0]);
    assert!(b.irq(1));
    service.send([8 << 32 | 4, 2, 0, 0]);
    assert!(!b.irq(1));
    // DISCARD
    service.send([8 << 32 | 0xf, 2, 0, 0]);
    translator.message(8, 2);
    assert!(!b.irq(1));
}

#[test]
fn pending_messages_move() {
    let mut b = bench();
    b.enable_lpis();
    let mut service = Service::new(&b);
    service.map(0, 8192, 0);
    let translator = service.its.translator();
    translator.message(8, 0);
    assert!(b.irq(0));
    // MOVI to collection 1, then MOVALL from CPU 1 to CPU 2.
    service.send([8 << 32 | 1, 0, 1, 0]);
    assert!(!b.irq(0) && b.irq(1));
    service.send([0xe, 0, 1 << 16, 2 << 16]);
    assert!(!b.irq(1) && b.irq(2));
    // Disabled by its configuration, then enabled again.
    b.ram.write_obj(0xa0u8, GuestAddress(CONFIG)).expect("RAM");
    service.send([8 << 32 | 0xc, 0, 0, 0]);
    assert!(!b.irq(2));
    b.ram.write_obj(0x81u8, GuestAddress(CONFIG)).expect("RAM");
    service.send([0xd, 0, 2, 0]);
    assert!(b.irq(2));
    // Kept in the pending table while LPIs are disabled.
    b.set_own(2, 0, 0);
    assert!(!b.irq(2));
    assert_eq!(b.ram.read_obj::<u8>(GuestAddress(PENDING + 0x2_0000 + 1024)).expect("RAM"), 1);
    b.set_own(2, 0, 1);
    assert_eq!(b.acknowledge(2), 8192);
}

/// A controller with two Security states for one CPU: interrupt 33 to 35 pending, of group 0, group 1 of the Secure and of the
/// Non-secure state, in this order of urgency; everything let through.
fn two_states() -> (Arc<LineRecorder>, GicV3) {
    let ram = allocate_ram(&[(0, 0x1000)]).expect("memory");
    let (recorder, pins) = testing::pins(1);
    let security = Security::Two { for_kernel: false };
    let gic = GicV3::new(Config { spis: 32, lpis: false, maintenance: None, security }, pins, ram);
    let mut secure = gic.secure_distributor();
    let writes =
        [(0, 7), (0x84, 1 << 3), (0xd04, 1 << 2), (0x104, 0xe), (0x420, 0x90_40_20_00), (0x204, 0xe)];
    writes.into_iter().for_each(|(at, value)| secure.write(at, Width::B4, value));
    let cpus = gic.interfaces();
    cpus.write(0, R::PMR, EL3, 0xff);
    cpus.write(0, R::IGRPEN(Group::Zero), EL3, 1);
    cpus.write(0, R::IGRPEN1_EL3, EL3, 3);
    (recorder, gic)
}

/// Accesses of a monitor that takes FIQs, and of EL1 in either state.
const EL3: Origin = Origin { el: 3, secure: true, fiq_to_el3: true, irq_to_el3: false };
const SECURE: Origin = Origin { el: 1, ..EL3 };
const NON_SECURE: Origin = Origin { el: 1, secure: false, ..EL3 };

#[test]
fn each_state_has_its_interrupts() {
    let (recorder, gic) = two_states();
    let cpus = gic.interfaces();
    let lines = || [recorder.level(1), recorder.level(200 & 63), recorder.level(201 & 63)];
    assert_eq!(lines(), [true, false, false], "group 0 is FIQ");
    assert_eq!(cpus.read(0, R::IAR(Group::Zero), NON_SECURE), 1023);
    assert_eq!(cpus.read(0, R::IAR(Group::One), SECURE), 1023);
    assert_eq!(cpus.read(0, R::IAR(Group::Zero), EL3), 33);
    cpus.write(0, R::EOIR(Group::Zero), NON_SECURE, 33);
    assert_eq!(cpus.read(0, R::RPR, EL3), 0x20, "nobody else ends it");
    assert_eq!(cpus.read(0, R::RPR, NON_SECURE), 0, "it is of the other half");
    cpus.write(0, R::EOIR(Group::Zero), EL3, 33);
    assert_eq!(lines(), [false, true, false]);
    // EL3 is told by way of group 0 for whom something waits.
    assert_eq!(cpus.read(0, R::HPPIR(Group::Zero), EL3), 1020);
    assert_eq!(cpus.read(0, R::HPPIR(Group::One), NON_SECURE), 1023);
    assert_eq!(cpus.read(0, R::IAR(Group::One), SECURE), 34);
    cpus.write(0, R::EOIR(Group::One), SECURE, 34);
    assert_eq!(lines(), [false, false, true]);
    assert_eq!(cpus.read(0, R::HPPIR(Group::Zero), EL3), 1021);
    assert_eq!(cpus.read(0, R::IAR(Group::One), SECURE), 1023);
    assert_eq!(cpus.read(0, R::IAR(Group::One), NON_SECURE), 35);
    assert_eq!((cpus.read(0, R::RPR, EL3), cpus.read(0, R::RPR, NON_SECURE)), (0x90, 0x20));
}

#[test]
fn the_non_secure_state_sees_its_own() {
    let (_, gic) = two_states();
    let (mut secure, mut open) = (gic.secure_distributor(), gic.distributor());
    let mut both = |at: u64| [secure.read(at, Width::B4), open.read(at, Width::B4)];
    assert_eq!(both(0), [0x37, 0x12]);
    assert_eq!(both(0x84), [8, 0]);
    assert_eq!(both(0x104), [0xe, 8]);
    assert_eq!(both(0x420), [0x9040_2000, 0x2000_0000]);
    // It can not touch the others, and its priorities are the less urgent half.
    open.write(0x184, Width::B4, 0xe);
    open.write(0x420, Width::B4, 0x4040_4040);
    open.write(0x84, Width::B4, 0xffff_ffff);
    let mut now = |at: u64| secure.read(at, Width::B4);
    assert_eq!((now(0x104), now(0x420), now(0x84)), (6, 0xa040_2000, 8));
    // NSACR gives it the right to set and clear what is pending.
    secure.write(0xe08, Width::B4, 2 << 2 | 1 << 4);
    open.write(0x284, Width::B4, 0xe);
    assert_eq!(secure.read(0x204, Width::B4), 4);
    // One state: there is one group less, and all is seen.
    secure.write(0, Width::B4, 1 << 6);
    assert_eq!((secure.read(0, Width::B4), open.read(0, Width::B4)), (0x50, 0x50));
    assert_eq!((open.read(0xd04, Width::B4), open.read(0x420, Width::B4)), (0, 0xa040_2000));
}

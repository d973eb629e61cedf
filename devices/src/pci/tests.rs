//! The bus driven through its ECAM window.

use super::config::ConfigState;
use super::*;
use base::{
    AddressSpace, Device, IrqLine, LineRecorder, Mmio, Shared, Slot, State, StateError, Width, allocate_ram,
    shared,
};
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress};

const ECAM: u64 = 0x3000_0000;
const WINDOWS: PciWindows = PciWindows {
    ecam: PciWindow { cpu: ECAM, bus: 0, size: 256 << 20 },
    io: PciWindow { cpu: 0x300_0000, bus: 0, size: 64 << 10 },
    memory: PciWindow { cpu: 0x4000_0000, bus: 0x4000_0000, size: 1 << 30 },
    high_memory: Some(PciWindow { cpu: 0x4_0000_0000, bus: 0x4_0000_0000, size: 16 << 30 }),
};
const RAM: u64 = 0x8000_0000;

/// A function with a BAR of each kind and MSI-X; its BARs remember one value.
pub(super) struct Probe {
    config: ConfigSpace,
    pub interrupt: Arc<PciInterrupt>,
    value: u64,
}

const BAR_IO: usize = 0;
const BAR_MSIX: usize = 1;
const BAR_SMALL: usize = 2;
const BAR_HIGH: usize = 4;

impl Probe {
    pub fn new(wiring: PciWiring) -> Self {
        let mut config = ConfigSpace::new(Identity {
            vendor: 0x1234,
            device: 0x5678,
            subsystem_vendor: 0x9abc,
            subsystem: 0xdef0,
            class: 0x01_80_00,
            revision: 7,
            pin: 1,
        });
        config.add_bar(BAR_IO, Bar { kind: BarKind::Io, size: 0x20 });
        config.add_bar(BAR_SMALL, Bar { kind: BarKind::Memory32, size: 0x100 });
        config.add_bar(BAR_HIGH, Bar { kind: BarKind::Memory64, size: 0x4000 });
        let interrupt = PciInterrupt::new(&mut config, BAR_MSIX, 3, wiring.intx, wiring.messages);
        Self { config, interrupt, value: 0 }
    }
}

impl Device for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }
    fn reset(&mut self) {
        self.config.reset();
        self.interrupt.reset();
    }
    fn save(&self) -> State {
        State::of(1, &(self.config.save(), self.interrupt.save()))
    }
    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let (config, interrupt): (ConfigState, InterruptState) = state.get(1)?;
        ConfigSpace::check(&config)?;
        self.config.load(&config);
        self.interrupt.load(interrupt);
        self.interrupt.config_changed(&self.config);
        Ok(())
    }
}

impl PciFunction for Probe {
    fn config(&self) -> &ConfigSpace {
        &self.config
    }
    fn read_config(&mut self, offset: usize, width: Width) -> u32 {
        self.config.read(offset, width)
    }
    fn write_config(&mut self, offset: usize, width: Width, value: u32) {
        self.config.write(offset, width, value);
        self.interrupt.config_changed(&self.config);
    }
    fn read_bar(&mut self, bar: usize, offset: u64, width: Width) -> u64 {
        if bar == BAR_MSIX { self.interrupt.read_bar(offset, width) } else { self.value }
    }
    fn write_bar(&mut self, bar: usize, offset: u64, width: Width, value: u64) {
        if bar == BAR_MSIX {
            self.interrupt.write_bar(offset, width, value as u32);
        } else {
            self.value = value;
        }
    }
}

pub(super) struct Bench {
    pub space: Arc<AddressSpace>,
    pub host: Shared<PciHost>,
    pub lines: Arc<LineRecorder>,
    /// The interrupt of each probe, by order.
    probes: Vec<Arc<PciInterrupt>>,
}

/// A slot of bus 0.
fn root(slot: u8) -> PciPlace {
    PciPlace { port: None, devfn: slot << 3 }
}

fn slot(slot: u8) -> PciSocket {
    PciSocket { address: Some((slot, 0)), ..PciSocket::default() }
}

/// A host with two probes, in slots 1 and 2.
pub(super) fn bench() -> Bench {
    let space = Arc::new(AddressSpace::new(allocate_ram(&[(RAM, 1 << 20)]).unwrap()));
    let lines = Arc::new(LineRecorder::default());
    let wires = std::array::from_fn(|i| IrqLine::new(lines.clone(), i as u32));
    let mut host = PciHost::new(WINDOWS, &space, wires);
    let mut probes = Vec::new();
    for expected in 1..3 {
        let place = host.add(PciSocket::default(), |wiring| {
            let probe = Probe::new(wiring);
            probes.push(probe.interrupt.clone());
            shared(probe)
        });
        assert_eq!(place, Ok(root(expected)));
    }
    let host = shared(host);
    space.map("ecam", ECAM, 256 << 20, Slot::Device(host.clone())).unwrap();
    Bench { space, host, lines, probes }
}

impl Bench {
    pub fn get(&self, slot: u64, offset: u64, width: Width) -> u64 {
        self.space.read(ECAM + (slot << 15) + offset, width).unwrap()
    }

    pub fn set(&self, slot: u64, offset: u64, width: Width, value: u64) {
        assert!(self.space.write(ECAM + (slot << 15) + offset, width, value));
    }

    pub fn mappings(&self) -> Vec<(String, u64, u64)> {
        self.space.list().into_iter().filter(|m| m.0.starts_with("probe")).collect()
    }

    /// Places the MSI-X BAR of slot 1 and switches memory, mastering and MSI-X on; returns where the table is.
    fn with_msix(&self) -> u64 {
        self.set(1, 0x14, Width::B4, 0x4000_1000);
        self.set(1, 4, Width::B2, 6);
        self.set(1, 0x42, Width::B2, 0x8000);
        0x4000_1000
    }

    fn word(&self, addr: u64) -> u32 {
        self.space.ram().read_obj(GuestAddress(addr)).unwrap()
    }
}

#[test]
fn configuration_space_is_found_where_it_should_be() {
    let b = bench();
    assert_eq!(b.get(0, 0, Width::B4), 0x0008_1b36);
    assert_eq!(b.get(0, 8, Width::B4), 0x0600_0000);
    assert_eq!(b.get(1, 0, Width::B4), 0x5678_1234);
    assert_eq!(b.get(1, 2, Width::B2), 0x5678);
    assert_eq!(b.get(2, 8, Width::B4), 0x0180_0007);
    assert_eq!(b.get(1, 0x2c, Width::B4), 0xdef0_9abc);
    assert_eq!(b.get(1, 0x3d, Width::B1), 1);
    assert_eq!(b.get(3, 0, Width::B4), 0xffff_ffff);
    assert_eq!(b.get(1, 0x1000, Width::B4), 0xffff_ffff, "function 1");
    assert_eq!(b.get(32, 0, Width::B4), 0xffff_ffff, "bus 1");
    assert_eq!(b.get(1, 0, Width::B8), 0x0010_0000_5678_1234);
    b.set(1, 0, Width::B4, 0);
    assert_eq!(b.get(1, 0, Width::B4), 0x5678_1234, "ids are read-only");
    b.set(1, 0x3c, Width::B1, 0x20);
    assert_eq!(b.get(1, 0x3c, Width::B2), 0x120);
    assert_eq!(b.host.lock().list(), [(root(0), "gpex-root"), (root(1), "probe"), (root(2), "probe")]);
}

#[test]
fn slots_are_given_once() {
    let b = bench();
    let mut host = b.host.lock();
    let make = |wiring| -> Shared<dyn PciFunction> { shared(Probe::new(wiring)) };
    assert_eq!(host.add(slot(1), make), Err(PciError::Taken { slot: 1, function: 0, name: "probe" }));
    assert_eq!(host.add(slot(32), make), Err(PciError::NoSuchSlot { slot: 32, function: 0 }));
    assert_eq!(host.add(slot(31), make), Ok(root(31)));
    for expected in 3..31 {
        assert_eq!(host.add(PciSocket::default(), make), Ok(root(expected)));
    }
    assert_eq!(host.add(PciSocket::default(), make), Err(PciError::Full));
    let behind = PciSocket { port: Some(8), ..PciSocket::default() };
    assert_eq!(host.add(behind, make), Err(PciError::NoSuchPort), "a probe is no port");
}

#[test]
fn functions_share_a_slot_that_says_so() {
    let b = bench();
    let make = |wiring| -> Shared<dyn PciFunction> { shared(Probe::new(wiring)) };
    let at = |function, multifunction| PciSocket { port: None, address: Some((5, function)), multifunction };
    let mut host = b.host.lock();
    assert_eq!(host.add(at(0, true), make).map(PciPlace::address), Ok((5, 0)));
    assert_eq!(host.add(at(3, false), make).map(PciPlace::address), Ok((5, 3)));
    let alone = PciSocket { address: Some((1, 1)), ..PciSocket::default() };
    assert_eq!(host.add(alone, make), Err(PciError::SingleFunction { slot: 1 }));
    drop(host);
    assert_eq!(b.get(5, 0x0e, Width::B1), 0x80);
    assert_eq!(b.get(5, 0x0c, Width::B4), 0x80_0000);
    assert_eq!(b.get(5, 0x300e, Width::B1), 0, "function 3");
    assert_eq!(b.get(1, 0x0e, Width::B1), 0);
    assert_eq!(b.get(5, 0x3000, Width::B4), 0x5678_1234);
}

#[test]
fn bars_report_their_sizes() {
    let b = bench();
    for (register, size) in
        [(0x10, 0xffff_ffe1u64), (0x14, 0xffff_f000), (0x18, 0xffff_ff00), (0x20, 0xffff_c00c)]
    {
        b.set(1, register, Width::B4, 0xffff_ffff);
        assert_eq!(b.get(1, register, Width::B4), size, "register {register:#x}");
    }
    b.set(1, 0x24, Width::B4, 0xffff_ffff);
    assert_eq!(b.get(1, 0x24, Width::B4), 0xffff_ffff);
    b.set(1, 0x1c, Width::B4, 0xffff_ffff);
    assert_eq!(b.get(1, 0x1c, Width::B4), 0, "no such BAR");
    assert_eq!(b.mappings(), [], "decoding is off");
}

#[test]
fn bars_follow_their_registers_and_the_command() {
    let b = bench();
    b.set(1, 0x10, Width::B4, 0x1000);
    b.set(1, 0x18, Width::B4, 0x4000_2000);
    b.set(1, 0x20, Width::B4, 0);
    b.set(1, 0x24, Width::B4, 4);
    b.set(1, 4, Width::B2, 3);
    let name = |bar: u32| format!("probe bar {bar}");
    assert_eq!(
        b.mappings(),
        [(name(0), 0x300_1000, 0x20), (name(2), 0x4000_2000, 0x100), (name(4), 0x4_0000_0000, 0x4000)]
    );
    assert!(b.space.write(0x4000_2010, Width::B4, 42));
    assert_eq!(b.space.read(0x4_0000_3ffc, Width::B4), Some(42));
    b.set(1, 0x18, Width::B4, 0x4100_0000);
    assert_eq!(b.space.read(0x4000_2010, Width::B4), None);
    assert_eq!(b.space.read(0x4100_0010, Width::B4), Some(42));
    b.set(1, 0x18, Width::B4, 0x3000_0000);
    assert_eq!(b.mappings().len(), 2, "outside of the window");
    b.set(1, 4, Width::B2, 1);
    assert_eq!(b.mappings(), [(name(0), 0x300_1000, 0x20)]);
    b.host.lock().reset();
    assert_eq!(b.mappings(), []);
}

#[test]
fn overlapping_bars_take_turns() {
    let b = bench();
    for slot in [1, 2] {
        b.set(slot, 0x18, Width::B4, 0x4000_0000);
        b.set(slot, 4, Width::B2, 2);
    }
    let here = |b: &Bench| b.mappings().iter().filter(|m| m.1 == 0x4000_0000).count();
    assert_eq!(here(&b), 1);
    b.set(1, 0x18, Width::B4, 0x4000_1000);
    assert_eq!(here(&b), 1, "the other one has moved in");
    assert!(b.mappings().iter().any(|m| m.1 == 0x4000_1000));
}

#[test]
fn pins_are_swizzled_and_shared() {
    let b = bench();
    b.probes[0].set_intx(true);
    assert!(b.lines.level(1), "INTA of slot 1");
    b.probes[1].set_intx(true);
    assert!(b.lines.level(2));
    b.set(1, 4, Width::B2, 0x400);
    assert!(!b.lines.level(1), "interrupts disabled");
    b.set(1, 4, Width::B2, 0);
    assert!(b.lines.level(1));
    let mut other = None;
    b.host
        .lock()
        .add(slot(5), |wiring| {
            let probe = Probe::new(wiring);
            other = Some(probe.interrupt.clone());
            shared(probe)
        })
        .unwrap();
    let other = other.unwrap();
    other.set_intx(true);
    b.probes[0].set_intx(false);
    assert!(b.lines.level(1), "slot 5 drives the line, too");
    other.set_intx(false);
    assert!(!b.lines.level(1));
}

#[test]
fn messages_are_written_masked_and_remembered() {
    let b = bench();
    b.probes[0].set_intx(true);
    let table = b.with_msix();
    assert!(!b.lines.level(1), "MSI-X replaces the pin");
    let (entry, pending) = (table + 16, table + 0x800);
    assert_eq!(b.space.read(entry + 12, Width::B4), Some(1), "masked at first");
    b.space.write(entry, Width::B8, RAM + 0x100);
    b.space.write(entry + 8, Width::B4, 0xcafe);
    b.probes[0].fire(1);
    assert_eq!(b.word(RAM + 0x100), 0);
    assert_eq!(b.space.read(pending, Width::B8), Some(2));
    b.space.write(entry + 12, Width::B4, 0);
    assert_eq!(b.word(RAM + 0x100), 0xcafe, "sent when it is unmasked");
    assert_eq!(b.space.read(pending, Width::B4), Some(0));
    b.set(1, 0x42, Width::B2, 0xc000);
    b.space.write(entry + 8, Width::B4, 0xbeef);
    b.probes[0].fire(1);
    assert_eq!(b.word(RAM + 0x100), 0xcafe, "the function is masked");
    b.set(1, 0x42, Width::B2, 0x8000);
    assert_eq!(b.word(RAM + 0x100), 0xbeef);
    b.probes[0].fire(9);
    b.set(1, 4, Width::B2, 2);
    b.space.write(entry + 8, Width::B4, 1);
    b.probes[0].fire(1);
    assert_eq!(b.word(RAM + 0x100), 0xbeef, "not a master");
}

#[test]
fn messages_to_functions_are_lost() {
    let b = bench();
    let table = b.with_msix();
    for target in [table, ECAM, 0xdead_0000, RAM + (1 << 20)] {
        b.space.write(table, Width::B8, target);
        b.space.write(table + 12, Width::B4, 0);
        b.probes[0].fire(0);
        b.space.write(table + 12, Width::B4, 1);
        b.probes[0].fire(0);
        b.space.write(table + 12, Width::B4, 0);
    }
}

#[test]
fn state_restores_mappings() {
    let b = bench();
    let table = b.with_msix();
    b.space.write(table + 8, Width::B4, 77);
    let saved = b.host.lock().save();
    let other = bench();
    other.host.lock().load(&saved).unwrap();
    assert_eq!(other.mappings(), b.mappings());
    assert_eq!(other.space.read(table + 8, Width::B4), Some(77));
    assert_eq!(other.host.lock().save(), saved);
    let bad = State::of(1, &());
    assert!(other.host.lock().load(&bad).is_err());
    assert_eq!(other.host.lock().save(), saved);
}

/// Numbers that look random, the same each time.
pub(super) fn numbers() -> impl FnMut() -> u64 {
    let mut random = 88172645463325252u64;
    move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    }
}

#[test]
fn any_access_is_survived() {
    let b = bench();
    b.host.lock().reset();
    let first = b.host.lock().save();
    let mut next = numbers();
    for _ in 0..20_000 {
        let width = [Width::B1, Width::B2, Width::B4, Width::B8][next() as usize % 4];
        let slot = next() % 4;
        let offset = ((slot << 15) + next() % 0x60) & !(width.bytes() - 1);
        if next().is_multiple_of(2) {
            b.space.read(ECAM + offset, width);
        } else {
            b.space.write(ECAM + offset, width, next());
        }
    }
    let saved = b.host.lock().save();
    let other = bench();
    other.host.lock().load(&saved).unwrap();
    assert_eq!(other.host.lock().save(), saved);
    b.host.lock().reset();
    assert_eq!(b.host.lock().save(), first);
    let mut host = b.host.lock();
    for width in [Width::B1, Width::B2, Width::B4] {
        host.write(!7, width, u64::MAX);
        host.read(!7, width);
    }
}

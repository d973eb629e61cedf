//! PCI functions that are no virtio devices.

use crate::chips::Nowhere;
use base::{Device, IrqLine, ManualClock, Mmio, State, StateError, Width, Widths};
use devices::chips::i6300esb::I6300Esb;
use devices::chips::pvpanic::{EVENTS, PvPanic};
use devices::pci::{Identity, MsiSink, OneBar, PciFunction, PciWiring, RootPort, SlotOptions};
use std::sync::Arc;

/// Where BAR 0 is behind configuration space.
const BAR: u64 = 0x80;

/// A function as one range of registers: the head of its configuration space, then BAR 0.
struct Laid<F>(F);

impl<F: PciFunction> Device for Laid<F> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn reset(&mut self) {
        self.0.reset();
    }
    fn save(&self) -> State {
        self.0.save()
    }
    fn load(&mut self, state: &State) -> Result<(), StateError> {
        self.0.load(state)
    }
}

impl<F: PciFunction> Mmio for Laid<F> {
    fn widths(&self) -> Widths {
        Widths::UP_TO_WORD
    }
    fn read(&mut self, offset: u64, width: Width) -> u64 {
        // The bus sees to it.
        let width = width.min(Width::B4);
        let offset = offset & !(width.bytes() - 1);
        match offset.checked_sub(BAR) {
            Some(offset) => self.0.read_bar(0, offset, width),
            None => self.0.read_config(offset as usize, width).into(),
        }
    }
    fn write(&mut self, offset: u64, width: Width, value: u64) {
        let width = width.min(Width::B4);
        let (offset, value) = (offset & !(width.bytes() - 1), value & width.mask());
        match offset.checked_sub(BAR) {
            // Every other write gives a watchdog its keys first.
            Some(offset) => {
                if value & 1 != 0 {
                    self.0.write_bar(0, 0x0c, Width::B2, 0x80);
                    self.0.write_bar(0, 0x0c, Width::B2, 0x86);
                }
                self.0.write_bar(0, offset & 0xf, width, value);
            }
            None => self.0.write_config(offset as usize, width, value as u32),
        }
    }
}

impl MsiSink for Nowhere {
    fn send(&self, _: u64, _: u32) {}
}

const IDENTITY: Identity =
    Identity { vendor: 1, device: 2, subsystem_vendor: 3, subsystem: 4, class: 5, revision: 6, pin: 0 };

device_laws!(pvpanic, BAR + 0x10, |_| {
    Box::new(Laid(OneBar::new("pvpanic-pci", IDENTITY, 16, PvPanic::new(EVENTS, Arc::new(Nowhere)))))
});
device_laws!(pcie_root_port, BAR + 0x10, |_| {
    let wiring = PciWiring { intx: IrqLine::unconnected(), messages: Arc::new(Nowhere), express: false };
    Box::new(Laid(RootPort::new(wiring, SlotOptions { port: 1, slot: 2, hotplug: true })))
});
device_laws!(i6300esb, BAR + 0x10, |clock: &Arc<ManualClock>| {
    Box::new(Laid(I6300Esb::new(clock.clone(), Arc::new(Nowhere))))
});

//! How a function interrupts: its INTx pin, or messages through MSI-X once software enables that.

use super::msix::{Message, Msix};
use super::{Bar, BarKind, ConfigSpace, PciPlace};
use base::{AddressSpace, IrqLine, IrqSink, Width};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};

const CAPABILITY_MSIX: u8 = 0x11;
/// Offset of the message control word in the capability.
const CONTROL: usize = 2;
const CONTROL_ENABLE: u32 = 1 << 15;
const CONTROL_MASK: u32 = 1 << 14;
/// The table and the pending bits share one BAR of this size, the latter in its upper half.
const BAR_SIZE: u64 = 0x1000;
const PENDING: u64 = 0x800;

/// Where messages go. Called from any thread; must not call back into the function that sends.
pub trait MsiSink: Send + Sync {
    /// Writes `data` at `address` on the bus.
    fn send(&self, address: u64, data: u32);
}

/// An address where messages are told apart by who sends them.
#[derive(Clone)]
pub struct Doorbell {
    /// The address.
    pub address: u64,
    /// Takes a message: the requester (bus, slot, function, as in PCI Express' requester ID) and what it writes.
    pub ring: Arc<dyn Fn(u32, u32) + Send + Sync>,
}

/// One function's messages as writes to the address space, but for those to the doorbell.
///
/// A message to another function's BAR (or its own) is lost: no controller is there, and the function's lock may be
/// held.
pub(super) struct BusMessages {
    pub space: Weak<AddressSpace>,
    pub refused: Vec<Range<u64>>,
    pub doorbell: Option<Doorbell>,
    pub requester: Requester,
}

/// Who sends: the number of the bus, which software chooses, and the function on it.
pub(super) struct Requester {
    pub bus: Arc<AtomicU8>,
    pub devfn: u8,
}

impl Requester {
    fn id(&self) -> u32 {
        u32::from(self.bus.load(Ordering::Relaxed)) << 8 | u32::from(self.devfn)
    }
}

impl MsiSink for BusMessages {
    fn send(&self, address: u64, data: u32) {
        if let Some(doorbell) = self.doorbell.as_ref().filter(|doorbell| doorbell.address == address) {
            return (doorbell.ring)(self.requester.id(), data);
        }
        let Some(space) = self.space.upgrade() else { return };
        if self.refused.iter().any(|range| range.contains(&address))
            || !space.write(address, Width::B4, data.into())
        {
            tracing::debug!(target: "guest_errors", "pci: message {data:#x} to {address:#x} is lost");
        }
    }
}

/// Joins the INTx pins of all functions to four lines: pin p of slot s drives line (s + p) mod 4, and what is behind a bridge drives
/// the bridge's pins by the same rule.
pub(super) struct IntxRouter {
    outputs: [IrqLine; 4],
    /// By output: those that drive it.
    levels: Mutex<[BTreeSet<u32>; 4]>,
}

impl IntxRouter {
    pub fn new(outputs: [IrqLine; 4]) -> Arc<Self> {
        Arc::new(Self { outputs, levels: Mutex::default() })
    }

    /// The wire from INTA of the function at `place`.
    pub fn pin(self: &Arc<Self>, place: PciPlace) -> IrqLine {
        // Behind a port there is slot 0 alone, so its pins are the port's.
        let slot = place.port.unwrap_or(place.devfn) >> 3;
        let port = place.port.map_or(0, |port| u32::from(port) + 1);
        let source = port << 8 | u32::from(place.devfn);
        IrqLine::new(self.clone(), source << 2 | u32::from(slot % 4))
    }
}

impl IrqSink for IntxRouter {
    fn set(&self, line: u32, level: bool) {
        let output = (line % 4) as usize;
        let mut levels = self.levels.lock();
        if level {
            levels[output].insert(line);
        } else {
            levels[output].remove(&line);
        }
        self.outputs[output].set(!levels[output].is_empty());
    }
}

struct Pins {
    msix: Msix,
    /// What the device wants of its pin.
    wanted: bool,
    intx_disabled: bool,
    master: bool,
}

/// The interrupt side of one function, shared with the threads of its device.
pub struct PciInterrupt {
    pins: Mutex<Pins>,
    intx: IrqLine,
    messages: Arc<dyn MsiSink>,
    /// Offset of the MSI-X capability.
    capability: usize,
    bar: usize,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct InterruptState {
    msix: Msix,
    wanted: bool,
}

impl PciInterrupt {
    /// Adds MSI-X with `vectors` (up to 128) vectors in BAR `bar` to `config`.
    pub fn new(
        config: &mut ConfigSpace,
        bar: usize,
        vectors: u16,
        intx: IrqLine,
        messages: Arc<dyn MsiSink>,
    ) -> Arc<Self> {
        assert!((1..=128).contains(&vectors), "the vectors fit into the lower half of the BAR");
        config.add_bar(bar, Bar { kind: BarKind::Memory32, size: BAR_SIZE });
        let mut body = [0; 10];
        body[..2].copy_from_slice(&(vectors - 1).to_le_bytes());
        body[2..6].copy_from_slice(&(bar as u32).to_le_bytes());
        body[6..].copy_from_slice(&(PENDING as u32 | bar as u32).to_le_bytes());
        let writable = ((CONTROL_ENABLE | CONTROL_MASK) as u16).to_le_bytes();
        let capability = config.add_capability(CAPABILITY_MSIX, &body, &writable);
        let pins = Pins { msix: Msix::new(vectors), wanted: false, intx_disabled: false, master: false };
        Arc::new(Self { pins: Mutex::new(pins), intx, messages, capability, bar })
    }

    /// The BAR that holds the table.
    pub fn bar(&self) -> usize {
        self.bar
    }

    /// The number of MSI-X vectors.
    pub fn vectors(&self) -> usize {
        self.pins.lock().msix.vectors()
    }

    /// Whether software uses MSI-X.
    pub fn msix_enabled(&self) -> bool {
        self.pins.lock().msix.enabled
    }

    /// Whether the device wants its pin driven: the interrupt bit of the status register.
    pub fn intx_wanted(&self) -> bool {
        self.pins.lock().wanted
    }

    fn drive(&self, pins: &Pins) {
        self.intx.set(pins.wanted && !pins.intx_disabled && !pins.msix.enabled);
    }

    /// Drives the INTx pin, as far as software lets it.
    pub fn set_intx(&self, level: bool) {
        let mut pins = self.pins.lock();
        pins.wanted = level;
        self.drive(&pins);
    }

    /// Sends the message of `vector`, or notes it while it is masked.
    pub fn fire(&self, vector: u16) {
        let mut pins = self.pins.lock();
        let message = pins.msix.fire(vector).filter(|_| pins.master);
        drop(pins);
        self.send(message);
    }

    /// Without the lock: the receiver may be a device of any kind.
    fn send(&self, messages: impl IntoIterator<Item = Message>) {
        messages.into_iter().for_each(|message| self.messages.send(message.address, message.data));
    }

    fn after_change(&self, change: impl FnOnce(&mut Pins)) {
        let mut pins = self.pins.lock();
        change(&mut pins);
        self.drive(&pins);
        let messages = if pins.master { pins.msix.take_unmasked() } else { Vec::new() };
        drop(pins);
        self.send(messages);
    }

    /// Follows a change of the command register or the message control word.
    pub fn config_changed(&self, config: &ConfigSpace) {
        let control = config.read(self.capability + CONTROL, Width::B2);
        self.after_change(|pins| {
            pins.intx_disabled = config.intx_disabled();
            pins.master = config.is_master();
            pins.msix.enabled = control & CONTROL_ENABLE != 0;
            pins.msix.function_masked = control & CONTROL_MASK != 0;
        });
    }

    /// Reads the BAR with the table and the pending bits.
    pub fn read_bar(&self, offset: u64, width: Width) -> u64 {
        let pins = self.pins.lock();
        match offset.checked_sub(PENDING) {
            Some(offset) => pins.msix.read_pending(offset, width),
            None => pins.msix.read_table(offset, width),
        }
    }

    /// Writes the BAR with the table; the pending bits are read-only.
    pub fn write_bar(&self, offset: u64, width: Width, value: u32) {
        if offset < PENDING {
            self.after_change(|pins| pins.msix.write_table(offset, width, value));
        }
    }

    /// Back to the power-on state.
    pub fn reset(&self) {
        self.after_change(|pins| {
            let vectors = pins.msix.vectors() as u16;
            *pins = Pins { msix: Msix::new(vectors), wanted: false, intx_disabled: false, master: false };
        });
    }

    pub(crate) fn save(&self) -> InterruptState {
        let pins = self.pins.lock();
        InterruptState { msix: pins.msix.clone(), wanted: pins.wanted }
    }

    /// Whether `state` is of a function with as many vectors.
    pub(crate) fn fits(&self, state: &InterruptState) -> bool {
        self.pins.lock().msix.same_size(&state.msix)
    }

    /// Takes over a state that fits; [`PciInterrupt::config_changed`] follows.
    pub(crate) fn load(&self, state: InterruptState) {
        let mut pins = self.pins.lock();
        pins.msix = state.msix;
        pins.wanted = state.wanted;
    }
}

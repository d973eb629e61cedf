//! A root port with a slot: a bridge to a bus of one device, and native hot-plug (PCI Express Base Specification 5.0,
//! section 6.7). Ids and what the slot can do are those of QEMU's `pcie-root-port`.
//!
//! Who plugs something in lets the presence change and presses the attention button; who wants it out presses the button alone. The
//! guest then takes its driver away and turns power and power indicator off, and that is when [`RootPort::take_effects`] says that what
//! is behind may go. Left out: MSI without the X, power management, error reporting, surprise removal, the lock.

use super::config::{BRIDGE_CONTROL, BRIDGE_RESET, ConfigState};
use super::express::{self, LINK_CONTROL, LINK_DISABLE, LINK_STATUS, SLOT_CONTROL, SLOT_STATUS, SlotOptions};
use super::interrupt::InterruptState;
use super::{BarKind, ConfigSpace, Identity, PciFunction, PciInterrupt, PciWiring};
use base::{Device, State, StateError, Width};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const STATE_VERSION: u32 = 1;
const BAR_MSIX: usize = 0;
/// The vector of the slot's events.
const VECTOR: u16 = 0;
const CAPABILITY_SUBSYSTEM: u8 = 0x0d;

const IDENTITY: Identity = Identity {
    vendor: 0x1b36,
    device: 0x000c,
    subsystem_vendor: 0x1b36,
    subsystem: 0,
    class: 0x06_04_00,
    revision: 0,
    pin: 1,
};

/// Bits of slot control: the events' enables stand where the events do in slot status, but for the link's.
mod control {
    pub const INTERRUPT: u16 = 1 << 5;
    pub const ATTENTION_OFF: u16 = 0b11 << 6;
    pub const POWER_INDICATOR: u16 = 0b11 << 8;
    pub const POWER_INDICATOR_ON: u16 = 0b01 << 8;
    pub const POWER_INDICATOR_BLINKS: u16 = 0b10 << 8;
    pub const POWER_INDICATOR_OFF: u16 = 0b11 << 8;
    pub const POWER_OFF: u16 = 1 << 10;
    pub const LINK: u16 = 1 << 12;
    /// What is there may go.
    pub const OFF: u16 = POWER_OFF | POWER_INDICATOR_OFF;
}

/// Bits of slot status.
mod status {
    pub const BUTTON: u16 = 1 << 0;
    pub const PRESENCE_CHANGED: u16 = 1 << 3;
    pub const COMMAND_COMPLETED: u16 = 1 << 4;
    pub const PRESENT: u16 = 1 << 6;
    pub const LINK_CHANGED: u16 = 1 << 8;
    /// Events whose enables are the same bits of slot control.
    pub const EVENTS: u16 = 0x1f;
    /// Writing ones clears these.
    pub const CLEARED: u16 = EVENTS | LINK_CHANGED;
}

/// What a write to the port's configuration space leads to behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// What is in the slot goes.
    pub ejects: bool,
    /// What is in the slot is reset.
    pub resets: bool,
}

/// Why a slot does not do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotRefusal {
    /// The port has no hot-plug.
    NoHotplug,
    /// The guest is about to turn the slot on or off.
    Busy,
    /// The button was pressed already.
    Leaving,
}

#[derive(Serialize, Deserialize)]
struct PortState {
    config: ConfigState,
    interrupt: InterruptState,
    status: u16,
    leaving: bool,
    notified: bool,
}

/// A root port.
pub struct RootPort {
    config: ConfigSpace,
    interrupt: Arc<PciInterrupt>,
    /// Where the Express capability is.
    express: usize,
    hotplug: bool,
    /// The number of the bus behind, for those who send messages from there.
    bus: Arc<AtomicU8>,
    /// Slot status.
    status: u16,
    /// Somebody wants what is there to go.
    leaving: bool,
    /// The slot's interrupt is wanted.
    notified: bool,
    effects: Effects,
}

impl RootPort {
    /// A port with nothing behind it.
    pub fn new(wiring: PciWiring, options: SlotOptions) -> Self {
        let mut config = ConfigSpace::bridge(IDENTITY);
        let interrupt = PciInterrupt::new(&mut config, BAR_MSIX, 1, wiring.intx, wiring.messages);
        let mut subsystem = [0; 6];
        subsystem[2..4].copy_from_slice(&IDENTITY.subsystem_vendor.to_le_bytes());
        subsystem[4..6].copy_from_slice(&IDENTITY.subsystem.to_le_bytes());
        config.add_capability(CAPABILITY_SUBSYSTEM, &subsystem, &[]);
        let express = express::add_root_port(&mut config, options);
        let mut port = Self {
            config,
            interrupt,
            express,
            hotplug: options.hotplug,
            bus: Arc::default(),
            status: 0,
            leaving: false,
            notified: false,
            effects: Effects::default(),
        };
        port.reset();
        port
    }

    /// The number of the bus behind, as software has chosen it.
    pub(super) fn bus(&self) -> &Arc<AtomicU8> {
        &self.bus
    }

    /// Whether configuration accesses to bus `number` go to the slot, and reach something there.
    pub(super) fn leads_to(&self, number: u8) -> bool {
        number != 0 && self.config.secondary_bus() == number && self.link_is_up()
    }

    /// Whether accesses to `size` bytes at `address` reach a BAR of this kind behind the port.
    pub(super) fn forwards(&self, kind: BarKind, address: u64, size: u64) -> bool {
        self.link_is_up() && self.config.forwards(kind, address, size)
    }

    /// Something was in the slot before the machine ran: nobody is told.
    pub(super) fn occupy(&mut self) {
        self.status |= status::PRESENT;
        self.reset_slot();
    }

    /// Whether something can be plugged in now.
    pub(super) fn accepts(&self) -> Result<(), SlotRefusal> {
        if self.hotplug { Ok(()) } else { Err(SlotRefusal::NoHotplug) }
    }

    /// Something was plugged in.
    pub(super) fn plug(&mut self) {
        self.presence(true);
        self.status |= status::BUTTON;
        self.notify();
    }

    /// Asks the guest to let go of what is in the slot; true if it may go at once.
    pub(super) fn request_unplug(&mut self) -> Result<bool, SlotRefusal> {
        self.accepts()?;
        if self.leaving {
            return Err(SlotRefusal::Leaving);
        }
        if self.control() & control::OFF == control::OFF {
            return Ok(true);
        }
        if self.control() & control::POWER_INDICATOR == control::POWER_INDICATOR_BLINKS {
            return Err(SlotRefusal::Busy);
        }
        self.leaving = true;
        self.status |= status::BUTTON;
        self.notify();
        Ok(false)
    }

    /// Whether somebody waits for what is there to go.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// What was in the slot is gone.
    pub(super) fn vacate(&mut self) {
        self.leaving = false;
        self.presence(false);
        self.notify();
    }

    /// What the last writes lead to behind the port; once.
    pub(super) fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    fn read_own(&self, at: usize) -> u16 {
        self.config.read(self.express + at, Width::B2) as u16
    }

    fn put_own(&mut self, at: usize, value: u16) {
        self.config.put(self.express + at, &value.to_le_bytes());
    }

    fn control(&self) -> u16 {
        self.read_own(SLOT_CONTROL)
    }

    fn link_is_up(&self) -> bool {
        self.status & status::PRESENT != 0
            && self.control() & control::POWER_OFF == 0
            && self.read_own(LINK_CONTROL) & LINK_DISABLE == 0
    }

    fn presence(&mut self, present: bool) {
        self.status &= !status::PRESENT;
        if present {
            self.status |= status::PRESENT;
        }
        self.status |= status::PRESENCE_CHANGED;
    }

    /// Shows the state of slot and link, and says so if there is something to say.
    fn notify(&mut self) {
        let link = if self.link_is_up() { express::LINK_UP } else { express::LINK_DOWN };
        if self.read_own(LINK_STATUS) != link {
            self.put_own(LINK_STATUS, link);
            self.status |= status::LINK_CHANGED;
        }
        self.put_own(SLOT_STATUS, self.status);
        let control = self.control();
        let events = self.status & control & status::EVENTS != 0
            || self.status & status::LINK_CHANGED != 0 && control & control::LINK != 0;
        let before = std::mem::replace(&mut self.notified, events && control & control::INTERRUPT != 0);
        self.interrupt.set_intx(self.notified);
        if self.notified && !before && self.interrupt.msix_enabled() {
            self.interrupt.fire(VECTOR);
        }
    }

    /// Power is on where something is, with no event pending.
    fn reset_slot(&mut self) {
        self.status &= status::PRESENT;
        if self.hotplug {
            let power = if self.status == 0 { control::OFF } else { control::POWER_INDICATOR_ON };
            self.put_own(SLOT_CONTROL, control::ATTENTION_OFF | power);
        }
        let link = if self.link_is_up() { express::LINK_UP } else { express::LINK_DOWN };
        self.put_own(LINK_STATUS, link);
        self.notify();
    }

    /// Follows what was written to the slot's and the bridge's registers, of which some were `before`.
    fn registers_changed(&mut self, before: (u16, u16), wrote: impl Fn(usize) -> u16, is_command: bool) {
        let (control, bridge) = before;
        self.status &= !(wrote(self.express + SLOT_STATUS) & status::CLEARED);
        if is_command && self.hotplug {
            self.status |= status::COMMAND_COMPLETED;
            let goes = |control: u16| control & control::OFF == control::OFF;
            self.effects.ejects |=
                self.status & status::PRESENT != 0 && goes(self.control()) && !goes(control);
        }
        self.effects.resets |= !bridge & self.bridge_control() & BRIDGE_RESET != 0;
        self.bus.store(self.config.secondary_bus(), Ordering::Relaxed);
        self.interrupt.config_changed(&self.config);
        self.notify();
    }

    fn bridge_control(&self) -> u16 {
        self.config.read(BRIDGE_CONTROL, Width::B2) as u16
    }
}

impl Device for RootPort {
    fn name(&self) -> &'static str {
        "pcie-root-port"
    }

    fn reset(&mut self) {
        self.config.reset();
        self.interrupt.reset();
        self.bus.store(0, Ordering::Relaxed);
        (self.leaving, self.effects) = (false, Effects::default());
        self.reset_slot();
    }

    fn save(&self) -> State {
        let state = PortState {
            config: self.config.save(),
            interrupt: self.interrupt.save(),
            status: self.status,
            leaving: self.leaving,
            notified: self.notified,
        };
        State::of(STATE_VERSION, &state)
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let state: PortState = state.get(STATE_VERSION)?;
        ConfigSpace::check(&state.config)?;
        if !self.interrupt.fits(&state.interrupt) {
            return Err(StateError::Value("interrupt vectors of another device"));
        }
        if state.status & !(status::CLEARED | status::PRESENT) != 0 {
            return Err(StateError::Value("bits of slot status"));
        }
        self.config.load(&state.config);
        self.interrupt.load(state.interrupt);
        self.bus.store(self.config.secondary_bus(), Ordering::Relaxed);
        (self.status, self.leaving, self.notified) = (state.status, state.leaving, state.notified);
        self.effects = Effects::default();
        let link = if self.link_is_up() { express::LINK_UP } else { express::LINK_DOWN };
        self.put_own(LINK_STATUS, link);
        self.put_own(SLOT_STATUS, self.status);
        self.interrupt.config_changed(&self.config);
        Ok(())
    }
}

impl PciFunction for RootPort {
    fn config(&self) -> &ConfigSpace {
        &self.config
    }

    fn read_config(&mut self, offset: usize, width: Width) -> u32 {
        self.config.read(offset, width)
    }

    fn write_config(&mut self, offset: usize, width: Width, value: u32) {
        let before = (self.control(), self.bridge_control());
        self.config.write(offset, width, value);
        let end = offset + width.bytes() as usize;
        let bytes = value.to_le_bytes();
        // The part of the 16-bit register at `at` that this write hits.
        let wrote = |at: usize| {
            (0..2)
                .filter(|byte| (offset..end).contains(&(at + byte)))
                .fold(0, |all, byte| all | u16::from(bytes[at + byte - offset]) << (8 * byte))
        };
        let slot_control = self.express + SLOT_CONTROL;
        let is_command = offset < slot_control + 2 && slot_control < end;
        self.registers_changed(before, wrote, is_command);
    }

    fn read_bar(&mut self, _bar: usize, offset: u64, width: Width) -> u64 {
        self.interrupt.read_bar(offset, width)
    }

    fn write_bar(&mut self, _bar: usize, offset: u64, width: Width, value: u64) {
        self.interrupt.write_bar(offset, width, value as u32);
    }
}

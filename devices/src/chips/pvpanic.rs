//! pvpanic: one register through which a guest's kernel says that it has crashed, or wants the machine off.
//!
//! From QEMU's documentation, "PVPANIC DEVICE" (docs/specs/pvpanic). What carries it (PCI here) is not its business.

use super::guest_error;
use super::registers::registers;
use base::{Device, Mmio, PowerEvent, PowerSink, State, StateError, Width, Widths};
use std::sync::Arc;

registers! {
    /// The register file.
    pub enum Register {
        /// Read: the events that the machine understands. Written: what happens.
        0x0 EVENTS RW;
    }
}

/// The guest has crashed.
const PANICKED: u8 = 1 << 0;
/// The guest has crashed and runs a crash kernel.
const CRASH_LOADED: u8 = 1 << 1;
/// The guest wants the machine off.
const SHUTDOWN: u8 = 1 << 2;
/// All of them.
pub const EVENTS: u8 = PANICKED | CRASH_LOADED | SHUTDOWN;

const VERSION: u32 = 1;

/// The device.
pub struct PvPanic {
    events: u8,
    power: Arc<dyn PowerSink>,
}

impl PvPanic {
    /// A device that understands `events` (bits as the register has them) and reports to `power`.
    pub fn new(events: u8, power: Arc<dyn PowerSink>) -> Self {
        Self { events, power }
    }
}

impl Device for PvPanic {
    fn name(&self) -> &'static str {
        "pvpanic"
    }

    fn reset(&mut self) {}

    fn save(&self) -> State {
        State::of(VERSION, &())
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        state.get(VERSION)
    }
}

impl Mmio for PvPanic {
    fn widths(&self) -> Widths {
        Widths::BYTE
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        Register::read_at(offset).map_or(0, |_| self.events.into())
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        let known = if Register::write_at(offset).is_some() { value as u8 & self.events } else { 0 };
        // One event a write, the gravest first.
        let event = match known {
            _ if known & PANICKED != 0 => PowerEvent::Panicked,
            _ if known & CRASH_LOADED != 0 => PowerEvent::CrashLoaded,
            _ if known & SHUTDOWN != 0 => PowerEvent::PvShutdown,
            _ => return guest_error(self.name(), format_args!("write of {value:#x} at {offset:#x}")),
        };
        self.power.power(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::PowerRecorder;

    #[test]
    fn what_the_guest_says_is_passed_on_as_far_as_it_is_understood() {
        let log = Arc::new(PowerRecorder::default());
        let mut device = PvPanic::new(EVENTS, log.clone());
        assert_eq!(device.read(0, Width::B1), 7);
        for value in [1, 2, 4, 3, 8, 0] {
            device.write(0, Width::B1, value);
        }
        use PowerEvent::{CrashLoaded, Panicked, PvShutdown};
        assert_eq!(log.events(), [Panicked, CrashLoaded, PvShutdown, Panicked]);
        let mut device = PvPanic::new(PANICKED, log.clone());
        assert_eq!(device.read(0, Width::B1), 1);
        device.write(0, Width::B1, 4);
        assert_eq!(log.events().len(), 4);
    }
}

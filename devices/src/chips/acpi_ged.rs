//! The Generic Event Device of boards without ACPI's own hardware: one interrupt, and a register that says which events it is
//! for.
//!
//! From ACPI 6.5 chapter 5.6.9, and QEMU's register, which its AML reads. Left out: hot-plug of memory and CPUs, sleep and reset.

use super::guest_error;
use super::registers::registers;
use base::{Device, IrqLine, IrqSink, Mmio, State, StateError, Width, Widths};
use parking_lot::Mutex;
use std::sync::Arc;

registers! {
    /// The registers.
    pub enum Register {
        /// Events since it was last read.
        0x0 ESEL R = 0;
    }
}

/// Bytes of the device.
pub const SIZE: u64 = 4;
/// The event of the power button, which is the device's only input.
pub const POWER_DOWN: u32 = 1 << 1;
/// The input of the power button.
pub const POWER_BUTTON: u32 = 0;

const NAME: &str = "acpi-ged";
const VERSION: u32 = 1;

struct Core {
    irq: IrqLine,
    events: Mutex<u32>,
}

impl IrqSink for Core {
    fn set(&self, line: u32, level: bool) {
        if line == POWER_BUTTON && level {
            *self.events.lock() |= POWER_DOWN;
            self.irq.pulse();
        }
    }
}

/// The device.
pub struct AcpiGed(Arc<Core>);

impl AcpiGed {
    /// A device whose interrupt is an edge on `irq`.
    pub fn new(irq: IrqLine) -> Self {
        Self(Arc::new(Core { irq, events: Mutex::default() }))
    }

    /// Its inputs: each rising edge is an event.
    pub fn inputs(&self) -> Arc<dyn IrqSink> {
        self.0.clone()
    }
}

impl Device for AcpiGed {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reset(&mut self) {
        *self.0.events.lock() = 0;
    }

    fn save(&self) -> State {
        State::of(VERSION, &*self.0.events.lock())
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        *self.0.events.lock() = state.get(VERSION)?;
        Ok(())
    }
}

impl Mmio for AcpiGed {
    fn widths(&self) -> Widths {
        Widths::WORD
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        match Register::read_at(offset) {
            Some(Register::ESEL) => std::mem::take(&mut *self.0.events.lock()).into(),
            None => 0,
        }
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        guest_error(NAME, format_args!("write of {value:#x} at {offset:#x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::LineRecorder;

    #[test]
    fn the_button_is_an_event_until_it_is_read() {
        let recorder = Arc::new(LineRecorder::default());
        let mut ged = AcpiGed::new(IrqLine::new(recorder.clone(), 9));
        IrqLine::new(ged.inputs(), POWER_BUTTON).pulse();
        assert_eq!((ged.read(0, Width::B4), ged.read(0, Width::B4)), (POWER_DOWN.into(), 0));
        assert!(!recorder.level(9));
    }
}

//! The SiFive test finisher: one register that ends the run.
//!
//! From the `sifive,test1` device tree binding. Linux reaches it as a syscon (`syscon-poweroff`, `syscon-reboot`
//! nodes that name the same register).

use super::guest_error;
use super::registers::registers;
use base::{Device, Mmio, State, StateError, Width, Widths};
use base::{PowerEvent, PowerSink};
use std::sync::Arc;

registers! {
    /// The register file.
    pub enum Register {
        /// Command in bits 15:0, exit code of `FAIL` in bits 31:16.
        0x0 FINISHER RW = 0;
    }
}

/// The run failed with a code.
pub const FAIL: u16 = 0x3333;
/// The run passed: power off.
pub const PASS: u16 = 0x5555;
/// Reset the machine.
pub const RESET: u16 = 0x7777;

const VERSION: u32 = 1;

/// The test finisher.
pub struct SifiveTest {
    power: Arc<dyn PowerSink>,
}

impl SifiveTest {
    /// A finisher that reports to `power`.
    pub fn new(power: Arc<dyn PowerSink>) -> Self {
        Self { power }
    }
}

impl Device for SifiveTest {
    fn name(&self) -> &'static str {
        "riscv.sifive.test"
    }

    fn reset(&mut self) {}

    fn save(&self) -> State {
        State::of(VERSION, &())
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        state.get(VERSION)
    }
}

impl Mmio for SifiveTest {
    fn widths(&self) -> Widths {
        Widths { min: Width::B2, max: Width::B4 }
    }

    fn read(&mut self, _offset: u64, _width: Width) -> u64 {
        0
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        let value = value & width.mask();
        let event = match (Register::write_at(offset), value as u16) {
            (Some(Register::FINISHER), PASS) => PowerEvent::Off { code: 0 },
            (Some(Register::FINISHER), FAIL) => PowerEvent::Off { code: (value >> 16) as u16 as u32 },
            (Some(Register::FINISHER), RESET) => PowerEvent::Reset,
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
    fn commands_become_power_events() {
        let log = Arc::new(PowerRecorder::default());
        let mut test = SifiveTest::new(log.clone());
        test.write(0, Width::B4, 0x5555);
        test.write(0, Width::B4, 0x0003_3333);
        test.write(0, Width::B2, 0x7777);
        test.write(0, Width::B4, 0x1234);
        test.write(4, Width::B4, 0x5555);
        let expected = [PowerEvent::Off { code: 0 }, PowerEvent::Off { code: 3 }, PowerEvent::Reset];
        assert_eq!(log.events(), expected);
    }
}

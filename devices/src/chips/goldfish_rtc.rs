//! The goldfish RTC: nanoseconds since 1970 and one alarm.
//!
//! From the goldfish virtual hardware documentation of the Android emulator, "Goldfish RTC".

use super::registers::registers;
use super::unimplemented;
use base::{Clock, Device, IrqLine, Mmio, State, StateError, Timer, Width, Widths};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Weak};

registers! {
    /// The register file.
    pub enum Register {
        /// Low half of the time; reading it latches the high half.
        0x00 TIME_LOW RW;
        /// High half of the time, as of the last read of `TIME_LOW`; written before `TIME_LOW`.
        0x04 TIME_HIGH RW = 0;
        /// Low half of the alarm; writing it arms the alarm.
        0x08 ALARM_LOW RW = 0;
        /// High half of the alarm; written before `ALARM_LOW`.
        0x0c ALARM_HIGH RW = 0;
        /// Bit 0 lets the interrupt out.
        0x10 IRQ_ENABLED RW = 0;
        /// Any write disarms the alarm.
        0x14 CLEAR_ALARM W;
        /// 1 while an alarm is armed.
        0x18 ALARM_STATUS R = 0;
        /// Any write clears the interrupt.
        0x1c CLEAR_INTERRUPT W;
    }
}

const VERSION: u32 = 1;
const LOW: u64 = 0xffff_ffff;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Registers {
    /// Guest time minus wall time, modulo 2^64.
    offset: u64,
    /// High half latched by a read of `TIME_LOW`.
    time_high: u64,
    alarm: u64,
    armed: bool,
    irq_enabled: bool,
    irq_pending: bool,
}

/// What the timer reaches, locked apart from the device.
struct Core {
    clock: Arc<dyn Clock>,
    irq: IrqLine,
    timer: Box<dyn Timer>,
    registers: Mutex<Registers>,
}

impl Core {
    fn time(&self, registers: &Registers) -> u64 {
        self.clock.wall().wrapping_add(registers.offset)
    }

    /// Fires the alarm if it is due, else arms the timer for it; drives the interrupt.
    fn update(&self, registers: &mut Registers) {
        let left = registers.alarm.saturating_sub(self.time(registers));
        if registers.armed && left == 0 {
            registers.armed = false;
            registers.irq_pending = true;
        }
        if registers.armed {
            self.timer.arm(self.clock.now().saturating_add(left));
        } else {
            self.timer.disarm();
        }
        self.irq.set(registers.irq_pending && registers.irq_enabled);
    }
}

/// The RTC.
pub struct GoldfishRtc {
    core: Arc<Core>,
}

impl GoldfishRtc {
    /// An RTC that shows the clock's wall time until the guest sets it.
    pub fn new(clock: Arc<dyn Clock>, irq: IrqLine) -> Self {
        let core = Arc::new_cyclic(|core: &Weak<Core>| {
            let core = core.clone();
            let timer = clock.timer(Box::new(move || {
                if let Some(core) = core.upgrade() {
                    core.update(&mut core.registers.lock());
                }
            }));
            Core { clock, irq, timer, registers: Mutex::default() }
        });
        Self { core }
    }
}

impl Device for GoldfishRtc {
    fn name(&self) -> &'static str {
        "goldfish_rtc"
    }

    fn reset(&mut self) {
        let mut registers = self.core.registers.lock();
        *registers = Registers::default();
        self.core.update(&mut registers);
    }

    fn save(&self) -> State {
        State::of(VERSION, &*self.core.registers.lock())
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let loaded = state.get(VERSION)?;
        let mut registers = self.core.registers.lock();
        *registers = loaded;
        self.core.update(&mut registers);
        Ok(())
    }
}

impl Mmio for GoldfishRtc {
    fn widths(&self) -> Widths {
        Widths::WORD
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        let mut registers = self.core.registers.lock();
        match Register::read_at(offset) {
            Some(Register::TIME_LOW) => {
                let time = self.core.time(&registers);
                registers.time_high = time >> 32;
                time & LOW
            }
            Some(Register::TIME_HIGH) => registers.time_high,
            Some(Register::ALARM_LOW) => registers.alarm & LOW,
            Some(Register::ALARM_HIGH) => registers.alarm >> 32,
            Some(Register::IRQ_ENABLED) => registers.irq_enabled.into(),
            Some(Register::ALARM_STATUS) => registers.armed.into(),
            Some(Register::CLEAR_ALARM | Register::CLEAR_INTERRUPT) | None => {
                unimplemented(self.name(), format_args!("read at {offset:#x}"));
                0
            }
        }
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        let value = value & LOW;
        let mut registers = self.core.registers.lock();
        let time = self.core.time(&registers);
        match Register::write_at(offset) {
            Some(Register::TIME_LOW) => {
                let wanted = time & !LOW | value;
                registers.offset = wanted.wrapping_sub(self.core.clock.wall());
            }
            Some(Register::TIME_HIGH) => {
                let wanted = value << 32 | time & LOW;
                registers.offset = wanted.wrapping_sub(self.core.clock.wall());
            }
            Some(Register::ALARM_LOW) => {
                registers.alarm = registers.alarm & !LOW | value;
                registers.armed = true;
            }
            Some(Register::ALARM_HIGH) => registers.alarm = value << 32 | registers.alarm & LOW,
            Some(Register::IRQ_ENABLED) => registers.irq_enabled = value & 1 != 0,
            Some(Register::CLEAR_ALARM) => registers.armed = false,
            Some(Register::CLEAR_INTERRUPT) => registers.irq_pending = false,
            Some(Register::ALARM_STATUS) | None => {
                return unimplemented(self.name(), format_args!("write at {offset:#x}"));
            }
        }
        self.core.update(&mut registers);
    }
}

#[cfg(test)]
mod tests;

//! The PL031 real-time clock: seconds, and one alarm.
//!
//! From the PrimeCell Real Time Clock (PL031) Technical Reference Manual (DDI 0224), revision r1p3.

use super::guest_error;
use super::primecell::identification;
use super::registers::registers;
use base::{Clock, Device, IrqLine, Mmio, State, StateError, Timer, Width, Widths};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Weak};

registers! {
    /// The register file. Offsets from 0xfe0 on are identification.
    pub enum Register {
        /// Seconds.
        0x00 RTCDR R;
        /// Match: the alarm.
        0x04 RTCMR RW = 0;
        /// Load: sets the seconds.
        0x08 RTCLR RW;
        /// Control: the counter runs, always.
        0x0c RTCCR RW = 1;
        /// Bit 0 lets the interrupt out.
        0x10 RTCIMSC RW = 0;
        /// Bit 0: the alarm has gone off.
        0x14 RTCRIS R = 0;
        /// Both.
        0x18 RTCMIS R = 0;
        /// Clears the interrupt.
        0x1c RTCICR W;
    }
}

/// PeriphID0 to PeriphID3.
const PERIPHERAL: [u8; 4] = [0x31, 0x10, 0x14, 0x00];
const NS_PER_SECOND: u64 = 1_000_000_000;
const VERSION: u32 = 1;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Registers {
    /// Guest seconds minus wall seconds, modulo 2^32.
    offset: u32,
    matches: u32,
    load: Option<u32>,
    masked_in: bool,
    gone_off: bool,
    /// A match was written and is still to come.
    armed: bool,
}

/// What the timer reaches, locked apart from the device.
struct Core {
    clock: Arc<dyn Clock>,
    irq: IrqLine,
    timer: Box<dyn Timer>,
    registers: Mutex<Registers>,
}

impl Core {
    fn seconds(&self, registers: &Registers) -> u32 {
        ((self.clock.wall() / NS_PER_SECOND) as u32).wrapping_add(registers.offset)
    }

    /// The timer has come to its end: the alarm goes off if it is due.
    fn look(&self, registers: &mut Registers) {
        if registers.armed && self.seconds(registers) == registers.matches {
            (registers.armed, registers.gone_off) = (false, true);
        }
        self.update(registers);
    }

    /// Arms the timer, drives the interrupt.
    fn update(&self, registers: &Registers) {
        if registers.armed {
            let left = u64::from(registers.matches.wrapping_sub(self.seconds(registers)));
            // To the start of that second.
            let passed = self.clock.wall() % NS_PER_SECOND;
            let left = (left * NS_PER_SECOND).saturating_sub(passed);
            self.timer.arm(self.clock.now().saturating_add(left));
        } else {
            self.timer.disarm();
        }
        self.irq.set(registers.gone_off && registers.masked_in);
    }
}

/// The RTC.
pub struct Pl031 {
    core: Arc<Core>,
}

impl Pl031 {
    /// An RTC that shows the clock's wall time until the guest sets it.
    pub fn new(clock: Arc<dyn Clock>, irq: IrqLine) -> Self {
        let core = Arc::new_cyclic(|core: &Weak<Core>| {
            let core = core.clone();
            let timer = clock.timer(Box::new(move || {
                if let Some(core) = core.upgrade() {
                    core.look(&mut core.registers.lock());
                }
            }));
            Core { clock, irq, timer, registers: Mutex::default() }
        });
        Self { core }
    }
}

impl Device for Pl031 {
    fn name(&self) -> &'static str {
        "pl031"
    }

    fn reset(&mut self) {
        let mut registers = self.core.registers.lock();
        *registers = Registers::default();
        self.core.update(&registers);
    }

    fn save(&self) -> State {
        State::of(VERSION, &*self.core.registers.lock())
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let loaded = state.get(VERSION)?;
        let mut registers = self.core.registers.lock();
        *registers = loaded;
        self.core.update(&registers);
        Ok(())
    }
}

impl Mmio for Pl031 {
    fn widths(&self) -> Widths {
        Widths::UP_TO_WORD
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        if let Some(byte) = identification(PERIPHERAL, offset) {
            return byte.into();
        }
        let registers = self.core.registers.lock();
        match Register::read_at(offset) {
            Some(Register::RTCDR) => self.core.seconds(&registers).into(),
            Some(Register::RTCMR) => registers.matches.into(),
            Some(Register::RTCLR) => registers.load.unwrap_or_else(|| self.core.seconds(&registers)).into(),
            Some(Register::RTCCR) => 1,
            Some(Register::RTCIMSC) => registers.masked_in.into(),
            Some(Register::RTCRIS) => registers.gone_off.into(),
            Some(Register::RTCMIS) => (registers.gone_off && registers.masked_in).into(),
            Some(Register::RTCICR) | None => 0,
        }
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        let mut registers = self.core.registers.lock();
        match Register::write_at(offset) {
            Some(Register::RTCMR) => {
                registers.matches = value as u32;
                registers.armed = true;
                self.core.look(&mut registers);
            }
            Some(Register::RTCLR) => {
                let now = self.core.seconds(&registers);
                registers.offset = registers.offset.wrapping_add((value as u32).wrapping_sub(now));
                registers.load = Some(value as u32);
                self.core.look(&mut registers);
            }
            // The counter can not be stopped.
            Some(Register::RTCCR) => {}
            Some(Register::RTCIMSC) => registers.masked_in = value & 1 != 0,
            Some(Register::RTCICR) => registers.gone_off &= value & 1 == 0,
            _ => guest_error("pl031", format_args!("write of {value:#x} at {offset:#x}")),
        }
        self.core.update(&registers);
    }
}

#[cfg(test)]
mod tests;

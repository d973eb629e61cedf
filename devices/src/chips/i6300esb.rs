//! The watchdog timer of Intel's 6300ESB I/O controller hub, a PCI function.
//!
//! From Intel's datasheet "6300ESB I/O Controller Hub" (300641), chapter 16. Two stages count down one after the other; at
//! the end of the second the watchdog bites. Left out: the interrupt of the first stage (the function has no pin, as
//! QEMU's) and SMI.

use super::guest_error;
use super::registers::registers;
use crate::pci::{Bar, BarKind, ConfigSpace, ConfigState, Identity, PciFunction};
use base::{Clock, Device, Ns, PowerEvent, PowerSink, State, StateError, Timer, Width};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Weak};

registers! {
    /// The registers in BAR 0. Each write to one takes the unlocking sequence first.
    pub enum Register {
        /// Ticks of the first stage.
        0x00 PV1 RW = 0xf_ffff;
        /// Ticks of the second stage.
        0x04 PV2 RW = 0xf_ffff;
        /// Bit 0: the first stage has come to its end.
        0x08 GINTSR RW = 0;
        /// Bit 8 starts the first stage anew, bit 9 tells that the watchdog has bitten.
        0x0c RELOAD RW;
    }
}

/// In configuration space: interrupt type, clock, and whether the bite gets out.
const CONFIG: usize = 0x60;
const CONFIG_FAST: u32 = 1 << 2;
const CONFIG_NO_BITE: u32 = 1 << 5;
/// In configuration space: what runs, until the first bit fixes it.
const LOCK: usize = 0x68;
const LOCK_LOCKED: u32 = 1 << 0;
const LOCK_ENABLED: u32 = 1 << 1;
const LOCK_FREE_RUNNING: u32 = 1 << 2;

/// What is written to `RELOAD` before another write counts.
const KEYS: [u64; 2] = [0x80, 0x86];
const RELOAD_NOW: u64 = 1 << 8;
const RELOAD_BITTEN: u64 = 1 << 9;
const TICKS: u64 = 0xf_ffff;
/// Nanoseconds of a clock of the 33 MHz bus, and how many of them are a tick: 2^15 (1 kHz) or 2^5 (1 MHz).
const BUS_CLOCK: Ns = 30;
const SLOW_SHIFT: u32 = 15;
const FAST_SHIFT: u32 = 5;

const STATE_VERSION: u32 = 1;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Stage {
    First,
    Second,
}

#[derive(Clone, Serialize, Deserialize)]
struct Registers {
    preload: [u64; 2],
    /// How many of [`KEYS`] were written.
    keys: u8,
    first_ended: bool,
    /// Survives a reset of the machine, so that the next kernel can tell.
    bitten: bool,
    /// The stage that counts, and when it ends.
    running: Option<(Stage, Ns)>,
    /// Of the registers in configuration space.
    config: u32,
    lock: u32,
}

impl Registers {
    fn after_reset(bitten: bool) -> Self {
        Self { preload: [TICKS; 2], keys: 0, first_ended: false, bitten, running: None, config: 0, lock: 0 }
    }
}

/// What the timer reaches, locked apart from the function.
struct Core {
    clock: Arc<dyn Clock>,
    power: Arc<dyn PowerSink>,
    timer: Box<dyn Timer>,
    registers: Mutex<Registers>,
}

impl Core {
    fn start(&self, registers: &mut Registers, stage: Stage) {
        let shift = if registers.config & CONFIG_FAST != 0 { FAST_SHIFT } else { SLOW_SHIFT };
        // Zero would never let the timer rest: it counts as one more than all that fit.
        let ticks = (registers.preload[stage as usize].wrapping_sub(1) & TICKS) + 1;
        let time = (ticks << shift) * BUS_CLOCK;
        registers.running = Some((stage, self.clock.now().saturating_add(time)));
        self.follow(registers);
    }

    /// From the beginning: when it is enabled, and when the guest says that it is well.
    fn restart(&self, registers: &mut Registers) {
        let free = registers.lock & LOCK_FREE_RUNNING != 0;
        self.start(registers, if free { Stage::Second } else { Stage::First });
    }

    /// Has the timer be as the registers say.
    fn follow(&self, registers: &Registers) {
        match registers.running {
            Some((_, end)) => self.timer.arm(end),
            None => self.timer.disarm(),
        }
    }

    /// The timer has gone off.
    fn ring(&self) {
        let mut registers = self.registers.lock();
        match registers.running {
            // It was armed anew meanwhile.
            Some((_, end)) if end > self.clock.now() => {}
            Some((Stage::First, _)) => {
                registers.first_ended = true;
                self.start(&mut registers, Stage::Second);
            }
            Some((Stage::Second, _)) => self.bite(&mut registers),
            None => {}
        }
    }

    fn bite(&self, registers: &mut Registers) {
        let out = registers.config & CONFIG_NO_BITE == 0;
        if out {
            registers.bitten = true;
            self.power.power(PowerEvent::Watchdog);
        }
        if registers.lock & LOCK_FREE_RUNNING != 0 {
            return self.start(registers, Stage::Second);
        }
        if out {
            *registers = Registers::after_reset(true);
        }
        registers.running = None;
        self.follow(registers);
    }

    fn set_lock(&self, value: u32) {
        let mut registers = self.registers.lock();
        if registers.lock & LOCK_LOCKED != 0 {
            return guest_error("i6300esb", format_args!("write of {value:#x} to the lock register"));
        }
        let was_enabled = registers.lock & LOCK_ENABLED != 0;
        registers.lock = value & (LOCK_LOCKED | LOCK_ENABLED | LOCK_FREE_RUNNING);
        match (was_enabled, registers.lock & LOCK_ENABLED != 0) {
            (false, true) => self.restart(&mut registers),
            (true, false) => {
                registers.running = None;
                self.follow(&registers);
            }
            _ => {}
        }
    }

    fn reset(&self) {
        let mut registers = self.registers.lock();
        *registers = Registers::after_reset(registers.bitten);
        self.follow(&registers);
    }
}

/// The watchdog.
pub struct I6300Esb {
    config: ConfigSpace,
    core: Arc<Core>,
}

impl I6300Esb {
    /// A watchdog whose bite `power` feels.
    pub fn new(clock: Arc<dyn Clock>, power: Arc<dyn PowerSink>) -> Self {
        let mut config = ConfigSpace::new(Identity {
            vendor: 0x8086,
            device: 0x25ab,
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
            class: 0x08_80_00,
            revision: 0,
            pin: 0,
        });
        config.add_bar(0, Bar { kind: BarKind::Memory32, size: 16 });
        let core = Arc::new_cyclic(|core: &Weak<Core>| {
            let core = core.clone();
            let timer = clock.timer(Box::new(move || {
                if let Some(core) = core.upgrade() {
                    core.ring();
                }
            }));
            Core { clock, power, timer, registers: Mutex::new(Registers::after_reset(false)) }
        });
        Self { config, core }
    }

    /// A write to `RELOAD`, or to any register once the keys were given.
    fn write(&mut self, offset: u64, value: u64) {
        let mut registers = self.core.registers.lock();
        let register = Register::write_at(offset);
        if register == Some(Register::RELOAD) && KEYS.contains(&value) {
            let given = usize::from(registers.keys);
            registers.keys = match value {
                _ if value == KEYS[0] => 1,
                _ if given == 1 => 2,
                _ => 0,
            };
            return;
        }
        if usize::from(std::mem::take(&mut registers.keys)) < KEYS.len() {
            return guest_error("i6300esb", format_args!("write of {value:#x} at {offset:#x} while locked"));
        }
        match register {
            Some(Register::PV1) => registers.preload[0] = value & TICKS,
            Some(Register::PV2) => registers.preload[1] = value & TICKS,
            // Ones clear.
            Some(Register::GINTSR) => registers.first_ended &= value & 1 == 0,
            Some(Register::RELOAD) => {
                registers.bitten &= value & (RELOAD_BITTEN | RELOAD_NOW) == 0;
                if value & RELOAD_NOW != 0 && registers.lock & LOCK_ENABLED != 0 {
                    self.core.restart(&mut registers);
                }
            }
            None => guest_error("i6300esb", format_args!("write of {value:#x} at {offset:#x}")),
        }
    }

    fn read(&mut self, offset: u64) -> u64 {
        let registers = self.core.registers.lock();
        match Register::read_at(offset) {
            Some(Register::PV1) => registers.preload[0],
            Some(Register::PV2) => registers.preload[1],
            Some(Register::GINTSR) => registers.first_ended.into(),
            Some(Register::RELOAD) if registers.bitten => RELOAD_BITTEN,
            Some(Register::RELOAD) | None => 0,
        }
    }
}

impl Device for I6300Esb {
    fn name(&self) -> &'static str {
        "i6300esb"
    }

    fn reset(&mut self) {
        self.config.reset();
        self.core.reset();
    }

    fn save(&self) -> State {
        State::of(STATE_VERSION, &(self.config.save(), &*self.core.registers.lock()))
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let (config, loaded): (ConfigState, Registers) = state.get(STATE_VERSION)?;
        ConfigSpace::check(&config)?;
        self.config.load(&config);
        let mut registers = self.core.registers.lock();
        *registers = loaded;
        self.core.follow(&registers);
        Ok(())
    }
}

impl PciFunction for I6300Esb {
    fn config(&self) -> &ConfigSpace {
        &self.config
    }

    fn read_config(&mut self, offset: usize, width: Width) -> u32 {
        let registers = self.core.registers.lock();
        match offset {
            CONFIG => registers.config & width.mask() as u32,
            LOCK => registers.lock & width.mask() as u32,
            _ => self.config.read(offset, width),
        }
    }

    fn write_config(&mut self, offset: usize, width: Width, value: u32) {
        match offset {
            CONFIG => self.core.registers.lock().config = value & (0b11 | CONFIG_FAST | CONFIG_NO_BITE),
            LOCK => self.core.set_lock(value),
            _ => self.config.write(offset, width, value),
        }
    }

    fn read_bar(&mut self, _bar: usize, offset: u64, width: Width) -> u64 {
        self.read(offset) & width.mask()
    }

    fn write_bar(&mut self, _bar: usize, offset: u64, _width: Width, value: u64) {
        self.write(offset, value);
    }
}

#[cfg(test)]
mod tests;

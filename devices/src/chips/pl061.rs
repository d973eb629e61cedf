//! The PL061: eight general-purpose input and output pins with interrupts.
//!
//! From the PrimeCell General Purpose Input/Output (PL061) Technical Reference Manual (DDI 0190). Left out: hardware control of
//! the pins.

use super::guest_error;
use super::primecell::identification;
use super::registers::registers;
use base::{Device, IrqLine, IrqSink, Mmio, State, StateError, Width, Widths};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

registers! {
    /// The registers behind the data. Offsets from 0xfe0 on are identification.
    pub enum Register {
        /// Direction: 1 is an output.
        0x400 GPIODIR RW = 0;
        /// Interrupts by level rather than by edge.
        0x404 GPIOIS RW = 0;
        /// Interrupts by both edges.
        0x408 GPIOIBE RW = 0;
        /// By rising edges or high levels rather than by falling edges or low levels.
        0x40c GPIOIEV RW = 0;
        /// Interrupts let out.
        0x410 GPIOIE RW = 0;
        /// Interrupts that are there.
        0x414 GPIORIS R;
        /// Interrupts that are there and let out.
        0x418 GPIOMIS R = 0;
        /// Clears interrupts by edges.
        0x41c GPIOIC W;
        /// Hardware control.
        0x420 GPIOAFSEL RW = 0;
    }
}

/// GPIODATA: address bits 9 to 2 are the mask of the pins that an access is about.
const DATA: std::ops::Range<u64> = 0..0x400;
/// PeriphID0 to PeriphID3.
const PERIPHERAL: [u8; 4] = [0x61, 0x10, 0x04, 0x00];
const VERSION: u32 = 2;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Registers {
    /// Levels from outside.
    inputs: u8,
    outputs: u8,
    direction: u8,
    by_level: u8,
    both_edges: u8,
    rising: u8,
    enabled: u8,
    afsel: u8,
    /// Edges seen.
    edges: u8,
    /// Levels that outputs were driven to last.
    driven: u8,
}

impl Registers {
    fn levels(&self) -> u8 {
        self.outputs & self.direction | self.inputs & !self.direction
    }

    /// GPIORIS.
    fn raw(&self) -> u8 {
        let levels = !(self.levels() ^ self.rising) & !self.direction;
        self.edges & !self.by_level | levels & self.by_level
    }

    fn drive(&mut self, pin: u32, level: bool) {
        let bit = 1 << (pin & 7);
        let was = self.inputs & bit != 0;
        if was != level {
            self.inputs ^= bit;
            let counts = self.both_edges & bit != 0 || (self.rising & bit != 0) == level;
            if counts && self.by_level & bit == 0 && self.direction & bit == 0 {
                self.edges |= bit;
            }
        }
    }
}

struct Core {
    irq: IrqLine,
    /// Where pins lead that are outputs.
    outputs: [IrqLine; 8],
    registers: Mutex<Registers>,
}

impl Core {
    fn with<R>(&self, act: impl FnOnce(&mut Registers) -> R) -> R {
        let mut registers = self.registers.lock();
        let result = act(&mut registers);
        self.irq.set(registers.raw() & registers.enabled != 0);
        let driven = registers.outputs & registers.direction;
        let changed = driven ^ std::mem::replace(&mut registers.driven, driven);
        let pins = self.outputs.iter().enumerate().filter(|(n, _)| changed >> n & 1 != 0);
        pins.for_each(|(n, pin)| pin.set(driven >> n & 1 != 0));
        result
    }
}

impl IrqSink for Core {
    fn set(&self, line: u32, level: bool) {
        self.with(|registers| registers.drive(line, level));
    }
}

/// The chip.
pub struct Pl061 {
    core: Arc<Core>,
}

impl Pl061 {
    /// A chip whose inputs are low and whose outputs lead nowhere.
    pub fn new(irq: IrqLine) -> Self {
        Self::with_outputs(irq, std::array::from_fn(|_| IrqLine::unconnected()))
    }

    /// A chip whose pins drive these lines where they are outputs.
    pub fn with_outputs(irq: IrqLine, outputs: [IrqLine; 8]) -> Self {
        Self { core: Arc::new(Core { irq, outputs, registers: Mutex::default() }) }
    }

    /// The pins, as inputs: line `n` is pin `n`.
    pub fn pins(&self) -> Arc<dyn IrqSink> {
        self.core.clone()
    }
}

impl Device for Pl061 {
    fn name(&self) -> &'static str {
        "pl061"
    }

    /// The levels of the inputs are others' business and stay.
    fn reset(&mut self) {
        self.core.with(|registers| {
            *registers =
                Registers { inputs: registers.inputs, driven: registers.driven, ..Registers::default() }
        });
    }

    fn save(&self) -> State {
        State::of(VERSION, &*self.core.registers.lock())
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let loaded = state.get(VERSION)?;
        self.core.with(|registers| *registers = loaded);
        Ok(())
    }
}

impl Mmio for Pl061 {
    fn widths(&self) -> Widths {
        Widths::UP_TO_WORD
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        if let Some(byte) = identification(PERIPHERAL, offset) {
            return byte.into();
        }
        let registers = self.core.registers.lock();
        if DATA.contains(&offset) {
            return (registers.levels() & (offset >> 2) as u8).into();
        }
        let value = match Register::read_at(offset) {
            Some(Register::GPIODIR) => registers.direction,
            Some(Register::GPIOIS) => registers.by_level,
            Some(Register::GPIOIBE) => registers.both_edges,
            Some(Register::GPIOIEV) => registers.rising,
            Some(Register::GPIOIE) => registers.enabled,
            Some(Register::GPIORIS) => registers.raw(),
            Some(Register::GPIOMIS) => registers.raw() & registers.enabled,
            Some(Register::GPIOAFSEL) => registers.afsel,
            Some(Register::GPIOIC) | None => 0,
        };
        value.into()
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        let byte = value as u8;
        self.core.with(|registers| {
            if DATA.contains(&offset) {
                let mask = (offset >> 2) as u8 & registers.direction;
                registers.outputs = registers.outputs & !mask | byte & mask;
                return;
            }
            match Register::write_at(offset) {
                Some(Register::GPIODIR) => registers.direction = byte,
                Some(Register::GPIOIS) => registers.by_level = byte,
                Some(Register::GPIOIBE) => registers.both_edges = byte,
                Some(Register::GPIOIEV) => registers.rising = byte,
                Some(Register::GPIOIE) => registers.enabled = byte,
                Some(Register::GPIOIC) => registers.edges &= !byte,
                Some(Register::GPIOAFSEL) => registers.afsel = byte,
                _ => guest_error("pl061", format_args!("write of {value:#x} at {offset:#x}")),
            }
        });
    }
}

#[cfg(test)]
mod tests;

//! The 16550A UART: byte registers, 16-byte FIFOs, interrupts, loopback.
//!
//! From the National Semiconductor PC16550D data sheet. Characters leave at once, whatever the divisor says; only the
//! receive time-out is kept in character times. Left out: DMA modes, and sending a break.

mod uart;

use super::serial_port::SerialPort;
use crate::host::chardev::CharBackend;
use base::{Clock, Device, IrqLine, Mmio, State, StateError, Width, Widths};
use std::sync::Arc;
use uart::Registers;
pub use uart::{DivisorRegister, Register};

/// Frequency of the crystal that the divisor divides, in Hz: `clock-frequency` in the device tree.
pub const CLOCK_HZ: u64 = 3_686_400;

/// The UART.
pub struct Ns16550a {
    port: SerialPort<Registers>,
}

impl Ns16550a {
    /// A UART whose line ends in `backend`, which it attaches itself to.
    pub fn new(clock: Arc<dyn Clock>, irq: IrqLine, backend: Arc<dyn CharBackend>) -> Self {
        Self { port: SerialPort::new(irq, backend, Some(clock)) }
    }
}

impl Device for Ns16550a {
    fn name(&self) -> &'static str {
        "serial-mm"
    }

    fn reset(&mut self) {
        self.port.replace(Registers::default());
    }

    fn save(&self) -> State {
        self.port.save()
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        self.port.load(state)
    }
}

impl Mmio for Ns16550a {
    fn widths(&self) -> Widths {
        Widths::BYTE
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        self.port.with(|uart| uart.read(offset)).into()
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        self.port.with(|uart| uart.write(offset, value as u8));
    }
}

#[cfg(test)]
mod tests;

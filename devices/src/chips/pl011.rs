//! The PL011 UART: 16-character FIFOs, interrupts, loopback.
//!
//! From the PrimeCell UART (PL011) Technical Reference Manual (DDI 0183), revision r1p5. Characters leave at once, whatever
//! the divisor says and also while the UART is disabled, as early consoles expect; the receive time-out passes at once. Left out: DMA, IrDA, modem lines other than in loopback.

mod uart;

use super::serial_port::SerialPort;
use crate::host::chardev::CharBackend;
use base::{Device, IrqLine, Mmio, State, StateError, Width, Widths};
use std::sync::Arc;
pub use uart::Register;
use uart::Registers;

/// The UART.
pub struct Pl011 {
    port: SerialPort<Registers>,
}

impl Pl011 {
    /// A UART whose line ends in `backend`, which it attaches itself to.
    pub fn new(irq: IrqLine, backend: Arc<dyn CharBackend>) -> Self {
        Self { port: SerialPort::new(irq, backend, None) }
    }
}

impl Device for Pl011 {
    fn name(&self) -> &'static str {
        "pl011"
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

impl Mmio for Pl011 {
    fn widths(&self) -> Widths {
        Widths::UP_TO_WORD
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        self.port.with(|uart| uart.read(offset)).into()
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        self.port.with(|uart| uart.write(offset, value as u32));
    }
}

#[cfg(test)]
mod tests;

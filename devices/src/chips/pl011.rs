//! The PL011 UART: 16-character FIFOs, interrupts, loopback.
//!
//! From the PrimeCell UART (PL011) Technical Reference Manual (DDI 0183), revision r1p5. Characters leave at once, whatever
//! the divisor says and also while the UART is disabled, as early consoles expect; the receive time-out passes at once. Left out: DMA, IrDA, modem lines other than in loopback.

mod uart;

use crate::host::chardev::{CharBackend, CharEvent, CharSink};
use base::{Device, IrqLine, Mmio, State, StateError, Width, Widths};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
pub use uart::Register;
use uart::Uart;

const VERSION: u32 = 1;

struct Locked {
    uart: Uart,
    /// The back end was told that there is no room.
    starved: bool,
}

/// What the back end reaches, locked apart from the device on the bus.
struct Port {
    irq: IrqLine,
    backend: Arc<dyn CharBackend>,
    locked: Mutex<Locked>,
}

impl Port {
    /// Runs `act` on the registers and carries its consequences to the wires around the chip.
    fn with<R>(&self, act: impl FnOnce(&mut Uart) -> R) -> R {
        let mut locked = self.locked.lock();
        let result = act(&mut locked.uart);
        locked.uart.transmit(|bytes| self.backend.write(bytes));
        self.irq.set(locked.uart.interrupt());
        // Half empty, so that a long input does not wake the back end for every byte.
        if locked.starved && locked.uart.room() > 0 && locked.uart.half_empty() {
            locked.starved = false;
            self.backend.resume();
        }
        result
    }

    fn replace(&self, uart: Uart) {
        self.with(|old| *old = uart);
        self.locked.lock().starved = false;
        self.backend.resume();
    }
}

/// The end of the line that the back end holds, weakly: the UART owns the back end.
struct Input(Weak<Port>);

impl CharSink for Input {
    fn room(&self) -> usize {
        let Some(port) = self.0.upgrade() else { return 0 };
        let mut locked = port.locked.lock();
        let room = locked.uart.room();
        locked.starved |= room == 0;
        room
    }

    fn receive(&self, bytes: &[u8]) {
        if let Some(port) = self.0.upgrade() {
            port.with(|uart| uart.receive(bytes));
        }
    }

    fn event(&self, event: CharEvent) {
        let Some(port) = self.0.upgrade() else { return };
        match event {
            CharEvent::Break => port.with(Uart::receive_break),
            // `with` tries what waits in the transmit FIFO.
            CharEvent::Opened | CharEvent::Writable => port.with(|_| ()),
            CharEvent::Closed | CharEvent::Focus(_) => {}
        }
    }
}

/// The UART.
pub struct Pl011 {
    port: Arc<Port>,
}

impl Pl011 {
    /// A UART whose line ends in `backend`, which it attaches itself to.
    pub fn new(irq: IrqLine, backend: Arc<dyn CharBackend>) -> Self {
        let locked = Mutex::new(Locked { uart: Uart::default(), starved: false });
        let port = Arc::new(Port { irq, backend, locked });
        port.backend.attach(Arc::new(Input(Arc::downgrade(&port))));
        Self { port }
    }
}

impl Device for Pl011 {
    fn name(&self) -> &'static str {
        "pl011"
    }

    fn reset(&mut self) {
        self.port.replace(Uart::default());
    }

    fn save(&self) -> State {
        State::of(VERSION, &self.port.locked.lock().uart)
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let uart: Uart = state.get(VERSION)?;
        uart.check()?;
        self.port.replace(uart);
        Ok(())
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

//! The 16550A UART: byte registers, 16-byte FIFOs, interrupts, loopback.
//!
//! From the National Semiconductor PC16550D data sheet. Characters leave at once, whatever the divisor says; only the
//! receive time-out is kept in character times. Left out: DMA modes, and sending a break.

mod uart;

use crate::host::chardev::{CharBackend, CharEvent, CharSink};
use base::{Clock, Device, IrqLine, Mmio, State, StateError, Timer, Width, Widths};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use uart::Uart;
pub use uart::{DivisorRegister, Register};

/// Frequency of the crystal that the divisor divides, in Hz: `clock-frequency` in the device tree.
pub const CLOCK_HZ: u64 = 3_686_400;

const VERSION: u32 = 1;

struct Locked {
    uart: Uart,
    /// The back end was told that there is no room.
    starved: bool,
}

/// What the back end and the timer reach, locked apart from the device on the bus.
struct Port {
    irq: IrqLine,
    backend: Arc<dyn CharBackend>,
    clock: Arc<dyn Clock>,
    timer: Box<dyn Timer>,
    locked: Mutex<Locked>,
}

impl Port {
    /// Runs `act` on the registers and carries its consequences to the wires around the chip.
    fn with<R>(&self, act: impl FnOnce(&mut Uart) -> R) -> R {
        let mut locked = self.locked.lock();
        let before = locked.uart.receive_activity();
        let result = act(&mut locked.uart);
        let uart = &mut locked.uart;
        uart.transmit(|bytes| self.backend.write(bytes));
        if uart.receive_activity() != before {
            self.restart_timeout(uart);
        }
        self.irq.set(uart.interrupt().is_some());
        // Half empty, so that a long input does not wake the back end for every byte.
        if locked.starved && locked.uart.room() > 0 && locked.uart.half_empty() {
            locked.starved = false;
            self.backend.resume();
        }
        result
    }

    /// The receive time-out: four character times without activity.
    fn restart_timeout(&self, uart: &Uart) {
        if uart.awaits_timeout() {
            self.timer.arm(self.clock.now().saturating_add(4 * uart.character_time()));
        } else {
            self.timer.disarm();
        }
    }

    fn replace(&self, uart: Uart) {
        self.with(|old| *old = uart);
        let mut locked = self.locked.lock();
        self.restart_timeout(&locked.uart);
        locked.starved = false;
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
pub struct Ns16550a {
    port: Arc<Port>,
}

impl Ns16550a {
    /// A UART whose line ends in `backend`, which it attaches itself to.
    pub fn new(clock: Arc<dyn Clock>, irq: IrqLine, backend: Arc<dyn CharBackend>) -> Self {
        let port = Arc::new_cyclic(|port: &Weak<Port>| {
            let port = port.clone();
            let timer = clock.timer(Box::new(move || {
                if let Some(port) = port.upgrade() {
                    port.with(Uart::time_out);
                }
            }));
            let locked = Mutex::new(Locked { uart: Uart::default(), starved: false });
            Port { irq, backend, clock, timer, locked }
        });
        port.backend.attach(Arc::new(Input(Arc::downgrade(&port))));
        Self { port }
    }
}

impl Device for Ns16550a {
    fn name(&self) -> &'static str {
        "serial-mm"
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

//! What lies between the registers of a UART and the wires around the chip: its line, which ends in a back end, its interrupt, and
//! the time-out of what was received.

use crate::host::chardev::{CharBackend, CharEvent, CharSink};
use base::{Clock, IrqLine, Ns, State, StateError, Timer};
use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

/// The registers and FIFOs of a UART.
pub trait Uart: Default + Serialize + DeserializeOwned + Send + 'static {
    /// Version of what is saved.
    const VERSION: u32;
    /// Refuses a loaded state that the chip can not be in.
    fn check(&self) -> Result<(), StateError>;
    /// How many received characters there is room for, in the FIFO or without it.
    fn capacity(&self) -> usize;
    /// How many received characters wait.
    fn received(&self) -> usize;
    /// Whether what is sent is received, and the line cut.
    fn looped(&self) -> bool;
    /// Characters that wait to be sent.
    fn tx(&mut self) -> &mut VecDeque<u8>;
    /// Receives a character, or loses it if there is no room.
    fn push(&mut self, byte: u8);
    /// Receives a break.
    fn push_break(&mut self);
    /// All that waited was sent.
    fn sent(&mut self);
    /// Level of the interrupt line.
    fn interrupts(&self) -> bool;
    /// Changes when the receive time-out has to start again.
    fn receive_activity(&self) -> (usize, u8) {
        (0, 0)
    }
    /// How long the receive time-out takes, if it runs.
    fn timeout(&self) -> Option<Ns> {
        None
    }
    /// It has passed.
    fn time_out(&mut self) {}

    /// Characters that can arrive from outside.
    fn room(&self) -> usize {
        if self.looped() { 0 } else { self.capacity().saturating_sub(self.received()) }
    }

    /// Whether at least half of the receive FIFO is free.
    fn half_empty(&self) -> bool {
        self.received() <= self.capacity() / 2
    }

    /// Characters arrive; in loopback the line in is cut.
    fn receive(&mut self, bytes: &[u8]) {
        if !self.looped() {
            bytes.iter().for_each(|&byte| self.push(byte));
        }
    }

    /// A break arrives; in loopback the line in is cut.
    fn receive_break(&mut self) {
        if !self.looped() {
            self.push_break();
        }
    }

    /// Sends what waits, as far as `line` takes it; in loopback to the receiver.
    fn transmit(&mut self, line: impl Fn(&[u8]) -> usize) {
        if self.tx().is_empty() {
            return;
        }
        if self.looped() {
            while let Some(byte) = self.tx().pop_front() {
                self.push(byte);
            }
        } else {
            let bytes = self.tx().make_contiguous();
            let taken = line(bytes).min(bytes.len());
            self.tx().drain(..taken);
        }
        if self.tx().is_empty() {
            self.sent();
        }
    }
}

struct Locked<U> {
    uart: U,
    /// The back end was told that there is no room.
    starved: bool,
}

struct Timeout {
    clock: Arc<dyn Clock>,
    timer: Box<dyn Timer>,
}

/// What the back end and the timer reach, locked apart from the device on the bus.
struct Inside<U> {
    irq: IrqLine,
    backend: Arc<dyn CharBackend>,
    timeout: Option<Timeout>,
    locked: Mutex<Locked<U>>,
}

impl<U: Uart> Inside<U> {
    fn with<R>(&self, act: impl FnOnce(&mut U) -> R) -> R {
        let mut locked = self.locked.lock();
        let before = locked.uart.receive_activity();
        let result = act(&mut locked.uart);
        locked.uart.transmit(|bytes| self.backend.write(bytes));
        if locked.uart.receive_activity() != before {
            self.restart_timeout(&locked.uart);
        }
        self.irq.set(locked.uart.interrupts());
        // Half empty, so that a long input does not wake the back end for every byte.
        if locked.starved && locked.uart.room() > 0 && locked.uart.half_empty() {
            self.resume(&mut locked);
        }
        result
    }

    fn restart_timeout(&self, uart: &U) {
        let Some(Timeout { clock, timer }) = &self.timeout else { return };
        match uart.timeout() {
            Some(time) => timer.arm(clock.now().saturating_add(time)),
            None => timer.disarm(),
        }
    }

    fn resume(&self, locked: &mut MutexGuard<'_, Locked<U>>) {
        locked.starved = false;
        self.backend.resume();
    }
}

/// The end of the line that the back end holds, weakly: the UART owns the back end.
struct Input<U>(Weak<Inside<U>>);

impl<U: Uart> CharSink for Input<U> {
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
            CharEvent::Break => port.with(U::receive_break),
            // `with` tries what waits in the transmit FIFO.
            CharEvent::Opened | CharEvent::Writable => port.with(|_| ()),
            CharEvent::Closed | CharEvent::Focus(_) => {}
        }
    }
}

/// A UART between its back end and its wires.
pub struct SerialPort<U>(Arc<Inside<U>>);

impl<U: Uart> SerialPort<U> {
    /// A UART whose line ends in `backend`, which it attaches itself to; its receive time-out is measured by `clock`, if it has one.
    pub fn new(irq: IrqLine, backend: Arc<dyn CharBackend>, clock: Option<Arc<dyn Clock>>) -> Self {
        let inside = Arc::new_cyclic(|inside: &Weak<Inside<U>>| {
            let timeout = clock.map(|clock| {
                let inside = inside.clone();
                let timer = clock.timer(Box::new(move || {
                    if let Some(inside) = inside.upgrade() {
                        inside.with(U::time_out);
                    }
                }));
                Timeout { clock, timer }
            });
            let locked = Mutex::new(Locked { uart: U::default(), starved: false });
            Inside { irq, backend, timeout, locked }
        });
        inside.backend.attach(Arc::new(Input(Arc::downgrade(&inside))));
        Self(inside)
    }

    /// Runs `act` on the registers and carries its consequences to the wires around the chip.
    pub fn with<R>(&self, act: impl FnOnce(&mut U) -> R) -> R {
        self.0.with(act)
    }

    /// Puts `uart` in place of what is there.
    pub fn replace(&self, uart: U) {
        self.0.with(|old| *old = uart);
        let mut locked = self.0.locked.lock();
        self.0.restart_timeout(&locked.uart);
        self.0.resume(&mut locked);
    }

    /// The state of the registers.
    pub fn save(&self) -> State {
        State::of(U::VERSION, &self.0.locked.lock().uart)
    }

    /// Takes the state of the registers over.
    pub fn load(&self, state: &State) -> Result<(), StateError> {
        let uart: U = state.get(U::VERSION)?;
        uart.check()?;
        self.replace(uart);
        Ok(())
    }
}

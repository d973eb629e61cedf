//! The registers of the 16550A and what they do to each other, apart from wires, timers and back ends.

use super::CLOCK_HZ;
use crate::chips::guest_error;
use crate::chips::registers::registers;
use crate::chips::serial_port::Uart;
use base::{Ns, StateError};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

registers! {
    /// The register file while `LCR.DLAB` is 0.
    pub enum Register {
        /// Receiver buffer.
        0 RBR R = 0;
        /// Transmitter holding.
        0 THR W;
        /// Interrupt enable.
        1 IER RW = 0;
        /// Interrupt identification.
        2 IIR R = 0x01;
        /// FIFO control.
        2 FCR W;
        /// Line control.
        3 LCR RW = 0;
        /// Modem control.
        4 MCR RW = 0;
        /// Line status.
        5 LSR R = 0x60;
        /// Modem status.
        6 MSR R = 0xb0;
        /// Scratch.
        7 SCR RW = 0;
    }
}

registers! {
    /// What replaces the first two offsets while `LCR.DLAB` is 1.
    pub enum DivisorRegister {
        /// Divisor latch, low byte.
        0 DLL RW = 0x0c;
        /// Divisor latch, high byte.
        1 DLM RW = 0;
    }
}

/// Interrupt enable register.
mod ier {
    pub const RDA: u8 = 1 << 0;
    pub const THRE: u8 = 1 << 1;
    pub const RLS: u8 = 1 << 2;
    pub const MODEM: u8 = 1 << 3;
    pub const ALL: u8 = 0x0f;
}

/// Interrupt identification register.
mod iir {
    pub const NONE: u8 = 0x01;
    pub const MODEM: u8 = 0x00;
    pub const THRE: u8 = 0x02;
    pub const RDA: u8 = 0x04;
    pub const RLS: u8 = 0x06;
    pub const TIMEOUT: u8 = 0x0c;
    pub const FIFOS: u8 = 0xc0;
}

/// FIFO control register.
mod fcr {
    pub const ENABLE: u8 = 1 << 0;
    pub const CLEAR_RX: u8 = 1 << 1;
    pub const CLEAR_TX: u8 = 1 << 2;
    /// Enable, DMA mode, trigger level: what stays.
    pub const KEPT: u8 = 0xc9;
}

/// Line control register.
mod lcr {
    pub const STOP: u8 = 1 << 2;
    pub const PARITY: u8 = 1 << 3;
    pub const DLAB: u8 = 1 << 7;
}

/// Modem control register.
mod mcr {
    pub const DTR: u8 = 1 << 0;
    pub const RTS: u8 = 1 << 1;
    pub const OUT1: u8 = 1 << 2;
    pub const OUT2: u8 = 1 << 3;
    pub const LOOP: u8 = 1 << 4;
    pub const ALL: u8 = 0x1f;
}

/// Line status register.
mod lsr {
    pub const DR: u8 = 1 << 0;
    pub const OE: u8 = 1 << 1;
    pub const PE: u8 = 1 << 2;
    pub const FE: u8 = 1 << 3;
    pub const BI: u8 = 1 << 4;
    pub const THRE: u8 = 1 << 5;
    pub const TEMT: u8 = 1 << 6;
    pub const FIFO_ERROR: u8 = 1 << 7;
    pub const ERRORS: u8 = OE | PE | FE | BI;
}

/// Modem status register; the low half tells which line of the high half changed.
mod msr {
    pub const TERI: u8 = 1 << 2;
    pub const CTS: u8 = 1 << 4;
    pub const DSR: u8 = 1 << 5;
    pub const RI: u8 = 1 << 6;
    pub const DCD: u8 = 1 << 7;
}

const FIFO_SIZE: usize = 16;

/// A received character and its `LSR` error bits.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Received {
    byte: u8,
    errors: u8,
}

/// The chip: its registers and FIFOs.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Registers {
    divisor: u16,
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    scr: u8,
    /// Low half of MSR.
    modem_changes: u8,
    rx: VecDeque<Received>,
    tx: VecDeque<u8>,
    overrun: bool,
    /// The transmitter-empty interrupt, until IIR is read or THR written.
    thre_pending: bool,
    /// The receive time-out interrupt, until RBR is read.
    timed_out: bool,
}

impl Default for Registers {
    fn default() -> Self {
        Self {
            divisor: 0x0c,
            ier: 0,
            fcr: 0,
            lcr: 0,
            mcr: 0,
            scr: 0,
            modem_changes: 0,
            rx: VecDeque::new(),
            tx: VecDeque::new(),
            overrun: false,
            thre_pending: false,
            timed_out: false,
        }
    }
}

impl Uart for Registers {
    const VERSION: u32 = 1;

    fn check(&self) -> Result<(), StateError> {
        let fits = self.rx.len() <= FIFO_SIZE && self.tx.len() <= FIFO_SIZE;
        if fits { Ok(()) } else { Err(StateError::Value("more characters than the FIFO holds")) }
    }

    fn capacity(&self) -> usize {
        if self.fifos() { FIFO_SIZE } else { 1 }
    }

    fn received(&self) -> usize {
        self.rx.len()
    }

    fn looped(&self) -> bool {
        self.mcr & mcr::LOOP != 0
    }

    fn tx(&mut self) -> &mut VecDeque<u8> {
        &mut self.tx
    }

    fn push(&mut self, byte: u8) {
        self.push_received(Received { byte, errors: 0 });
    }

    fn push_break(&mut self) {
        self.push_received(Received { byte: 0, errors: lsr::BI });
    }

    fn sent(&mut self) {
        self.thre_pending = true;
    }

    fn interrupts(&self) -> bool {
        self.interrupt().is_some()
    }

    fn receive_activity(&self) -> (usize, u8) {
        (self.rx.len(), self.fcr)
    }

    /// Four characters' time.
    fn timeout(&self) -> Option<Ns> {
        self.awaits_timeout().then(|| 4 * self.character_time())
    }

    fn time_out(&mut self) {
        self.timed_out |= self.awaits_timeout();
    }
}

impl Registers {
    fn push_received(&mut self, received: Received) {
        if self.rx.len() >= self.capacity() {
            self.overrun = true;
            // The holding register is overwritten; a full FIFO loses the new character.
            if !self.fifos() {
                self.rx.clear();
                self.rx.push_back(received);
            }
        } else {
            self.rx.push_back(received);
        }
    }

    fn fifos(&self) -> bool {
        self.fcr & fcr::ENABLE != 0
    }

    /// How many received characters raise the interrupt.
    fn trigger(&self) -> usize {
        if self.fifos() { [1, 4, 8, 14][usize::from(self.fcr >> 6)] } else { 1 }
    }

    /// The duration of one character on the line.
    fn character_time(&self) -> Ns {
        let flag = |bit| u64::from(self.lcr & bit != 0);
        let bits = 1 + 5 + u64::from(self.lcr & 3) + flag(lcr::PARITY) + 1 + flag(lcr::STOP);
        bits * u64::from(self.divisor.max(1)) * 16 * 1_000_000_000 / CLOCK_HZ
    }

    /// Whether the time-out runs: characters wait, too few for the other interrupt.
    fn awaits_timeout(&self) -> bool {
        self.fifos() && !self.timed_out && !self.rx.is_empty() && self.rx.len() < self.trigger()
    }

    fn lsr(&self) -> u8 {
        let mut value = self.rx.front().map_or(0, |head| lsr::DR | head.errors);
        if self.overrun {
            value |= lsr::OE;
        }
        if self.tx.is_empty() {
            value |= lsr::THRE | lsr::TEMT;
        }
        if self.fifos() && self.rx.iter().any(|received| received.errors != 0) {
            value |= lsr::FIFO_ERROR;
        }
        value
    }

    /// The modem lines that come in: a cable with everything asserted, or our own outputs in loopback.
    fn modem_lines(&self) -> u8 {
        if !self.looped() {
            return msr::DCD | msr::DSR | msr::CTS;
        }
        let wires = [(mcr::RTS, msr::CTS), (mcr::DTR, msr::DSR), (mcr::OUT1, msr::RI), (mcr::OUT2, msr::DCD)];
        wires.iter().filter(|(out, _)| self.mcr & out != 0).map(|(_, line)| line).sum()
    }

    /// The most urgent interrupt, as IIR shows it.
    fn interrupt(&self) -> Option<u8> {
        let enabled = |bit| self.ier & bit != 0;
        if enabled(ier::RLS) && self.lsr() & lsr::ERRORS != 0 {
            Some(iir::RLS)
        } else if enabled(ier::RDA) && self.timed_out {
            Some(iir::TIMEOUT)
        } else if enabled(ier::RDA) && self.rx.len() >= self.trigger() {
            Some(iir::RDA)
        } else if enabled(ier::THRE) && self.thre_pending {
            Some(iir::THRE)
        } else if enabled(ier::MODEM) && self.modem_changes != 0 {
            Some(iir::MODEM)
        } else {
            None
        }
    }

    fn dlab(&self) -> bool {
        self.lcr & lcr::DLAB != 0
    }

    pub fn read(&mut self, offset: u64) -> u8 {
        if self.dlab()
            && let Some(register) = DivisorRegister::read_at(offset)
        {
            let [low, high] = self.divisor.to_le_bytes();
            return match register {
                DivisorRegister::DLL => low,
                DivisorRegister::DLM => high,
            };
        }
        match Register::read_at(offset) {
            Some(Register::RBR) => {
                self.timed_out = false;
                self.rx.pop_front().map_or(0, |received| received.byte)
            }
            Some(Register::IER) => self.ier,
            Some(Register::IIR) => {
                let cause = self.interrupt();
                if cause == Some(iir::THRE) {
                    self.thre_pending = false;
                }
                cause.unwrap_or(iir::NONE) | if self.fifos() { iir::FIFOS } else { 0 }
            }
            Some(Register::LCR) => self.lcr,
            Some(Register::MCR) => self.mcr,
            Some(Register::LSR) => {
                let value = self.lsr();
                self.overrun = false;
                if let Some(head) = self.rx.front_mut() {
                    head.errors = 0;
                }
                value
            }
            Some(Register::MSR) => self.modem_lines() | std::mem::take(&mut self.modem_changes),
            Some(Register::SCR) => self.scr,
            Some(Register::THR | Register::FCR) | None => {
                guest_error("serial-mm", format_args!("read at {offset:#x}, where nothing is"));
                0
            }
        }
    }

    pub fn write(&mut self, offset: u64, value: u8) {
        if self.dlab()
            && let Some(register) = DivisorRegister::write_at(offset)
        {
            let [low, high] = self.divisor.to_le_bytes();
            self.divisor = u16::from_le_bytes(match register {
                DivisorRegister::DLL => [value, high],
                DivisorRegister::DLM => [low, value],
            });
            return;
        }
        match Register::write_at(offset) {
            Some(Register::THR) => {
                self.thre_pending = false;
                if self.tx.len() < self.capacity() {
                    self.tx.push_back(value);
                }
            }
            Some(Register::IER) => {
                // Enabling the interrupt while the transmitter is empty raises it.
                let enabled = value & !self.ier;
                self.thre_pending |= enabled & ier::THRE != 0 && self.tx.is_empty();
                self.ier = value & ier::ALL;
            }
            Some(Register::FCR) => self.write_fcr(value),
            Some(Register::LCR) => self.lcr = value,
            Some(Register::MCR) => {
                let old = self.modem_lines();
                self.mcr = value & mcr::ALL;
                let new = self.modem_lines();
                self.modem_changes |= (old ^ new) >> 4 & !msr::TERI;
                if old & !new & msr::RI != 0 {
                    self.modem_changes |= msr::TERI;
                }
            }
            Some(Register::SCR) => self.scr = value,
            Some(Register::RBR | Register::IIR | Register::LSR | Register::MSR) | None => {
                guest_error(
                    "serial-mm",
                    format_args!("write of {value:#x} at {offset:#x}, which is not writable"),
                );
            }
        }
    }

    fn write_fcr(&mut self, value: u8) {
        let switched = (value ^ self.fcr) & fcr::ENABLE != 0;
        // The other bits count only while the FIFOs are enabled.
        let value = if value & fcr::ENABLE != 0 { value } else { 0 };
        self.fcr = value & fcr::KEPT;
        if switched || value & fcr::CLEAR_RX != 0 {
            self.rx.clear();
            self.timed_out = false;
        }
        if switched || value & fcr::CLEAR_TX != 0 {
            self.tx.clear();
            self.thre_pending = true;
        }
    }
}

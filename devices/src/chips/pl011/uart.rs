//! The registers of the PL011 and what they do to each other, apart from wires and back ends.

use crate::chips::guest_error;
use crate::chips::primecell::identification;
use crate::chips::registers::registers;
use crate::chips::serial_port::Uart;
use base::StateError;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

registers! {
    /// The register file. Offsets from 0xfe0 on are identification.
    pub enum Register {
        /// Data.
        0x000 UARTDR RW = 0;
        /// Receive status; any write clears the errors.
        0x004 UARTRSR RW = 0;
        /// Flags.
        0x018 UARTFR R = 0x90;
        /// IrDA divisor.
        0x020 UARTILPR RW = 0;
        /// Integer part of the divisor.
        0x024 UARTIBRD RW = 0;
        /// Fractional part of the divisor.
        0x028 UARTFBRD RW = 0;
        /// Line control.
        0x02c UARTLCR_H RW = 0;
        /// Control.
        0x030 UARTCR RW = 0x300;
        /// Levels at which the FIFOs interrupt.
        0x034 UARTIFLS RW = 0x12;
        /// Interrupts let out.
        0x038 UARTIMSC RW = 0;
        /// Interrupts that are there.
        0x03c UARTRIS R = 0;
        /// Interrupts that are there and let out.
        0x040 UARTMIS R = 0;
        /// Clears interrupts.
        0x044 UARTICR W;
        /// DMA control.
        0x048 UARTDMACR RW = 0;
    }
}

/// PeriphID0 to PeriphID3.
const PERIPHERAL: [u8; 4] = [0x11, 0x10, 0x14, 0x00];

/// UARTDR and UARTRSR: errors of a character, here in the low bits.
mod error {
    pub const BREAK: u8 = 1 << 2;
    pub const OVERRUN: u8 = 1 << 3;
}

/// UARTFR.
mod fr {
    pub const CTS: u32 = 1 << 0;
    pub const DSR: u32 = 1 << 1;
    pub const DCD: u32 = 1 << 2;
    pub const RXFE: u32 = 1 << 4;
    pub const TXFF: u32 = 1 << 5;
    pub const RXFF: u32 = 1 << 6;
    pub const TXFE: u32 = 1 << 7;
    pub const RI: u32 = 1 << 8;
    pub const BUSY: u32 = 1 << 3;
}

/// UARTLCR_H.
const FIFOS: u32 = 1 << 4;

/// UARTCR.
mod cr {
    pub const LOOPBACK: u32 = 1 << 7;
    pub const DTR: u32 = 1 << 10;
    pub const RTS: u32 = 1 << 11;
    pub const OUT1: u32 = 1 << 12;
    pub const OUT2: u32 = 1 << 13;
    pub const ALL: u32 = 0xff87;
}

/// UARTIMSC, UARTRIS, UARTMIS, UARTICR.
mod interrupt {
    pub const RX: u32 = 1 << 4;
    pub const TX: u32 = 1 << 5;
    pub const RX_TIMEOUT: u32 = 1 << 6;
    pub const BREAK: u32 = 1 << 9;
    pub const OVERRUN: u32 = 1 << 10;
    pub const ALL: u32 = 0x7ff;
}

const FIFO_SIZE: usize = 16;

/// A received character and its error bits.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Received {
    byte: u8,
    errors: u8,
}

/// The chip: its registers and FIFOs.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Registers {
    ilpr: u32,
    ibrd: u32,
    fbrd: u32,
    lcr: u32,
    cr: u32,
    ifls: u32,
    imsc: u32,
    dmacr: u32,
    /// Errors of the last character that was read.
    rsr: u8,
    /// Interrupts that stay until they are cleared: transmit, break, overrun.
    latched: u32,
    rx: VecDeque<Received>,
    tx: VecDeque<u8>,
}

impl Default for Registers {
    fn default() -> Self {
        Self {
            ilpr: 0,
            ibrd: 0,
            fbrd: 0,
            lcr: 0,
            cr: 0x300,
            ifls: 0x12,
            imsc: 0,
            dmacr: 0,
            rsr: 0,
            latched: 0,
            rx: VecDeque::new(),
            tx: VecDeque::new(),
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
        if self.lcr & FIFOS != 0 { FIFO_SIZE } else { 1 }
    }

    fn received(&self) -> usize {
        self.rx.len()
    }

    fn looped(&self) -> bool {
        self.cr & cr::LOOPBACK != 0
    }

    fn tx(&mut self) -> &mut VecDeque<u8> {
        &mut self.tx
    }

    fn push(&mut self, byte: u8) {
        self.push_received(Received { byte, errors: 0 });
    }

    fn push_break(&mut self) {
        self.push_received(Received { byte: 0, errors: error::BREAK });
        self.latched |= interrupt::BREAK;
    }

    fn sent(&mut self) {
        self.latched |= interrupt::TX;
    }

    fn interrupts(&self) -> bool {
        self.raw() & self.imsc != 0
    }
}

impl Registers {
    fn push_received(&mut self, received: Received) {
        if self.rx.len() >= self.capacity() {
            self.rsr |= error::OVERRUN;
            self.latched |= interrupt::OVERRUN;
        } else {
            self.rx.push_back(received);
        }
    }

    /// How many received characters raise the interrupt.
    fn trigger(&self) -> usize {
        let eighths = [1, 2, 4, 6, 7];
        let of_fifo =
            eighths.get((self.ifls >> 3 & 7) as usize).map_or(14, |eighths| eighths * FIFO_SIZE / 8);
        of_fifo.min(self.capacity())
    }

    fn flags(&self) -> u32 {
        let mut flags = 0;
        let mut set = |when, flag| flags |= if when { flag } else { 0 };
        set(self.rx.is_empty(), fr::RXFE);
        set(self.rx.len() >= self.capacity(), fr::RXFF);
        set(self.tx.is_empty(), fr::TXFE);
        set(!self.tx.is_empty(), fr::BUSY);
        set(self.tx.len() >= self.capacity(), fr::TXFF);
        if self.looped() {
            let wires = [(cr::RTS, fr::CTS), (cr::DTR, fr::DSR), (cr::OUT1, fr::DCD), (cr::OUT2, fr::RI)];
            wires.into_iter().for_each(|(out, flag)| set(self.cr & out != 0, flag));
        }
        flags
    }

    /// UARTRIS.
    fn raw(&self) -> u32 {
        let mut raw = self.latched;
        if self.rx.len() >= self.trigger() {
            raw |= interrupt::RX;
        }
        if !self.rx.is_empty() {
            raw |= interrupt::RX_TIMEOUT;
        }
        raw
    }

    pub fn read(&mut self, offset: u64) -> u32 {
        if let Some(byte) = identification(PERIPHERAL, offset) {
            return byte.into();
        }
        match Register::read_at(offset) {
            Some(Register::UARTDR) => match self.rx.pop_front() {
                Some(Received { byte, errors }) => {
                    let overrun = self.rsr & error::OVERRUN;
                    self.rsr = errors | overrun;
                    u32::from(byte) | u32::from(self.rsr) << 8
                }
                None => 0,
            },
            Some(Register::UARTRSR) => self.rsr.into(),
            Some(Register::UARTFR) => self.flags(),
            Some(Register::UARTILPR) => self.ilpr,
            Some(Register::UARTIBRD) => self.ibrd,
            Some(Register::UARTFBRD) => self.fbrd,
            Some(Register::UARTLCR_H) => self.lcr,
            Some(Register::UARTCR) => self.cr,
            Some(Register::UARTIFLS) => self.ifls,
            Some(Register::UARTIMSC) => self.imsc,
            Some(Register::UARTRIS) => self.raw(),
            Some(Register::UARTMIS) => self.raw() & self.imsc,
            Some(Register::UARTDMACR) => self.dmacr,
            Some(Register::UARTICR) | None => {
                guest_error("pl011", format_args!("read at {offset:#x}, where nothing is"));
                0
            }
        }
    }

    pub fn write(&mut self, offset: u64, value: u32) {
        match Register::write_at(offset) {
            Some(Register::UARTDR) => {
                if self.tx.len() < self.capacity() {
                    self.tx.push_back(value as u8);
                    self.latched &= !interrupt::TX;
                }
            }
            Some(Register::UARTRSR) => self.rsr = 0,
            Some(Register::UARTILPR) => self.ilpr = value & 0xff,
            Some(Register::UARTIBRD) => self.ibrd = value & 0xffff,
            Some(Register::UARTFBRD) => self.fbrd = value & 0x3f,
            Some(Register::UARTLCR_H) => {
                if (self.lcr ^ value) & FIFOS != 0 {
                    self.rx.clear();
                    self.tx.clear();
                }
                self.lcr = value & 0xff;
            }
            Some(Register::UARTCR) => self.cr = value & cr::ALL,
            Some(Register::UARTIFLS) => self.ifls = value & 0x3f,
            Some(Register::UARTIMSC) => self.imsc = value & interrupt::ALL,
            Some(Register::UARTICR) => self.latched &= !value,
            Some(Register::UARTDMACR) => self.dmacr = value & 7,
            Some(Register::UARTFR | Register::UARTRIS | Register::UARTMIS) | None => {
                guest_error(
                    "pl011",
                    format_args!("write of {value:#x} at {offset:#x}, which is not writable"),
                );
            }
        }
    }
}

//! NOR flash with the Intel/Sharp extended command set: two 16-bit chips side by side on a 32-bit bus.
//!
//! From JEDEC JESD68.01 (Common Flash Interface), the CFI query tables of Intel's AP-646, and the Intel StrataFlash
//! P30 data sheet for commands. Operations finish at once; suspend, protection registers and lock-down are left out.

mod cfi;

use super::{guest_error, unimplemented};
use base::{Device, Mmio, RomRegion, State, StateError, Width, Widths};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

/// Bytes the bus reaches at once: the two chips.
const BANK_WIDTH: u64 = 4;
/// Bytes one buffered program writes at most, on both chips together.
const BUFFER_SIZE: usize = 2 << cfi::BUFFER_LOG2;
const VERSION: u32 = 1;

/// Commands, in the low byte of the data written.
mod command {
    pub const LOCK: u8 = 0x01;
    pub const PROGRAM_ALTERNATE: u8 = 0x10;
    pub const ERASE: u8 = 0x20;
    pub const PROGRAM: u8 = 0x40;
    pub const CLEAR_STATUS: u8 = 0x50;
    pub const LOCK_SETUP: u8 = 0x60;
    pub const READ_STATUS: u8 = 0x70;
    pub const READ_ID: u8 = 0x90;
    pub const READ_CFI: u8 = 0x98;
    pub const CONFIRM: u8 = 0xd0;
    pub const BUFFERED_PROGRAM: u8 = 0xe8;
    pub const READ_ARRAY: u8 = 0xff;
    /// Read array in the AMD command set, which probes try.
    pub const RESET: u8 = 0xf0;
}

/// Status register of each chip.
mod status {
    pub const READY: u16 = 1 << 7;
    pub const ERASE_ERROR: u16 = 1 << 5;
    pub const PROGRAM_ERROR: u16 = 1 << 4;
    pub const LOCKED: u16 = 1 << 1;
    /// Both errors at once: a wrong sequence of commands.
    pub const SEQUENCE_ERROR: u16 = ERASE_ERROR | PROGRAM_ERROR;
}

/// Where the array's contents are kept beyond the run: a disk image.
pub trait FlashStore: Send {
    /// Stores `bytes` at `offset` from the start of the flash.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

/// What programming and erasing does.
pub enum Backing {
    /// The chip refuses.
    ReadOnly,
    /// It changes the array, for this run.
    Volatile,
    /// It changes the array and the store.
    Store(Box<dyn FlashStore>),
}

/// What reads return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ReadMode {
    Array,
    Status,
    Id,
    Cfi,
}

/// What the next write means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Expect {
    Command,
    ProgramData,
    EraseConfirm,
    LockConfirm,
    BufferCount,
    /// `left` more words; `base` is where the buffer goes, known from the first of them.
    BufferData {
        left: u32,
        base: Option<u64>,
    },
    BufferConfirm {
        base: u64,
    },
}

#[derive(Clone, Serialize, Deserialize)]
struct Registers {
    mode: ReadMode,
    expect: Expect,
    status: u16,
    /// Lock bit of each sector.
    locked: Vec<bool>,
    buffer: Vec<u8>,
}

impl Registers {
    fn new(sectors: u64) -> Self {
        Self {
            mode: ReadMode::Array,
            expect: Expect::Command,
            status: status::READY,
            locked: vec![false; sectors as usize],
            buffer: vec![0xff; BUFFER_SIZE],
        }
    }
}

/// Saved state: the registers, and the sectors that differ from the image the machine started with, in hexadecimal.
#[derive(Serialize, Deserialize)]
struct Saved {
    registers: Registers,
    sectors: BTreeMap<u64, String>,
}

/// The flash.
pub struct PflashCfi01 {
    array: RomRegion,
    sector_size: u64,
    backing: Backing,
    remap: Box<dyn Fn() + Send + Sync>,
    registers: Registers,
    /// The first contents of each sector that was changed.
    originals: BTreeMap<u64, Vec<u8>>,
}

impl PflashCfi01 {
    /// A flash that consists of `array`, erased `sector_size` bytes at a time (on both chips together). `remap` is
    /// called, with the device locked, whenever reads start or cease to go to the array directly, or it changed.
    ///
    /// # Panics
    /// When the array is not a power of two of at least one sector, or a sector is not a power of two from 4 KiB to
    /// 32 MiB: the sizes are a board's.
    pub fn new(
        array: RomRegion,
        sector_size: u64,
        backing: Backing,
        remap: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let sector_fits = sector_size.is_power_of_two() && (0x1000..=0x200_0000).contains(&sector_size);
        assert!(sector_fits && array.len().is_power_of_two() && array.len() >= sector_size, "flash geometry");
        array.set_direct(true);
        let registers = Registers::new(array.len() / sector_size);
        Self { array, sector_size, backing, remap: Box::new(remap), registers, originals: BTreeMap::new() }
    }

    fn fail(&mut self, bits: u16) {
        self.registers.status |= bits;
        self.registers.expect = Expect::Command;
    }

    fn sector(&self, offset: u64) -> u64 {
        offset / self.sector_size
    }

    fn read_sector(&self, sector: u64) -> Vec<u8> {
        let mut bytes = vec![0; self.sector_size as usize];
        self.array.read(sector * self.sector_size, &mut bytes);
        bytes
    }

    /// Changes the array and the store behind it, remembering what was there at first.
    fn store(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let sector = self.sector(offset);
        if !self.originals.contains_key(&sector) {
            self.originals.insert(sector, self.read_sector(sector));
        }
        self.array.fill(offset, bytes);
        match &mut self.backing {
            Backing::Store(store) => store.write(offset, bytes),
            Backing::Volatile | Backing::ReadOnly => Ok(()),
        }
    }

    /// Changes the array if that is allowed; otherwise sets `error` in the status.
    fn modify(&mut self, offset: u64, bytes: &[u8], error: u16) {
        let sector = self.sector(offset);
        let Some(&locked) = self.registers.locked.get(sector as usize) else {
            return self.fail(error);
        };
        if locked {
            return self.fail(error | status::LOCKED);
        }
        if matches!(self.backing, Backing::ReadOnly) {
            return self.fail(error);
        }
        if let Err(reason) = self.store(offset, bytes) {
            tracing::error!("{}: cannot store what the guest wrote at {offset:#x}: {reason}", self.name());
            self.fail(error);
        }
    }

    /// Programming only ever clears bits. `offset` is below the size of the array.
    fn program(&mut self, offset: u64, bytes: &[u8]) {
        let end = (self.sector(offset) + 1) * self.sector_size;
        let bytes = &bytes[..bytes.len().min((end - offset) as usize)];
        let mut merged = vec![0; bytes.len()];
        self.array.read(offset, &mut merged);
        merged.iter_mut().zip(bytes).for_each(|(old, new)| *old &= new);
        self.modify(offset, &merged, status::PROGRAM_ERROR);
    }

    fn erase(&mut self, offset: u64) {
        let start = self.sector(offset) * self.sector_size;
        self.modify(start, &vec![0xff; self.sector_size as usize], status::ERASE_ERROR);
    }

    /// First write of a command.
    fn command(&mut self, value: u8) {
        let (mode, expect) = match value {
            command::READ_ARRAY | command::RESET | 0 => (ReadMode::Array, Expect::Command),
            command::READ_STATUS => (ReadMode::Status, Expect::Command),
            command::READ_ID => (ReadMode::Id, Expect::Command),
            command::READ_CFI => (ReadMode::Cfi, Expect::Command),
            command::CLEAR_STATUS => {
                self.registers.status = status::READY;
                (ReadMode::Array, Expect::Command)
            }
            command::PROGRAM | command::PROGRAM_ALTERNATE => (ReadMode::Status, Expect::ProgramData),
            command::ERASE => (ReadMode::Status, Expect::EraseConfirm),
            command::LOCK_SETUP => (ReadMode::Status, Expect::LockConfirm),
            command::BUFFERED_PROGRAM => (ReadMode::Status, Expect::BufferCount),
            _ => {
                unimplemented(self.name(), format_args!("unknown command {value:#x}"));
                (ReadMode::Array, Expect::Command)
            }
        };
        self.registers.mode = mode;
        self.registers.expect = expect;
    }

    /// A write that belongs to the command before it.
    fn follow_up(&mut self, offset: u64, width: Width, value: u64) {
        let code = value as u8;
        let bytes = &value.to_le_bytes()[..width.bytes() as usize];
        match std::mem::replace(&mut self.registers.expect, Expect::Command) {
            Expect::Command => self.command(code),
            Expect::ProgramData => self.program(offset, bytes),
            Expect::EraseConfirm if code == command::CONFIRM => self.erase(offset),
            Expect::LockConfirm if code == command::CONFIRM || code == command::LOCK => {
                let sector = self.sector(offset) as usize;
                self.registers.locked[sector] = code == command::LOCK;
            }
            Expect::EraseConfirm | Expect::LockConfirm if code == command::READ_ARRAY => self.command(code),
            Expect::EraseConfirm | Expect::LockConfirm => self.fail(status::SEQUENCE_ERROR),
            Expect::BufferCount => {
                // Each chip sees its own half of the count, words less one.
                let count = u32::from(value as u16);
                if u64::from(count) >= BUFFER_SIZE as u64 / BANK_WIDTH {
                    return self.fail(status::SEQUENCE_ERROR);
                }
                self.registers.buffer.fill(0xff);
                self.registers.expect = Expect::BufferData { left: count + 1, base: None };
            }
            Expect::BufferData { left, base } => {
                let base = base.unwrap_or(offset & !(BUFFER_SIZE as u64 - 1));
                let at = offset.wrapping_sub(base) as usize;
                let Some(room) =
                    at.checked_add(bytes.len()).and_then(|end| self.registers.buffer.get_mut(at..end))
                else {
                    return self.fail(status::SEQUENCE_ERROR);
                };
                room.copy_from_slice(bytes);
                self.registers.expect = match left {
                    0 | 1 => Expect::BufferConfirm { base },
                    _ => Expect::BufferData { left: left - 1, base: Some(base) },
                };
            }
            Expect::BufferConfirm { base } if code == command::CONFIRM => {
                let buffer = std::mem::take(&mut self.registers.buffer);
                self.program(base, &buffer);
                self.registers.buffer = buffer;
            }
            Expect::BufferConfirm { .. } => self.fail(status::SEQUENCE_ERROR),
        }
    }

    /// What both chips answer at the word that holds `offset`, except in array mode.
    fn answer(&self, offset: u64) -> u16 {
        let index = offset / BANK_WIDTH;
        match self.registers.mode {
            ReadMode::Array | ReadMode::Status => self.registers.status,
            ReadMode::Id => match index & 0xff {
                0 => cfi::MANUFACTURER,
                1 => cfi::DEVICE,
                2 => self.registers.locked.get(self.sector(offset) as usize).copied().unwrap_or(false).into(),
                _ => 0,
            },
            ReadMode::Cfi => cfi::query(index, self.array.len(), self.sector_size).into(),
        }
    }

    fn set_direct(&self) {
        let direct = self.registers.mode == ReadMode::Array;
        if self.array.direct() != direct {
            self.array.set_direct(direct);
            (self.remap)();
        }
    }
}

impl Device for PflashCfi01 {
    fn name(&self) -> &'static str {
        "cfi.pflash01"
    }

    /// The array keeps its contents.
    fn reset(&mut self) {
        self.registers = Registers::new(self.array.len() / self.sector_size);
        self.set_direct();
    }

    fn save(&self) -> State {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let sectors = self.originals.keys().map(|&sector| (sector, hex(self.read_sector(sector)))).collect();
        State::of(VERSION, &Saved { registers: self.registers.clone(), sectors })
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let Saved { registers, sectors } = state.get(VERSION)?;
        let base_fits = match registers.expect {
            Expect::BufferData { base: Some(base), .. } | Expect::BufferConfirm { base } => {
                base < self.array.len() && base.is_multiple_of(BUFFER_SIZE as u64)
            }
            _ => true,
        };
        let count = self.registers.locked.len();
        if registers.locked.len() != count || registers.buffer.len() != BUFFER_SIZE || !base_fits {
            return Err(StateError::Value("registers of another flash"));
        }
        let mut contents = self.originals.clone();
        for (&sector, text) in &sectors {
            let bytes = unhex(text).filter(|bytes| bytes.len() as u64 == self.sector_size);
            let Some(bytes) = bytes.filter(|_| sector < count as u64) else {
                return Err(StateError::Value("sector of another flash"));
            };
            contents.insert(sector, bytes);
        }
        self.registers = registers;
        for (sector, bytes) in contents {
            if let Err(reason) = self.store(sector * self.sector_size, &bytes) {
                tracing::error!("{}: cannot store loaded sector {sector}: {reason}", self.name());
            }
        }
        self.originals.retain(|sector, _| sectors.contains_key(sector));
        self.array.set_direct(self.registers.mode == ReadMode::Array);
        (self.remap)();
        Ok(())
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

impl Mmio for PflashCfi01 {
    fn widths(&self) -> Widths {
        Widths::UP_TO_WORD
    }

    fn read(&mut self, offset: u64, width: Width) -> u64 {
        if self.registers.mode == ReadMode::Array {
            let mut bytes = [0; 8];
            self.array.read(offset, &mut bytes[..width.bytes() as usize]);
            return u64::from_le_bytes(bytes);
        }
        let answer = u64::from(self.answer(offset)) * 0x0001_0001_0001_0001;
        answer >> (8 * (offset % BANK_WIDTH)) & width.mask()
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        if offset >= self.array.len() {
            return guest_error(self.name(), format_args!("write at {offset:#x}, past the end"));
        }
        self.follow_up(offset, width, value);
        self.set_direct();
    }
}

#[cfg(test)]
mod tests;

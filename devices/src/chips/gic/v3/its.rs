//! The interrupt translation service: turns (device, event) into an LPI of a CPU, by tables in guest memory (IHI 0069 chapters
//! 5.2, 5.3 and 12.19).
//!
//! The forms of table entries are this model's own, as the architecture has it. Commands that make no sense are skipped. Left
//! out: virtual LPIs, and messages written by a CPU, which have no device.

use super::{Core, FIRST_LPI, NUMBER_BITS, REVISION, half, placed, seen, with_half};
use crate::chips::gic::identification;
use crate::chips::guest_error;
use crate::chips::registers::registers;
use base::{Device, Mmio, State, StateError, Width, Widths};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress};

registers! {
    /// The registers of the control frame.
    pub enum Register {
        /// Bit 0 enables translation; bit 31 says that nothing is under way.
        0x0000 GITS_CTLR RW = 0x8000_0000;
        /// Who made it: Arm.
        0x0004 GITS_IIDR R = 0x43b;
        /// What there is, low half.
        0x0008 GITS_TYPER R;
        /// High half.
        0x000c GITS_TYPER_HIGH R;
        /// The ring of commands.
        0x0080 GITS_CBASER RW = 0;
        /// High half.
        0x0084 GITS_CBASER_HIGH RW = 0;
        /// Where software writes the next command.
        0x0088 GITS_CWRITER RW = 0;
        /// High half, which is not used.
        0x008c GITS_CWRITER_HIGH RW = 0;
        /// Where the next command is read.
        0x0090 GITS_CREADR R = 0;
        /// High half, which is not used.
        0x0094 GITS_CREADR_HIGH R = 0;
        /// The table of devices.
        0x0100 GITS_BASER0 RW = 0;
        /// High half.
        0x0104 GITS_BASER0_HIGH RW = 0x0107_0000;
        /// The table of collections.
        0x0108 GITS_BASER1 RW = 0;
        /// High half.
        0x010c GITS_BASER1_HIGH RW = 0x0407_0000;
    }
}

/// Bytes of the control frame and the translation frame behind it.
pub const SIZE: u64 = 0x2_0000;
/// Where a device's message goes, from the start of the service.
pub const TRANSLATER: u64 = 0x1_0040;

const NAME: &str = "arm-gicv3-its";
const VERSION: u32 = 1;
const IDENTIFICATION: std::ops::Range<u64> = 0xffd0..0x1_0000;
const ENABLED: u32 = 1;
const QUIESCENT: u32 = 1 << 31;
const VALID: u64 = 1 << 63;
/// Bytes of an entry of each table.
const ENTRY: u64 = 8;
/// Bits of a device's number, and of a collection's.
const DEVICE_BITS: u64 = 16;
const COLLECTION_BITS: u64 = 16;
const COMMAND: u64 = 32;

/// GITS_BASER.
mod baser {
    pub const INDIRECT: u64 = 1 << 62;
    pub const TYPE_DEVICES: u64 = 1 << 56;
    pub const TYPE_COLLECTIONS: u64 = 4 << 56;
    pub const ENTRY_SIZE: u64 = (super::ENTRY - 1) << 48;
    /// Type and entry size.
    pub const FIXED: u64 = 7 << 56 | 0x1f << 48;
    pub const ADDRESS: u64 = 0xffff_ffff_f000;
    pub const PAGES: u64 = 0xff;
}

/// Bits of the entries.
mod entry {
    /// Of a device: where the table of its events is.
    pub const TABLE: u64 = 0xf_ffff_ffff_ff00;
    /// Of a device: bits of its events' numbers less one.
    pub const EVENT_BITS: u64 = 0x1f;
    /// Of an event: the collection; above it the interrupt. Of a collection: the CPU.
    pub const NUMBER: u64 = 0xffff;
    pub const INTERRUPT_SHIFT: u32 = 16;
}

#[derive(Clone, Serialize, Deserialize)]
struct Registers {
    enabled: bool,
    cbaser: u64,
    cwriter: u64,
    creadr: u64,
    /// Devices, collections.
    tables: [u64; 2],
}

impl Default for Registers {
    fn default() -> Self {
        let tables = [baser::TYPE_DEVICES, baser::TYPE_COLLECTIONS].map(|kind| kind | baser::ENTRY_SIZE);
        Self { enabled: false, cbaser: 0, cwriter: 0, creadr: 0, tables }
    }
}

const DEVICES: usize = 0;
const COLLECTIONS: usize = 1;

/// What a message becomes.
struct Target {
    interrupt: u32,
    cpu: usize,
}

/// What messages reach, locked apart from the device on the bus.
pub struct Translator {
    gic: Arc<Core>,
    registers: Mutex<Registers>,
}

impl Translator {
    /// Device `device` sends `event`.
    pub fn message(&self, device: u32, event: u32) {
        let registers = self.registers.lock();
        match self.target(&registers, device, event) {
            Some(target) if registers.enabled => self.gic.set_lpi(target.cpu, target.interrupt, true),
            _ => guest_error(NAME, format_args!("event {event:#x} of device {device:#x} leads nowhere")),
        }
    }

    fn load(&self, at: u64) -> Option<u64> {
        self.gic.ram.read_obj(GuestAddress(at)).ok().map(u64::from_le)
    }

    fn store(&self, at: u64, value: u64) -> Option<()> {
        self.gic.ram.write_obj(value.to_le(), GuestAddress(at)).ok()
    }

    /// The address of entry `index` of a table.
    fn entry(&self, table: u64, index: u64) -> Option<u64> {
        let page = [0x1000, 0x4000, 0x1_0000, 0x1_0000][(table >> 8 & 3) as usize];
        let (base, size) = (table & baser::ADDRESS & !(page - 1), ((table & baser::PAGES) + 1) * page);
        if table & VALID == 0 {
            return None;
        }
        if table & baser::INDIRECT == 0 {
            return (index * ENTRY < size).then_some(base + index * ENTRY);
        }
        let (first, second) = (index / (page / ENTRY), index % (page / ENTRY));
        let first = (first * ENTRY < size).then_some(base + first * ENTRY)?;
        let page = self.load(first).filter(|entry| entry & VALID != 0)? & baser::ADDRESS & !(page - 1);
        Some(page + second * ENTRY)
    }

    fn valid_entry(&self, table: u64, index: u64) -> Option<u64> {
        self.load(self.entry(table, index)?).filter(|entry| entry & VALID != 0)
    }

    /// Where the entry of an event is.
    fn event(&self, registers: &Registers, device: u32, event: u32) -> Option<u64> {
        let device = self.valid_entry(registers.tables[DEVICES], device.into())?;
        let bits = (device & entry::EVENT_BITS) + 1;
        (u64::from(event) >> bits == 0).then(|| (device & entry::TABLE) + u64::from(event) * ENTRY)
    }

    fn collection(&self, registers: &Registers, number: u64) -> Option<usize> {
        let entry = self.valid_entry(registers.tables[COLLECTIONS], number)?;
        Some((entry & entry::NUMBER) as usize).filter(|cpu| *cpu < self.gic.pins.len())
    }

    fn target(&self, registers: &Registers, device: u32, event: u32) -> Option<Target> {
        let found = self.load(self.event(registers, device, event)?)?;
        if found & VALID == 0 {
            return None;
        }
        let cpu = self.collection(registers, found & entry::NUMBER)?;
        Some(Target { interrupt: (found >> entry::INTERRUPT_SHIFT & 0xffff) as u32, cpu })
    }

    /// Carries out the commands that wait.
    fn run(&self, registers: &mut Registers) {
        let size = ((registers.cbaser & baser::PAGES) + 1) * 0x1000;
        let ring = registers.cbaser & baser::ADDRESS;
        if !registers.enabled || registers.cbaser & VALID == 0 || registers.cwriter >= size {
            return;
        }
        for _ in 0..size / COMMAND {
            if registers.creadr == registers.cwriter {
                return;
            }
            let at = ring + registers.creadr;
            let words: [Option<u64>; 4] = std::array::from_fn(|n| self.load(at + 8 * n as u64));
            let command = words.map(|word| word.unwrap_or(0));
            if self.command(registers, command).is_none() {
                guest_error(NAME, format_args!("command {command:x?} makes no sense"));
            }
            registers.creadr = (registers.creadr + COMMAND) % size;
        }
    }

    /// Carries out one command; `None` if it makes no sense.
    fn command(&self, registers: &Registers, [first, second, third, fourth]: [u64; 4]) -> Option<()> {
        let (device, event) = ((first >> 32) as u32, second as u32);
        let collection = third & entry::NUMBER;
        let cpu = |word: u64| (word >> 16) as usize & 0xffff;
        match first & 0xff {
            // MOVI
            0x01 => {
                let at = self.event(registers, device, event)?;
                let old = self.target(registers, device, event)?;
                let entry = self.load(at)? & !entry::NUMBER | collection;
                let new = self.collection(registers, collection)?;
                self.store(at, entry)?;
                self.gic.move_lpis((old.cpu, new), Some(old.interrupt));
            }
            // INT
            0x03 => {
                let target = self.target(registers, device, event)?;
                self.gic.set_lpi(target.cpu, target.interrupt, true);
            }
            // CLEAR
            0x04 => {
                let target = self.target(registers, device, event)?;
                self.gic.set_lpi(target.cpu, target.interrupt, false);
            }
            // SYNC: nothing is under way.
            0x05 => {}
            // MAPD
            0x08 => {
                let at = self.entry(registers.tables[DEVICES], device.into())?;
                self.store(at, third & (VALID | entry::TABLE) | second & entry::EVENT_BITS)?;
            }
            // MAPC
            0x09 => {
                let at = self.entry(registers.tables[COLLECTIONS], collection)?;
                self.store(at, third & VALID | cpu(third) as u64)?;
            }
            // MAPTI, MAPI
            0x0a | 0x0b => {
                let interrupt = if first & 0xff == 0x0b { event } else { (second >> 32) as u32 };
                if !(FIRST_LPI..1 << NUMBER_BITS).contains(&interrupt) {
                    return None;
                }
                let at = self.event(registers, device, event)?;
                self.store(at, VALID | u64::from(interrupt) << entry::INTERRUPT_SHIFT | collection)?;
            }
            // INV, INVALL: configurations are read where they are, so only the CPUs' lines follow.
            0x0c | 0x0d => self.gic.with(|_| ()),
            // MOVALL
            0x0e => self.gic.move_lpis((cpu(third), cpu(fourth)), None),
            // DISCARD
            0x0f => {
                let at = self.event(registers, device, event)?;
                if let Some(target) = self.target(registers, device, event) {
                    self.gic.set_lpi(target.cpu, target.interrupt, false);
                }
                self.store(at, 0)?;
            }
            _ => return None,
        }
        Some(())
    }
}

/// The service on the bus.
pub struct Its {
    translator: Arc<Translator>,
}

impl Its {
    pub(super) fn new(gic: Arc<Core>) -> Self {
        Self { translator: Arc::new(Translator { gic, registers: Mutex::default() }) }
    }

    /// Where devices' messages go.
    pub fn translator(&self) -> Arc<Translator> {
        self.translator.clone()
    }
}

fn typer() -> u64 {
    let (physical, cil) = (1, 1 << 36);
    physical
        | (ENTRY - 1) << 4
        | u64::from(NUMBER_BITS - 1) << 8
        | (DEVICE_BITS - 1) << 13
        | (COLLECTION_BITS - 1) << 32
        | cil
}

impl Device for Its {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reset(&mut self) {
        *self.translator.registers.lock() = Registers::default();
    }

    fn save(&self) -> State {
        State::of(VERSION, &*self.translator.registers.lock())
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let loaded: Registers = state.get(VERSION)?;
        let fresh = Registers::default();
        let fixed = |r: &Registers| r.tables.map(|table| table & baser::FIXED);
        if fixed(&loaded) != fixed(&fresh)
            || !loaded.creadr.is_multiple_of(COMMAND)
            || loaded.creadr >= 0x10_0000
        {
            return Err(StateError::Value("a table's kind, or the place of a command"));
        }
        *self.translator.registers.lock() = loaded;
        Ok(())
    }
}

impl Mmio for Its {
    fn widths(&self) -> Widths {
        Widths::UP_TO_WORD
    }

    fn read(&mut self, offset: u64, width: Width) -> u64 {
        if IDENTIFICATION.contains(&(offset & !3)) {
            let at = (offset & !3) - IDENTIFICATION.start;
            return seen(identification(at, 0x94, REVISION), offset, width);
        }
        let registers = self.translator.registers.lock();
        let at = offset & !3;
        let word = match Register::read_at(at) {
            Some(Register::GITS_CTLR) => u32::from(registers.enabled) | QUIESCENT,
            Some(Register::GITS_IIDR) => 0x43b,
            Some(Register::GITS_TYPER | Register::GITS_TYPER_HIGH) => half(typer(), at),
            Some(Register::GITS_CBASER | Register::GITS_CBASER_HIGH) => half(registers.cbaser, at),
            Some(Register::GITS_CWRITER) => registers.cwriter as u32,
            Some(Register::GITS_CREADR) => registers.creadr as u32,
            Some(Register::GITS_BASER0 | Register::GITS_BASER0_HIGH) => half(registers.tables[DEVICES], at),
            Some(Register::GITS_BASER1 | Register::GITS_BASER1_HIGH) => {
                half(registers.tables[COLLECTIONS], at)
            }
            Some(Register::GITS_CWRITER_HIGH | Register::GITS_CREADR_HIGH) | None => 0,
        };
        seen(word, offset, width)
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        let part = placed(value, offset, width);
        let at = offset & !3;
        let mut registers = self.translator.registers.lock();
        let set_table = |registers: &mut Registers, table: usize| {
            let old = registers.tables[table];
            registers.tables[table] = with_half(old, at, part) & !baser::FIXED | old & baser::FIXED;
        };
        match Register::write_at(at) {
            Some(Register::GITS_CTLR) if part.1 & ENABLED != 0 => registers.enabled = part.0 & ENABLED != 0,
            Some(Register::GITS_CTLR | Register::GITS_CWRITER_HIGH) => {}
            // Fixed while they are in use, as far as that is said.
            Some(Register::GITS_CBASER | Register::GITS_CBASER_HIGH) if !registers.enabled => {
                registers.cbaser = with_half(registers.cbaser, at, part);
                (registers.creadr, registers.cwriter) = (0, 0);
            }
            Some(Register::GITS_CWRITER) => {
                // The ring has at most a MiB; bit 0 asks for a retry of a command, none of which stalls.
                registers.cwriter = with_half(registers.cwriter, at, part) & 0xf_ffe0;
            }
            Some(Register::GITS_BASER0 | Register::GITS_BASER0_HIGH) if !registers.enabled => {
                set_table(&mut registers, DEVICES);
            }
            Some(Register::GITS_BASER1 | Register::GITS_BASER1_HIGH) if !registers.enabled => {
                set_table(&mut registers, COLLECTIONS);
            }
            _ => return guest_error(NAME, format_args!("write of {value:#x} at {offset:#x}")),
        }
        self.translator.run(&mut registers);
    }
}

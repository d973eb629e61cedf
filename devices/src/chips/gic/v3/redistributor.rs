//! A redistributor: a CPU's private interrupts, and its LPIs with their tables in memory (IHI 0069 chapters 5.1, 12.10 and
//! 12.11). Pending LPIs are kept here, and written to the pending table while they are disabled.

use super::interface::Sgi;
use super::{FIRST_LPI, NAME, NUMBER_BITS, REVISION, half, with_half};
use crate::chips::gic::bank::{Bank, Field, View};
use crate::chips::gic::priority::given_by_non_secure;
use crate::chips::gic::{Candidate, Group, Security, identification};
use crate::chips::guest_error;
use crate::chips::registers::registers;
use base::GuestRam;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use vm_memory::{Bytes, GuestAddress};

registers! {
    /// The registers of the first frame.
    pub enum Register {
        /// Bit 0 enables LPIs.
        0x0000 GICR_CTLR RW = 0;
        /// Who made it: Arm.
        0x0004 GICR_IIDR R = 0x43b;
        /// Which CPU it belongs to, low half.
        0x0008 GICR_TYPER R;
        /// High half: the affinity.
        0x000c GICR_TYPER_HIGH R;
        /// Errors, which are not kept.
        0x0010 GICR_STATUSR RW = 0;
        /// Puts the CPU interface to sleep. Kept only: interrupts get through anyway, as firmware that never wakes it expects.
        0x0014 GICR_WAKER RW = 6;
        /// Where the configuration of LPIs is, and how many there are.
        0x0070 GICR_PROPBASER RW = 0;
        /// High half.
        0x0074 GICR_PROPBASER_HIGH RW = 0;
        /// Where pending LPIs are.
        0x0078 GICR_PENDBASER RW = 0;
        /// High half.
        0x007c GICR_PENDBASER_HIGH RW = 0;
    }
}

/// The second frame, where private interrupts are.
const SGI_FRAME: u64 = 0x1_0000;
const IDENTIFICATION: std::ops::Range<u64> = 0xffd0..0x1_0000;
const ENABLE_LPIS: u32 = 1;
/// GICR_WAKER: ProcessorSleep, and ChildrenAsleep, which follows it.
const PROCESSOR_SLEEP: u32 = 1 << 1;
const CHILDREN_ASLEEP: u32 = 1 << 2;
const ADDRESS: u64 = 0xf_ffff_ffff_f000;
/// GICR_PROPBASER: number of bits of interrupt numbers less one.
const ID_BITS: u64 = 0x1f;
/// GICR_PENDBASER: the table is all zeroes. Write-only.
const PENDING_TABLE_ZERO: u64 = 1 << 62;
const PENDBASER_ADDRESS: u64 = 0xf_ffff_ffff_0000;
/// The configuration of an LPI, a byte.
const LPI_ENABLE: u8 = 1;
const LPI_PRIORITY: u8 = 0xf8;

/// The redistributor of one CPU.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Redistributor {
    number: u32,
    last: bool,
    has_lpis: bool,
    security: Security,
    ctlr: u32,
    asleep: bool,
    propbaser: u64,
    pendbaser: u64,
    pub bank: Bank,
    /// GICR_NSACR: which SGIs of other groups the Non-secure state may send here, two bits each.
    nsacr: u32,
    lpis: BTreeSet<u32>,
}

/// Private interrupts after a reset.
fn fresh_bank(security: Security) -> Bank {
    let mut bank = Bank::private();
    if security.is_for_kernel() {
        bank.group_all(0);
    }
    bank
}

impl Redistributor {
    /// The redistributor of CPU `number`; `last` of them.
    pub fn new(number: u32, last: bool, (has_lpis, security): (bool, Security)) -> Self {
        Self {
            number,
            last,
            has_lpis,
            security,
            ctlr: 0,
            asleep: true,
            propbaser: 0,
            pendbaser: 0,
            bank: fresh_bank(security),
            nsacr: 0,
            lpis: BTreeSet::new(),
        }
    }

    /// Back to the power-on state.
    pub fn reset(&mut self) {
        let fresh = Self::new(self.number, self.last, (self.has_lpis, self.security));
        let mut bank = std::mem::replace(&mut self.bank, Bank::new(0));
        bank.reset(fresh_bank(self.security));
        *self = Self { bank, ..fresh };
    }

    /// Whether a loaded state is one of this redistributor.
    pub fn fits(&self, loaded: &Self) -> bool {
        self.bank.fits(&loaded.bank)
            && (self.number, self.last, self.has_lpis) == (loaded.number, loaded.last, loaded.has_lpis)
            && self.security == loaded.security
            && loaded.lpis.iter().all(|lpi| (FIRST_LPI..1 << NUMBER_BITS).contains(lpi))
    }

    /// There is one Security state from now on.
    pub fn join_groups(&mut self) {
        self.nsacr = 0;
        self.bank.join_groups();
    }

    /// Whether a software interrupt that is sent here is taken.
    pub fn takes(&self, sgi: &Sgi) -> bool {
        sgi.is_taken(self.bank.group(sgi.number), self.nsacr >> (2 * sgi.number) & 3)
    }

    /// Whether LPIs are enabled.
    pub fn lpis_enabled(&self) -> bool {
        self.ctlr & ENABLE_LPIS != 0
    }

    /// One past the last LPI.
    fn lpi_end(&self) -> u32 {
        let bits = ((self.propbaser & ID_BITS) as u32 + 1).min(NUMBER_BITS);
        1 << bits
    }

    /// An LPI becomes pending, or is no longer.
    pub fn set_lpi(&mut self, interrupt: u32, pending: bool) {
        if !pending {
            self.lpis.remove(&interrupt);
        } else if self.lpis_enabled() && (FIRST_LPI..self.lpi_end()).contains(&interrupt) {
            self.lpis.insert(interrupt);
        }
    }

    /// Takes all pending LPIs away, or just `only` that.
    pub fn take_lpis(&mut self, only: Option<u32>) -> BTreeSet<u32> {
        match only {
            None => std::mem::take(&mut self.lpis),
            Some(lpi) => self.lpis.take(&lpi).into_iter().collect(),
        }
    }

    /// The most urgent pending LPI that is enabled. With two Security states they are the Non-secure one's.
    pub fn best_lpi(&self, ram: &GuestRam, has_two_states: bool) -> Option<Candidate> {
        let table = self.propbaser & ADDRESS;
        let candidate = |lpi: &u32| {
            let at = GuestAddress(table + u64::from(lpi - FIRST_LPI));
            let config: u8 = ram.read_obj(at).unwrap_or(0);
            let enabled = config & LPI_ENABLE != 0;
            let given = if has_two_states { given_by_non_secure(config) } else { config };
            enabled.then_some(Candidate {
                interrupt: *lpi,
                priority: given & LPI_PRIORITY,
                group: Group::One,
            })
        };
        self.lpis.iter().filter_map(candidate).min_by_key(|candidate| candidate.priority)
    }

    /// Reads what is pending from the table, or writes it there. A table where no memory is holds nothing.
    fn set_lpis_enabled(&mut self, enabled: bool, ram: &GuestRam) {
        let (table, end) = (GuestAddress(self.pendbaser & PENDBASER_ADDRESS), self.lpi_end());
        let mut bits = vec![0u8; end as usize / 8];
        self.ctlr ^= ENABLE_LPIS;
        if enabled {
            if self.pendbaser & PENDING_TABLE_ZERO == 0 && ram.read_slice(&mut bits, table).is_ok() {
                let set = |lpi: &u32| bits[(lpi / 8) as usize] >> (lpi % 8) & 1 != 0;
                self.lpis = (FIRST_LPI..end).filter(set).collect();
            }
            return;
        }
        for lpi in std::mem::take(&mut self.lpis) {
            bits[(lpi / 8) as usize] |= 1 << (lpi % 8);
        }
        // The first KiB is software's.
        let first = FIRST_LPI as usize / 8;
        if let Some(bits) = bits.get(first..) {
            let _ = ram.write_slice(bits, GuestAddress(table.0 + first as u64));
        }
    }

    fn typer(&self) -> u32 {
        u32::from(self.has_lpis) | u32::from(self.last) << 4 | self.number << 8
    }

    /// Reads the word at `offset`.
    pub fn read(&self, view: View, offset: u64) -> u32 {
        if let Some(offset) = offset.checked_sub(SGI_FRAME) {
            // With one Security state what belongs to the third group is never written.
            return match Field::at(offset) {
                // Of SGIs only.
                Some((Field::Access, 0)) if view == View::All => self.nsacr,
                Some((Field::Access, _)) | None => 0,
                Some((field, word)) => self.bank.read(view, field, word),
            };
        }
        if IDENTIFICATION.contains(&offset) {
            return identification(offset - IDENTIFICATION.start, 0x93, REVISION);
        }
        match Register::read_at(offset) {
            Some(Register::GICR_CTLR) => self.ctlr,
            Some(Register::GICR_IIDR) => 0x43b,
            Some(Register::GICR_TYPER) => self.typer(),
            Some(Register::GICR_TYPER_HIGH) => self.number,
            Some(Register::GICR_WAKER) if self.asleep => PROCESSOR_SLEEP | CHILDREN_ASLEEP,
            Some(Register::GICR_PROPBASER | Register::GICR_PROPBASER_HIGH) => half(self.propbaser, offset),
            Some(Register::GICR_PENDBASER | Register::GICR_PENDBASER_HIGH) => {
                half(self.pendbaser & !PENDING_TABLE_ZERO, offset)
            }
            _ => 0,
        }
    }

    /// Writes those bits of the word at `offset` that are in the mask; there may be two Security states.
    pub fn write(&mut self, (view, two_states): (View, bool), offset: u64, part: (u32, u32), ram: &GuestRam) {
        let (value, mask) = part;
        if let Some(offset) = offset.checked_sub(SGI_FRAME) {
            let there = |field: &Field| two_states || !field.is_of_third_group();
            match Field::at(offset).filter(|(field, _)| there(field)) {
                Some((Field::Access, 0)) if view == View::All => {
                    self.nsacr = self.nsacr & !mask | value & mask;
                }
                // SGIs are edges.
                Some((Field::Access, _) | (Field::Config, 0)) | None => {}
                Some((field, word)) => self.bank.write(view, field, word, part),
            }
            return;
        }
        match Register::write_at(offset) {
            Some(Register::GICR_CTLR) => {
                let enable = value & mask & ENABLE_LPIS != 0;
                if self.has_lpis && mask & ENABLE_LPIS != 0 && enable != self.lpis_enabled() {
                    self.set_lpis_enabled(enable, ram);
                }
            }
            Some(Register::GICR_STATUSR) => {}
            Some(Register::GICR_WAKER) => {
                if mask & PROCESSOR_SLEEP != 0 {
                    self.asleep = value & PROCESSOR_SLEEP != 0;
                }
            }
            // Fixed while they are in use.
            Some(Register::GICR_PROPBASER | Register::GICR_PROPBASER_HIGH) => {
                if self.has_lpis && !self.lpis_enabled() {
                    self.propbaser = with_half(self.propbaser, offset, part);
                }
            }
            Some(Register::GICR_PENDBASER | Register::GICR_PENDBASER_HIGH) => {
                if self.has_lpis && !self.lpis_enabled() {
                    self.pendbaser = with_half(self.pendbaser, offset, part);
                }
            }
            _ => guest_error(NAME, format_args!("write of {value:#x} at {offset:#x} of a redistributor")),
        }
    }
}

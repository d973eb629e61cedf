//! The distributor: shared interrupts, and the CPU that each goes to (IHI 0069 chapter 12.9).

use super::{NAME, NUMBER_BITS, REVISION, half, with_half};
use crate::chips::gic::bank::{Bank, Field};
use crate::chips::gic::{Candidate, PRIVATE, identification};
use crate::chips::guest_error;
use crate::chips::registers::registers;
use serde::{Deserialize, Serialize};

registers! {
    /// The registers beside those of [`Field`].
    pub enum Register {
        /// Lets each group out; affinity routing and the single security state stand fast.
        0x0000 GICD_CTLR RW = 0x50;
        /// What there is.
        0x0004 GICD_TYPER R;
        /// Who made it: Arm.
        0x0008 GICD_IIDR R = 0x43b;
        /// More of what there is: nothing.
        0x000c GICD_TYPER2 R = 0;
        /// Errors, which are not kept.
        0x0010 GICD_STATUSR RW = 0;
        /// The SPI written becomes pending.
        0x0040 GICD_SETSPI_NSR W;
        /// The SPI written is no longer pending.
        0x0048 GICD_CLRSPI_NSR W;
    }
}

/// Where each SPI goes, 8 bytes an interrupt from interrupt 0 on.
const IROUTER: std::ops::Range<u64> = 0x6000..0x8000;
const IDENTIFICATION: std::ops::Range<u64> = 0xffd0..0x1_0000;
/// Private interrupts have their modifier elsewhere, and with one security state there is none.
const IROUTER_ANY: u64 = 1 << 31;
/// Affinity and routing mode.
const IROUTER_BITS: u64 = 0xff_80ff_ffff;

/// GICD_CTLR.
mod ctlr {
    pub const ENABLE: u32 = 3;
    pub const ARE: u32 = 1 << 4;
    /// One security state.
    pub const DS: u32 = 1 << 6;
}

/// The distributor.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Distributor {
    ctlr: u32,
    pub shared: Bank,
    routes: Vec<u64>,
    lpis: bool,
}

impl Distributor {
    pub fn new(spis: u32, lpis: bool) -> Self {
        Self { ctlr: 0, shared: Bank::new(spis as usize / 32), routes: vec![0; spis as usize], lpis }
    }

    /// Back to the power-on state.
    pub fn reset(&mut self) {
        self.ctlr = 0;
        self.shared.reset(Bank::new(self.routes.len() / 32));
        self.routes.fill(0);
    }

    /// Whether a loaded state has as many interrupts.
    pub fn fits(&self, loaded: &Self) -> bool {
        self.shared.fits(&loaded.shared)
            && loaded.routes.len() == self.routes.len()
            && loaded.lpis == self.lpis
            && loaded.ctlr & !ctlr::ENABLE == 0
    }

    /// Whether each group is let out.
    pub fn enables(&self) -> [bool; 2] {
        [self.ctlr & 1 != 0, self.ctlr & 2 != 0]
    }

    /// The most urgent SPI for `cpu`. Those that may go to any CPU go to the first.
    pub fn best(&self, cpu: usize, groups: [bool; 2]) -> Option<Candidate> {
        let here = |n: usize| match self.routes[n] {
            any if any & IROUTER_ANY != 0 => cpu == 0,
            affinity => affinity == cpu as u64,
        };
        self.shared.best(PRIVATE, groups, here)
    }

    fn typer(&self) -> u32 {
        let lpis = if self.lpis { 1 << 17 } else { 0 };
        // Affinity level 3 may be used, and no interrupt is sent to one of many.
        let fixed = 1 << 24 | 1 << 25 | (NUMBER_BITS - 1) << 19;
        (self.shared.len() as u32 / 32) | lpis | fixed
    }

    /// Reads the word at `offset`.
    pub fn read(&self, offset: u64) -> u32 {
        if let Some((field, word)) = Field::at(offset) {
            return word.checked_sub(field.words_for_32()).map_or(0, |word| self.shared.read(field, word));
        }
        if IROUTER.contains(&offset) {
            let n = ((offset - IROUTER.start) / 8).checked_sub(PRIVATE.into());
            let route = n.and_then(|n| self.routes.get(n as usize));
            return route.map_or(0, |route| half(*route, offset));
        }
        if IDENTIFICATION.contains(&offset) {
            return identification(offset - IDENTIFICATION.start, 0x92, REVISION);
        }
        match Register::read_at(offset) {
            Some(Register::GICD_CTLR) => self.ctlr | ctlr::ARE | ctlr::DS,
            Some(Register::GICD_TYPER) => self.typer(),
            Some(Register::GICD_IIDR) => 0x43b,
            _ => 0,
        }
    }

    /// Writes those bits of the word at `offset` that are in the mask.
    pub fn write(&mut self, offset: u64, part: (u32, u32)) {
        let (value, mask) = part;
        if let Some((field, word)) = Field::at(offset) {
            // Those of private interrupts are in the redistributors.
            if let Some(word) = word.checked_sub(field.words_for_32()) {
                self.shared.write(field, word, value, mask);
            }
            return;
        }
        if IROUTER.contains(&offset) {
            let n = ((offset - IROUTER.start) / 8).checked_sub(PRIVATE.into());
            if let Some(route) = n.and_then(|n| self.routes.get_mut(n as usize)) {
                *route = with_half(*route, offset, part) & IROUTER_BITS;
            }
            return;
        }
        let spi = (value & 0x3ff).wrapping_sub(PRIVATE) as usize;
        match Register::write_at(offset) {
            Some(Register::GICD_CTLR) => self.ctlr = (self.ctlr & !mask | value & mask) & ctlr::ENABLE,
            Some(Register::GICD_STATUSR) => {}
            Some(Register::GICD_SETSPI_NSR) => self.shared.set_pending(spi, true),
            Some(Register::GICD_CLRSPI_NSR) => self.shared.set_pending(spi, false),
            _ => guest_error(NAME, format_args!("write of {value:#x} at {offset:#x} of the distributor")),
        }
    }
}

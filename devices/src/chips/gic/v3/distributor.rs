//! The distributor: shared interrupts, and the CPU that each goes to (IHI 0069 chapter 12.9).

use super::{NAME, NUMBER_BITS, REVISION, half, with_half};
use crate::chips::gic::bank::{Bank, Field, View};
use crate::chips::gic::{Candidate, GROUPS, Group, PRIVATE, Security, identification};
use crate::chips::guest_error;
use crate::chips::registers::registers;
use serde::{Deserialize, Serialize};

registers! {
    /// The registers beside those of [`Field`].
    pub enum Register {
        /// Lets each group out; affinity routing stands fast, and so does a single Security state.
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
        /// The same for the Secure state.
        0x0050 GICD_SETSPI_SR W;
        /// The same for the Secure state.
        0x0058 GICD_CLRSPI_SR W;
    }
}

/// Where each SPI goes, 8 bytes an interrupt from interrupt 0 on.
const IROUTER: std::ops::Range<u64> = 0x6000..0x8000;
const IDENTIFICATION: std::ops::Range<u64> = 0xffd0..0x1_0000;
const IROUTER_ANY: u64 = 1 << 31;
/// Affinity and routing mode.
const IROUTER_BITS: u64 = 0xff_80ff_ffff;

/// GICD_CTLR.
mod ctlr {
    /// By group: 0, 1, and 1 of the Secure state.
    pub const ENABLES: [u32; 3] = [1 << 0, 1 << 1, 1 << 2];
    /// Of a single Security state, and of the Secure one; what the Non-secure one sees.
    pub const ARE: u32 = 1 << 4;
    /// Of the Non-secure state.
    pub const ARE_NS: u32 = 1 << 5;
    /// One Security state.
    pub const DS: u32 = 1 << 6;
    pub const ALL_ENABLES: u32 = ENABLES[0] | ENABLES[1] | ENABLES[2];
}

/// GICD_TYPER: two Security states.
const SECURITY_EXTN: u32 = 1 << 10;

/// The distributor.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Distributor {
    ctlr: u32,
    pub shared: Bank,
    routes: Vec<u64>,
    lpis: bool,
    /// There are two Security states, and GICD_CTLR.DS has not joined them.
    two_states: bool,
    security: Security,
}

impl Distributor {
    pub fn new(spis: u32, lpis: bool, security: Security) -> Self {
        let mut shared = Bank::new(spis as usize / 32);
        if security.is_for_kernel() {
            shared.group_all(0);
        }
        let (routes, two_states) = (vec![0; spis as usize], security.has_two());
        Self { ctlr: 0, shared, routes, lpis, two_states, security }
    }

    /// Back to the power-on state.
    pub fn reset(&mut self) {
        let fresh = Self::new(self.routes.len() as u32, self.lpis, self.security);
        let mut shared = std::mem::replace(&mut self.shared, Bank::new(0));
        shared.reset(fresh.shared);
        *self = Self { shared, ..fresh };
    }

    /// Whether there are two Security states.
    pub fn has_two_states(&self) -> bool {
        self.two_states
    }

    /// Whether a loaded state has as many interrupts.
    pub fn fits(&self, loaded: &Self) -> bool {
        self.shared.fits(&loaded.shared)
            && loaded.routes.len() == self.routes.len()
            && loaded.lpis == self.lpis
            && loaded.ctlr & !ctlr::ALL_ENABLES == 0
            && loaded.security == self.security
            && (self.security.has_two() || !loaded.two_states)
    }

    /// Whether each group is let out.
    pub fn enables(&self) -> [bool; GROUPS] {
        ctlr::ENABLES.map(|bit| self.ctlr & bit != 0)
    }

    /// GICD_CTLR as a view has it.
    fn ctlr(&self, view: View) -> u32 {
        match (view, self.two_states) {
            (View::NonSecure, _) => self.ctlr & ctlr::ENABLES[1] | ctlr::ARE,
            (View::All, true) => self.ctlr | ctlr::ARE | ctlr::ARE_NS,
            (View::All, false) => self.ctlr | ctlr::ARE | ctlr::DS,
        }
    }

    fn set_ctlr(&mut self, view: View, value: u32, mask: u32) {
        let writable = match (view, self.two_states) {
            (View::NonSecure, _) => ctlr::ENABLES[1],
            (View::All, true) => ctlr::ALL_ENABLES,
            (View::All, false) => ctlr::ENABLES[0] | ctlr::ENABLES[1],
        };
        let mask = mask & writable;
        self.ctlr = self.ctlr & !mask | value & mask;
        if self.two_states && view == View::All && value & ctlr::DS != 0 {
            self.two_states = false;
            self.ctlr &= !ctlr::ENABLES[2];
            self.shared.join_groups();
        }
    }

    /// Whether a view has SPI `n`, or from value `least` of its NSACR on.
    fn is_visible(&self, view: View, n: usize, least: u32) -> bool {
        view == View::All
            || n < self.shared.len() && (self.shared.group(n) == Group::One || self.shared.access(n) >= least)
    }

    /// The most urgent SPI for `cpu`. Those that may go to any CPU go to the first.
    pub fn best(&self, cpu: usize, groups: [bool; GROUPS]) -> Option<Candidate> {
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
        let security = if self.two_states { SECURITY_EXTN } else { 0 };
        (self.shared.len() as u32 / 32) | lpis | security | fixed
    }

    /// Reads the word at `offset`.
    pub fn read(&self, view: View, offset: u64) -> u32 {
        if let Some((field, word)) = Field::at(offset) {
            let word = word.checked_sub(field.words_for_32());
            let there = self.two_states || !field.is_of_third_group();
            return word.filter(|_| there).map_or(0, |word| self.shared.read(view, field, word));
        }
        if IROUTER.contains(&offset) {
            let n = ((offset - IROUTER.start) / 8).checked_sub(PRIVATE.into());
            let n = n.filter(|n| self.is_visible(view, *n as usize, 3));
            let route = n.and_then(|n| self.routes.get(n as usize));
            return route.map_or(0, |route| half(*route, offset));
        }
        if IDENTIFICATION.contains(&offset) {
            return identification(offset - IDENTIFICATION.start, 0x92, REVISION);
        }
        match Register::read_at(offset) {
            Some(Register::GICD_CTLR) => self.ctlr(view),
            Some(Register::GICD_TYPER) => self.typer(),
            Some(Register::GICD_IIDR) => 0x43b,
            _ => 0,
        }
    }

    /// Writes those bits of the word at `offset` that are in the mask.
    pub fn write(&mut self, view: View, offset: u64, part: (u32, u32)) {
        let (value, mask) = part;
        if let Some((field, word)) = Field::at(offset) {
            // Those of private interrupts are in the redistributors.
            let there = self.two_states || !field.is_of_third_group();
            if let Some(word) = word.checked_sub(field.words_for_32()).filter(|_| there) {
                self.shared.write(view, field, word, part);
            }
            return;
        }
        if IROUTER.contains(&offset) {
            let n = ((offset - IROUTER.start) / 8).checked_sub(PRIVATE.into());
            let n = n.filter(|n| self.is_visible(view, *n as usize, 3));
            if let Some(route) = n.and_then(|n| self.routes.get_mut(n as usize)) {
                *route = with_half(*route, offset, part) & IROUTER_BITS;
            }
            return;
        }
        let spi = (value & 0x3ff).wrapping_sub(PRIVATE) as usize;
        match Register::write_at(offset) {
            Some(Register::GICD_CTLR) => self.set_ctlr(view, value, mask),
            Some(Register::GICD_STATUSR) => {}
            Some(Register::GICD_SETSPI_NSR) => {
                if self.is_visible(view, spi, 1) {
                    self.shared.set_pending(spi, true);
                }
            }
            Some(Register::GICD_CLRSPI_NSR) => {
                if self.is_visible(view, spi, 2) {
                    self.shared.set_pending(spi, false);
                }
            }
            Some(Register::GICD_SETSPI_SR | Register::GICD_CLRSPI_SR) if view == View::NonSecure => {}
            Some(Register::GICD_SETSPI_SR) if self.two_states => self.shared.set_pending(spi, true),
            Some(Register::GICD_CLRSPI_SR) if self.two_states => self.shared.set_pending(spi, false),
            _ => guest_error(NAME, format_args!("write of {value:#x} at {offset:#x} of the distributor")),
        }
    }
}

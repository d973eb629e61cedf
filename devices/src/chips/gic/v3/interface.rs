//! A CPU interface, behind the system registers `ICC_*_EL1` (IHI 0069 chapter 12.2), in the only security state.

use super::{FIRST_LPI, NAME};
use crate::chips::gic::priority::{PRIORITY_BITS, Priorities};
use crate::chips::gic::{Candidate, FIRST_SPECIAL, Group, SPURIOUS};
use crate::chips::guest_error;
use serde::{Deserialize, Serialize};

/// A register: the manual's name without `ICC_` and `_EL1`.
#[allow(clippy::upper_case_acronyms, reason = "the manual's names")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// Acknowledges an interrupt of a group.
    IAR(Group),
    /// Ends an interrupt of a group.
    EOIR(Group),
    /// Deactivates an interrupt.
    DIR,
    /// Priority mask.
    PMR,
    /// Binary point of a group.
    BPR(Group),
    /// Control.
    CTLR,
    /// Enables a group.
    IGRPEN(Group),
    /// Running priority.
    RPR,
    /// Highest priority pending interrupt, if it is of a group.
    HPPIR(Group),
    /// Sends software interrupts of group 0.
    SGI0R,
    /// Sends software interrupts of group 1.
    SGI1R,
    /// Active priorities of a group, 32 levels a register from register 0 on.
    APR(Group, u8),
}

/// ICC_CTLR_EL1.
mod ctlr {
    pub const CBPR: u64 = 1 << 0;
    /// Ending an interrupt does not deactivate it.
    pub const EOI_MODE: u64 = 1 << 1;
    /// Interrupt numbers of 24 bits fit into the registers.
    pub const ID_BITS: u64 = 1 << 11;
    /// Software interrupts reach affinity level 3.
    pub const A3V: u64 = 1 << 15;
    pub const PRI_BITS_SHIFT: u32 = 8;
}

/// Bits of an interrupt's number.
pub(super) const NUMBER: u64 = 0xff_ffff;

/// A software interrupt on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sgi {
    /// 0 to 15.
    pub number: usize,
    /// The group that it is sent for.
    pub group: Group,
    /// CPUs by affinity level 0; `None` for all but the sender.
    targets: Option<u16>,
}

impl Sgi {
    /// What a write of `value` to ICC_SGI0R_EL1 or ICC_SGI1R_EL1 sends; `None` if it reaches nobody.
    pub fn read(register: Register, value: u64) -> Option<Self> {
        let group = if register == Register::SGI0R { Group::Zero } else { Group::One };
        let number = (value >> 24 & 15) as usize;
        if value >> 40 & 1 != 0 {
            return Some(Self { number, group, targets: None });
        }
        // Affinity levels 1 to 3 and the range selector: CPUs are told apart by level 0 below 16.
        let others = value >> 16 & 0xff | value >> 32 & 0xff | value >> 44 & 0xf | value >> 48 & 0xff;
        (others == 0).then_some(Self { number, group, targets: Some(value as u16) })
    }

    /// Whether it reaches CPU `cpu` when CPU `from` sends it.
    pub fn reaches(&self, from: usize, cpu: usize) -> bool {
        match self.targets {
            None => from != cpu,
            Some(targets) => cpu < 16 && targets >> cpu & 1 != 0,
        }
    }
}

/// The CPU interface of one CPU.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Interface {
    enables: [bool; 2],
    eoi_mode: bool,
    priorities: Priorities,
}

impl Interface {
    /// Whether a loaded state is a possible one.
    pub fn fits(&self) -> bool {
        self.priorities.fits()
    }

    /// Whether each group is let in.
    pub fn enables(&self) -> [bool; 2] {
        self.enables
    }

    /// The priority mask; nothing gets past 0.
    pub fn mask(&self) -> u8 {
        self.priorities.mask()
    }

    /// Whether an interrupt may break in now.
    pub fn lets_in(&self, candidate: &Candidate) -> bool {
        self.priorities.lets_in(candidate.priority, candidate.group)
    }

    /// Reads `register` while `best` waits: the value, and the interrupt that the read acknowledges.
    pub fn read(&mut self, register: Register, best: Option<Candidate>) -> (u64, Option<u32>) {
        let of = |group| best.filter(|best| best.group == group);
        let value = match register {
            Register::IAR(group) => {
                let Some(taken) = of(group).filter(|best| self.lets_in(best)) else {
                    return (SPURIOUS.into(), None);
                };
                self.priorities.raise(taken.priority, group);
                return (taken.interrupt.into(), Some(taken.interrupt));
            }
            Register::HPPIR(group) => of(group).map_or(SPURIOUS, |best| best.interrupt).into(),
            Register::PMR => self.priorities.mask().into(),
            Register::BPR(group) => self.priorities.point(group).into(),
            Register::IGRPEN(group) => self.enables[group as usize].into(),
            Register::RPR => self.priorities.running().into(),
            Register::APR(group, 0) => self.priorities.active[group as usize].into(),
            Register::CTLR => control(self.priorities.common_point, self.eoi_mode),
            // Write-only, or beyond the levels there are.
            Register::EOIR(_) | Register::DIR | Register::SGI0R | Register::SGI1R | Register::APR(..) => 0,
        };
        (value, None)
    }

    /// Writes `register`: the interrupt that is deactivated by it.
    pub fn write(&mut self, register: Register, value: u64) -> Option<u32> {
        match register {
            Register::EOIR(group) => return self.end(group, (value & NUMBER) as u32),
            Register::DIR if self.eoi_mode => return existing((value & NUMBER) as u32),
            Register::PMR => self.priorities.set_mask(value as u8),
            Register::BPR(group) => self.priorities.set_point(group, value as u8),
            Register::IGRPEN(group) => self.enables[group as usize] = value & 1 != 0,
            Register::APR(group, 0) => self.priorities.active[group as usize] = value as u32,
            Register::CTLR => (self.priorities.common_point, self.eoi_mode) = control_of(value),
            Register::APR(..) => {}
            _ => guest_error(NAME, format_args!("write of {value:#x} to {register:?}")),
        }
        None
    }

    fn end(&mut self, group: Group, interrupt: u32) -> Option<u32> {
        let interrupt = existing(interrupt)?;
        if self.priorities.running_group() == Some(group) {
            self.priorities.drop(group);
        }
        (!self.eoi_mode).then_some(interrupt)
    }
}

/// ICC_CTLR_EL1 and ICV_CTLR_EL1: what can be written, and what there is.
pub(super) fn control(common_point: bool, eoi_mode: bool) -> u64 {
    let bit = |is: bool, bit| if is { bit } else { 0 };
    bit(common_point, ctlr::CBPR)
        | bit(eoi_mode, ctlr::EOI_MODE)
        | u64::from(PRIORITY_BITS - 1) << ctlr::PRI_BITS_SHIFT
        | ctlr::ID_BITS
        | ctlr::A3V
}

/// What a write of it sets: one binary point for both groups, and whether ending an interrupt leaves it active.
pub(super) fn control_of(value: u64) -> (bool, bool) {
    (value & ctlr::CBPR != 0, value & ctlr::EOI_MODE != 0)
}

/// `interrupt`, unless the number names none.
pub(super) fn existing(interrupt: u32) -> Option<u32> {
    (!(FIRST_SPECIAL..FIRST_LPI).contains(&interrupt)).then_some(interrupt)
}

//! The CPU interface: what is signalled to a CPU, taken by it and ended (IHI 0048B chapter 4.4).

use super::Group;
use super::distributor::Distributor;
use crate::chips::gic::bank::View;
use crate::chips::gic::priority::{NON_SECURE, Priorities, seen_by_non_secure};
use crate::chips::gic::{Candidate, SPURIOUS, Security};
use crate::chips::guest_error;
use crate::chips::registers::registers;
use serde::{Deserialize, Serialize};

registers! {
    /// The registers.
    pub enum Register {
        /// Control.
        0x0000 GICC_CTLR RW = 0;
        /// Priority mask.
        0x0004 GICC_PMR RW = 0;
        /// Binary point of group 0.
        0x0008 GICC_BPR RW = 2;
        /// Acknowledge.
        0x000c GICC_IAR R = 1023;
        /// End of interrupt.
        0x0010 GICC_EOIR W;
        /// Running priority.
        0x0014 GICC_RPR R = 0xff;
        /// Highest priority pending interrupt.
        0x0018 GICC_HPPIR R = 1023;
        /// Binary point of group 1.
        0x001c GICC_ABPR RW = 3;
        /// Acknowledge, group 1 only.
        0x0020 GICC_AIAR R = 1023;
        /// End of interrupt, group 1 only.
        0x0024 GICC_AEOIR W;
        /// Highest priority pending interrupt, group 1 only.
        0x0028 GICC_AHPPIR R = 1023;
        /// Active priorities of group 0.
        0x00d0 GICC_APR0 RW = 0;
        /// Active priorities of group 1.
        0x00e0 GICC_NSAPR0 RW = 0;
        /// Who made it: a GIC-400 of Arm.
        0x00fc GICC_IIDR R = 0x0202_043b;
        /// Deactivate.
        0x1000 GICC_DIR W;
    }
}

/// GICC_CTLR.
mod ctlr {
    pub const ENABLE: [u32; 2] = [1 << 0, 1 << 1];
    /// GICC_IAR and the like take interrupts of group 1, too.
    pub const ACK_CTL: u32 = 1 << 2;
    /// Group 0 is FIQ.
    pub const FIQ_EN: u32 = 1 << 3;
    pub const CBPR: u32 = 1 << 4;
    /// Ending an interrupt does not deactivate it.
    pub const EOI_MODE: u32 = 1 << 9;
    /// The same of the Non-secure state, which has it in the place of EOI_MODE, and its enable in that of group 0.
    pub const EOI_MODE_NS: u32 = 1 << 10;
    /// What the Non-secure state has; to it all is one place lower.
    pub const NON_SECURE: u32 = ENABLE[1] | EOI_MODE_NS;
    pub const ALL: u32 = 0x7ff;
    /// Without the Security extensions.
    pub const ALL_OF_ONE: u32 = ALL & !EOI_MODE_NS;
}

/// What an acknowledge gives for group 1 when only group 0 may be taken.
pub(super) const OTHER_GROUP: u32 = 1022;
/// Bits of an interrupt's number; those above name the sender of an SGI.
pub(super) const NUMBER: u32 = 0x3ff;
/// The Non-secure state has the less urgent half of the levels.
const NON_SECURE_LEVELS: u32 = 16;
/// GICC_IIDR.
pub(super) const IIDR: u32 = 0x0202_043b;

/// The CPU interface of one CPU.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Interface {
    ctlr: u32,
    priorities: Priorities,
}

impl Interface {
    /// The state after a reset.
    pub fn new(security: Security) -> Self {
        let mut fresh = Self::default();
        if security.is_for_kernel() {
            // Else the Non-secure state could not set the mask.
            fresh.priorities.set_mask(NON_SECURE);
        }
        fresh
    }

    /// Whether a loaded state is a possible one.
    pub fn fits(&self) -> bool {
        self.ctlr & !ctlr::ALL == 0 && self.priorities.fits()
    }

    fn enabled(&self, group: Group) -> bool {
        self.ctlr & ctlr::ENABLE[group as usize] != 0
    }

    /// Whether the interface lets any interrupt in.
    pub fn lets_any_in(&self) -> bool {
        (self.enabled(Group::Zero) || self.enabled(Group::One)) && self.priorities.mask() != 0
    }

    /// Levels of IRQ and FIQ while `best` waits.
    pub fn pins(&self, best: Option<Candidate>) -> [bool; 2] {
        let signalled = best
            .filter(|best| self.enabled(best.group) && self.priorities.lets_in(best.priority, best.group));
        let fiq = |group| group == Group::Zero && self.ctlr & ctlr::FIQ_EN != 0;
        signalled.map_or([false, false], |best| [!fiq(best.group), fiq(best.group)])
    }

    /// The interrupt that a read by way of `group` may see, with its group; or the number that it gets instead.
    fn visible(&self, best: Option<Candidate>, by: Group) -> Result<Candidate, u32> {
        let best = best.filter(|best| self.enabled(best.group)).ok_or(SPURIOUS)?;
        match (by, best.group) {
            (Group::One, Group::Zero) => Err(SPURIOUS),
            (Group::Zero, Group::One) if self.ctlr & ctlr::ACK_CTL == 0 => Err(OTHER_GROUP),
            _ => Ok(best),
        }
    }

    /// Whether ending an interrupt leaves it active.
    fn splits_end(&self, view: View) -> bool {
        let bit = if view == View::NonSecure { ctlr::EOI_MODE_NS } else { ctlr::EOI_MODE };
        self.ctlr & bit != 0
    }

    fn acknowledge(&mut self, cpu: usize, by: Group, distributor: &mut Distributor) -> u32 {
        let best = distributor.best(cpu).filter(|best| self.priorities.lets_in(best.priority, best.group));
        match self.visible(best, by) {
            Err(number) => number,
            Ok(best) => {
                self.priorities.raise(best.priority, best.group);
                distributor.acknowledge(cpu, best.interrupt)
            }
        }
    }

    fn end(&mut self, (cpu, view): (usize, View), by: Group, value: u32, distributor: &mut Distributor) {
        let interrupt = value & NUMBER;
        let Some(group) = distributor.group(cpu, interrupt) else { return };
        if self.priorities.running_group().is_none() {
            return;
        }
        // By way of group 0 both are ended, though without AckCtl it is not said what comes of it.
        if (by, group) == (Group::One, Group::Zero) {
            return guest_error(super::NAME, format_args!("end of interrupt {interrupt} of the other group"));
        }
        self.priorities.drop(group);
        if !self.splits_end(view) {
            distributor.deactivate(cpu, interrupt);
        }
    }

    /// Reads the register at `offset`.
    pub fn read(&mut self, (cpu, view): (usize, View), offset: u64, distributor: &mut Distributor) -> u32 {
        let number = |found: Result<Candidate, u32>| found.map_or_else(|number| number, |c| c.interrupt);
        let Some(register) = Register::read_at(offset) else { return 0 };
        if view == View::NonSecure {
            // Group 1 stands in the place of group 0.
            return match register {
                Register::GICC_CTLR => (self.ctlr & ctlr::NON_SECURE) >> 1,
                Register::GICC_PMR => self.priorities.non_secure_mask().into(),
                Register::GICC_BPR => self.priorities.point(Group::One).into(),
                Register::GICC_IAR => self.acknowledge(cpu, Group::One, distributor),
                Register::GICC_RPR => seen_by_non_secure(self.priorities.running()).into(),
                Register::GICC_HPPIR => number(self.visible(distributor.best(cpu), Group::One)),
                Register::GICC_APR0 => self.priorities.active[1] >> NON_SECURE_LEVELS,
                Register::GICC_IIDR => IIDR,
                _ => 0,
            };
        }
        match register {
            Register::GICC_CTLR => self.ctlr,
            Register::GICC_PMR => self.priorities.mask().into(),
            Register::GICC_BPR => self.priorities.point(Group::Zero).into(),
            Register::GICC_IAR => self.acknowledge(cpu, Group::Zero, distributor),
            Register::GICC_RPR => self.priorities.running().into(),
            Register::GICC_HPPIR => number(self.visible(distributor.best(cpu), Group::Zero)),
            Register::GICC_ABPR => self.priorities.point(Group::One).into(),
            Register::GICC_AIAR => self.acknowledge(cpu, Group::One, distributor),
            Register::GICC_AHPPIR => number(self.visible(distributor.best(cpu), Group::One)),
            Register::GICC_APR0 => self.priorities.active[0],
            Register::GICC_NSAPR0 => self.priorities.active[1],
            Register::GICC_IIDR => IIDR,
            Register::GICC_EOIR | Register::GICC_AEOIR | Register::GICC_DIR => 0,
        }
    }

    /// Writes the register at `offset`.
    pub fn write(
        &mut self,
        (cpu, view): (usize, View),
        offset: u64,
        value: u32,
        distributor: &mut Distributor,
    ) {
        let register = Register::write_at(offset);
        if let Some(Register::GICC_DIR) = register {
            let group = distributor.group(cpu, value & NUMBER);
            let may = if view == View::NonSecure { group == Some(Group::One) } else { group.is_some() };
            if self.splits_end(view) && may {
                distributor.deactivate(cpu, value & NUMBER);
            }
            return;
        }
        match (register, view) {
            (Some(Register::GICC_CTLR), View::NonSecure) => {
                self.ctlr = self.ctlr & !ctlr::NON_SECURE | value << 1 & ctlr::NON_SECURE;
            }
            (Some(Register::GICC_PMR), View::NonSecure) => self.priorities.set_non_secure_mask(value as u8),
            (Some(Register::GICC_BPR), View::NonSecure) => self.priorities.set_point(Group::One, value as u8),
            (Some(Register::GICC_EOIR), View::NonSecure) => {
                self.end((cpu, view), Group::One, value, distributor);
            }
            (Some(Register::GICC_APR0), View::NonSecure) => {
                self.priorities.active[1] = value << NON_SECURE_LEVELS;
            }
            (_, View::NonSecure) => {}
            (Some(Register::GICC_CTLR), _) => {
                let all = if distributor.has_two_states() { ctlr::ALL } else { ctlr::ALL_OF_ONE };
                self.ctlr = value & all;
                self.priorities.common_point = value & ctlr::CBPR != 0;
            }
            (Some(Register::GICC_PMR), _) => self.priorities.set_mask(value as u8),
            (Some(Register::GICC_BPR), _) => self.priorities.set_point(Group::Zero, value as u8),
            (Some(Register::GICC_ABPR), _) => self.priorities.set_point(Group::One, value as u8),
            (Some(Register::GICC_EOIR), _) => self.end((cpu, view), Group::Zero, value, distributor),
            (Some(Register::GICC_AEOIR), _) => self.end((cpu, view), Group::One, value, distributor),
            (Some(Register::GICC_APR0), _) => self.priorities.active[0] = value,
            (Some(Register::GICC_NSAPR0), _) => self.priorities.active[1] = value,
            _ => guest_error(super::NAME, format_args!("write of {value:#x} at {offset:#x}")),
        }
    }
}

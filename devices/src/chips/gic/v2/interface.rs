//! The CPU interface: what is signalled to a CPU, taken by it and ended (IHI 0048B chapter 4.4).

use super::Group;
use super::distributor::Distributor;
use crate::chips::gic::priority::Priorities;
use crate::chips::gic::{Candidate, SPURIOUS};
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
    pub const ALL: u32 = 0x7ff & !(1 << 10);
}

/// What an acknowledge gives for group 1 when only group 0 may be taken.
pub(super) const OTHER_GROUP: u32 = 1022;
/// Bits of an interrupt's number; those above name the sender of an SGI.
pub(super) const NUMBER: u32 = 0x3ff;
/// GICC_IIDR.
pub(super) const IIDR: u32 = 0x0202_043b;

/// The CPU interface of one CPU.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Interface {
    ctlr: u32,
    priorities: Priorities,
}

impl Interface {
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

    fn end(&mut self, cpu: usize, by: Group, value: u32, distributor: &mut Distributor) {
        let interrupt = value & NUMBER;
        let Some(group) = distributor.group(cpu, interrupt) else { return };
        let may = match (by, group) {
            (Group::Zero, Group::One) => self.ctlr & ctlr::ACK_CTL != 0,
            (by, group) => by == group,
        };
        if !may {
            return guest_error(super::NAME, format_args!("end of interrupt {interrupt} of the other group"));
        }
        if self.priorities.running_group() == Some(group) {
            self.priorities.drop(group);
        }
        if self.ctlr & ctlr::EOI_MODE == 0 {
            distributor.deactivate(cpu, interrupt);
        }
    }

    /// Reads the register at `offset`.
    pub fn read(&mut self, cpu: usize, offset: u64, distributor: &mut Distributor) -> u32 {
        let number = |found: Result<Candidate, u32>| found.map_or_else(|number| number, |c| c.interrupt);
        match Register::read_at(offset) {
            Some(Register::GICC_CTLR) => self.ctlr,
            Some(Register::GICC_PMR) => self.priorities.mask().into(),
            Some(Register::GICC_BPR) => self.priorities.point(Group::Zero).into(),
            Some(Register::GICC_IAR) => self.acknowledge(cpu, Group::Zero, distributor),
            Some(Register::GICC_RPR) => self.priorities.running().into(),
            Some(Register::GICC_HPPIR) => number(self.visible(distributor.best(cpu), Group::Zero)),
            Some(Register::GICC_ABPR) => self.priorities.point(Group::One).into(),
            Some(Register::GICC_AIAR) => self.acknowledge(cpu, Group::One, distributor),
            Some(Register::GICC_AHPPIR) => number(self.visible(distributor.best(cpu), Group::One)),
            Some(Register::GICC_APR0) => self.priorities.active[0],
            Some(Register::GICC_NSAPR0) => self.priorities.active[1],
            Some(Register::GICC_IIDR) => IIDR,
            Some(Register::GICC_EOIR | Register::GICC_AEOIR | Register::GICC_DIR) | None => 0,
        }
    }

    /// Writes the register at `offset`.
    pub fn write(&mut self, cpu: usize, offset: u64, value: u32, distributor: &mut Distributor) {
        match Register::write_at(offset) {
            Some(Register::GICC_CTLR) => {
                self.ctlr = value & ctlr::ALL;
                self.priorities.common_point = value & ctlr::CBPR != 0;
            }
            Some(Register::GICC_PMR) => self.priorities.set_mask(value as u8),
            Some(Register::GICC_BPR) => self.priorities.set_point(Group::Zero, value as u8),
            Some(Register::GICC_ABPR) => self.priorities.set_point(Group::One, value as u8),
            Some(Register::GICC_EOIR) => self.end(cpu, Group::Zero, value, distributor),
            Some(Register::GICC_AEOIR) => self.end(cpu, Group::One, value, distributor),
            Some(Register::GICC_APR0) => self.priorities.active[0] = value,
            Some(Register::GICC_NSAPR0) => self.priorities.active[1] = value,
            Some(Register::GICC_DIR) if self.ctlr & ctlr::EOI_MODE != 0 => {
                if distributor.group(cpu, value & NUMBER).is_some() {
                    distributor.deactivate(cpu, value & NUMBER);
                }
            }
            _ => guest_error(super::NAME, format_args!("write of {value:#x} at {offset:#x}")),
        }
    }
}

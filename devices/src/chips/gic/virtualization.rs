//! The virtual CPU interface: what a hypervisor lists as interrupts of its guest, and how the guest takes and ends them
//! (IHI 0048B chapter 5, IHI 0069 chapters 6 and 12.4). The rules are those of both versions; each version has its own
//! registers in front of them.

use super::Group;
use super::priority::Priorities;
use serde::{Deserialize, Serialize};

/// List registers, as QEMU's CPUs have them.
pub(super) const LISTS: usize = 4;
/// The first LPI, which is never active.
const FIRST_LPI: u32 = 8192;

/// GICH_HCR and ICH_HCR_EL2.
pub(super) mod hcr {
    /// The interface is on.
    pub const EN: u32 = 1;
    /// Underflow: at most one list register is in use.
    pub const UIE: u32 = 1 << 1;
    /// Interrupts were ended that were not listed.
    pub const LRENPIE: u32 = 1 << 2;
    /// Nothing is pending.
    pub const NPIE: u32 = 1 << 3;
    /// Each group is enabled (even bits) or disabled (odd bits), from here on.
    pub const GROUPS_SHIFT: u32 = 4;
    /// Both versions have these.
    pub const COMMON: u32 = 0xff | EOI_COUNT;
    /// How many interrupts were ended that were not listed.
    pub const EOI_COUNT: u32 = 0x1f << EOI_COUNT_SHIFT;
    /// Lowest bit of that.
    pub const EOI_COUNT_SHIFT: u32 = 27;
}

/// GICH_MISR and ICH_MISR_EL2; a group's two bits stand where GICH_HCR has them.
mod misr {
    pub const EOI: u32 = 1;
    pub const U: u32 = 1 << 1;
    pub const LRENP: u32 = 1 << 2;
    pub const NP: u32 = 1 << 3;
}

/// GICH_VMCR and ICH_VMCR_EL2.
mod vmcr {
    pub const ENABLES: [u32; 2] = [1, 1 << 1];
    pub const ACK_CTL: u32 = 1 << 2;
    pub const FIQ_EN: u32 = 1 << 3;
    pub const CBPR: u32 = 1 << 4;
    pub const EOI_MODE: u32 = 1 << 9;
    /// Binary points of group 0 and group 1.
    pub const POINT_SHIFTS: [u32; 2] = [21, 18];
    pub const MASK_SHIFT: u32 = 24;
}

/// A list register, in the form of ICH_LR_EL2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct List(pub u64);

impl List {
    pub const PENDING: u64 = 1 << 62;
    pub const ACTIVE: u64 = 1 << 63;
    /// It stands for a physical interrupt.
    pub const HARDWARE: u64 = 1 << 61;
    pub const GROUP_1: u64 = 1 << 60;
    /// The hypervisor is told of its end.
    pub const EOI: u64 = 1 << 41;
    pub const PRIORITY_SHIFT: u32 = 48;
    /// The physical interrupt, or who sent a software interrupt.
    pub const PHYSICAL_SHIFT: u32 = 32;
    /// Priorities have five bits.
    const MASK: u64 = !(7 << Self::PRIORITY_SHIFT);

    fn state(self) -> u64 {
        self.0 & (Self::PENDING | Self::ACTIVE)
    }

    pub fn interrupt(self) -> u32 {
        self.0 as u32
    }

    pub fn priority(self) -> u8 {
        (self.0 >> Self::PRIORITY_SHIFT) as u8
    }

    pub fn group(self) -> Group {
        if self.0 & Self::GROUP_1 != 0 { Group::One } else { Group::Zero }
    }

    pub fn is_hardware(self) -> bool {
        self.0 & Self::HARDWARE != 0
    }

    /// The physical interrupt that it stands for.
    pub fn physical(self) -> u32 {
        (self.0 >> Self::PHYSICAL_SHIFT) as u32 & 0x1fff
    }

    fn asks_for_end(self) -> bool {
        self.0 & (Self::HARDWARE | Self::EOI) == Self::EOI
    }
}

/// The virtual interface of one CPU.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct VirtualInterface {
    hcr: u32,
    lists: [List; LISTS],
    enables: [bool; 2],
    /// Reads by way of group 0 take interrupts of group 1, too (version 2).
    pub ack_ctl: bool,
    /// Group 0 is FIQ; always so in version 3.
    pub fiq_en: bool,
    /// Ending an interrupt does not deactivate it.
    pub eoi_mode: bool,
    pub priorities: Priorities,
}

impl VirtualInterface {
    /// The state after a reset of version 3.
    pub fn v3() -> Self {
        Self { fiq_en: true, ..Self::default() }
    }

    /// Whether a loaded state is a possible one.
    pub fn fits(&self) -> bool {
        self.priorities.fits() && self.lists.iter().all(|list| list.0 & !List::MASK == 0)
    }

    /// Hypervisor control.
    pub fn hcr(&self) -> u32 {
        self.hcr
    }

    /// Sets it; `mask` is what the version has of it.
    pub fn set_hcr(&mut self, value: u32, mask: u32) {
        self.hcr = value & mask;
    }

    /// List register `n`.
    pub fn list(&self, n: usize) -> u64 {
        self.lists.get(n).map_or(0, |list| list.0)
    }

    /// Sets it.
    pub fn set_list(&mut self, n: usize, value: u64) {
        if let Some(list) = self.lists.get_mut(n) {
            *list = List(value & List::MASK);
        }
    }

    /// The guest's controls in one register.
    pub fn vmcr(&self) -> u32 {
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        let point =
            |group: Group| u32::from(self.priorities.kept_point(group)) << vmcr::POINT_SHIFTS[group as usize];
        bit(self.enables[0], vmcr::ENABLES[0])
            | bit(self.enables[1], vmcr::ENABLES[1])
            | bit(self.ack_ctl, vmcr::ACK_CTL)
            | bit(self.fiq_en, vmcr::FIQ_EN)
            | bit(self.priorities.common_point, vmcr::CBPR)
            | bit(self.eoi_mode, vmcr::EOI_MODE)
            | point(Group::Zero)
            | point(Group::One)
            | u32::from(self.priorities.mask()) << vmcr::MASK_SHIFT
    }

    /// Sets them, but for those that are version 2's alone.
    pub fn set_vmcr(&mut self, value: u32) {
        self.enables = vmcr::ENABLES.map(|bit| value & bit != 0);
        self.eoi_mode = value & vmcr::EOI_MODE != 0;
        self.priorities.common_point = value & vmcr::CBPR != 0;
        for group in [Group::Zero, Group::One] {
            self.priorities.set_kept_point(group, (value >> vmcr::POINT_SHIFTS[group as usize]) as u8);
        }
        self.priorities.set_mask((value >> vmcr::MASK_SHIFT) as u8);
    }

    /// Sets those, too.
    pub fn set_vmcr_v2(&mut self, value: u32) {
        self.set_vmcr(value);
        (self.ack_ctl, self.fiq_en) = (value & vmcr::ACK_CTL != 0, value & vmcr::FIQ_EN != 0);
    }

    /// Whether the guest lets a group in.
    pub fn enabled(&self, group: Group) -> bool {
        self.enables[group as usize]
    }

    /// The guest lets a group in, or not.
    pub fn enable(&mut self, group: Group, on: bool) {
        self.enables[group as usize] = on;
    }

    /// The most urgent pending interrupt of the groups that are let in: the number of its list register.
    fn best(&self) -> Option<usize> {
        let waits =
            |n: &usize| self.lists[*n].state() == List::PENDING && self.enabled(self.lists[*n].group());
        (0..LISTS).filter(waits).min_by_key(|n| self.lists[*n].priority())
    }

    /// The same, whether it may break in or not.
    pub fn pending(&self) -> Option<List> {
        self.best().map(|n| self.lists[n])
    }

    /// The one that may break in now.
    pub fn signalled(&self) -> Option<List> {
        let on = self.hcr & hcr::EN != 0;
        self.pending().filter(|list| on && self.priorities.lets_in(list.priority(), list.group()))
    }

    /// Levels of virtual IRQ and virtual FIQ.
    pub fn pins(&self) -> [bool; 2] {
        let fiq = |list: List| list.group() == Group::Zero && self.fiq_en;
        self.signalled().map_or([false, false], |list| [!fiq(list), fiq(list)])
    }

    /// The guest takes what is signalled.
    pub fn acknowledge(&mut self) -> Option<List> {
        let n = self.best().filter(|_| self.signalled().is_some())?;
        let list = &mut self.lists[n];
        list.0 = list.0 & !List::PENDING | List::ACTIVE;
        let taken = *list;
        self.priorities.raise(taken.priority(), taken.group());
        Some(taken)
    }

    /// The guest ends `interrupt`: the physical interrupt that is deactivated by it. Version 3 wants it to be of `group` and to be
    /// what runs; version 2 leaves open what comes of others. One that is not listed is counted if `counts`.
    pub fn end(&mut self, group: Option<Group>, interrupt: u32, counts: bool) -> Option<u32> {
        let (priority, of) = (self.priorities.running(), self.priorities.running_group());
        match of {
            Some(of) => self.priorities.drop(of),
            None if group.is_some() => return None,
            None => {}
        }
        let Some(n) = self.active(interrupt) else {
            if counts && of.is_some() && interrupt < FIRST_LPI {
                self.count_end();
            }
            return None;
        };
        let list = self.lists[n];
        let runs = |group| self.priorities.group_part(list.priority(), group) == priority;
        let matches = group.is_none_or(|group| list.group() == group && runs(group));
        if matches && (!self.eoi_mode || interrupt >= FIRST_LPI) { self.deactivate_list(n) } else { None }
    }

    /// The guest deactivates `interrupt`, likewise.
    pub fn deactivate(&mut self, interrupt: u32) -> Option<u32> {
        match self.active(interrupt) {
            Some(n) => self.deactivate_list(n),
            None => {
                self.count_end();
                None
            }
        }
    }

    fn active(&self, interrupt: u32) -> Option<usize> {
        self.lists.iter().position(|list| list.0 & List::ACTIVE != 0 && list.interrupt() == interrupt)
    }

    fn deactivate_list(&mut self, n: usize) -> Option<u32> {
        let list = &mut self.lists[n];
        list.0 &= !List::ACTIVE;
        list.is_hardware().then(|| list.physical())
    }

    fn count_end(&mut self) {
        let count = (self.hcr >> hcr::EOI_COUNT_SHIFT).wrapping_add(1);
        self.hcr = self.hcr & !hcr::EOI_COUNT | count << hcr::EOI_COUNT_SHIFT;
    }

    /// A bit for each list register of which `is` holds.
    fn lists_where(&self, is: impl Fn(List) -> bool) -> u32 {
        (0..LISTS).filter(|n| is(self.lists[*n])).fold(0, |bits, n| bits | 1 << n)
    }

    /// List registers whose end the hypervisor is to be told of.
    pub fn ended(&self) -> u32 {
        self.lists_where(|list| list.state() == 0 && list.asks_for_end())
    }

    /// List registers that are free.
    pub fn free(&self) -> u32 {
        self.lists_where(|list| list.state() == 0 && !list.asks_for_end())
    }

    /// Why the hypervisor is wanted.
    pub fn misr(&self) -> u32 {
        let when = |on: bool, bit: u32| if on { bit } else { 0 };
        let asked = |bit: u32| self.hcr & bit != 0;
        let in_use = self.lists_where(|list| list.state() != 0).count_ones();
        let pending = self.lists_where(|list| list.state() == List::PENDING);
        let groups = (0..2).fold(0, |all, group| {
            let on = hcr::GROUPS_SHIFT + 2 * group;
            let bit = if self.enables[group as usize] { on } else { on + 1 };
            all | self.hcr & 1 << bit
        });
        when(self.ended() != 0, misr::EOI)
            | when(asked(hcr::UIE) && in_use < 2, misr::U)
            | when(asked(hcr::LRENPIE) && self.hcr & hcr::EOI_COUNT != 0, misr::LRENP)
            | when(asked(hcr::NPIE) && pending == 0, misr::NP)
            | groups
    }

    /// The level of the maintenance interrupt.
    pub fn maintenance(&self) -> bool {
        self.hcr & hcr::EN != 0 && self.misr() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: u32 = hcr::EN;

    fn pending(interrupt: u64, priority: u64) -> u64 {
        List::PENDING | List::GROUP_1 | priority << List::PRIORITY_SHIFT | interrupt
    }

    fn guest() -> VirtualInterface {
        let mut guest = VirtualInterface::v3();
        guest.set_hcr(RUNNING, u32::MAX);
        guest.set_vmcr(0xf8 << vmcr::MASK_SHIFT | vmcr::ENABLES[1]);
        guest
    }

    #[test]
    fn a_listed_interrupt_is_signalled_taken_and_ended() {
        let mut guest = guest();
        guest.set_list(0, pending(40, 0x80));
        guest.set_list(2, pending(41, 0x40) | List::HARDWARE | 41 << List::PHYSICAL_SHIFT);
        assert_eq!(guest.pins(), [true, false]);
        assert_eq!(guest.acknowledge().map(List::interrupt), Some(41), "the more urgent one");
        assert_eq!(guest.pins(), [false, false], "the other one may not break in");
        assert_eq!(guest.end(Some(Group::One), 41, true), Some(41), "the physical interrupt ends with it");
        assert_eq!(guest.acknowledge().map(List::interrupt), Some(40));
        assert_eq!(guest.end(Some(Group::One), 40, true), None);
        assert_eq!((guest.pins(), guest.free()), ([false, false], 0b1111));
    }

    #[test]
    fn the_hypervisor_is_told() {
        let mut guest = guest();
        assert!(!guest.maintenance());
        guest.set_hcr(RUNNING | hcr::UIE, u32::MAX);
        assert_eq!((guest.misr(), guest.maintenance()), (misr::U, true));
        guest.set_hcr(RUNNING, u32::MAX);
        guest.set_list(1, pending(40, 0x80) | List::EOI);
        guest.acknowledge();
        assert_eq!(guest.misr(), 0);
        guest.end(Some(Group::One), 40, true);
        assert_eq!((guest.misr(), guest.ended(), guest.free()), (misr::EOI, 0b10, 0b1101));
        // What is not listed is counted.
        guest.set_list(1, 0);
        guest.priorities.raise(0x80, Group::One);
        guest.end(Some(Group::One), 50, true);
        assert_eq!(guest.hcr() >> hcr::EOI_COUNT_SHIFT, 1);
    }
}

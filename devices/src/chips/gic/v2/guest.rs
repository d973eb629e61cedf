//! The virtual CPU interface on the bus: the hypervisor's view (GICH) and the guest's (GICV), which stands where a guest
//! expects the CPU interface (IHI 0048B chapters 5.3 and 5.5).

use super::Group;
use super::interface::{IIDR, NUMBER, OTHER_GROUP};
use crate::chips::gic::priority::PRIORITY_BITS;
use crate::chips::gic::virtualization::{LISTS, List, VirtualInterface, hcr};
use crate::chips::gic::{FIRST_SPECIAL, SPURIOUS};
use crate::chips::guest_error;
use crate::chips::registers::registers;

registers! {
    /// The hypervisor's registers, beside list registers.
    pub enum HypervisorRegister {
        /// Control.
        0x000 GICH_HCR RW = 0;
        /// What there is.
        0x004 GICH_VTR R = 0x9000_0003;
        /// The guest's controls.
        0x008 GICH_VMCR RW = 0x004c_0000;
        /// Why the maintenance interrupt is asked for.
        0x010 GICH_MISR R = 0;
        /// List registers whose interrupts were ended.
        0x020 GICH_EISR0 R = 0;
        /// List registers that are free.
        0x030 GICH_ELRSR0 R = 0xf;
        /// Active priorities.
        0x0f0 GICH_APR RW = 0;
    }
}

registers! {
    /// The guest's registers.
    pub enum GuestRegister {
        /// Control.
        0x0000 GICV_CTLR RW = 0;
        /// Priority mask.
        0x0004 GICV_PMR RW = 0;
        /// Binary point of group 0.
        0x0008 GICV_BPR RW = 2;
        /// Acknowledge.
        0x000c GICV_IAR R = 1023;
        /// End of interrupt.
        0x0010 GICV_EOIR W;
        /// Running priority.
        0x0014 GICV_RPR R = 0xff;
        /// Highest priority pending interrupt.
        0x0018 GICV_HPPIR R = 1023;
        /// Binary point of group 1.
        0x001c GICV_ABPR RW = 3;
        /// Acknowledge, group 1 only.
        0x0020 GICV_AIAR R = 1023;
        /// End of interrupt, group 1 only.
        0x0024 GICV_AEOIR W;
        /// Highest priority pending interrupt, group 1 only.
        0x0028 GICV_AHPPIR R = 1023;
        /// Active priorities.
        0x00d0 GICV_APR0 RW = 0;
        /// Who made it: a GIC-400 of Arm.
        0x00fc GICV_IIDR R = 0x0202_043b;
        /// Deactivate.
        0x1000 GICV_DIR W;
    }
}

/// Where the list registers are.
const LISTS_AT: std::ops::Range<u64> = 0x100..0x200;

/// A list register as GICH_LR has it.
mod lr {
    pub const NUMBER: u64 = 0x3ff;
    pub const PHYSICAL_SHIFT: u32 = 10;
    pub const PRIORITY_SHIFT: u32 = 23;
    pub const PRIORITY: u64 = 0x1f;
    /// State, group and whether it is a physical interrupt stand in one order in both forms.
    pub const TOP_SHIFT: u32 = 28;
    pub const STATE: u64 = 3;
    pub const GROUP_1: u64 = 1 << 30;
    pub const HARDWARE: u64 = 1 << 31;
}
/// List registers have three more bits of priorities than there are.
const PRIORITY_SHIFT: u32 = 8 - PRIORITY_BITS;

/// A list register of this version in the form of version 3.
fn widened(raw: u32) -> u64 {
    let raw = u64::from(raw);
    let when = |bit: u64, to: u64| if raw & bit != 0 { to } else { 0 };
    raw & lr::NUMBER
        | (raw >> lr::PHYSICAL_SHIFT & lr::NUMBER) << List::PHYSICAL_SHIFT
        | (raw >> lr::PRIORITY_SHIFT & lr::PRIORITY) << (List::PRIORITY_SHIFT + PRIORITY_SHIFT)
        | (raw >> lr::TOP_SHIFT & lr::STATE) << 62
        | when(lr::GROUP_1, List::GROUP_1)
        | when(lr::HARDWARE, List::HARDWARE)
}

/// And back.
fn narrowed(list: u64) -> u32 {
    let when = |bit: u64, to: u64| if list & bit != 0 { to } else { 0 };
    let raw = list & lr::NUMBER
        | (list >> List::PHYSICAL_SHIFT & lr::NUMBER) << lr::PHYSICAL_SHIFT
        | (list >> (List::PRIORITY_SHIFT + PRIORITY_SHIFT) & lr::PRIORITY) << lr::PRIORITY_SHIFT
        | (list >> 62 & lr::STATE) << lr::TOP_SHIFT
        | when(List::GROUP_1, lr::GROUP_1)
        | when(List::HARDWARE, lr::HARDWARE);
    raw as u32
}

/// The interrupt that `value` names; `None` if the number is one that names none.
fn existing(value: u32) -> Option<u32> {
    Some(value & NUMBER).filter(|number| *number < FIRST_SPECIAL)
}

/// GICV_CTLR, whose bits stand where GICH_VMCR has them.
const CTLR: u32 = 0x21f;

impl VirtualInterface {
    /// The hypervisor reads the register at `offset`.
    pub fn read_hypervisor_v2(&self, offset: u64) -> u32 {
        if LISTS_AT.contains(&offset) {
            return narrowed(self.list(((offset - LISTS_AT.start) / 4) as usize));
        }
        let bits = PRIORITY_BITS - 1;
        match HypervisorRegister::read_at(offset) {
            Some(HypervisorRegister::GICH_HCR) => self.hcr(),
            Some(HypervisorRegister::GICH_VTR) => bits << 29 | bits << 26 | (LISTS as u32 - 1),
            Some(HypervisorRegister::GICH_VMCR) => self.vmcr(),
            Some(HypervisorRegister::GICH_MISR) => self.misr(),
            Some(HypervisorRegister::GICH_EISR0) => self.ended(),
            Some(HypervisorRegister::GICH_ELRSR0) => self.free(),
            Some(HypervisorRegister::GICH_APR) => self.active_v2(),
            None => 0,
        }
    }

    /// The hypervisor writes it.
    pub fn write_hypervisor_v2(&mut self, offset: u64, value: u32) {
        if LISTS_AT.contains(&offset) {
            return self.set_list(((offset - LISTS_AT.start) / 4) as usize, widened(value));
        }
        match HypervisorRegister::write_at(offset) {
            Some(HypervisorRegister::GICH_HCR) => self.set_hcr(value, hcr::COMMON),
            Some(HypervisorRegister::GICH_VMCR) => self.set_vmcr_v2(value),
            Some(HypervisorRegister::GICH_APR) => self.priorities.active = [value, 0, 0],
            _ => guest_error(super::NAME, format_args!("write of {value:#x} at {offset:#x} of GICH")),
        }
    }

    /// One register has the active priorities of both groups.
    fn active_v2(&self) -> u32 {
        self.priorities.active[0] | self.priorities.active[1]
    }

    /// What a read by way of `by` may see; or the number that it gets instead.
    fn visible(&self, list: Option<List>, by: Group) -> Result<List, u32> {
        let list = list.ok_or(SPURIOUS)?;
        match (by, list.group()) {
            (Group::One, Group::Zero) => Err(SPURIOUS),
            (Group::Zero, Group::One) if !self.ack_ctl => Err(OTHER_GROUP),
            _ => Ok(list),
        }
    }

    /// The value that names an interrupt: its number, and the sender of a software interrupt.
    fn named(list: List) -> u32 {
        let sender = if list.is_hardware() { 0 } else { list.physical() & 7 };
        list.interrupt() & NUMBER | sender << 10
    }

    fn take(&mut self, by: Group) -> u32 {
        match self.visible(self.signalled(), by) {
            Err(number) => number,
            Ok(_) => self.acknowledge().map_or(SPURIOUS, Self::named),
        }
    }

    fn waiting(&self, by: Group) -> u32 {
        self.visible(self.pending(), by).map_or_else(|number| number, Self::named)
    }

    /// The guest reads the register at `offset`.
    pub fn read_guest_v2(&mut self, offset: u64) -> u32 {
        match GuestRegister::read_at(offset) {
            Some(GuestRegister::GICV_CTLR) => self.vmcr() & CTLR,
            Some(GuestRegister::GICV_PMR) => self.priorities.mask().into(),
            Some(GuestRegister::GICV_BPR) => self.priorities.point(Group::Zero).into(),
            Some(GuestRegister::GICV_IAR) => self.take(Group::Zero),
            Some(GuestRegister::GICV_RPR) => self.priorities.running().into(),
            Some(GuestRegister::GICV_HPPIR) => self.waiting(Group::Zero),
            Some(GuestRegister::GICV_ABPR) => self.priorities.point(Group::One).into(),
            Some(GuestRegister::GICV_AIAR) => self.take(Group::One),
            Some(GuestRegister::GICV_AHPPIR) => self.waiting(Group::One),
            Some(GuestRegister::GICV_APR0) => self.active_v2(),
            Some(GuestRegister::GICV_IIDR) => IIDR,
            Some(GuestRegister::GICV_EOIR | GuestRegister::GICV_AEOIR | GuestRegister::GICV_DIR) | None => 0,
        }
    }

    /// The guest writes it: the physical interrupt that is deactivated by it.
    pub fn write_guest_v2(&mut self, offset: u64, value: u32) -> Option<u32> {
        match GuestRegister::write_at(offset) {
            Some(GuestRegister::GICV_CTLR) => self.set_vmcr_v2(self.vmcr() & !CTLR | value & CTLR),
            Some(GuestRegister::GICV_PMR) => self.priorities.set_mask(value as u8),
            Some(GuestRegister::GICV_BPR) => self.priorities.set_point(Group::Zero, value as u8),
            Some(GuestRegister::GICV_ABPR) => self.priorities.set_point(Group::One, value as u8),
            Some(GuestRegister::GICV_EOIR | GuestRegister::GICV_AEOIR) => {
                // Where ending and deactivating are two, what is not listed is counted when it is deactivated.
                return self.end(None, existing(value)?, !self.eoi_mode);
            }
            Some(GuestRegister::GICV_APR0) => self.priorities.active = [value, 0, 0],
            Some(GuestRegister::GICV_DIR) if self.eoi_mode => return self.deactivate(existing(value)?),
            _ => guest_error(super::NAME, format_args!("a guest's write of {value:#x} at {offset:#x}")),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_registers_have_two_forms() {
        for raw in [0x1204_5678, 0xff8f_ffff, 0x9000_0000, 0x4800_0c05] {
            assert_eq!(narrowed(widened(raw)), raw);
        }
        let list = List(widened(0x5b80_0c05 | 1 << 19));
        assert_eq!((list.interrupt(), list.priority(), list.group()), (5, 0xb8, Group::One));
        assert_eq!((list.0 & List::EOI != 0, VirtualInterface::named(list)), (true, 0xc05));
    }
}

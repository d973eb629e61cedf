//! The virtual CPU interface behind system registers: `ICH_*_EL2` for the hypervisor, and `ICV_*_EL1`, which a guest finds
//! under the names of the physical interface (IHI 0069 chapters 12.3 and 12.4).

use super::interface::{NUMBER, Register, control, control_of, existing};
use crate::chips::gic::priority::PRIORITY_BITS;
use crate::chips::gic::virtualization::{LISTS, VirtualInterface, hcr};
use crate::chips::gic::{FIRST_SPECIAL, Group, SPURIOUS};
use crate::chips::guest_error;

/// A register of the hypervisor: the manual's name without `ICH_` and `_EL2`.
#[allow(clippy::upper_case_acronyms, reason = "the manual's names")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HypervisorRegister {
    /// Control.
    HCR,
    /// What there is.
    VTR,
    /// Why the maintenance interrupt is asked for.
    MISR,
    /// List registers whose interrupts were ended.
    EISR,
    /// List registers that are free.
    ELRSR,
    /// The guest's controls.
    VMCR,
    /// Active priorities of a group.
    APR(Group),
    /// List register.
    LR(u8),
}

/// ICH_HCR_EL2 beyond what both versions have: traps, and TSEI.
const HCR: u32 = hcr::COMMON | 0x7c00;

/// ICH_VTR_EL2: no direct injection of virtual interrupts, writes of ICV_DIR_EL1 are trapped apart, affinity level 3, and numbers
/// of 24 bits.
const VTR: u64 = {
    let bits = (PRIORITY_BITS - 1) as u64;
    bits << 29 | bits << 26 | 1 << 23 | 1 << 21 | 1 << 20 | 1 << 19 | (LISTS as u64 - 1)
};

impl VirtualInterface {
    /// The hypervisor reads.
    pub fn read_hypervisor(&self, register: HypervisorRegister) -> u64 {
        match register {
            HypervisorRegister::HCR => self.hcr().into(),
            HypervisorRegister::VTR => VTR,
            HypervisorRegister::MISR => self.misr().into(),
            HypervisorRegister::EISR => self.ended().into(),
            HypervisorRegister::ELRSR => self.free().into(),
            HypervisorRegister::VMCR => self.vmcr().into(),
            HypervisorRegister::APR(group) => self.priorities.active[group as usize].into(),
            HypervisorRegister::LR(n) => self.list(n.into()),
        }
    }

    /// The hypervisor writes.
    pub fn write_hypervisor(&mut self, register: HypervisorRegister, value: u64) {
        match register {
            HypervisorRegister::HCR => self.set_hcr(value as u32, HCR),
            HypervisorRegister::VMCR => self.set_vmcr(value as u32),
            HypervisorRegister::APR(group) => self.priorities.active[group as usize] = value as u32,
            HypervisorRegister::LR(n) => self.set_list(n.into(), value),
            HypervisorRegister::VTR
            | HypervisorRegister::MISR
            | HypervisorRegister::EISR
            | HypervisorRegister::ELRSR => {}
        }
    }

    /// The guest reads.
    pub fn read_guest(&mut self, register: Register) -> u64 {
        match register {
            Register::IAR(group) => {
                let taken = self.signalled().filter(|list| list.group() == group);
                let taken = taken.and_then(|_| self.acknowledge());
                taken.map_or(SPURIOUS, |list| list.interrupt()).into()
            }
            Register::HPPIR(group) => {
                let waits = self.pending().filter(|list| list.group() == group);
                waits.map_or(SPURIOUS, |list| list.interrupt()).into()
            }
            Register::PMR => self.priorities.mask().into(),
            Register::BPR(group) => self.priorities.point(group).into(),
            Register::IGRPEN(group) => self.enabled(group).into(),
            Register::RPR => self.priorities.running().into(),
            Register::APR(group, 0) => self.priorities.active[group as usize].into(),
            Register::CTLR => control(self.priorities.common_point, self.eoi_mode),
            // Write-only, or beyond the levels there are.
            Register::EOIR(_) | Register::DIR | Register::APR(..) => 0,
            Register::SGI0R | Register::SGI1R | Register::ASGI1R => 0,
            // No guest's.
            Register::CTLR_EL3 | Register::IGRPEN1_EL3 => 0,
        }
    }

    /// The guest writes: the physical interrupt that is deactivated by it.
    pub fn write_guest(&mut self, register: Register, value: u64) -> Option<u32> {
        let number = (value & NUMBER) as u32;
        match register {
            Register::EOIR(group) => return self.end(Some(group), existing(number)?, true),
            // Messages are never active.
            Register::DIR if self.eoi_mode && number < FIRST_SPECIAL => return self.deactivate(number),
            Register::DIR if self.eoi_mode => {}
            Register::PMR => self.priorities.set_mask(value as u8),
            Register::BPR(group) => self.priorities.set_point(group, value as u8),
            Register::IGRPEN(group) => self.enable(group, value & 1 != 0),
            Register::APR(group, 0) => self.priorities.active[group as usize] = value as u32,
            Register::CTLR => {
                (self.priorities.common_point, self.eoi_mode) = control_of(value);
            }
            Register::APR(..) => {}
            _ => guest_error(super::NAME, format_args!("a guest's write of {value:#x} to {register:?}")),
        }
        None
    }
}

//! The CPU interfaces of the device, as system registers of the CPUs.

use std::sync::Arc;

use devices::chips::gic::Group;
use devices::chips::gic::v3::{CpuInterfaces, HypervisorRegister, InterfaceRegister};
use tcg_aarch64::gic::{GicCpuInterface, GicRegister, IccRegister, IchRegister};

/// Joins them. There is one security state, so it does not matter where an access is made from.
pub struct Joined(pub Arc<CpuInterfaces>);

impl GicCpuInterface for Joined {
    fn read(&self, cpu: usize, register: GicRegister) -> u64 {
        match register {
            GicRegister::Physical(register, _) => {
                device_register(register).map_or(0, |register| self.0.read(cpu, register))
            }
            GicRegister::Virtual(register) => {
                device_register(register).map_or(0, |register| self.0.read_guest(cpu, register))
            }
            GicRegister::Hypervisor(register) => self.0.read_hypervisor(cpu, hypervisor_register(register)),
        }
    }

    fn write(&self, cpu: usize, register: GicRegister, value: u64) {
        match register {
            GicRegister::Physical(register, _) => {
                if let Some(register) = device_register(register) {
                    self.0.write(cpu, register, value);
                }
            }
            GicRegister::Virtual(register) => {
                if let Some(register) = device_register(register) {
                    self.0.write_guest(cpu, register, value);
                }
            }
            GicRegister::Hypervisor(register) => {
                self.0.write_hypervisor(cpu, hypervisor_register(register), value);
            }
        }
    }
}

/// The device's name of a register; those of other security states are not there.
fn device_register(register: IccRegister) -> Option<InterfaceRegister> {
    use InterfaceRegister as Device;
    Some(match register {
        IccRegister::Iar0 => Device::IAR(Group::Zero),
        IccRegister::Iar1 => Device::IAR(Group::One),
        IccRegister::Eoir0 => Device::EOIR(Group::Zero),
        IccRegister::Eoir1 => Device::EOIR(Group::One),
        IccRegister::Dir => Device::DIR,
        IccRegister::Pmr => Device::PMR,
        IccRegister::Bpr0 => Device::BPR(Group::Zero),
        IccRegister::Bpr1 => Device::BPR(Group::One),
        IccRegister::Ctlr => Device::CTLR,
        IccRegister::Igrpen0 => Device::IGRPEN(Group::Zero),
        IccRegister::Igrpen1 => Device::IGRPEN(Group::One),
        IccRegister::Rpr => Device::RPR,
        IccRegister::Hppir0 => Device::HPPIR(Group::Zero),
        IccRegister::Hppir1 => Device::HPPIR(Group::One),
        IccRegister::Sgi0r => Device::SGI0R,
        IccRegister::Sgi1r => Device::SGI1R,
        IccRegister::Ap0r(n) => Device::APR(Group::Zero, n),
        IccRegister::Ap1r(n) => Device::APR(Group::One, n),
        IccRegister::Asgi1r | IccRegister::CtlrEl3 | IccRegister::Igrpen1El3 => return None,
    })
}

fn hypervisor_register(register: IchRegister) -> HypervisorRegister {
    use HypervisorRegister as Device;
    match register {
        IchRegister::Hcr => Device::HCR,
        IchRegister::Vtr => Device::VTR,
        IchRegister::Misr => Device::MISR,
        IchRegister::Eisr => Device::EISR,
        IchRegister::Elrsr => Device::ELRSR,
        IchRegister::Vmcr => Device::VMCR,
        IchRegister::Ap0r => Device::APR(Group::Zero),
        IchRegister::Ap1r => Device::APR(Group::One),
        IchRegister::Lr(n) => Device::LR(n),
    }
}

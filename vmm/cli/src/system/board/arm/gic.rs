//! The CPU interfaces of the device, as system registers of the CPUs.

use std::sync::Arc;

use devices::chips::gic::Group;
use devices::chips::gic::v3::{CpuInterfaces, HypervisorRegister, InterfaceRegister, Origin};
use tcg_aarch64::gic::{GicCpuInterface, GicRegister, IccRegister, IchRegister, Level};

/// Joins them.
pub struct Joined(pub Arc<CpuInterfaces>);

impl GicCpuInterface for Joined {
    fn read(&self, cpu: usize, register: GicRegister) -> u64 {
        match register {
            GicRegister::Physical(register, level) => {
                self.0.read(cpu, device_register(register), origin(level))
            }
            GicRegister::Virtual(register) => self.0.read_guest(cpu, device_register(register)),
            GicRegister::Hypervisor(register) => self.0.read_hypervisor(cpu, hypervisor_register(register)),
        }
    }

    fn write(&self, cpu: usize, register: GicRegister, value: u64) {
        match register {
            GicRegister::Physical(register, level) => {
                self.0.write(cpu, device_register(register), origin(level), value);
            }
            GicRegister::Virtual(register) => self.0.write_guest(cpu, device_register(register), value),
            GicRegister::Hypervisor(register) => {
                self.0.write_hypervisor(cpu, hypervisor_register(register), value);
            }
        }
    }
}

fn origin(level: Level) -> Origin {
    let Level { el, secure, fiq_to_el3, irq_to_el3 } = level;
    Origin { el, secure, fiq_to_el3, irq_to_el3 }
}

/// The device's name of a register.
fn device_register(register: IccRegister) -> InterfaceRegister {
    use InterfaceRegister as Device;
    match register {
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
        IccRegister::Asgi1r => Device::ASGI1R,
        IccRegister::CtlrEl3 => Device::CTLR_EL3,
        IccRegister::Igrpen1El3 => Device::IGRPEN1_EL3,
    }
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

//! The boards: what [`System::build`](super::System::build) leaves to a guest architecture and its machine.

pub mod arm;
pub mod riscv;
mod semihost;

use std::sync::Arc;

use base::{CpuLines, Device, GuestRam, Shared};
use control::CpuModelInfo;
use engine::Power;
use machines::{Chassis, Parts};
use tcg_core::debug::Debuggable;
use tcg_core::guest::Guest;
use tcg_core::run::Vcpu;
use tcg_core::saved::Saved;

use super::chardevs::Chardevs;
use super::error::SystemError;
use super::panic_watch::PanicWatch;
use crate::options::{CpuModel, SystemOptions};
use crate::personality::Arch;

/// What is around a board when its firmware is put in.
pub struct Around<'a> {
    /// The command line.
    pub options: &'a SystemOptions,
    /// Character devices.
    pub chardevs: &'a Chardevs,
    /// Who turns the machine off.
    pub power: &'a Arc<Power>,
    /// The first serial port's line.
    pub serial: &'a Arc<PanicWatch>,
}

/// A board with its CPUs and firmware.
pub trait Board: Sized + Send + 'static {
    /// The guest architecture.
    type Guest: Debuggable + Saved;
    /// What `-cpu` names.
    type Model;

    /// Start of RAM.
    const RAM_BASE: u64;
    /// Bytes of each flash chip.
    const FLASH_SIZE: u64;

    /// The CPU model that the options name, or the usual one.
    fn model(options: &SystemOptions) -> Result<Self::Model, SystemError>;
    /// QEMU's name of the type of the CPUs.
    fn cpu_type(model: &Self::Model) -> String;
    /// Builds the board, reads the images, and decides where each goes.
    fn build(model: Self::Model, options: &SystemOptions, parts: Parts) -> Result<Self, SystemError>;
    /// What it has in common with others.
    fn chassis(&self) -> &Chassis;
    /// The device tree.
    fn device_tree(&self) -> &[u8];
    /// Puts into memory what is there at power-on.
    fn load(&self, ram: &GuestRam) -> Result<(), SystemError>;
    /// CPU `number`, with its wires.
    fn cpu(&self, number: usize, lines: &Arc<CpuLines>) -> <Self::Guest as Guest>::Cpu;
    /// Puts the firmware within this program under the CPUs: once, before the machine runs.
    fn install(&mut self, vcpus: &mut [Vcpu<Self::Guest>], around: Around<'_>) -> Result<(), SystemError>;
    /// Puts the CPUs where they start.
    fn reset(&self, vcpus: &mut [Vcpu<Self::Guest>]);
    /// What the firmware within this program keeps, to be saved with the devices.
    fn firmware(&self) -> Vec<(String, Shared<dyn Device>)>;
    /// Instructions that the CPUs run by turns after a reset.
    fn in_step(&self) -> usize {
        0
    }
}

/// The models of `-cpu`.
pub fn cpu_models(arch: Arch) -> Vec<CpuModelInfo> {
    match arch {
        Arch::Aarch64 => arm::cpu_models(),
        Arch::Riscv64 => riscv::cpu_models(),
    }
}

/// The properties of `model` that are on or off.
pub fn cpu_switches(arch: Arch, model: &CpuModel) -> Result<Vec<(String, bool)>, SystemError> {
    Ok(match arch {
        Arch::Aarch64 => arm::cpu_model(Some(model))?.switches(),
        Arch::Riscv64 => riscv::cpu_model(Some(model))?.switches(),
    })
}

/// `-cpu help`.
pub fn cpu_listing(arch: Arch) -> String {
    match arch {
        Arch::Aarch64 => arm::cpu_listing(),
        Arch::Riscv64 => riscv::cpu_listing(),
    }
}

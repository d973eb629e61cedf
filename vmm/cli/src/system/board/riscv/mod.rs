//! riscv64's `virt`.

mod boot;
mod cpu;

pub use cpu::{listing as cpu_listing, model as cpu_model, models as cpu_models};

use std::sync::Arc;

use base::{CpuLines, Device, GuestRam, Shared, shared};
use engine::riscv::Sbi;
use machines::riscv_virt::map::{Chip, RAM_BASE, find};
use machines::riscv_virt::{Config, Virt};
use machines::{Chassis, Parts};
use tcg_core::run::Vcpu;
use tcg_riscv::Riscv;
use tcg_riscv::cpu::Hart;

use super::{Around, Board, semihost};
use crate::options::SystemOptions;
use crate::system::error::SystemError;
use crate::system::write_all;
use boot::Boot;
use cpu::Model;

/// The board.
pub struct RiscvVirt {
    board: Virt,
    boot: Boot,
    model: Model,
    sbi: Option<Arc<Sbi>>,
}

impl Board for RiscvVirt {
    type Guest = Riscv;
    type Model = Model;

    const RAM_BASE: u64 = RAM_BASE;
    const FLASH_SIZE: u64 = 32 << 20;

    fn model(options: &SystemOptions) -> Result<Model, SystemError> {
        cpu::model(options.cpu.as_ref())
    }

    fn cpu_type(model: &Model) -> String {
        model.type_name()
    }

    fn build(model: Model, options: &SystemOptions, parts: Parts) -> Result<Self, SystemError> {
        debug_assert_eq!(find(Chip::Flash(0)).size, Self::FLASH_SIZE, "the table says so, too");
        let config = Config { hart_info: model.info(), aclint: options.machine.aclint };
        let mut board = Virt::build(parts, config)?;
        let boot = Boot::plan(options, &mut board)?;
        Ok(Self { board, boot, model, sbi: None })
    }

    fn chassis(&self) -> &Chassis {
        &self.board.chassis
    }

    fn device_tree(&self) -> &[u8] {
        self.boot.device_tree()
    }

    fn load(&self, ram: &GuestRam) -> Result<(), SystemError> {
        self.boot.load(ram, &self.board)
    }

    fn cpu(&self, number: usize, lines: &Arc<CpuLines>) -> Hart {
        self.model.hart(number as u64, &self.board.time, lines)
    }

    fn install(&mut self, vcpus: &mut [Vcpu<Riscv>], around: Around<'_>) -> Result<(), SystemError> {
        self.sbi = self.boot.needs_sbi().then(|| {
            let serial = around.serial.clone();
            let console = move |bytes: &[u8]| write_all(&*serial, bytes);
            Sbi::new(vcpus.len(), around.power.clone(), Box::new(console))
        });
        let semihost = semihost::start(RAM_BASE, around.options, around.chardevs, around.power)?;
        engine::riscv::install(vcpus, self.sbi.as_ref(), semihost.as_ref());
        Ok(())
    }

    fn reset(&self, vcpus: &mut [Vcpu<Riscv>]) {
        self.boot.reset(vcpus, self.sbi.as_ref());
    }

    fn firmware(&self) -> Vec<(String, Shared<dyn Device>)> {
        let sbi = self.sbi.iter();
        sbi.map(|sbi| ("sbi".into(), shared(sbi.parked()) as Shared<dyn Device>)).collect()
    }

    fn in_step(&self) -> usize {
        if self.boot.needs_sbi() { 0 } else { engine::riscv::IN_STEP }
    }
}

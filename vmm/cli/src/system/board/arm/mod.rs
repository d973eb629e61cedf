//! aarch64's `virt`.

mod boot;
mod cpu;
mod gic;

pub use cpu::listing as cpu_listing;

use std::sync::Arc;

use base::{CpuLines, Device, GuestRam, IrqLine, Shared, shared};
use engine::Event;
use engine::arm::{self, Psci};
use machines::arm_virt::map::{RAM_BASE, ppi};
use machines::arm_virt::{Conduit, Config, GicVersion, PinNumbers, Topology, Virt};
use machines::{Chassis, Parts};
use tcg_aarch64::board::{Board as PeBoard, TimerLines, Wiring};
use tcg_aarch64::cpu::Cpu;
use tcg_aarch64::gic::GicCpuInterface;
use tcg_aarch64::tlbi::Domain;
use tcg_aarch64::{Aarch64, irq};
use tcg_core::run::Vcpu;

use super::{Around, Board, semihost};
use crate::options::SystemOptions;
use crate::system::error::SystemError;
use boot::Boot;
use cpu::Model;

/// The most CPUs that a GICv2 knows.
const GIC_V2_CPUS: u32 = 8;

/// The board.
pub struct ArmVirt {
    board: Virt,
    boot: Boot,
    model: Model,
    gic: Option<Arc<dyn GicCpuInterface>>,
    /// `-seed`.
    seed: Option<u64>,
    psci: Option<Arc<Psci>>,
    has_el2: bool,
}

/// The interrupt controller that the options name.
fn gic(options: &SystemOptions) -> Result<GicVersion, SystemError> {
    let props = &options.machine.props;
    match props.text("gic-version") {
        Some("3" | "max") => Ok(GicVersion::V3 { its: props.flag("its") != Some(false) }),
        _ if options.smp.cpus > GIC_V2_CPUS => {
            let what = format!("a GICv2 has at most {GIC_V2_CPUS} CPUs; say -machine virt,gic-version=3");
            Err(SystemError::refused(&format!("-smp {}", options.smp.cpus), what))
        }
        _ => Ok(GicVersion::V2),
    }
}

/// Whether CPUs have EL2.
fn has_el2(options: &SystemOptions) -> bool {
    options.machine.props.flag("virtualization") == Some(true)
}

fn config(model: &Model, options: &SystemOptions) -> Result<Config, SystemError> {
    let props = &options.machine.props;
    let on = |name| props.flag(name) != Some(false);
    Ok(Config {
        gic: gic(options)?,
        cpu: model.compatible(),
        virtualization: has_el2(options),
        has_vhe: has_el2(options) && model.has_vhe(),
        pmu: model.pmu,
        counter: model.counter(),
        high_ecam: on("highmem") && on("highmem-ecam"),
        high_pci: on("highmem") && on("highmem-mmio"),
        topology: Topology { cores: options.smp.cores as usize, threads: options.smp.threads as usize },
        psci: Some(if has_el2(options) { Conduit::Smc } else { Conduit::Hvc }),
    })
}

impl Board for ArmVirt {
    type Guest = Aarch64;
    type Model = Model;

    const RAM_BASE: u64 = RAM_BASE;
    const FLASH_SIZE: u64 = 64 << 20;

    fn model(options: &SystemOptions) -> Result<Model, SystemError> {
        cpu::model(options)
    }

    fn cpu_type(model: &Model) -> String {
        format!("{}-arm-cpu", model.features.model_name())
    }

    fn build(model: Model, options: &SystemOptions, mut parts: Parts) -> Result<Self, SystemError> {
        let firmware = boot::firmware(options, &mut parts, Self::FLASH_SIZE)?;
        let config = config(&model, options)?;
        let pins = PinNumbers { irq: irq::IRQ, fiq: irq::FIQ, virq: irq::VIRQ, vfiq: irq::VFIQ };
        let mut board = Virt::build(parts, config, pins)?;
        let boot = Boot::plan(options, &mut board, firmware)?;
        if firmware && options.machine.acpi != Some(false) {
            board.offer_acpi()?;
        }
        let gic =
            board.interfaces.clone().map(|cpus| Arc::new(gic::Joined(cpus)) as Arc<dyn GicCpuInterface>);
        let (seed, has_el2) = (options.seed, has_el2(options));
        Ok(Self { board, boot, model, gic, seed, psci: None, has_el2 })
    }

    fn chassis(&self) -> &Chassis {
        &self.board.chassis
    }

    fn device_tree(&self) -> &[u8] {
        self.boot.device_tree()
    }

    fn load(&self, ram: &GuestRam) -> Result<(), SystemError> {
        self.boot.load(ram)
    }

    fn cpu(&self, number: usize, lines: &Arc<CpuLines>) -> Cpu {
        let cpu = PeBoard {
            number,
            mpidr: number as u64,
            has_el2: self.has_el2,
            has_el3: false,
            cntfrq: self.model.counter(),
        };
        let mut cpu = Cpu::for_board(self.model.features, cpu);
        // Each its own, and none that the kernel gets as it starts.
        cpu.system.random = self.seed.map(|seed| seed.wrapping_add((number as u64 + 1) << 32));
        let inputs = self.board.private_inputs(number);
        let signals = self.board.signals.clone();
        cpu.wire(Wiring {
            time: self.board.time.clone(),
            lines: lines.clone(),
            timers: TimerLines {
                physical: inputs.line(ppi::PHYSICAL_TIMER),
                virtual_el1: inputs.line(ppi::VIRTUAL_TIMER),
                hypervisor: inputs.line(ppi::HYPERVISOR_TIMER),
                secure: inputs.line(ppi::SECURE_TIMER),
                hypervisor_virtual: inputs.line(ppi::HYPERVISOR_VIRTUAL_TIMER),
            },
            overflow: inputs.line(ppi::PMU),
            gic: self.gic.clone(),
            may_signal: Arc::new(move || signals.may_signal(number)),
        });
        cpu
    }

    fn install(&mut self, vcpus: &mut [Vcpu<Aarch64>], around: Around<'_>) -> Result<(), SystemError> {
        Domain::connect(vcpus);
        let affinities = (0..vcpus.len() as u64).collect();
        let (el, conduit) = if self.has_el2 { (2, arm::Conduit::Smc) } else { (1, arm::Conduit::Hvc) };
        let psci = Psci::new(affinities, el, conduit, around.power.clone());
        let semihost = semihost::start(RAM_BASE, around.options, around.chardevs, around.power)?;
        arm::install(vcpus, Some(&psci), semihost.as_ref());
        self.psci = Some(psci);
        let power_keys = self.board.power_keys.clone();
        around.power.on_event(Box::new(move |event| {
            if event == Event::Powerdown {
                power_keys.iter().for_each(IrqLine::pulse);
            }
        }));
        Ok(())
    }

    fn firmware(&self) -> Vec<(String, Shared<dyn Device>)> {
        let psci = self.psci.iter();
        psci.map(|psci| ("psci".into(), shared(psci.parked()) as Shared<dyn Device>)).collect()
    }

    fn reset(&self, vcpus: &mut [Vcpu<Aarch64>]) {
        if let Some(psci) = &self.psci {
            psci.reset(vcpus, self.boot.kernel().unwrap_or(0));
        }
    }
}

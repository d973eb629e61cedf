//! aarch64's `virt`.

mod boot;
mod cpu;
mod gic;

pub use cpu::{listing as cpu_listing, model as cpu_model, models as cpu_models};

use std::sync::Arc;

use base::{CpuLines, Device, GuestRam, IrqLine, Shared, shared};
use devices::chips::gic::Security;
use engine::Event;
use engine::arm::{self, Psci};
use machines::arm_virt::map::{RAM_BASE, SECURE_BASE, SECURE_RANGES, ppi};
use machines::arm_virt::{Conduit, Config, GicVersion, PinNumbers, Topology, Virt};
use machines::{Chassis, Parts};
use tcg_aarch64::board::{Board as PeBoard, TimerLines, Wiring};
use tcg_aarch64::cpu::Cpu;
use tcg_aarch64::gic::GicCpuInterface;
use tcg_aarch64::mmu::SecureSpace;
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
    conduit: Option<Conduit>,
    has_el2: bool,
    has_el3: bool,
}

/// The interrupt controller that the options name. `max` is version 3; QEMU's is version 4 where there is EL2, which a guest can tell by
/// its virtual LPIs alone.
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

/// Whether CPUs have EL3.
fn has_el3(options: &SystemOptions) -> bool {
    options.machine.props.flag("secure") == Some(true)
}

/// How PSCI is called. What starts in EL3 has its own.
fn conduit(options: &SystemOptions, starts_linux: bool) -> Option<Conduit> {
    match (has_el3(options) && !starts_linux, has_el2(options)) {
        (true, _) => None,
        (false, true) => Some(Conduit::Smc),
        (false, false) => Some(Conduit::Hvc),
    }
}

fn config(model: &Model, options: &SystemOptions, firmware: bool) -> Result<Config, SystemError> {
    let props = &options.machine.props;
    let starts_linux = boot::starts_linux(options, firmware);
    let security = if has_el3(options) { Security::Two { for_kernel: starts_linux } } else { Security::One };
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
        psci: conduit(options, starts_linux),
        security,
    })
}

impl Board for ArmVirt {
    type Guest = Aarch64;
    type Model = Model;

    const RAM_BASE: u64 = RAM_BASE;
    const FLASH_SIZE: u64 = 64 << 20;

    fn model(options: &SystemOptions) -> Result<Model, SystemError> {
        cpu::model(options.cpu.as_ref())
    }

    fn cpu_type(model: &Model) -> String {
        model.type_name()
    }

    fn build(model: Model, options: &SystemOptions, mut parts: Parts) -> Result<Self, SystemError> {
        let firmware = boot::firmware(options, &mut parts, Self::FLASH_SIZE)?;
        let config = config(&model, options, firmware)?;
        let conduit = config.psci;
        let pins = PinNumbers {
            irq: irq::IRQ,
            fiq: irq::FIQ,
            virq: irq::VIRQ,
            vfiq: irq::VFIQ,
            groups_1: [irq::SECURE_GROUP_1, irq::NON_SECURE_GROUP_1],
        };
        let mut board = Virt::build(parts, config, pins)?;
        let boot = Boot::plan(options, &mut board, firmware)?;
        if firmware && options.machine.acpi != Some(false) {
            board.offer_acpi()?;
        }
        let gic =
            board.interfaces.clone().map(|cpus| Arc::new(gic::Joined(cpus)) as Arc<dyn GicCpuInterface>);
        let (seed, has_el2, has_el3) = (options.seed, has_el2(options), has_el3(options));
        Ok(Self { board, boot, model, gic, seed, psci: None, conduit, has_el2, has_el3 })
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
            has_el3: self.has_el3,
            secure_space: SecureSpace { base: SECURE_BASE, ranges: SECURE_RANGES },
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
        let el = if self.has_el2 { 2 } else { 1 };
        self.psci = self.conduit.map(|conduit| {
            let conduit = match conduit {
                Conduit::Smc => arm::Conduit::Smc,
                Conduit::Hvc => arm::Conduit::Hvc,
            };
            Psci::new(affinities, el, conduit, around.power.clone())
        });
        let semihost = semihost::start(RAM_BASE, around.options, around.chardevs, around.power)?;
        arm::install(vcpus, self.psci.as_ref(), semihost.as_ref());
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
        let entry = self.boot.kernel().unwrap_or(0);
        match &self.psci {
            Some(psci) => psci.reset(vcpus, entry),
            None => arm::reset(vcpus, entry),
        }
    }
}

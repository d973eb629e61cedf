//! The aarch64 `virt` board, as QEMU 10 has it: map, interrupt numbers, device tree.
//!
//! Left out: the SMMU, the platform bus, NUMA, memory hot-plug, a second UART of the Non-secure world.

mod acpi;
mod describe;
pub mod map;
mod secure;

use crate::Slot;
use crate::parts::{BoardError, BootText, Builder, Chassis, Parts, ram_size};
use base::{CpuLines, GuestRam, IrqLine, IrqSink, TimeBase, allocate_region};
use devices::chips::acpi_ged::{AcpiGed, POWER_BUTTON};
use devices::chips::gic::v2::GicV2;
use devices::chips::gic::v2m::GicV2m;
use devices::chips::gic::v3::its::{TRANSLATER, Translator};
use devices::chips::gic::v3::{self, CpuInterfaces, GicV3, REDISTRIBUTOR_SIZE};
use devices::chips::gic::{CpuPins, Security, Signals, ppi_input, spi_input};
use devices::chips::pl011::Pl011;
use devices::chips::pl031::Pl031;
use devices::chips::pl061::Pl061;
use devices::pci::{Doorbell, PciHost, PciWindow, PciWindows};
use map::{
    Chip, HIGH_ECAM_SIZE, HIGH_PCI_SIZE, HIGH_REDISTRIBUTORS_SIZE, PCI_IRQ, POWER_KEY, RAM_BASE, RAM_LIMIT,
    SPIS, V2M_SPIS, find, ppi,
};
use std::sync::Arc;

/// Which interrupt controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GicVersion {
    /// GICv2, which has a frame for messages, and up to eight CPUs.
    V2,
    /// GICv3.
    V3 {
        /// With a translation service for messages.
        its: bool,
    },
}

/// How the kernel reaches the firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    /// By `hvc`.
    Hvc,
    /// By `smc`.
    Smc,
}

/// Where CPUs sit: `sockets * cores * threads` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Cores in a socket.
    pub cores: usize,
    /// Threads in a core.
    pub threads: usize,
}

/// What is this board's alone.
#[derive(Clone, Debug)]
pub struct Config {
    /// The interrupt controller.
    pub gic: GicVersion,
    /// `compatible` of the CPUs.
    pub cpu: String,
    /// The CPUs have EL2.
    pub virtualization: bool,
    /// The CPUs have the Virtualization Host Extensions.
    pub has_vhe: bool,
    /// The CPUs have performance monitors.
    pub pmu: bool,
    /// Frequency of the system counter, in Hz.
    pub counter: u64,
    /// PCI configuration space above 4 GiB, with room for all buses.
    pub high_ecam: bool,
    /// More PCI memory above 4 GiB.
    pub high_pci: bool,
    /// How CPUs are said to sit.
    pub topology: Topology,
    /// How PSCI is called; `None` if there is none.
    pub psci: Option<Conduit>,
    /// The Security states: two, where CPUs have EL3.
    pub security: Security,
}

/// The interrupt inputs of a CPU, by their numbers among its lines.
#[derive(Clone, Copy, Debug)]
pub struct PinNumbers {
    /// IRQ.
    pub irq: u32,
    /// FIQ.
    pub fiq: u32,
    /// Virtual IRQ.
    pub virq: u32,
    /// Virtual FIQ.
    pub vfiq: u32,
    /// Groups 1 of the Secure and of the Non-secure world, of a GICv3 that has both.
    pub groups_1: [u32; 2],
}

/// Inputs for what a CPU has by itself, by private interrupt.
#[derive(Clone)]
pub struct PrivateInputs {
    gic: Arc<dyn IrqSink>,
    cpu: u32,
}

impl PrivateInputs {
    /// The line to private interrupt `n`, one of [`ppi`].
    pub fn line(&self, n: u32) -> IrqLine {
        IrqLine::new(self.gic.clone(), ppi_input(self.cpu, ppi::interrupt(n)))
    }
}

/// The finished board.
pub struct Virt {
    /// What every board has.
    pub chassis: Chassis,
    /// The system counter.
    pub time: Arc<TimeBase>,
    /// The GICv3's CPU interfaces.
    pub interfaces: Option<Arc<CpuInterfaces>>,
    /// The power key: that of the device tree, and that of ACPI. A guest knows one of them.
    pub power_keys: [IrqLine; 2],
    /// What the interrupt controller lets through.
    pub signals: Arc<dyn Signals>,
    gic: Arc<dyn IrqSink>,
    config: Config,
    cpus: usize,
    boot_text: BootText,
    ram_size: u64,
    windows: PciWindows,
}

/// The controller, before its frames have their places.
enum Gic {
    V2(GicV2),
    V3(GicV3, Option<Arc<Translator>>),
}

impl Virt {
    /// Builds the board from its table.
    pub fn build(parts: Parts, config: Config, numbers: PinNumbers) -> Result<Self, BoardError> {
        let ram_size = ram_size(&parts.ram);
        let time = TimeBase::new(parts.clock.clone(), config.counter);
        let pins_of = |cpu: &Arc<CpuLines>| {
            let line = |n| IrqLine::new(cpu.clone(), n);
            let PinNumbers { irq, fiq, virq, vfiq, groups_1 } = numbers;
            let groups_1 = groups_1.map(line);
            CpuPins { irq: line(irq), fiq: line(fiq), virq: line(virq), vfiq: line(vfiq), groups_1 }
        };
        let pins = parts.cpus.iter().map(pins_of).collect();
        let maintenance = config.virtualization.then_some(ppi::interrupt(ppi::GIC_MAINTENANCE));
        let mut interfaces = None;
        let (gic, inputs, signals): (_, _, Arc<dyn Signals>) = match config.gic {
            GicVersion::V2 => {
                let gic = GicV2::new(SPIS, pins, maintenance, config.security);
                let inputs = gic.inputs();
                let signals = gic.signals();
                (Gic::V2(gic), inputs, signals)
            }
            GicVersion::V3 { its } => {
                let has = v3::Config { spis: SPIS, lpis: its, maintenance, security: config.security };
                let gic = GicV3::new(has, pins, parts.ram.clone());
                interfaces = Some(Arc::new(gic.interfaces()));
                let inputs = gic.inputs();
                let signals = gic.signals();
                (Gic::V3(gic, None), inputs, signals)
            }
        };
        let irq = |n: u32| IrqLine::new(inputs.clone(), spi_input(n));
        let windows = pci_windows(ram_size, config.high_ecam, config.high_pci);
        let secure = config.security.has_two();
        let mut b = if secure {
            let all = with_secure_ram(&parts.ram)?;
            Builder::with_hidden(parts.ram, all)
        } else {
            Builder::new(parts.ram)
        };
        let mut gic = gic;
        let mut power_keys = [IrqLine::unconnected(), IrqLine::unconnected()];
        let mut flash = parts.flash;
        let mut mmio = parts.virtio_mmio;
        let mut pci = parts.pci;

        for slot in &map::slots().collect::<Vec<_>>() {
            match (slot.chip, &mut gic) {
                (Chip::Flash(n), _) => {
                    let slot = if secure && n == 0 { map::secure(*slot) } else { *slot };
                    b.flash(&slot, flash[usize::from(n)].take())?;
                }
                (Chip::GicDistributor, Gic::V2(gic)) => b.add(slot, gic.distributor()).map(drop)?,
                (Chip::GicDistributor, Gic::V3(gic, _)) => b.add(slot, gic.distributor()).map(drop)?,
                (Chip::GicInterface, Gic::V2(gic)) => b.add(slot, gic.interface()).map(drop)?,
                (Chip::GicHypervisor, Gic::V2(gic)) if config.virtualization => {
                    b.add(slot, gic.hypervisor()).map(drop)?;
                }
                (Chip::GicGuest, Gic::V2(gic)) if config.virtualization => {
                    b.add(slot, gic.guest()).map(drop)?
                }
                (Chip::GicV2m, Gic::V2(_)) => {
                    b.add(slot, GicV2m::new(inputs.clone(), V2M_SPIS.0, V2M_SPIS.1))?;
                }
                (Chip::GicIts, Gic::V3(gic, translator)) => {
                    if config.gic == (GicVersion::V3 { its: true }) {
                        let its = gic.its();
                        *translator = Some(its.translator());
                        b.add(slot, its)?;
                    }
                }
                (Chip::GicRedistributors, Gic::V3(gic, _)) => {
                    let size = REDISTRIBUTOR_SIZE * parts.cpus.len() as u64;
                    b.add_at(slot.name, slot.base, size, gic.redistributors())?;
                }
                // Of the other version, or for CPUs with EL2.
                (Chip::GicInterface | Chip::GicHypervisor | Chip::GicGuest | Chip::GicV2m, _) => {}
                (Chip::GicIts | Chip::GicRedistributors, _) => {}
                (Chip::Uart, _) => {
                    b.add(slot, Pl011::new(irq(slot.irq), parts.serial.clone()))?;
                }
                (Chip::Rtc, _) => {
                    b.add(slot, Pl031::new(parts.clock.clone(), irq(slot.irq)))?;
                }
                (Chip::FwCfg, _) => b.fw_cfg(slot, parts.cpus.len())?,
                (Chip::Gpio, _) => {
                    let gpio = Pl061::new(irq(slot.irq));
                    power_keys[0] = IrqLine::new(gpio.pins(), POWER_KEY);
                    b.add(slot, gpio)?;
                }
                (Chip::AcpiGed, _) => {
                    let events = AcpiGed::new(irq(slot.irq));
                    power_keys[1] = IrqLine::new(events.inputs(), POWER_BUTTON);
                    b.add(slot, events)?;
                }
                (Chip::VirtioMmio(n), _) => {
                    let device = mmio.get_mut(usize::from(n)).and_then(Option::take);
                    b.virtio_mmio(slot, device, irq(slot.irq))?;
                }
                (Chip::PciEcam, gic) => {
                    let pins = std::array::from_fn(|n| irq(PCI_IRQ + n as u32));
                    let mut host = PciHost::new(windows, &b.space, pins);
                    if let Gic::V3(_, Some(translator)) = gic {
                        host.set_doorbell(doorbell(translator.clone()));
                    }
                    let place = Slot { base: windows.ecam.cpu, size: windows.ecam.size, ..*slot };
                    b.pci(&place, host, std::mem::take(&mut pci))?;
                }
                // Mapped by the host bridge as BARs are.
                (Chip::PciIo | Chip::PciMemory, _) => {}
                (Chip::SecureRam | Chip::SecureUart | Chip::SecureGpio, _) => {}
            }
        }
        if secure {
            secure::add(&mut b, &gic, (parts.second_serial, parts.power), parts.cpus.len(), irq)?;
        }
        Ok(Self {
            chassis: b.finish(),
            time,
            interfaces,
            power_keys,
            gic: inputs,
            signals,
            config,
            cpus: parts.cpus.len(),
            boot_text: BootText::default(),
            ram_size,
            windows,
        })
    }

    /// Sets what the `chosen` node of the device tree says.
    pub fn set_boot_text(&mut self, text: BootText) {
        self.boot_text = text;
    }

    /// Start and size of RAM.
    pub fn ram_range(&self) -> (u64, u64) {
        (RAM_BASE, self.ram_size)
    }

    /// The inputs for what CPU `cpu` has by itself.
    pub fn private_inputs(&self, cpu: usize) -> PrivateInputs {
        PrivateInputs { gic: self.gic.clone(), cpu: cpu as u32 }
    }
}

/// `ram` with that of the Secure world, which only CPUs reach.
fn with_secure_ram(ram: &GuestRam) -> Result<GuestRam, BoardError> {
    let slot = map::secure(find(Chip::SecureRam));
    let region = allocate_region(slot.base, slot.size)?;
    let all = ram.insert_region(Arc::new(region));
    Ok(all.expect("RAM ends below the Secure world's addresses"))
}

/// Where functions' messages go: to the translation service, which wants to know who sends them.
fn doorbell(translator: Arc<Translator>) -> Doorbell {
    Doorbell {
        address: find(Chip::GicIts).base + TRANSLATER,
        ring: Arc::new(move |requester, event| translator.message(requester, event)),
    }
}

/// Where the PCI bus is seen by the CPU. What is above 4 GiB stands behind RAM, each window at a multiple of its size.
fn pci_windows(ram_size: u64, high_ecam: bool, high_pci: bool) -> PciWindows {
    let same = |slot: Slot<Chip>| PciWindow { cpu: slot.base, bus: slot.base, size: slot.size };
    let low = find(Chip::PciEcam);
    let behind_ram = (RAM_BASE + ram_size.max(RAM_LIMIT)).next_multiple_of(1 << 30);
    let after = |base: u64, size: u64| base.next_multiple_of(size);
    let redistributors = after(behind_ram, HIGH_REDISTRIBUTORS_SIZE);
    let ecam = after(redistributors + HIGH_REDISTRIBUTORS_SIZE, HIGH_ECAM_SIZE);
    let memory = after(ecam + HIGH_ECAM_SIZE, HIGH_PCI_SIZE);
    let window = |base, size| PciWindow { cpu: base, bus: base, size };
    PciWindows {
        ecam: if high_ecam { window(ecam, HIGH_ECAM_SIZE) } else { same(low) },
        io: PciWindow { bus: 0, ..same(find(Chip::PciIo)) },
        memory: same(find(Chip::PciMemory)),
        high_memory: high_pci.then(|| window(memory, HIGH_PCI_SIZE)),
    }
}

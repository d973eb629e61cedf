//! The riscv64 `virt` board, as QEMU 10 has it: map, interrupt numbers, device tree.
//!
//! Left out: AIA, the IOMMU, the platform bus, NUMA, ACPI tables.

mod describe;
pub mod map;

use crate::Slot;
use crate::parts::{BoardError, BootText, Builder, Chassis, Parts, ram_size};
use base::{IrqLine, RomRegion, Slot as Mapping, TimeBase};
use devices::chips::aclint::{MTIMER_SIZE, Mswi, Mtimer, SSWI_SIZE, Sswi};
use devices::chips::goldfish_rtc::GoldfishRtc;
use devices::chips::ns16550a::Ns16550a;
use devices::chips::plic::Plic;
use devices::chips::sifive_test::SifiveTest;
use devices::pci::{PciHost, PciWindow, PciWindows};
use map::{Chip, MAP, PCI_HIGH_SIZE, PCI_IRQ, PLIC_SOURCES, RAM_BASE, TIMEBASE};
use std::sync::Arc;

/// A hart's inputs, as `mip` numbers them.
mod line {
    pub const SSI: u32 = 1;
    pub const MSI: u32 = 3;
    pub const MTI: u32 = 7;
    pub const SEI: u32 = 9;
    pub const MEI: u32 = 11;
}

/// Largest interrupt priority of the PLIC.
const PLIC_PRIORITIES: u32 = 7;
/// `mtime` and the comparators stand behind the software interrupts in a CLINT.
const MTIMER_OFFSET: u64 = 0x4000;
/// The supervisor software interrupts of an ACLINT stand here.
const SSWI_BASE: u64 = 0x2f0_0000;

/// What the device tree says about each hart.
#[derive(Clone, Debug)]
pub struct HartInfo {
    /// `riscv,isa`.
    pub isa: String,
    /// `riscv,isa-extensions`.
    pub extensions: Vec<String>,
    /// `mmu-type`.
    pub mmu: &'static str,
    /// Block size of the cache-block instructions, if the hart has them.
    pub cache_block: Option<u32>,
}

/// What is this board's alone.
pub struct Config {
    /// What the harts are.
    pub hart_info: HartInfo,
    /// ACLINT devices in place of the CLINT.
    pub aclint: bool,
}

/// The finished board.
pub struct Virt {
    /// What every board has.
    pub chassis: Chassis,
    /// `mtime`.
    pub time: Arc<TimeBase>,
    /// The mask ROM, to be filled with the reset vector.
    pub rom: RomRegion,
    harts: usize,
    hart_info: HartInfo,
    aclint: bool,
    boot_text: BootText,
    ram_size: u64,
    windows: PciWindows,
}

impl Virt {
    /// Builds the board from its table.
    pub fn build(parts: Parts, config: Config) -> Result<Self, BoardError> {
        let ram_size = ram_size(&parts.ram);
        let time = TimeBase::new(parts.clock.clone(), TIMEBASE);
        let mut b = Builder::new(parts.ram);

        let lines = |number: u32| -> Vec<IrqLine> {
            parts.cpus.iter().map(|hart| IrqLine::new(hart.clone(), number)).collect()
        };
        let contexts = lines(line::MEI).into_iter().zip(lines(line::SEI)).flat_map(|(m, s)| [m, s]).collect();
        let plic = Plic::new(PLIC_SOURCES - 1, PLIC_PRIORITIES, contexts);
        let sources = plic.inputs();
        let irq = |n: u32| IrqLine::new(sources.clone(), n);

        let windows = pci_windows(ram_size);
        let rom = RomRegion::new(map::find(Chip::MaskRom).size)?;
        let mut flash = parts.flash;
        let mut mmio = parts.virtio_mmio;
        let mut plic = Some(plic);
        let mut pci = parts.pci;

        for slot in MAP {
            match slot.chip {
                Chip::MaskRom => {
                    b.space.map(slot.name, slot.base, slot.size, Mapping::Rom(rom.clone()))?;
                }
                Chip::TestFinisher => {
                    b.add(slot, SifiveTest::new(parts.power.clone()))?;
                }
                Chip::Rtc => {
                    b.add(slot, GoldfishRtc::new(parts.clock.clone(), irq(slot.irq)))?;
                }
                Chip::Clint => {
                    b.add_at("msip", slot.base, MTIMER_OFFSET, Mswi::new(lines(line::MSI)))?;
                    let mtimer = Mtimer::new(time.clone(), lines(line::MTI));
                    b.add_at("mtimer", slot.base + MTIMER_OFFSET, MTIMER_SIZE, mtimer)?;
                    if config.aclint {
                        b.add_at("sswi", SSWI_BASE, SSWI_SIZE, Sswi::new(lines(line::SSI)))?;
                    }
                }
                Chip::Plic => {
                    if let Some(plic) = plic.take() {
                        b.add(slot, plic)?;
                    }
                }
                Chip::Uart => {
                    let serial = parts.serial.clone();
                    b.add(slot, Ns16550a::new(parts.clock.clone(), irq(slot.irq), serial))?;
                }
                Chip::VirtioMmio(n) => {
                    let device = mmio.get_mut(usize::from(n)).and_then(Option::take);
                    b.virtio_mmio(slot, device, irq(slot.irq))?;
                }
                Chip::FwCfg => b.fw_cfg(slot, parts.cpus.len())?,
                Chip::Flash(n) => b.flash(slot, flash[usize::from(n)].take())?,
                Chip::PciEcam => {
                    let pins = std::array::from_fn(|n| irq(PCI_IRQ + n as u32));
                    let host = PciHost::new(windows, &b.space, pins);
                    b.pci(slot, host, std::mem::take(&mut pci))?;
                }
                // Mapped by the host bridge as BARs are.
                Chip::PciIo | Chip::PciMemory => {}
            }
        }
        Ok(Self {
            chassis: b.finish(),
            time,
            rom,
            harts: parts.cpus.len(),
            hart_info: config.hart_info,
            aclint: config.aclint,
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
}

/// Where the PCI bus is seen by the CPU; the high window stands behind RAM.
fn pci_windows(ram_size: u64) -> PciWindows {
    let same = |slot: &Slot<Chip>| PciWindow { cpu: slot.base, bus: slot.base, size: slot.size };
    let io = map::find(Chip::PciIo);
    let high = (RAM_BASE + ram_size).next_multiple_of(PCI_HIGH_SIZE);
    PciWindows {
        ecam: same(map::find(Chip::PciEcam)),
        io: PciWindow { bus: 0, ..same(io) },
        memory: same(map::find(Chip::PciMemory)),
        high_memory: Some(PciWindow { cpu: high, bus: high, size: PCI_HIGH_SIZE }),
    }
}

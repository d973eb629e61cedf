//! The riscv64 `virt` board, as QEMU 10 has it: map, interrupt numbers, device tree.
//!
//! Left out: AIA, the IOMMU, the platform bus, NUMA, ACPI tables.

mod describe;
pub mod map;

use crate::fdt::FdtError;
use base::{
    AddressSpace, Clock, CpuLines, Device, GuestRam, IrqLine, MapError, MemoryError, Mmio, PowerSink,
    RomRegion, Shared, Slot as Mapping, TimeBase, shared,
};
use devices::chips::aclint::{MTIMER_SIZE, Mswi, Mtimer, SSWI_SIZE, Sswi};
use devices::chips::fw_cfg::{self, FwCfg, FwCfgError};
use devices::chips::goldfish_rtc::GoldfishRtc;
use devices::chips::ns16550a::Ns16550a;
use devices::chips::pflash_cfi01::{Backing, PflashCfi01};
use devices::chips::plic::Plic;
use devices::chips::sifive_test::SifiveTest;
use devices::host::chardev::CharBackend;
use devices::pci::{PciError, PciFunction, PciHost, PciWindow, PciWindows, PciWiring};
use devices::virtio::{VirtioDevice, VirtioMmio};
use map::{
    Chip, FLASH_CHIPS, MAP, MMIO_SLOTS, PCI_HIGH_SIZE, PCI_IRQ, PLIC_SOURCES, RAM_BASE, Slot, TIMEBASE,
};
use std::sync::Arc;
use thiserror::Error;

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
/// Erase block of both flash chips.
const FLASH_SECTOR: u64 = 256 << 10;
/// `mtime` and the comparators stand behind the software interrupts in a CLINT.
const MTIMER_OFFSET: u64 = 0x4000;
/// The supervisor software interrupts of an ACLINT stand here.
const SSWI_BASE: u64 = 0x2f0_0000;

/// Why a board could not be built.
#[derive(Debug, Error)]
pub enum BoardError {
    /// Memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Two things in one place.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A PCI slot.
    #[error(transparent)]
    Pci(#[from] PciError),
    /// The device tree.
    #[error(transparent)]
    Fdt(#[from] FdtError),
    /// fw_cfg.
    #[error(transparent)]
    FwCfg(#[from] FwCfgError),
}

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

/// A device for the PCI bus.
pub struct PciPlug {
    /// Slot asked for.
    pub slot: Option<u8>,
    /// Makes the function when its wires are known.
    pub make: Box<dyn FnOnce(PciWiring) -> Shared<dyn PciFunction>>,
}

/// What is in a flash chip.
pub struct FlashPart {
    /// First contents; the rest of the chip is erased.
    pub contents: Vec<u8>,
    /// What programming does.
    pub backing: Backing,
}

/// Everything that is not the board's own: what the user plugged in, and what the machine runs on.
pub struct Parts {
    /// RAM at [`RAM_BASE`].
    pub ram: GuestRam,
    /// One for each hart.
    pub harts: Vec<Arc<CpuLines>>,
    /// What the harts are.
    pub hart_info: HartInfo,
    /// Machine time.
    pub clock: Arc<dyn Clock>,
    /// Who turns the machine off.
    pub power: Arc<dyn PowerSink>,
    /// Where the UART goes.
    pub serial: Arc<dyn CharBackend>,
    /// Devices in the virtio-mmio slots.
    pub virtio_mmio: [Option<Box<dyn VirtioDevice>>; MMIO_SLOTS],
    /// Devices for the PCI bus.
    pub pci: Vec<PciPlug>,
    /// Flash contents.
    pub flash: [Option<FlashPart>; FLASH_CHIPS],
    /// ACLINT devices in place of the CLINT.
    pub aclint: bool,
    /// Number of harts, as fw_cfg and the device tree say.
    pub command_line: BootText,
}

/// What the device tree's `chosen` node says.
#[derive(Clone, Debug, Default)]
pub struct BootText {
    /// Kernel command line.
    pub append: Option<String>,
    /// Where the initial file system is, start and end.
    pub initrd: Option<(u64, u64)>,
    /// Entropy for the kernel.
    pub rng_seed: Vec<u8>,
}

/// The finished board.
pub struct Virt {
    /// Guest-physical addresses.
    pub space: Arc<AddressSpace>,
    /// `mtime`.
    pub time: Arc<TimeBase>,
    /// Every device, for reset and saved states, in the order of the table.
    pub devices: Vec<(String, Shared<dyn Device>)>,
    /// The mask ROM, to be filled with the reset vector.
    pub rom: RomRegion,
    /// fw_cfg, for files that are known later.
    pub fw_cfg: Shared<FwCfg>,
    /// The flash arrays.
    pub flash: [RomRegion; FLASH_CHIPS],
    harts: usize,
    hart_info: HartInfo,
    aclint: bool,
    command_line: BootText,
    ram_size: u64,
    windows: PciWindows,
}

/// State while the table is walked.
struct Builder {
    space: Arc<AddressSpace>,
    devices: Vec<(String, Shared<dyn Device>)>,
}

impl Builder {
    fn add<T: Mmio + 'static>(&mut self, slot: &Slot, device: T) -> Result<Shared<T>, BoardError> {
        self.add_at(slot.name, slot.base, slot.size, device)
    }

    fn add_at<T: Mmio + 'static>(
        &mut self,
        name: &str,
        base: u64,
        size: u64,
        device: T,
    ) -> Result<Shared<T>, BoardError> {
        let device = shared(device);
        self.space.map(name, base, size, Mapping::Device(device.clone()))?;
        self.devices.push((format!("{name}@{base:x}"), device.clone()));
        Ok(device)
    }
}

impl Virt {
    /// Builds the board from its table.
    pub fn build(parts: Parts) -> Result<Self, BoardError> {
        let ram_size = vm_memory::GuestMemoryBackend::iter(&parts.ram)
            .map(vm_memory::GuestMemoryRegion::len)
            .sum::<u64>();
        let ram = parts.ram.clone();
        let space = Arc::new(AddressSpace::new(parts.ram));
        let time = TimeBase::new(parts.clock.clone(), TIMEBASE);
        let mut b = Builder { space: space.clone(), devices: Vec::new() };

        let lines = |number: u32| -> Vec<IrqLine> {
            parts.harts.iter().map(|hart| IrqLine::new(hart.clone(), number)).collect()
        };
        let contexts = lines(line::MEI).into_iter().zip(lines(line::SEI)).flat_map(|(m, s)| [m, s]).collect();
        let plic = Plic::new(PLIC_SOURCES - 1, PLIC_PRIORITIES, contexts);
        let sources = plic.inputs();
        let irq = |n: u32| IrqLine::new(sources.clone(), n);

        let windows = pci_windows(ram_size);
        let rom = RomRegion::new(map::find(Chip::MaskRom).size)?;
        let flash = [flash_array(0, &parts.flash)?, flash_array(1, &parts.flash)?];
        let mut flash_parts = parts.flash;
        let mut mmio = parts.virtio_mmio;
        let mut plic = Some(plic);
        let mut pci = Some(parts.pci);
        let mut fw_cfg = None;

        for slot in MAP {
            match slot.chip {
                Chip::MaskRom => {
                    space.map(slot.name, slot.base, slot.size, Mapping::Rom(rom.clone()))?;
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
                    if parts.aclint {
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
                    let line = irq(slot.irq);
                    let device = match mmio[usize::from(n)].take() {
                        Some(device) => VirtioMmio::new(device, ram.clone(), line),
                        None => VirtioMmio::empty(line),
                    };
                    b.add(slot, device)?;
                }
                Chip::FwCfg => {
                    let device = b.add(slot, FwCfg::new(ram.clone()))?;
                    device.lock().set_key(fw_cfg::key::NB_CPUS, vec![parts.harts.len() as u8, 0]);
                    fw_cfg = Some(device);
                }
                Chip::Flash(n) => {
                    let array = flash[usize::from(n)].clone();
                    let backing = flash_parts[usize::from(n)].take().map_or(Backing::Volatile, |p| p.backing);
                    let map_space = Arc::downgrade(&space);
                    let remap = move || {
                        if let Some(space) = map_space.upgrade() {
                            space.changed();
                        }
                    };
                    let device = shared(PflashCfi01::new(array.clone(), FLASH_SECTOR, backing, remap));
                    space.map(slot.name, slot.base, slot.size, Mapping::RomDevice(array, device.clone()))?;
                    b.devices.push((format!("flash@{:x}", slot.base), device));
                }
                Chip::PciEcam => {
                    let pins = std::array::from_fn(|n| irq(PCI_IRQ + n as u32));
                    let mut host = PciHost::new(windows, &space, pins);
                    for plug in pci.take().into_iter().flatten() {
                        host.add(plug.slot, plug.make)?;
                    }
                    b.add(slot, host)?;
                }
                // Mapped by the host bridge as BARs are.
                Chip::PciIo | Chip::PciMemory => {}
            }
        }
        Ok(Self {
            space,
            time,
            devices: b.devices,
            rom,
            fw_cfg: fw_cfg.expect("the table has an fw_cfg row"),
            flash,
            harts: parts.harts.len(),
            hart_info: parts.hart_info,
            aclint: parts.aclint,
            command_line: parts.command_line,
            ram_size,
            windows,
        })
    }

    /// Sets what the `chosen` node of the device tree says.
    pub fn set_boot_text(&mut self, text: BootText) {
        self.command_line = text;
    }

    /// Start and size of RAM.
    pub fn ram_range(&self) -> (u64, u64) {
        (RAM_BASE, self.ram_size)
    }
}

/// The array of flash chip `n`: what the user put in, the rest erased.
fn flash_array(n: usize, parts: &[Option<FlashPart>; FLASH_CHIPS]) -> Result<RomRegion, BoardError> {
    let size = map::find(Chip::Flash(n as u8)).size;
    let array = RomRegion::new(size)?;
    let contents = parts[n].as_ref().map_or(&[][..], |part| &part.contents);
    array.fill(0, contents);
    let erased = vec![0xff; size as usize - contents.len().min(size as usize)];
    array.fill(contents.len() as u64, &erased);
    Ok(array)
}

/// Where the PCI bus is seen by the CPU; the high window stands behind RAM.
fn pci_windows(ram_size: u64) -> PciWindows {
    let same = |slot: &Slot| PciWindow { cpu: slot.base, bus: slot.base, size: slot.size };
    let io = map::find(Chip::PciIo);
    let high = (RAM_BASE + ram_size).next_multiple_of(PCI_HIGH_SIZE);
    PciWindows {
        ecam: same(map::find(Chip::PciEcam)),
        io: PciWindow { bus: 0, ..same(io) },
        memory: same(map::find(Chip::PciMemory)),
        high_memory: Some(PciWindow { cpu: high, bus: high, size: PCI_HIGH_SIZE }),
    }
}

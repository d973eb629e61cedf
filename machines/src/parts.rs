//! What a board is given, what it becomes, and the chips that every board has.

use crate::fdt::FdtError;
use crate::pci::{PciBuses, PciPlug, PciRefusal};
use crate::slot::Slot;
use base::{
    AddressSpace, Clock, CpuLines, Device, GuestRam, IrqLine, MapError, MemoryError, Mmio, PowerSink,
    RomRegion, Shared, Slot as Mapping, shared,
};
use devices::chips::fw_cfg::{self, FwCfg, FwCfgError};
use devices::chips::pflash_cfi01::{Backing, PflashCfi01};
use devices::host::chardev::CharBackend;
use devices::pci::PciHost;
use devices::virtio::{VirtioDevice, VirtioMmio};
use std::sync::Arc;
use thiserror::Error;

/// Flash chips of a board.
pub const FLASH_CHIPS: usize = 2;
/// Erase block of both flash chips.
const FLASH_SECTOR: u64 = 256 << 10;

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
    Pci(#[from] PciRefusal),
    /// The device tree.
    #[error(transparent)]
    Fdt(#[from] FdtError),
    /// fw_cfg.
    #[error(transparent)]
    FwCfg(#[from] FwCfgError),
}

/// What is in a flash chip.
pub struct FlashPart {
    /// First contents; the rest of the chip is zero.
    pub contents: Vec<u8>,
    /// What programming does.
    pub backing: Backing,
}

/// Everything that is not the board's own: what the user plugged in, and what the machine runs on.
pub struct Parts {
    /// RAM, where the board's table has it.
    pub ram: GuestRam,
    /// One for each CPU.
    pub cpus: Vec<Arc<CpuLines>>,
    /// Machine time.
    pub clock: Arc<dyn Clock>,
    /// Who turns the machine off.
    pub power: Arc<dyn PowerSink>,
    /// Where the UART goes.
    pub serial: Arc<dyn CharBackend>,
    /// Where the second one goes, on a board that has it.
    pub second_serial: Arc<dyn CharBackend>,
    /// Devices in the virtio-mmio slots, as far as there are any.
    pub virtio_mmio: Vec<Option<Box<dyn VirtioDevice>>>,
    /// Devices for the PCI bus.
    pub pci: Vec<PciPlug>,
    /// Flash contents.
    pub flash: [Option<FlashPart>; FLASH_CHIPS],
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
    /// Entropy for where the kernel stands, if the board's kernels take it.
    pub kaslr_seed: Option<u64>,
    /// The same of both for the software of a secure world.
    pub secure_seeds: (Vec<u8>, Option<u64>),
}

/// What every finished board has.
pub struct Chassis {
    /// Guest-physical addresses.
    pub space: Arc<AddressSpace>,
    /// Every device, for reset and saved states, in the order of the table.
    pub devices: Vec<(String, Shared<dyn Device>)>,
    /// The PCI buses.
    pub pci: Arc<PciBuses>,
    /// fw_cfg, for files that are known later.
    pub fw_cfg: Shared<FwCfg>,
    /// The flash arrays.
    pub flash: [RomRegion; FLASH_CHIPS],
}

/// State while a table is walked.
pub(crate) struct Builder {
    pub space: Arc<AddressSpace>,
    ram: GuestRam,
    devices: Vec<(String, Shared<dyn Device>)>,
    pci: Option<PciBuses>,
    fw_cfg: Option<Shared<FwCfg>>,
    flash: Vec<RomRegion>,
}

impl Builder {
    pub fn new(ram: GuestRam) -> Self {
        Self::with_hidden(ram.clone(), ram)
    }

    /// With memory in `all` that devices do not reach.
    pub fn with_hidden(ram: GuestRam, all: GuestRam) -> Self {
        Self {
            space: Arc::new(AddressSpace::new(all)),
            ram,
            devices: Vec::new(),
            pci: None,
            fw_cfg: None,
            flash: Vec::new(),
        }
    }

    pub fn add<T: Mmio + 'static, C>(&mut self, slot: &Slot<C>, device: T) -> Result<Shared<T>, BoardError> {
        self.add_at(slot.name, slot.base, slot.size, device)
    }

    pub fn add_at<T: Mmio + 'static>(
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

    /// Another view of a device that is there already.
    pub fn add_view<T: Mmio + 'static, C>(&mut self, slot: &Slot<C>, view: T) -> Result<(), BoardError> {
        self.space.map(slot.name, slot.base, slot.size, Mapping::Device(shared(view)))?;
        Ok(())
    }

    /// A virtio-mmio slot, which may be empty.
    pub fn virtio_mmio<C>(
        &mut self,
        slot: &Slot<C>,
        device: Option<Box<dyn VirtioDevice>>,
        line: IrqLine,
    ) -> Result<(), BoardError> {
        let device = match device {
            Some(device) => VirtioMmio::new(device, self.ram.clone(), line),
            None => VirtioMmio::empty(line),
        };
        self.add(slot, device).map(drop)
    }

    /// fw_cfg, which tells the number of CPUs.
    pub fn fw_cfg<C>(&mut self, slot: &Slot<C>, cpus: usize) -> Result<(), BoardError> {
        let device = self.add(slot, FwCfg::new(self.ram.clone()))?;
        device.lock().set_key(fw_cfg::key::NB_CPUS, (cpus as u16).to_le_bytes().to_vec());
        self.fw_cfg = Some(device);
        Ok(())
    }

    /// The next flash chip: what the user put in, the rest zero, as QEMU has it: what nobody looks at costs no memory.
    pub fn flash<C>(&mut self, slot: &Slot<C>, part: Option<FlashPart>) -> Result<(), BoardError> {
        let array = RomRegion::new(slot.size)?;
        let contents = part.as_ref().map_or(&[][..], |part| &part.contents);
        array.fill(0, contents);
        let backing = part.map_or(Backing::Volatile, |part| part.backing);
        let map_space = Arc::downgrade(&self.space);
        let remap = move || {
            if let Some(space) = map_space.upgrade() {
                space.changed();
            }
        };
        let device = shared(PflashCfi01::new(array.clone(), FLASH_SECTOR, backing, remap));
        self.space.map(slot.name, slot.base, slot.size, Mapping::RomDevice(array.clone(), device.clone()))?;
        self.devices.push((format!("flash@{:x}", slot.base), device));
        self.flash.push(array);
        Ok(())
    }

    /// The PCI host, with what is plugged into it.
    pub fn pci<C>(&mut self, slot: &Slot<C>, host: PciHost, plugs: Vec<PciPlug>) -> Result<(), BoardError> {
        let host = self.add(slot, host)?;
        self.pci = Some(PciBuses::new(host, plugs)?);
        Ok(())
    }

    /// The board, when all rows have been walked.
    pub fn finish(self) -> Chassis {
        let flash: Result<[RomRegion; FLASH_CHIPS], _> = self.flash.try_into();
        Chassis {
            space: self.space,
            devices: self.devices,
            pci: Arc::new(self.pci.expect("the table has a row for PCI")),
            fw_cfg: self.fw_cfg.expect("the table has an fw_cfg row"),
            flash: flash.ok().expect("the table has a row for each flash chip"),
        }
    }
}

/// Bytes of RAM.
pub(crate) fn ram_size(ram: &GuestRam) -> u64 {
    vm_memory::GuestMemoryBackend::iter(ram).map(vm_memory::GuestMemoryRegion::len).sum()
}

//! The table of the aarch64 `virt` board: QEMU's addresses and interrupt numbers.

use crate::Slot;

/// What stands in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    /// CFI flash, by number.
    Flash(u8),
    /// Distributor of either GIC.
    GicDistributor,
    /// CPU interface of a GICv2.
    GicInterface,
    /// Virtual CPU interface of a GICv2 as a hypervisor sees it.
    GicHypervisor,
    /// And as a guest sees it.
    GicGuest,
    /// Message frame of a GICv2.
    GicV2m,
    /// Interrupt translation service of a GICv3.
    GicIts,
    /// Redistributors of a GICv3.
    GicRedistributors,
    /// PL011.
    Uart,
    /// PL031.
    Rtc,
    /// fw_cfg.
    FwCfg,
    /// PL061, with the power key.
    Gpio,
    /// ACPI's events.
    AcpiGed,
    /// A virtio-mmio slot, by number.
    VirtioMmio(u8),
    /// PCI memory below 4 GiB.
    PciMemory,
    /// PCI I/O ports.
    PciIo,
    /// PCI configuration space; with `highmem-ecam=on` it stands elsewhere.
    PciEcam,
    /// Memory of the Secure world.
    SecureRam,
    /// PL011 of the Secure world.
    SecureUart,
    /// PL061 of the Secure world, with pins that turn the machine off.
    SecureGpio,
}

/// Slots for virtio-mmio devices.
pub const MMIO_SLOTS: usize = 32;
/// Shared interrupts of the GIC.
pub const SPIS: u32 = 256;
/// SPIs of the four PCI interrupt pins.
pub const PCI_IRQ: u32 = 3;
/// First SPI of the GICv2's messages, and how many there are.
pub const V2M_SPIS: (u32, u32) = (48, 64);
/// Start of RAM.
pub const RAM_BASE: u64 = 0x4000_0000;
/// RAM that fits below the high windows without moving them.
pub const RAM_LIMIT: u64 = 255 << 30;
/// A second region of redistributors stands first behind RAM; this board has no CPUs for it.
pub const HIGH_REDISTRIBUTORS_SIZE: u64 = 64 << 20;
/// PCI configuration space above 4 GiB.
pub const HIGH_ECAM_SIZE: u64 = 256 << 20;
/// PCI memory above 4 GiB.
pub const HIGH_PCI_SIZE: u64 = 512 << 30;
/// Frequency of the clock of PL011, PL031 and PL061, in Hz.
pub const APB_CLOCK: u32 = 24_000_000;
/// The pin of the PL061 that is the power key.
pub const POWER_KEY: u32 = 3;

/// Private interrupts, as they are numbered from 16 on.
pub mod ppi {
    /// GIC maintenance.
    pub const GIC_MAINTENANCE: u32 = 9;
    /// Non-secure EL2 physical timer.
    pub const HYPERVISOR_TIMER: u32 = 10;
    /// EL1 virtual timer.
    pub const VIRTUAL_TIMER: u32 = 11;
    /// Non-secure EL2 virtual timer.
    pub const HYPERVISOR_VIRTUAL_TIMER: u32 = 12;
    /// Secure EL1 physical timer.
    pub const SECURE_TIMER: u32 = 13;
    /// Non-secure EL1 physical timer.
    pub const PHYSICAL_TIMER: u32 = 14;
    /// Performance monitors.
    pub const PMU: u32 = 7;
    /// The interrupt number of private interrupt `n`.
    pub const fn interrupt(n: u32) -> u32 {
        16 + n
    }
}

const VIRTIO_BASE: u64 = 0xa00_0000;
const VIRTIO_SIZE: u64 = 0x200;
const VIRTIO_IRQ: u32 = 16;

/// Everything but the virtio-mmio slots.
static FIXED: &[Slot<Chip>] = &[
    Slot::new("flash", 0, 0x400_0000, 0, Chip::Flash(0)),
    Slot::new("flash", 0x400_0000, 0x400_0000, 0, Chip::Flash(1)),
    Slot::new("intc", 0x800_0000, 0x1_0000, 0, Chip::GicDistributor),
    Slot::new("gic-cpu", 0x801_0000, 0x1_0000, 0, Chip::GicInterface),
    Slot::new("v2m", 0x802_0000, 0x1000, 0, Chip::GicV2m),
    Slot::new("gic-hyp", 0x803_0000, 0x1_0000, 0, Chip::GicHypervisor),
    Slot::new("gic-vcpu", 0x804_0000, 0x1_0000, 0, Chip::GicGuest),
    Slot::new("its", 0x808_0000, 0x2_0000, 0, Chip::GicIts),
    Slot::new("gic-redist", 0x80a_0000, 0xf6_0000, 0, Chip::GicRedistributors),
    Slot::new("pl011", 0x900_0000, 0x1000, 1, Chip::Uart),
    Slot::new("pl031", 0x901_0000, 0x1000, 2, Chip::Rtc),
    Slot::new("fw-cfg", 0x902_0000, 0x18, 0, Chip::FwCfg),
    Slot::new("pl061", 0x903_0000, 0x1000, 7, Chip::Gpio),
    Slot::new("acpi-ged", 0x908_0000, 4, 9, Chip::AcpiGed),
    Slot::new("pcie", 0x1000_0000, 0x2eff_0000, 0, Chip::PciMemory),
    Slot::new("pci-io", 0x3eff_0000, 0x1_0000, 0, Chip::PciIo),
    Slot::new("pci", 0x3f00_0000, 0x100_0000, 0, Chip::PciEcam),
];

/// What only the Secure world has, at its Secure physical addresses.
static SECURE: &[Slot<Chip>] = &[
    Slot::new("secram", 0xe00_0000, 0x100_0000, 0, Chip::SecureRam),
    Slot::new("pl011", 0x904_0000, 0x1000, 8, Chip::SecureUart),
    Slot::new("pl061", 0x90b_0000, 0x1000, 0, Chip::SecureGpio),
];

/// Where the Secure world's things stand on the bus: above their addresses by this.
pub const SECURE_BASE: u64 = 1 << 60;

/// The addresses, each with a size, at which Secure accesses lead there: its own chips, the first flash chip, and its views of the
/// interrupt controller.
pub static SECURE_RANGES: &[(u64, u64)] = &[
    (0, 0x400_0000),
    (0x800_0000, 0x1_0000),
    (0x801_0000, 0x1_0000),
    (0x80a_0000, 0xf6_0000),
    (0x904_0000, 0x1000),
    (0x90b_0000, 0x1000),
    (0xe00_0000, 0x100_0000),
];

/// `slot` in the Secure world.
pub fn secure(slot: Slot<Chip>) -> Slot<Chip> {
    Slot { base: SECURE_BASE + slot.base, ..slot }
}

/// The board, without what is the Secure world's alone.
pub fn slots() -> impl Iterator<Item = Slot<Chip>> {
    FIXED.iter().copied().chain((0..MMIO_SLOTS as u8).map(virtio_mmio))
}

/// The row of virtio-mmio slot `n`.
pub fn virtio_mmio(n: u8) -> Slot<Chip> {
    let base = VIRTIO_BASE + VIRTIO_SIZE * u64::from(n);
    Slot::new("virtio_mmio", base, VIRTIO_SIZE, VIRTIO_IRQ + u32::from(n), Chip::VirtioMmio(n))
}

/// The row of `chip`.
pub fn find(chip: Chip) -> Slot<Chip> {
    let all = slots().chain(SECURE.iter().copied());
    all.into_iter().find(|slot| slot.chip == chip).expect("every chip of the board has a row")
}

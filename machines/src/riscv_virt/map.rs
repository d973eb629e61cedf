//! The table of the `virt` board: QEMU's addresses and interrupt numbers.

use crate::Slot;

/// What stands in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    /// Mask ROM with the reset vector.
    MaskRom,
    /// SiFive test finisher.
    TestFinisher,
    /// Goldfish RTC.
    Rtc,
    /// CLINT, or ACLINT with `aclint=on`.
    Clint,
    /// PCI I/O ports.
    PciIo,
    /// PLIC.
    Plic,
    /// 16550A.
    Uart,
    /// A virtio-mmio slot, by number.
    VirtioMmio(u8),
    /// fw_cfg.
    FwCfg,
    /// CFI flash, by number.
    Flash(u8),
    /// PCI configuration space.
    PciEcam,
    /// PCI memory below 4 GiB.
    PciMemory,
}

/// Slots for virtio-mmio devices.
pub const MMIO_SLOTS: usize = 8;
/// PLIC sources, 0 (which is none) included.
pub const PLIC_SOURCES: u32 = 96;
/// PLIC sources of the four PCI interrupt pins.
pub const PCI_IRQ: u32 = 32;
/// Start of RAM.
pub const RAM_BASE: u64 = 0x8000_0000;
/// Frequency of `mtime`, in Hz.
pub const TIMEBASE: u64 = 10_000_000;
/// PCI memory above 4 GiB: size, and alignment of the place behind RAM.
pub const PCI_HIGH_SIZE: u64 = 16 << 30;

/// The board.
pub static MAP: &[Slot<Chip>] = &[
    Slot::new("mrom", 0x1000, 0xf000, 0, Chip::MaskRom),
    Slot::new("test", 0x10_0000, 0x1000, 0, Chip::TestFinisher),
    Slot::new("rtc", 0x10_1000, 0x1000, 11, Chip::Rtc),
    Slot::new("clint", 0x200_0000, 0x1_0000, 0, Chip::Clint),
    Slot::new("pci-io", 0x300_0000, 0x1_0000, 0, Chip::PciIo),
    Slot::new("plic", 0xc00_0000, 0x60_0000, 0, Chip::Plic),
    Slot::new("serial", 0x1000_0000, 0x100, 10, Chip::Uart),
    Slot::new("virtio_mmio", 0x1000_1000, 0x1000, 1, Chip::VirtioMmio(0)),
    Slot::new("virtio_mmio", 0x1000_2000, 0x1000, 2, Chip::VirtioMmio(1)),
    Slot::new("virtio_mmio", 0x1000_3000, 0x1000, 3, Chip::VirtioMmio(2)),
    Slot::new("virtio_mmio", 0x1000_4000, 0x1000, 4, Chip::VirtioMmio(3)),
    Slot::new("virtio_mmio", 0x1000_5000, 0x1000, 5, Chip::VirtioMmio(4)),
    Slot::new("virtio_mmio", 0x1000_6000, 0x1000, 6, Chip::VirtioMmio(5)),
    Slot::new("virtio_mmio", 0x1000_7000, 0x1000, 7, Chip::VirtioMmio(6)),
    Slot::new("virtio_mmio", 0x1000_8000, 0x1000, 8, Chip::VirtioMmio(7)),
    Slot::new("fw-cfg", 0x1010_0000, 0x18, 0, Chip::FwCfg),
    Slot::new("flash", 0x2000_0000, 0x200_0000, 0, Chip::Flash(0)),
    Slot::new("flash", 0x2200_0000, 0x200_0000, 0, Chip::Flash(1)),
    Slot::new("pci", 0x3000_0000, 0x1000_0000, 0, Chip::PciEcam),
    Slot::new("pci-memory", 0x4000_0000, 0x4000_0000, 0, Chip::PciMemory),
];

/// The row of `chip`.
pub fn find(chip: Chip) -> &'static Slot<Chip> {
    MAP.iter().find(|slot| slot.chip == chip).expect("every chip of the board has a row")
}

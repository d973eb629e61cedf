//! The machines, a row each, and their properties.

use super::props::{Kind, Prop, fixed, prop};
use crate::personality::Arch;

/// A machine that can be built.
#[derive(Debug, PartialEq, Eq)]
pub struct MachineType {
    /// Whose machine it is.
    pub arch: Arch,
    /// The name.
    pub name: &'static str,
    /// What it is, in words.
    pub description: &'static str,
    /// It is meant when `-machine` names none.
    pub default: bool,
    /// The properties of `-machine name,...`.
    pub props: &'static [&'static [Prop]],
    /// The most CPUs that its map has room for.
    pub max_cpus: u32,
    /// How many flash chips it has (`-drive if=pflash,unit=N`).
    pub flash_chips: u32,
    /// How many `virtio-mmio` slots it has.
    pub mmio_slots: u32,
    /// QEMU's name of its memory.
    pub ram_id: &'static str,
    /// Guest memory when `-m` does not say, in bytes.
    pub default_memory: u64,
}

/// The machines of an architecture.
pub fn machines(arch: Arch) -> impl Iterator<Item = &'static MachineType> {
    MACHINES.iter().filter(move |machine| machine.arch == arch)
}

static MACHINES: &[MachineType] = &[
    MachineType {
        arch: Arch::Riscv64,
        name: "virt",
        description: "RISC-V VirtIO board",
        default: true,
        props: &[COMMON, RISCV_VIRT],
        max_cpus: 512,
        flash_chips: 2,
        mmio_slots: 8,
        ram_id: "riscv_virt_board.ram",
        default_memory: 128 << 20,
    },
    MachineType {
        arch: Arch::Aarch64,
        name: "virt",
        description: "Arm virtual board",
        default: false,
        props: &[COMMON, ARM_VIRT],
        max_cpus: 16,
        flash_chips: 2,
        mmio_slots: 32,
        ram_id: "mach-virt.ram",
        default_memory: 128 << 20,
    },
];

/// Properties of every machine.
static COMMON: &[Prop] = &[
    prop("accel", Kind::Text, "tcg", "accelerators to try, parted by ':'"),
    prop("acpi", Kind::OnOffAuto, "auto", "give the guest ACPI tables"),
    prop("append", Kind::Text, "", "kernel command line"),
    prop("dtb", Kind::Text, "", "device tree to use instead of the machine's own"),
    prop("dump-guest-core", Kind::Bool, "on", "include guest memory in a core dump"),
    prop("dumpdtb", Kind::Text, "", "write the device tree to a file and exit"),
    prop("firmware", Kind::Text, "", "firmware image"),
    prop("graphics", Kind::Bool, "on", "off: as -nographic"),
    prop("initrd", Kind::Text, "", "initial RAM disk"),
    prop("kernel", Kind::Text, "", "kernel image"),
    prop("mem-merge", Kind::Bool, "on", "let the host merge equal pages of guest memory"),
    prop("memory-backend", Kind::Reference("memory-backend"), "", "object to use as guest memory"),
    prop("pflash0", Kind::Reference("block node"), "", "block node of the first flash chip"),
    prop("pflash1", Kind::Reference("block node"), "", "block node of the second flash chip"),
    prop("suppress-vmdesc", Kind::Bool, "off", "leave the self-description out of saved states"),
    fixed("usb", Kind::Bool, "off"),
];

/// Properties of riscv64's `virt`.
static RISCV_VIRT: &[Prop] = &[
    prop("aclint", Kind::Bool, "off", "use ACLINT devices in place of the SiFive CLINT"),
    fixed("aia", Kind::Choice(&["none", "aplic", "aplic-imsic"]), "none"),
    fixed("aia-guests", Kind::Text, "0"),
    fixed("iommu-sys", Kind::OnOffAuto, "auto"),
];

/// Properties of aarch64's `virt`.
static ARM_VIRT: &[Prop] = &[
    prop("compact-highmem", Kind::Bool, "on", "accepted: high windows that are off take no place anyway"),
    prop("dtb-randomness", Kind::Bool, "on", "off: no random numbers in the device tree"),
    prop(
        "gic-version",
        Kind::Choice(&["2", "3", "max"]),
        "2",
        "version of the interrupt controller; max is 3",
    ),
    prop("highmem", Kind::Bool, "on", "off: nothing stands above 4 GiB"),
    prop("highmem-ecam", Kind::Bool, "on", "off: PCI configuration space stands below 4 GiB"),
    prop("highmem-mmio", Kind::Bool, "on", "off: no PCI memory above 4 GiB"),
    prop("highmem-redists", Kind::Bool, "on", "accepted: this board has no CPUs for more redistributors"),
    fixed("iommu", Kind::Choice(&["none", "smmuv3"]), "none"),
    prop("its", Kind::Bool, "on", "off: a GICv3 without a translation service for messages"),
    fixed("mte", Kind::Bool, "off"),
    fixed("ras", Kind::Bool, "off"),
    prop("secure", Kind::Bool, "off", "CPUs with EL3, and a Secure world with memory and chips of its own"),
    prop("virtualization", Kind::Bool, "off", "CPUs with EL2, for hypervisors"),
];

//! The devices that `-device` adds: one row each, with QEMU's properties and defaults.

use super::props::{Kind, Prop, fixed, prop};

/// The bus a device is plugged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusKind {
    /// A `virtio-mmio` slot of the board.
    VirtioMmio,
    /// The board's PCI Express bus.
    Pci,
    /// A port of a virtio serial device.
    VirtioSerial,
}

impl BusKind {
    /// The name of this kind of bus, as QEMU's listing prints it.
    pub fn name(self) -> &'static str {
        match self {
            BusKind::VirtioMmio => "virtio-bus",
            BusKind::Pci => "PCI",
            BusKind::VirtioSerial => "virtio-serial-bus",
        }
    }
}

/// What a device is, apart from its bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// virtio block.
    Block,
    /// virtio network.
    Net,
    /// virtio serial: a bus for consoles and ports.
    Serial,
    /// A console port.
    Console,
    /// A named port.
    SerialPort,
    /// virtio entropy.
    Rng,
    /// pvpanic.
    PvPanic,
    /// The 6300ESB's watchdog.
    Watchdog,
    /// A PCI Express port with a slot.
    RootPort,
}

/// A device that can be added.
#[derive(Debug, PartialEq, Eq)]
pub struct DeviceType {
    /// The name.
    pub name: &'static str,
    /// A second name.
    pub alias: Option<&'static str>,
    /// What it is.
    pub kind: DeviceKind,
    /// What it plugs into.
    pub bus: BusKind,
    /// The heading of `-device help` it stands under.
    pub category: &'static str,
    /// Its properties, in groups.
    pub props: &'static [&'static [Prop]],
}

const fn device(
    (name, alias): (&'static str, Option<&'static str>),
    kind: DeviceKind,
    bus: BusKind,
    category: &'static str,
    props: &'static [&'static [Prop]],
) -> DeviceType {
    DeviceType { name, alias, kind, bus, category, props }
}

const BRIDGE: &str = "Controller/Bridge/Hub devices";
const STORAGE: &str = "Storage devices";
const NETWORK: &str = "Network devices";
const INPUT: &str = "Input devices";
const MISC: &str = "Misc devices";
const WATCHDOG: &str = "Watchdog devices";

/// The devices.
pub static DEVICES: &[DeviceType] = &[
    device(("pcie-root-port", None), DeviceKind::RootPort, BusKind::Pci, BRIDGE, &[ROOT_PORT, PCI_FUNCTION]),
    device(("virtio-blk-device", None), DeviceKind::Block, BusKind::VirtioMmio, STORAGE, &[BLK, VIRTIO]),
    device(
        ("virtio-blk-pci", Some("virtio-blk")),
        DeviceKind::Block,
        BusKind::Pci,
        STORAGE,
        &[BLK, VIRTIO, PCI, PCI_FUNCTION],
    ),
    device(("virtio-net-device", None), DeviceKind::Net, BusKind::VirtioMmio, NETWORK, &[NET, VIRTIO]),
    device(
        ("virtio-net-pci", Some("virtio-net")),
        DeviceKind::Net,
        BusKind::Pci,
        NETWORK,
        &[NET, VIRTIO, PCI, PCI_FUNCTION],
    ),
    device(("virtio-serial-device", None), DeviceKind::Serial, BusKind::VirtioMmio, INPUT, &[SERIAL, VIRTIO]),
    device(
        ("virtio-serial-pci", Some("virtio-serial")),
        DeviceKind::Serial,
        BusKind::Pci,
        INPUT,
        &[SERIAL, VIRTIO, PCI, PCI_FUNCTION],
    ),
    device(("virtconsole", None), DeviceKind::Console, BusKind::VirtioSerial, INPUT, &[PORT]),
    device(("virtserialport", None), DeviceKind::SerialPort, BusKind::VirtioSerial, INPUT, &[PORT]),
    device(("virtio-rng-device", None), DeviceKind::Rng, BusKind::VirtioMmio, MISC, &[RNG, VIRTIO]),
    device(
        ("virtio-rng-pci", Some("virtio-rng")),
        DeviceKind::Rng,
        BusKind::Pci,
        MISC,
        &[RNG, VIRTIO, PCI, PCI_FUNCTION],
    ),
    device(("pvpanic-pci", None), DeviceKind::PvPanic, BusKind::Pci, MISC, &[PVPANIC, PCI_FUNCTION]),
    device(("i6300esb", None), DeviceKind::Watchdog, BusKind::Pci, WATCHDOG, &[PCI_FUNCTION]),
];

/// The beginnings of names of devices that QEMU has for this machine and Mimic does not: those are refused as not
/// available, other words as unknown.
pub static OTHER_DEVICES: &[&str] = &[
    "virtio-",
    "vhost-",
    "usb-",
    "qemu-xhci",
    "nec-usb-xhci",
    "pcie-",
    "pci-",
    "pxb",
    "nvme",
    "e1000",
    "igb",
    "rtl8139",
    "i8255",
    "i8280",
    "ne2k_pci",
    "pcnet",
    "tulip",
    "vmxnet3",
    "scsi-",
    "ide-",
    "ahci",
    "ich9-",
    "megasas",
    "mptsas1068",
    "lsi53c",
    "am53c974",
    "sdhci-pci",
    "sd-card",
    "vfio-",
    "ramfb",
    "bochs-display",
    "secondary-vga",
    "VGA",
    "cirrus-vga",
    "edu",
    "ivshmem-",
    "loader",
    "guest-loader",
    "pvpanic",
    "tpm-tis-device",
    "AC97",
    "ES1370",
    "intel-hda",
    "hda-",
    "riscv-iommu-",
    "cxl-",
    "ufs",
    "x3130-upstream",
    "xio3130-downstream",
    "ioh3420",
    "i82801b11-bridge",
    "amd-iommu",
    "nvdimm",
    "pc-dimm",
    "rv64-riscv-cpu",
];

const U16: Kind = Kind::Number(u16::MAX as u64);
const U32: Kind = Kind::Number(u32::MAX as u64);
const BLOCK_SIZE: Kind = Kind::Size(1);

/// Properties of every virtio device.
static VIRTIO: &[Prop] = &[
    prop("any_layout", Kind::Bool, "on", "descriptors may be laid out in any way"),
    prop("event_idx", Kind::Bool, "on", "offer VIRTIO_F_EVENT_IDX"),
    prop("indirect_desc", Kind::Bool, "on", "offer VIRTIO_F_INDIRECT_DESC"),
    prop("notify_on_empty", Kind::Bool, "on", "offer VIRTIO_F_NOTIFY_ON_EMPTY (legacy)"),
    prop("queue_reset", Kind::Bool, "on", "offer VIRTIO_F_RING_RESET"),
    fixed("in_order", Kind::Bool, "off"),
    fixed("iommu_platform", Kind::Bool, "off"),
    fixed("packed", Kind::Bool, "off"),
];

/// Properties of every function on PCI.
static PCI_FUNCTION: &[Prop] = &[
    prop("addr", Kind::PciAddress, "", "slot and function, as 04 or 04.1"),
    prop("multifunction", Kind::Bool, "off", "further functions are in the same slot"),
    prop("romfile", Kind::Text, "", "option ROM; empty for none"),
    prop("rombar", Kind::Int32, "-1", "show the option ROM to the guest"),
    fixed("acpi-index", U32, "0"),
];

/// Properties of every virtio device on PCI.
static PCI: &[Prop] = &[
    prop("disable-legacy", Kind::OnOffAuto, "auto", "no legacy (0.9) interface"),
    prop("disable-modern", Kind::Bool, "off", "no modern (1.x) interface"),
    prop("vectors", U32, "4294967295", "MSI-X vectors (0: none; default: as the device needs)"),
    prop("ioeventfd", Kind::Bool, "on", "accepted, without effect"),
    fixed("aer", Kind::Bool, "off"),
    fixed("ats", Kind::Bool, "off"),
    fixed("page-per-vq", Kind::Bool, "off"),
];

static ROOT_PORT: &[Prop] = &[
    prop("chassis", Kind::Number(255), "0", "number of the chassis that the slot is on"),
    prop("slot", Kind::Number(8191), "0", "number of the slot on its chassis"),
    prop("port", Kind::Number(255), "0", "number of the port"),
    prop("hotplug", Kind::Bool, "on", "devices can come and go while the machine runs"),
    prop("bus-reserve", U32, "4294967295", "bus numbers for firmware to keep free; accepted, without effect"),
    prop("io-reserve", Kind::Size(1), "", "the same for ports"),
    prop("mem-reserve", Kind::Size(1), "", "the same for memory below 4 GiB"),
    prop("pref32-reserve", Kind::Size(1), "", "the same for prefetchable memory below 4 GiB"),
    prop("pref64-reserve", Kind::Size(1), "", "the same for prefetchable memory"),
    fixed("power_controller_present", Kind::Bool, "on"),
    fixed("native-hotplug", Kind::Bool, "on"),
    fixed("x-speed", Kind::Choice(&["2_5", "5", "8", "16", "32", "64"]), "16"),
    fixed("x-width", Kind::Choice(&["1", "2", "4", "8", "12", "16", "32"]), "32"),
];

static PVPANIC: &[Prop] = &[prop(
    "events",
    Kind::Number(255),
    "7",
    "events that it understands: 1 panic, 2 crash kernel, 4 shutdown",
)];

static BLK: &[Prop] = &[
    prop("drive", Kind::Reference("drive or block node"), "", "id of a drive, or name of a block node"),
    prop("serial", Kind::Text, "", "serial number, at most 20 bytes"),
    prop("bootindex", Kind::Int32, "", "place in the boot order"),
    prop("config-wce", Kind::Bool, "on", "the guest may switch the write cache"),
    prop("discard", Kind::Bool, "on", "offer discard"),
    prop("discard_granularity", BLOCK_SIZE, "4294967295", "unit of discards in bytes"),
    prop("iothread", Kind::Reference("iothread"), "", "accepted, without effect"),
    prop("logical_block_size", BLOCK_SIZE, "0", "bytes; a power of two from 512 (0: 512)"),
    prop("physical_block_size", BLOCK_SIZE, "0", "bytes; a power of two from 512 (0: 512)"),
    prop("min_io_size", BLOCK_SIZE, "0", "smallest good transfer in bytes"),
    prop("opt_io_size", BLOCK_SIZE, "0", "best transfer in bytes"),
    prop("max-discard-sectors", U32, "4194303", "most sectors in a discard"),
    prop("max-write-zeroes-sectors", U32, "4194303", "most sectors in a write of zeroes"),
    prop("num-queues", U16, "65535", "queues (default: one for each CPU on PCI, else one)"),
    prop("queue-size", U16, "256", "entries in a queue, a power of two"),
    prop("request-merging", Kind::Bool, "on", "join neighbouring requests"),
    prop("report-discard-granularity", Kind::Bool, "on", "tell the guest the unit of discards"),
    prop("seg-max-adjust", Kind::Bool, "on", "let the segment limit follow the queue size"),
    prop(
        "rerror",
        Kind::Choice(&["report", "ignore", "enospc", "stop", "auto"]),
        "auto",
        "when a read fails",
    ),
    prop(
        "werror",
        Kind::Choice(&["report", "ignore", "enospc", "stop", "auto"]),
        "auto",
        "when a write fails",
    ),
    prop("share-rw", Kind::Bool, "off", "others may write to the image"),
    prop("write-cache", Kind::OnOffAuto, "auto", "the guest sees a write cache"),
    prop("write-zeroes", Kind::Bool, "on", "offer write-zeroes"),
    fixed("cyls", U32, "0"),
    fixed("heads", U32, "0"),
    fixed("secs", U32, "0"),
];

static NET: &[Prop] = &[
    prop("netdev", Kind::Reference("netdev"), "", "id of a network back end"),
    prop("mac", Kind::Mac, "", "Ethernet address (default: 52:54:00:12:34:56 and counting)"),
    prop("bootindex", Kind::Int32, "", "place in the boot order"),
    prop("host_mtu", U16, "0", "MTU told to the guest"),
    prop("status", Kind::Bool, "on", "offer link status"),
    prop("speed", Kind::Int32, "-1", "speed told to the guest in Mbit/s"),
    prop("duplex", Kind::Choice(&["half", "full"]), "", "duplex told to the guest"),
    prop("rx_queue_size", U16, "256", "entries in the receive queue, a power of two"),
    prop("tx_queue_size", U16, "256", "entries in the transmit queue, a power of two"),
    prop("mrg_rxbuf", Kind::Bool, "on", "offer merged receive buffers"),
    prop("csum", Kind::Bool, "on", "offer checksum offload"),
    prop("guest_csum", Kind::Bool, "on", "offer partial checksums to the guest"),
    prop("gso", Kind::Bool, "on", "offer segmentation offload"),
    prop("guest_tso4", Kind::Bool, "on", "the guest takes TSO over IPv4"),
    prop("guest_tso6", Kind::Bool, "on", "the guest takes TSO over IPv6"),
    prop("guest_ecn", Kind::Bool, "on", "the guest takes TSO with ECN"),
    prop("guest_ufo", Kind::Bool, "on", "the guest takes UFO"),
    prop("guest_uso4", Kind::Bool, "on", "the guest takes USO over IPv4"),
    prop("guest_uso6", Kind::Bool, "on", "the guest takes USO over IPv6"),
    prop("guest_announce", Kind::Bool, "on", "ask the guest to announce itself"),
    prop("host_tso4", Kind::Bool, "on", "take TSO over IPv4"),
    prop("host_tso6", Kind::Bool, "on", "take TSO over IPv6"),
    prop("host_ecn", Kind::Bool, "on", "take TSO with ECN"),
    prop("host_ufo", Kind::Bool, "on", "take UFO"),
    prop("host_uso", Kind::Bool, "on", "take USO"),
    prop("ctrl_vq", Kind::Bool, "on", "offer the control queue"),
    prop("ctrl_rx", Kind::Bool, "on", "offer receive modes"),
    prop("ctrl_rx_extra", Kind::Bool, "on", "offer more receive modes"),
    prop("ctrl_vlan", Kind::Bool, "on", "offer VLAN filters"),
    prop("ctrl_mac_addr", Kind::Bool, "on", "let the guest set its address"),
    prop("ctrl_guest_offloads", Kind::Bool, "on", "let the guest switch offloads"),
    fixed("mq", Kind::Bool, "off"),
    fixed("rss", Kind::Bool, "off"),
    fixed("hash", Kind::Bool, "off"),
    fixed("failover", Kind::Bool, "off"),
];

static SERIAL: &[Prop] = &[
    prop("max_ports", Kind::Number(511), "31", "most ports"),
    prop("emergency-write", Kind::Bool, "on", "offer the emergency write register"),
];

static PORT: &[Prop] = &[
    prop("chardev", Kind::Reference("chardev"), "", "id of a character device"),
    prop("name", Kind::Text, "", "name of the port, shown to the guest"),
    prop("nr", U32, "4294967295", "number of the port (default: the next free one)"),
];

static RNG: &[Prop] = &[
    prop("rng", Kind::Reference("rng-backend"), "", "id of an rng object (default: rng-builtin)"),
    prop("max-bytes", Kind::Number(i64::MAX as u64), "9223372036854775807", "most bytes in a period"),
    prop("period", Kind::Number(u32::MAX as u64), "65536", "length of a period in milliseconds"),
];

//! The whole of a `qemu-system-*` command line, typed.

use super::block::{BlockNode, Drive};
use super::chardev::Chardev;
use super::device::DeviceArg;
use super::icount::{Icount, Record};
use super::log::LogOptions;
use super::machine::{Accel, CpuModel, Machine, Memory, Smp};
use super::net::Netdev;
use engine::Actions;

use super::object::{Object, ObjectKind};
use super::plugin::WatchOptions;
use super::settings::{BootOrder, ExitCodes, GuestName, Monitor, Rtc, Semihosting, Timeout};

/// What a machine starts from in ROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// `-bios default`, or nothing said: the machine's usual firmware.
    Default,
    /// `-bios none`: nothing; the first instruction is the kernel's, in the highest privilege.
    None,
    /// `-bios builtin`: the firmware within this program, which needs no file.
    BuiltIn,
    /// `-bios FILE`.
    File(String),
}

/// What a serial port of the board is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SerialTarget {
    /// `-serial none`.
    None,
    /// The [`Chardev`] of this id.
    Chardev(String),
}

/// What a command line asks for, checked and with QEMU's defaults filled in.
///
/// Short forms are already spelled out: `-drive if=virtio` is a drive and a device, `-nic` a netdev and a device,
/// `-serial mon:stdio` a character device with two front ends. Names refer to something that is there, and nothing
/// is used twice that can be used once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemOptions {
    /// `-machine`.
    pub machine: Machine,
    /// `-cpu`; `None` is the machine's default.
    pub cpu: Option<CpuModel>,
    /// `-accel`.
    pub accel: Accel,
    /// `-smp`.
    pub smp: Smp,
    /// `-m`.
    pub memory: Memory,
    /// `-bios`.
    pub firmware: Firmware,
    /// `-kernel`.
    pub kernel: Option<String>,
    /// `-initrd`.
    pub initrd: Option<String>,
    /// `-append`.
    pub append: Option<String>,
    /// `-dtb`.
    pub dtb: Option<String>,
    /// `-drive` and its short forms.
    pub drives: Vec<Drive>,
    /// `-blockdev`.
    pub block_nodes: Vec<BlockNode>,
    /// `-device`, then what `-drive if=virtio` and `-nic` add, in the order in which they are plugged.
    pub devices: Vec<DeviceArg>,
    /// `-netdev`, and the back ends of `-nic`.
    pub netdevs: Vec<Netdev>,
    /// `-chardev`, and those of `-serial` and `-monitor`.
    pub chardevs: Vec<Chardev>,
    /// `-serial`, the board's ports in order.
    pub serials: Vec<SerialTarget>,
    /// `-monitor`, `-mon`, `-qmp`.
    pub monitors: Vec<Monitor>,
    /// `-gdb`, `-s`: the id of the character device that gdb connects to.
    pub gdb: Option<String>,
    /// `-timeout`.
    pub timeout: Option<Timeout>,
    /// `-exit-codes`.
    pub exit_codes: ExitCodes,
    /// `-semihosting`; `None` where programs have none.
    pub semihosting: Option<Semihosting>,
    /// `-object`.
    pub objects: Vec<Object>,
    /// `-boot`.
    pub boot: BootOrder,
    /// `-rtc`.
    pub rtc: Rtc,
    /// `-icount`; `None` where time is the host's.
    pub icount: Option<Icount>,
    /// `-action`, `-no-reboot`, `-no-shutdown`.
    pub actions: Actions,
    /// `-d`, `-D`, `-dfilter`.
    pub log: LogOptions,
    /// `-name`.
    pub name: GuestName,
    /// `-uuid`.
    pub uuid: Option<[u8; 16]>,
    /// `-plugin`, `-coverage`.
    pub watch: WatchOptions,
    /// `-seed`.
    pub seed: Option<u64>,
    /// `-tb-cache`: the folder where translations are kept.
    pub tb_cache: Option<String>,
    /// `-loadvm`.
    pub loadvm: Option<String>,
    /// `-snapshot-dir`.
    pub snapshot_dir: Option<String>,
    /// `-pidfile`.
    pub pidfile: Option<String>,
    /// `-daemonize`.
    pub daemonize: bool,
    /// `-S`: the CPUs do not start by themselves.
    pub paused: bool,
    /// `-L`: where firmware files are looked for first.
    pub data_dirs: Vec<String>,
    /// `-msg timestamp=on`.
    pub timestamps: bool,
}

impl SystemOptions {
    /// Serial ports that the machine has; further ones are connected to nothing.
    pub fn serial_ports(&self) -> usize {
        if self.machine.props.flag("secure") == Some(true) { 2 } else { 1 }
    }

    /// What is said of recording the run; `None`: it is not recorded and repeats none.
    pub fn record(&self) -> Option<&Record> {
        self.icount.as_ref()?.record.as_ref()
    }

    /// Guest memory in bytes: as `-m` says, else as the memory back end has, else the machine's default.
    pub fn memory_size(&self) -> u64 {
        let backend = self.memory_backend().map(|(_, size)| size);
        self.memory.size.or(backend).unwrap_or(self.machine.kind.default_memory)
    }

    /// The object that is guest memory and its size in bytes, if `-machine memory-backend=` names one.
    pub fn memory_backend(&self) -> Option<(&Object, u64)> {
        let id = self.machine.memory_backend.as_deref()?;
        self.objects.iter().find(|o| o.id == id).and_then(|object| match object.kind {
            ObjectKind::Memory { size, .. } => Some((object, size)),
            _ => None,
        })
    }

    /// The character device of this id.
    pub fn chardev(&self, id: &str) -> Option<&Chardev> {
        self.chardevs.iter().find(|c| c.id == id)
    }

    /// Whether something is connected to the character device of this id.
    pub fn uses_chardev(&self, id: &str) -> bool {
        let serial = |target: &SerialTarget| matches!(target, SerialTarget::Chardev(own) if own == id);
        let semihosting = self.semihosting.as_ref().and_then(|semihosting| semihosting.chardev.as_deref());
        self.serials.iter().any(serial)
            || self.monitors.iter().any(|monitor| monitor.chardev == id)
            || self.devices.iter().any(|device| device.props.text("chardev") == Some(id))
            || self.gdb.as_deref() == Some(id)
            || semihosting == Some(id)
    }

    /// The drive of this id.
    pub fn drive(&self, id: &str) -> Option<&Drive> {
        self.drives.iter().find(|d| d.id == id)
    }

    /// The network back end of this id.
    pub fn netdev(&self, id: &str) -> Option<&Netdev> {
        self.netdevs.iter().find(|n| n.id == id)
    }

    /// The object of this id.
    pub fn object(&self, id: &str) -> Option<&Object> {
        self.objects.iter().find(|o| o.id == id)
    }
}

//! The machine as debuggers and monitors see it.

use crate::jobs::Jobs;
use crate::qmp;
use base::{AddressSpace, Device, Shared};
use engine::{Power, Record};
use std::sync::Arc;

/// What does not change while the machine runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The name that the program was started under.
    pub program: String,
    /// The version of QEMU that clients find: major, minor, micro.
    pub version: [u32; 3],
    /// What is appended to it.
    pub package: String,
    /// Name of the guest architecture, as in `qemu-system-NAME`.
    pub target: &'static str,
    /// Name of the machine type.
    pub machine: &'static str,
    /// Name of the CPU's type in QEMU's object model.
    pub cpu_type: String,
    /// `-name`.
    pub name: Option<String>,
    /// `-uuid`.
    pub uuid: Option<[u8; 16]>,
    /// Number of vCPUs.
    pub cpus: u32,
    /// The most that the machine type has.
    pub max_cpus: u32,
    /// QEMU's name of the memory.
    pub ram_id: &'static str,
    /// Bytes of guest memory.
    pub memory: u64,
}

/// A CPU model that `-cpu` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuModelInfo {
    /// Its name.
    pub name: &'static str,
    /// Name of its type in QEMU's object model.
    pub type_name: String,
    /// It is the same on every host, and in every version.
    pub settled: bool,
}

impl DiskInfo {
    /// Whether it is a drive or a device's; otherwise it is a node that waits for somebody to use it.
    pub fn is_drive(&self) -> bool {
        !self.device.is_empty() || self.qdev.is_some()
    }
}

/// A character device.
#[derive(Clone, Debug)]
pub struct CharInfo {
    /// Its id.
    pub label: String,
    /// What it is, as QEMU names it: `stdio`, `unix:PATH,server=on`.
    pub filename: String,
    /// Whether something in the machine uses it.
    pub used: bool,
}

/// A disk.
#[derive(Clone, Debug)]
pub struct DiskInfo {
    /// Its id; empty for one without.
    pub device: String,
    /// The id of the device that has it.
    pub qdev: Option<String>,
    /// Name of its node in the block graph.
    pub node: String,
    /// The image file.
    pub file: String,
    /// The image format.
    pub driver: String,
    /// Whether the guest can not write to it.
    pub read_only: bool,
    /// Size that the guest sees, in bytes.
    pub size: u64,
    /// Snapshots in the image.
    pub snapshots: Vec<SnapshotInfo>,
    /// What the guest has done with it.
    pub counts: DiskCounts,
}

/// Operations of one kind on a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Those that succeeded.
    pub done: u64,
    /// Those that failed.
    pub failed: u64,
    /// Bytes of those that succeeded.
    pub bytes: u64,
    /// How long they took, in nanoseconds.
    pub ns: u64,
}

/// What was done with a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounts {
    /// Reads.
    pub reads: Operations,
    /// Writes, zeroes among them.
    pub writes: Operations,
    /// Flushes, which have no bytes.
    pub flushes: Operations,
    /// Discards.
    pub discards: Operations,
    /// The end of the highest write.
    pub highest: u64,
}

/// A saved state of the machine, or of a disk alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its number on its disk.
    pub id: String,
    /// Its name.
    pub tag: String,
    /// Bytes of the machine's state; zero for one of a disk alone.
    pub state_size: u64,
    /// When it was made: nanoseconds since 1970-01-01 UTC.
    pub date: u64,
    /// Machine time at that moment, in nanoseconds.
    pub clock: u64,
}

/// A state of the machine that is kept in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointInfo {
    /// Its name.
    pub tag: String,
    /// Machine time at that moment, in nanoseconds.
    pub clock: u64,
}

/// Where the state of a machine is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StatePlace {
    /// In the folder for states, or else in the first disk that can hold one.
    #[default]
    Usual,
    /// In a disk, by its id or node.
    Disk(String),
    /// In this process: a checkpoint.
    Memory,
}

/// Which snapshot is meant, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// Its name.
    pub tag: String,
    /// Where the machine's state is.
    pub state: StatePlace,
    /// The disks that are saved, put back or cleaned, by their ids or nodes; `None`: all that are written to.
    pub disks: Option<Vec<String>>,
}

/// A network back end.
#[derive(Clone, Debug)]
pub struct NetInfo {
    /// Its id.
    pub id: String,
    /// `user`, `tap`.
    pub kind: String,
    /// The device that it is connected to, if it is.
    pub device: Option<String>,
    /// What there is to say about it.
    pub about: String,
}

/// A device that the user named or plugged in.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// Its place among the objects.
    pub path: String,
    /// Its type.
    pub driver: &'static str,
    /// The bus it is on.
    pub bus: String,
    /// Its address on a PCI bus: `02.0`.
    pub address: Option<String>,
    /// It came while the machine ran.
    pub hotplugged: bool,
    /// Its properties, as they were given.
    pub properties: Vec<(&'static str, String)>,
}

/// A property that devices of a type have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyInfo {
    /// Its name.
    pub name: &'static str,
    /// Its type, as `-device NAME,help` has it.
    pub kind: String,
    /// What it is, for people.
    pub about: &'static str,
}

/// What comes and goes while the machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A device.
    Device,
    /// A node of the block graph.
    BlockNode,
    /// A drive: a disk in QEMU's older way, with all that is below it.
    Drive,
    /// A network back end.
    Netdev,
    /// A character device.
    Chardev,
    /// An object that devices lean on.
    Object,
}

/// What the program around the machine does for monitors.
pub trait Host: Send + Sync {
    /// The character devices.
    fn chardevs(&self) -> Vec<CharInfo>;
    /// The disks.
    fn disks(&self) -> Vec<DiskInfo>;
    /// The devices that the user named or plugged in.
    fn devices(&self) -> Vec<DeviceInfo>;
    /// The types of devices that `-device` knows.
    fn device_types(&self) -> Vec<&'static str>;
    /// The properties of the type `name`, sorted by name; `None` where there is no such type.
    fn device_properties(&self, name: &str) -> Option<Vec<PropertyInfo>>;
    /// The options of the command line that have parameters, with these; their types are those of QMP.
    fn command_line_options(&self) -> Vec<(&'static str, Vec<PropertyInfo>)>;
    /// The CPU models that `-cpu` names.
    fn cpu_models(&self) -> Vec<CpuModelInfo>;
    /// The properties of the CPU model `name` that are on or off, where `switches` say so of some.
    fn cpu_switches(&self, name: &str, switches: &[(String, bool)]) -> Result<Vec<(String, bool)>, String>;
    /// Adds something that `words` describe, as the argument of its option or as JSON. Not to be called from the machine's thread.
    fn add(&self, part: Part, words: &str) -> Result<(), qmp::Error>;
    /// Takes the thing called `id` away. A device goes when the guest has let go of it. Not to be called from the machine's thread.
    fn remove(&self, part: Part, id: &str) -> Result<(), qmp::Error>;
    /// Forwards a port of the host to the guest, as `rule` of `hostfwd=` says; the user-mode network is found if it is not named.
    fn forward(&self, netdev: Option<&str>, rule: &str) -> Result<(), String>;
    /// Takes back a rule, of which only the host's part is given; false: it was not there.
    fn forward_no_more(&self, netdev: Option<&str>, rule: &str) -> Result<bool, String>;
    /// The ports that are forwarded, as lines for people.
    fn forwards(&self) -> String;
    /// The saved states that can be loaded.
    fn snapshots(&self) -> Vec<SnapshotInfo>;
    /// The states that are kept in this process.
    fn checkpoints(&self) -> Vec<CheckpointInfo>;
    /// Saves the machine; one of the same name is replaced, if `replace`. Not to be called from the machine's thread, as the two
    /// that follow.
    fn save_snapshot(&self, request: SnapshotRequest, replace: bool) -> Result<(), String>;
    /// Puts the machine back.
    fn load_snapshot(&self, request: SnapshotRequest) -> Result<(), String>;
    /// Forgets a snapshot; one that is not there is no fault.
    fn delete_snapshot(&self, request: SnapshotRequest) -> Result<(), String>;
    /// The network back ends.
    fn networks(&self) -> Vec<NetInfo>;
    /// Has these items be logged, spelled as for `-d`, and no others.
    fn log(&self, items: &str) -> Result<(), String>;
    /// The items that can be logged, a line of words for each.
    fn log_help(&self) -> String;
    /// The items that can be logged, and whether they are.
    fn log_items(&self) -> Vec<(&'static str, bool)>;
    /// Has the log go to `file` from now on; empty: to stderr.
    fn log_file(&self, file: &str) -> Result<(), String>;
    /// The `number` translations that executed most, as a table.
    fn translations(&self, record: &Record, number: usize) -> String;
    /// Starts a gdb server on `device`, spelled as for `-gdb`; `none` ends it.
    fn gdb_server(&self, device: &str) -> Result<(), String>;
}

/// A machine that somebody is attached to.
pub struct Context {
    /// What does not change.
    pub facts: Facts,
    /// The machine's life, and the way to its vCPUs.
    pub power: Arc<Power>,
    /// Its memory map.
    pub space: Arc<AddressSpace>,
    /// The device tree that the guest is given.
    pub device_tree: Vec<u8>,
    /// Its devices, with where they are.
    pub devices: Vec<(String, Shared<dyn Device>)>,
    /// The program around it.
    pub host: Arc<dyn Host>,
    /// Jobs that clients have started.
    pub jobs: Jobs,
}

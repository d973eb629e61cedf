//! The machine as debuggers and monitors see it.

use crate::jobs::Jobs;
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
    /// Bytes of guest memory.
    pub memory: u64,
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

/// Which snapshot is meant, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// Its name.
    pub tag: String,
    /// The disk that holds the machine's state, by its id or node; `None`: the usual place.
    pub state: Option<String>,
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

/// What the program around the machine does for monitors.
pub trait Host: Send + Sync {
    /// The character devices.
    fn chardevs(&self) -> Vec<CharInfo>;
    /// The disks.
    fn disks(&self) -> Vec<DiskInfo>;
    /// The saved states that can be loaded.
    fn snapshots(&self) -> Vec<SnapshotInfo>;
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
    /// Its devices, with where they are.
    pub devices: Vec<(String, Shared<dyn Device>)>,
    /// The program around it.
    pub host: Arc<dyn Host>,
    /// Jobs that clients have started.
    pub jobs: Jobs,
}

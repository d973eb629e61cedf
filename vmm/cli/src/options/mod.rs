//! The command line of `qemu-system-*`: argv in, typed configuration out. Nothing is opened or built here.
//!
//! Spellings, defaults and checks follow QEMU 10's manual page ("Options") and its behaviour. Tables hold one row
//! for each option ([`table`]), machine ([`machine`]), device ([`device_table`]), back end ([`net`], [`chardev`]),
//! object ([`object`]) and log item ([`log`]); parsing, suggestions and listings all read those rows. What QEMU has
//! and Mimic does not is refused in a sentence that says so.
//!
//! [`parse`] cuts argv into options ([`argv`]), walks them ([`collect`]), fills in defaults ([`defaults`]) and checks
//! that names refer to something ([`check`]).

pub mod argv;
pub mod block;
pub mod change;
pub mod chardev;
mod check;
mod collect;
mod defaults;
pub mod device;
pub mod device_table;
pub mod error;
pub mod help;
pub mod icount;
pub mod log;
pub mod machine;
mod machine_table;
pub mod net;
pub mod object;
pub mod optstring;
pub mod parameters;
pub mod plugin;
pub mod props;
pub mod settings;
pub mod suggest;
pub mod system;
pub mod table;
pub mod value;

use std::ffi::OsString;

use crate::personality::Arch;

pub use block::{Backing, BlockDriver, BlockNode, Drive, DriveInterface, ImageFormat, NodeRef};
pub use change::{Described, Removal};
pub use chardev::{CharBackend, Chardev, SocketAddress, SocketRole};
pub use defaults::listening;
pub use device::DeviceArg;
pub use device_table::{BusKind, DeviceKind};
pub use error::UsageError;
pub use help::{QEMU_VERSION_NUMBERS, version};
pub use icount::Icount;
pub use log::LogOptions;
pub use machine::CpuModel;
pub use net::{HostEnd, HostForward, NetBackend, Netdev, Protocol, TapNet, UserNet};
pub use object::{Object, ObjectKind};
#[cfg(test)]
pub use settings::Monitor;
pub use settings::{MonitorMode, Rtc, RtcBase, RtcClock};
pub use system::{Firmware, SerialTarget, SystemOptions};

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Run a machine.
    Run(Box<SystemOptions>),
    /// Print this on stdout and exit with status 0.
    Text(String),
    /// Print the guest's CPU models on stdout and exit with status 0; the guest has the table.
    CpuHelp,
}

/// Reads the words after the name of the emulator of `arch`; `program` is that name, for `-help`.
pub fn parse(
    arch: Arch,
    program: &str,
    words: impl IntoIterator<Item = OsString>,
) -> Result<Request, UsageError> {
    collect::collect(arch, program, argv::cut(words)?)
}

#[cfg(test)]
mod tests;

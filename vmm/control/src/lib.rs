//! Attaching to a running machine: the gdb server, QMP, and the human monitor.
//!
//! [`Context`] is the machine as all three see it. Each conversation is a [`Session`] over a character device, with a
//! thread of its own; [`gdb::Server`], [`qmp::Qmp`] and [`hmp::Hmp`] are what is spoken there. Commands of QMP are typed
//! functions in tables ([`qapi`]); their arguments' checks, `query-qmp-schema` and `query-commands` follow from the types.

mod context;
pub mod gdb;
pub mod hmp;
#[macro_use]
mod qapi;
mod jobs;
pub mod qmp;
mod session;

pub use context::{
    CharInfo, CheckpointInfo, Context, CpuModelInfo, DeviceInfo, DiskCounts, DiskInfo, Facts, Host, NetInfo,
    Operations, Part, PropertyInfo, SnapshotInfo, SnapshotRequest, StatePlace,
};
pub use jobs::Jobs;
pub use session::{Outlet, Protocol, Session};

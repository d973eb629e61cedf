//! The commands, a file for each subject.

mod actions;
mod block;
mod chardev;
mod cpu_model;
mod introspect;
mod jobs;
mod machine;
mod migration;
mod monitor;
mod net;
mod object;
mod replay;
mod snapshot;

pub use object::virtio_backend;

use super::command::{Answer, Command};
use crate::context::Context;
use serde_json::Value;
use std::sync::Arc;

/// The tables of commands.
pub fn tables() -> [&'static [Command]; 13] {
    [
        monitor::COMMANDS,
        introspect::COMMANDS,
        machine::COMMANDS,
        cpu_model::COMMANDS,
        actions::COMMANDS,
        block::COMMANDS,
        chardev::COMMANDS,
        net::COMMANDS,
        object::COMMANDS,
        jobs::COMMANDS,
        snapshot::COMMANDS,
        replay::COMMANDS,
        migration::COMMANDS,
    ]
}

/// `qmp_capabilities` where it is expected.
pub fn negotiate(context: &Arc<Context>, arguments: Value) -> Answer<Value> {
    super::command::run(context, arguments, monitor::enable)
}

//! About the conversation itself, and the way to the human monitor.

use crate::context::Context;
use crate::hmp;
use crate::qapi::Empty;
use crate::qmp::command::Answer;
use crate::qmp::{Class, Error};
use std::sync::Arc;

commands! {
    "qmp_capabilities" again;
    "human-monitor-command" human_monitor_command;
}

qapi_enum! {
    /// What both sides may agree upon.
    QMPCapability {
        /// Commands that may overtake others (`exec-oob`); what comes is carried out in its order all the same.
        Oob,
    }
}

qapi_struct! {
    /// Arguments of `qmp_capabilities`.
    Capabilities {
        /// What the client wants.
        enable: Option<Vec<QMPCapability>>,
    }
    /// Arguments of `human-monitor-command`.
    HumanMonitorCommand {
        /// The line.
        command_line: String,
        /// The vCPU that it is about.
        cpu_index: Option<i64>,
    }
}

/// The end of the negotiation.
pub fn enable(_: &Arc<Context>, _: Capabilities) -> Answer<Empty> {
    Ok(Empty {})
}

fn again(_: &Arc<Context>, _: Capabilities) -> Answer<Empty> {
    let what = "Capabilities negotiation is already complete, command ignored";
    Err(Error::of(Class::CommandNotFound, what))
}

fn human_monitor_command(context: &Arc<Context>, arguments: HumanMonitorCommand) -> Answer<String> {
    let cpu = arguments.cpu_index.unwrap_or(0);
    match u32::try_from(cpu) {
        Ok(cpu) if cpu < context.facts.cpus => {
            Ok(hmp::execute_on(context, cpu as usize, &arguments.command_line))
        }
        _ => Err(Error::new("Parameter 'cpu-index' expects a CPU number")),
    }
}

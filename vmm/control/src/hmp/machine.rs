//! Commands about the machine's life.

use super::{Call, split};
use crate::qmp;
use engine::Cause;
use serde_json::{Value, json};

pub fn cont(call: &mut Call) -> String {
    if !call.context.power.state().can_resume() {
        return "Error: Resetting the Virtual Machine is required\n".into();
    }
    call.context.power.resume();
    call.context.power.settle();
    String::new()
}

pub fn stop(call: &mut Call) -> String {
    call.context.power.pause();
    call.context.power.settle();
    String::new()
}

pub fn quit(call: &mut Call) -> String {
    call.context.power.quit(Cause::Quit);
    String::new()
}

pub fn reset(call: &mut Call) -> String {
    call.context.power.reset(Cause::SystemReset);
    String::new()
}

pub fn powerdown(call: &mut Call) -> String {
    call.context.power.powerdown();
    String::new()
}

pub fn wakeup(call: &mut Call) -> String {
    by_qmp(call, "system_wakeup", json!({}))
}

pub fn nmi(call: &mut Call) -> String {
    by_qmp(call, "inject-nmi", json!({}))
}

pub fn screendump(call: &mut Call) -> String {
    by_qmp(call, "screendump", json!({"filename": split(call.rest).0}))
}

pub fn dumpdtb(call: &mut Call) -> String {
    if call.rest.is_empty() {
        return "dumpdtb: filename expected\nTry \"help dumpdtb\" for more information\n".into();
    }
    match by_qmp(call, "dumpdtb", json!({"filename": call.rest})) {
        fault if !fault.is_empty() => fault,
        _ => format!("DTB dumped to '{}'\n", call.rest),
    }
}

pub fn set_link(call: &mut Call) -> String {
    let (name, state) = split(call.rest);
    let up = match state {
        "on" => true,
        "off" => false,
        _ => return "Expected 'on' or 'off'\nTry \"help set_link\" for more information\n".into(),
    };
    by_qmp(call, "set_link", json!({"name": name, "up": up}))
}

pub fn watchdog_action(call: &mut Call) -> String {
    by_qmp(call, "watchdog-set-action", json!({"action": call.rest}))
}

pub fn cpu(call: &mut Call) -> String {
    match call.rest.parse() {
        Ok(cpu) if cpu < call.context.facts.cpus as usize => {
            *call.cpu = cpu;
            String::new()
        }
        _ => "Error: invalid CPU index\n".into(),
    }
}

pub fn gdbserver(call: &mut Call) -> String {
    let device = if call.rest.is_empty() { "tcp::1234" } else { call.rest };
    match call.context.host.gdb_server(device) {
        Err(fault) => format!("Could not open gdbserver on device '{device}': {fault}\n"),
        Ok(()) if device == "none" => "Disabled gdbserver\n".into(),
        Ok(()) => format!("Waiting for gdb connection on device '{device}'\n"),
    }
}

pub(super) fn failure(result: Result<(), String>) -> String {
    result.err().map_or(String::new(), |fault| format!("Error: {fault}\n"))
}

/// Has QMP do it.
fn by_qmp(call: &Call, name: &str, arguments: Value) -> String {
    failure(qmp::call(call.context, name, arguments).map(|_| ()).map_err(|error| error.desc))
}

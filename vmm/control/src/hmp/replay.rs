//! Recorded runs: where they are, and going to places of them.

use super::Call;
use crate::qmp;
use serde_json::{Value, json};

fn by_qmp(call: &Call, name: &str, arguments: Value) -> String {
    qmp::call(call.context, name, arguments)
        .err()
        .map_or(String::new(), |error| format!("Error: {}\n", error.desc))
}

fn with_count(call: &Call, command: &str, name: &str) -> String {
    match call.rest.parse::<u64>() {
        Ok(count) => by_qmp(call, name, json!({"icount": count})),
        Err(_) => format!(
            "{command}: integer is for an argument 'icount'\nTry \"help {command}\" for more information\n"
        ),
    }
}

pub fn set_break(call: &mut Call) -> String {
    with_count(call, "replay_break", "replay-break")
}

pub fn delete_break(call: &mut Call) -> String {
    by_qmp(call, "replay-delete-break", json!({}))
}

pub fn seek(call: &mut Call) -> String {
    with_count(call, "replay_seek", "replay-seek")
}

pub fn replay(call: &mut Call) -> String {
    let Ok(info) = qmp::call(call.context, "query-replay", json!({})) else { return String::new() };
    let (file, icount) = (info["filename"].as_str().unwrap_or_default(), &info["icount"]);
    match info["mode"].as_str() {
        Some("record") => format!("Recording execution '{file}': instruction count = {icount}\n"),
        Some("play") => {
            let mut text = format!("Replaying execution '{file}': instruction count = {icount}\n");
            if let Some(end) = call.context.power.journal().and_then(|journal| journal.end()) {
                text += &format!("Recording ends at instruction count = {}\n", end.count);
            }
            if let Some(stop) = call.context.power.replay_stop() {
                text += &format!("Breakpoint at instruction count = {stop}\n");
            }
            text
        }
        _ => "Record/replay is not active\n".into(),
    }
}

//! Events, as clients are told of them.

use crate::jobs::JobStatus;
use crate::qapi::{Meta, Qapi, Schema};
use engine::Event;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

qapi_struct! {
    /// Data of `RESET` and `SHUTDOWN`.
    Ending {
        /// Whether the guest did it.
        guest: bool,
        /// Why.
        reason: String,
    }
    /// Data of `JOB_STATUS_CHANGE`.
    JobChange {
        /// The job.
        id: String,
        /// Where it is now.
        status: JobStatus,
    }
    /// Data of `DEVICE_DELETED`.
    Deleted {
        /// The device's id.
        device: Option<String>,
        /// Its place among the objects.
        path: String,
    }
    /// Data of `GUEST_PANICKED`, `GUEST_CRASHLOADED` and `WATCHDOG`.
    Handled {
        /// What is done about it.
        action: String,
    }
}

/// Puts the events into `schema`.
pub fn describe(schema: &mut Schema) {
    let (nothing, ending, handled) =
        (crate::qapi::Empty::describe(schema), Ending::describe(schema), Handled::describe(schema));
    let (job, deleted) = (JobChange::describe(schema), Deleted::describe(schema));
    let rows = [
        ("DEVICE_DELETED", deleted),
        ("GUEST_CRASHLOADED", handled.clone()),
        ("GUEST_PANICKED", handled.clone()),
        ("GUEST_PVSHUTDOWN", nothing.clone()),
        ("JOB_STATUS_CHANGE", job),
        ("POWERDOWN", nothing.clone()),
        ("RESET", ending.clone()),
        ("RESUME", nothing.clone()),
        ("SHUTDOWN", ending),
        ("STOP", nothing),
        ("WATCHDOG", handled),
    ];
    for (name, arg_type) in rows {
        schema.add(name, Meta::Event { arg_type });
    }
}

fn now() -> Value {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({"seconds": since.as_secs(), "microseconds": since.subsec_micros()})
}

/// The message that tells of `event`, if it is one that clients hear of.
pub fn message(event: Event) -> Option<Value> {
    let ending = |cause: engine::Cause| Ending { guest: cause.by_guest(), reason: cause.name().into() };
    let handled = |action: &str| Handled { action: action.into() };
    Some(match event {
        Event::Stopped { .. } | Event::Call { .. } => plain("STOP"),
        Event::Resumed => plain("RESUME"),
        Event::Powerdown => plain("POWERDOWN"),
        Event::Reset(cause) => with("RESET", &ending(cause)),
        Event::Shutdown(cause) => with("SHUTDOWN", &ending(cause)),
        Event::GuestPanicked { action } => with("GUEST_PANICKED", &handled(action)),
        Event::GuestCrashLoaded => with("GUEST_CRASHLOADED", &handled("run")),
        Event::PvShutdown => plain("GUEST_PVSHUTDOWN"),
        Event::Watchdog(action) => with("WATCHDOG", &handled(action.name())),
        Event::Job { id, status } => {
            let Ok(status) = serde_json::from_value(json!(status)) else { return None };
            with("JOB_STATUS_CHANGE", &JobChange { id: id.to_string(), status })
        }
        Event::DeviceDeleted { device, path } => {
            let device = device.map(|id| id.to_string());
            with("DEVICE_DELETED", &Deleted { device, path: path.to_string() })
        }
        Event::Ended(_) => return None,
    })
}

fn plain(name: &str) -> Value {
    json!({"timestamp": now(), "event": name})
}

fn with(name: &str, data: &impl Serialize) -> Value {
    json!({"timestamp": now(), "event": name, "data": data})
}

//! Saving the machine, and putting it back.

use super::Call;
use crate::context::{CheckpointInfo, SnapshotInfo, SnapshotRequest, StatePlace};
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NS: u64 = 1_000_000_000;

fn request(tag: &str) -> SnapshotRequest {
    SnapshotRequest { tag: tag.into(), ..SnapshotRequest::default() }
}

fn failure(result: Result<(), String>) -> String {
    result.err().map_or(String::new(), |fault| format!("Error: {fault}\n"))
}

pub fn savevm(call: &mut Call) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let tag = if call.rest.is_empty() { local_time(now, c"vm-%Y%m%d%H%M%S") } else { call.rest.into() };
    failure(call.context.host.save_snapshot(request(&tag), true))
}

pub fn loadvm(call: &mut Call) -> String {
    match call.rest {
        "" => missing("loadvm"),
        tag => failure(call.context.host.load_snapshot(request(tag))),
    }
}

pub fn delvm(call: &mut Call) -> String {
    match call.rest {
        "" => missing("delvm"),
        tag => failure(call.context.host.delete_snapshot(request(tag))),
    }
}

fn in_memory(tag: &str) -> SnapshotRequest {
    SnapshotRequest { state: StatePlace::Memory, ..request(tag) }
}

pub fn checkpoint(call: &mut Call) -> String {
    match call.rest {
        "" => missing("checkpoint"),
        tag => failure(call.context.host.save_snapshot(in_memory(tag), true)),
    }
}

pub fn restore(call: &mut Call) -> String {
    match call.rest {
        "" => missing("restore"),
        tag => failure(call.context.host.load_snapshot(in_memory(tag))),
    }
}

pub fn checkpoints(call: &mut Call) -> String {
    let all = call.context.host.checkpoints();
    if all.is_empty() {
        return "There is no checkpoint.\n".into();
    }
    let line = |info: CheckpointInfo| format!("{:<16} {:>15}\n", info.tag, clock(info.clock));
    all.into_iter().map(line).collect()
}

fn missing(command: &str) -> String {
    format!("{command}: string expected\nTry \"help {command}\" for more information\n")
}

pub fn snapshots(call: &mut Call) -> String {
    let whole = call.context.host.snapshots();
    let is_whole = |tag: &str| whole.iter().any(|info| info.tag == tag);
    let mut text = String::new();
    for disk in call.context.host.disks() {
        let partial = disk.snapshots.iter().filter(|info| !is_whole(&info.tag));
        let lines: String = partial.map(|info| line(&info.id, info)).collect();
        if !lines.is_empty() {
            let head = format!("\nList of partial (non-loadable) snapshots on '{}':\n", disk.device);
            text += &(head + HEADER + &lines);
        }
    }
    if whole.is_empty() && text.is_empty() {
        return "There is no snapshot available.\n".into();
    }
    // Numbers may differ from disk to disk.
    let lines: String = whole.iter().map(|info| line("--", info)).collect();
    let lines = if whole.is_empty() { "None\n".into() } else { HEADER.to_string() + &lines };
    format!("List of snapshots present on all disks:\n{lines}{text}")
}

const HEADER: &str = "ID      TAG               VM_SIZE                DATE        VM_CLOCK     ICOUNT\n";

fn line(id: &str, info: &SnapshotInfo) -> String {
    let (size, date) = (size(info.state_size), local_time(info.date / NS, c"%Y-%m-%d %H:%M:%S"));
    format!("{id:<7} {:<16} {size:>8} {date:>19} {:>15} {:>10}\n", info.tag, clock(info.clock), "--")
}

/// Machine time.
fn clock(ns: u64) -> String {
    let (seconds, ms) = (ns / NS, ns % NS / 1_000_000);
    format!("{:04}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Three digits and a unit.
fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1000.0 && unit + 1 < units.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    let mut text = format!("{value:.digits$}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    let _ = write!(text, " {}", units[unit]);
    text
}

/// Seconds since 1970-01-01 UTC in the host's time zone, in the form of `strftime`.
fn local_time(seconds: u64, form: &std::ffi::CStr) -> String {
    let time = Duration::from_secs(seconds).as_secs() as libc::time_t;
    let mut local = std::mem::MaybeUninit::<libc::tm>::zeroed();
    let mut text = [0u8; 64];
    // SAFETY: pointers and length are of live values; zeroes are a valid `tm`, and `form` ends with a NUL.
    let len = unsafe {
        libc::localtime_r(&time, local.as_mut_ptr());
        libc::strftime(text.as_mut_ptr().cast(), text.len(), form.as_ptr(), local.as_ptr())
    };
    String::from_utf8_lossy(&text[..len]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_qemu() {
        let info = SnapshotInfo {
            id: "1".into(),
            tag: "a".into(),
            state_size: 340_742,
            date: 1_795_737_118_643_391_000,
            clock: 3_723_004_000_000,
        };
        let line = line("--", &info);
        assert!(line.starts_with("--      a                 333 KiB 2026-11-2"), "{line}");
        assert!(line.ends_with("  0001:02:03.004         --\n"), "{line}");
        assert_eq!(
            [0, 999, 1000, 1024, 3 << 20, 1_234_567].map(size),
            ["0 B", "999 B", "0.98 KiB", "1 KiB", "3 MiB", "1.18 MiB"]
        );
    }
}

//! Locks that keep two programs from using one disk image in ways that do not go together.
//!
//! The protocol is QEMU's, so that both respect each other: an open file description holds a shared OFD lock on byte
//! 100 + n for every permission n that it uses, and on byte 200 + n for every permission that it does not grant to
//! others; then it checks that nobody holds the opposite byte.

use super::BlockError;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const USED: i64 = 100;
const NOT_SHARED: i64 = 200;

/// The permissions of QEMU's block layer, by bit number.
const CONSISTENT_READ: i64 = 0;
const WRITE: i64 = 1;
const RESIZE: i64 = 3;

fn name(permission: i64) -> &'static str {
    match permission {
        CONSISTENT_READ => "consistent read",
        WRITE => "write",
        _ => "resize",
    }
}

/// What is to be done with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Reading; nobody else may write.
    Read,
    /// Reading and writing; nobody else may write.
    Write,
}

/// Locks `file`, which was opened as `path`, for `purpose`. The lock ends when the file is closed.
pub(super) fn acquire(file: &File, path: &Path, purpose: Use) -> Result<(), BlockError> {
    let used: &[i64] = match purpose {
        Use::Read => &[CONSISTENT_READ],
        Use::Write => &[CONSISTENT_READ, WRITE, RESIZE],
    };
    let not_shared = &[WRITE, RESIZE];
    let failed = |source| BlockError::Open { path: path.into(), source };
    let bytes = used.iter().map(|p| USED + p).chain(not_shared.iter().map(|p| NOT_SHARED + p));
    for byte in bytes {
        match lock(file, byte) {
            Ok(()) => {}
            // File systems without locks: QEMU, too, goes on without.
            Err(error) if error.raw_os_error() == Some(libc::ENOLCK) => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
    }
    let opposites = used.iter().map(|p| (p, NOT_SHARED + p)).chain(not_shared.iter().map(|p| (p, USED + p)));
    for (&permission, byte) in opposites {
        if is_locked(file, byte).map_err(failed)? {
            return Err(BlockError::Locked {
                path: path.into(),
                permission: name(permission),
                holder: holder(file),
                read_only: purpose == Use::Read,
            });
        }
    }
    Ok(())
}

fn range(kind: libc::c_int, byte: i64) -> libc::flock {
    // SAFETY: `flock` is a C structure of integers, for which zero is a valid value.
    let mut range: libc::flock = unsafe { std::mem::zeroed() };
    range.l_type = kind as libc::c_short;
    range.l_whence = libc::SEEK_SET as libc::c_short;
    range.l_start = byte;
    range.l_len = 1;
    range
}

fn lock(file: &File, byte: i64) -> io::Result<()> {
    let range = range(libc::F_RDLCK, byte);
    // SAFETY: the descriptor is open and `range` lives through the call.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &range) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether somebody else has a lock on `byte`.
fn is_locked(file: &File, byte: i64) -> io::Result<bool> {
    let mut range = range(libc::F_WRLCK, byte);
    // SAFETY: the descriptor is open and `range` lives through the call.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &mut range) } {
        0 => Ok(range.l_type != libc::F_UNLCK as libc::c_short),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Names whoever has a lock on `file`, as far as the host lets us look. The kernel does not say (an OFD lock has no
/// process), so this looks through the files of all processes.
fn holder(file: &File) -> String {
    find_holder(file).unwrap_or_else(|| "another process".into())
}

fn find_holder(file: &File) -> Option<String> {
    let wanted = file.metadata().ok()?;
    let own = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        for entry in files.flatten().map(|entry| entry.path()) {
            let same = fs::metadata(&entry)
                .is_ok_and(|found| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino()));
            if !same || entry == Path::new(&own) {
                continue;
            }
            let info = process.path().join("fdinfo").join(entry.file_name()?);
            if fs::read_to_string(info).is_ok_and(|info| info.contains("OFDLCK")) {
                return Some(describe(pid));
            }
        }
    }
    None
}

fn describe(pid: u32) -> String {
    if pid == std::process::id() {
        return "this process (the image is given twice)".into();
    }
    match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("process {pid} ({})", name.trim_end()),
        Err(_) => format!("process {pid}"),
    }
}

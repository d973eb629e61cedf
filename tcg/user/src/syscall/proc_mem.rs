//! Writing to `/proc/PID/mem`: the host writes, whatever the rights of the pages, and no store shows it; so whose memory it is has to
//! be told that translations are made from it no longer.

use super::proc_self::parts;
use crate::memory::Result;
use crate::thread::Thread;
use crate::{sys, trace};
use libc::*;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Such a file was opened for writing.
static ANY: AtomicBool = AtomicBool::new(false);

/// Notes that such a file is opened for writing.
pub fn note() {
    ANY.store(true, Ordering::Relaxed);
}

/// The process whose memory `fd` is.
fn owner(fd: u64) -> Option<i32> {
    if !ANY.load(Ordering::Relaxed) {
        return None;
    }
    let name = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    let name = CString::new(name.as_os_str().as_bytes()).ok()?;
    let (pid, file) = parts(&name)?;
    (file == "mem").then_some(pid)
}

/// Makes host call `nr`, which writes to a file at its position.
pub fn write(thread: &mut Thread, nr: i64, args: [u64; 6]) -> Result<u64> {
    write_from(thread, nr, args, |args| {
        // SAFETY: tells where the file stands.
        super::result(unsafe { sys::call(SYS_lseek, [args[0], 0, SEEK_CUR as u64, 0, 0, 0]) })
    })
}

/// The same for one that is told where, in its fourth argument.
pub fn write_at(thread: &mut Thread, nr: i64, args: [u64; 6]) -> Result<u64> {
    write_from(thread, nr, args, |args| Ok(args[3]))
}

fn write_from(
    thread: &mut Thread,
    nr: i64,
    args: [u64; 6],
    position: fn(&[u64; 6]) -> Result<u64>,
) -> Result<u64> {
    let Some(pid) = owner(args[0]) else { return thread.host_call(nr, args) };
    let start = position(&args)?;
    let memory = thread.process.memory.clone();
    if !memory.contains(start, 0) {
        // There the emulators are.
        return Err(EIO);
    }
    let done = thread.host_call(nr, args)?;
    match pid == sys::getpid() {
        true => memory.drop_code(start..start + done),
        false => trace::written(pid, start..start + done),
    }
    Ok(done)
}

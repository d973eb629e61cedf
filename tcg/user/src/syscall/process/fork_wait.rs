//! How a process waits for a child that has a copy of its memory (`CLONE_VFORK` without `CLONE_VM`): the host would do it, but with
//! locks of the emulator's held, which the other threads need.

use crate::reserved::{Reserved, out_of_the_way};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::FromRawFd;
use std::sync::{Mutex, PoisonError};

/// A pipe that closes when a child ends or becomes another program.
pub struct ForkWait {
    read: File,
    write: Reserved,
}

/// The end by which this process' parent waits.
static HELD: Mutex<Option<Reserved>> = Mutex::new(None);

fn hold(end: Option<Reserved>) {
    *HELD.lock().unwrap_or_else(PoisonError::into_inner) = end;
}

impl ForkWait {
    /// A new one.
    ///
    /// # Errors
    /// The host has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let mut fds = [0; 2];
        // SAFETY: writes the array.
        if unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both were made just now.
        let [read, write] = fds.map(|fd| unsafe { File::from_raw_fd(fd) });
        Ok(Self { read: out_of_the_way(&read)?, write: Reserved::new(&write)? })
    }

    /// The present process is the child of `wait`, or of nobody who waits: a child that is waited for may have made it.
    pub fn is_child(wait: Option<Self>) {
        hold(wait.map(|wait| wait.write));
    }

    /// Waits for the child.
    pub fn wait(self) {
        let Self { mut read, write } = self;
        drop(write);
        // Nothing is ever written; an error ends the wait as well.
        let _ = read.read_to_end(&mut Vec::new());
    }
}

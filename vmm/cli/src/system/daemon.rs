//! `-daemonize`: the machine goes on in a process of its own, and who started the program is let go once everything is in place.

use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::process::exit;

/// The way to the process that waits.
pub struct Waiting(PipeWriter);

/// Goes on in a new process. The old one waits until that is ready, or ends as it did. Call before any other thread starts.
pub fn divide() -> io::Result<Waiting> {
    let (mut from, to) = io::pipe()?;
    // SAFETY: there is no other thread, so the new process is as whole as this one.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: only asks for a session. A new process leads no group, so that it can have one.
            unsafe { libc::setsid() };
            Ok(Waiting(to))
        }
        child => {
            drop(to);
            exit(if from.read_exact(&mut [0]).is_ok() { 0 } else { status(child) })
        }
    }
}

/// The exit status of a process that ends.
fn status(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: our child, and a live place for its status.
    let ended = unsafe { libc::waitpid(child, &mut status, 0) } == child;
    if ended && libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { super::HOST.into() }
}

impl Waiting {
    /// Everything is in place: leaves the streams that the program was started with. File names stay relative to the same folder.
    pub fn ready(mut self) -> io::Result<()> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        for stream in 0..=2 {
            // SAFETY: both are descriptors of ours.
            if unsafe { libc::dup2(null.as_raw_fd(), stream) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        self.0.write_all(&[1])
    }
}

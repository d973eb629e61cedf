//! A pseudo terminal (pty(7)): the guest holds the master, a terminal program opens the slave.

use super::line::{End, Line, Source, Wait};
use super::sys::{self, GONE};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// How often to look whether somebody opened the slave: the host reports only that nobody has.
const LOOK: Duration = Duration::from_millis(100);

/// The master of a pseudo terminal, which has a connection while its slave is open.
pub(super) struct Pty {
    master: File,
    path: PathBuf,
}

/// Makes a pseudo terminal and puts it into raw mode.
pub(super) fn open() -> io::Result<Pty> {
    let checked = |result: libc::c_int| {
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
    };
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: a plain call.
    let fd = checked(unsafe { libc::posix_openpt(flags) })?;
    // SAFETY: the host has just handed out `fd`, nobody else owns it.
    let master = unsafe { File::from_raw_fd(fd) };
    // SAFETY: plain calls on an open descriptor.
    unsafe {
        checked(libc::grantpt(fd))?;
        checked(libc::unlockpt(fd))?;
    }
    let mut name = [0u8; 64];
    // SAFETY: the pointer and the length are those of `name`.
    let failed = unsafe { libc::ptsname_r(fd, name.as_mut_ptr().cast(), name.len()) };
    if failed != 0 {
        return Err(io::Error::from_raw_os_error(failed));
    }
    let name = CStr::from_bytes_until_nul(&name).map_err(io::Error::other)?;
    let path = PathBuf::from(String::from_utf8_lossy(name.to_bytes()).into_owned());

    // The setting outlives this opening of the slave; and once it is closed, the master reports that nobody is there.
    let slave = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(&path)?;
    let mut settings = MaybeUninit::uninit();
    // SAFETY: the pointers are to room for a `termios`, which is filled when the first call succeeds.
    unsafe {
        checked(libc::tcgetattr(slave.as_raw_fd(), settings.as_mut_ptr()))?;
        libc::cfmakeraw(settings.as_mut_ptr());
        checked(libc::tcsetattr(slave.as_raw_fd(), libc::TCSANOW, settings.as_ptr()))?;
    }
    Ok(Pty { master, path })
}

impl Source for Pty {
    fn path(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }

    fn wait(&self) -> Wait {
        Wait::After(LOOK)
    }

    fn connect(&mut self) -> Option<Line> {
        let state = sys::ready(self.master.as_fd(), libc::POLLIN, 0);
        // Input that is left from somebody who has closed the slave again counts.
        if state & GONE != 0 && state & libc::POLLIN == 0 {
            return None;
        }
        let (input, output) = (self.master.try_clone().ok()?, self.master.try_clone().ok()?);
        Some(Line::new(Some(input), Some(output), End::Close))
    }
}

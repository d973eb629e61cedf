//! Descriptors of the emulator's own: high ones, which no guest is given by chance, and which its calls do not reach.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Where they begin, if the limits allow so many.
const HIGH: u64 = 1000;
/// Room for them below the limit.
const ROOM: usize = 8;

/// Those there are; 0 for none.
static RESERVED: [AtomicI32; ROOM] = [const { AtomicI32::new(0) }; ROOM];

/// Moves `file` to a descriptor that is the emulator's from now on.
///
/// # Errors
/// As of [`Reserved::new`].
pub fn reserve(file: &File) -> io::Result<File> {
    let file = out_of_the_way(file)?;
    let fd = file.as_raw_fd();
    let free = |slot: &AtomicI32| slot.compare_exchange(0, fd, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    if RESERVED.iter().any(free) { Ok(file) } else { Err(io::ErrorKind::OutOfMemory.into()) }
}

/// A file whose descriptor is the emulator's until it is dropped.
#[derive(Debug)]
pub struct Reserved(File);

impl Reserved {
    /// Moves `file` to such a descriptor.
    ///
    /// # Errors
    /// The host has no descriptors left, or there are too many of these.
    pub fn new(file: &File) -> io::Result<Self> {
        reserve(file).map(Self)
    }
}

impl std::ops::Deref for Reserved {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let fd = self.0.as_raw_fd();
        for slot in &RESERVED {
            // One of them is it.
            let _ = slot.compare_exchange(fd, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// A high descriptor for `file`, which no guest is given by chance.
pub fn out_of_the_way(file: &File) -> io::Result<File> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes the local structure.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    let least = HIGH.min(limit.rlim_cur.saturating_sub(ROOM as u64));
    // SAFETY: makes a descriptor.
    let fd = match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least as i32) } {
        -1 => return Err(io::Error::last_os_error()),
        fd => fd,
    };
    // SAFETY: it was made just now, and nobody else has it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Whether `fd` is one of the emulator's.
pub fn is_reserved(fd: RawFd) -> bool {
    fd > 0 && RESERVED.iter().any(|slot| slot.load(Ordering::Relaxed) == fd)
}

/// The parts of `first..=last` between them.
pub fn without(first: u32, last: u32) -> Vec<(u32, u32)> {
    let mut own: Vec<u32> = RESERVED.iter().map(|slot| slot.load(Ordering::Relaxed) as u32).collect();
    own.retain(|fd| *fd != 0 && (first..=last).contains(fd));
    own.sort_unstable();
    let mut parts = Vec::new();
    let mut at = first;
    for fd in own {
        if fd > at {
            parts.push((at, fd - 1));
        }
        at = fd + 1;
    }
    if at <= last {
        parts.push((at, last));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_leave_them_out() {
        let null = File::open("/dev/null").expect("it is always there");
        let own = Reserved::new(&null).expect("there is room");
        let fd = own.as_raw_fd() as u32;
        assert!(is_reserved(fd as i32) && !is_reserved(null.as_raw_fd()));
        assert_eq!(without(3, u32::MAX), [(3, fd - 1), (fd + 1, u32::MAX)]);
        assert_eq!(without(fd, fd), []);
        assert_eq!(without(3, fd - 1), [(3, fd - 1)]);
    }
}

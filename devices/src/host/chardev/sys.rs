//! The few system calls that the character back ends need beyond the standard library: `poll(2)`, non-blocking
//! descriptors, and a bell that ends a `poll`.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The other side is gone, or the descriptor is of no use for another reason.
pub(super) const GONE: i16 = libc::POLLHUP | libc::POLLERR | libc::POLLNVAL;

/// A set of descriptors to wait for, filled anew for each wait.
#[derive(Default)]
pub(super) struct Poll(Vec<libc::pollfd>);

/// Names one descriptor of a [`Poll`] until it is cleared.
#[derive(Clone, Copy)]
pub(super) struct Slot(usize);

impl Poll {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Waits for `events` on `fd` too, and for [`GONE`] in any case.
    pub(super) fn add(&mut self, fd: RawFd, events: i16) -> Slot {
        self.0.push(libc::pollfd { fd, events, revents: 0 });
        Slot(self.0.len() - 1)
    }

    /// What happened on the descriptor.
    pub(super) fn got(&self, slot: Option<Slot>) -> i16 {
        slot.map_or(0, |slot| self.0[slot.0].revents)
    }

    /// Waits until something happens or `timeout` (`None`: for ever) is over; a signal may end it early.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) {
        // Rounded up: with 0 for a fraction of a millisecond the caller would spin until that is over.
        let ms = timeout.map_or(-1, |t| t.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32);
        // SAFETY: the pointer and the count describe the vector, which outlives the call.
        let n = unsafe { libc::poll(self.0.as_mut_ptr(), self.0.len() as libc::nfds_t, ms) };
        if n < 0 {
            self.0.iter_mut().for_each(|p| p.revents = 0);
        }
    }
}

/// What of `events` and [`GONE`] `fd` is ready for, within `ms` milliseconds. Async-signal-safe.
pub(super) fn ready(fd: BorrowedFd<'_>, events: i16, ms: i32) -> i16 {
    let mut one = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: the pointer is to one entry.
    let n = unsafe { libc::poll(&mut one, 1, ms) };
    if n > 0 { one.revents } else { 0 }
}

/// Ends another thread's [`Poll::wait`]. Ringing it again before it was heard costs no system call.
pub(super) struct Bell {
    reader: PipeReader,
    writer: PipeWriter,
    rung: AtomicBool,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self { reader, writer, rung: AtomicBool::new(false) })
    }

    pub(super) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // One byte at most is in the pipe, so this neither blocks nor fails.
            let _ = (&self.writer).write(&[0]);
        }
    }

    /// The descriptor that becomes readable.
    pub(super) fn fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    /// Takes a ring that [`Poll::wait`] reported. What was changed before that ring is seen after this call.
    pub(super) fn heard(&self) {
        let _ = (&self.reader).read(&mut [0; 1]);
        self.rung.store(false, Ordering::Release);
    }
}

/// Makes reads and writes on `fd`, and on every copy of it, return instead of wait.
pub(super) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a plain call on a descriptor that is open.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// An inherited descriptor to write to, and whether writing to it may block.
///
/// `O_NONBLOCK` belongs to the open file, which the shell and other programs share with us. So a terminal or pipe
/// is opened a second time; where that is refused, and for sockets, the copy may block.
pub(super) fn inherited_output(fd: BorrowedFd<'_>) -> io::Result<(File, bool)> {
    let copy = File::from(fd.try_clone_to_owned()?);
    let kind = copy.metadata()?.file_type();
    if kind.is_file() {
        return Ok((copy, false));
    }
    if kind.is_char_device() || kind.is_fifo() {
        let again = File::options()
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(format!("/proc/self/fd/{}", copy.as_fd().as_raw_fd()));
        if let Ok(again) = again {
            return Ok((again, false));
        }
    }
    Ok((copy, true))
}

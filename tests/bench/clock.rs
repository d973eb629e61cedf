//! What is measured of a process: the time it takes, or the time that the host's CPUs spend on it, which other work of the
//! machine does not stretch.

use std::time::{Duration, Instant};

/// A kind of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// From begin to end.
    Wall,
    /// CPU time, of all threads.
    Cpu,
}

impl Clock {
    /// This clock of the running child `pid`; only differences mean something.
    pub fn of_child(self, start: Instant, pid: u32) -> Duration {
        match self {
            Self::Wall => start.elapsed(),
            Self::Cpu => of_running(pid as libc::pid_t),
        }
    }

    /// This clock of all children that have ended; only differences mean something.
    pub fn of_ended(self, start: Instant) -> Duration {
        match self {
            Self::Wall => start.elapsed(),
            Self::Cpu => of_all_ended(),
        }
    }
}

/// CPU time of process `pid`; zero if it is no more.
fn of_running(pid: libc::pid_t) -> Duration {
    let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: both calls write the local variables; the clock is that of the first if it gives one.
    let known = unsafe {
        libc::clock_getcpuclockid(pid, &mut clock) == 0 && libc::clock_gettime(clock, &mut time) == 0
    };
    if known { Duration::new(time.tv_sec as u64, time.tv_nsec as u32) } else { Duration::ZERO }
}

/// CPU time of all children that were waited for.
fn of_all_ended() -> Duration {
    // SAFETY: zeros are valid, and the call writes the local structure.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
        usage
    };
    let of = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    of(usage.ru_utime) + of(usage.ru_stime)
}

//! The clock behind the guest's time registers.

use base::{Clock, Ns, Timer};

/// The host's monotonic clock. A process has no timer interrupts.
pub struct Monotonic;

struct NoTimer;

impl Timer for NoTimer {
    fn arm(&self, _: Ns) {}
    fn disarm(&self) {}
}

fn read(clock: libc::clockid_t) -> Ns {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the local variable; both clocks exist everywhere.
    unsafe { libc::clock_gettime(clock, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

impl Clock for Monotonic {
    fn now(&self) -> Ns {
        read(libc::CLOCK_MONOTONIC)
    }

    fn wall(&self) -> u64 {
        read(libc::CLOCK_REALTIME)
    }

    fn timer(&self, _: Box<dyn Fn() + Send + Sync>) -> Box<dyn Timer> {
        Box::new(NoTimer)
    }
}

//! Machine time, and what `-rtc` makes of the wall clock.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Clock, HostClock, Ns, Timer};

use super::error::SystemError;
use crate::options::{Rtc, RtcBase, RtcClock};

const NS: i64 = 1_000_000_000;

/// The host's clock with a wall clock of its own.
struct MachineClock {
    host: Arc<HostClock>,
    /// Wall time at machine time zero, for a wall clock that runs with machine time.
    start: AtomicU64,
    /// Whether it runs with machine time rather than with the host's wall clock.
    own: bool,
    /// Added to the host's wall clock.
    offset: i64,
}

impl Clock for MachineClock {
    fn now(&self) -> Ns {
        self.host.now()
    }

    fn wall(&self) -> u64 {
        let base = if self.own {
            self.start.load(Ordering::Relaxed).wrapping_add(self.host.now())
        } else {
            self.host.wall()
        };
        base.saturating_add_signed(self.offset)
    }

    fn set_running(&self, running: bool) {
        self.host.set_running(running);
    }

    fn is_running(&self) -> bool {
        self.host.is_running()
    }

    fn set(&self, now: Ns, wall: u64) {
        self.host.set(now, wall);
        // So that the wall clock, if it is the machine's own, shows `wall`.
        let base = wall.wrapping_sub(self.offset as u64);
        self.start.store(base.wrapping_sub(self.host.now()), Ordering::Relaxed);
    }

    fn timer(&self, callback: Box<dyn Fn() + Send + Sync>) -> Box<dyn Timer> {
        self.host.timer(callback)
    }
}

/// The clock of a machine.
pub fn machine_clock(rtc: &Rtc) -> Result<Arc<dyn Clock>, SystemError> {
    let host = HostClock::new().map_err(SystemError::host("cannot start the machine's clock"))?;
    let wall = host.wall();
    let offset = match rtc.base {
        RtcBase::Utc => 0,
        RtcBase::LocalTime => local_offset((wall / NS as u64) as i64) * NS,
        RtcBase::Date(seconds) => seconds.saturating_mul(NS).saturating_sub(wall as i64),
    };
    let own = matches!(rtc.clock, RtcClock::Vm | RtcClock::Rt);
    Ok(Arc::new(MachineClock { host, start: wall.into(), own, offset }))
}

/// Seconds that local time is ahead of UTC at `time`.
fn local_offset(time: i64) -> i64 {
    let mut local = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to live values; zeroes are a valid `tm`.
    unsafe {
        libc::localtime_r(&time, local.as_mut_ptr());
        local.assume_init().tm_gmtoff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_where_the_wall_clock_starts() {
        let rtc = Rtc { base: RtcBase::Date(1_150_560_081), clock: RtcClock::Vm };
        let wall = machine_clock(&rtc).expect("a thread").wall();
        assert!((1_150_560_081..1_150_560_141).contains(&(wall / NS as u64)), "{wall}");
    }
}

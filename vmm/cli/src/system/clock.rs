//! Machine time, which is the host's or counted in instructions, and what `-rtc` makes of the wall clock.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::{Clock, HostClock, Ns, Timer};

use engine::{Inputs, SourceId};

use super::by_turns::ByTurns;
use super::error::SystemError;
use crate::options::{Rtc, RtcBase, RtcClock};

const NS: i64 = 1_000_000_000;

/// Machine time with a wall clock of its own.
struct MachineClock {
    time: Arc<dyn Clock>,
    /// Wall time at machine time zero, for a wall clock that runs with machine time.
    start: AtomicU64,
    /// Whether it runs with machine time rather than with the host's wall clock.
    own: bool,
    /// Added to the host's wall clock.
    offset: i64,
    /// Whom a look at the host's wall clock goes through, so that it can be recorded.
    asks: Option<(Arc<Inputs>, SourceId)>,
}

/// The host's wall clock, as `time` knows it or as it was recorded.
fn host_wall(time: &dyn Clock, asks: Option<&(Arc<Inputs>, SourceId)>) -> u64 {
    let Some((inputs, source)) = asks else { return time.wall() };
    let answer = inputs.ask(*source, || time.wall().to_le_bytes().to_vec());
    // A log that has something else is found out elsewhere.
    answer.try_into().map_or(0, u64::from_le_bytes)
}

impl Clock for MachineClock {
    fn now(&self) -> Ns {
        self.time.now()
    }

    fn wall(&self) -> u64 {
        let base = if self.own {
            self.start.load(Ordering::Relaxed).wrapping_add(self.time.now())
        } else {
            host_wall(&*self.time, self.asks.as_ref())
        };
        base.saturating_add_signed(self.offset)
    }

    fn set_running(&self, running: bool) {
        self.time.set_running(running);
    }

    fn is_running(&self) -> bool {
        self.time.is_running()
    }

    fn set(&self, now: Ns, wall: u64) {
        self.time.set(now, wall);
        // So that the wall clock, if it is the machine's own, shows `wall`.
        let base = wall.wrapping_sub(self.offset as u64);
        self.start.store(base.wrapping_sub(self.time.now()), Ordering::Relaxed);
    }

    fn timer(&self, callback: Box<dyn Fn() + Send + Sync>) -> Box<dyn Timer> {
        self.time.timer(callback)
    }
}

/// The clock of a machine, whose time is counted if its vCPUs run by `turns`.
pub fn machine_clock(rtc: &Rtc, turns: Option<&ByTurns>) -> Result<Arc<dyn Clock>, SystemError> {
    let time: Arc<dyn Clock> = match turns {
        Some(turns) => turns.clock().clone(),
        None => {
            let clock = HostClock::new().map_err(SystemError::host("cannot start the machine's clock"))?;
            // It goes when the machine does, and not while it is built.
            clock.set_running(false);
            clock.set(0, 0);
            clock
        }
    };
    let asks = turns.map(|turns| (turns.inputs().clone(), turns.inputs().oracle("the host's clock")));
    let wall = host_wall(&*time, asks.as_ref());
    let offset = match rtc.base {
        RtcBase::Utc => 0,
        RtcBase::LocalTime => {
            let real = || local_offset((wall / NS as u64) as i64);
            match &asks {
                Some((inputs, source)) => {
                    let answer = inputs.ask(*source, || real().to_le_bytes().to_vec());
                    answer.try_into().map_or(0, i64::from_le_bytes).saturating_mul(NS)
                }
                None => real() * NS,
            }
        }
        RtcBase::Date(seconds) => seconds.saturating_mul(NS).saturating_sub(wall as i64),
    };
    let own = matches!(rtc.clock, RtcClock::Vm | RtcClock::Rt);
    Ok(Arc::new(MachineClock { time, start: wall.into(), own, offset, asks }))
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
        let wall = machine_clock(&rtc, None).expect("a thread").wall();
        assert!((1_150_560_081..1_150_560_141).contains(&(wall / NS as u64)), "{wall}");
    }

    #[test]
    fn machine_time_is_zero_until_the_machine_runs() {
        let rtc = Rtc { base: RtcBase::Utc, clock: RtcClock::Host };
        let clock = machine_clock(&rtc, None).expect("a thread");
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_eq!(clock.now(), 0);
        clock.set_running(true);
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(clock.now() > 0);
    }
}

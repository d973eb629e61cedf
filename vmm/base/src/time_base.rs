//! The counter that every timer of a RISC-V machine reads: `mtime` of the ACLINT and the `time` CSR of all harts.

use crate::{Clock, Ns};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const NS_PER_SECOND: u64 = 1_000_000_000;

type Listener = Box<dyn Fn() + Send + Sync>;

/// A counter of ticks at a fixed frequency, driven by the machine's clock, that can be set.
pub struct TimeBase {
    clock: Arc<dyn Clock>,
    frequency: u64,
    offset: AtomicU64,
    listeners: Mutex<Vec<Listener>>,
}

impl TimeBase {
    /// A counter that is zero at machine time zero; `frequency` in Hz, at most 1 GHz.
    ///
    /// # Panics
    /// When the frequency is zero or above 1 GHz: it is a constant of a board.
    pub fn new(clock: Arc<dyn Clock>, frequency: u64) -> Arc<Self> {
        assert!((1..=NS_PER_SECOND).contains(&frequency), "a time base runs at 1 Hz to 1 GHz");
        Arc::new(Self { clock, frequency, offset: AtomicU64::new(0), listeners: Mutex::default() })
    }

    /// The clock behind the counter, to make timers from.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Ticks per second.
    pub fn frequency(&self) -> u64 {
        self.frequency
    }

    /// Ticks of machine time at `now`, before the offset. Seconds and the rest apart, so that nothing overflows.
    fn count(&self, now: Ns) -> u64 {
        let (seconds, rest) = (now / NS_PER_SECOND, now % NS_PER_SECOND);
        seconds * self.frequency + rest * self.frequency / NS_PER_SECOND
    }

    /// The counter now.
    pub fn ticks(&self) -> u64 {
        self.count(self.clock.now()).wrapping_add(self.offset.load(Ordering::Relaxed))
    }

    /// Sets the counter, and tells the listeners that deadlines have moved.
    pub fn set_ticks(&self, ticks: u64) {
        self.offset.store(ticks.wrapping_sub(self.count(self.clock.now())), Ordering::Relaxed);
        self.listeners.lock().iter().for_each(|listener| listener());
    }

    /// Registers a call for every later [`TimeBase::set_ticks`]: whoever armed a timer arms it anew there. The
    /// listener must not set the counter.
    pub fn on_set(&self, listener: impl Fn() + Send + Sync + 'static) {
        self.listeners.lock().push(Box::new(listener));
    }

    /// The earliest machine time at which the counter is at least `ticks`; now if it is already, `None` if machine
    /// time never gets there.
    pub fn deadline_of(&self, ticks: u64) -> Option<Ns> {
        let now = self.clock.now();
        let count = self.count(now);
        let left = ticks.saturating_sub(count.wrapping_add(self.offset.load(Ordering::Relaxed)));
        if left == 0 {
            return Some(now);
        }
        let target = count.checked_add(left)?;
        let (seconds, rest) = (target / self.frequency, target % self.frequency);
        let rest = (rest * NS_PER_SECOND).div_ceil(self.frequency);
        seconds.checked_mul(NS_PER_SECOND)?.checked_add(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    #[test]
    fn deadlines_are_exact() {
        for frequency in [1, 3, 32_768, 10_000_000, 24_000_000, 999_999_937, NS_PER_SECOND] {
            let clock = ManualClock::new();
            clock.advance(1_234_567_891);
            let time = TimeBase::new(clock.clone(), frequency);
            time.set_ticks(u64::MAX / 2);
            for ahead in [1, 2, 7, 1000, 123_457] {
                let ticks = time.ticks() + ahead;
                let deadline = time.deadline_of(ticks).expect("near");
                let wait = deadline - clock.now();
                clock.advance(wait - 1);
                assert!(time.ticks() < ticks, "{frequency} Hz, {ahead} ahead: too late");
                clock.advance(1);
                assert!(time.ticks() >= ticks, "{frequency} Hz, {ahead} ahead: too early");
            }
        }
    }

    #[test]
    fn far_and_past_deadlines() {
        let clock = ManualClock::new();
        clock.advance(5_000);
        let time = TimeBase::new(clock, 10_000_000);
        assert_eq!(time.ticks(), 50);
        assert_eq!(time.deadline_of(0), Some(5_000));
        assert_eq!(time.deadline_of(50), Some(5_000));
        assert_eq!(time.deadline_of(51), Some(5_100));
        assert_eq!(time.deadline_of(u64::MAX), None);
    }

    #[test]
    fn setting_tells_the_listeners() {
        let time = TimeBase::new(ManualClock::new(), 10_000_000);
        let calls = Arc::new(AtomicU64::new(0));
        let seen = calls.clone();
        time.on_set(move || {
            seen.fetch_add(1, Ordering::Relaxed);
        });
        time.set_ticks(77);
        assert_eq!((time.ticks(), calls.load(Ordering::Relaxed)), (77, 1));
    }
}

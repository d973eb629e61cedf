//! `mcycle`, `minstret` and the programmable counters with their events (Zicntr, Zihpm, Sscofpmf).
//!
//! Cycles and retired instructions are both counted as nanoseconds of machine time, as emulators usually do: reading
//! them costs nothing and they run evenly. Programmable counters count either, or stand still for other events.

use super::bits::irq;

/// Counters 0 (cycle), 2 (instret) and 3..=31; 1 is `time` and not kept here.
pub const COUNT: usize = 32;

/// `mhpmevent`: overflow happened.
pub const OF: u64 = 1 << 63;
/// Event numbers that count, as the SBI calls them: cycles and instructions.
const COUNTING_EVENTS: [u64; 2] = [1, 2];
/// Bits of `mhpmevent` that select the event.
const EVENT_MASK: u64 = (1 << 20) - 1;

/// The counters of one hart.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Value minus machine time while the counter runs; the value itself while it stands.
    base: [u64; COUNT],
    /// `mhpmevent3` to `mhpmevent31`.
    event: [u64; COUNT],
    /// `mcountinhibit`.
    inhibit: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self { base: [0; COUNT], event: [0; COUNT], inhibit: 0 }
    }
}

impl Counters {
    fn runs(&self, n: usize) -> bool {
        let counts = n < 3 || COUNTING_EVENTS.contains(&(self.event[n] & EVENT_MASK));
        counts && self.inhibit >> n & 1 == 0
    }

    /// Counter `n` at machine time `now`.
    pub fn value(&self, n: usize, now: u64) -> u64 {
        if self.runs(n) { self.base[n].wrapping_add(now) } else { self.base[n] }
    }

    /// Sets counter `n`.
    pub fn set(&mut self, n: usize, value: u64, now: u64) {
        self.base[n] = if self.runs(n) { value.wrapping_sub(now) } else { value };
    }

    /// `mhpmevent` of counter `n`.
    pub fn event(&self, n: usize) -> u64 {
        self.event[n]
    }

    /// Selects what counter `n` counts.
    pub fn set_event(&mut self, n: usize, event: u64, now: u64) {
        let value = self.value(n, now);
        self.event[n] = event;
        self.set(n, value, now);
    }

    /// `mcountinhibit`.
    pub fn inhibit(&self) -> u64 {
        self.inhibit
    }

    /// Stops and starts counters.
    pub fn set_inhibit(&mut self, inhibit: u64, now: u64) {
        let values: [u64; COUNT] = std::array::from_fn(|n| self.value(n, now));
        self.inhibit = inhibit & !2;
        for (n, value) in values.into_iter().enumerate() {
            self.set(n, value, now);
        }
    }

    /// `scountovf`: the overflow bits of all counters.
    pub fn overflowed(&self) -> u64 {
        (3..COUNT).filter(|n| self.event[*n] & OF != 0).fold(0, |all, n| all | 1 << n)
    }

    /// Notes overflows up to `now`; gives the interrupt that they raise, and when the next one is due.
    pub fn check_overflow(&mut self, now: u64) -> (u64, Option<u64>) {
        let (mut raised, mut next) = (0, None);
        for n in 3..COUNT {
            if !self.runs(n) || self.event[n] & OF != 0 {
                continue;
            }
            // A counter armed for an overflow starts just below zero; half the range away it is no longer one.
            let value = self.value(n, now);
            if value < 1 << 62 && self.base[n] > 1 << 63 {
                self.event[n] |= OF;
                raised = 1 << irq::LCOFI;
            } else if value >= 1 << 63 {
                let left = value.wrapping_neg();
                next = Some(next.map_or(left, |least: u64| least.min(left)));
            }
        }
        (raised, next.map(|left| now.saturating_add(left)))
    }
}

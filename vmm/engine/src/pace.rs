//! How counted time goes beside the host's: what `-icount` says after the shift.

use base::{Clock, CpuLines, InstructionClock, Ns};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is done about the host's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// While all vCPUs sleep, machine time goes as the host's does; otherwise it goes to the next timer at once.
    pub sleep: bool,
    /// The machine waits when its time is ahead of the host's, and says so when it is late.
    pub align: bool,
    /// What an instruction takes follows the speed of the host.
    pub auto: bool,
}

/// How far ahead the machine's time may be before it waits.
const AHEAD: Ns = 3_000_000;
/// How late it may be before that is said.
const LATE: Ns = 1_000_000_000;
/// How often the shift is looked at, and how often it is said that time is late.
const LOOK: Duration = Duration::from_millis(100);
const COMPLAIN: Duration = Duration::from_secs(2);
/// The largest shift that is chosen by itself: a microsecond an instruction.
const MAX_AUTO: u32 = 10;

/// Keeps the pace.
pub(crate) struct Pacer {
    clock: Arc<InstructionClock>,
    pace: Pace,
    /// Host time when it was looked last, and how far machine time was ahead of it (less than zero: behind).
    looked: Option<(Instant, i64)>,
    complained: Option<Instant>,
    /// Host time of machine time zero.
    start: Option<Instant>,
}

impl Pacer {
    pub fn new(clock: Arc<InstructionClock>, pace: Pace) -> Self {
        Self { clock, pace, looked: None, complained: None, start: None }
    }

    /// How far machine time is ahead of the host's.
    fn ahead(&mut self, host: Instant) -> i64 {
        let now = self.clock.now();
        let start = *self.start.get_or_insert(host);
        now as i64 - host.duration_since(start).as_nanos() as i64
    }

    /// Whether time goes on as the host's does while all vCPUs sleep.
    pub fn sleeps(&self) -> bool {
        self.pace.sleep
    }

    /// Called between turns; gives the shift if it is another one now.
    pub fn keep(&mut self) -> Option<u32> {
        if !self.pace.align && !self.pace.auto {
            return None;
        }
        let before = self.clock.shift();
        let host = Instant::now();
        let ahead = self.ahead(host);
        if self.pace.align {
            self.align(host, ahead);
        }
        let due = self.looked.is_none_or(|(at, _)| host.duration_since(at) >= LOOK);
        if self.pace.auto && due {
            if let Some((_, before)) = self.looked {
                self.adjust(before, ahead);
            }
            self.looked = Some((host, ahead));
        }
        Some(self.clock.shift()).filter(|shift| *shift != before)
    }

    fn align(&mut self, host: Instant, ahead: i64) {
        if ahead > AHEAD as i64 {
            std::thread::sleep(Duration::from_nanos(ahead as u64));
        }
        let quiet = self.complained.is_none_or(|at| host.duration_since(at) >= COMPLAIN);
        if ahead < -(LATE as i64) && quiet {
            self.complained = Some(host);
            tracing::warn!("-icount align=on: the guest is late by {:.1} s", -ahead as f64 / 1e9);
        }
    }

    /// Time that runs away gets slower, time that stays behind faster.
    fn adjust(&self, before: i64, ahead: i64) {
        let shift = self.clock.shift();
        if ahead > 0 && ahead > before && shift > 0 {
            self.clock.set_shift(shift - 1);
        } else if ahead < 0 && ahead < before && shift < MAX_AUTO {
            self.clock.set_shift(shift + 1);
        }
    }

    /// All vCPUs sleep: time goes on without them, until the first timer or until something happens that `lines` hear of. Gives
    /// whether it is the host that decides how far.
    pub fn idle(&mut self, lines: &CpuLines) -> bool {
        let (now, deadline) = (self.clock.now(), self.clock.next_deadline());
        match deadline {
            Some(deadline) if !self.pace.sleep => self.clock.skip_to(deadline),
            _ => {
                let from = Instant::now();
                lines.wait(deadline.map(|deadline| deadline.saturating_sub(now)));
                if self.pace.sleep {
                    let slept = now.saturating_add(from.elapsed().as_nanos() as Ns);
                    self.clock.skip_to(deadline.map_or(slept, |deadline| slept.min(deadline)));
                }
            }
        }
        self.pace.sleep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacer(pace: Pace) -> (Arc<InstructionClock>, Pacer) {
        let clock = InstructionClock::new(3);
        (clock.clone(), Pacer::new(clock, pace))
    }

    #[test]
    fn without_sleep_idle_time_takes_none() {
        let (clock, mut pacer) = pacer(Pace::default());
        let timer = clock.timer(Box::new(|| {}));
        timer.arm(3_600_000_000_000);
        let before = Instant::now();
        pacer.idle(&CpuLines::default());
        assert_eq!(clock.now(), 3_600_000_000_000);
        assert!(before.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn with_sleep_idle_time_is_the_hosts() {
        let (clock, mut pacer) = pacer(Pace { sleep: true, ..Pace::default() });
        let timer = clock.timer(Box::new(|| {}));
        timer.arm(30_000_000);
        let before = Instant::now();
        while clock.now() < 30_000_000 {
            pacer.idle(&CpuLines::default());
        }
        assert!(before.elapsed() >= Duration::from_millis(30));
        assert_eq!(clock.now(), 30_000_000);
        // Something happens at once: hardly any time passes.
        timer.arm(3_600_000_000_000);
        let lines = CpuLines::default();
        lines.kick();
        pacer.idle(&lines);
        assert!(clock.now() < 1_000_000_000_000);
    }

    #[test]
    fn an_automatic_shift_follows_the_host() {
        let (clock, pacer) = pacer(Pace { auto: true, ..Pace::default() });
        pacer.adjust(0, 50_000_000);
        assert_eq!(clock.shift(), 2);
        pacer.adjust(50_000_000, 20_000_000);
        assert_eq!(clock.shift(), 2, "it is coming back by itself");
        pacer.adjust(0, -50_000_000);
        assert_eq!(clock.shift(), 3);
    }
}

//! Time counted in instructions, for machines whose vCPUs run by turns on one thread.
//!
//! Time is the number of instructions that all vCPUs together have carried out, shifted left, plus what was skipped while
//! all slept. So it is the same at the same instruction of each run, whatever the host does. [`Ticks`] is what vCPUs see of
//! it: the count, which translations add to, and where the present turn ends. A timer that is armed for a moment before
//! that brings the end forward. Whoever gives the turns calls [`InstructionClock::fire_due`] between them.

use super::{Clock, LATEST, Ns, QueueTimer, Shared, Timer};
use parking_lot::{Condvar, Mutex};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The count of instructions of a machine, and where the turn of the vCPU that runs ends. Only that vCPU's thread changes
/// the count; anybody may read it.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Ticks {
    count: AtomicU64,
    limit: AtomicU64,
    /// Where the turn ends if nobody wants a pause before; the limit is never beyond.
    end: AtomicU64,
}

impl Ticks {
    /// Byte offset of the end of the turn; the count is at 0.
    pub const LIMIT: usize = size_of::<AtomicU64>();

    /// Instructions carried out so far, and traps taken: an instruction that traps for ever lets time pass, too.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts `more`, on the thread of the vCPU that runs.
    pub fn add(&self, more: u64) {
        self.count.store(self.count() + more, Ordering::Relaxed);
    }

    /// The count at which the turn ends.
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// The turn ends at this count.
    pub fn set_limit(&self, count: u64) {
        self.end.store(count, Ordering::Relaxed);
        self.limit.store(count, Ordering::Relaxed);
    }

    /// Where the turn ends, pauses aside.
    pub fn end(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    /// The vCPU stops at `count` if its turn does not end before, and the turn can go on afterwards.
    pub fn pause_at(&self, count: u64) {
        self.limit.store(self.end().min(count), Ordering::Relaxed);
    }

    /// The turn ends no later than at `count`.
    fn end_by(&self, count: u64) {
        self.end.fetch_min(count, Ordering::Relaxed);
        self.limit.fetch_min(count, Ordering::Relaxed);
    }

    /// Whether the turn has come to its end.
    pub fn spent(&self) -> bool {
        !self.has(1)
    }

    /// Whether the turn has `more` instructions left.
    pub fn has(&self, more: u64) -> bool {
        self.count() + more <= self.limit()
    }
}

/// What a nanosecond is: time was `ns` at `count` and has gone `1 << shift` an instruction since.
#[derive(Clone, Copy)]
struct Rate {
    count: u64,
    ns: Ns,
    shift: u32,
}

impl Rate {
    fn at(&self, count: u64) -> Ns {
        self.ns.saturating_add(count.saturating_sub(self.count).saturating_mul(1 << self.shift))
    }
}

struct Core {
    ticks: Ticks,
    rate: Mutex<Rate>,
    timers: Arc<Shared>,
}

impl Core {
    fn count_at(&self, deadline: Ns) -> u64 {
        let rate = *self.rate.lock();
        rate.count.saturating_add(deadline.saturating_sub(rate.ns).div_ceil(1 << rate.shift))
    }
}

/// Where a clock is, and how it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Instructions so far.
    pub count: u64,
    /// Machine time.
    pub now: Ns,
    /// The shift.
    pub shift: u32,
}

/// Machine time that moves with the instructions of vCPUs.
pub struct InstructionClock {
    core: Arc<Core>,
}

/// The largest shift: about a millisecond an instruction.
pub const MAX_SHIFT: u32 = 20;

impl InstructionClock {
    /// A clock at zero, on which an instruction takes `1 << shift` nanoseconds.
    pub fn new(shift: u32) -> Arc<Self> {
        let timers = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new() });
        let rate = Mutex::new(Rate { count: 0, ns: 0, shift: shift.min(MAX_SHIFT) });
        Arc::new(Self { core: Arc::new(Core { ticks: Ticks::default(), rate, timers }) })
    }

    /// The count, for vCPUs.
    pub fn ticks(&self) -> &Ticks {
        &self.core.ticks
    }

    /// The present shift.
    pub fn shift(&self) -> u32 {
        self.core.rate.lock().shift
    }

    /// An instruction takes `1 << shift` nanoseconds from now on.
    pub fn set_shift(&self, shift: u32) {
        let count = self.core.ticks.count();
        let mut rate = self.core.rate.lock();
        *rate = Rate { count, ns: rate.at(count), shift: shift.min(MAX_SHIFT) };
    }

    /// The count at which it is `deadline`, if no time is skipped until then.
    pub fn count_at(&self, deadline: Ns) -> u64 {
        self.core.count_at(deadline)
    }

    /// When the first timer fires.
    pub fn next_deadline(&self) -> Option<Ns> {
        self.core.timers.queue.lock().due.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Time goes to `moment` without an instruction, if that is not past.
    pub fn skip_to(&self, moment: Ns) {
        let count = self.core.ticks.count();
        let mut rate = self.core.rate.lock();
        *rate = Rate { count, ns: rate.at(count).max(moment), ..*rate };
    }

    /// Where it is.
    pub fn moment(&self) -> Moment {
        let (count, rate) = (self.core.ticks.count(), *self.core.rate.lock());
        Moment { count, now: rate.at(count), shift: rate.shift }
    }

    /// Has it be where it was at `moment`; timers stay armed as they are. Between turns.
    pub fn go_to(&self, moment: Moment) {
        let mut rate = self.core.rate.lock();
        self.core.ticks.count.store(moment.count, Ordering::Relaxed);
        *rate = Rate { count: moment.count, ns: moment.now, shift: moment.shift.min(MAX_SHIFT) };
    }

    /// Fires, in order, the timers that are due.
    pub fn fire_due(&self) {
        loop {
            let due = self.core.timers.queue.lock().pop_due(self.now());
            match due {
                Some(callback) => callback(),
                None => return,
            }
        }
    }
}

impl fmt::Debug for InstructionClock {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "InstructionClock(shift {}, {:?})", self.shift(), self.core.ticks)
    }
}

impl Clock for InstructionClock {
    fn now(&self) -> Ns {
        self.core.rate.lock().at(self.core.ticks.count())
    }

    fn wall(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
    }

    fn set(&self, now: Ns, _wall: u64) {
        let count = self.core.ticks.count();
        let mut rate = self.core.rate.lock();
        *rate = Rate { count, ns: now.min(LATEST), ..*rate };
    }

    fn timer(&self, callback: Box<dyn Fn() + Send + Sync>) -> Box<dyn Timer> {
        let shared = self.core.timers.clone();
        let timer = QueueTimer { shared, callback: callback.into(), armed: Mutex::new(None) };
        Box::new(TurnTimer { timer, core: self.core.clone() })
    }
}

/// A timer before which a turn ends.
struct TurnTimer {
    timer: QueueTimer,
    core: Arc<Core>,
}

impl Timer for TurnTimer {
    fn arm(&self, deadline: Ns) {
        self.timer.arm(deadline);
        self.core.ticks.end_by(self.core.count_at(deadline));
    }

    fn disarm(&self) {
        self.timer.disarm();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_what_was_counted_and_skipped() {
        let clock = InstructionClock::new(3);
        clock.ticks().add(5);
        assert_eq!((clock.now(), clock.count_at(41), clock.count_at(48)), (40, 6, 6));
        clock.skip_to(1000);
        clock.skip_to(10);
        assert_eq!((clock.now(), clock.ticks().count(), clock.count_at(1009)), (1000, 5, 7));
        clock.set_shift(0);
        clock.ticks().add(7);
        assert_eq!((clock.now(), clock.shift()), (1007, 0));
    }

    #[test]
    fn a_pause_leaves_the_end_of_the_turn_where_it_is() {
        let clock = InstructionClock::new(1);
        let ticks = clock.ticks();
        ticks.set_limit(100);
        ticks.pause_at(40);
        assert_eq!((ticks.limit(), ticks.end()), (40, 100));
        let timer = clock.timer(Box::new(|| {}));
        timer.arm(120);
        assert_eq!((ticks.limit(), ticks.end()), (40, 60));
        ticks.pause_at(u64::MAX);
        assert_eq!(ticks.limit(), 60);
        ticks.add(7);
        let moment = clock.moment();
        clock.skip_to(1_000);
        clock.set_shift(5);
        ticks.add(3);
        clock.go_to(moment);
        assert_eq!((clock.moment(), clock.now(), clock.shift()), (moment, 14, 1));
    }

    #[test]
    fn a_timer_ends_the_turn_before_it() {
        let clock = InstructionClock::new(1);
        let fired: Arc<Mutex<Vec<u64>>> = Arc::default();
        let timer = |n| {
            let fired = fired.clone();
            clock.timer(Box::new(move || fired.lock().push(n)))
        };
        let ticks = clock.ticks();
        ticks.set_limit(100);
        let (late, early, never) = (timer(1), timer(2), timer(3));
        late.arm(50);
        early.arm(31);
        never.arm(40);
        never.disarm();
        assert_eq!((ticks.limit(), clock.next_deadline()), (16, Some(31)));
        ticks.add(15);
        clock.fire_due();
        assert!(ticks.has(1) && !ticks.has(2) && fired.lock().is_empty());
        ticks.add(1);
        assert!(ticks.spent());
        clock.fire_due();
        assert_eq!((&*fired.lock(), clock.next_deadline()), (&vec![2], Some(50)));
        clock.skip_to(50);
        clock.fire_due();
        assert_eq!(&*fired.lock(), &vec![2, 1]);
        // What is due already is so at once.
        late.arm(3);
        assert!(ticks.spent());
    }
}

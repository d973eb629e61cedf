//! Time for devices: one monotonic nanosecond count that the machine can stop, and timers on it.
//!
//! [`HostClock`] follows the host's monotonic clock, [`InstructionClock`] the instructions of vCPUs, and [`ManualClock`]
//! moves only when it is told to (tests).

mod icount;

pub use icount::{InstructionClock, MAX_SHIFT, Moment, Ticks};

use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds of machine time since it was made.
pub type Ns = u64;

/// What a timer does when it fires. Runs on the clock's thread: short, and never waiting for that clock.
type Callback = Arc<dyn Fn() + Send + Sync>;

/// A source of machine time.
pub trait Clock: Send + Sync {
    /// Machine time now.
    fn now(&self) -> Ns;
    /// Nanoseconds since 1970-01-01 UTC, for real-time clocks.
    fn wall(&self) -> u64;
    /// A new, unarmed timer that calls `callback` when it fires.
    fn timer(&self, callback: Box<dyn Fn() + Send + Sync>) -> Box<dyn Timer>;
    /// Lets machine time run or stand still; a clock that others move takes no notice.
    fn set_running(&self, _running: bool) {}
    /// Whether machine time runs by itself.
    fn is_running(&self) -> bool {
        false
    }
    /// Has machine time, which stands, go on from `now`, and a wall clock that is the machine's own from `wall`. Whoever has
    /// armed a timer arms it anew. A clock that others move takes no notice.
    fn set(&self, _now: Ns, _wall: u64) {}
}

/// The latest time that a clock is set to: 146 years of machine time, with as many left.
const LATEST: Ns = 1 << 62;

/// A one-shot timer; dropping it disarms it.
pub trait Timer: Send + Sync {
    /// Fires once when machine time reaches `deadline` (at once if it has); replaces an earlier deadline.
    fn arm(&self, deadline: Ns);
    /// Takes the deadline back; a callback that already runs finishes.
    fn disarm(&self);
}

/// Deadlines in order, with the timers that wait for them.
#[derive(Default)]
struct Queue {
    next_id: u64,
    due: BTreeMap<(Ns, u64), Callback>,
    closed: bool,
}

impl Queue {
    fn remove(&mut self, armed: &mut Option<(Ns, u64)>) {
        if let Some(key) = armed.take() {
            self.due.remove(&key);
        }
    }

    fn insert(&mut self, deadline: Ns, callback: &Callback) -> (Ns, u64) {
        let key = (deadline, self.next_id);
        self.next_id += 1;
        self.due.insert(key, callback.clone());
        key
    }

    /// Takes out the first timer whose deadline is not after `now`.
    fn pop_due(&mut self, now: Ns) -> Option<Callback> {
        let (&key, _) = self.due.first_key_value().filter(|((deadline, _), _)| *deadline <= now)?;
        self.due.remove(&key)
    }
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct QueueTimer {
    shared: Arc<Shared>,
    callback: Callback,
    armed: Mutex<Option<(Ns, u64)>>,
}

impl Timer for QueueTimer {
    fn arm(&self, deadline: Ns) {
        let mut armed = self.armed.lock();
        let mut queue = self.shared.queue.lock();
        queue.remove(&mut armed);
        let first = queue.due.first_key_value().map(|((d, _), _)| *d);
        *armed = Some(queue.insert(deadline, &self.callback));
        if first.is_none_or(|first| deadline < first) {
            self.shared.changed.notify_one();
        }
    }

    fn disarm(&self) {
        let mut armed = self.armed.lock();
        self.shared.queue.lock().remove(&mut armed);
    }
}

impl Drop for QueueTimer {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// Machine time that follows the host's monotonic clock while it runs. Its timers fire on one thread of its own, which
/// ends with the clock.
pub struct HostClock {
    time: Arc<HostTime>,
    shared: Arc<Shared>,
}

/// The host's time, less the pauses.
struct HostTime {
    start: Instant,
    /// Nanoseconds since `start` that are no machine time.
    paused: AtomicU64,
    /// Machine time stands at this value; [`RUNNING`] if it does not stand.
    stands_at: AtomicU64,
}

/// No machine time ever.
const RUNNING: Ns = Ns::MAX;

impl HostTime {
    fn host(&self) -> Ns {
        self.start.elapsed().as_nanos() as Ns
    }

    fn now(&self) -> Ns {
        match self.stands_at.load(Ordering::Acquire) {
            // Machine time may be ahead of the host's, where it was set; a look while it is being let go must not see it before zero.
            RUNNING => (self.host().wrapping_sub(self.paused.load(Ordering::Acquire)) as i64).max(0) as Ns,
            standing => standing,
        }
    }
}

impl HostClock {
    /// A clock that starts at zero now.
    pub fn new() -> std::io::Result<Arc<Self>> {
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new() });
        let time = HostTime { start: Instant::now(), paused: 0.into(), stands_at: RUNNING.into() };
        let time = Arc::new(time);
        let (for_thread, time_of_thread) = (Arc::downgrade(&shared), time.clone());
        let timers = move || run_timers(&time_of_thread, &for_thread);
        std::thread::Builder::new().name("clock".into()).spawn(timers)?;
        Ok(Arc::new(Self { time, shared }))
    }
}

/// How long the timer thread sleeps when nothing is due, at most: the time it takes to notice that the clock is gone.
const IDLE: Duration = Duration::from_secs(3600);

fn run_timers(time: &HostTime, shared: &Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        let mut queue = shared.queue.lock();
        if queue.closed {
            return;
        }
        let now = time.now();
        let stands = time.stands_at.load(Ordering::Acquire) != RUNNING;
        if let Some(callback) = if stands { None } else { queue.pop_due(now) } {
            drop(queue);
            callback();
            continue;
        }
        let first = queue.due.first_key_value().filter(|_| !stands);
        let sleep = first.map_or(IDLE, |((due, _), _)| Duration::from_nanos(due.saturating_sub(now)));
        shared.changed.wait_for(&mut queue, sleep.min(IDLE));
    }
}

impl Drop for HostClock {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Clock for HostClock {
    fn now(&self) -> Ns {
        self.time.now()
    }

    fn set_running(&self, running: bool) {
        // Under the lock, so that the timer thread does not miss it.
        let _queue = self.shared.queue.lock();
        let time = &self.time;
        let stands_at = time.stands_at.load(Ordering::Relaxed);
        match (running, stands_at) {
            (true, RUNNING) => return,
            (true, stood_at) => {
                time.paused.store(time.host().wrapping_sub(stood_at), Ordering::Release);
                time.stands_at.store(RUNNING, Ordering::Release);
            }
            (false, RUNNING) => time.stands_at.store(time.now(), Ordering::Release),
            (false, _) => return,
        }
        self.shared.changed.notify_all();
    }

    fn is_running(&self) -> bool {
        self.time.stands_at.load(Ordering::Acquire) == RUNNING
    }

    fn set(&self, now: Ns, _wall: u64) {
        let _queue = self.shared.queue.lock();
        if !self.is_running() {
            self.time.stands_at.store(now.min(LATEST), Ordering::Release);
        }
        self.shared.changed.notify_all();
    }

    fn wall(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
    }

    fn timer(&self, callback: Box<dyn Fn() + Send + Sync>) -> Box<dyn Timer> {
        Box::new(QueueTimer {
            shared: self.shared.clone(),
            callback: callback.into(),
            armed: Mutex::new(None),
        })
    }
}

/// Machine time that moves only in [`ManualClock::advance`].
pub struct ManualClock {
    now: Mutex<Ns>,
    shared: Arc<Shared>,
}

impl ManualClock {
    /// A clock that stands at zero.
    pub fn new() -> Arc<Self> {
        let shared = Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new() });
        Arc::new(Self { now: Mutex::new(0), shared })
    }

    /// Moves time forward by `by` and fires, in order, what comes due.
    pub fn advance(&self, by: Ns) {
        let target = self.now() + by;
        loop {
            let mut queue = self.shared.queue.lock();
            let Some((&(deadline, _), _)) = queue.due.first_key_value() else { break };
            if deadline > target {
                break;
            }
            let callback = queue.pop_due(target);
            drop(queue);
            let mut now = self.now.lock();
            *now = deadline.max(*now);
            drop(now);
            if let Some(callback) = callback {
                callback();
            }
        }
        *self.now.lock() = target;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Ns {
        *self.now.lock()
    }

    fn set(&self, now: Ns, _wall: u64) {
        *self.now.lock() = now.min(LATEST);
    }

    fn wall(&self) -> u64 {
        self.now()
    }

    fn timer(&self, callback: Box<dyn Fn() + Send + Sync>) -> Box<dyn Timer> {
        Box::new(QueueTimer {
            shared: self.shared.clone(),
            callback: callback.into(),
            armed: Mutex::new(None),
        })
    }
}

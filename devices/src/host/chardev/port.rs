//! The guest's side of every back end: bounded buffers that a device writes into without a system call a byte.

use super::line::{Line, Source};
use super::sys::Bell;
use super::worker::Worker;
use super::{CharBackend, CharSink};
use parking_lot::{Condvar, Mutex};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// Bytes that wait for the worker, at most; it holds as many again while it writes them.
const CAPACITY: usize = 64 << 10;
/// Bytes that are worth writing before their time.
pub(super) const PLENTY: usize = 4 << 10;
/// [`CharBackend::flush`] gives up when the other side takes nothing for this long.
const STALLED: Duration = Duration::from_millis(200);
/// [`CharBackend::flush`] gives up after this long.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// What the device's threads and the worker share.
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// The worker handed something on; for those who flush.
    pub(super) progress: Condvar,
    pub(super) bell: Bell,
}

/// The buffers, and what one side has to tell the other.
pub(super) struct State {
    /// Output that waits.
    pub(super) out: Vec<u8>,
    /// Output that waits for the log file; `None` without one.
    pub(super) log: Option<Vec<u8>>,
    /// Somebody listens; otherwise output goes to the log only.
    pub(super) connected: bool,
    /// Output bytes of 255 are doubled, as Telnet has it.
    pub(super) telnet: bool,
    /// A write was cut short, and [`super::CharEvent::Writable`] is owed.
    pub(super) starved: bool,
    /// The worker holds output that it has not handed on.
    pub(super) busy: bool,
    /// Counts the worker's successes.
    pub(super) handed_on: u64,
    /// Where that count was when somebody flushed in vain; nobody waits again before it has moved.
    stalled_at: Option<u64>,
    /// How many threads wait in [`CharBackend::flush`].
    pub(super) flushing: u32,
    /// The bell is rung when this many bytes wait.
    pub(super) ring_at: usize,
    /// The back end was dropped.
    pub(super) closing: bool,
    pub(super) sink: Option<Arc<dyn CharSink>>,
    /// `sink` was replaced.
    pub(super) new_sink: bool,
}

impl State {
    /// How many bytes can be taken now.
    pub(super) fn room(&self) -> usize {
        let free = |buffer: &Vec<u8>| CAPACITY.saturating_sub(buffer.len());
        let out = match (self.connected, self.telnet) {
            (false, _) => usize::MAX,
            (true, false) => free(&self.out),
            (true, true) => free(&self.out) / 2,
        };
        out.min(self.log.as_ref().map_or(usize::MAX, free))
    }

    /// How many bytes wait for the worker.
    pub(super) fn waiting(&self) -> usize {
        self.out.len().max(self.log.as_ref().map_or(0, Vec::len))
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(log) = &mut self.log {
            log.extend_from_slice(bytes);
        }
        if !self.connected {
            return;
        }
        if self.telnet {
            self.out.extend(bytes.iter().flat_map(|&b| std::iter::repeat_n(b, 1 + usize::from(b == 255))));
        } else {
            self.out.extend_from_slice(bytes);
        }
    }

    fn idle(&self) -> bool {
        self.waiting() == 0 && !self.busy
    }
}

/// A character back end: the handle that devices hold. Dropping it flushes and closes.
pub(super) struct Port {
    shared: Arc<Shared>,
    worker: ThreadId,
    path: Option<PathBuf>,
}

impl Port {
    /// Starts a back end on the connections of `source`, the first of which may be there already.
    pub(super) fn start(
        label: &str,
        source: Box<dyn Source>,
        line: Option<Line>,
        log: Option<File>,
    ) -> io::Result<Arc<Self>> {
        let state = State {
            out: Vec::new(),
            log: log.is_some().then(Vec::new),
            connected: line.as_ref().is_some_and(|line| line.output.is_some()),
            telnet: line.as_ref().is_some_and(|line| line.telnet.is_some()),
            starved: false,
            busy: false,
            handed_on: 0,
            stalled_at: None,
            flushing: 0,
            ring_at: 1,
            closing: false,
            sink: None,
            new_sink: false,
        };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), progress: Condvar::new(), bell: Bell::new()? });
        let path = source.path();
        let worker = Worker::new(shared.clone(), source, line, log);
        let thread = thread::Builder::new().name(format!("chardev {label}")).spawn(move || worker.run())?;
        Ok(Arc::new(Self { shared, worker: thread.thread().id(), path }))
    }
}

impl CharBackend for Port {
    fn write(&self, bytes: &[u8]) -> usize {
        let mut state = self.shared.state.lock();
        let n = state.room().min(bytes.len());
        state.starved |= n < bytes.len();
        state.push(&bytes[..n]);
        let ring = state.waiting() >= state.ring_at;
        if ring {
            state.ring_at = usize::MAX;
        }
        drop(state);
        if ring {
            self.shared.bell.ring();
        }
        n
    }

    fn attach(&self, guest: Arc<dyn CharSink>) {
        let mut state = self.shared.state.lock();
        let old = state.sink.replace(guest);
        state.new_sink = true;
        drop(state);
        // Its last owner may be here, and its drop may be anything.
        drop(old);
        self.shared.bell.ring();
    }

    fn resume(&self) {
        self.shared.bell.ring();
    }

    fn path(&self) -> Option<PathBuf> {
        self.path.clone()
    }

    fn flush(&self) {
        if thread::current().id() == self.worker {
            return;
        }
        let limit = Instant::now() + FLUSH_LIMIT;
        let mut state = self.shared.state.lock();
        state.flushing += 1;
        self.shared.bell.ring();
        while !state.idle() && state.stalled_at != Some(state.handed_on) {
            let before = state.handed_on;
            let until = limit.min(Instant::now() + STALLED);
            while state.handed_on == before && !state.idle() {
                if self.shared.progress.wait_until(&mut state, until).timed_out() {
                    break;
                }
            }
            if Instant::now() >= limit {
                break;
            }
            if state.handed_on == before {
                state.stalled_at = Some(before);
            }
        }
        state.flushing -= 1;
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.flush();
        self.shared.state.lock().closing = true;
        self.shared.bell.ring();
    }
}

#[cfg(test)]
mod tests;

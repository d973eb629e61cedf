//! A thread that serves queues, so that a vCPU which notifies a device does not wait for the host.

use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

#[derive(Default)]
struct Progress {
    /// There is work that has not been started.
    kicked: bool,
    /// Work is being done.
    busy: bool,
    /// The thread has ended or is about to.
    ended: bool,
}

#[derive(Default)]
struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
    stop: AtomicBool,
}

/// A thread that runs the same piece of work whenever it is kicked. Dropping it waits for its end.
pub struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a thread called `name`. `work` runs after each [`Worker::kick`]; it is given a question to ask now
    /// and then: whether to stop early.
    pub fn spawn(name: &str, mut work: impl FnMut(&dyn Fn() -> bool) + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            let ended = Ended(&for_thread);
            while ended.0.next() {
                work(&|| ended.0.stop.load(Ordering::Relaxed));
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Asks for the work to be done (again).
    pub fn kick(&self) {
        self.shared.progress.lock().kicked = true;
        self.shared.changed.notify_all();
    }

    /// Waits until all work asked for is done.
    pub fn wait_idle(&self) {
        let mut progress = self.shared.progress.lock();
        while !progress.ended && (progress.kicked || progress.busy) {
            self.shared.changed.wait(&mut progress);
        }
    }
}

impl Shared {
    /// Waits for a kick; false when it is time to end.
    fn next(&self) -> bool {
        let mut progress = self.progress.lock();
        progress.busy = false;
        self.changed.notify_all();
        while !progress.kicked && !self.stop.load(Ordering::Relaxed) {
            self.changed.wait(&mut progress);
        }
        progress.kicked = false;
        progress.busy = true;
        !self.stop.load(Ordering::Relaxed)
    }
}

/// Says that the thread has ended, also when its work panicked: nobody may wait for it for ever.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.progress.lock().ended = true;
        self.0.changed.notify_all();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // The lock closes the window between the thread's last look at `stop` and its sleep.
        drop(self.shared.progress.lock());
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

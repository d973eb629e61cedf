//! Who serves queues: a thread, so that a vCPU which notifies a device does not wait for the host, or whoever notifies,
//! where machine time is counted in instructions and no moment of the host's may be seen.

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

/// When requests are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// By a thread, beside the vCPUs.
    #[default]
    Thread,
    /// Before the vCPU that made them goes on.
    AtOnce,
}

/// Work of a device: it is given a question to ask now and then, whether to stop early.
type Work = Box<dyn FnMut(&dyn Fn() -> bool) + Send>;

/// The same piece of work, done whenever it is kicked. Dropping it waits for its end.
pub enum Worker {
    /// By a thread.
    Thread(WorkerThread),
    /// By whoever kicks.
    AtOnce(Work),
}

impl Worker {
    /// Has `work` be done as `service` says after each [`Worker::kick`], by a thread called `name` if there is one.
    pub fn start(
        service: Service,
        name: &str,
        work: impl FnMut(&dyn Fn() -> bool) + Send + 'static,
    ) -> io::Result<Self> {
        match service {
            Service::Thread => WorkerThread::spawn(name, work).map(Self::Thread),
            Service::AtOnce => Ok(Self::AtOnce(Box::new(work))),
        }
    }

    /// Asks for the work to be done (again).
    pub fn kick(&mut self) {
        match self {
            Self::Thread(thread) => thread.kick(),
            Self::AtOnce(work) => work(&|| false),
        }
    }

    /// Waits until all work asked for is done.
    pub fn wait_idle(&self) {
        if let Self::Thread(thread) = self {
            thread.wait_idle();
        }
    }
}

/// A thread that runs the same piece of work whenever it is kicked. Dropping it waits for its end.
pub struct WorkerThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerThread {
    fn spawn(name: &str, mut work: impl FnMut(&dyn Fn() -> bool) + Send + 'static) -> io::Result<Self> {
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

    fn kick(&self) {
        self.shared.progress.lock().kicked = true;
        self.shared.changed.notify_all();
    }

    fn wait_idle(&self) {
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

impl Drop for WorkerThread {
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

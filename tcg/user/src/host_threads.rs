//! The host threads behind the guest's, to their very end.
//!
//! One that the guest has seen end still gives back what it had, for which the C library takes locks of its own. The C
//! library's `fork` waits for these, but a process that is made with flags is made without it, and would find them taken for
//! ever: before that, the ends are waited for.

use std::io;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Bytes of host stack of a thread.
pub const HOST_STACK: usize = 512 << 10;

/// All but the first of a process.
#[derive(Default)]
pub struct HostThreads {
    all: Mutex<Vec<HostThread>>,
}

struct HostThread {
    handle: JoinHandle<()>,
    /// It has ended for the guest, or is about to.
    ends: bool,
}

impl HostThreads {
    fn lock(&self) -> MutexGuard<'_, Vec<HostThread>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one that does `body`.
    ///
    /// # Errors
    /// Those of the host.
    pub fn start(&self, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        // The lock keeps a short one from ending before it is here.
        let mut all = self.lock();
        all.extract_if(.., |thread| thread.handle.is_finished()).for_each(HostThread::join);
        let handle = thread::Builder::new().stack_size(HOST_STACK).spawn(body)?;
        all.push(HostThread { handle, ends: false });
        Ok(())
    }

    /// The present one ends; nothing has told the guest yet.
    pub fn end(&self) {
        let own = thread::current().id();
        if let Some(thread) = self.lock().iter_mut().find(|thread| thread.handle.thread().id() == own) {
            thread.ends = true;
        }
    }

    /// Waits for those that have ended for the guest.
    pub fn wait_for_ends(&self) {
        self.lock().extract_if(.., |thread| thread.ends).for_each(HostThread::join);
    }

    /// Keeps everybody else out while `f` runs.
    pub fn alone<T>(&self, f: impl FnOnce() -> T) -> T {
        let _all = self.lock();
        f()
    }

    /// The process is a new one, with the present thread alone.
    pub fn forked(&self) {
        // There is nothing left that a handle could wait for, or give back.
        self.lock().drain(..).for_each(|thread| mem::forget(thread.handle));
    }
}

impl HostThread {
    fn join(self) {
        // A panic has been told of where it was.
        let _ = self.handle.join();
    }
}

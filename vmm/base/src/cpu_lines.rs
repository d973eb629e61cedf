//! The pins of a vCPU: interrupt inputs, and the request that takes it out of guest code.
//!
//! Any thread may drive them. The vCPU thread polls [`CpuLines::request_word`] at loop heads (translated code reads
//! the word directly) and sleeps in [`CpuLines::wait`] when the guest waits for an interrupt.

use crate::{IrqSink, Ns};
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Why [`CpuLines::wait`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeReason {
    /// An input changed or somebody asked for attention.
    Request,
    /// The time given to `wait` passed.
    Timeout,
}

/// Interrupt input levels of one vCPU and its attention request.
#[derive(Default)]
pub struct CpuLines {
    levels: AtomicU64,
    request: AtomicU32,
    sleeping: Mutex<()>,
    wake: Condvar,
}

impl CpuLines {
    /// The levels of all inputs, one bit each; what a bit means is the guest architecture's business.
    pub fn levels(&self) -> u64 {
        self.levels.load(Ordering::Acquire)
    }

    /// Has a request stand, for a vCPU that need not wake up for it.
    pub fn request(&self) {
        self.request.store(1, Ordering::SeqCst);
    }

    /// Asks the vCPU to leave guest code at its next loop head and look around.
    pub fn kick(&self) {
        self.request();
        // The lock closes the window between a sleeper's last look at `request` and its sleep.
        drop(self.sleeping.lock());
        self.wake.notify_all();
    }

    /// True once per request: takes the request back.
    pub fn take_request(&self) -> bool {
        // A plain load first keeps the cache line shared in the usual case.
        self.request.load(Ordering::Relaxed) != 0 && self.request.swap(0, Ordering::SeqCst) != 0
    }

    /// True while a request stands.
    pub fn requested(&self) -> bool {
        self.request.load(Ordering::Relaxed) != 0
    }

    /// The word that is non-zero while a request stands, for translated code to read.
    pub fn request_word(&self) -> &AtomicU32 {
        &self.request
    }

    /// Sleeps until a request stands or `limit` nanoseconds have passed; does not take the request back.
    pub fn wait(&self, limit: Option<Ns>) -> WakeReason {
        let mut guard = self.sleeping.lock();
        // Whoever says before that it sleeps is seen to sleep by those whose request it misses.
        while self.request.load(Ordering::SeqCst) == 0 {
            match limit {
                None => self.wake.wait(&mut guard),
                Some(ns) => {
                    let timed_out = self.wake.wait_for(&mut guard, Duration::from_nanos(ns)).timed_out();
                    return if timed_out { WakeReason::Timeout } else { WakeReason::Request };
                }
            }
        }
        WakeReason::Request
    }
}

impl IrqSink for CpuLines {
    fn set(&self, line: u32, level: bool) {
        let bit = 1u64 << (line & 63);
        let old = if level {
            self.levels.fetch_or(bit, Ordering::AcqRel)
        } else {
            self.levels.fetch_and(!bit, Ordering::AcqRel)
        };
        if (old & bit != 0) != level {
            self.kick();
        }
    }
}

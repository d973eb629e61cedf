//! The seam through which a chip turns the machine off or resets it.

use parking_lot::Mutex;

/// What a chip asks of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerEvent {
    /// Power off; `code` is what the guest wants the emulator to exit with, zero for success.
    Off {
        /// Exit status.
        code: u32,
    },
    /// Reset the whole machine.
    Reset,
    /// The guest says that it has crashed.
    Panicked,
    /// The guest says that it has crashed, and that a crash kernel takes over.
    CrashLoaded,
    /// The guest turns the machine off through pvpanic.
    PvShutdown,
    /// A watchdog has bitten.
    Watchdog,
}

/// Who carries it out: the machine's run loop.
pub trait PowerSink: Send + Sync {
    /// Notes the event; called with the chip locked, so the machine acts on it later, from its own thread.
    fn power(&self, event: PowerEvent);
}

/// A sink that remembers what it was told, in order: what tests connect.
#[derive(Default)]
pub struct PowerRecorder(Mutex<Vec<PowerEvent>>);

impl PowerRecorder {
    /// All events so far.
    pub fn events(&self) -> Vec<PowerEvent> {
        self.0.lock().clone()
    }
}

impl PowerSink for PowerRecorder {
    fn power(&self, event: PowerEvent) {
        self.0.lock().push(event);
    }
}

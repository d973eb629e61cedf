//! What happens to a machine, for those who watch it.

use crate::actions::WatchdogAction;
use crate::power::{End, RunState};
use std::sync::Arc;
use tcg_core::debug::Stop;

/// Why a machine is turned off or reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The guest turns itself off.
    GuestShutdown,
    /// The guest resets itself.
    GuestReset,
    /// The guest has crashed.
    GuestPanic,
    /// A monitor asks for the end.
    Quit,
    /// A monitor asks for a reset.
    SystemReset,
    /// A signal.
    Signal,
    /// The user's keys.
    Ui,
    /// Something on the host failed.
    HostError,
    /// The time that the run may take is up.
    Timeout,
}

impl Cause {
    /// QEMU's name of it (`ShutdownCause` of QMP).
    pub fn name(self) -> &'static str {
        match self {
            Self::GuestShutdown => "guest-shutdown",
            Self::GuestReset => "guest-reset",
            Self::GuestPanic => "guest-panic",
            Self::Quit => "host-qmp-quit",
            Self::SystemReset => "host-qmp-system-reset",
            Self::Signal => "host-signal",
            Self::Ui => "host-ui",
            // QEMU has no name of its own for the second.
            Self::HostError | Self::Timeout => "host-error",
        }
    }

    /// Whether the guest is the one who asks.
    pub fn by_guest(self) -> bool {
        matches!(self, Self::GuestShutdown | Self::GuestReset | Self::GuestPanic)
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The vCPUs stand still.
    Stopped {
        /// What the machine is in now.
        state: RunState,
        /// The vCPU that a debugger's point or step has stopped, and how.
        debug: Option<(usize, Stop)>,
    },
    /// The vCPUs stand still as well: one of them wants something of the debugger, who gives it by [`Power::answer`](crate::Power::answer).
    Call {
        /// The vCPU.
        cpu: usize,
        /// The call, in the words of gdb's File-I/O.
        text: Arc<str>,
    },
    /// The vCPUs run again.
    Resumed,
    /// The machine was reset.
    Reset(Cause),
    /// The machine is turned off.
    Shutdown(Cause),
    /// Somebody pressed the power button.
    Powerdown,
    /// The guest has crashed.
    GuestPanicked {
        /// What is done about it: `pause`, `poweroff` or `run`.
        action: &'static str,
    },
    /// The guest has crashed, and its crash kernel goes on.
    GuestCrashLoaded,
    /// The guest turns the machine off through pvpanic.
    PvShutdown,
    /// A watchdog has bitten, with what it leads to.
    Watchdog(WatchdogAction),
    /// A job that somebody has started has come to another state.
    Job {
        /// Its id.
        id: Arc<str>,
        /// QEMU's name of the state.
        status: &'static str,
    },
    /// A device that somebody wanted to go has gone, or a part of it.
    DeviceDeleted {
        /// Its id, if it has one.
        device: Option<Arc<str>>,
        /// Its place among the objects.
        path: Arc<str>,
    },
    /// The run has ended.
    Ended(End),
}

/// Who is told. Called from the machine's thread: it must return soon and wait for nobody.
pub type Listener = Box<dyn Fn(Event) + Send + Sync>;

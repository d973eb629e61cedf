//! Signals of the guest: host signals are recorded by a handler and given to the guest at safe points.
//!
//! The host's own state is the guest's wherever that can be: the thread's mask is the guest's mask, what the guest
//! ignores or leaves to the default is ignored or left to the default there, and what is blocked waits in the kernel.
//! After one signal was caught, all others stay blocked until the guest's handler has been entered, so one slot holds
//! what is on its way, and order and queues are the kernel's.

mod deliver;
mod frame;
pub mod host;

pub use deliver::{Again, Interrupted};
pub use frame::Frame;

use host::KernelAction;
use std::sync::{Mutex, PoisonError};

/// Highest signal number.
pub const SIGNALS: usize = 64;
/// `SIG_DFL`.
pub const DEFAULT: u64 = 0;
/// `SIG_IGN`.
pub const IGNORE: u64 = 1;

/// The bit of a signal in a mask.
pub const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// Signals that faults make: the host must not block them.
pub const FAULTS: u64 = bit(libc::SIGSEGV) | bit(libc::SIGBUS);
/// Signals that cannot be blocked or caught.
const NEVER: u64 = bit(libc::SIGKILL) | bit(libc::SIGSTOP);

/// A mask as the guest may have it.
pub fn allowed_mask(mask: u64) -> u64 {
    mask & !NEVER
}

/// What happens on a signal that is left to the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByDefault {
    /// Nothing.
    Ignore,
    /// The process stops.
    Stop,
    /// It ends.
    End,
    /// It ends with a memory dump.
    Core,
}

/// The default action of `signal`.
pub fn by_default(signal: i32) -> ByDefault {
    match signal {
        libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => ByDefault::Ignore,
        libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => ByDefault::Stop,
        libc::SIGQUIT
        | libc::SIGILL
        | libc::SIGTRAP
        | libc::SIGABRT
        | libc::SIGBUS
        | libc::SIGFPE
        | libc::SIGSEGV
        | libc::SIGXCPU
        | libc::SIGXFSZ
        | libc::SIGSYS => ByDefault::Core,
        _ => ByDefault::End,
    }
}

/// What the guest wants done on a signal: `struct sigaction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// Handler, or [`DEFAULT`] or [`IGNORE`].
    pub handler: u64,
    /// `SA_*`.
    pub flags: u64,
    /// Where the handler returns to, with `SA_RESTORER`.
    pub restorer: u64,
    /// Blocked while the handler runs.
    pub mask: u64,
}

/// The actions of a process, by signal number.
pub struct Actions(Mutex<[Action; SIGNALS + 1]>);

impl Actions {
    /// Those that the process began with.
    pub fn inherited() -> Self {
        let mut actions = [Action::default(); SIGNALS + 1];
        for (signal, action) in (1..).zip(&mut actions[1..]) {
            if host::is_ignored(signal) {
                action.handler = IGNORE;
            }
            if signal != libc::SIGKILL && signal != libc::SIGSTOP {
                host::set_action(signal, action);
            }
        }
        Self(Mutex::new(actions))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, [Action; SIGNALS + 1]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The action of `signal` (1 to 64).
    pub fn get(&self, signal: i32) -> Action {
        self.lock()[signal as usize]
    }

    /// Sets it; gives the old one.
    pub fn set(&self, signal: i32, action: Action) -> Action {
        let mut actions = self.lock();
        host::set_action(signal, &action);
        std::mem::replace(&mut actions[signal as usize], action)
    }

    /// Has the host do what they need now.
    pub fn refresh(&self) {
        let actions = self.lock();
        for (signal, action) in (1..).zip(&actions[1..]) {
            if bit(signal) & NEVER == 0 {
                host::set_action(signal, action);
            }
        }
    }

    /// Signals with handlers are left to the default from now on; what the host does is as it was.
    pub fn clear_handlers(&self) {
        self.lock().iter_mut().filter(|action| action.handler > IGNORE).for_each(|a| *a = Action::default());
    }

    /// Keeps everybody else out while `f` runs.
    pub fn alone<T>(&self, f: impl FnOnce() -> T) -> T {
        let _actions = self.lock();
        f()
    }

    /// A copy for a process that shares nothing but memory.
    pub fn copy(&self) -> Self {
        Self(Mutex::new(*self.lock()))
    }
}

/// `struct sigaltstack`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AltStack {
    /// Lowest address.
    pub sp: u64,
    /// `SS_*`.
    pub flags: i32,
    /// Bytes.
    pub size: u64,
}

impl AltStack {
    /// None.
    pub const NONE: Self = Self { sp: 0, flags: libc::SS_DISABLE, size: 0 };

    /// Whether stack pointer `sp` lies in it.
    pub fn holds(&self, sp: u64) -> bool {
        self.flags & libc::SS_DISABLE == 0 && sp > self.sp && sp - self.sp <= self.size
    }
}

/// `siginfo` as bytes: host and guest have the same layout.
pub type Info = [u8; 128];

/// A `siginfo` with signal, code and, at its place, an address.
pub fn fault_info(signal: i32, code: i32, addr: u64) -> Info {
    let mut info = [0; 128];
    info[0..4].copy_from_slice(&signal.to_le_bytes());
    info[8..12].copy_from_slice(&code.to_le_bytes());
    info[16..24].copy_from_slice(&addr.to_le_bytes());
    info
}

/// The `si_code` of an [`Info`].
pub fn info_code(info: &Info) -> i32 {
    i32::from_le_bytes([info[8], info[9], info[10], info[11]])
}

/// Whether the emulator has to see a signal that is left to the default.
fn is_caught_by_default(signal: i32) -> bool {
    match by_default(signal) {
        ByDefault::Core => true,
        ByDefault::Stop | ByDefault::End => host::catches_all(),
        ByDefault::Ignore => false,
    }
}

/// What the host is to do on `signal`.
fn host_action(signal: i32, action: &Action) -> KernelAction {
    let keep = libc::SA_NOCLDSTOP as u64 | libc::SA_NOCLDWAIT as u64;
    let catch = action.handler > IGNORE
        || action.handler == DEFAULT && is_caught_by_default(signal)
        || bit(signal) & FAULTS != 0;
    match catch {
        true => KernelAction::catch(action.flags & keep),
        false => KernelAction::plain(action.handler, action.flags & keep),
    }
}

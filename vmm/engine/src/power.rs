//! What the guest, the user or a signal wants of the machine as a whole.

use base::{PowerEvent, PowerSink};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest turned the machine off, with this exit status.
    Off(u32),
    /// The guest asked for a reset, which ends the run ([`crate::Policy::reboot_ends`]).
    Reset,
    /// Somebody outside the guest asked for the end.
    Quit,
}

/// Where the machine is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunState {
    /// Not started yet.
    #[default]
    Prelaunch,
    /// The vCPUs run.
    Running,
    /// Somebody stopped the vCPUs.
    Paused,
    /// The guest has turned the machine off; only a reset brings it back.
    Shutdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Guest(PowerEvent),
    Reset,
    Pause,
    Resume,
    Quit,
}

#[derive(Default)]
struct Inner {
    requests: VecDeque<Request>,
    state: RunState,
}

/// Collects requests from any thread for the machine's own.
#[derive(Default)]
pub struct Power {
    inner: Mutex<Inner>,
    arrived: Condvar,
}

impl Power {
    /// Ends the run, whatever the guest does.
    pub fn quit(&self) {
        self.push(Request::Quit);
    }

    /// Resets the machine, as its reset button would.
    pub fn reset(&self) {
        self.push(Request::Reset);
    }

    /// Stops the vCPUs, soon; [`Power::state`] says so at once.
    pub fn pause(&self) {
        self.push(Request::Pause);
        self.expect(&[RunState::Running], RunState::Paused);
    }

    /// Lets the vCPUs go on, soon; [`Power::state`] says so at once.
    pub fn resume(&self) {
        self.push(Request::Resume);
        self.expect(&[RunState::Prelaunch, RunState::Paused], RunState::Running);
    }

    /// What the machine will do with the request just made, for who asks before it has.
    fn expect(&self, from: &[RunState], to: RunState) {
        let mut inner = self.inner.lock();
        if from.contains(&inner.state) {
            inner.state = to;
        }
    }

    /// Where the machine is in its life.
    pub fn state(&self) -> RunState {
        self.inner.lock().state
    }

    pub(crate) fn set_state(&self, state: RunState) {
        self.inner.lock().state = state;
    }

    fn push(&self, request: Request) {
        let mut inner = self.inner.lock();
        // Asking twice is asking once: a guest that asks in a loop fills no memory.
        if inner.requests.back() != Some(&request) {
            inner.requests.push_back(request);
            self.arrived.notify_all();
        }
    }

    /// Waits for the next request.
    pub(crate) fn next(&self) -> Request {
        let mut inner = self.inner.lock();
        loop {
            if let Some(request) = inner.requests.pop_front() {
                return request;
            }
            self.arrived.wait(&mut inner);
        }
    }

    /// Forgets what the guest asked for before its reset.
    pub(crate) fn forget_guest(&self) {
        self.inner.lock().requests.retain(|request| !matches!(request, Request::Guest(_)));
    }
}

impl PowerSink for Power {
    fn power(&self, event: PowerEvent) {
        self.push(Request::Guest(event));
    }
}

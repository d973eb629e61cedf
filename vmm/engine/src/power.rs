//! What the guest, the user or a signal wants of the machine as a whole.

use base::{PowerEvent, PowerSink};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest turned the machine off, with this exit status.
    Off(u32),
    /// The guest asked for a reset, which ends the run (`-no-reboot`).
    Reset,
    /// Somebody outside the guest asked for the end.
    Quit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Guest(PowerEvent),
    Quit,
}

/// Collects requests from any thread for the machine's own.
#[derive(Default)]
pub struct Power {
    requests: Mutex<VecDeque<Request>>,
    arrived: Condvar,
}

impl Power {
    /// Ends the run, whatever the guest does.
    pub fn quit(&self) {
        self.push(Request::Quit);
    }

    fn push(&self, request: Request) {
        self.requests.lock().push_back(request);
        self.arrived.notify_all();
    }

    /// Waits for the next request.
    pub(crate) fn next(&self) -> Request {
        let mut requests = self.requests.lock();
        loop {
            if let Some(request) = requests.pop_front() {
                return request;
            }
            self.arrived.wait(&mut requests);
        }
    }
}

impl PowerSink for Power {
    fn power(&self, event: PowerEvent) {
        self.push(Request::Guest(event));
    }
}

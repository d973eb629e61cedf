//! A conversation over a character device: a thread that is given input and events in turn.
//!
//! The back end's thread and the machine's only leave things for it and never wait; so a command may wait for the
//! machine, and a client that does not read its answers holds up nobody but itself. What waits is bounded: input by
//! [`CharSink::room`], events by being dropped.

use devices::host::chardev::{CharBackend, CharEvent, CharSink};
use engine::{Event, Power};
use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Input that waits, at most, in bytes.
const INPUT: usize = 64 << 10;
/// Events that wait, at most.
const EVENTS: usize = 1024;

/// One side of a conversation.
pub trait Protocol: Send + 'static {
    /// Somebody is there to talk to.
    fn opened(&mut self, out: &Outlet);
    /// They have left.
    fn closed(&mut self);
    /// They said something.
    fn input(&mut self, bytes: &[u8], out: &Outlet);
    /// Something happened to the machine; also when nobody is there.
    fn event(&mut self, event: Event, out: &Outlet);
    /// Whether the line may be cut: nobody is about to answer.
    fn is_settled(&self) -> bool {
        true
    }
}

enum Item {
    Opened,
    Closed,
    Input(Vec<u8>),
    Event(Event),
    /// Says when all before it is done, and once more if somebody was still to answer then and has.
    Finish(Sender<bool>),
    End,
}

/// Whether the back end takes output.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    /// Raised by whatever makes another try to write worth while.
    changes: u64,
    ending: bool,
    /// Somebody waits for a client that does not read.
    waits: bool,
}

impl Gate {
    fn change(&self, ending: bool) {
        let mut state = self.state.lock();
        state.changes += 1;
        state.ending |= ending;
        self.changed.notify_all();
    }
}

/// Where a session's output goes.
pub struct Outlet {
    backend: Arc<dyn CharBackend>,
    gate: Arc<Gate>,
}

/// How long a write waits before it is tried again anyway.
const RETRY: Duration = Duration::from_millis(200);

impl Outlet {
    /// An outlet to a line that takes all it is given.
    pub fn to(backend: Arc<dyn CharBackend>) -> Self {
        Self { backend, gate: Arc::default() }
    }

    /// Sends all of `bytes`, waiting until they are taken. What nobody is there to read is lost.
    pub fn send(&self, mut bytes: &[u8]) {
        loop {
            let changes = self.gate.state.lock().changes;
            let taken = self.backend.write(bytes);
            bytes = &bytes[taken..];
            if bytes.is_empty() {
                return;
            }
            let mut state = self.gate.state.lock();
            if state.ending {
                return;
            }
            if state.changes == changes {
                state.waits = true;
                self.gate.changed.wait_for(&mut state, RETRY);
                state.waits = false;
            }
        }
    }
}

/// The back end's way to a session.
struct Inlet {
    to: Sender<Item>,
    waiting: Arc<AtomicUsize>,
    gate: Arc<Gate>,
    /// Behind a multiplexer: somebody is there once they have turned to us.
    shared: bool,
}

impl Inlet {
    fn leave(&self, item: Item) {
        // The session has ended: nobody wants it.
        let _ = self.to.send(item);
    }
}

impl CharSink for Inlet {
    fn room(&self) -> usize {
        INPUT.saturating_sub(self.waiting.load(Ordering::Acquire))
    }

    fn receive(&self, bytes: &[u8]) {
        self.waiting.fetch_add(bytes.len(), Ordering::AcqRel);
        self.leave(Item::Input(bytes.to_vec()));
    }

    fn event(&self, event: CharEvent) {
        match event {
            CharEvent::Focus(true) => self.leave(Item::Opened),
            CharEvent::Opened if !self.shared => self.leave(Item::Opened),
            CharEvent::Closed => {
                self.gate.change(false);
                self.leave(Item::Closed);
            }
            CharEvent::Writable => self.gate.change(false),
            CharEvent::Opened | CharEvent::Focus(false) | CharEvent::Break => {}
        }
    }
}

/// A conversation in progress; it ends with this value.
pub struct Session {
    to: Sender<Item>,
    gate: Arc<Gate>,
}

impl Session {
    /// Has `protocol` talk over `backend`, which it shares with others or not, and hear of the events of `power`.
    ///
    /// # Errors
    /// The host has no thread left.
    pub fn start(
        name: &str,
        (backend, shared): (Arc<dyn CharBackend>, bool),
        power: &Power,
        mut protocol: impl Protocol,
    ) -> io::Result<Self> {
        let (to, from) = mpsc::channel();
        let (waiting, events) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new(Gate::default());
        let (taken, heard) = (waiting.clone(), events.clone());
        let out = Outlet { backend: backend.clone(), gate: gate.clone() };
        std::thread::Builder::new().name(name.into()).spawn(move || {
            let mut finishing: Option<Sender<bool>> = None;
            for item in from {
                match item {
                    Item::Opened => protocol.opened(&out),
                    Item::Closed => protocol.closed(),
                    Item::Input(bytes) => {
                        protocol.input(&bytes, &out);
                        if taken.fetch_sub(bytes.len(), Ordering::AcqRel) >= INPUT {
                            out.backend.resume();
                        }
                    }
                    Item::Event(event) => {
                        heard.fetch_sub(1, Ordering::AcqRel);
                        protocol.event(event, &out);
                    }
                    Item::Finish(done) => {
                        // Whoever asked may have given up.
                        let _ = done.send(protocol.is_settled());
                        finishing = Some(done);
                    }
                    Item::End => return,
                }
                if let Some(done) = finishing.take_if(|_| protocol.is_settled()) {
                    // As above.
                    let _ = done.send(true);
                }
            }
        })?;
        let listener = to.clone();
        power.on_event(Box::new(move |event| {
            if events.load(Ordering::Acquire) < EVENTS {
                events.fetch_add(1, Ordering::AcqRel);
                // As above.
                let _ = listener.send(Item::Event(event));
            }
        }));
        backend.attach(Arc::new(Inlet { to: to.clone(), waiting, gate: gate.clone(), shared }));
        Ok(Self { to, gate })
    }
}

/// How long a session may take to do what waits for it when the run ends: where it waits for a client, and where the host gives it
/// no time.
const PATIENCE: Duration = Duration::from_millis(300);
const LONGEST: Duration = Duration::from_secs(10);
/// How long a client may take to acknowledge the end.
const ANSWER: Duration = Duration::from_secs(1);

impl Session {
    /// Waits until it has done what waits for it, within limits.
    pub fn finish(&self) {
        let (to, here) = mpsc::channel();
        if self.to.send(Item::Finish(to)).is_err() {
            return;
        }
        let end = Instant::now() + LONGEST;
        loop {
            match here.recv_timeout(PATIENCE) {
                Ok(true) => return,
                Ok(false) => break,
                // A client that takes nothing is not waited for.
                Err(RecvTimeoutError::Timeout) if !self.gate.state.lock().waits && Instant::now() < end => {}
                Err(_) => return,
            }
        }
        // It may never answer.
        let _ = here.recv_timeout(ANSWER);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.gate.change(true);
        // It may have ended by itself.
        let _ = self.to.send(Item::End);
    }
}

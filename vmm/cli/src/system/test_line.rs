//! A serial line to `mimic test`: what the guest writes goes out in records with machine time ([`harness::wire`]), and every
//! so often a record says how far the time has come. What the test types comes in as it is.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use base::{Clock, Ns, Timer};
use devices::host::chardev::{CharBackend, CharEvent, CharSink};
use harness::wire;
use parking_lot::{Condvar, Mutex};

/// Machine time between records without bytes.
const TICK: Ns = 10_000_000;
/// Bytes that wait for the test, at most.
const WAITING: usize = 1 << 20;
/// How long the end of the run waits for a test that takes nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is tried again to hand input to a guest that takes none.
const RETRY: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Outgoing {
    bytes: VecDeque<u8>,
    /// Some are being written.
    busy: bool,
    /// The guest was told that there is no room.
    full: bool,
    /// The test is gone.
    closed: bool,
    /// Time of the last record, and what is added to the machine's.
    last: Ns,
    ahead: Ns,
}

#[derive(Default)]
struct Incoming {
    guest: Option<Arc<dyn CharSink>>,
}

struct Core {
    clock: Arc<dyn Clock>,
    out: Mutex<Outgoing>,
    out_changed: Condvar,
    input: Mutex<Incoming>,
    input_changed: Condvar,
    timer: OnceLock<Box<dyn Timer>>,
}

impl Core {
    /// Puts a record into the queue, if it has room.
    fn record(&self, bytes: &[u8]) -> bool {
        let mut out = self.out.lock();
        if out.closed {
            return true;
        }
        if out.bytes.len() >= WAITING {
            out.full = true;
            return false;
        }
        // Under the lock, so that records are in the order of their times.
        let now = self.clock.now();
        out.ahead = out.ahead.max(out.last.saturating_sub(now));
        out.last = now + out.ahead;
        let head = wire::head(out.last, bytes.len());
        out.bytes.extend(head);
        out.bytes.extend(bytes);
        self.out_changed.notify_all();
        true
    }

    /// Says that what follows is written by another state of the machine.
    fn mark(&self) {
        let mut out = self.out.lock();
        out.bytes.extend(wire::head(wire::PUT_BACK, 0));
        self.out_changed.notify_all();
    }

    fn tick(&self) {
        // Where there is no room the test has enough to read.
        self.record(&[]);
        if let Some(timer) = self.timer.get() {
            timer.arm(self.clock.now() + TICK);
        }
    }

    fn write_out(&self, mut stream: UnixStream) {
        loop {
            let mut out = self.out.lock();
            while out.bytes.is_empty() {
                self.out_changed.wait(&mut out);
            }
            let bytes: Vec<u8> = out.bytes.drain(..).collect();
            out.busy = true;
            drop(out);
            let written = stream.write_all(&bytes);
            let mut out = self.out.lock();
            out.busy = false;
            out.closed = written.is_err();
            let was_full = std::mem::take(&mut out.full);
            self.out_changed.notify_all();
            drop(out);
            let guest = self.input.lock().guest.clone();
            if let Some(guest) = guest.filter(|_| was_full) {
                guest.event(CharEvent::Writable);
            }
            if written.is_err() {
                return;
            }
        }
    }

    /// The device, once there is one.
    fn guest(&self) -> Arc<dyn CharSink> {
        let mut input = self.input.lock();
        loop {
            if let Some(guest) = &input.guest {
                return guest.clone();
            }
            self.input_changed.wait(&mut input);
        }
    }

    fn read_in(&self, mut stream: UnixStream) {
        self.guest().event(CharEvent::Opened);
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            let mut bytes = &buffer[..len];
            while !bytes.is_empty() {
                let guest = self.guest();
                let (now, later) = bytes.split_at(guest.room().min(bytes.len()));
                if now.is_empty() {
                    let mut input = self.input.lock();
                    self.input_changed.wait_for(&mut input, RETRY);
                } else {
                    guest.receive(now);
                }
                bytes = later;
            }
        }
    }
}

/// The line.
pub struct TestLine(Arc<Core>);

impl TestLine {
    /// A line to the test that listens at `path`, for a machine whose time `clock` has.
    ///
    /// # Errors
    /// Nobody listens there, or the host has no thread left.
    pub fn open(path: &str, clock: &Arc<dyn Clock>) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        let core = Arc::new(Core {
            clock: clock.clone(),
            out: Mutex::default(),
            out_changed: Condvar::new(),
            input: Mutex::default(),
            input_changed: Condvar::new(),
            timer: OnceLock::new(),
        });
        let weak: Weak<Core> = Arc::downgrade(&core);
        let timer = clock.timer(Box::new(move || {
            if let Some(core) = weak.upgrade() {
                core.tick();
            }
        }));
        timer.arm(clock.now() + TICK);
        // It was not set before.
        let _ = core.timer.set(timer);
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        let (writer, reader) = (core.clone(), core.clone());
        let out = stream.try_clone()?;
        thread("test-out").spawn(move || writer.write_out(out))?;
        thread("test-in").spawn(move || reader.read_in(stream))?;
        Ok(Self(core))
    }
}

impl TestLine {
    /// The machine was put back to another state.
    pub fn put_back(&self) {
        self.0.mark();
        self.0.tick();
    }
}

impl CharBackend for TestLine {
    fn write(&self, bytes: &[u8]) -> usize {
        let now = &bytes[..bytes.len().min(wire::MOST)];
        if self.0.record(now) { now.len() } else { 0 }
    }

    fn attach(&self, guest: Arc<dyn CharSink>) {
        self.0.input.lock().guest = Some(guest);
        self.0.input_changed.notify_all();
    }

    fn resume(&self) {
        self.0.input_changed.notify_all();
    }

    fn flush(&self) {
        let until = Instant::now() + PATIENCE;
        let mut out = self.0.out.lock();
        while (out.busy || !out.bytes.is_empty()) && !out.closed {
            if self.0.out_changed.wait_until(&mut out, until).timed_out() {
                return;
            }
        }
    }
}

//! What the tests of the back ends share.

use super::line::{End, Fixed, Line};
use super::port::Port;
use super::{CharEvent, CharSink, sys};
use parking_lot::{Condvar, Mutex};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// A back end on one end of a connection.
pub(super) fn start(ours: impl Into<OwnedFd>, log: Option<File>) -> Arc<Port> {
    let input = File::from(ours.into());
    sys::set_nonblocking(input.as_fd()).unwrap();
    let output = input.try_clone().unwrap();
    let line = Line::new(Some(input), Some(output), End::Linger);
    Port::start("test", Box::new(Fixed { _held: () }), Some(line), log).unwrap()
}

/// A back end and its peer.
pub(super) fn pair() -> (Arc<Port>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_read_timeout(Some(LIMIT)).unwrap();
    (start(ours, None), theirs)
}

/// The next `n` bytes.
pub(super) fn read(stream: &mut impl Read, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Processor time that the thread of the back end `label` has used.
pub(super) fn time_used(label: &str) -> Duration {
    let name = format!("chardev {label}\n");
    let task = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm == name));
    let stat = std::fs::read_to_string(task.expect("the thread is there").join("schedstat")).unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// Checks that the back end `label` sleeps.
pub(super) fn assert_sleeps(label: &str) {
    std::thread::sleep(Duration::from_millis(50));
    let before = time_used(label);
    std::thread::sleep(Duration::from_millis(300));
    let used = time_used(label) - before;
    assert!(used < Duration::from_millis(30), "{label} used {used:?} of 300 ms");
}

/// A device that keeps what it is given.
pub(super) struct Recorder {
    state: Mutex<Recorded>,
    changed: Condvar,
}

struct Recorded {
    bytes: Vec<u8>,
    events: Vec<CharEvent>,
    room: usize,
}

impl Recorder {
    pub(super) fn new() -> Arc<Self> {
        Self::with_room(usize::MAX)
    }

    pub(super) fn with_room(room: usize) -> Arc<Self> {
        let state = Mutex::new(Recorded { bytes: Vec::new(), events: Vec::new(), room });
        Arc::new(Self { state, changed: Condvar::new() })
    }

    /// Makes room for that many bytes more.
    pub(super) fn add_room(&self, room: usize) {
        self.state.lock().room += room;
    }

    pub(super) fn events(&self) -> Vec<CharEvent> {
        self.state.lock().events.clone()
    }

    fn wait(&self, what: &str, done: impl Fn(&Recorded) -> bool) {
        let until = Instant::now() + LIMIT;
        let mut state = self.state.lock();
        while !done(&state) {
            let late = self.changed.wait_until(&mut state, until).timed_out();
            let got = String::from_utf8_lossy(&state.bytes).into_owned();
            assert!(!late || done(&state), "no {what}; got {got:?} and {:?}", state.events);
        }
    }

    /// Waits for this to be all that was received.
    pub(super) fn expect(&self, bytes: &[u8]) {
        self.wait(&format!("{:?}", String::from_utf8_lossy(bytes)), |s| s.bytes == bytes);
    }

    /// Waits for the `n`th `event`.
    pub(super) fn expect_event(&self, event: CharEvent, n: usize) {
        self.wait(&format!("{n} x {event:?}"), |s| s.events.iter().filter(|e| **e == event).count() >= n);
    }
}

impl CharSink for Recorder {
    fn room(&self) -> usize {
        self.state.lock().room
    }

    fn receive(&self, bytes: &[u8]) {
        let mut state = self.state.lock();
        assert!(bytes.len() <= state.room, "{} bytes for a room of {}", bytes.len(), state.room);
        if state.room != usize::MAX {
            state.room -= bytes.len();
        }
        state.bytes.extend_from_slice(bytes);
        self.changed.notify_all();
    }

    fn event(&self, event: CharEvent) {
        self.state.lock().events.push(event);
        self.changed.notify_all();
    }
}

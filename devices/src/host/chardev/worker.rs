//! The host's side of every back end: one thread that moves bytes between the buffers and the descriptors.
//!
//! Output is gathered: the first byte after a pause goes out at once, those that follow within [`GATHER`] go out
//! together. So a UART that writes byte by byte costs the host about a thousand system calls a second at most, and a
//! person sees no delay.

use super::line::{End, Line, Source, Wait};
use super::port::{PLENTY, Shared};
use super::sys::{GONE, Poll, Slot};
use super::{CharEvent, CharSink};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long output waits for more of it.
const GATHER: Duration = Duration::from_millis(1);
/// How long a peer that ended its half of a connection gets output.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes for one write to a descriptor that may block.
const CAREFUL: usize = 512;
/// Bytes read at once, at most.
const READ: usize = 4 << 10;

/// Output on its way to the host.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    done: usize,
}

impl Chunk {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.done..]
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.done = 0;
    }
}

/// The state of the thread.
pub(super) struct Worker {
    shared: Arc<Shared>,
    source: Box<dyn Source>,
    line: Option<Line>,
    sink: Option<Arc<dyn CharSink>>,
    log: Option<File>,
    log_bytes: Vec<u8>,
    chunk: Chunk,
    /// Something was handed on since the last report.
    moved: bool,
    /// The output takes bytes, as far as is known.
    can_write: bool,
    /// Until then output is gathered.
    next_write: Instant,
    /// When to ask the source again.
    retry_at: Option<Instant>,
    poll: Poll,
    buffer: Vec<u8>,
}

/// The descriptors of one wait.
#[derive(Default)]
struct Watched {
    bell: Option<Slot>,
    input: Option<Slot>,
    output: Option<Slot>,
    hang_up: Option<Slot>,
    source: Option<Slot>,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        source: Box<dyn Source>,
        line: Option<Line>,
        log: Option<File>,
    ) -> Self {
        let can_write = line.as_ref().is_some_and(|line| !line.careful);
        Self {
            shared,
            source,
            line,
            sink: None,
            log,
            log_bytes: Vec::new(),
            chunk: Chunk::default(),
            moved: false,
            can_write,
            next_write: Instant::now(),
            retry_at: None,
            poll: Poll::default(),
            buffer: vec![0; READ],
        }
    }

    /// Works until the back end is dropped.
    pub(super) fn run(mut self) {
        while self.exchange() {
            self.write_log();
            self.write_out();
            self.report();
            let room = self.sink.as_ref().map_or(0, |sink| sink.room());
            let (watched, timeout) = self.prepare(room);
            self.poll.wait(timeout);
            self.react(&watched, room);
        }
        // Nobody waits for this, but what can still go out at once does.
        self.write_log();
        self.write_out();
    }

    /// Takes what the device's side left in the shared state; false once the back end is dropped.
    fn exchange(&mut self) -> bool {
        let mut state = self.shared.state.lock();
        let closing = state.closing;
        let new_sink = std::mem::take(&mut state.new_sink).then(|| state.sink.clone());
        if let Some(log) = &mut state.log {
            std::mem::swap(log, &mut self.log_bytes);
        }
        let hurry = closing || state.flushing > 0 || state.out.len() >= PLENTY;
        let due = hurry || Instant::now() >= self.next_write;
        if self.chunk.rest().is_empty() && due {
            self.chunk.clear();
            std::mem::swap(&mut state.out, &mut self.chunk.bytes);
        }
        state.busy = !self.chunk.rest().is_empty() || !self.log_bytes.is_empty();
        let writable = state.starved && state.room() > 0;
        state.starved &= !writable;
        drop(state);
        if closing {
            return false;
        }
        if let Some(sink) = new_sink {
            // Without the lock: the last owner of the old one may be here, and its drop may be anything.
            self.sink = sink;
            if self.line.is_some() {
                self.tell(CharEvent::Opened);
            }
        }
        if writable {
            self.tell(CharEvent::Writable);
        }
        true
    }

    fn tell(&self, event: CharEvent) {
        if let Some(sink) = &self.sink {
            sink.event(event);
        }
    }

    /// A log that cannot be written (a full disk) is given up, so that it does not stop the guest.
    fn write_log(&mut self) {
        if self.log_bytes.is_empty() {
            return;
        }
        if let Some(log) = &mut self.log
            && let Err(error) = log.write_all(&self.log_bytes)
        {
            let thread = std::thread::current();
            tracing::warn!("{}: its log file ends here: {error}", thread.name().unwrap_or("chardev"));
            self.log = None;
        }
        self.log_bytes.clear();
        self.moved = true;
        self.next_write = Instant::now() + GATHER;
    }

    fn write_out(&mut self) {
        while self.can_write && !self.chunk.rest().is_empty() {
            let Some(Line { output: Some(output), careful, screen, .. }) = &mut self.line else {
                self.chunk.clear();
                return;
            };
            let rest = self.chunk.rest();
            let most = if *careful { rest.len().min(CAREFUL) } else { rest.len() };
            match output.write(&rest[..most]) {
                Ok(0) => self.can_write = false,
                Ok(n) => {
                    if let Some(screen) = screen {
                        screen.watch(&rest[..n]);
                    }
                    self.can_write = !*careful;
                    self.chunk.done += n;
                    self.moved = true;
                    self.next_write = Instant::now() + GATHER;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.can_write = false,
                Err(_) => self.lose_output(),
            }
        }
    }

    /// Tells those who flush how far we are.
    fn report(&mut self) {
        let mut state = self.shared.state.lock();
        state.handed_on += u64::from(std::mem::take(&mut self.moved));
        state.busy = !self.chunk.rest().is_empty();
        if state.flushing > 0 {
            self.shared.progress.notify_all();
        }
    }

    /// What to wait for, and how long. With no `room` the input stays where it is.
    fn prepare(&mut self, room: usize) -> (Watched, Option<Duration>) {
        let now = Instant::now();
        self.poll.clear();
        let mut watched = Watched::default();
        let mut timeout = None;
        let mut at_most = |t: Duration| timeout = Some(timeout.map_or(t, |old: Duration| old.min(t)));
        watched.bell = Some(self.poll.add(self.shared.bell.fd(), libc::POLLIN));
        if let Some(line) = &self.line {
            if let Some(input) = line.input.as_ref().filter(|_| room > 0) {
                watched.input = Some(self.poll.add(input.as_raw_fd(), libc::POLLIN));
            }
            if let Some(output) = &line.output {
                if !self.chunk.rest().is_empty() && !self.can_write {
                    watched.output = Some(self.poll.add(output.as_raw_fd(), libc::POLLOUT));
                } else if line.end != End::Keep && watched.input.is_none() && !line.hung_up {
                    watched.hang_up = Some(self.poll.add(output.as_raw_fd(), 0));
                }
            }
            if let Some(until) = line.linger_until {
                at_most(until.saturating_duration_since(now));
            }
        }
        if self.takes_another() || self.source.refuses() {
            match self.source.wait() {
                Wait::Never => {}
                Wait::Readable(fd) => watched.source = Some(self.poll.add(fd, libc::POLLIN)),
                Wait::After(pause) if self.line.is_none() => {
                    at_most(self.retry_at.get_or_insert(now + pause).saturating_duration_since(now));
                }
                Wait::After(_) => {}
            }
        }
        let mut state = self.shared.state.lock();
        state.ring_at = if !self.chunk.rest().is_empty() {
            usize::MAX
        } else {
            match state.waiting() {
                0 => 1,
                n if n >= PLENTY || state.flushing > 0 => {
                    at_most(Duration::ZERO);
                    usize::MAX
                }
                _ => {
                    at_most(self.next_write.saturating_duration_since(now));
                    PLENTY
                }
            }
        };
        (watched, timeout)
    }

    fn react(&mut self, watched: &Watched, room: usize) {
        if self.poll.got(watched.bell) != 0 {
            self.shared.bell.heard();
        }
        let output = self.poll.got(watched.output);
        self.can_write |= output != 0;
        let hung_up = self.poll.got(watched.hang_up) & GONE != 0;
        if self.poll.got(watched.input) != 0 {
            self.read_in(room);
        }
        if let Some(line) = &mut self.line {
            // A pty whose terminal is closed reports that, and takes nothing: writing would not show it.
            let closed = line.end == End::Close && output & GONE != 0;
            line.hung_up |= hung_up;
            let given_up = line.linger_until.is_some_and(|until| Instant::now() >= until);
            let ended = line.input.is_none() && line.end != End::Keep && (line.hung_up || given_up);
            if closed || ended {
                self.close_line();
            }
        }
        let due = self.retry_at.is_some_and(|at| Instant::now() >= at);
        if due || self.poll.got(watched.source) != 0 {
            self.retry_at = None;
            let busy = !self.takes_another();
            if busy && self.poll.got(watched.input) == 0 {
                self.source.refuse();
            } else if busy {
                // What was read may be the last there is: then there is room the next time around.
            } else if let Some(line) = self.source.connect() {
                self.close_line();
                self.open_line(line);
            }
        }
    }

    /// Whether there is room for a connection.
    fn takes_another(&self) -> bool {
        self.line.as_ref().is_none_or(Line::replaceable)
    }

    fn read_in(&mut self, room: usize) {
        let Some(Line { input: Some(input), telnet, hung_up, .. }) = &mut self.line else { return };
        *hung_up = false;
        match input.read(&mut self.buffer[..room.min(READ)]) {
            Ok(n) if n > 0 => {
                let mut bytes = &mut self.buffer[..n];
                let mut breaks = 0;
                if let Some(telnet) = telnet {
                    let decoded = telnet.decode(bytes);
                    breaks = decoded.breaks;
                    bytes = &mut bytes[..decoded.len];
                }
                if let Some(sink) = &self.sink {
                    if !bytes.is_empty() {
                        sink.receive(bytes);
                    }
                    (0..breaks).for_each(|_| sink.event(CharEvent::Break));
                }
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Ok(_) => self.lose_input(false),
            Err(_) => self.lose_input(true),
        }
    }

    /// The input ended, in order or with an error.
    fn lose_input(&mut self, broken: bool) {
        let Some(line) = &mut self.line else { return };
        match line.end {
            End::Keep => line.input = None,
            End::Linger if !broken && line.output.is_some() => {
                line.input = None;
                line.linger_until = Some(Instant::now() + LINGER);
            }
            End::Linger | End::Close => self.close_line(),
        }
    }

    /// The output broke: what waits for it is lost, and so is all that follows.
    fn lose_output(&mut self) {
        self.chunk.clear();
        let Some(line) = &mut self.line else { return };
        match line.end {
            End::Keep => line.output = None,
            // What the peer sent before it went away is still to be read.
            End::Linger if line.input.is_some() => {
                line.output = None;
                line.hung_up = true;
            }
            End::Linger | End::Close => return self.close_line(),
        }
        let mut state = self.shared.state.lock();
        state.connected = false;
        state.out.clear();
    }

    fn close_line(&mut self) {
        if self.line.take().is_none() {
            return;
        }
        self.chunk.clear();
        self.retry_at = None;
        let mut state = self.shared.state.lock();
        state.connected = false;
        state.out.clear();
        drop(state);
        self.tell(CharEvent::Closed);
    }

    fn open_line(&mut self, line: Line) {
        self.can_write = !line.careful;
        let mut state = self.shared.state.lock();
        state.connected = line.output.is_some();
        state.telnet = line.telnet.is_some();
        drop(state);
        self.line = Some(line);
        self.tell(CharEvent::Opened);
    }
}

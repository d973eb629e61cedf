//! The multiplexer: several devices (serial ports, a monitor) share one back end, usually the user's terminal.
//!
//! Output of all of them goes to the back end as it comes. Input goes to the one that has the focus. An escape key,
//! Ctrl-a unless chosen otherwise, is the start of a command to the multiplexer, as in QEMU:
//! `h` help, `x` quit, `t` timestamps, `b` break, `c` next device, and the key itself.
//!
//! Left out: `s` (commit snapshot disks).

use super::{CharBackend, CharEvent, CharSink};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Instant;

/// The usual escape key: Ctrl-a.
pub const ESCAPE: u8 = 0x01;

/// Input kept for each device, at most. It is more than a person types into a guest that does not read, so that the
/// escape key is still heard then.
const INPUT: usize = 4 << 10;
/// Own text that waits for the back end, at most.
const OWN_TEXT: usize = 4 << 10;

/// One device behind the multiplexer.
#[derive(Default)]
struct Front {
    sink: Option<Arc<dyn CharSink>>,
    /// The sink is new and was not told yet how things stand.
    greet: bool,
    input: VecDeque<u8>,
    /// A write was cut short, and [`CharEvent::Writable`] is owed.
    starved: bool,
}

struct State {
    fronts: Vec<Front>,
    focus: usize,
    /// The escape key was the last one.
    escaped: bool,
    /// The back end has somebody who listens.
    open: bool,
    /// With timestamps: when they were switched on.
    stamps: Option<Instant>,
    /// The next output starts a line.
    line_start: bool,
    /// Help, timestamps and the like that the back end has not taken yet; goes before any device's output.
    own: Vec<u8>,
}

/// What a key asks for, beyond a change of the state.
enum Command {
    Quit,
    Break(usize),
    Focus { from: usize, to: usize },
}

/// Several devices' share of one back end.
pub struct Mux {
    inner: Arc<dyn CharBackend>,
    escape: u8,
    /// The name in the last message.
    program: String,
    quit: Box<dyn Fn() + Send + Sync>,
    state: Mutex<State>,
}

impl Mux {
    /// Shares `inner`. `quit` is called from its thread on the escape key and `x`, after `PROGRAM: Terminated` was
    /// written; it asks the machine to end, and returns.
    pub fn new(
        inner: Arc<dyn CharBackend>,
        escape: u8,
        program: &str,
        quit: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        let state = State {
            fronts: Vec::new(),
            focus: 0,
            escaped: false,
            open: false,
            stamps: None,
            line_start: false,
            own: Vec::new(),
        };
        let mux = Arc::new(Self {
            inner,
            escape,
            program: program.into(),
            quit: Box::new(quit),
            state: Mutex::new(state),
        });
        mux.inner.attach(Arc::new(Input(Arc::downgrade(&mux))));
        mux
    }

    /// A place for one more device. The first one has the focus at the start.
    pub fn front_end(self: &Arc<Self>) -> Arc<dyn CharBackend> {
        let mut state = self.state.lock();
        state.fronts.push(Front::default());
        Arc::new(FrontEnd { mux: self.clone(), index: state.fronts.len() - 1 })
    }

    fn help(&self) -> String {
        let key = match self.escape {
            key @ 1..=26 => format!("C-{}", char::from(key - 1 + b'a')),
            key => char::from(key).escape_default().to_string(),
        };
        let commands = [
            ("h", "print this help"),
            ("x", "exit emulator"),
            ("t", "toggle console timestamps"),
            ("b", "send break (magic sysrq)"),
            ("c", "switch between console and monitor"),
            (key.as_str(), &format!("sends {key}")),
        ];
        let lines = commands.map(|(command, text)| format!("{key} {command:<5}{text}\n\r"));
        format!("\n\r{}", lines.concat())
    }

    /// Hands a key to the state.
    fn key(&self, byte: u8) -> Option<Command> {
        let mut state = self.state.lock();
        if !std::mem::take(&mut state.escaped) {
            if byte == self.escape {
                state.escaped = true;
            } else {
                state.type_in(byte);
            }
            return None;
        }
        match byte {
            _ if byte == self.escape => state.type_in(byte),
            b'h' | b'?' => state.say(&self.help(), &*self.inner),
            b'x' => {
                state.say(&format!("{}: Terminated\n\r", self.program), &*self.inner);
                return Some(Command::Quit);
            }
            b't' => {
                state.stamps = if state.stamps.is_some() { None } else { Some(Instant::now()) };
                state.line_start = false;
            }
            b'b' => return Some(Command::Break(state.focus)),
            b'c' if state.fronts.len() > 1 => {
                let from = state.focus;
                state.focus = (from + 1) % state.fronts.len();
                return Some(Command::Focus { from, to: state.focus });
            }
            _ => {}
        }
        None
    }

    fn obey(&self, command: Command) {
        match command {
            Command::Quit => (self.quit)(),
            Command::Break(front) => self.tell(front, CharEvent::Break),
            Command::Focus { from, to } => {
                self.tell(from, CharEvent::Focus(false));
                self.tell(to, CharEvent::Focus(true));
            }
        }
    }

    fn tell(&self, front: usize, event: CharEvent) {
        let sink = self.state.lock().fronts.get(front).and_then(|front| front.sink.clone());
        if let Some(sink) = sink {
            sink.event(event);
        }
    }

    /// Greets new sinks, and hands them as much of the input that waits for them as they have room for. Only called
    /// from the back end's thread.
    fn deliver(&self) {
        let fronts = self.state.lock().fronts.len();
        for index in 0..fronts {
            let mut state = self.state.lock();
            let (open, focused) = (state.open, state.focus == index);
            let front = &mut state.fronts[index];
            let Some(sink) = front.sink.clone() else {
                // Nobody will ever read it.
                front.input.clear();
                continue;
            };
            let greet = std::mem::take(&mut front.greet);
            let mut waiting = !front.input.is_empty();
            drop(state);
            if greet {
                sink.event(CharEvent::Focus(focused));
                if open {
                    sink.event(CharEvent::Opened);
                }
            }
            // Until the sink has said that it is full: only then does it ask for more when it has room again.
            while waiting {
                let room = sink.room();
                let mut state = self.state.lock();
                let input = &mut state.fronts[index].input;
                let bytes: Vec<u8> = input.drain(..room.min(input.len())).collect();
                waiting = room > 0 && !input.is_empty();
                drop(state);
                if !bytes.is_empty() {
                    sink.receive(&bytes);
                }
            }
        }
    }

    /// Output of one device: how much of it was taken.
    fn write(&self, index: usize, bytes: &[u8]) -> usize {
        let mut state = self.state.lock();
        let mut taken = 0;
        while taken < bytes.len() && state.own_text_is_out(&*self.inner) {
            let rest = &bytes[taken..];
            let stamps = state.stamps;
            if let Some(since) = stamps.filter(|_| state.line_start) {
                state.line_start = false;
                let stamp = stamp(since);
                state.own.extend_from_slice(stamp.as_bytes());
                continue;
            }
            let line = rest.iter().position(|&b| b == b'\n').filter(|_| stamps.is_some());
            let piece = line.map_or(rest, |end| &rest[..=end]);
            let n = self.inner.write(piece);
            if n > 0 {
                state.line_start = piece[n - 1] == b'\n';
            }
            taken += n;
            if n < piece.len() {
                break;
            }
        }
        state.fronts[index].starved |= taken < bytes.len();
        taken
    }

    fn event(&self, event: CharEvent) {
        let mut state = self.state.lock();
        match event {
            CharEvent::Opened | CharEvent::Closed => state.open = event == CharEvent::Opened,
            CharEvent::Writable => {
                if !state.own_text_is_out(&*self.inner) {
                    return;
                }
            }
            CharEvent::Break => {
                let focus = state.focus;
                drop(state);
                self.deliver();
                return self.tell(focus, event);
            }
            CharEvent::Focus(_) => return,
        }
        let mut sinks = Vec::new();
        for (index, front) in state.fronts.iter_mut().enumerate() {
            let wanted = event != CharEvent::Writable || std::mem::take(&mut front.starved);
            // A new sink learns it in its greeting.
            if wanted && !front.greet {
                sinks.extend(front.sink.clone().map(|sink| (index, sink)));
            }
        }
        drop(state);
        sinks.iter().for_each(|(_, sink)| sink.event(event));
    }
}

impl State {
    /// A byte for the device that has the focus. Without room it is lost.
    fn type_in(&mut self, byte: u8) {
        let focus = self.focus;
        if let Some(front) = self.fronts.get_mut(focus)
            && front.input.len() < INPUT
        {
            front.input.push_back(byte);
        }
    }

    /// Own text for the person at the back end.
    fn say(&mut self, text: &str, inner: &dyn CharBackend) {
        if self.own.len() + text.len() <= OWN_TEXT {
            self.own.extend_from_slice(text.as_bytes());
        }
        self.own_text_is_out(inner);
    }

    /// Writes what waits of the own text; whether nothing waits any longer.
    fn own_text_is_out(&mut self, inner: &dyn CharBackend) -> bool {
        if !self.own.is_empty() {
            let n = inner.write(&self.own);
            self.own.drain(..n);
        }
        self.own.is_empty()
    }
}

/// `[hours:minutes:seconds.milliseconds] ` since `since`.
fn stamp(since: Instant) -> String {
    let ms = since.elapsed().as_millis();
    let (s, m, h) = (ms / 1000 % 60, ms / 60_000 % 60, ms / 3_600_000);
    format!("[{h:02}:{m:02}:{s:02}.{:03}] ", ms % 1000)
}

/// The back end's way to the multiplexer.
struct Input(Weak<Mux>);

impl CharSink for Input {
    fn room(&self) -> usize {
        let Some(mux) = self.0.upgrade() else { return 0 };
        mux.deliver();
        let state = mux.state.lock();
        state.fronts.get(state.focus).map_or(0, |front| INPUT - front.input.len())
    }

    fn receive(&self, bytes: &[u8]) {
        let Some(mux) = self.0.upgrade() else { return };
        for &byte in bytes {
            if let Some(command) = mux.key(byte) {
                // What was typed before the command arrives before it.
                mux.deliver();
                mux.obey(command);
            }
        }
        mux.deliver();
    }

    fn event(&self, event: CharEvent) {
        if let Some(mux) = self.0.upgrade() {
            mux.event(event);
        }
    }
}

/// One device's back end.
struct FrontEnd {
    mux: Arc<Mux>,
    index: usize,
}

impl CharBackend for FrontEnd {
    fn write(&self, bytes: &[u8]) -> usize {
        self.mux.write(self.index, bytes)
    }

    fn attach(&self, guest: Arc<dyn CharSink>) {
        let mut state = self.mux.state.lock();
        let front = &mut state.fronts[self.index];
        let old = front.sink.replace(guest);
        front.greet = true;
        drop(state);
        drop(old);
        self.mux.inner.resume();
    }

    /// The back end asks for room again, and with that delivers.
    fn resume(&self) {
        self.mux.inner.resume();
    }

    fn flush(&self) {
        self.mux.inner.flush();
        if !self.mux.state.lock().own.is_empty() {
            self.mux.state.lock().own_text_is_out(&*self.mux.inner);
            self.mux.inner.flush();
        }
    }
}

#[cfg(test)]
mod tests;

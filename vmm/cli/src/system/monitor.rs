//! The human monitor: a few commands about the machine on a character device.
//!
//! Commands and their answers as in QEMU's monitor (QEMU documentation, "QEMU Monitor"), the small part of it that
//! needs no snapshots, no hot-plug and no registers.

use std::sync::{Arc, Weak};

use base::{AddressSpace, Device, Shared};
use devices::host::chardev::{CharBackend, CharEvent, CharSink};
use engine::{Power, RunState};
use parking_lot::Mutex;

/// Longest line that is read.
const LINE: usize = 1024;
/// Output that waits for the back end, at most.
const WAITING: usize = 1 << 20;
const PROMPT: &str = "(qemu) ";

/// What the commands talk about.
pub struct Subject {
    /// The machine's life.
    pub power: Arc<Power>,
    /// Its memory map.
    pub space: Arc<AddressSpace>,
    /// Its devices, with where they are.
    pub devices: Vec<(String, Shared<dyn Device>)>,
}

/// One command: a row of the table.
struct Command {
    name: &'static str,
    alias: &'static str,
    help: &'static str,
    run: fn(&Subject, &str) -> String,
}

static COMMANDS: &[Command] = &[
    Command { name: "cont", alias: "c", help: "resume emulation", run: cont },
    Command { name: "help", alias: "?", help: "show the help", run: help },
    Command { name: "info", alias: "", help: "show information about the machine", run: info },
    Command { name: "quit", alias: "q", help: "quit the emulator", run: quit },
    Command { name: "stop", alias: "s", help: "stop emulation", run: stop },
    Command { name: "system_powerdown", alias: "", help: "press the power button", run: powerdown },
    Command { name: "system_reset", alias: "", help: "reset the system", run: reset },
];

/// What `info` can show.
static INFOS: &[Command] = &[
    Command { name: "mtree", alias: "", help: "show memory tree", run: mtree },
    Command { name: "qtree", alias: "", help: "show device tree", run: qtree },
    Command { name: "status", alias: "", help: "show the current VM status", run: status },
    Command { name: "version", alias: "", help: "show the version", run: version },
];

fn find(table: &'static [Command], name: &str) -> Option<&'static Command> {
    table.iter().find(|c| c.name == name || !c.alias.is_empty() && c.alias == name)
}

fn list(table: &[Command], before: &str) -> String {
    let line = |c: &Command| match c.alias {
        "" => format!("{before}{} -- {}\n", c.name, c.help),
        alias => format!("{before}{}|{alias} -- {}\n", c.name, c.help),
    };
    table.iter().map(line).collect()
}

fn help(_: &Subject, about: &str) -> String {
    match (about, find(COMMANDS, about)) {
        ("", _) => list(COMMANDS, ""),
        ("info", _) => list(INFOS, "info "),
        (_, Some(command)) => list(std::slice::from_ref(command), ""),
        (_, None) => format!("unknown command: '{about}'\n"),
    }
}

fn info(subject: &Subject, about: &str) -> String {
    match find(INFOS, about) {
        Some(command) => (command.run)(subject, ""),
        None if about.is_empty() => list(INFOS, "info "),
        None => format!("unknown command: 'info {about}'\n"),
    }
}

fn cont(subject: &Subject, _: &str) -> String {
    if subject.power.state() == RunState::Shutdown {
        return "Error: Resetting the Virtual Machine is required\n".into();
    }
    subject.power.resume();
    String::new()
}

fn stop(subject: &Subject, _: &str) -> String {
    subject.power.pause();
    String::new()
}

fn quit(subject: &Subject, _: &str) -> String {
    subject.power.quit();
    String::new()
}

fn reset(subject: &Subject, _: &str) -> String {
    subject.power.reset();
    String::new()
}

fn powerdown(_: &Subject, _: &str) -> String {
    "This machine has no power button\n".into()
}

fn status(subject: &Subject, _: &str) -> String {
    let state = match subject.power.state() {
        RunState::Running => "running",
        RunState::Prelaunch => "paused (prelaunch)",
        RunState::Paused => "paused",
        RunState::Shutdown => "paused (shutdown)",
    };
    format!("VM status: {state}\n")
}

fn version(_: &Subject, _: &str) -> String {
    format!("{}\n", crate::options::version().lines().next().unwrap_or_default())
}

fn mtree(subject: &Subject, _: &str) -> String {
    let line = |(name, base, size): (String, u64, u64)| {
        format!("  {base:016x}-{:016x} (prio 0, i/o): {name}\n", base + (size - 1))
    };
    let lines: String = subject.space.list().into_iter().map(line).collect();
    format!("address-space: memory\n{lines}")
}

fn qtree(subject: &Subject, _: &str) -> String {
    let line = |(place, device): &(String, Shared<dyn Device>)| {
        format!("  dev: {}, id \"\"\n    place = \"{place}\"\n", device.lock().name())
    };
    let lines: String = subject.devices.iter().map(line).collect();
    format!("bus: main-system-bus\n  type System\n{lines}")
}

/// Runs one line.
fn execute(subject: &Subject, line: &str) -> String {
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match (name, find(COMMANDS, name)) {
        ("", _) => String::new(),
        (_, Some(command)) => (command.run)(subject, rest.trim()),
        (_, None) => format!("unknown command: '{name}'\n"),
    }
}

#[derive(Default)]
struct State {
    line: String,
    greeted: bool,
    /// Output that the back end has not taken yet.
    out: Vec<u8>,
}

/// A monitor on a character device.
pub struct Monitor {
    subject: Arc<Subject>,
    backend: Arc<dyn CharBackend>,
    /// Behind a multiplexer: it greets when it gets the keyboard.
    shared: bool,
    state: Mutex<State>,
}

impl Monitor {
    /// Starts a monitor on `backend`.
    pub fn start(subject: Arc<Subject>, backend: Arc<dyn CharBackend>, shared: bool) -> Arc<Self> {
        let monitor = Arc::new(Self { subject, backend, shared, state: Mutex::default() });
        monitor.backend.attach(Arc::new(Keys(Arc::downgrade(&monitor))));
        monitor
    }

    fn print(&self, state: &mut State, text: &str) {
        if state.out.len() < WAITING {
            state.out.extend(text.replace('\n', "\r\n").as_bytes());
        }
        let taken = self.backend.write(&state.out);
        state.out.drain(..taken);
    }

    fn greet(&self) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.greeted, true) {
            let version = version(&self.subject, "");
            let name = version.split(" (").next().unwrap_or_default().replace(" emulator version", "");
            let text = format!("{name} monitor - type 'help' for more information\n{PROMPT}");
            self.print(&mut state, &text);
        }
    }

    fn key(&self, key: u8) {
        let mut state = self.state.lock();
        match key {
            b'\r' | b'\n' => {
                let line = std::mem::take(&mut state.line);
                self.print(&mut state, "\n");
                let answer = execute(&self.subject, line.trim());
                self.print(&mut state, &answer);
                self.print(&mut state, PROMPT);
            }
            0x08 | 0x7f => {
                let rubout = state.line.pop().map_or("", |_| "\x08 \x08");
                self.print(&mut state, rubout);
            }
            // Ctrl-u takes the line back.
            0x15 => {
                let rubout = "\x08 \x08".repeat(state.line.len());
                state.line.clear();
                self.print(&mut state, &rubout);
            }
            b' '..=b'~' if state.line.len() < LINE => {
                state.line.push(char::from(key));
                self.print(&mut state, &char::from(key).to_string());
            }
            _ => {}
        }
    }
}

/// The monitor as the back end knows it.
struct Keys(Weak<Monitor>);

impl CharSink for Keys {
    fn room(&self) -> usize {
        LINE
    }

    fn receive(&self, bytes: &[u8]) {
        if let Some(monitor) = self.0.upgrade() {
            bytes.iter().for_each(|key| monitor.key(*key));
        }
    }

    fn event(&self, event: CharEvent) {
        let Some(monitor) = self.0.upgrade() else { return };
        match event {
            CharEvent::Focus(true) => monitor.greet(),
            CharEvent::Opened if !monitor.shared => monitor.greet(),
            CharEvent::Closed => monitor.state.lock().greeted = false,
            CharEvent::Writable => {
                let mut state = monitor.state.lock();
                monitor.print(&mut state, "");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;

//! Character devices: each opened once, and shared where the command line says so.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base::Clock;
use devices::host::chardev as host;
use devices::host::chardev::{CharConfig, CharKind, CharLog, ESCAPE, Mux};
use engine::{Cause, Power};
use parking_lot::Mutex;

use super::by_turns::ByTurns;
use super::error::SystemError;
use super::test_line::TestLine;
use crate::options::{CharBackend, Chardev, SocketAddress, SocketRole, SystemOptions};

enum Place {
    /// For one device.
    Alone,
    /// For several.
    Shared(Arc<Mux>),
}

/// A back end whose input waits until every device is there: a key for the second one behind a multiplexer must not
/// come when there is only the first.
struct Gate {
    backend: Arc<dyn host::CharBackend>,
    waiting: Mutex<Waiting>,
}

/// Who gets the input once the gate is open.
enum Waiting {
    Nobody,
    Sink(Arc<dyn host::CharSink>),
    Open,
}

impl Gate {
    fn open(&self) {
        if let Waiting::Sink(sink) = std::mem::replace(&mut *self.waiting.lock(), Waiting::Open) {
            self.backend.attach(sink);
        }
    }
}

impl host::CharBackend for Gate {
    fn write(&self, bytes: &[u8]) -> usize {
        self.backend.write(bytes)
    }

    fn attach(&self, guest: Arc<dyn host::CharSink>) {
        let mut waiting = self.waiting.lock();
        match *waiting {
            Waiting::Open => self.backend.attach(guest),
            _ => *waiting = Waiting::Sink(guest),
        }
    }

    fn resume(&self) {
        self.backend.resume();
    }

    fn flush(&self) {
        self.backend.flush();
    }
}

/// The open character devices.
pub struct Chardevs {
    open: HashMap<String, (Place, Arc<Gate>)>,
    /// What devices get from them waits for the end of a turn.
    turns: Option<Arc<ByTurns>>,
    /// Those that lead to a test.
    tests: Vec<Arc<TestLine>>,
    program: String,
    power: Arc<Power>,
    clock: Arc<dyn Clock>,
    /// The one that gdb connects to.
    gdb: Option<String>,
}

/// The device of a back end that has none.
struct Nobody;

impl host::CharSink for Nobody {
    fn room(&self) -> usize {
        0
    }

    fn receive(&self, _: &[u8]) {}

    fn event(&self, _: host::CharEvent) {}
}

impl Chardevs {
    /// Opens them all; the escape key of a shared one ends the run through `power`.
    pub fn open(
        options: &SystemOptions,
        program: &str,
        power: &Arc<Power>,
        clock: &Arc<dyn Clock>,
        turns: Option<&Arc<ByTurns>>,
    ) -> Result<Self, SystemError> {
        let chardevs = &options.chardevs;
        // The terminal comes last: as long as something can be wrong it stays as it is.
        let (terminal, others): (Vec<_>, Vec<_>) =
            chardevs.iter().partition(|c| matches!(c.backend, CharBackend::Stdio { .. }));
        let mut chardevs = Self {
            open: HashMap::new(),
            turns: turns.cloned(),
            tests: Vec::new(),
            program: program.into(),
            power: power.clone(),
            clock: clock.clone(),
            gdb: options.gdb.clone(),
        };
        for chardev in others.into_iter().chain(terminal) {
            chardevs.add(chardev)?;
        }
        Ok(chardevs)
    }

    /// Opens one more.
    pub fn add(&mut self, chardev: &Chardev) -> Result<(), SystemError> {
        let backend = match &chardev.backend {
            CharBackend::Test { path } => {
                let line = TestLine::open(path, &self.clock).map_err(|fault| {
                    SystemError::refused(&chardev.origin, format!("no test listens at {path}: {fault}"))
                })?;
                let line = Arc::new(line);
                self.tests.push(line.clone());
                line as Arc<dyn host::CharBackend>
            }
            _ => host::open(&config(chardev, self.gdb.as_deref())?, &chardev.id)?,
        };
        let gate = Arc::new(Gate { backend, waiting: Mutex::new(Waiting::Nobody) });
        let place = if chardev.mux {
            let power = self.power.clone();
            Place::Shared(Mux::new(gate.clone(), ESCAPE, &self.program, move || power.quit(Cause::Ui)))
        } else {
            Place::Alone
        };
        self.open.insert(chardev.id.clone(), (place, gate));
        Ok(())
    }

    /// Opens one more while the machine runs.
    pub fn add_late(&mut self, chardev: &Chardev) -> Result<(), SystemError> {
        self.add(chardev)?;
        if let Some((_, gate)) = self.open.get(&chardev.id) {
            gate.open();
        }
        Ok(())
    }

    /// The device that had it to itself is gone: its input waits for another one.
    pub fn detach(&self, id: &str) {
        if let Some((Place::Alone, gate)) = self.open.get(id) {
            gate.backend.attach(Arc::new(Nobody));
        }
    }

    /// Closes it, once its last user has let go of it.
    pub fn close(&mut self, id: &str) {
        self.open.remove(id);
    }

    /// The file of the host that the other side of it is, where the host chose that.
    pub fn path(&self, id: &str) -> Option<PathBuf> {
        self.open.get(id).and_then(|(_, gate)| gate.backend.path())
    }

    /// What gives turns to vCPUs, if they take turns.
    pub fn turns(&self) -> Option<&Arc<ByTurns>> {
        self.turns.as_ref()
    }

    /// A device's share of the one called `id`: as [`Self::front_end`], but that input comes between turns if there are turns.
    pub fn for_device(&self, id: &str) -> Result<Arc<dyn host::CharBackend>, SystemError> {
        let shared = self.front_end(id)?;
        Ok(match &self.turns {
            Some(turns) => turns.chardev(id, shared),
            None => shared,
        })
    }

    /// A share of the one called `id`, which the command line's check has found to be there.
    pub fn front_end(&self, id: &str) -> Result<Arc<dyn host::CharBackend>, SystemError> {
        match self.open.get(id) {
            Some((Place::Alone, gate)) => Ok(gate.clone()),
            Some((Place::Shared(mux), _)) => Ok(mux.front_end()),
            None => nowhere(id),
        }
    }

    /// A share of it for a conversation, and whether others have theirs.
    pub fn line(&self, id: &str) -> Result<(Arc<dyn host::CharBackend>, bool), SystemError> {
        Ok((self.front_end(id)?, matches!(self.open.get(id), Some((Place::Shared(_), _)))))
    }

    /// The machine was put back to another state.
    pub fn put_back(&self) {
        self.tests.iter().for_each(|line| line.put_back());
    }

    /// Lets input in: every device is there.
    pub fn let_in(&self) {
        self.open.values().for_each(|(_, gate)| gate.open());
    }

    /// Hands on what was written to any of them.
    pub fn flush(&self) {
        self.open.values().for_each(|(_, gate)| gate.backend.flush());
    }
}

/// A back end that takes and loses everything.
pub fn nowhere(label: &str) -> Result<Arc<dyn host::CharBackend>, SystemError> {
    Ok(host::open(&CharKind::Null.into(), label)?)
}

/// What the command line says, in the words of the back ends; `gdb` is the id of the one that gdb connects to.
pub fn config(chardev: &Chardev, gdb: Option<&str>) -> Result<CharConfig, SystemError> {
    let refused = |what: &str| Err(SystemError::refused(&chardev.origin, format!("{what}: {NOT_AVAILABLE}")));
    let kind = match &chardev.backend {
        CharBackend::Null | CharBackend::Vc => CharKind::Null,
        CharBackend::Stdio { signal } => CharKind::Stdio { signal: *signal },
        CharBackend::File { input: Some(_), .. } => return refused("input-path="),
        CharBackend::File { path, append, .. } => CharKind::File { path: path.into(), append: *append },
        CharBackend::Test { .. } => return refused("a test's line here"),
        CharBackend::Pipe { path } => CharKind::Pipe { path: path.into() },
        CharBackend::Pty { link: Some(_) } => return refused("path= of a pty"),
        CharBackend::Pty { link: None } => CharKind::Pty,
        CharBackend::Socket { address, role, telnet } => {
            let address = match address {
                SocketAddress::Unix { abstract_name: true, .. } => return refused("abstract=on"),
                SocketAddress::Unix { path, .. } => host::SocketAddress::Unix(path.into()),
                SocketAddress::Fd(_) => return refused("fd="),
                SocketAddress::Tcp { last_port: Some(_), .. } => return refused("to="),
                SocketAddress::Tcp { host, port, .. } => {
                    let Ok(port) = port.parse() else {
                        let what = format!("port={port}: is no port number");
                        return Err(SystemError::refused(&chardev.origin, what));
                    };
                    host::SocketAddress::Tcp { host: host.clone(), port }
                }
            };
            let role = match *role {
                SocketRole::Server { wait } => host::SocketRole::Server { wait },
                SocketRole::Client { reconnect_ms: 0 } => host::SocketRole::Client { reconnect: None },
                SocketRole::Client { reconnect_ms } => {
                    host::SocketRole::Client { reconnect: Some(Duration::from_millis(reconnect_ms)) }
                }
            };
            let busy = (gdb == Some(&chardev.id)).then(control::gdb::busy);
            CharKind::Socket(host::SocketConfig { address, role, telnet: *telnet, busy })
        }
    };
    let log =
        chardev.log.as_ref().map(|path| CharLog { path: PathBuf::from(path), append: chardev.log_append });
    Ok(CharConfig { kind, log })
}

const NOT_AVAILABLE: &str = "not available in this version of Mimic";

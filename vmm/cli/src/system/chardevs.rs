//! Character devices: each opened once, and shared where the command line says so.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use devices::host::chardev as host;
use devices::host::chardev::{CharConfig, CharKind, CharLog, ESCAPE, Mux};
use engine::Power;

use super::error::SystemError;
use crate::options::{CharBackend, Chardev, SocketAddress, SocketRole};

enum Place {
    /// For one device.
    Alone(Arc<dyn host::CharBackend>),
    /// For several.
    Shared(Arc<Mux>),
}

/// The open character devices.
pub struct Chardevs {
    open: HashMap<String, (Place, Arc<dyn host::CharBackend>)>,
}

impl Chardevs {
    /// Opens them all; the escape key of a shared one ends the run through `power`.
    pub fn open(chardevs: &[Chardev], program: &str, power: &Arc<Power>) -> Result<Self, SystemError> {
        let mut open = HashMap::new();
        // The terminal comes last: as long as something can be wrong it stays as it is.
        let (terminal, others): (Vec<_>, Vec<_>) =
            chardevs.iter().partition(|c| matches!(c.backend, CharBackend::Stdio { .. }));
        for chardev in others.into_iter().chain(terminal) {
            let backend = host::open(&config(chardev)?, &chardev.id)?;
            let place = if chardev.mux {
                let power = power.clone();
                Place::Shared(Mux::new(backend.clone(), ESCAPE, program, move || power.quit()))
            } else {
                Place::Alone(backend.clone())
            };
            open.insert(chardev.id.clone(), (place, backend));
        }
        Ok(Self { open })
    }

    /// A device's share of the one called `id`, which the command line's check has found to be there.
    pub fn front_end(&self, id: &str) -> Result<Arc<dyn host::CharBackend>, SystemError> {
        match self.open.get(id) {
            Some((Place::Alone(backend), _)) => Ok(backend.clone()),
            Some((Place::Shared(mux), _)) => Ok(mux.front_end()),
            None => nowhere(id),
        }
    }

    /// Whether several devices share it.
    pub fn is_shared(&self, id: &str) -> bool {
        matches!(self.open.get(id), Some((Place::Shared(_), _)))
    }

    /// Hands on what was written to any of them.
    pub fn flush(&self) {
        self.open.values().for_each(|(_, backend)| backend.flush());
    }
}

/// A back end that takes and loses everything.
pub fn nowhere(label: &str) -> Result<Arc<dyn host::CharBackend>, SystemError> {
    Ok(host::open(&CharKind::Null.into(), label)?)
}

/// What the command line says, in the words of the back ends.
fn config(chardev: &Chardev) -> Result<CharConfig, SystemError> {
    let refused = |what: &str| Err(SystemError::refused(&chardev.origin, format!("{what}: {NOT_AVAILABLE}")));
    let kind = match &chardev.backend {
        CharBackend::Null | CharBackend::Vc => CharKind::Null,
        CharBackend::Stdio { signal } => CharKind::Stdio { signal: *signal },
        CharBackend::File { input: Some(_), .. } => return refused("input-path="),
        CharBackend::File { path, append, .. } => CharKind::File { path: path.into(), append: *append },
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
            CharKind::Socket(host::SocketConfig { address, role, telnet: *telnet })
        }
    };
    let log =
        chardev.log.as_ref().map(|path| CharLog { path: PathBuf::from(path), append: chardev.log_append });
    Ok(CharConfig { kind, log })
}

const NOT_AVAILABLE: &str = "not available in this version of Mimic";

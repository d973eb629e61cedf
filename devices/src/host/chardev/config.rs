//! What a character back end is made from, and why that can fail.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// One character back end, as `-chardev` or `-serial` describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CharConfig {
    /// Where the characters come from and go to.
    pub kind: CharKind,
    /// `logfile=`: a file that gets a copy of all that the guest writes, whether or not somebody listens.
    pub log: Option<CharLog>,
}

impl From<CharKind> for CharConfig {
    fn from(kind: CharKind) -> Self {
        Self { kind, log: None }
    }
}

/// The `logfile=` and `logappend=` options of a back end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CharLog {
    /// The file.
    pub path: PathBuf,
    /// Whether what the file holds is kept.
    pub append: bool,
}

/// The kinds of back ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CharKind {
    /// Output is lost, there is no input.
    Null,
    /// The standard input and output of this process. A terminal is put into raw mode until the back end is closed
    /// or the process ends.
    Stdio {
        /// Whether the terminal's keys (Ctrl-C, Ctrl-Z, Ctrl-\) still send signals; otherwise the guest gets them.
        signal: bool,
    },
    /// Output goes to a file, there is no input.
    File {
        /// The file; made when it is not there.
        path: PathBuf,
        /// Whether what the file holds is kept.
        append: bool,
    },
    /// Two FIFOs, `PATH.in` and `PATH.out`; where these are not there, `PATH` itself for both directions.
    Pipe {
        /// The path without its suffix.
        path: PathBuf,
    },
    /// A new pseudo terminal; its name is printed.
    Pty,
    /// A stream socket.
    Socket(SocketConfig),
}

/// A stream socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketConfig {
    /// Where it listens, or whom it calls.
    pub address: SocketAddress,
    /// Which of the two it does.
    pub role: SocketRole,
    /// Whether to speak the Telnet protocol, with the guest doing the echo.
    pub telnet: bool,
    /// What a server sends to a client that calls while it serves another one, before it hangs up; `None` lets it wait.
    pub busy: Option<Vec<u8>>,
}

/// The address of a stream socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketAddress {
    /// A Unix domain socket.
    Unix(PathBuf),
    /// A TCP socket.
    Tcp {
        /// Host name or address. Empty: every local address for a server, the local host for a client.
        host: String,
        /// Port; a server that is given 0 gets a free one.
        port: u16,
    },
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
        }
    }
}

/// Whether a socket is called or calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketRole {
    /// Listens, and serves one client after the other.
    Server {
        /// Whether opening the back end waits for the first client.
        wait: bool,
    },
    /// Connects.
    Client {
        /// The time between attempts to connect, when the server is not there or went away. `None`: the server has to
        /// be there at the start, and its end is the end.
        reconnect: Option<Duration>,
    },
}

/// Why a back end could not be opened.
#[derive(Debug, Error)]
pub enum CharError {
    /// A file, FIFO or log file.
    #[error("character device {label}: cannot open '{path}': {source}; {advice}")]
    Open {
        /// The back end's label.
        label: String,
        /// The file.
        path: PathBuf,
        /// What the host says.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// A listening socket.
    #[error("character device {label}: cannot listen on '{address}': {source}; {advice}")]
    Listen {
        /// The back end's label.
        label: String,
        /// The address.
        address: SocketAddress,
        /// What the host says.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// The other side is not there.
    #[error(
        "character device {label}: cannot connect to '{address}': {source}; start its server first, listen with \
         server=on, or give reconnect="
    )]
    Connect {
        /// The back end's label.
        label: String,
        /// The address.
        address: SocketAddress,
        /// What the host says.
        source: io::Error,
    },
    /// A pseudo terminal.
    #[error(
        "character device {label}: cannot make a pseudo terminal: {source}; check that /dev/pts is mounted"
    )]
    Pty {
        /// The back end's label.
        label: String,
        /// What the host says.
        source: io::Error,
    },
    /// The terminal refused raw mode.
    #[error(
        "character device {label}: cannot set up the terminal on standard input: {source}; redirect it if it is none"
    )]
    Terminal {
        /// The back end's label.
        label: String,
        /// What the host says.
        source: io::Error,
    },
    /// Two back ends want stdio.
    #[error(
        "character device {label}: cannot use stdio by multiple character devices; make one with \
         -chardev stdio,mux=on,id=ID and name it in each of them"
    )]
    StdioTaken {
        /// The back end's label.
        label: String,
    },
    /// The host is out of threads or descriptors.
    #[error(
        "character device {label}: cannot start its thread: {source}; close other programs or raise the limits"
    )]
    Start {
        /// The back end's label.
        label: String,
        /// What the host says.
        source: io::Error,
    },
}

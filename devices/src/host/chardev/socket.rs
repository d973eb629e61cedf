//! Stream sockets: a server that serves one client after the other, and a client that calls again.

use super::config::{SocketAddress, SocketConfig};
use super::line::{End, Fixed, Line, Source, Wait};
use super::telnet::{self, Decoder};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one address of a TCP server is tried.
const CONNECT: Duration = Duration::from_secs(2);
/// The shortest and the longest pause between two attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_hours(24));

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn connect(address: &SocketAddress) -> io::Result<Self> {
        match address {
            SocketAddress::Unix(path) => UnixStream::connect(path).map(Self::Unix),
            SocketAddress::Tcp { host, port } => {
                let host = if host.is_empty() { "localhost" } else { host };
                let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
                for address in (host, *port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, CONNECT) {
                        Ok(stream) => return Ok(Self::Tcp(stream)),
                        Err(e) => failure = e,
                    }
                }
                Err(failure)
            }
        }
    }

    fn into_line(self, greet: bool) -> io::Result<Line> {
        let fd: OwnedFd = match self {
            Self::Unix(stream) => {
                stream.set_nonblocking(true)?;
                stream.into()
            }
            Self::Tcp(stream) => {
                stream.set_nonblocking(true)?;
                // The back end gathers small writes by itself.
                stream.set_nodelay(true)?;
                stream.into()
            }
        };
        let mut output = File::from(fd.try_clone()?);
        let mut line = Line::new(Some(File::from(fd)), None, End::Linger);
        if greet {
            output.write_all(&telnet::GREETING)?;
            line.telnet = Some(Decoder::default());
        }
        line.output = Some(output);
        Ok(line)
    }
}

/// A socket file, removed with this value if it is still the same one.
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        let meta = fs::symlink_metadata(path)?;
        Ok(Self { path: path.into(), device: meta.dev(), inode: meta.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = |meta: fs::Metadata| (meta.dev(), meta.ino()) == (self.device, self.inode);
        if fs::symlink_metadata(&self.path).is_ok_and(same) {
            // It may be gone in this moment, which is what we want.
            let _ = fs::remove_file(&self.path);
        }
    }
}

enum Listening {
    Unix(UnixListener, #[expect(dead_code, reason = "removes the file when dropped")] SocketFile),
    Tcp(TcpListener),
}

/// A listening socket.
pub(super) struct Listener {
    socket: Listening,
    telnet: bool,
    busy: Option<Vec<u8>>,
}

impl Listener {
    /// Sends callers away with this answer while somebody is served.
    pub(super) fn with_answer_when_busy(self, busy: Option<Vec<u8>>) -> Self {
        Self { busy, ..self }
    }

    pub(super) fn new(address: &SocketAddress, telnet: bool) -> io::Result<Self> {
        let socket = match address {
            SocketAddress::Unix(path) => {
                // A socket that an earlier run left behind is in the way; anything else is not ours to remove.
                if fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
                    fs::remove_file(path)?;
                }
                Listening::Unix(UnixListener::bind(path)?, SocketFile::new(path)?)
            }
            SocketAddress::Tcp { host, port } if host.is_empty() => {
                let any: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
                let any: Vec<_> = any.iter().map(|ip| SocketAddr::new(*ip, *port)).collect();
                Listening::Tcp(TcpListener::bind(&any[..])?)
            }
            SocketAddress::Tcp { host, port } => Listening::Tcp(TcpListener::bind((host.as_str(), *port))?),
        };
        Ok(Self { socket, telnet, busy: None })
    }

    /// The address, with the port that the host chose.
    pub(super) fn address(&self, asked: &SocketAddress) -> SocketAddress {
        match &self.socket {
            Listening::Unix(..) => asked.clone(),
            Listening::Tcp(socket) => socket.local_addr().map_or_else(
                |_| asked.clone(),
                |at| SocketAddress::Tcp { host: at.ip().to_string(), port: at.port() },
            ),
        }
    }

    fn accept(&self) -> io::Result<Line> {
        let stream = match &self.socket {
            Listening::Unix(socket, _) => Stream::Unix(socket.accept()?.0),
            Listening::Tcp(socket) => Stream::Tcp(socket.accept()?.0),
        };
        stream.into_line(self.telnet)
    }

    /// Blocks until a client is there.
    pub(super) fn wait_for_client(&self) -> Line {
        loop {
            match self.accept() {
                Ok(line) => return line,
                // A client that left at once, or no descriptor for it now.
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// From now on [`Source::connect`] does not block.
    pub(super) fn into_source(self) -> io::Result<Box<dyn Source>> {
        match &self.socket {
            Listening::Unix(socket, _) => socket.set_nonblocking(true)?,
            Listening::Tcp(socket) => socket.set_nonblocking(true)?,
        }
        Ok(Box::new(self))
    }
}

impl Source for Listener {
    fn wait(&self) -> Wait {
        Wait::Readable(match &self.socket {
            Listening::Unix(socket, _) => socket.as_fd().as_raw_fd(),
            Listening::Tcp(socket) => socket.as_fd().as_raw_fd(),
        })
    }

    fn connect(&mut self) -> Option<Line> {
        self.accept().ok()
    }

    fn refuses(&self) -> bool {
        self.busy.is_some()
    }

    fn refuse(&mut self) {
        let (Ok(line), Some(answer)) = (self.accept(), &self.busy) else { return };
        let (Some(mut input), Some(mut output)) = (line.input, line.output) else { return };
        // It may have left, and an answer this short fits into any socket. What it has sent is read, or closing would
        // take the answer back.
        let _ = output.write_all(answer);
        let _ = input.read(&mut [0; 4096]);
    }
}

/// Calls a server, and again after it went away.
struct Caller {
    address: SocketAddress,
    telnet: bool,
    pause: Duration,
}

impl Source for Caller {
    fn wait(&self) -> Wait {
        Wait::After(self.pause)
    }

    fn connect(&mut self) -> Option<Line> {
        connect(&self.address, self.telnet).ok()
    }
}

fn connect(address: &SocketAddress, telnet: bool) -> io::Result<Line> {
    Stream::connect(address)?.into_line(telnet)
}

/// A client: the connection, if it could be made, and who makes the next ones.
pub(super) fn client(
    config: &SocketConfig,
    reconnect: Option<Duration>,
) -> io::Result<(Box<dyn Source>, Option<Line>)> {
    let (address, telnet) = (config.address.clone(), config.telnet);
    let line = connect(&address, telnet);
    Ok(match reconnect {
        Some(pause) => {
            let pause = pause.clamp(PAUSES.0, PAUSES.1);
            (Box::new(Caller { address, telnet, pause }), line.ok())
        }
        None => (Box::new(Fixed { _held: () }), Some(line?)),
    })
}

/// What to do about a socket that cannot listen.
pub(super) fn listen_advice(address: &SocketAddress, error: &io::Error) -> &'static str {
    match (address, error.kind()) {
        (SocketAddress::Unix(_), ErrorKind::AddrInUse) => {
            "a file of that name is there and is no socket: remove it or choose another path"
        }
        (SocketAddress::Unix(_), _) => {
            "check that its directory exists and is writable, and that the path is shorter than 108 bytes"
        }
        (SocketAddress::Tcp { .. }, ErrorKind::AddrInUse) => {
            "another program listens there: end it or choose another port"
        }
        (SocketAddress::Tcp { .. }, ErrorKind::PermissionDenied) => "choose a port above 1023",
        (SocketAddress::Tcp { .. }, _) => "check the host name and the port",
    }
}

#[cfg(test)]
mod tests;

//! The line to the client of a process: a socket, read by whichever thread talks.
//!
//! Everything is a descriptor of the emulator's, out of the program's reach, and goes to a process that the debugger
//! follows by being copied with it.

use devices::host::chardev::{CharBackend, CharSink};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tcg_user::Reserved;

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP port, of every interface.
    Port(u16),
    /// A socket of this name.
    Path(PathBuf),
}

/// One client's connection, to write to.
pub struct Wire(Reserved);

impl CharBackend for Wire {
    fn write(&self, mut bytes: &[u8]) -> usize {
        let len = bytes.len();
        while !bytes.is_empty() {
            match (&*self.0).write(bytes) {
                Ok(done) => bytes = &bytes[done..],
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                // The client is gone, which reading tells.
                Err(_) => break,
            }
        }
        len
    }

    fn attach(&self, _: Arc<dyn CharSink>) {}

    fn resume(&self) {}

    fn flush(&self) {}
}

/// Milliseconds that a client may take to acknowledge the end.
const PATIENCE: i32 = 1000;

/// The line.
pub struct Line {
    listener: Option<Reserved>,
    wire: Option<Arc<Wire>>,
    path: Option<PathBuf>,
    /// What was read and not yet heard.
    heard: Vec<u8>,
}

fn reserved(fd: impl Into<OwnedFd>) -> io::Result<Reserved> {
    Reserved::new(&File::from(fd.into()))
}

impl Line {
    /// Listens at `address`.
    ///
    /// # Errors
    /// Those of the host.
    pub fn listen(address: &Address) -> io::Result<Self> {
        let (listener, path) = match address {
            Address::Port(port) => (reserved(TcpListener::bind(("0.0.0.0", *port))?)?, None),
            Address::Path(path) => {
                // What a run before this one has left.
                let _ = fs::remove_file(path);
                (reserved(UnixListener::bind(path)?)?, Some(absolute(path)))
            }
        };
        Ok(Self { listener: Some(listener), wire: None, path, heard: Vec::new() })
    }

    /// The line over a connection that an emulator before this one has left open.
    ///
    /// # Safety
    /// The descriptor is nobody else's.
    pub unsafe fn inherited(wire: RawFd) -> io::Result<Self> {
        // SAFETY: the caller's promise.
        let wire = Reserved::new(&unsafe { File::from_raw_fd(wire) })?;
        Ok(Self { listener: None, wire: Some(Arc::new(Wire(wire))), path: None, heard: Vec::new() })
    }

    /// The connection.
    pub fn wire(&self) -> Option<&Arc<Wire>> {
        self.wire.as_ref()
    }

    /// Descriptors on which something may arrive: of the client, or of one who connects.
    pub fn descriptors(&self) -> Vec<RawFd> {
        let wire = self.wire.as_ref().map(|wire| wire.0.as_raw_fd());
        wire.or(self.listener.as_ref().map(|listener| listener.as_raw_fd())).into_iter().collect()
    }

    /// Has the connection survive `execve`, or no longer; its descriptor.
    pub fn keep_open(&self, open: bool) -> Option<RawFd> {
        let wire = self.wire.as_ref()?.0.as_raw_fd();
        // SAFETY: changes a flag of our own descriptor.
        unsafe { libc::fcntl(wire, libc::F_SETFD, if open { 0 } else { libc::FD_CLOEXEC }) };
        Some(wire)
    }

    /// Whether something was read and not yet heard.
    pub fn has_heard(&self) -> bool {
        !self.heard.is_empty()
    }

    /// Waits a moment for the client to answer or to go.
    pub fn wait(&self) {
        self.poll(PATIENCE);
    }

    /// Whether something has arrived.
    pub fn is_ready(&self) -> bool {
        !self.heard.is_empty() || self.poll(0)
    }

    /// Whether something arrives within so many milliseconds.
    fn poll(&self, limit: i32) -> bool {
        let mut fds: Vec<libc::pollfd> = self
            .descriptors()
            .iter()
            .map(|fd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 })
            .collect();
        // SAFETY: the kernel writes the list.
        unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as u64, limit) > 0 }
    }

    /// Waits for a client; false if none can come.
    pub fn accept(&mut self) -> bool {
        let Some(listener) = &self.listener else { return false };
        loop {
            // SAFETY: makes a descriptor.
            let fd = unsafe {
                let none = std::ptr::null_mut::<u8>();
                libc::accept4(listener.as_raw_fd(), none.cast(), none.cast(), libc::SOCK_CLOEXEC)
            };
            if fd >= 0 {
                let yes = 1i32;
                // SAFETY: sets an option of a socket, which one that is not TCP refuses.
                unsafe {
                    let len = size_of_val(&yes) as u32;
                    libc::setsockopt(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, (&raw const yes).cast(), len);
                }
                // SAFETY: the kernel has just handed out the descriptor.
                let Ok(wire) = Reserved::new(&unsafe { File::from_raw_fd(fd) }) else { return false };
                self.wire = Some(Arc::new(Wire(wire)));
                self.heard.clear();
                return true;
            }
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return false;
            }
        }
    }

    /// Waits for a byte of the client's; `None`: it is gone.
    pub fn byte(&mut self) -> Option<u8> {
        if self.heard.is_empty() {
            let mut bytes = [0; 4096];
            let len = loop {
                match (&*self.wire.as_ref()?.0).read(&mut bytes) {
                    Ok(len) => break len,
                    Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return None,
                }
            };
            self.heard.extend(bytes[..len].iter().rev());
        }
        self.heard.pop()
    }

    /// Closes the connection.
    pub fn hang_up(&mut self) {
        self.heard.clear();
        self.wire = None;
    }

    /// Closes everything; the socket's name goes too if `removes`.
    pub fn close(&mut self, removes: bool) {
        self.hang_up();
        self.listener = None;
        if let Some(path) = self.path.take().filter(|_| removes) {
            // Somebody else may have taken it away.
            let _ = fs::remove_file(path);
        }
    }
}

/// The program may go to another folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

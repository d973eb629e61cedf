//! Tap: the guest's frames go to a network interface of the host (Linux, Documentation/networking/tuntap.rst).
//!
//! Opens an interface that exists, or makes one for as long as the process lives; bringing it up and connecting it
//! is the host's business (`script=no`). Left out: scripts, several queues, vhost, and virtio headers (`vnet_hdr`).

use super::{FrameSink, MAX_FRAME, NetBackend, NetError};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const DEVICE: &str = "/dev/net/tun";
const TAP: Token = Token(0);
const WAKER: Token = Token(1);
/// Frames read before the guest is told.
const BATCH: usize = 64;

struct Shared {
    tap: File,
    guest: Mutex<Option<Arc<dyn FrameSink>>>,
    /// The guest has receive buffers again.
    resumed: AtomicBool,
    stop: AtomicBool,
    waker: Waker,
}

/// A tap interface for one device. Dropping it ends its thread and closes the interface.
pub struct Tap {
    shared: Arc<Shared>,
    name: String,
    thread: Option<JoinHandle<()>>,
}

impl Tap {
    /// Opens the interface `ifname=`; an empty name, or one with `%d`, lets the host choose.
    pub fn new(ifname: &str) -> Result<Self, NetError> {
        let (tap, name) = open(ifname)?;
        let poll = Poll::new().map_err(NetError::Events)?;
        poll.registry()
            .register(&mut SourceFd(&tap.as_raw_fd()), TAP, Interest::READABLE)
            .map_err(NetError::Events)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(NetError::Events)?;
        let shared = Arc::new(Shared {
            tap,
            guest: Mutex::default(),
            resumed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            waker,
        });
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("tap".into())
            .spawn(move || run(poll, &for_thread))
            .map_err(NetError::Thread)?;
        Ok(Self { shared, name, thread: Some(thread) })
    }

    /// The interface's name on the host.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let _ = self.shared.waker.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl NetBackend for Tap {
    fn send(&self, frame: &[u8]) {
        if frame.len() <= MAX_FRAME {
            // A frame that the host does not take (queue full, interface down) is a lost frame.
            let _ = (&self.shared.tap).write(frame);
        }
    }

    fn attach(&self, guest: Arc<dyn FrameSink>) {
        *self.shared.guest.lock() = Some(guest);
        self.resume();
    }

    fn resume(&self) {
        if !self.shared.resumed.swap(true, Ordering::AcqRel) {
            // Fails only when the counter of wake-ups is full, and then the thread is awake.
            let _ = self.shared.waker.wake();
        }
    }
}

/// Opens the device and attaches it to an interface; returns the interface's name.
fn open(ifname: &str) -> Result<(File, String), NetError> {
    let fail = |why| move |source| NetError::Tap { ifname: ifname.to_owned(), why, source };
    let tap = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(DEVICE).map_err(
        |error| match error.kind() {
            ErrorKind::NotFound => fail(
                "/dev/net/tun does not exist (load the kernel's `tun` module, or give the container that device)",
            )(error),
            ErrorKind::PermissionDenied => fail(
                "no permission for /dev/net/tun (join the group that owns it, or use `-netdev user`, which needs none)",
            )(error),
            _ => fail("cannot open /dev/net/tun")(error),
        },
    )?;
    // SAFETY: `ifreq` is plain data, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if ifname.len() >= request.ifr_name.len() || ifname.contains(['\0', '/']) {
        return Err(NetError::Option {
            option: format!("ifname={ifname}"),
            why: "an interface name has at most 15 bytes, and no `/`",
        });
    }
    for (to, from) in request.ifr_name.iter_mut().zip(ifname.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes the `ifreq` that is passed, and keeps no pointer to it.
    if unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &mut request) } < 0 {
        let error = io::Error::last_os_error();
        return Err(match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => fail(
                "no permission to attach to that tap interface (make it first, as root: ip tuntap add IFNAME mode tap user $USER)",
            )(error),
            Some(libc::EBUSY) => fail("another program uses that tap interface")(error),
            Some(libc::EINVAL) => fail("that interface exists, but is not a tap interface")(error),
            _ => fail("cannot attach to that tap interface")(error),
        });
    }
    let name = request.ifr_name.iter().take_while(|c| **c != 0).map(|c| char::from(*c as u8)).collect();
    Ok((tap, name))
}

/// The thread: reads frames for the guest.
fn run(mut poll: Poll, shared: &Shared) {
    let mut events = Events::with_capacity(4);
    let mut buffer = vec![0; MAX_FRAME];
    // The frame that the guest had no buffer for: those behind it wait in the host's queue, which is bounded.
    let mut kept: Option<usize> = None;
    let mut readable = false;
    while !shared.stop.load(Ordering::Acquire) {
        let timeout = (readable && kept.is_none()).then_some(std::time::Duration::ZERO);
        match poll.poll(&mut events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                tracing::error!("tap: the host's event queue failed: {error}");
                return;
            }
            _ => readable |= events.iter().any(|event| event.token() == TAP),
        }
        let resumed = shared.resumed.swap(false, Ordering::AcqRel);
        if kept.is_some() && !resumed {
            continue;
        }
        let Some(guest) = shared.guest.lock().clone() else {
            kept = None;
            // Nobody is there: what comes is lost, and the readiness is kept for the first device.
            while matches!((&shared.tap).read(&mut buffer), Ok(1..)) {}
            readable = false;
            continue;
        };
        let mut delivered = false;
        for _ in 0..BATCH {
            let len = match kept.take() {
                Some(len) => len,
                None => match (&shared.tap).read(&mut buffer) {
                    Ok(len) => len,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => {
                        readable = false;
                        if error.kind() != ErrorKind::WouldBlock {
                            tracing::error!("tap: the interface cannot be read any longer: {error}");
                            return;
                        }
                        break;
                    }
                },
            };
            if !guest.receive(&buffer[..len]) {
                kept = Some(len);
                break;
            }
            delivered = true;
        }
        if delivered {
            guest.flush();
        }
    }
}

#[cfg(test)]
mod tests;

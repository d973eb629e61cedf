//! User-mode network: a NAT in this process that gives the guest the host's network without any privilege.
//!
//! The guest sees QEMU's plan: network 10.0.2.0/24, gateway 10.0.2.2 (which is the host's 127.0.0.1), name server
//! 10.0.2.3, its own address from 10.0.2.15 by DHCP. TCP ([`smoltcp`]), UDP and echo requests become sockets of the
//! host; `hostfwd` leads from ports of the host into the guest.
//!
//! Left out: IPv6, TFTP and SMB servers, `guestfwd`.
//!
//! [`Nat`] does the work and has no thread; [`UserNet`] is a thread around it and the back end for devices. Time is
//! the host's, not the machine's: the other ends of the connections do not stop with the guest.

mod config;
mod datagram;
mod dhcp;
mod dns;
mod fragment;
mod link;
mod nat;
mod tcp;
#[cfg(test)]
mod tests;

pub use config::{HostFwd, Subnet, Transport, UserNetConfig};
pub use nat::Nat;

use super::{FrameSink, MAX_LARGE_FRAME, NetBackend, NetError, Offloads};
use mio::Waker;
use parking_lot::Mutex;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

/// Bytes of frames from the guest that wait for the thread; what exceeds them is dropped.
const INBOX: usize = 4 << 20;

/// A change that the thread makes for somebody else.
enum Command {
    Add(HostFwd, mpsc::Sender<Result<SocketAddrV4, NetError>>),
    Remove(Transport, SocketAddrV4, mpsc::Sender<Result<(), NetError>>),
    List(mpsc::Sender<Vec<HostFwd>>),
}

/// Frames, one after the other.
#[derive(Default)]
struct Frames {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

impl Frames {
    fn push(&mut self, frame: &[u8]) -> bool {
        let fits = self.bytes.len() + frame.len() <= INBOX;
        if fits {
            self.bytes.extend_from_slice(frame);
            self.lengths.push(frame.len());
        }
        fits
    }

    fn each(&self, mut take: impl FnMut(&[u8])) {
        let mut rest = &self.bytes[..];
        for len in &self.lengths {
            let (frame, after) = rest.split_at(*len);
            take(frame);
            rest = after;
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
    }
}

/// What the thread shares with the device and with whoever changes the forwarded ports.
struct Shared {
    inbox: Mutex<Frames>,
    guest: Mutex<Option<Arc<dyn FrameSink>>>,
    /// The guest has receive buffers again.
    resumed: AtomicBool,
    /// Its connections are to be ended.
    forget: AtomicBool,
    stop: AtomicBool,
    waker: Waker,
}

impl Shared {
    fn wake(&self) {
        // Fails only when the counter of wake-ups is full, and then the thread is awake.
        let _ = self.waker.wake();
    }
}

/// A user-mode network for one device. Dropping it ends its thread and closes its connections.
pub struct UserNet {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    thread: Option<JoinHandle<()>>,
}

impl UserNet {
    /// Opens the forwarded ports and starts the thread.
    pub fn new(config: UserNetConfig) -> Result<Self, NetError> {
        let nat = Nat::new(config)?;
        let shared = Arc::new(Shared {
            inbox: Mutex::default(),
            guest: Mutex::default(),
            resumed: AtomicBool::new(false),
            forget: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            waker: nat.waker()?,
        });
        let for_thread = shared.clone();
        let (commands, received) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("user-net".into())
            .spawn(move || run(nat, &for_thread, &received))
            .map_err(NetError::Thread)?;
        Ok(Self { shared, commands, thread: Some(thread) })
    }

    /// Opens a port of the host at run time; returns where, as chosen by the host for port 0.
    pub fn add_hostfwd(&self, rule: HostFwd) -> Result<SocketAddrV4, NetError> {
        self.ask(|answer| Command::Add(rule, answer))?
    }

    /// Closes a forwarded port; connections that came through it go on.
    pub fn remove_hostfwd(&self, transport: Transport, host: SocketAddrV4) -> Result<(), NetError> {
        self.ask(|answer| Command::Remove(transport, host, answer))?
    }

    /// The forwarded ports, with the addresses they really have.
    pub fn hostfwds(&self) -> Result<Vec<HostFwd>, NetError> {
        self.ask(Command::List)
    }

    fn ask<T>(&self, command: impl FnOnce(mpsc::Sender<T>) -> Command) -> Result<T, NetError> {
        let (sender, receiver) = mpsc::channel();
        self.commands.send(command(sender)).map_err(|_| NetError::Stopped)?;
        self.shared.wake();
        receiver.recv().map_err(|_| NetError::Stopped)
    }
}

impl Drop for UserNet {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl NetBackend for UserNet {
    fn offloads(&self) -> Offloads {
        Offloads { checksum: true, segmentation: true }
    }

    fn send(&self, frame: &[u8]) {
        if frame.len() > MAX_LARGE_FRAME {
            return;
        }
        let mut inbox = self.shared.inbox.lock();
        let first = inbox.lengths.is_empty();
        inbox.push(frame);
        drop(inbox);
        if first {
            self.shared.wake();
        }
    }

    fn attach(&self, guest: Arc<dyn FrameSink>) {
        *self.shared.guest.lock() = Some(guest);
        self.resume();
    }

    fn forget(&self) {
        self.shared.inbox.lock().clear();
        self.shared.forget.store(true, Ordering::Release);
        self.shared.wake();
    }

    fn resume(&self) {
        if !self.shared.resumed.swap(true, Ordering::AcqRel) {
            self.shared.wake();
        }
    }
}

/// The thread: frames in, host events, frames out.
fn run(mut nat: Nat, shared: &Shared, commands: &mpsc::Receiver<Command>) {
    let mut frames = Frames::default();
    let mut blocked = false;
    while !shared.stop.load(Ordering::Acquire) {
        let timeout = nat.deadline().map(|at| at.saturating_duration_since(Instant::now()));
        if let Err(error) = nat.wait(timeout) {
            tracing::error!("{error}");
            break;
        }
        if shared.forget.swap(false, Ordering::AcqRel) {
            nat.forget();
        }
        std::mem::swap(&mut *shared.inbox.lock(), &mut frames);
        nat.set_now(Instant::now());
        frames.each(|frame| nat.input(frame));
        frames.clear();
        nat.work(Instant::now());
        for command in commands.try_iter() {
            // Nobody waits for the answer any longer: the change is made all the same.
            match command {
                Command::Add(rule, answer) => drop(answer.send(nat.add_hostfwd(rule))),
                Command::Remove(transport, host, answer) => {
                    drop(answer.send(nat.remove_hostfwd(transport, host)))
                }
                Command::List(answer) => drop(answer.send(nat.hostfwds())),
            }
        }
        if shared.resumed.swap(false, Ordering::AcqRel) {
            blocked = false;
        }
        if !blocked {
            let guest = shared.guest.lock().clone();
            blocked = !deliver(&mut nat, guest.as_deref());
        }
    }
}

/// Hands the guest what there is; false when it has no buffers.
fn deliver(nat: &mut Nat, guest: Option<&dyn FrameSink>) -> bool {
    let Some(guest) = guest else {
        nat.discard_output();
        return true;
    };
    let mut delivered = false;
    let mut taken = true;
    while let Some(frame) = nat.output() {
        taken = guest.receive(frame);
        if !taken {
            break;
        }
        nat.delivered();
        delivered = true;
    }
    if delivered {
        guest.flush();
    }
    taken
}

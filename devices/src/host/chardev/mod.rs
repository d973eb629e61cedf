//! Character back ends: stdio, files, pipes, ptys, sockets, and the multiplexer with its escape key, as QEMU's
//! `-chardev` has them.
//!
//! [`CharBackend`] is what a device (a UART, a virtio console port) writes to, [`CharSink`] is what the back end
//! delivers input to. Neither knows the other by name. [`open`] makes a back end from a [`CharConfig`]; [`Mux`]
//! lets several devices share one.
//!
//! Every back end is a [`port::Port`]: bounded buffers, and one thread that waits in `poll(2)` for its few
//! descriptors. `poll` rather than `epoll`, because stdin may be a regular file, and because back pressure wants
//! level-triggered readiness; a thread each, because a connect or a terminal that blocks then delays nobody else.
//!
//! Left out: `udp`, `vc`, `ringbuf`, `spicevmc`, TLS and WebSocket on sockets.

mod config;
mod line;
mod mux;
mod open;
mod port;
mod pty;
mod screen;
mod socket;
mod stdio;
mod sys;
mod telnet;
mod terminal;
#[cfg(test)]
mod test_support;
mod worker;

pub use config::{CharConfig, CharError, CharKind, CharLog, SocketAddress, SocketConfig, SocketRole};
pub use mux::{ESCAPE, Mux};
pub use open::open;
pub use terminal::{RawMode, restore_terminal, terminal_size};

use std::path::PathBuf;
use std::sync::Arc;

/// What happened on the host's side of a character back end, apart from bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CharEvent {
    /// Somebody listens on the other side: a client connected, a terminal was opened.
    Opened,
    /// Nobody listens any longer.
    Closed,
    /// The line was held in the space state for longer than a character.
    Break,
    /// A short [`CharBackend::write`] can be tried again.
    Writable,
    /// A multiplexer gave the keyboard to this device, or took it away. A device that is not behind one has it
    /// all the time and is told nothing.
    Focus(bool),
}

/// Where a device's characters go.
pub trait CharBackend: Send + Sync {
    /// Takes bytes from the guest and returns how many; never blocks long. After a short count
    /// [`CharEvent::Writable`] follows once there is room. Where nobody listens, bytes are taken and lost.
    /// May be called with the device's locks held, so it must not call the sink back from inside.
    fn write(&self, bytes: &[u8]) -> usize;
    /// Names the device that gets the input; replaces an earlier one. The sink should hold its device weakly: the
    /// device owns the back end, and a back end is closed when its last owner drops it.
    fn attach(&self, guest: Arc<dyn CharSink>);
    /// The guest has room for input again. Must not call the sink back from inside.
    fn resume(&self);
    /// Hands everything that was taken on to the host, and waits for that within limits: it returns as soon as the
    /// other side takes nothing for a fifth of a second, and after two seconds in any case. Not for the device, and
    /// not from inside a sink or a multiplexer's `quit` (there it returns at once).
    fn flush(&self);
    /// The file of the host that others reach it by, where the host chose that: a pseudo terminal's.
    fn path(&self) -> Option<PathBuf> {
        None
    }
}

/// The device side of a character back end; called from the back end's thread, with none of its locks held.
pub trait CharSink: Send + Sync {
    /// How many bytes [`CharSink::receive`] takes now. At zero the back end waits for [`CharBackend::resume`].
    fn room(&self) -> usize;
    /// Delivers input; what exceeds [`CharSink::room`] is lost, as on a line without flow control.
    fn receive(&self, bytes: &[u8]);
    /// Reports what happened apart from bytes.
    fn event(&self, event: CharEvent);
}

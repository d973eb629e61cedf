//! Character back ends: stdio, files, ptys, sockets, and the multiplexer with its escape key.
//!
//! [`CharBackend`] is what a device (a UART, a virtio console port) writes to, [`CharSink`] is what the back end
//! delivers input to. Neither knows the other by name.

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
}

/// Where a device's characters go.
pub trait CharBackend: Send + Sync {
    /// Takes bytes from the guest and returns how many; never blocks long. After a short count
    /// [`CharEvent::Writable`] follows once there is room. Where nobody listens, bytes are taken and lost.
    /// May be called with the device's locks held, so it must not call the sink back from inside.
    fn write(&self, bytes: &[u8]) -> usize;
    /// Names the device that gets the input; replaces an earlier one.
    fn attach(&self, guest: Arc<dyn CharSink>);
    /// The guest has room for input again. Must not call the sink back from inside.
    fn resume(&self);
    /// Hands everything that was taken on to the host, as far as that is possible at once.
    fn flush(&self);
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

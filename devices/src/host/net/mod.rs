//! Network back ends: where a network device's Ethernet frames go to and come from.
//!
//! [`NetBackend`] is what a device (virtio-net) sends to, [`FrameSink`] is what the back end delivers to. Neither
//! knows the other by name. A frame is a whole Ethernet frame: destination, source, type and payload, without
//! preamble, check sequence or any virtio header.

use std::sync::Arc;

/// The largest frame a back end delivers or takes, in bytes: an MTU of 1500, the Ethernet header and a VLAN tag.
pub const MAX_FRAME: usize = 1518;

/// Where a device's frames go.
pub trait NetBackend: Send + Sync {
    /// Sends a frame from the guest; never blocks. A frame that is too long, or for which there is no room, is
    /// dropped, as a network does. May be called with the device's locks held: never calls the sink back from inside.
    fn send(&self, frame: &[u8]);
    /// Names the device that gets the frames; replaces an earlier one.
    fn attach(&self, guest: Arc<dyn FrameSink>);
    /// The guest has posted receive buffers again. Never calls the sink back from inside.
    fn resume(&self);
}

/// The device side of a network back end; called from the back end's thread, with none of its locks held.
pub trait FrameSink: Send + Sync {
    /// Delivers a frame. False when the guest has no buffer for it now: the back end keeps it, in a bounded queue,
    /// and tries again after [`NetBackend::resume`]. A frame that can never be delivered is taken and lost.
    fn receive(&self, frame: &[u8]) -> bool;
    /// Ends a batch of [`FrameSink::receive`]: the moment to interrupt the guest, once for all of them.
    fn flush(&self);
}

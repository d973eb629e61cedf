//! Network back ends: where a network device's Ethernet frames go to and come from.
//!
//! [`NetBackend`] is what a device (virtio-net) sends to, [`FrameSink`] is what the back end delivers to. Neither
//! knows the other by name. A frame is a whole Ethernet frame: destination, source, type and payload, without
//! preamble, check sequence or any virtio header.

pub mod tap;
pub mod user;

use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;

/// The largest frame a back end delivers, in bytes: an MTU of 1500, the Ethernet header and a VLAN tag.
pub const MAX_FRAME: usize = 1518;

/// The largest frame a back end takes when it does [`Offloads::segmentation`].
pub const MAX_LARGE_FRAME: usize = 14 + 65535;

/// Work that a back end takes off the guest's hands, for the device to offer as features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// TCP and UDP check sums: those of sent frames may be left unfinished (`VIRTIO_NET_F_CSUM`), those of delivered
    /// frames need no check (`VIRTIO_NET_F_GUEST_CSUM`, each frame marked `DATA_VALID`).
    pub checksum: bool,
    /// Sent frames may hold a TCP segment over IPv4 of any length up to [`MAX_LARGE_FRAME`]
    /// (`VIRTIO_NET_F_HOST_TSO4`).
    pub segmentation: bool,
}

/// Where a device's frames go.
pub trait NetBackend: Send + Sync {
    /// What the device may leave to this back end. Does not change.
    fn offloads(&self) -> Offloads {
        Offloads::default()
    }
    /// Sends a frame from the guest; never blocks. A frame that is too long, or for which there is no room, is
    /// dropped, as a network does. May be called with the device's locks held: never calls the sink back from inside.
    fn send(&self, frame: &[u8]);
    /// Names the device that gets the frames; replaces an earlier one.
    fn attach(&self, guest: Arc<dyn FrameSink>);
    /// The guest has posted receive buffers again. Never calls the sink back from inside.
    fn resume(&self);
    /// The guest is at another time than it was: what is known of its connections is of no use any more. A back end that keeps
    /// connections ends them on the host's side; when the guest goes on with one, it is told that there is none.
    fn forget(&self) {}
}

/// The device side of a network back end; called from the back end's thread, with none of its locks held.
pub trait FrameSink: Send + Sync {
    /// Delivers a frame. False when the guest has no buffer for it now: the back end keeps it, in a bounded queue,
    /// and tries again after [`NetBackend::resume`]. A frame that can never be delivered is taken and lost.
    fn receive(&self, frame: &[u8]) -> bool;
    /// Ends a batch of [`FrameSink::receive`]: the moment to interrupt the guest, once for all of them.
    fn flush(&self);
}

/// Why a network back end cannot be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// An option says something that cannot be.
    #[error("{option}: {why}")]
    Option {
        /// The option as it was given.
        option: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A forwarded port cannot be opened.
    #[error("hostfwd={rule}: cannot listen on that address of this machine: {source}")]
    Listen {
        /// The rule.
        rule: String,
        /// The host's reason.
        source: io::Error,
    },
    /// A forwarded port is to be closed that is not there.
    #[error("no hostfwd rule {transport}:{host} exists")]
    NoSuchForward {
        /// The transport that was named.
        transport: user::Transport,
        /// The host's address and port that were named.
        host: SocketAddrV4,
    },
    /// The host has no tap device to give.
    #[error("ifname={ifname}: {why}: {source}")]
    Tap {
        /// The interface that was asked for.
        ifname: String,
        /// What failed, and what helps.
        why: &'static str,
        /// The host's reason.
        source: io::Error,
    },
    /// The host has no event queue left, or it failed.
    #[error("user-mode network: the host's event queue failed: {0}")]
    Events(#[source] io::Error),
    /// The host can start no thread.
    #[error("network back end: cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// The thread of the back end has ended.
    #[error("user-mode network: stopped after an error")]
    Stopped,
}

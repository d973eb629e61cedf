//! What smoltcp talks through: IP packets from and to the [`Link`].

use crate::host::net::user::link::{Link, MTU};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant as NetInstant;

/// The wire as smoltcp sees it: IP packets, one in at a time, many out.
pub(super) struct Phy<'a> {
    pub(super) packet: Option<&'a [u8]>,
    pub(super) link: &'a mut Link,
    /// There was no room for a packet.
    pub(super) refused: bool,
}

/// What smoltcp has to know about the wire.
pub(super) struct Capabilities;

impl Capabilities {
    fn get() -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        // The header's was checked when the packet came in; the segment's never left this machine's memory, and a
        // guest may leave it unfinished.
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities
    }
}

impl Device for Capabilities {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Never;

    fn receive(&mut self, _: NetInstant) -> Option<(Received<'_>, Never)> {
        None
    }

    fn transmit(&mut self, _: NetInstant) -> Option<Never> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        Self::get()
    }
}

/// The token of a device that never sends.
pub(super) enum Never {}

impl TxToken for Never {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}

pub(super) struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

pub(super) struct Sent<'a>(&'a mut Link);

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        self.0.send_packet(len, write)
    }
}

impl Device for Phy<'_> {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Sent<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: NetInstant) -> Option<(Received<'_>, Sent<'_>)> {
        Some((Received(self.packet.take()?), Sent(self.link)))
    }

    fn transmit(&mut self, _: NetInstant) -> Option<Sent<'_>> {
        self.refused = !self.link.has_room();
        if self.refused { None } else { Some(Sent(self.link)) }
    }

    fn capabilities(&self) -> DeviceCapabilities {
        Capabilities::get()
    }
}

//! The guest's frames.

use arbitrary::Arbitrary;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4Packet, IpProtocol, Ipv4Packet, UdpPacket,
};
use std::net::Ipv4Addr;

pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
pub(super) const NAMES: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
pub(super) const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const MAC: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const GATEWAY_MAC: EthernetAddress = EthernetAddress([0x52, 0x55, 10, 0, 2, 2]);

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const DHCP_SERVER: u16 = 67;

/// An IP packet of the guest's.
#[derive(Arbitrary, Debug)]
pub(super) struct Packet<'a> {
    to: To,
    from: From,
    payload: Payload<'a>,
    /// Offset in units of 8 bytes, whether more follow, and the identifier.
    fragment: Option<(u8, bool, bool)>,
    /// Words of options.
    options: u8,
    /// Header and total length as they are not.
    lengths: Option<(u8, u16)>,
}

#[derive(Arbitrary, Debug)]
enum To {
    Gateway,
    Names,
    Network(u8),
    Everybody,
    Multicast(u8),
}

#[derive(Arbitrary, Debug)]
enum From {
    Guest,
    Nobody,
    Network(u8),
}

#[derive(Arbitrary, Debug)]
enum Payload<'a> {
    Any { protocol: u8, bytes: &'a [u8] },
    Udp { from: u16, to: u16, bytes: &'a [u8] },
    Query { id: u8, bytes: &'a [u8] },
    Dhcp { kind: u8, options: &'a [u8] },
    Echo { id: u8, bytes: &'a [u8] },
}

impl Payload<'_> {
    fn bytes(&self) -> (IpProtocol, Vec<u8>) {
        match *self {
            Self::Any { protocol, bytes } => (protocol.into(), bytes.to_vec()),
            Self::Udp { from, to, bytes } => (IpProtocol::Udp, udp(from, to, bytes)),
            Self::Query { id, bytes } => {
                let mut message = vec![0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
                message.extend(bytes);
                (IpProtocol::Udp, udp(5353, 53, &message))
            }
            Self::Dhcp { kind, options } => {
                let mut message = vec![0; 236];
                message[..4].copy_from_slice(&[1, 1, 6, 0]);
                message[28..34].copy_from_slice(&MAC.0);
                message.extend([99, 130, 83, 99, 53, 1, kind]);
                message.extend(options);
                (IpProtocol::Udp, udp(68, DHCP_SERVER, &message))
            }
            Self::Echo { id, bytes } => {
                let mut message = vec![8, 0, 0, 0, 0, id, 0, 1];
                message.extend(bytes);
                Icmpv4Packet::new_unchecked(&mut message[..]).fill_checksum();
                (IpProtocol::Icmp, message)
            }
        }
    }
}

fn udp(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 8 + data.len()];
    bytes[8..].copy_from_slice(data);
    let len = bytes.len() as u16;
    let mut packet = UdpPacket::new_unchecked(&mut bytes[..]);
    packet.set_src_port(from);
    packet.set_dst_port(to);
    packet.set_len(len);
    packet.set_checksum(0);
    bytes
}

impl Packet<'_> {
    /// The frame with the packet.
    pub(super) fn frame(&self) -> Vec<u8> {
        let to = match self.to {
            To::Gateway => GATEWAY,
            To::Names => NAMES,
            To::Network(n) => Ipv4Addr::new(10, 0, 2, n),
            To::Everybody => Ipv4Addr::BROADCAST,
            To::Multicast(n) => Ipv4Addr::new(224, 0, 0, n),
        };
        let (protocol, payload) = self.payload.bytes();
        let mut bytes = ipv4(protocol, to, &payload);
        let options = usize::from(self.options % 3) * 4;
        bytes.splice(IPV4..IPV4, vec![1; options]);
        let mut ip = Ipv4Packet::new_unchecked(&mut bytes[..]);
        ip.set_header_len((IPV4 + options) as u8);
        ip.set_total_len((IPV4 + options + payload.len()) as u16);
        match self.from {
            From::Guest => {}
            From::Nobody => ip.set_src_addr(Ipv4Addr::UNSPECIFIED),
            From::Network(n) => ip.set_src_addr(Ipv4Addr::new(10, 0, 2, n)),
        }
        if let Some((offset, more, id)) = self.fragment {
            ip.set_frag_offset(u16::from(offset) * 8);
            ip.set_more_frags(more);
            ip.set_ident(id.into());
        }
        if let Some((header, total)) = self.lengths {
            ip.set_header_len(header % 16 * 4);
            ip.set_total_len(total % 2048);
        }
        ethernet(0, &bytes)
    }
}

/// A packet from the guest.
pub(super) fn ipv4(protocol: IpProtocol, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; IPV4 + payload.len()];
    bytes[IPV4..].copy_from_slice(payload);
    let len = bytes.len() as u16;
    let mut ip = Ipv4Packet::new_unchecked(&mut bytes[..]);
    ip.set_version(4);
    ip.set_header_len(IPV4 as u8);
    ip.set_total_len(len);
    ip.set_hop_limit(64);
    ip.set_next_header(protocol);
    ip.set_src_addr(GUEST);
    ip.set_dst_addr(to);
    bytes
}

/// A frame from the guest; mostly IPv4, by `kind`.
pub(super) fn ethernet(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; ETHERNET + payload.len()];
    bytes[ETHERNET..].copy_from_slice(payload);
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(MAC);
    frame.set_dst_addr(if kind & 1 == 0 { GATEWAY_MAC } else { EthernetAddress::BROADCAST });
    frame.set_ethertype(match kind >> 1 & 7 {
        1 | 2 => EthernetProtocol::Arp,
        3 => EthernetProtocol::Ipv6,
        _ => EthernetProtocol::Ipv4,
    });
    bytes
}

/// Changes a frame so that what it asks for stays on the guest's network or goes to our own servers, and makes the
/// check sum of its IP header right.
///
/// A datagram in fragments has its ports in the first one, and the network takes no overlapping fragments.
pub(super) fn keep_inside(frame: &mut [u8], open: u16, closed: u16) {
    if frame.get(12..14) != Some(&[8, 0]) || frame.len() < ETHERNET + IPV4 {
        return;
    }
    let packet = &mut frame[ETHERNET..];
    let header = usize::from(packet[0] & 0xf) * 4;
    let fragment_offset = u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff;
    let protocol = packet[9];
    let to = Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]);
    if !(to.is_broadcast() || to.is_multicast()) {
        packet[16..19].copy_from_slice(&[10, 0, 2]);
    }
    if header < IPV4 {
        // Where its ports are is a matter of opinion: it goes to nobody.
        packet[19] = 99;
    } else if packet[16..20] == GATEWAY.octets() && matches!(protocol, 6 | 17) && fragment_offset == 0 {
        match packet.get_mut(header + 2..header + 4) {
            Some(port) => {
                let wanted = u16::from_be_bytes([port[0], port[1]]);
                let to_dhcp = protocol == 17 && wanted == DHCP_SERVER;
                let given = if protocol == 6 && wanted & 1 != 0 { closed } else { open };
                if !to_dhcp {
                    port.copy_from_slice(&given.to_be_bytes());
                }
            }
            None => packet[19] = 99,
        }
    }
    if let Some(header) = packet.get_mut(..header.max(IPV4)) {
        // The sum over a right header is zero.
        header[10..12].fill(0);
        Ipv4Packet::new_unchecked(header).fill_checksum();
    }
}

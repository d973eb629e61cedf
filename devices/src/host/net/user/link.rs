//! The wire to the guest: Ethernet, ARP (RFC 826), IPv4 (RFC 791), and the frames that wait for the guest.
//!
//! One MAC address stands for every address of the network that no guest uses. What is known about the guests is
//! learnt from what they send.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4DstUnreachable,
    Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket,
};
use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};

use super::config::Subnet;

/// The largest IP packet on the wire, in bytes.
pub(super) const MTU: usize = 1500;
/// Bytes of an Ethernet header.
pub(super) const ETHERNET: usize = 14;
/// Bytes of an IPv4 header without options.
const IPV4: usize = 20;
/// Bytes of an ICMP or UDP header.
const ICMP: usize = 8;
const UDP: usize = 8;

/// Frames that wait for the guest, at most.
const QUEUE: usize = 1024;
/// Places of [`QUEUE`] that only answers may use: TCP data and datagrams stop before them.
const RESERVE: usize = 64;
/// Frame buffers that are kept for the next frame.
const SPARE: usize = 256;
/// Guests' addresses that are remembered.
const NEIGHBOURS: usize = 256;
/// Packets that wait until it is known who has their address.
const UNRESOLVED: usize = 32;

/// The wire to the guest.
pub(super) struct Link {
    mac: EthernetAddress,
    net: Subnet,
    /// The gateway's address and the name server's: never a guest's.
    ours: [Ipv4Addr; 2],
    queue: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    neighbours: HashMap<Ipv4Addr, EthernetAddress>,
    unresolved: VecDeque<(Ipv4Addr, Vec<u8>)>,
    ident: u16,
    /// Where a packet is put together that must be fragmented.
    assembly: Vec<u8>,
}

impl Link {
    pub(super) fn new(net: Subnet, host: Ipv4Addr, dns: Ipv4Addr) -> Self {
        let [a, b, c, d] = host.octets();
        Self {
            mac: EthernetAddress([0x52, 0x55, a, b, c, d]),
            net,
            ours: [host, dns],
            queue: VecDeque::new(),
            spare: Vec::new(),
            neighbours: HashMap::new(),
            unresolved: VecDeque::new(),
            ident: 0,
            assembly: Vec::new(),
        }
    }

    /// Whether bulk data may be queued; answers always may, until the queue is full.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < QUEUE - RESERVE
    }

    /// The next frame for the guest.
    pub(super) fn front(&self) -> Option<&[u8]> {
        self.queue.front().map(Vec::as_slice)
    }

    /// Drops the frame that [`Link::front`] showed.
    pub(super) fn pop(&mut self) {
        if let Some(frame) = self.queue.pop_front() {
            self.recycle(frame);
        }
    }

    /// Forgets what waits for the guest.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.unresolved.clear();
    }

    fn recycle(&mut self, frame: Vec<u8>) {
        if self.spare.len() < SPARE && frame.capacity() <= ETHERNET + MTU {
            self.spare.push(frame);
        }
    }

    /// A frame with room for `len` bytes after its header, from us to `to`.
    fn frame(&mut self, to: EthernetAddress, protocol: EthernetProtocol, len: usize) -> Vec<u8> {
        let mut bytes = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(ETHERNET + MTU));
        bytes.resize(ETHERNET + len, 0);
        let mut frame = EthernetFrame::new_unchecked(&mut bytes);
        frame.set_src_addr(self.mac);
        frame.set_dst_addr(to);
        frame.set_ethertype(protocol);
        bytes
    }

    fn push(&mut self, frame: Vec<u8>) {
        if self.queue.len() < QUEUE {
            self.queue.push_back(frame);
        } else {
            self.recycle(frame);
        }
    }

    /// Whether a frame to `mac` is for us.
    pub(super) fn accepts(&self, mac: EthernetAddress) -> bool {
        mac == self.mac || mac.is_broadcast() || mac.is_multicast()
    }

    /// Remembers that the guest behind `mac` uses `address`, and sends what waited for that.
    pub(super) fn learn(&mut self, address: Ipv4Addr, mac: EthernetAddress) {
        if !self.net.is_host(address) || self.ours.contains(&address) || !mac.is_unicast() {
            return;
        }
        if self.neighbours.get(&address) == Some(&mac) {
            return;
        }
        if self.neighbours.len() >= NEIGHBOURS {
            // Only a guest that makes addresses up comes here. Those in use are learnt again with their next packet.
            self.neighbours.clear();
        }
        self.neighbours.insert(address, mac);
        for _ in 0..self.unresolved.len() {
            let Some((to, mut frame)) = self.unresolved.pop_front() else { break };
            if to == address {
                EthernetFrame::new_unchecked(&mut frame).set_dst_addr(mac);
                self.push(frame);
            } else {
                self.unresolved.push_back((to, frame));
            }
        }
    }

    /// Answers a guest's ARP request: everything on the network that is not a guest is here.
    pub(super) fn arp(&mut self, payload: &[u8]) {
        let Ok(Ok(ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: mac,
            source_protocol_addr: source,
            target_protocol_addr: target,
            ..
        })) = ArpPacket::new_checked(payload).map(|packet| ArpRepr::parse(&packet))
        else {
            return;
        };
        // A request from 0.0.0.0 probes for a duplicate (RFC 5227): only our own addresses are taken.
        let probe = source.is_unspecified();
        if !probe {
            self.learn(source, mac);
        }
        let taken = self.ours.contains(&target);
        let answered = taken
            || (!probe
                && source != target
                && self.net.is_host(target)
                && !self.neighbours.contains_key(&target));
        if operation == ArpOperation::Request && answered && mac.is_unicast() {
            self.send_arp(ArpOperation::Reply, target, mac, source);
        }
    }

    fn send_arp(&mut self, operation: ArpOperation, ours: Ipv4Addr, mac: EthernetAddress, theirs: Ipv4Addr) {
        let repr = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: self.mac,
            source_protocol_addr: ours,
            target_hardware_addr: mac,
            target_protocol_addr: theirs,
        };
        let mut frame = self.frame(mac, EthernetProtocol::Arp, repr.buffer_len());
        repr.emit(&mut ArpPacket::new_unchecked(&mut frame[ETHERNET..]));
        self.push(frame);
    }

    /// Queues an IP packet of `len` bytes, at most [`MTU`], that `write` puts together.
    pub(super) fn send_packet<R>(&mut self, len: usize, write: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut frame = self.frame(EthernetAddress::BROADCAST, EthernetProtocol::Ipv4, len);
        let result = write(&mut frame[ETHERNET..]);
        let to = Ipv4Packet::new_unchecked(&frame[ETHERNET..]).dst_addr();
        if let Some(mac) = self.neighbours.get(&to) {
            EthernetFrame::new_unchecked(&mut frame).set_dst_addr(*mac);
            self.push(frame);
        } else if to.is_broadcast() {
            self.push(frame);
        } else {
            if self.unresolved.len() >= UNRESOLVED {
                self.unresolved.pop_front();
            }
            self.unresolved.push_back((to, frame));
            self.send_arp(ArpOperation::Request, self.ours[0], EthernetAddress::BROADCAST, to);
        }
        result
    }

    /// Sends an IP payload of `len` bytes that `write` puts together, in fragments when it is too long for one packet.
    fn send_ip(
        &mut self,
        from: Ipv4Addr,
        to: Ipv4Addr,
        next: IpProtocol,
        payload: (usize, impl FnOnce(&mut [u8])),
    ) {
        let (len, write) = payload;
        self.ident = self.ident.wrapping_add(1);
        let header = |packet: &mut [u8], ident: u16, offset: usize, more: bool| {
            let len = packet.len() as u16;
            let mut ip = Ipv4Packet::new_unchecked(packet);
            ip.set_version(4);
            ip.set_header_len(IPV4 as u8);
            ip.set_dscp(0);
            ip.set_ecn(0);
            ip.set_total_len(len);
            ip.set_ident(ident);
            ip.clear_flags();
            ip.set_more_frags(more);
            ip.set_frag_offset(offset as u16);
            ip.set_hop_limit(64);
            ip.set_next_header(next);
            ip.set_src_addr(from);
            ip.set_dst_addr(to);
            ip.fill_checksum();
        };
        let ident = self.ident;
        if IPV4 + len <= MTU {
            self.send_packet(IPV4 + len, |packet| {
                header(packet, ident, 0, false);
                write(&mut packet[IPV4..]);
            });
            return;
        }
        let mut whole = std::mem::take(&mut self.assembly);
        whole.resize(len, 0);
        write(&mut whole);
        // A fragment's length is a multiple of eight.
        let step = (MTU - IPV4) & !7;
        for (n, part) in whole.chunks(step).enumerate() {
            self.send_packet(IPV4 + part.len(), |packet| {
                header(packet, ident, n * step, n * step + part.len() < len);
                packet[IPV4..].copy_from_slice(part);
            });
        }
        self.assembly = whole;
    }

    /// Sends a UDP datagram; one that is too long for IPv4 is dropped.
    pub(super) fn send_udp(&mut self, from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) {
        let len = UDP + data.len();
        if IPV4 + len > usize::from(u16::MAX) {
            return;
        }
        let write = |bytes: &mut [u8]| {
            let mut udp = UdpPacket::new_unchecked(bytes);
            udp.set_src_port(from.port());
            udp.set_dst_port(to.port());
            udp.set_len(len as u16);
            udp.payload_mut().copy_from_slice(data);
            udp.fill_checksum(&(*from.ip()).into(), &(*to.ip()).into());
        };
        self.send_ip(*from.ip(), *to.ip(), IpProtocol::Udp, (len, write));
    }

    /// Sends an echo reply (RFC 792).
    pub(super) fn send_echo_reply(
        &mut self,
        from: Ipv4Addr,
        to: Ipv4Addr,
        (ident, seq): (u16, u16),
        data: &[u8],
    ) {
        if IPV4 + ICMP + data.len() <= usize::from(u16::MAX) {
            self.send_icmp(from, to, &Icmpv4Repr::EchoReply { ident, seq_no: seq, data });
        }
    }

    fn send_icmp(&mut self, from: Ipv4Addr, to: Ipv4Addr, repr: &Icmpv4Repr<'_>) {
        let write = |bytes: &mut [u8]| {
            repr.emit(&mut Icmpv4Packet::new_unchecked(bytes), &ChecksumCapabilities::default());
        };
        self.send_ip(from, to, IpProtocol::Icmp, (repr.buffer_len(), write));
    }

    /// Tells the sender of the IP packet that starts with `offender` that it did not arrive.
    pub(super) fn send_unreachable(&mut self, offender: &[u8], reason: Icmpv4DstUnreachable) {
        let Ok(packet) = Ipv4Packet::new_checked(offender) else { return };
        let header = Ipv4Repr {
            src_addr: packet.src_addr(),
            dst_addr: packet.dst_addr(),
            next_header: packet.next_header(),
            payload_len: packet.payload().len(),
            hop_limit: packet.hop_limit(),
        };
        let data = &packet.payload()[..packet.payload().len().min(8)];
        let repr = Icmpv4Repr::DstUnreachable { reason, header, data };
        self.send_icmp(packet.dst_addr(), packet.src_addr(), &repr);
    }

    /// Sends a UDP datagram to a guest that may have no address yet.
    pub(super) fn send_udp_to_mac(
        &mut self,
        mac: EthernetAddress,
        from: SocketAddrV4,
        to: SocketAddrV4,
        data: &[u8],
    ) {
        let before = self.neighbours.insert(*to.ip(), mac);
        self.send_udp(from, to, data);
        match before {
            Some(before) => self.neighbours.insert(*to.ip(), before),
            None => self.neighbours.remove(to.ip()),
        };
    }
}

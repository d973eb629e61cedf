//! The translator itself: frames in, frames out, host sockets in between; no thread and no clock of its own.

use super::config::{HostFwd, Transport, UserNetConfig};
use super::datagram::Datagrams;
use super::dhcp::Dhcp;
use super::dns::{self, Dns, Upstream};
use super::fragment::Reassembly;
use super::link::Link;
use super::tcp::Tcp;
use crate::host::net::NetError;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use smoltcp::wire::{
    DHCP_SERVER_PORT, EthernetFrame, EthernetProtocol, Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet,
    IpProtocol, Ipv4Packet, UdpPacket,
};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

/// Host events that are taken at a time.
const EVENTS: usize = 256;

/// Who a token belongs to; its two low bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Waker = 0,
    Tcp = 1,
    Datagram = 2,
    Dns = 3,
}

/// Why a packet goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No such host could ever be meant; nobody is told.
    Silent,
    /// There is nothing on that port of a virtual host.
    NoService,
    /// The sender is told.
    Unreachable(Icmpv4DstUnreachable),
}

/// What the protocols share: the guest's side, the host's side, and the plan.
pub(super) struct Wire {
    pub(super) config: UserNetConfig,
    pub(super) link: Link,
    pub(super) registry: Registry,
    pub(super) upstream: Upstream,
    /// The time of this round.
    pub(super) now: Instant,
    tokens: usize,
}

impl Wire {
    /// A token that was never used before.
    pub(super) fn token(&mut self, owner: Owner) -> Token {
        self.tokens += 1;
        Token(self.tokens << 2 | owner as usize)
    }

    /// Where on the host's side a guest's `to` is.
    pub(super) fn route(&mut self, to: SocketAddrV4) -> Result<SocketAddr, Refusal> {
        let ip = *to.ip();
        if ip.is_multicast() || ip.is_loopback() || ip.octets()[0] == 0 || ip.octets()[0] >= 240 {
            return Err(Refusal::Silent);
        }
        if ip == self.config.net.address() || ip == self.config.net.broadcast() {
            return Err(Refusal::Silent);
        }
        if self.config.restrict {
            return Err(Refusal::Unreachable(Icmpv4DstUnreachable::CommProhibited));
        }
        if ip == self.config.host {
            Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), to.port()))
        } else if ip == self.config.dns {
            let server = if to.port() == dns::PORT { self.upstream.get(self.now) } else { None };
            server.ok_or(Refusal::NoService)
        } else if self.config.net.contains(ip) {
            Err(Refusal::Unreachable(Icmpv4DstUnreachable::HostUnreachable))
        } else {
            Ok(to.into())
        }
    }

    /// How the guest sees a host's address.
    pub(super) fn seen_as(&self, peer: SocketAddr) -> SocketAddrV4 {
        let ip = match peer {
            SocketAddr::V4(v4) if !v4.ip().is_loopback() && !self.config.net.contains(*v4.ip()) => *v4.ip(),
            _ => self.config.host,
        };
        SocketAddrV4::new(ip, peer.port())
    }

    /// The rule with the guest's address filled in.
    fn complete(&self, rule: HostFwd) -> HostFwd {
        if !rule.guest.ip().is_unspecified() {
            return rule;
        }
        HostFwd { guest: SocketAddrV4::new(self.config.dhcp_start, rule.guest.port()), ..rule }
    }
}

/// The user-mode network, to be driven by its owner: [`Nat::input`] each frame the guest sent, [`Nat::poll`], then
/// deliver what [`Nat::output`] shows.
pub struct Nat {
    wire: Wire,
    tcp: Tcp,
    datagrams: Datagrams,
    dns: Dns,
    dhcp: Dhcp,
    reassembly: Reassembly,
    poll: Poll,
    events: Events,
}

impl Nat {
    /// Sets the network up and opens the forwarded ports.
    pub fn new(config: UserNetConfig) -> Result<Self, NetError> {
        config.check()?;
        let poll = Poll::new().map_err(NetError::Events)?;
        let registry = poll.registry().try_clone().map_err(NetError::Events)?;
        let rules = config.hostfwd.clone();
        let now = Instant::now();
        let mut nat = Self {
            tcp: Tcp::new(now, config.host),
            datagrams: Datagrams::default(),
            dns: Dns::default(),
            dhcp: Dhcp::default(),
            reassembly: Reassembly::default(),
            wire: Wire {
                link: Link::new(config.net, config.host, config.dns),
                upstream: Upstream::new(config.upstream_dns),
                registry,
                now,
                tokens: 0,
                config,
            },
            poll,
            events: Events::with_capacity(EVENTS),
        };
        for rule in rules {
            nat.add_hostfwd(rule)?;
        }
        Ok(nat)
    }

    /// A waker that ends a [`Nat::wait`] from another thread.
    pub(super) fn waker(&self) -> Result<Waker, NetError> {
        Waker::new(&self.wire.registry, Token(Owner::Waker as usize)).map_err(NetError::Events)
    }

    /// Opens a port of the host; the answer tells its address, as chosen by the host for port 0.
    pub fn add_hostfwd(&mut self, rule: HostFwd) -> Result<SocketAddrV4, NetError> {
        let rule = self.wire.complete(rule);
        if !self.wire.config.net.is_host(*rule.guest.ip()) {
            return Err(NetError::Option {
                option: format!("hostfwd={rule}"),
                why: "the guest address is not a host address of the network in net=",
            });
        }
        match rule.transport {
            Transport::Tcp => self.tcp.listen(&mut self.wire, rule),
            Transport::Udp => self.datagrams.listen(&mut self.wire, rule),
        }
        .map_err(|source| NetError::Listen { rule: rule.to_string(), source })
    }

    /// Closes a forwarded port; connections that came through it go on.
    pub fn remove_hostfwd(&mut self, transport: Transport, host: SocketAddrV4) -> Result<(), NetError> {
        let found = match transport {
            Transport::Tcp => self.tcp.unlisten(host),
            Transport::Udp => self.datagrams.unlisten(host),
        };
        if found { Ok(()) } else { Err(NetError::NoSuchForward { transport, host }) }
    }

    /// The open forwarded ports.
    pub fn hostfwds(&self) -> Vec<HostFwd> {
        self.tcp.rules().chain(self.datagrams.rules()).collect()
    }

    /// Takes a frame from the guest, which may hold anything.
    pub fn input(&mut self, frame: &[u8]) {
        let Ok(frame) = EthernetFrame::new_checked(frame) else { return };
        if !self.wire.link.accepts(frame.dst_addr()) {
            return;
        }
        match frame.ethertype() {
            EthernetProtocol::Arp => self.wire.link.arp(frame.payload()),
            EthernetProtocol::Ipv4 => {
                let Ok(packet) = Ipv4Packet::new_checked(frame.payload()) else { return };
                let source = packet.src_addr();
                if packet.version() != 4 || !packet.verify_checksum() || source == self.wire.config.host {
                    return;
                }
                if !source.is_unspecified() {
                    if !self.wire.config.net.is_host(source) {
                        return;
                    }
                    self.wire.link.learn(source, frame.src_addr());
                }
                if packet.more_frags() || packet.frag_offset() != 0 {
                    if let Some(whole) = self.reassembly.add(&packet, self.wire.now) {
                        self.packet(&whole);
                    }
                } else {
                    // Short frames are padded: the packet ends before the frame does.
                    self.packet(&frame.payload()[..usize::from(packet.total_len())]);
                }
            }
            _ => {}
        }
    }

    /// Takes a whole IP packet, whose header was checked.
    fn packet(&mut self, bytes: &[u8]) {
        let packet = Ipv4Packet::new_unchecked(bytes);
        let (source, to) = (packet.src_addr(), packet.dst_addr());
        match packet.next_header() {
            IpProtocol::Udp => {
                let Ok(udp) = UdpPacket::new_checked(packet.payload()) else { return };
                let to = SocketAddrV4::new(to, udp.dst_port());
                if to.port() == DHCP_SERVER_PORT
                    && (to.ip().is_broadcast() || *to.ip() == self.wire.config.host)
                {
                    self.dhcp.input(udp.payload(), &self.wire.config, &mut self.wire.link);
                    return;
                }
                if source.is_unspecified() || udp.src_port() == 0 {
                    return;
                }
                let guest = SocketAddrV4::new(source, udp.src_port());
                if to == SocketAddrV4::new(self.wire.config.dns, dns::PORT) && !self.wire.config.restrict {
                    self.dns.input(&mut self.wire, guest, udp.payload());
                } else {
                    self.datagrams.udp(&mut self.wire, bytes, (guest, to), udp.payload());
                }
            }
            _ if source.is_unspecified() => {}
            IpProtocol::Tcp => self.tcp.input(&mut self.wire, bytes),
            IpProtocol::Icmp => self.icmp(bytes, (source, to), packet.payload()),
            _ => self.wire.link.send_unreachable(bytes, Icmpv4DstUnreachable::ProtoUnreachable),
        }
    }

    fn icmp(&mut self, bytes: &[u8], (source, to): (Ipv4Addr, Ipv4Addr), message: &[u8]) {
        let Ok(icmp) = Icmpv4Packet::new_checked(message) else { return };
        if icmp.msg_type() != Icmpv4Message::EchoRequest || !icmp.verify_checksum() {
            return;
        }
        if to == self.wire.config.host || (to == self.wire.config.dns && !self.wire.config.restrict) {
            self.wire.link.send_echo_reply(to, source, (icmp.echo_ident(), icmp.echo_seq_no()), icmp.data());
        } else {
            self.datagrams.echo(&mut self.wire, bytes, (source, to), message);
        }
    }

    /// Does what the host's sockets, the clock and the frames that came in ask for. Never blocks.
    pub fn poll(&mut self, now: Instant) -> Result<(), NetError> {
        self.wait(Some(Duration::ZERO))?;
        self.work(now);
        Ok(())
    }

    /// Waits until there is something to do on the host's side, for `timeout` at most.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> Result<(), NetError> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => Err(NetError::Events(error)),
            _ => Ok(()),
        }
    }

    /// Sets the time for what [`Nat::input`] starts.
    pub(super) fn set_now(&mut self, now: Instant) {
        self.wire.now = now;
    }

    /// Handles the events that [`Nat::wait`] brought, and what has become due.
    pub(super) fn work(&mut self, now: Instant) {
        let Self { wire, tcp, datagrams, dns, .. } = self;
        wire.now = now;
        for event in &self.events {
            let token = event.token();
            match token.0 & 3 {
                owner if owner == Owner::Tcp as usize => tcp.ready(wire, event),
                owner if owner == Owner::Datagram as usize => datagrams.ready(token),
                owner if owner == Owner::Dns as usize => dns.ready(wire, token),
                _ => {}
            }
        }
        tcp.work(wire);
        datagrams.work(wire);
        dns.expire(wire);
    }

    /// When [`Nat::poll`] should be called again even if nothing happens; `now` or before means at once.
    pub fn deadline(&self) -> Option<Instant> {
        let busy = self.wire.link.has_room() && (self.tcp.is_busy() || self.datagrams.is_busy());
        let at_once = busy.then_some(self.wire.now);
        [at_once, self.tcp.deadline(), self.datagrams.deadline(), self.dns.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next frame for the guest.
    pub fn output(&self) -> Option<&[u8]> {
        self.wire.link.front()
    }

    /// The frame that [`Nat::output`] showed was delivered.
    pub fn delivered(&mut self) {
        self.wire.link.pop();
    }

    /// Ends all connections; the guest is not told until it goes on with one.
    pub fn forget(&mut self) {
        self.tcp.forget();
        self.datagrams.forget();
        self.reassembly = Reassembly::default();
        self.discard_output();
    }

    /// Forgets the frames for a guest that is no longer there.
    pub(super) fn discard_output(&mut self) {
        self.wire.link.clear();
    }
}

impl Wire {
    /// Registers a socket that is read and written.
    pub(super) fn watch(
        &self,
        source: &mut impl mio::event::Source,
        token: Token,
        interest: Interest,
    ) -> std::io::Result<()> {
        self.registry.register(source, token, interest)
    }
}

//! UDP and echo requests: one host socket for each pair of guest and remote endpoint.
//!
//! A host socket is connected to its peer, so that only the peer's datagrams come back, and the host's errors
//! ("port unreachable") reach the guest. Echo requests use Linux's unprivileged ping sockets.

use super::config::HostFwd;
use super::nat::{Owner, Refusal, Wire};
use mio::net::UdpSocket;
use mio::{Interest, Token};
use smoltcp::wire::{Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, Ipv4Packet};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

/// Flows there can be at once; a new one then takes the place of the one idle for longest.
const FLOWS: usize = 256;
/// How long a flow is kept without traffic (RFC 4787, REQ-5, asks for two minutes or more).
const IDLE: Duration = Duration::from_secs(150);
/// The same for echo requests.
const ECHO_IDLE: Duration = Duration::from_secs(30);
/// Datagrams read from one socket before the next socket has its turn.
const BATCH: usize = 64;
/// The largest UDP payload, and an ICMP header.
const DATAGRAM: usize = 65515;
/// What is kept of a flow's first packet, for errors: its header and this many bytes of payload.
const OFFENDER: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Udp,
    /// The guest's port is the identifier, the remote one is zero.
    Echo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    guest: SocketAddrV4,
    /// As the guest names it.
    remote: SocketAddrV4,
}

/// How a flow's datagrams leave.
enum Way {
    /// Through its own socket.
    Socket(UdpSocket),
    /// Through a forwarded port, to the peer that sent the first datagram.
    Forward(Token, SocketAddr),
}

struct Flow {
    key: Key,
    way: Way,
    /// The start of the packet that errors are about.
    offender: Vec<u8>,
    last: Instant,
}

/// All flows, and the forwarded UDP ports.
#[derive(Default)]
pub(super) struct Datagrams {
    flows: HashMap<Token, Flow>,
    by_key: HashMap<Key, Token>,
    forwards: HashMap<Token, (HostFwd, UdpSocket)>,
    /// Sockets that may have datagrams.
    readable: VecDeque<Token>,
    sweep: Option<Instant>,
    buffer: Vec<u8>,
}

impl Datagrams {
    /// Ends all flows; the forwarded ports stay.
    pub(super) fn forget(&mut self) {
        self.flows.clear();
        self.by_key.clear();
        self.readable.clear();
    }

    /// Opens a forwarded port.
    pub(super) fn listen(&mut self, wire: &mut Wire, rule: HostFwd) -> io::Result<SocketAddrV4> {
        let mut socket = UdpSocket::bind(rule.host.into())?;
        let port = socket.local_addr()?.port();
        let token = wire.token(Owner::Datagram);
        wire.watch(&mut socket, token, Interest::READABLE)?;
        let host = SocketAddrV4::new(*rule.host.ip(), port);
        self.forwards.insert(token, (HostFwd { host, ..rule }, socket));
        Ok(host)
    }

    /// Closes a forwarded port; false when there is none.
    pub(super) fn unlisten(&mut self, host: SocketAddrV4) -> bool {
        let Some(token) =
            self.forwards.iter().find(|(_, (rule, _))| rule.host == host).map(|(token, _)| *token)
        else {
            return false;
        };
        self.forwards.remove(&token);
        let gone: Vec<Token> = self
            .flows
            .iter()
            .filter(|(_, flow)| matches!(flow.way, Way::Forward(through, _) if through == token))
            .map(|(token, _)| *token)
            .collect();
        gone.into_iter().for_each(|token| self.remove(token));
        true
    }

    /// The forwarded ports.
    pub(super) fn rules(&self) -> impl Iterator<Item = HostFwd> {
        self.forwards.values().map(|(rule, _)| *rule)
    }

    /// Takes a guest's UDP datagram; `packet` is the IP packet it came in.
    pub(super) fn udp(
        &mut self,
        wire: &mut Wire,
        packet: &[u8],
        (guest, remote): (SocketAddrV4, SocketAddrV4),
        data: &[u8],
    ) {
        let key = Key { kind: Kind::Udp, guest, remote };
        let opened = self.flow(wire, key, packet, |to| {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0).into()).and_then(|socket| {
                socket.connect(to)?;
                Ok(socket)
            })
        });
        if let Some(token) = opened {
            self.send(wire, token, data);
        }
    }

    /// Takes a guest's echo request; `packet` is the IP packet it came in.
    pub(super) fn echo(
        &mut self,
        wire: &mut Wire,
        packet: &[u8],
        (guest, to): (Ipv4Addr, Ipv4Addr),
        message: &[u8],
    ) {
        let ident = Icmpv4Packet::new_unchecked(message).echo_ident();
        let (guest, remote) = (SocketAddrV4::new(guest, ident), SocketAddrV4::new(to, 0));
        let key = Key { kind: Kind::Echo, guest, remote };
        let opened = self.flow(wire, key, packet, |to| {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), Some(Protocol::ICMPV4))?;
            socket.connect(&to.into())?;
            Ok(UdpSocket::from_std(socket.into()))
        });
        if let Some(token) = opened {
            self.send(wire, token, message);
        }
    }

    /// Finds or opens the flow; the guest is told when that cannot be done.
    fn flow(
        &mut self,
        wire: &mut Wire,
        key: Key,
        packet: &[u8],
        open: impl FnOnce(SocketAddr) -> io::Result<UdpSocket>,
    ) -> Option<Token> {
        if let Some(token) = self.by_key.get(&key) {
            return Some(*token);
        }
        let reason = match wire.route(key.remote) {
            Ok(to) => match open(to).and_then(|mut socket| {
                let token = wire.token(Owner::Datagram);
                wire.watch(&mut socket, token, Interest::READABLE)?;
                Ok((token, socket))
            }) {
                Ok((token, socket)) => {
                    self.insert(wire, token, key, Way::Socket(socket), offender(packet));
                    return Some(token);
                }
                Err(error) => unreachable(&error),
            },
            Err(Refusal::Silent) => return None,
            Err(Refusal::NoService) => Icmpv4DstUnreachable::PortUnreachable,
            Err(Refusal::Unreachable(reason)) => reason,
        };
        wire.link.send_unreachable(packet, reason);
        None
    }

    fn insert(&mut self, wire: &Wire, token: Token, key: Key, way: Way, offender: Vec<u8>) {
        if self.flows.len() >= FLOWS {
            let oldest = self.flows.iter().min_by_key(|(_, flow)| flow.last).map(|(token, _)| *token);
            oldest.into_iter().for_each(|token| self.remove(token));
        }
        self.by_key.insert(key, token);
        self.flows.insert(token, Flow { key, way, offender, last: wire.now });
        self.sweep.get_or_insert(wire.now + ECHO_IDLE);
    }

    fn remove(&mut self, token: Token) {
        if let Some(flow) = self.flows.remove(&token) {
            self.by_key.remove(&flow.key);
        }
    }

    fn send(&mut self, wire: &mut Wire, token: Token, data: &[u8]) {
        let Some(flow) = self.flows.get_mut(&token) else { return };
        flow.last = wire.now;
        let sent = match &flow.way {
            Way::Socket(socket) => socket.send(data),
            Way::Forward(through, peer) => match self.forwards.get(through) {
                Some((_, socket)) => socket.send_to(data, *peer),
                None => return,
            },
        };
        if let Err(error) = sent {
            report(wire, flow, &error);
        }
    }

    /// A socket has datagrams.
    pub(super) fn ready(&mut self, token: Token) {
        if !self.readable.contains(&token) {
            self.readable.push_back(token);
        }
    }

    /// Whether there are sockets to be read.
    pub(super) fn is_busy(&self) -> bool {
        !self.readable.is_empty()
    }

    /// When [`Datagrams::work`] has something to do even if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.sweep
    }

    /// Delivers what has come, as far as there is room, and drops flows that are idle.
    pub(super) fn work(&mut self, wire: &mut Wire) {
        for _ in 0..self.readable.len() {
            let Some(token) = self.readable.pop_front() else { break };
            if self.read(wire, token) {
                self.readable.push_back(token);
            }
        }
        if self.sweep.is_some_and(|at| at <= wire.now) {
            let idle = |flow: &Flow| {
                let limit = if flow.key.kind == Kind::Echo { ECHO_IDLE } else { IDLE };
                wire.now.saturating_duration_since(flow.last) >= limit
            };
            let gone: Vec<Token> =
                self.flows.iter().filter(|(_, flow)| idle(flow)).map(|(token, _)| *token).collect();
            gone.into_iter().for_each(|token| self.remove(token));
            self.sweep = (!self.flows.is_empty()).then(|| wire.now + ECHO_IDLE);
        }
    }

    /// Reads a socket; true when there may be more.
    fn read(&mut self, wire: &mut Wire, token: Token) -> bool {
        self.buffer.resize(DATAGRAM, 0);
        for _ in 0..BATCH {
            if !wire.link.has_room() {
                return true;
            }
            let error = if let Some(flow) = self.flows.get_mut(&token) {
                let Way::Socket(socket) = &flow.way else { return false };
                match socket.recv(&mut self.buffer) {
                    Ok(len) => {
                        flow.last = wire.now;
                        deliver(wire, &flow.key, &self.buffer[..len]);
                        continue;
                    }
                    Err(error) => error,
                }
            } else if let Some((rule, socket)) = self.forwards.get(&token) {
                match socket.recv_from(&mut self.buffer) {
                    Ok((len, peer)) => {
                        let key = Key { kind: Kind::Udp, guest: rule.guest, remote: wire.seen_as(peer) };
                        self.forwarded(wire, key, (token, peer));
                        deliver(wire, &key, &self.buffer[..len]);
                        continue;
                    }
                    Err(error) => error,
                }
            } else {
                return false;
            };
            match error.kind() {
                ErrorKind::WouldBlock => return false,
                ErrorKind::Interrupted => {}
                _ => {
                    if let Some(flow) = self.flows.get(&token) {
                        report(wire, flow, &error);
                    }
                }
            }
        }
        true
    }

    /// Makes sure that answers to a datagram that came through a forwarded port find their way back.
    fn forwarded(&mut self, wire: &mut Wire, key: Key, (through, peer): (Token, SocketAddr)) {
        match self.by_key.get(&key).and_then(|token| self.flows.get_mut(token)) {
            Some(flow) => {
                flow.last = wire.now;
                flow.way = Way::Forward(through, peer);
            }
            None => {
                let token = wire.token(Owner::Datagram);
                self.insert(wire, token, key, Way::Forward(through, peer), Vec::new());
            }
        }
    }
}

/// Hands the guest what came from the remote end of a flow.
fn deliver(wire: &mut Wire, key: &Key, data: &[u8]) {
    match key.kind {
        Kind::Udp => wire.link.send_udp(key.remote, key.guest, data),
        Kind::Echo => {
            // The host's kernel put an identifier of its own in the place of the guest's.
            let Ok(reply) = Icmpv4Packet::new_checked(data) else { return };
            if reply.msg_type() == Icmpv4Message::EchoReply {
                let sequence = (key.guest.port(), reply.echo_seq_no());
                wire.link.send_echo_reply(*key.remote.ip(), *key.guest.ip(), sequence, reply.data());
            }
        }
    }
}

/// Tells the guest about an error of a flow's socket.
fn report(wire: &mut Wire, flow: &Flow, error: &io::Error) {
    // A full socket buffer is a lost datagram, no more.
    if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) {
        wire.link.send_unreachable(&flow.offender, unreachable(error));
    }
}

/// What a host's error means to the guest.
pub(super) fn unreachable(error: &io::Error) -> Icmpv4DstUnreachable {
    match error.kind() {
        ErrorKind::ConnectionRefused => Icmpv4DstUnreachable::PortUnreachable,
        ErrorKind::NetworkUnreachable => Icmpv4DstUnreachable::NetUnreachable,
        // Ping sockets that the host does not allow, or a firewall.
        ErrorKind::PermissionDenied => Icmpv4DstUnreachable::CommProhibited,
        _ => Icmpv4DstUnreachable::HostUnreachable,
    }
}

/// The start of an IP packet as a packet of its own.
fn offender(packet: &[u8]) -> Vec<u8> {
    let header = usize::from(Ipv4Packet::new_unchecked(packet).header_len());
    let mut start = packet[..packet.len().min(header + OFFENDER)].to_vec();
    let len = start.len() as u16;
    Ipv4Packet::new_unchecked(&mut start).set_total_len(len);
    start
}

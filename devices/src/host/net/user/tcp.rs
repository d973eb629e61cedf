//! TCP: a connection of the guest ends here, and goes on as a connection of the host.
//!
//! Each flow owns a smoltcp socket in a set of its own, so that a packet costs the same however many flows there
//! are. A guest's SYN is kept until the host is connected: the guest sees a refusal as a refusal. Data goes straight
//! from socket buffer to socket buffer; when one side is slow, the window of the other closes.

mod phy;

use self::phy::{Capabilities, Phy};
use super::config::HostFwd;
use super::datagram::unreachable;
use super::link::Link;
use super::nat::{Owner, Refusal, Wire};
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Token};
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant as NetInstant;
use smoltcp::wire::{HardwareAddress, IpCidr, IpEndpoint, Ipv4Packet, TcpPacket};
use socket2::SockRef;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4};
use std::time::{Duration, Instant};

/// Flows there can be at once.
const FLOWS: usize = 512;
/// Bytes of a flow's buffer, each way.
const BUFFER: usize = 256 * 1024;
/// A flow that was silent for this long makes room for a new one when there are too many.
const EVICTABLE: Duration = Duration::from_secs(60);
/// How often a silent guest is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(300);
/// How long a connection outlives the last sign of life of its guest.
const IDLE: Duration = Duration::from_secs(1800);
/// The same while it is being opened or closed.
const IDLE_TRANSIENT: Duration = Duration::from_secs(120);
/// How often idle flows are looked for.
const SWEEP: Duration = Duration::from_secs(30);
/// Connections accepted from one forwarded port before other work has its turn.
const ACCEPTS: usize = 16;

/// Both ends of a connection, as the guest names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Tuple {
    guest: SocketAddrV4,
    remote: SocketAddrV4,
}

/// The guest's side of a flow.
enum Guest {
    /// The host is not connected yet; the guest's SYN waits.
    Waiting(Vec<u8>),
    /// smoltcp has it.
    Talking(SocketSet<'static>, SocketHandle),
    /// The guest ended the connection in order; the host has yet to take this rest of what it said.
    Gone(Vec<u8>),
}

struct Flow {
    tuple: Tuple,
    guest: Guest,
    host: TcpStream,
    /// Since the host's socket last said that it would block, it was said to be ready again.
    readable: bool,
    writable: bool,
    /// The host's end has sent all it had.
    host_done: bool,
    /// The guest has sent all it had...
    guest_ended: bool,
    /// ... and the host's end was told.
    guest_done: bool,
    /// In the queue of flows to work on.
    queued: bool,
    timer: Option<NetInstant>,
    last_heard: Instant,
}

/// What is to become of a flow after it was worked on.
#[derive(PartialEq, Eq)]
enum Next {
    /// Nothing to do until something happens or the timer runs out.
    Rest,
    /// There was no room towards the guest.
    Again,
    /// It is over.
    Over,
}

/// All flows, and the forwarded TCP ports.
pub(super) struct Tcp {
    iface: Interface,
    epoch: Instant,
    flows: HashMap<Token, Flow>,
    by_tuple: HashMap<Tuple, Token>,
    forwards: HashMap<Token, (HostFwd, TcpListener)>,
    queue: VecDeque<Token>,
    timers: BTreeSet<(NetInstant, Token)>,
    sweep: Instant,
}

impl Tcp {
    pub(super) fn new(now: Instant, address: Ipv4Addr) -> Self {
        let mut config = Config::new(HardwareAddress::Ip);
        // Sequence numbers are not to be guessed: the seed is as random as the standard library's hash keys.
        config.random_seed = RandomState::new().hash_one(now);
        let mut iface = Interface::new(config, &mut Capabilities, NetInstant::ZERO);
        // Packets to any address are for us; the one address that there must be is never used by itself.
        iface.set_any_ip(true);
        iface.update_ip_addrs(|addresses| addresses.extend([IpCidr::new(address.into(), 32)]));
        Self {
            iface,
            epoch: now,
            flows: HashMap::new(),
            by_tuple: HashMap::new(),
            forwards: HashMap::new(),
            queue: VecDeque::new(),
            timers: BTreeSet::new(),
            sweep: now + SWEEP,
        }
    }

    fn net_now(&self, wire: &Wire) -> NetInstant {
        NetInstant::from_micros(wire.now.saturating_duration_since(self.epoch).as_micros() as i64)
    }

    /// Opens a forwarded port.
    pub(super) fn listen(&mut self, wire: &mut Wire, rule: HostFwd) -> io::Result<SocketAddrV4> {
        let mut socket = TcpListener::bind(rule.host.into())?;
        let port = socket.local_addr()?.port();
        let token = wire.token(Owner::Tcp);
        wire.watch(&mut socket, token, Interest::READABLE)?;
        let host = SocketAddrV4::new(*rule.host.ip(), port);
        self.forwards.insert(token, (HostFwd { host, ..rule }, socket));
        Ok(host)
    }

    /// Closes a forwarded port; false when there is none.
    pub(super) fn unlisten(&mut self, host: SocketAddrV4) -> bool {
        let before = self.forwards.len();
        self.forwards.retain(|_, (rule, _)| rule.host != host);
        self.forwards.len() < before
    }

    /// The forwarded ports.
    pub(super) fn rules(&self) -> impl Iterator<Item = HostFwd> {
        self.forwards.values().map(|(rule, _)| *rule)
    }

    /// Takes a guest's packet.
    pub(super) fn input(&mut self, wire: &mut Wire, packet: &[u8]) {
        let ip = Ipv4Packet::new_unchecked(packet);
        let Ok(segment) = TcpPacket::new_checked(ip.payload()) else { return };
        let tuple = Tuple {
            guest: SocketAddrV4::new(ip.src_addr(), segment.src_port()),
            remote: SocketAddrV4::new(ip.dst_addr(), segment.dst_port()),
        };
        if tuple.guest.port() == 0 || tuple.remote.port() == 0 {
            return;
        }
        let now = self.net_now(wire);
        if let Some(&token) = self.by_tuple.get(&tuple) {
            let Some(flow) = self.flows.get_mut(&token) else { return };
            if let Guest::Talking(sockets, _) = &mut flow.guest {
                flow.last_heard = wire.now;
                let mut phy = Phy { packet: Some(packet), link: &mut wire.link, refused: false };
                self.iface.poll_ingress_single(now, &mut phy, sockets);
                enqueue(&mut self.queue, token, flow);
            } else if segment.rst() {
                self.remove(token);
            }
        } else if segment.syn() && !segment.ack() {
            self.open(wire, tuple, packet);
        } else {
            self.refuse(wire, packet);
        }
    }

    /// Answers a packet that belongs to no connection with a reset.
    fn refuse(&mut self, wire: &mut Wire, packet: &[u8]) {
        let now = self.net_now(wire);
        let mut phy = Phy { packet: Some(packet), link: &mut wire.link, refused: false };
        self.iface.poll_ingress_single(now, &mut phy, &mut SocketSet::new([]));
    }

    /// A guest's SYN: connects the host's side.
    fn open(&mut self, wire: &mut Wire, tuple: Tuple, syn: &[u8]) {
        let to = match wire.route(tuple.remote) {
            Ok(to) => to,
            Err(Refusal::Silent) => return,
            Err(Refusal::NoService) => return self.refuse(wire, syn),
            Err(Refusal::Unreachable(reason)) => return wire.link.send_unreachable(syn, reason),
        };
        // Without room the guest's SYN is lost; it will send another one.
        if !self.make_room(wire) {
            return;
        }
        match TcpStream::connect(to) {
            Ok(host) => {
                self.insert(wire, tuple, host, Guest::Waiting(syn.to_vec()));
            }
            Err(error) => self.fail(wire, syn, &error),
        }
    }

    /// The host could not connect: tells the guest why.
    fn fail(&mut self, wire: &mut Wire, syn: &[u8], error: &io::Error) {
        if error.kind() == ErrorKind::ConnectionRefused {
            self.refuse(wire, syn);
        } else {
            wire.link.send_unreachable(syn, unreachable(error));
        }
    }

    /// Makes sure that there can be another flow, at the expense of one that is idle.
    fn make_room(&mut self, wire: &Wire) -> bool {
        if self.flows.len() < FLOWS {
            return true;
        }
        let oldest = self.flows.iter().min_by_key(|(_, flow)| flow.last_heard);
        match oldest.map(|(token, flow)| (*token, flow.last_heard)) {
            Some((token, heard)) if wire.now.saturating_duration_since(heard) >= EVICTABLE => {
                self.remove(token);
                true
            }
            _ => false,
        }
    }

    /// Adds a flow; without success when the host cannot watch its socket.
    fn insert(&mut self, wire: &mut Wire, tuple: Tuple, mut host: TcpStream, guest: Guest) -> Option<Token> {
        let token = wire.token(Owner::Tcp);
        wire.watch(&mut host, token, Interest::READABLE | Interest::WRITABLE).ok()?;
        let flow = Flow {
            tuple,
            guest,
            host,
            readable: false,
            writable: false,
            host_done: false,
            guest_ended: false,
            guest_done: false,
            queued: false,
            timer: None,
            last_heard: wire.now,
        };
        self.flows.insert(token, flow);
        self.by_tuple.insert(tuple, token);
        Some(token)
    }

    /// Ends a flow; the host's end sees a reset unless all was said.
    fn remove(&mut self, token: Token) {
        let Some(flow) = self.flows.remove(&token) else { return };
        if !matches!(flow.guest, Guest::Gone(_)) {
            self.by_tuple.remove(&flow.tuple);
        }
        if let Some(at) = flow.timer {
            self.timers.remove(&(at, token));
        }
        if !(flow.host_done && flow.guest_done) {
            // Where this fails, the host's end sees an ordinary close: there is nothing better to be done.
            let _ = SockRef::from(&flow.host).set_linger(Some(Duration::ZERO));
        }
    }

    /// Ends all flows; the forwarded ports stay.
    pub(super) fn forget(&mut self) {
        let tokens: Vec<Token> = self.flows.keys().copied().collect();
        tokens.into_iter().for_each(|token| self.remove(token));
        self.queue.clear();
    }

    /// Something happened on the host's side.
    pub(super) fn ready(&mut self, wire: &mut Wire, event: &Event) {
        let token = event.token();
        if let Some(flow) = self.flows.get_mut(&token) {
            flow.readable |= event.is_readable() || event.is_error();
            flow.writable |= event.is_writable() || event.is_error();
            enqueue(&mut self.queue, token, flow);
        } else if self.forwards.contains_key(&token) {
            self.accept(wire, token);
        }
    }

    /// Takes connections from a forwarded port into the guest.
    fn accept(&mut self, wire: &mut Wire, listener: Token) {
        for _ in 0..ACCEPTS {
            let Some((rule, socket)) = self.forwards.get(&listener) else { return };
            let rule = *rule;
            let (host, peer) = match socket.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                // The host is out of descriptors: the next connection is the next try.
                Err(_) => return,
            };
            let mut tuple = Tuple { guest: rule.guest, remote: wire.seen_as(peer) };
            // Two of the host's addresses can look like one to the guest: then the port has to differ.
            for _ in 0..FLOWS {
                if !self.by_tuple.contains_key(&tuple) {
                    break;
                }
                tuple.remote.set_port(tuple.remote.port().checked_add(1).unwrap_or(1024));
            }
            if self.by_tuple.contains_key(&tuple) || !self.make_room(wire) {
                continue;
            }
            let mut socket = new_socket();
            let (guest, remote) = (IpEndpoint::from(tuple.guest), IpEndpoint::from(tuple.remote));
            if socket.connect(self.iface.context(), guest, remote).is_err() {
                continue;
            }
            let _ = host.set_nodelay(true);
            let mut sockets = SocketSet::new(Vec::with_capacity(1));
            let handle = sockets.add(socket);
            if let Some(token) = self.insert(wire, tuple, host, Guest::Talking(sockets, handle))
                && let Some(flow) = self.flows.get_mut(&token)
            {
                enqueue(&mut self.queue, token, flow);
            }
        }
        // There may be more, and readiness is told only once: ask again.
        if let Some((_, socket)) = self.forwards.get_mut(&listener) {
            let _ = wire.registry.reregister(socket, listener, Interest::READABLE);
        }
    }

    /// Whether there are flows to work on.
    pub(super) fn is_busy(&self) -> bool {
        !self.queue.is_empty()
    }

    /// When [`Tcp::work`] has something to do even if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let timer =
            self.timers.first().map(|(at, _)| self.epoch + Duration::from_micros(at.total_micros() as u64));
        let sweep = (!self.flows.is_empty()).then_some(self.sweep);
        [timer, sweep].into_iter().flatten().min()
    }

    /// Moves data for each flow that something happened to.
    pub(super) fn work(&mut self, wire: &mut Wire) {
        let now = self.net_now(wire);
        while let Some(&(at, token)) = self.timers.first() {
            if at > now {
                break;
            }
            self.timers.pop_first();
            if let Some(flow) = self.flows.get_mut(&token) {
                flow.timer = None;
                enqueue(&mut self.queue, token, flow);
            }
        }
        for _ in 0..self.queue.len() {
            let Some(token) = self.queue.pop_front() else { break };
            let Some(flow) = self.flows.get_mut(&token) else { continue };
            flow.queued = false;
            match self.serve(wire, token, now) {
                Next::Rest => {}
                Next::Again => {
                    if let Some(flow) = self.flows.get_mut(&token) {
                        enqueue(&mut self.queue, token, flow);
                    }
                }
                Next::Over => self.finish(token),
            }
        }
        if wire.now >= self.sweep {
            self.sweep = wire.now + SWEEP;
            let now = wire.now;
            let gone: Vec<Token> =
                self.flows.iter().filter(|(_, flow)| flow.is_stale(now)).map(|(token, _)| *token).collect();
            gone.into_iter().for_each(|token| self.remove(token));
        }
    }

    /// The guest's side of a flow is over: so is the flow, unless the host has yet to take what the guest said.
    fn finish(&mut self, token: Token) {
        let Some(flow) = self.flows.get_mut(&token) else { return };
        let rest = match &mut flow.guest {
            Guest::Talking(sockets, handle) if flow.guest_ended && !flow.guest_done => {
                let socket = sockets.get_mut::<Socket<'_>>(*handle);
                let mut rest = vec![0; socket.recv_queue()];
                let len = socket.recv_slice(&mut rest).unwrap_or(0);
                rest.truncate(len);
                rest
            }
            _ => return self.remove(token),
        };
        flow.guest = Guest::Gone(rest);
        self.by_tuple.remove(&flow.tuple);
        if let Some(at) = flow.timer.take() {
            self.timers.remove(&(at, token));
        }
        enqueue(&mut self.queue, token, flow);
    }

    fn serve(&mut self, wire: &mut Wire, token: Token, now: NetInstant) -> Next {
        let Some(flow) = self.flows.get_mut(&token) else { return Next::Rest };
        if let Guest::Waiting(syn) = &mut flow.guest {
            match connected(&flow.host) {
                Ok(false) => return Next::Rest,
                Ok(true) => {
                    let mut phy = Phy { packet: Some(syn), link: &mut wire.link, refused: false };
                    match welcome(&mut self.iface, now, flow.tuple, &mut phy) {
                        Some((sockets, handle)) => flow.guest = Guest::Talking(sockets, handle),
                        None => return Next::Over,
                    }
                }
                Err(error) => {
                    let syn = std::mem::take(syn);
                    self.fail(wire, &syn, &error);
                    return Next::Over;
                }
            }
        }
        let next = match &flow.guest {
            Guest::Gone(_) => flow.hand_over(),
            _ => flow.exchange(&mut self.iface, &mut wire.link, now),
        };
        if next != Next::Over
            && let Guest::Talking(sockets, _) = &flow.guest
        {
            // What can be done at once was done: the next time is later, if only a little.
            let at = self
                .iface
                .poll_at(now, sockets)
                .map(|at| at.max(now + smoltcp::time::Duration::from_millis(1)));
            if at != flow.timer {
                if let Some(at) = flow.timer.take() {
                    self.timers.remove(&(at, token));
                }
                if let Some(at) = at {
                    self.timers.insert((at, token));
                }
                flow.timer = at;
            }
        }
        next
    }
}

fn enqueue(queue: &mut VecDeque<Token>, token: Token, flow: &mut Flow) {
    if !flow.queued {
        flow.queued = true;
        queue.push_back(token);
    }
}

/// Whether a connection that was begun is there now.
fn connected(host: &TcpStream) -> io::Result<bool> {
    if let Some(error) = host.take_error()? {
        return Err(error);
    }
    match host.peer_addr() {
        Ok(_) => {
            let _ = host.set_nodelay(true);
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// The guest's side of a connection that the guest asked for with the SYN in `phy`; none if that was malformed.
fn welcome(
    iface: &mut Interface,
    now: NetInstant,
    tuple: Tuple,
    phy: &mut Phy<'_>,
) -> Option<(SocketSet<'static>, SocketHandle)> {
    let mut socket = new_socket();
    socket.listen(IpEndpoint::from(tuple.remote)).ok()?;
    let mut sockets = SocketSet::new(Vec::with_capacity(1));
    let handle = sockets.add(socket);
    iface.poll_ingress_single(now, phy, &mut sockets);
    (sockets.get::<Socket<'_>>(handle).state() == State::SynReceived).then_some((sockets, handle))
}

fn new_socket() -> Socket<'static> {
    let mut socket = Socket::new(SocketBuffer::new(vec![0; BUFFER]), SocketBuffer::new(vec![0; BUFFER]));
    socket.set_nagle_enabled(false);
    // Packets come in batches, and one acknowledgement answers a batch: waiting longer gains nothing.
    socket.set_ack_delay(None);
    socket.set_keep_alive(Some(smoltcp::time::Duration::from_secs(KEEP_ALIVE.as_secs())));
    socket
}

impl Flow {
    /// Moves data both ways, until it is done or one side has to wait.
    fn exchange(&mut self, iface: &mut Interface, link: &mut Link, now: NetInstant) -> Next {
        let Guest::Talking(sockets, handle) = &mut self.guest else { return Next::Rest };
        let socket = sockets.get_mut::<Socket<'_>>(*handle);
        let mut broken = false;
        while self.writable && socket.can_recv() {
            let host = &mut self.host;
            // `recv` fails only on a socket that cannot receive.
            let written = socket.recv(|data| match host.write(data) {
                Ok(len) => (len, Ok(())),
                Err(error) => (0, Err(error)),
            });
            match written {
                Ok(Err(error)) => match error.kind() {
                    ErrorKind::WouldBlock => self.writable = false,
                    ErrorKind::Interrupted => {}
                    _ => {
                        broken = true;
                        break;
                    }
                },
                Ok(Ok(())) => {}
                Err(_) => break,
            }
        }
        let said_all =
            matches!(socket.state(), State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
        self.guest_ended |= said_all;
        if self.guest_ended && !self.guest_done && socket.recv_queue() == 0 {
            self.guest_done = true;
            // An error means that the host's end is gone; reading it tells.
            let _ = self.host.shutdown(Shutdown::Write);
        }
        while self.readable && !self.host_done && !broken && socket.can_send() {
            let host = &mut self.host;
            let read = socket.send(|room| match host.read(room) {
                Ok(len) => (len, Ok(len)),
                Err(error) => (0, Err(error)),
            });
            match read {
                Ok(Ok(0)) => {
                    self.host_done = true;
                    socket.close();
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) => match error.kind() {
                    ErrorKind::WouldBlock => self.readable = false,
                    ErrorKind::Interrupted => {}
                    _ => broken = true,
                },
                Err(_) => break,
            }
        }
        if broken {
            self.guest_ended = false;
            socket.abort();
        }
        let mut phy = Phy { packet: None, link, refused: false };
        while iface.poll_egress(now, &mut phy, sockets) == PollResult::SocketStateChanged {}
        let refused = phy.refused;
        let socket = sockets.get::<Socket<'_>>(*handle);
        match socket.state() {
            _ if refused => Next::Again,
            // Nothing is in flight towards the guest, and the guest's own end is acknowledged.
            State::Closed | State::TimeWait => Next::Over,
            _ => Next::Rest,
        }
    }

    /// Writes the rest of what a guest said that is gone.
    fn hand_over(&mut self) -> Next {
        let Guest::Gone(rest) = &mut self.guest else { return Next::Rest };
        while !rest.is_empty() {
            match self.host.write(rest) {
                Ok(len) => drop(rest.drain(..len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Next::Rest,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Next::Over,
            }
        }
        self.guest_done = true;
        // An error means that the host's end is gone, and that is as good.
        let _ = self.host.shutdown(Shutdown::Write);
        Next::Over
    }

    /// Whether the flow is kept for nobody.
    fn is_stale(&self, now: Instant) -> bool {
        let limit = match &self.guest {
            Guest::Waiting(_) => IDLE_TRANSIENT,
            Guest::Gone(_) => IDLE,
            Guest::Talking(sockets, handle) => match sockets.get::<Socket<'_>>(*handle).state() {
                State::Established | State::CloseWait | State::FinWait2 => IDLE,
                _ => IDLE_TRANSIENT,
            },
        };
        now.saturating_duration_since(self.last_heard) >= limit
    }
}

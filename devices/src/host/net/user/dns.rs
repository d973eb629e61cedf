//! The virtual name server: queries go to the host's, answers come back as they are (RFC 1035).
//!
//! Each query has a host socket of its own, so its port and its identifier guard against forged answers.

use super::nat::{Owner, Wire};
use mio::net::UdpSocket;
use mio::{Interest, Token};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

/// The port of name servers.
pub(super) const PORT: u16 = 53;
/// Queries without an answer yet; more are refused at once.
const QUERIES: usize = 128;
/// How long an answer may take, less than a resolver in the guest waits.
const PATIENCE: Duration = Duration::from_secs(4);
/// The same when the server did not answer the query before.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);
/// How long what `/etc/resolv.conf` said is believed.
const RESOLV_CONF_AGE: Duration = Duration::from_secs(2);
/// Bytes of a message's header.
const HEADER: usize = 12;
/// The largest UDP payload.
const DATAGRAM: usize = 65507;

/// The host's name server.
pub(super) struct Upstream {
    fixed: Option<SocketAddr>,
    read: Option<(Instant, Option<SocketAddr>)>,
}

impl Upstream {
    pub(super) fn new(fixed: Option<SocketAddr>) -> Self {
        Self { fixed, read: None }
    }

    /// Where queries go, `None` when the host knows no name server.
    pub(super) fn get(&mut self, now: Instant) -> Option<SocketAddr> {
        if self.fixed.is_some() {
            return self.fixed;
        }
        match self.read {
            Some((at, server)) if now.saturating_duration_since(at) < RESOLV_CONF_AGE => server,
            _ => {
                let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
                let server = first_nameserver(&text);
                self.read = Some((now, server));
                server
            }
        }
    }
}

fn first_nameserver(resolv_conf: &str) -> Option<SocketAddr> {
    resolv_conf.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let address: IpAddr =
            words.next().filter(|word| *word == "nameserver").and(words.next())?.parse().ok()?;
        Some(SocketAddr::new(address, PORT))
    })
}

struct Query {
    guest: SocketAddrV4,
    message: Vec<u8>,
    socket: UdpSocket,
    deadline: Instant,
}

/// Queries on their way.
#[derive(Default)]
pub(super) struct Dns {
    queries: HashMap<Token, Query>,
    /// The last query had no answer in time.
    silent: bool,
    buffer: Vec<u8>,
}

impl Dns {
    /// Takes a guest's query.
    pub(super) fn input(&mut self, wire: &mut Wire, guest: SocketAddrV4, message: &[u8]) {
        if message.len() < HEADER || message[2] & 0x80 != 0 {
            return;
        }
        // The guest asks again: the answer to the first query will do.
        if self.queries.values().any(|query| query.guest == guest && query.message == message) {
            return;
        }
        let opened = if self.queries.len() < QUERIES { open(wire, message) } else { None };
        match opened {
            Some((token, socket)) => {
                let deadline = wire.now + if self.silent { SHORT_PATIENCE } else { PATIENCE };
                self.queries.insert(token, Query { guest, message: message.to_vec(), socket, deadline });
            }
            None => fail(wire, guest, message),
        }
    }

    /// Something happened on the socket of a query.
    pub(super) fn ready(&mut self, wire: &mut Wire, token: Token) {
        let Some(query) = self.queries.get(&token) else { return };
        self.buffer.resize(DATAGRAM, 0);
        loop {
            match query.socket.recv(&mut self.buffer) {
                Ok(len) if len >= HEADER && self.buffer[..2] == query.message[..2] => {
                    self.silent = false;
                    let from = SocketAddrV4::new(wire.config.dns, PORT);
                    wire.link.send_udp(from, query.guest, &self.buffer[..len]);
                }
                Ok(_) => continue,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => fail(wire, query.guest, &query.message),
            }
            break;
        }
        self.queries.remove(&token);
    }

    /// Gives up on queries whose time is over.
    pub(super) fn expire(&mut self, wire: &mut Wire) {
        let now = wire.now;
        for (_, query) in self.queries.extract_if(|_, query| query.deadline <= now) {
            self.silent = true;
            fail(wire, query.guest, &query.message);
        }
    }

    /// When [`Dns::expire`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.queries.values().map(|query| query.deadline).min()
    }
}

/// Opens a socket to the host's name server and sends the query; `None` when that cannot be done.
fn open(wire: &mut Wire, message: &[u8]) -> Option<(Token, UdpSocket)> {
    let upstream = wire.upstream.get(wire.now)?;
    let any: IpAddr =
        if upstream.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let mut socket = UdpSocket::bind((any, 0).into()).ok()?;
    socket.connect(upstream).ok()?;
    let token = wire.token(Owner::Dns);
    wire.registry.register(&mut socket, token, Interest::READABLE).ok()?;
    socket.send(message).ok()?;
    Some((token, socket))
}

/// Answers that the server failed (RCODE 2), with the question repeated.
fn fail(wire: &mut Wire, guest: SocketAddrV4, query: &[u8]) {
    let question = question_len(&query[HEADER..]);
    let mut answer = query[..HEADER + question.unwrap_or(0)].to_vec();
    // QR and the query's opcode and RD; RA and SERVFAIL.
    answer[2] = 0x80 | query[2] & 0x79;
    answer[3] = 0x82;
    answer[4..HEADER].fill(0);
    answer[5] = u8::from(question.is_some());
    wire.link.send_udp(SocketAddrV4::new(wire.config.dns, PORT), guest, &answer);
}

/// Bytes of the question that `body` starts with: labels, their end, type and class.
fn question_len(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *body.get(at)? {
            0 => break,
            len if len < 64 => at += 1 + usize::from(len),
            _ => return None,
        }
    }
    (body.len() >= at + 5).then_some(at + 5)
}

#[cfg(test)]
mod tests;

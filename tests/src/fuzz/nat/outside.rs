//! The other ends: a server for TCP and UDP on one port of the loopback interface, and clients of forwarded ports.

use arbitrary::Arbitrary;
use devices::host::net::user::{HostFwd, Transport};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::rc::Rc;
use std::time::Duration;

/// Connections at a time.
const CONNECTIONS: usize = 8;

/// Something that the other ends do.
#[derive(Arbitrary, Debug)]
pub(super) enum Act<'a> {
    Accept,
    Write {
        which: u8,
        len: u16,
    },
    Read {
        which: u8,
    },
    Finish {
        which: u8,
    },
    Reset {
        which: u8,
    },
    /// An answer to a datagram or query, with its first bytes repeated.
    Answer {
        repeat: u8,
        bytes: &'a [u8],
    },
    Connect,
    Datagram {
        bytes: &'a [u8],
    },
}

/// The sockets that are kept from input to input.
struct Server {
    tcp: TcpListener,
    udp: UdpSocket,
    /// Nobody listens here.
    closed: Socket,
}

thread_local! {
    static SERVER: Rc<Server> = Rc::new(Server::new());
}

const ANY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);

impl Server {
    /// Takes a port that is free for both protocols.
    fn new() -> Self {
        let closed = Socket::new(Domain::IPV4, Type::STREAM, None).expect("the host has sockets");
        closed.bind(&SocketAddr::from(ANY).into()).expect("a port is free");
        loop {
            let tcp = TcpListener::bind(ANY).expect("a port is free");
            let address = tcp.local_addr().expect("it is bound");
            if let Ok(udp) = UdpSocket::bind(address) {
                tcp.set_nonblocking(true).expect("a socket can be non-blocking");
                udp.set_nonblocking(true).expect("a socket can be non-blocking");
                return Self { tcp, udp, closed };
            }
        }
    }
}

/// The other ends during one input.
pub(super) struct Outside {
    server: Rc<Server>,
    connections: Vec<TcpStream>,
}

impl Outside {
    pub(super) fn new() -> Self {
        Self { server: SERVER.with(Rc::clone), connections: Vec::new() }
    }

    /// The port of our servers.
    pub(super) fn port(&self) -> u16 {
        self.server.tcp.local_addr().expect("it is bound").port()
    }

    /// A port where connections are refused.
    pub(super) fn closed_port(&self) -> u16 {
        let address = self.server.closed.local_addr().expect("it is bound");
        address.as_socket_ipv4().expect("it is an IPv4 socket").port()
    }

    fn add(&mut self, stream: TcpStream) {
        stream.set_nonblocking(true).expect("a socket can be non-blocking");
        // Closing resets: nothing is left of one input when the next begins.
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        if self.connections.len() < CONNECTIONS {
            self.connections.push(stream);
        }
    }

    fn connection(&mut self, which: u8) -> Option<&mut TcpStream> {
        let count = self.connections.len().max(1);
        self.connections.get_mut(usize::from(which) % count)
    }

    /// Does something; errors are part of a network's life.
    pub(super) fn act(&mut self, act: Act<'_>, forwards: &[HostFwd]) {
        let forward = |transport| {
            forwards.iter().find(|rule| rule.transport == transport).map(|rule| SocketAddr::from(rule.host))
        };
        match act {
            Act::Accept => {
                if let Ok((stream, _)) = self.server.tcp.accept() {
                    self.add(stream);
                }
            }
            Act::Write { which, len } => {
                if let Some(stream) = self.connection(which) {
                    let _ = stream.write(&vec![0x62; len.into()]);
                }
            }
            Act::Read { which } => {
                if let Some(stream) = self.connection(which) {
                    let _ = stream.read(&mut [0; 4096]);
                }
            }
            Act::Finish { which } => {
                if let Some(stream) = self.connection(which) {
                    let _ = stream.shutdown(Shutdown::Write);
                }
            }
            Act::Reset { which } => {
                if !self.connections.is_empty() {
                    let which = usize::from(which) % self.connections.len();
                    self.connections.swap_remove(which);
                }
            }
            Act::Answer { repeat, bytes } => {
                let mut query = [0; 4096];
                if let Ok((len, from)) = self.server.udp.recv_from(&mut query) {
                    let mut answer = query[..len.min(repeat.into())].to_vec();
                    answer.extend(bytes);
                    let _ = self.server.udp.send_to(&answer, from);
                }
            }
            Act::Connect => {
                if let Some(to) = forward(Transport::Tcp)
                    && let Ok(socket) = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)
                {
                    // Under way is good enough.
                    let _ = socket.connect(&to.into());
                    self.add(socket.into());
                }
            }
            Act::Datagram { bytes } => {
                if let Some(to) = forward(Transport::Udp) {
                    let _ = self.server.udp.send_to(bytes, to);
                }
            }
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        while let Ok((stream, _)) = self.server.tcp.accept() {
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
        while self.server.udp.recv_from(&mut []).is_ok() {}
    }
}

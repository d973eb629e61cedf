//! The user-mode network: what a guest may send, what servers may answer, and time.
//!
//! Nothing leaves this machine, and no server of it but our own is reached: [`frames::keep_inside`].

mod frames;
mod outside;

use self::frames::{GATEWAY, GUEST, NAMES, Packet, keep_inside};
use self::outside::{Act, Outside};
use super::STEPS;
use arbitrary::{Arbitrary, Unstructured};
use devices::host::net::MAX_FRAME;
use devices::host::net::user::{HostFwd, Nat, Transport, UserNetConfig};
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, Icmpv4Packet, IpProtocol, Ipv4Packet, TcpPacket, TcpSeqNumber, UdpPacket,
};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

/// Ports that the guest's connections come from.
const PORTS: usize = 4;
const FIRST_PORT: u16 = 0x4000;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    /// A frame of any bytes.
    Raw { bytes: &'a [u8] },
    /// A frame of any bytes behind a right Ethernet header.
    Frame { kind: u8, bytes: &'a [u8] },
    /// An IP packet with something in it.
    Packet(Packet<'a>),
    /// A segment of one of the guest's connections.
    Segment(Segment<'a>),
    /// The guest takes frames.
    Take(u8),
    /// Milliseconds pass.
    Time(u32),
    /// The other ends do something.
    Outside(Act<'a>),
}

/// A number of a connection: the right one, one near it, any.
#[derive(Arbitrary, Debug)]
enum Number {
    Right,
    Near(i8),
    Far(i16),
    Any(u32),
}

#[derive(Arbitrary, Debug)]
struct Segment<'a> {
    port: u8,
    to: u16,
    names: bool,
    flags: u8,
    sequence: Number,
    acknowledged: Number,
    window: u16,
    options: &'a [u8],
    len: u16,
}

/// One end of a connection, as far as the guest knows.
#[derive(Clone, Copy, Default)]
struct Connection {
    /// The next byte that the guest sends.
    next: u32,
    /// The next byte that it expects.
    expected: u32,
}

impl Number {
    fn near(&self, right: u32) -> u32 {
        match *self {
            Self::Right => right,
            Self::Near(n) => right.wrapping_add_signed(n.into()),
            Self::Far(n) => right.wrapping_add_signed(i32::from(n) << 3),
            Self::Any(n) => n,
        }
    }
}

struct Bench {
    nat: Nat,
    outside: Outside,
    now: Instant,
    connections: [Connection; PORTS],
}

/// Takes `data` as a configuration, and a series of what the guest, the other ends and the clock do.
pub fn nat(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(setting) = input.arbitrary::<u8>() else { return };
    let outside = Outside::new();
    let localhost = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    let forward = |transport, port| HostFwd {
        transport,
        host: localhost,
        guest: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port),
    };
    let mut config = UserNetConfig {
        restrict: setting & 7 == 7,
        hostname: (setting & 8 != 0).then(|| "guest".into()),
        upstream_dns: Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), outside.port())),
        ..UserNetConfig::default()
    };
    if setting & 0x30 == 0x30 {
        // The guest's ports are those that its segments come from.
        config.hostfwd = vec![forward(Transport::Tcp, FIRST_PORT), forward(Transport::Udp, 68)];
    }
    let nat = Nat::new(config).expect("the host has sockets");
    let mut bench = Bench { nat, outside, now: Instant::now(), connections: Default::default() };
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        let Ok(step) = input.arbitrary::<Step<'_>>() else { break };
        bench.take(step);
    }
    bench.still_alive();
}

impl Bench {
    fn take(&mut self, step: Step<'_>) {
        match step {
            Step::Raw { bytes } => self.send(bytes.to_vec()),
            Step::Frame { kind, bytes } => self.send(frames::ethernet(kind, bytes)),
            Step::Packet(packet) => self.send(packet.frame()),
            Step::Segment(segment) => self.segment(&segment),
            Step::Take(most) => {
                // As long as there are any.
                let _ = (0..most).all(|_| self.receive());
            }
            Step::Time(ms) => {
                self.now += Duration::from_millis(u64::from(ms) % 4_000_000);
                self.poll();
            }
            Step::Outside(act) => {
                let forwards = self.nat.hostfwds();
                self.outside.act(act, &forwards);
                self.poll();
            }
        }
    }

    fn send(&mut self, mut frame: Vec<u8>) {
        keep_inside(&mut frame, self.outside.port(), self.outside.closed_port());
        self.nat.input(&frame);
        self.poll();
    }

    fn poll(&mut self) {
        self.nat.poll(self.now).expect("the host's event queue works");
    }

    fn segment(&mut self, segment: &Segment<'_>) {
        let which = usize::from(segment.port) % PORTS;
        let connection = &mut self.connections[which];
        let sequence = segment.sequence.near(connection.next);
        let acknowledged = segment.acknowledged.near(connection.expected);
        let options = &segment.options[..segment.options.len().min(40) & !3];
        let data = usize::from(segment.len) % 3000;
        let mut bytes = vec![0x61; 20 + options.len() + data];
        let mut tcp = TcpPacket::new_unchecked(&mut bytes[..]);
        tcp.set_src_port(FIRST_PORT + which as u16);
        tcp.set_dst_port(if segment.names { 53 } else { segment.to });
        tcp.set_seq_number(TcpSeqNumber(sequence as i32));
        tcp.set_ack_number(TcpSeqNumber(acknowledged as i32));
        tcp.set_header_len((20 + options.len()) as u8);
        tcp.set_window_len(segment.window);
        tcp.set_urgent_at(0);
        bytes[13] = segment.flags;
        bytes[20..20 + options.len()].copy_from_slice(options);
        let opens_and_ends = (segment.flags & 1) + (segment.flags >> 1 & 1);
        connection.next = sequence.wrapping_add(data as u32 + u32::from(opens_and_ends));
        let to = if segment.names { NAMES } else { GATEWAY };
        TcpPacket::new_unchecked(&mut bytes[..]).fill_checksum(&GUEST.into(), &to.into());
        let packet = frames::ipv4(IpProtocol::Tcp, to, &bytes);
        self.send(frames::ethernet(0, &packet));
    }

    /// Takes a frame out of the network and looks at it.
    fn receive(&mut self) -> bool {
        let Some(frame) = self.nat.output() else { return false };
        assert!(frame.len() <= MAX_FRAME, "{} bytes", frame.len());
        let ethernet = EthernetFrame::new_checked(frame).expect("a frame has a header");
        if ethernet.ethertype() == EthernetProtocol::Ipv4 {
            let ip = Ipv4Packet::new_checked(ethernet.payload()).expect("a well-formed packet");
            assert!(ip.version() == 4 && ip.verify_checksum());
            check(&ip, &mut self.connections);
        }
        self.nat.delivered();
        true
    }

    /// Whatever was sent, the network answers the next one.
    fn still_alive(mut self) {
        while self.receive() {}
        let mut bytes = [0; 8];
        let mut udp = UdpPacket::new_unchecked(&mut bytes[..]);
        udp.set_src_port(1000);
        udp.set_dst_port(1);
        udp.set_len(8);
        udp.set_checksum(0);
        self.send(frames::ethernet(0, &frames::ipv4(IpProtocol::Udp, NAMES, &bytes)));
        assert!(self.receive(), "there is no such port, and nobody says so");
    }
}

/// Looks at a packet for the guest.
fn check(ip: &Ipv4Packet<&[u8]>, connections: &mut [Connection; PORTS]) {
    if ip.more_frags() || ip.frag_offset() != 0 {
        return;
    }
    let ends = (ip.src_addr().into(), ip.dst_addr().into());
    match ip.next_header() {
        IpProtocol::Udp => {
            let udp = UdpPacket::new_checked(ip.payload()).expect("a well-formed datagram");
            assert!(udp.verify_checksum(&ends.0, &ends.1));
        }
        IpProtocol::Icmp => {
            let icmp = Icmpv4Packet::new_checked(ip.payload()).expect("a well-formed message");
            assert!(icmp.verify_checksum());
        }
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(ip.payload()).expect("a well-formed segment");
            let which = usize::from(tcp.dst_port().wrapping_sub(FIRST_PORT));
            if let Some(connection) = connections.get_mut(which) {
                let opens_and_ends = u32::from(tcp.syn()) + u32::from(tcp.fin());
                let len = tcp.payload().len() as u32 + opens_and_ends;
                connection.expected = (tcp.seq_number().0 as u32).wrapping_add(len);
            }
        }
        other => panic!("the network sends {other}"),
    }
}

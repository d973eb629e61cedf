//! The NAT as a guest sees it: smoltcp plays the guest's kernel, sockets on the loopback interface the outside world.

mod datagram;
mod hostile;
mod services;
mod tcp;
mod thread;

use super::{Nat, UserNetConfig};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant as NetInstant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const NAMES: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const MAC: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const GATEWAY_MAC: EthernetAddress = EthernetAddress([0x52, 0x55, 10, 0, 2, 2]);

/// The guest's network card.
#[derive(Default)]
struct Card {
    sent: Vec<Vec<u8>>,
    received: VecDeque<Vec<u8>>,
}

struct Rx(Vec<u8>);
struct Tx<'a>(&'a mut Vec<Vec<u8>>);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = vec![0; len];
        let result = write(&mut frame);
        self.0.push(frame);
        result
    }
}

impl Device for Card {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: NetInstant) -> Option<(Rx, Tx<'_>)> {
        Some((Rx(self.received.pop_front()?), Tx(&mut self.sent)))
    }

    fn transmit(&mut self, _: NetInstant) -> Option<Tx<'_>> {
        (self.sent.len() < 64).then_some(Tx(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// A guest and its NAT, on one thread.
struct Guest {
    nat: Nat,
    card: Card,
    iface: Interface,
    sockets: SocketSet<'static>,
    start: Instant,
}

impl Guest {
    /// A guest with the first DHCP address, set by hand.
    fn new(config: UserNetConfig) -> Self {
        let mut guest = Self::unconfigured(config);
        guest.iface.update_ip_addrs(|addresses| addresses.extend([IpCidr::new(GUEST.into(), 24)]));
        guest.iface.routes_mut().add_default_ipv4_route(GATEWAY).expect("the table is empty");
        guest
    }

    fn unconfigured(config: UserNetConfig) -> Self {
        let nat = Nat::new(config).expect("the configuration is right");
        let mut card = Card::default();
        let mut config = Config::new(HardwareAddress::Ethernet(MAC));
        config.random_seed = 7;
        let iface = Interface::new(config, &mut card, NetInstant::ZERO);
        Self { nat, card, iface, sockets: SocketSet::new(Vec::new()), start: Instant::now() }
    }

    /// Lets both sides do what they can at once.
    fn step(&mut self) {
        let now = NetInstant::from_micros(self.start.elapsed().as_micros() as i64);
        self.iface.poll(now, &mut self.card, &mut self.sockets);
        for frame in self.card.sent.drain(..) {
            self.nat.input(&frame);
        }
        self.nat.poll(Instant::now()).expect("the host's event queue works");
        while let Some(frame) = self.nat.output() {
            self.card.received.push_back(frame.to_vec());
            self.nat.delivered();
        }
    }

    /// Goes on until `done` returns something.
    fn until<T>(&mut self, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            self.step();
            if let Some(result) = done(self) {
                return result;
            }
            assert!(Instant::now() < deadline, "nothing happened for too long");
            if self.card.received.is_empty() {
                std::thread::sleep(Duration::from_micros(50));
            }
        }
    }

    /// What a thread of the host gives when it ends. The NAT goes on until then: it may have more for it.
    fn ended<T>(&mut self, thread: JoinHandle<T>) -> T {
        self.until(|_| thread.is_finished().then_some(()));
        thread.join().expect("the thread ends well")
    }

    /// Goes on for a while, in which nothing is expected to happen.
    fn linger(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            self.step();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends a frame past the guest's kernel, and returns the frames that answer it at once.
    fn raw(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        self.nat.input(frame);
        self.nat.poll(Instant::now()).expect("the host's event queue works");
        let mut answers = Vec::new();
        while let Some(frame) = self.nat.output() {
            answers.push(frame.to_vec());
            self.nat.delivered();
        }
        answers
    }

    fn tcp(&mut self) -> SocketHandle {
        let buffer = || SocketBuffer::new(vec![0; 65536]);
        self.sockets.add(Socket::new(buffer(), buffer()))
    }

    fn connect(&mut self, to: SocketAddrV4) -> SocketHandle {
        let handle = self.tcp();
        let port = 49152 + self.sockets.iter().count() as u16;
        self.sockets
            .get_mut::<Socket<'_>>(handle)
            .connect(self.iface.context(), (*to.ip(), to.port()), port)
            .expect("the socket is new");
        handle
    }

    fn socket(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }
}

/// An endpoint on the gateway, which stands for the host.
fn host(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(GATEWAY, port)
}

/// Bytes that show when one is missing, doubled or out of place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2654435761) >> 13) as u8).collect()
}

/// A UDP datagram of the guest's in a frame.
fn udp_frame(from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) -> Vec<u8> {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{
        EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
    };
    let udp = UdpRepr { src_port: from.port(), dst_port: to.port() };
    let ip = Ipv4Repr {
        src_addr: *from.ip(),
        dst_addr: *to.ip(),
        next_header: IpProtocol::Udp,
        payload_len: 8 + data.len(),
        hop_limit: 64,
    };
    let mut bytes = vec![0; 14 + 20 + 8 + data.len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    EthernetRepr { src_addr: MAC, dst_addr: GATEWAY_MAC, ethertype: EthernetProtocol::Ipv4 }.emit(&mut frame);
    ip.emit(&mut Ipv4Packet::new_unchecked(frame.payload_mut()), &ChecksumCapabilities::default());
    let mut packet = UdpPacket::new_unchecked(&mut frame.payload_mut()[20..]);
    let (source, to) = ((*from.ip()).into(), (*to.ip()).into());
    udp.emit(
        &mut packet,
        &source,
        &to,
        data.len(),
        |room| room.copy_from_slice(data),
        &ChecksumCapabilities::default(),
    );
    bytes
}

/// The source, destination and data of a UDP datagram in a frame, whose check sums must be right.
fn parse_udp(frame: &[u8]) -> Option<(SocketAddrV4, SocketAddrV4, Vec<u8>)> {
    use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, UdpPacket};
    let frame = EthernetFrame::new_checked(frame).ok()?;
    let ip = Ipv4Packet::new_checked(frame.payload()).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 || ip.next_header() != IpProtocol::Udp {
        return None;
    }
    assert!(ip.verify_checksum());
    let udp = UdpPacket::new_checked(ip.payload()).ok()?;
    assert!(udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
    let from = SocketAddrV4::new(ip.src_addr(), udp.src_port());
    Some((from, SocketAddrV4::new(ip.dst_addr(), udp.dst_port()), udp.payload().to_vec()))
}

use super::*;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, EthernetRepr, Ipv4Packet};

/// A small generator of numbers that are the same in each run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// What the NAT must answer when all is over, to show that it still works.
fn still_alive(guest: &mut Guest) {
    while guest.nat.output().is_some() {
        guest.nat.delivered();
    }
    let (port, data) = (1, b"?");
    let answers = guest.raw(&udp_frame(SocketAddrV4::new(GUEST, 1000), SocketAddrV4::new(NAMES, port), data));
    assert_eq!(answers.len(), 1, "port unreachable");
}

#[test]
fn garbage_does_no_harm() {
    let mut guest = Guest::new(UserNetConfig { restrict: true, ..Default::default() });
    let mut numbers = Numbers(0x9e3779b97f4a7c15);
    for _ in 0..100_000 {
        let frame: Vec<u8> = (0..numbers.below(200)).map(|_| numbers.next() as u8).collect();
        guest.nat.input(&frame);
    }
    guest.nat.poll(Instant::now()).expect("the host's event queue works");
    still_alive(&mut guest);
}

/// Frames with right headers and anything behind them come further.
#[test]
fn plausible_garbage_does_no_harm() {
    let mut guest = Guest::new(UserNetConfig::default());
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port().to_be_bytes();
    let mut numbers = Numbers(0x2545f4914f6cdd1d);
    let protocols = [1, 6, 6, 6, 17, 200];
    for round in 0..60_000 {
        let len = 20 + numbers.below(100);
        let mut bytes = vec![0; 14 + len];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        EthernetRepr { src_addr: MAC, dst_addr: GATEWAY_MAC, ethertype: EthernetProtocol::Ipv4 }
            .emit(&mut frame);
        let packet = frame.payload_mut();
        packet.fill_with(|| numbers.next() as u8);
        let header = 20.min(len) + 4 * numbers.below(3);
        let mut ip = Ipv4Packet::new_unchecked(&mut packet[..]);
        ip.set_version(4);
        ip.set_header_len(header as u8);
        ip.set_total_len(len as u16);
        ip.clear_flags();
        ip.set_frag_offset(0);
        if numbers.below(8) == 0 {
            ip.set_more_frags(numbers.below(2) == 0);
            ip.set_frag_offset((numbers.below(4) * 8) as u16);
            ip.set_ident(numbers.below(4) as u16);
        }
        ip.set_next_header(protocols[numbers.below(protocols.len())].into());
        ip.set_src_addr(Ipv4Addr::new(10, 0, 2, 15 + numbers.below(2) as u8));
        // Never an address of the real outside.
        let to =
            [GATEWAY, NAMES, Ipv4Addr::new(10, 0, 2, 99), Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 1)];
        ip.set_dst_addr(to[numbers.below(to.len())]);
        if header + 14 <= len {
            // Mostly one connection, so that there are states to confuse.
            let segment = &mut packet[header..];
            if numbers.below(8) != 0 {
                segment[..2].copy_from_slice(&[0x40, numbers.below(3) as u8]);
                segment[2..4].copy_from_slice(&port);
            }
            segment[12] = (5 + numbers.below(3) as u8) << 4;
            segment[13] &= [0x3f, 0x02, 0x10, 0x19][numbers.below(4)];
        }
        if header <= len {
            Ipv4Packet::new_unchecked(&mut packet[..]).fill_checksum();
        }
        guest.nat.input(&bytes);
        if round % 16 == 0 {
            guest.nat.poll(Instant::now()).expect("the host's event queue works");
        }
        // The guest does not always listen.
        if round % 5000 > 4000 {
            while guest.nat.output().is_some() {
                guest.nat.delivered();
            }
        }
    }
    still_alive(&mut guest);
}

#[test]
fn frames_for_a_guest_that_does_not_take_them_are_bounded() {
    let mut guest = Guest::new(UserNetConfig::default());
    let request = udp_frame(SocketAddrV4::new(GUEST, 1000), SocketAddrV4::new(NAMES, 1), b"?");
    for _ in 0..10_000 {
        guest.nat.input(&request);
    }
    let mut waiting = 0;
    while guest.nat.output().is_some() {
        guest.nat.delivered();
        waiting += 1;
    }
    assert_eq!(waiting, 1024);
}

#[test]
fn flows_are_bounded() {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let mut guest = Guest::new(UserNetConfig::default());
    for n in 0..3000 {
        guest.raw(&udp_frame(SocketAddrV4::new(GUEST, 2000 + n), host(port), b"?"));
    }
    let open = std::fs::read_dir("/proc/self/fd").expect("this is Linux").count();
    assert!(open < 900, "{open} descriptors are open");
    still_alive(&mut guest);
}

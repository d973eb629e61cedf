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

/// Real connections whose frames are followed by altered copies, so that states past the handshake are reached.
#[test]
fn altered_traffic_does_no_harm() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        // Until the test's process ends; each connection may break in any way.
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(len @ 1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(&buffer[..len]);
                }
            });
        }
    });
    let mut guest = Guest::new(UserNetConfig::default());
    let mut numbers = Numbers(0xda942042e4dd58b5);
    let mut heard = 0;
    for round in 0..150 {
        let handle = guest.connect(host(port));
        for step in 0..30 {
            guest.step();
            let socket = guest.socket(handle);
            let _ = socket.send_slice(&[7; 3000]);
            heard += socket.recv(|data| (data.len(), data.len())).unwrap_or(0);
            if step == 20 {
                socket.close();
            }
            let now = NetInstant::from_micros(guest.start.elapsed().as_micros() as i64);
            guest.iface.poll(now, &mut guest.card, &mut guest.sockets);
            for frame in std::mem::take(&mut guest.card.sent) {
                guest.nat.input(&frame);
                let mut altered = frame.clone();
                for _ in 0..=numbers.below(3) {
                    // The IP header's length and addresses stay, or it would go nowhere; the TCP header is fair game.
                    let at = 34 + numbers.below((frame.len() - 34).min(28));
                    altered[at] = numbers.next() as u8;
                }
                // Most of them belong to the connection, and none goes to another server of this machine.
                let ports = if numbers.below(8) == 0 { 36..38 } else { 34..38 };
                altered[ports.clone()].copy_from_slice(&frame[ports]);
                guest.nat.input(&altered);
            }
            if round % 3 == 0 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        // The port is used again, with or without the NAT having heard of the end.
        guest.sockets.remove(handle);
    }
    assert!(heard > 0, "no connection came to life");
    still_alive(&mut guest);
}

use super::*;
use crate::host::net::user::fragment::Reassembly;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::icmp;
use smoltcp::wire::{EthernetFrame, Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, Ipv4Packet};
use std::net::UdpSocket;

/// Sends a datagram past the guest's kernel and waits for the frames that `pick` takes something from.
fn ask<T>(guest: &mut Guest, frames: &[Vec<u8>], mut pick: impl FnMut(&[u8]) -> Option<T>) -> T {
    let mut answers: Vec<Vec<u8>> = frames.iter().flat_map(|frame| guest.raw(frame)).collect();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = answers.drain(..).find_map(|frame| pick(&frame)) {
            return found;
        }
        assert!(Instant::now() < deadline, "no answer");
        std::thread::sleep(Duration::from_millis(1));
        answers = guest.raw(&[]);
    }
}

/// A host's server that sends each datagram back, once.
fn echo_server(answers: usize) -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = socket.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        for _ in 0..answers {
            let (len, peer) = socket.recv_from(&mut buffer).expect("the socket works");
            socket.send_to(&buffer[..len], peer).expect("the socket works");
        }
    });
    port
}

#[test]
fn a_datagram_is_answered_from_where_it_was_sent() {
    let port = echo_server(2);
    let mut guest = Guest::new(UserNetConfig::default());
    let from = SocketAddrV4::new(GUEST, 5000);
    for data in [&b"hello"[..], b""] {
        let answer = ask(&mut guest, &[udp_frame(from, host(port), data)], parse_udp);
        assert_eq!(answer, (host(port), from, data.to_vec()));
    }
}

#[test]
fn a_datagram_to_nobody_is_reported() {
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|s| s.local_addr())
        .expect("a port is free")
        .port();
    let mut guest = Guest::new(UserNetConfig::default());
    let (from, to) = (SocketAddrV4::new(GUEST, 5000), host(port));
    let (code, ports) = ask(&mut guest, &[udp_frame(from, to, b"anybody?")], |frame| {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        let ip = Ipv4Packet::new_checked(frame.payload()).ok()?;
        match Icmpv4Repr::parse(
            &Icmpv4Packet::new_checked(ip.payload()).ok()?,
            &ChecksumCapabilities::default(),
        ) {
            Ok(Icmpv4Repr::DstUnreachable { reason, data, .. }) => Some((reason, data[..4].to_vec())),
            _ => None,
        }
    });
    assert_eq!(code, Icmpv4DstUnreachable::PortUnreachable);
    assert_eq!(ports, [from.port().to_be_bytes(), to.port().to_be_bytes()].concat());
}

/// Cuts a frame's IP packet into fragments of `step` bytes.
fn cut(frame: &[u8], step: usize) -> Vec<Vec<u8>> {
    let payload = &frame[34..];
    let parts = payload.chunks(step).enumerate();
    parts
        .map(|(n, part)| {
            let mut piece = [&frame[..34], part].concat();
            let len = piece.len();
            let mut ip = Ipv4Packet::new_unchecked(&mut piece[14..]);
            ip.set_total_len((len - 14) as u16);
            ip.set_ident(99);
            ip.set_frag_offset((n * step) as u16);
            ip.set_more_frags(n * step + part.len() < payload.len());
            ip.fill_checksum();
            piece
        })
        .collect()
}

#[test]
fn large_datagrams_travel_in_fragments() {
    let port = echo_server(1);
    let mut guest = Guest::new(UserNetConfig::default());
    let (from, data) = (SocketAddrV4::new(GUEST, 5000), pattern(20_000));
    let mut frames = cut(&udp_frame(from, host(port), &data), 1480);
    frames.reverse();
    let mut reassembly = Reassembly::default();
    let answer = ask(&mut guest, &frames, |frame| {
        assert!(frame.len() <= 1514);
        let ip = Ipv4Packet::new_checked(&frame[14..]).ok()?;
        let whole = reassembly.add(&ip, Instant::now())?;
        parse_udp(&[&frame[..14], &whole[..]].concat())
    });
    assert!(answer == (host(port), from, data));
}

#[test]
fn fragments_that_contradict_each_other_are_dropped_and_never_pile_up() {
    let frame = udp_frame(SocketAddrV4::new(GUEST, 1), host(1), &pattern(5000));
    let pieces = cut(&frame, 1480);
    let now = Instant::now();
    let mut reassembly = Reassembly::default();
    let mut add = |frame: &[u8]| reassembly.add(&Ipv4Packet::new_unchecked(&frame[14..]), now).is_some();
    let overlap = cut(&frame, 1000);
    assert!(!add(&pieces[0]) && !add(&overlap[1]), "an overlap ends it");
    assert!(!add(&pieces[1]) && !add(&pieces[2]) && !add(&pieces[3]), "what came before was forgotten");
    assert!(add(&pieces[0]));
    for ident in 0..1000 {
        let mut piece = pieces[0].clone();
        Ipv4Packet::new_unchecked(&mut piece[14..]).set_ident(ident);
        assert!(!add(&piece));
    }
}

#[test]
fn a_forwarded_udp_port_leads_into_the_guest_and_back() {
    let mut guest = Guest::new(UserNetConfig::default());
    let at = guest
        .nat
        .add_hostfwd("udp:127.0.0.1:0-:69".parse().expect("the rule is right"))
        .expect("a port is free");
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("the time is not zero");
    client.send_to(b"ping", at).expect("the socket works");
    // The guest has not been heard of: it is asked for its MAC address first.
    let own = SocketAddrV4::new(GUEST, 69);
    let arp = udp_frame(own, host(9), b"here I am");
    let (from, to, data) = ask(&mut guest, &[arp], parse_udp);
    let port = client.local_addr().expect("it is bound").port();
    assert_eq!((from, to, &data[..]), (host(port), own, &b"ping"[..]));
    guest.raw(&udp_frame(own, from, b"pong"));
    let mut buffer = [0; 16];
    let (len, peer) = client.recv_from(&mut buffer).expect("an answer comes");
    assert_eq!((&buffer[..len], peer), (&b"pong"[..], at.into()));
}

#[test]
fn the_gateway_and_the_name_server_answer_a_ping() {
    let mut guest = Guest::new(UserNetConfig::default());
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 1024]);
    let handle = guest.sockets.add(icmp::Socket::new(buffer(), buffer()));
    let socket = guest.sockets.get_mut::<icmp::Socket<'_>>(handle);
    socket.bind(icmp::Endpoint::Ident(0x1234)).expect("the socket is new");
    for to in [GATEWAY, NAMES] {
        let request = Icmpv4Repr::EchoRequest { ident: 0x1234, seq_no: 3, data: b"are you there?" };
        let socket = guest.sockets.get_mut::<icmp::Socket<'_>>(handle);
        let room = socket.send(request.buffer_len(), to.into()).expect("there is room");
        request.emit(&mut Icmpv4Packet::new_unchecked(room), &ChecksumCapabilities::default());
        guest.until(|guest| {
            let (data, from) = guest.sockets.get_mut::<icmp::Socket<'_>>(handle).recv().ok()?;
            let reply = Icmpv4Packet::new_checked(data).expect("it is whole");
            assert_eq!((from, reply.echo_seq_no(), reply.data()), (to.into(), 3, &b"are you there?"[..]));
            Some(())
        });
    }
}

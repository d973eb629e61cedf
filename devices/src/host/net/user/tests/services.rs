use super::*;
use crate::host::net::user::{HostFwd, Subnet};
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetFrame, EthernetProtocol,
    EthernetRepr,
};
use std::net::UdpSocket;

#[test]
fn dhcp_gives_the_guest_its_address_and_the_plan() {
    let mut guest = Guest::unconfigured(UserNetConfig::default());
    let handle = guest.sockets.add(dhcpv4::Socket::new());
    guest.until(|guest| match guest.sockets.get_mut::<dhcpv4::Socket<'_>>(handle).poll()? {
        dhcpv4::Event::Configured(lease) => {
            assert_eq!((lease.address.address(), lease.address.prefix_len()), (GUEST, 24));
            assert_eq!(lease.router, Some(GATEWAY));
            assert_eq!(&lease.dns_servers[..], [NAMES]);
            Some(())
        }
        dhcpv4::Event::Deconfigured => None,
    });
}

/// A client's message in a frame.
fn dhcp_frame(mac: EthernetAddress, kind: DhcpMessageType, requested: Option<Ipv4Addr>) -> Vec<u8> {
    let repr = DhcpRepr {
        message_type: kind,
        transaction_id: 0xabcd,
        secs: 0,
        client_hardware_address: mac,
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: Ipv4Addr::UNSPECIFIED,
        server_ip: Ipv4Addr::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: true,
        requested_ip: requested,
        client_identifier: None,
        server_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut message = vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut message[..])).expect("it fits");
    udp_frame(
        SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68),
        SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
        &message,
    )
}

/// The kind, the address and the options of the server's answer.
fn answer(guest: &mut Guest, request: &[u8]) -> (DhcpMessageType, Ipv4Addr, Vec<(u8, Vec<u8>)>) {
    let (_, _, message) =
        guest.raw(request).iter().find_map(|frame| parse_udp(frame)).expect("the server answers");
    let packet = DhcpPacket::new_checked(&message[..]).expect("it is whole");
    assert_eq!(packet.transaction_id(), 0xabcd);
    let options: Vec<(u8, Vec<u8>)> =
        packet.options().map(|option| (option.kind, option.data.to_vec())).collect();
    let kind = options.iter().find(|(kind, _)| *kind == 53).expect("each answer has a type").1[0];
    (kind.into(), packet.your_ip(), options)
}

#[test]
fn dhcp_keeps_leases_apart_and_bounded() {
    let mut guest = Guest::unconfigured(UserNetConfig::default());
    let mac = |n: u8| EthernetAddress([2, 0, 0, 0, 0, n]);
    let offer = |guest: &mut Guest, n, wanted| {
        answer(guest, &dhcp_frame(mac(n), DhcpMessageType::Discover, wanted)).1
    };
    assert_eq!(offer(&mut guest, 1, None), GUEST);
    assert_eq!(offer(&mut guest, 2, Some(Ipv4Addr::new(10, 0, 2, 20))), Ipv4Addr::new(10, 0, 2, 20));
    assert_eq!(offer(&mut guest, 1, Some(Ipv4Addr::new(10, 0, 2, 21))), GUEST, "who has one keeps it");
    assert_eq!(offer(&mut guest, 3, Some(GATEWAY)), Ipv4Addr::new(10, 0, 2, 16));
    let foreign = dhcp_frame(mac(4), DhcpMessageType::Request, Some(Ipv4Addr::new(192, 168, 1, 5)));
    assert_eq!(answer(&mut guest, &foreign).0, DhcpMessageType::Nak);
    for n in 5..=255 {
        let address = offer(&mut guest, n, None);
        assert!((15..31).contains(&address.octets()[3]), "{address} is not one of the pool");
    }
}

#[test]
fn dhcp_names_the_guest_and_its_domain() {
    let config = UserNetConfig {
        hostname: Some("mimic".into()),
        domain: Some("example.org".into()),
        ..Default::default()
    };
    let mut guest = Guest::unconfigured(config);
    let (kind, address, options) =
        answer(&mut guest, &dhcp_frame(MAC, DhcpMessageType::Request, Some(GUEST)));
    assert_eq!((kind, address), (DhcpMessageType::Ack, GUEST));
    assert!(options.contains(&(12, b"mimic".to_vec())));
    assert!(options.contains(&(15, b"example.org".to_vec())));
    assert!(options.contains(&(1, vec![255, 255, 255, 0])));
    assert!(options.contains(&(54, vec![10, 0, 2, 2])));
}

/// Who answers an ARP request for `target`.
fn arp(guest: &mut Guest, source: Ipv4Addr, target: Ipv4Addr) -> Option<EthernetAddress> {
    let repr = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: MAC,
        source_protocol_addr: source,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target,
    };
    let mut bytes = vec![0; 60];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    EthernetRepr { src_addr: MAC, dst_addr: EthernetAddress::BROADCAST, ethertype: EthernetProtocol::Arp }
        .emit(&mut frame);
    repr.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    let answers = guest.raw(&bytes);
    let frame = EthernetFrame::new_checked(answers.first()?).expect("it is whole");
    match ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).expect("it is whole")).expect("it is right")
    {
        ArpRepr::EthernetIpv4 { operation, source_hardware_addr, source_protocol_addr, .. } => {
            assert_eq!((operation, source_protocol_addr), (ArpOperation::Reply, target));
            Some(source_hardware_addr)
        }
        _ => None,
    }
}

#[test]
fn arp_answers_for_all_of_the_network_but_the_guest() {
    let mut guest = Guest::new(UserNetConfig::default());
    let last = |n| Ipv4Addr::new(10, 0, 2, n);
    for there in [GATEWAY, NAMES, last(1), last(77), last(254)] {
        assert_eq!(arp(&mut guest, GUEST, there), Some(GATEWAY_MAC), "{there}");
    }
    for absent in [GUEST, last(0), last(255), Ipv4Addr::new(10, 0, 3, 2)] {
        assert_eq!(arp(&mut guest, GUEST, absent), None, "{absent}");
    }
    assert_eq!(arp(&mut guest, Ipv4Addr::UNSPECIFIED, last(77)), None, "a probe for a duplicate");
    assert_eq!(arp(&mut guest, Ipv4Addr::UNSPECIFIED, GATEWAY), Some(GATEWAY_MAC));
    assert_eq!(arp(&mut guest, last(77), last(77)), None, "an announcement");
}

/// A query for the address of "a.b".
const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x01a\x01b\0\0\x01\0\x01";

fn resolve(guest: &mut Guest) -> Vec<u8> {
    let from = SocketAddrV4::new(GUEST, 4000);
    let server = SocketAddrV4::new(NAMES, 53);
    let mut answers = guest.raw(&udp_frame(from, server, QUERY));
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some((source, to, data)) = answers.iter().find_map(|frame| parse_udp(frame)) {
            assert_eq!((source, to), (server, from));
            return data;
        }
        assert!(Instant::now() < deadline, "no answer");
        std::thread::sleep(Duration::from_millis(1));
        answers = guest.raw(&[]);
    }
}

#[test]
fn names_are_looked_up_by_the_host() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let upstream_dns = Some(socket.local_addr().expect("it is bound"));
    let server = std::thread::spawn(move || {
        let mut buffer = [0; 512];
        let (len, peer) = socket.recv_from(&mut buffer).expect("the socket works");
        assert_eq!(&buffer[..len], QUERY);
        // A forged identifier first: it must not get through.
        socket.send_to(b"\xff\xff\x81\x80\0\0\0\0\0\0\0\0forged", peer).expect("the socket works");
        socket.send_to(b"\x12\x34\x81\x80\0\0\0\0\0\0\0\0answer", peer).expect("the socket works");
    });
    let mut guest = Guest::new(UserNetConfig { upstream_dns, ..Default::default() });
    assert_eq!(resolve(&mut guest), b"\x12\x34\x81\x80\0\0\0\0\0\0\0\0answer");
    guest.ended(server);
}

#[test]
fn a_query_that_nobody_answers_fails_in_time() {
    let refused =
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|s| s.local_addr()).expect("a port is free");
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let silent_at = silent.local_addr().expect("it is bound");
    for (upstream, limit) in [(refused, Duration::from_secs(1)), (silent_at, Duration::from_secs(5))] {
        let mut guest = Guest::new(UserNetConfig { upstream_dns: Some(upstream), ..Default::default() });
        let start = Instant::now();
        let answer = resolve(&mut guest);
        assert_eq!(answer[..4], [0x12, 0x34, 0x81, 0x82], "SERVFAIL");
        assert_eq!(answer[4..], QUERY[4..], "with the question");
        assert!(start.elapsed() < limit);
    }
}

#[test]
fn a_restricted_guest_reaches_nobody() {
    use smoltcp::wire::{Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, Ipv4Packet};
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    socket.set_nonblocking(true).expect("a socket has that option");
    let port = socket.local_addr().expect("it is bound").port();
    let mut guest = Guest::new(UserNetConfig { restrict: true, ..Default::default() });
    for to in [host(port), SocketAddrV4::new(NAMES, 53), SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 9)] {
        let answers = guest.raw(&udp_frame(SocketAddrV4::new(GUEST, 5000), to, b"let me out"));
        let packet = Ipv4Packet::new_checked(&answers[0][14..]).expect("it is whole");
        let icmp = Icmpv4Packet::new_checked(packet.payload()).expect("it is whole");
        assert_eq!(icmp.msg_type(), Icmpv4Message::DstUnreachable);
        assert_eq!(icmp.msg_code(), u8::from(Icmpv4DstUnreachable::CommProhibited));
    }
    assert!(socket.recv(&mut [0; 16]).is_err(), "nothing got out");
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.set_nonblocking(true).expect("a socket has that option");
    guest.connect(host(listener.local_addr().expect("it is bound").port()));
    guest.linger(Duration::from_millis(100));
    assert!(listener.accept().is_err(), "nothing got out");
    let (_, _, options) = answer(&mut guest, &dhcp_frame(MAC, DhcpMessageType::Discover, None));
    assert!(options.iter().all(|(kind, _)| *kind != 3 && *kind != 6), "and there is no way out to tell of");
}

#[test]
fn rules_are_read_as_they_are_printed_and_faults_are_named() {
    for (text, printed) in [
        ("tcp::2222-:22", "tcp:0.0.0.0:2222-0.0.0.0:22"),
        (":127.0.0.1:0-10.0.2.16:80", "tcp:127.0.0.1:0-10.0.2.16:80"),
        ("udp::69-:69", "udp:0.0.0.0:69-0.0.0.0:69"),
    ] {
        let rule: HostFwd = text.parse().expect("the rule is right");
        assert_eq!(rule.to_string(), printed);
        assert_eq!(printed.parse::<HostFwd>().expect("the rule is right"), rule);
    }
    for (text, why) in [
        ("2222", "expected [tcp|udp]:"),
        ("sctp::1-:1", "must be tcp or udp"),
        ("tcp::2222", "expected [tcp|udp]:"),
        ("tcp:somewhere:1-:1", "the host address"),
        ("tcp::70000-:1", "the host port"),
        ("tcp::1-elsewhere:1", "the guest address"),
        ("tcp::1-:0", "the guest port"),
    ] {
        let error = text.parse::<HostFwd>().expect_err("the rule is wrong").to_string();
        assert!(error.starts_with(&format!("hostfwd={text}: ")) && error.contains(why), "{error}");
    }
}

#[test]
fn networks_are_read_in_each_notation_and_nonsense_is_refused() {
    for (text, network) in [
        ("10.0.2.0/24", "10.0.2.0/24"),
        ("192.168.7.9/255.255.255.0", "192.168.7.0/24"),
        ("10.1.2.3", "10.0.0.0/8"),
    ] {
        assert_eq!(text.parse::<Subnet>().expect("it is right").to_string(), network);
    }
    for text in ["10.0.2.0/30", "10.0.2.0/0", "10.0.2/24", "10.0.2.0/255.0.255.0", "10.0.2.0/x"] {
        assert!(
            text.parse::<Subnet>().expect_err("it is wrong").to_string().starts_with(&format!("net={text}"))
        );
    }
    let elsewhere = UserNetConfig { dns: Ipv4Addr::new(10, 9, 9, 9), ..Default::default() };
    let error = Nat::new(elsewhere).err().expect("the name server is not on the network");
    assert!(error.to_string().starts_with("dns=10.9.9.9: "), "{error}");
}

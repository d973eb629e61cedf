use super::*;
use crate::host::net::user::HostFwd;
use smoltcp::socket::tcp::State;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

const MEGABYTES: usize = 6 << 20;

/// A host's server for one connection.
fn serve<T: Send + 'static>(work: impl FnOnce(TcpStream) -> T + Send + 'static) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    (port, std::thread::spawn(move || work(listener.accept().expect("the NAT connects").0)))
}

/// Sends `data` and then an end of file, if told to, and collects what comes until the other side's end of file.
fn talk(guest: &mut Guest, handle: SocketHandle, data: &[u8], finish: bool) -> Vec<u8> {
    let (mut sent, mut got) = (0, Vec::new());
    guest.until(|guest| {
        let socket = guest.socket(handle);
        if sent < data.len() && socket.can_send() {
            sent += socket.send_slice(&data[sent..]).expect("the connection is open");
            if sent == data.len() && finish {
                socket.close();
            }
        }
        while socket.can_recv() {
            socket
                .recv(|bytes| {
                    got.extend_from_slice(bytes);
                    (bytes.len(), ())
                })
                .expect("there is data");
        }
        let heard_all = matches!(
            socket.state(),
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait | State::Closed
        );
        (sent == data.len() && heard_all && !socket.can_recv()).then_some(())
    });
    got
}

#[test]
fn megabytes_go_both_ways_and_none_is_lost_at_the_end() {
    let (port, server) = serve(|mut stream| {
        let mut buffer = vec![0; 50_000];
        let mut total = 0;
        loop {
            match stream.read(&mut buffer).expect("no reset") {
                0 => return total,
                len => {
                    total += len;
                    stream.write_all(&buffer[..len]).expect("no reset");
                }
            }
        }
    });
    let mut guest = Guest::new(UserNetConfig::default());
    let handle = guest.connect(host(port));
    let data = pattern(MEGABYTES);
    let got = talk(&mut guest, handle, &data, true);
    assert!(got == data, "{} of {} bytes came back, or not the right ones", got.len(), data.len());
    assert_eq!(guest.ended(server), MEGABYTES);
}

#[test]
fn a_host_that_ended_first_still_hears_the_guest() {
    let (port, server) = serve(|mut stream| {
        stream.write_all(&pattern(300_000)).expect("no reset");
        stream.shutdown(Shutdown::Write).expect("it is open");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("no reset");
        all
    });
    let mut guest = Guest::new(UserNetConfig::default());
    let handle = guest.connect(host(port));
    assert!(talk(&mut guest, handle, &[], false) == pattern(300_000));
    assert_eq!(guest.socket(handle).state(), State::CloseWait);
    talk(&mut guest, handle, &pattern(MEGABYTES), true);
    guest.until(|guest| (guest.socket(handle).state() == State::Closed).then_some(()));
    assert!(guest.ended(server) == pattern(MEGABYTES));
}

#[test]
fn a_guest_that_ended_first_still_hears_the_host() {
    let (port, server) = serve(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("no reset");
        stream.write_all(&pattern(MEGABYTES)).expect("no reset");
        all
    });
    let mut guest = Guest::new(UserNetConfig::default());
    let handle = guest.connect(host(port));
    assert!(talk(&mut guest, handle, b"a question", true) == pattern(MEGABYTES));
    assert_eq!(guest.ended(server), b"a question");
}

#[test]
fn a_refused_port_is_a_reset() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|l| l.local_addr())
        .expect("a port is free")
        .port();
    let mut guest = Guest::new(UserNetConfig::default());
    let handle = guest.connect(host(port));
    let start = Instant::now();
    guest.until(|guest| (guest.socket(handle).state() == State::Closed).then_some(()));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn the_name_server_has_no_other_services() {
    let mut guest = Guest::new(UserNetConfig::default());
    let handle = guest.connect(SocketAddrV4::new(NAMES, 80));
    guest.until(|guest| (guest.socket(handle).state() == State::Closed).then_some(()));
}

#[test]
fn a_reset_crosses_the_nat_both_ways() {
    let (port, server) = serve(|mut stream| stream.read(&mut [0; 10]).map_err(|error| error.kind()));
    let mut guest = Guest::new(UserNetConfig::default());
    let handle = guest.connect(host(port));
    guest.until(|guest| guest.socket(handle).may_send().then_some(()));
    guest.socket(handle).abort();
    guest.until(|_| server.is_finished().then_some(()));
    assert_eq!(guest.ended(server), Err(ErrorKind::ConnectionReset));

    let (port, server) = serve(|stream| {
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .expect("a TCP socket has that option");
    });
    let handle = guest.connect(host(port));
    guest.until(|guest| (guest.socket(handle).state() == State::Closed).then_some(()));
    guest.ended(server);
}

#[test]
fn a_guest_that_does_not_read_stops_the_host() {
    let (port, server) = serve(|mut stream| {
        stream.set_write_timeout(Some(Duration::from_secs(1))).expect("the time is not zero");
        let block = [0; 65536];
        let mut total = 0;
        while let Ok(len) = stream.write(&block) {
            total += len;
            assert!(total < 64 << 20, "somebody takes it all in");
        }
        total
    });
    let mut guest = Guest::new(UserNetConfig::default());
    guest.connect(host(port));
    guest.until(|_| server.is_finished().then_some(()));
    assert!(guest.ended(server) > 0);
}

#[test]
fn a_card_without_buffers_stops_the_host() {
    let (port, server) = serve(|mut stream| {
        stream.write_all(&pattern(MEGABYTES)).expect("no reset");
    });
    let mut guest = Guest::new(UserNetConfig::default());
    let handle = guest.connect(host(port));
    guest.until(|guest| guest.socket(handle).may_send().then_some(()));
    // The card takes nothing for a while.
    for _ in 0..200 {
        guest.nat.poll(Instant::now()).expect("the host's event queue works");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(talk(&mut guest, handle, &[], true) == pattern(MEGABYTES));
    guest.ended(server);
}

/// Lets the guest listen on a port and say what it hears back in reverse.
fn answer(guest: &mut Guest, port: u16) {
    let handle = guest.tcp();
    guest.socket(handle).listen(port).expect("the port is not zero");
    let mut answered = false;
    guest.until(|guest| {
        let socket = guest.socket(handle);
        if let Ok(data) = socket.recv(|data| (data.len(), data.iter().rev().copied().collect::<Vec<u8>>()))
            && !data.is_empty()
        {
            socket.send_slice(&data).expect("there is room");
            socket.close();
            answered = true;
        }
        (answered && !socket.is_open()).then_some(())
    });
}

#[test]
fn a_forwarded_port_leads_into_the_guest_until_it_is_removed() {
    let rule: HostFwd = "tcp:127.0.0.1:0-:22".parse().expect("the rule is right");
    let mut guest = Guest::new(UserNetConfig::default());
    let at = guest.nat.add_hostfwd(rule).expect("a port is free");
    assert_eq!(guest.nat.hostfwds(), [HostFwd { host: at, guest: SocketAddrV4::new(GUEST, 22), ..rule }]);
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(at).expect("it is forwarded");
        stream.write_all(b"abc").expect("no reset");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("no reset");
        all
    });
    answer(&mut guest, 22);
    guest.until(|_| client.is_finished().then_some(()));
    assert_eq!(guest.ended(client), b"cba");

    guest.nat.remove_hostfwd(rule.transport, at).expect("it is there");
    assert!(guest.nat.remove_hostfwd(rule.transport, at).is_err());
    assert_eq!(TcpStream::connect(at).expect_err("it is closed").kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_forwarded_port_that_the_guest_refuses_resets_the_client() {
    let mut guest = Guest::new(UserNetConfig::default());
    let at = guest.nat.add_hostfwd("::0-:22".parse().expect("the rule is right")).expect("a port is free");
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, at.port())).expect("it is forwarded");
        stream.read(&mut [0; 10]).map_err(|error| error.kind())
    });
    guest.until(|_| client.is_finished().then_some(()));
    assert_eq!(guest.ended(client), Err(ErrorKind::ConnectionReset));
}

#[test]
fn what_a_slow_host_has_not_read_survives_the_guests_end_of_the_connection() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    socket2::SockRef::from(&listener).set_recv_buffer_size(4096).expect("a socket has that option");
    let port = listener.local_addr().expect("it is bound").port();
    let (start_reading, told) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        let stalled = listener.accept().expect("the NAT connects");
        let (mut stream, _) = listener.accept().expect("the NAT connects");
        stream.shutdown(Shutdown::Write).expect("it is open");
        told.recv().expect("the test goes on");
        drop(stalled);
        let mut all = Vec::new();
        stream.read_to_end(&mut all).map(|_| all).map_err(|error| error.kind())
    });
    let mut guest = Guest::new(UserNetConfig::default());

    // How much disappears in buffers while nobody reads?
    let handle = guest.connect(host(port));
    let (mut taken, mut since) = (0, Instant::now());
    guest.until(|guest| {
        let socket = guest.socket(handle);
        if let Ok(len @ 1..) = socket.send_slice(&[0; 16384]) {
            taken += len;
            since = Instant::now();
        }
        (taken > 0 && since.elapsed() > Duration::from_millis(300)).then_some(())
    });
    taken -= guest.socket(handle).send_queue();

    // A little less than that: all of it is acknowledged, and part of it is still in the NAT when the guest is done.
    let handle = guest.connect(host(port));
    guest.until(|guest| (guest.socket(handle).state() == State::CloseWait).then_some(()));
    let data = pattern(taken - 100_000);
    talk(&mut guest, handle, &data, true);
    guest.until(|guest| (guest.socket(handle).state() == State::Closed).then_some(()));
    start_reading.send(()).expect("the server waits");
    guest.until(|_| server.is_finished().then_some(()));
    assert!(guest.ended(server) == Ok(data));
}

#[test]
fn a_large_segment_without_check_sum_is_taken() {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet, Ipv4Repr};
    use smoltcp::wire::{TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, TcpTimestampRepr};
    const LARGE: usize = 40_000;
    let (port, server) = serve(|mut stream| {
        let mut data = vec![0; LARGE];
        stream.read_exact(&mut data).map(|()| data).map_err(|error| error.kind())
    });
    let segment = |control, seq: i32, ack, payload: &[u8]| {
        let tcp = TcpRepr {
            src_port: 1000,
            dst_port: port,
            control,
            seq_number: TcpSeqNumber(seq),
            ack_number: ack,
            window_len: 8000,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None::<TcpTimestampRepr>,
            payload,
        };
        let ip = Ipv4Repr {
            src_addr: GUEST,
            dst_addr: GATEWAY,
            next_header: IpProtocol::Tcp,
            payload_len: tcp.buffer_len(),
            hop_limit: 64,
        };
        let mut bytes = vec![0; 34 + tcp.buffer_len()];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        EthernetRepr { src_addr: MAC, dst_addr: GATEWAY_MAC, ethertype: EthernetProtocol::Ipv4 }
            .emit(&mut frame);
        ip.emit(&mut Ipv4Packet::new_unchecked(frame.payload_mut()), &ChecksumCapabilities::default());
        let mut packet = TcpPacket::new_unchecked(&mut frame.payload_mut()[20..]);
        tcp.emit(&mut packet, &GUEST.into(), &GATEWAY.into(), &ChecksumCapabilities::ignored());
        bytes
    };
    let mut guest = Guest::new(UserNetConfig::default());
    let mut answers = guest.raw(&segment(TcpControl::Syn, 100, None, &[]));
    let deadline = Instant::now() + Duration::from_secs(10);
    while answers.is_empty() {
        assert!(Instant::now() < deadline, "no answer");
        answers = guest.raw(&[]);
    }
    let packet = TcpPacket::new_checked(&answers[0][34..]).expect("it is whole");
    assert!(packet.syn() && packet.ack());
    guest.raw(&segment(TcpControl::Psh, 101, Some(packet.seq_number() + 1), &pattern(LARGE)));
    guest.until(|_| server.is_finished().then_some(()));
    assert!(guest.ended(server) == Ok(pattern(LARGE)));
}

#[test]
fn a_connection_on_which_nothing_happens_needs_no_attention() {
    let (port, server) = serve(|mut stream| {
        stream.write_all(&pattern(1 << 20)).expect("no reset");
        stream.read(&mut [0; 1]).expect("no reset")
    });
    let mut guest = Guest::new(UserNetConfig::default());
    let handle = guest.connect(host(port));
    let rest = |guest: &Guest| {
        let at = guest.nat.deadline().expect("idle connections are looked for");
        at.saturating_duration_since(Instant::now())
    };
    guest.until(|guest| (guest.socket(handle).recv_queue() == 65536).then_some(()));
    guest.linger(Duration::from_millis(300));
    assert!(rest(&guest) > Duration::from_millis(20), "the guest's window is closed");
    let mut got = 0;
    guest.until(|guest| {
        got += guest.socket(handle).recv(|data| (data.len(), data.len())).expect("the connection is open");
        (got == 1 << 20).then_some(())
    });
    guest.linger(Duration::from_millis(300));
    assert!(rest(&guest) > Duration::from_secs(1), "there is nothing to send");
    guest.socket(handle).close();
    guest.until(|_| server.is_finished().then_some(()));
    assert_eq!(guest.ended(server), 0);
}

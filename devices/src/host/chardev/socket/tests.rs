use super::super::port::Port;
use super::super::test_support::{LIMIT, Recorder, assert_sleeps, read};
use super::super::{CharBackend, CharConfig, CharError, CharEvent, CharKind, SocketRole, open};
use super::*;
use std::io::Read;
use std::sync::Arc;
use std::thread;

fn config(path: &Path, role: SocketRole) -> CharConfig {
    let address = SocketAddress::Unix(path.into());
    CharKind::Socket(SocketConfig { address, role, telnet: false, busy: None }).into()
}

fn server(path: &Path) -> Result<Arc<dyn CharBackend>, CharError> {
    open(&config(path, SocketRole::Server { wait: false }), "serial0")
}

fn connect_to(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

#[test]
fn a_server_takes_one_client_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serial");
    let port = server(&path).unwrap();
    let guest = Recorder::new();
    port.attach(guest.clone());
    assert_eq!(port.write(b"lost"), 4);
    for n in 1..=3 {
        let mut client = connect_to(&path);
        guest.expect_event(CharEvent::Opened, n);
        port.write(b"prompt");
        assert_eq!(read(&mut client, 6), b"prompt");
        client.write_all(b"x").unwrap();
        guest.expect(&b"xxx"[..n]);
        drop(client);
        guest.expect_event(CharEvent::Closed, n);
    }
    drop(port);
    let gone = (0..1000).any(|_| {
        thread::sleep(Duration::from_millis(10));
        !path.exists()
    });
    assert!(gone, "the socket file is left");
}

#[test]
fn a_new_client_replaces_one_that_left_unread_input() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serial");
    let port = server(&path).unwrap();
    let guest = Recorder::with_room(0);
    port.attach(guest.clone());
    connect_to(&path).write_all(b"never read").unwrap();
    let mut second = connect_to(&path);
    guest.expect_event(CharEvent::Opened, 2);
    port.write(b"hello");
    assert_eq!(read(&mut second, 5), b"hello");
}

#[test]
fn wait_returns_with_the_first_client() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serial");
    let opened = thread::spawn({
        let path = path.clone();
        move || open(&config(&path, SocketRole::Server { wait: true }), "serial0").unwrap()
    });
    thread::sleep(Duration::from_millis(50));
    assert!(!opened.is_finished());
    while !path.exists() {
        thread::sleep(Duration::from_millis(1));
    }
    let mut client = connect_to(&path);
    let port = opened.join().unwrap();
    port.write(b"first byte");
    assert_eq!(read(&mut client, 10), b"first byte");
}

#[test]
fn a_client_calls_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("host");
    let reconnect = Some(Duration::from_millis(20));
    let port = open(&config(&path, SocketRole::Client { reconnect }), "serial0").unwrap();
    let guest = Recorder::new();
    port.attach(guest.clone());
    for n in 1..=3 {
        let listener = UnixListener::bind(&path).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        guest.expect_event(CharEvent::Opened, n);
        port.write(b"here");
        assert_eq!(read(&mut stream, 4), b"here");
        drop((listener, stream));
        fs::remove_file(&path).unwrap();
        guest.expect_event(CharEvent::Closed, n);
    }
}

#[test]
fn a_client_without_a_server_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("host");
    let error = open(&config(&path, SocketRole::Client { reconnect: None }), "serial0").err().unwrap();
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()) && text.contains("reconnect="), "{text}");
}

#[test]
fn a_stale_socket_is_replaced_and_a_file_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serial");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let port = server(&path).unwrap();
    let guest = Recorder::new();
    port.attach(guest.clone());
    let _client = connect_to(&path);
    guest.expect_event(CharEvent::Opened, 1);

    let file = dir.path().join("file");
    fs::write(&file, "precious").unwrap();
    let text = server(&file).err().unwrap().to_string();
    assert!(text.contains("choose another path"), "{text}");
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[test]
fn a_taken_port_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let address = SocketAddress::Tcp { host: "127.0.0.1".into(), port };
    let config = CharKind::Socket(SocketConfig {
        address,
        role: SocketRole::Server { wait: false },
        telnet: false,
        busy: None,
    });
    let text = open(&config.into(), "serial0").err().unwrap().to_string();
    assert!(
        text.contains(&format!("tcp:127.0.0.1:{port}")) && text.contains("choose another port"),
        "{text}"
    );
}

#[test]
fn telnet_over_tcp() {
    let asked = SocketAddress::Tcp { host: "127.0.0.1".into(), port: 0 };
    let listener = Listener::new(&asked, true).unwrap();
    let SocketAddress::Tcp { port, .. } = listener.address(&asked) else { panic!("not TCP") };
    let back_end = Port::start("test", listener.into_source().unwrap(), None, None).unwrap();
    let guest = Recorder::new();
    back_end.attach(guest.clone());
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(read(&mut client, 12), telnet::GREETING);
    guest.expect_event(CharEvent::Opened, 1);
    client.write_all(&[b'a', 255, 253, 1, b'b', 255, 243, b'\r', 0, b'c']).unwrap();
    guest.expect(b"ab\rc");
    guest.expect_event(CharEvent::Break, 1);
    back_end.write(&[1, 255, 2]);
    assert_eq!(read(&mut client, 4), [1, 255, 255, 2]);
}

#[test]
fn a_tcp_client_reaches_a_tcp_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address =
        SocketAddress::Tcp { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
    let config =
        SocketConfig { address, role: SocketRole::Client { reconnect: None }, telnet: false, busy: None };
    let port = open(&CharKind::Socket(config).into(), "serial0").unwrap();
    let guest = Recorder::new();
    port.attach(guest.clone());
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"in").unwrap();
    guest.expect(b"in");
    port.write(b"out");
    assert_eq!(read(&mut peer, 3), b"out");
    drop(peer);
    guest.expect_event(CharEvent::Closed, 1);
}

#[test]
fn a_server_waits_without_work_whatever_its_client_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("serial");
    let port = open(&config(&path, SocketRole::Server { wait: false }), "socket").unwrap();
    assert_sleeps("socket");
    let guest = Recorder::with_room(0);
    port.attach(guest.clone());
    let mut client = connect_to(&path);
    client.write_all(b"unread").unwrap();
    guest.expect_event(CharEvent::Opened, 1);
    while port.write(&[b'x'; 4096]) > 0 {}
    assert_sleeps("socket");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_sleeps("socket");
    drop(client);
    assert_sleeps("socket");
    port.write(b"nobody");
    assert_sleeps("socket");
    guest.add_room(100);
    port.resume();
    guest.expect(b"unread");
    guest.expect_event(CharEvent::Closed, 1);
    assert_sleeps("socket");
}

#[test]
fn clients_that_misbehave_do_not_hold_up_the_end() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..8u32 {
        let path = dir.path().join(format!("serial{seed}"));
        let port = server(&path).unwrap();
        let guest = Recorder::with_room(0);
        port.attach(guest.clone());
        let mut random = seed;
        let mut next = move |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 16) % below
        };
        let mut clients = Vec::new();
        for _ in 0..300 {
            match next(8) {
                0 => clients.push(connect_to(&path)),
                1 => drop(clients.pop()),
                2 if !clients.is_empty() => drop(clients.remove(0)),
                3 => clients.iter_mut().for_each(|client| {
                    client.set_nonblocking(true).unwrap();
                    let _ = client.write(&[1; 5000]);
                }),
                4 => clients.iter().for_each(|client| {
                    let _ = client.shutdown(std::net::Shutdown::Write);
                }),
                5 => {
                    guest.add_room(next(3) as usize * 1000);
                    port.resume();
                }
                6 => clients.iter_mut().for_each(|client| {
                    client.set_nonblocking(true).unwrap();
                    let _ = client.read(&mut [0; 10_000]);
                }),
                _ => {
                    port.write(&[2; 30_000]);
                }
            }
        }
        let begin = std::time::Instant::now();
        port.flush();
        drop(port);
        assert!(begin.elapsed() < Duration::from_secs(3), "seed {seed}: {:?}", begin.elapsed());
    }
}

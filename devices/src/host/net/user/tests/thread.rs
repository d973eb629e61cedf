use super::super::UserNet;
use super::*;
use crate::host::net::{FrameSink, NetBackend};
use parking_lot::Mutex;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A card with few receive buffers.
#[derive(Default)]
struct Buffers {
    frames: Mutex<VecDeque<Vec<u8>>>,
    flushes: AtomicUsize,
}

const BUFFERS: usize = 256;

impl FrameSink for Buffers {
    fn receive(&self, frame: &[u8]) -> bool {
        let mut frames = self.frames.lock();
        let taken = frames.len() < BUFFERS;
        if taken {
            frames.push_back(frame.to_vec());
        }
        taken
    }

    fn flush(&self) {
        self.flushes.fetch_add(1, Ordering::Relaxed);
    }
}

/// A guest on this thread, its network on another.
struct Machine {
    net: UserNet,
    buffers: Arc<Buffers>,
    card: Card,
    iface: Interface,
    sockets: SocketSet<'static>,
    start: Instant,
}

impl Machine {
    fn new() -> Self {
        let net = UserNet::new(UserNetConfig::default()).expect("the configuration is right");
        let buffers = Arc::new(Buffers::default());
        net.attach(buffers.clone());
        let mut card = Card::default();
        let mut iface =
            Interface::new(Config::new(HardwareAddress::Ethernet(MAC)), &mut card, NetInstant::ZERO);
        iface.update_ip_addrs(|addresses| addresses.extend([IpCidr::new(GUEST.into(), 24)]));
        Self { net, buffers, card, iface, sockets: SocketSet::new(Vec::new()), start: Instant::now() }
    }

    fn connect(&mut self, port: u16) -> SocketHandle {
        let buffer = || smoltcp::socket::tcp::SocketBuffer::new(vec![0; 1 << 20]);
        let handle = self.sockets.add(Socket::new(buffer(), buffer()));
        let socket = self.sockets.get_mut::<Socket<'_>>(handle);
        socket.connect(self.iface.context(), (GATEWAY, port), 50000).expect("the socket is new");
        handle
    }

    fn step(&mut self) {
        {
            let mut frames = self.buffers.frames.lock();
            let full = frames.len() == BUFFERS;
            self.card.received.append(&mut frames);
            drop(frames);
            if full {
                self.net.resume();
            }
        }
        let idle = self.card.received.is_empty();
        let now = NetInstant::from_micros(self.start.elapsed().as_micros() as i64);
        self.iface.poll(now, &mut self.card, &mut self.sockets);
        if idle && self.card.sent.is_empty() {
            std::thread::sleep(Duration::from_micros(20));
        }
        for frame in self.card.sent.drain(..) {
            self.net.send(&frame);
        }
    }
}

/// Sends `total` bytes to the host and takes as many from it; returns the time that each took.
fn both_ways(total: usize) -> [Duration; 2] {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the NAT connects");
        let mut block = vec![0; 1 << 18];
        let mut got = 0;
        while got < total {
            got += stream.read(&mut block).expect("no reset");
        }
        let mut sent = 0;
        while sent < total {
            sent += stream.write(&block[..block.len().min(total - sent)]).expect("no reset");
        }
    });
    let mut machine = Machine::new();
    let handle = machine.connect(port);
    let block = vec![0; 1 << 18];
    let (mut sent, mut got) = (0, 0);
    let start = Instant::now();
    let mut upload = None;
    while got < total {
        machine.step();
        let socket = machine.sockets.get_mut::<Socket<'_>>(handle);
        if sent < total && socket.can_send() {
            sent +=
                socket.send_slice(&block[..block.len().min(total - sent)]).expect("the connection is open");
        }
        while let Ok(len @ 1..) = socket.recv(|bytes| (bytes.len(), bytes.len())) {
            upload.get_or_insert(start.elapsed());
            got += len;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "it hangs: {sent} bytes sent, {got} received");
    }
    server.join().expect("the server ends");
    let upload = upload.expect("something came");
    [upload, start.elapsed() - upload]
}

#[test]
fn the_thread_moves_data_and_minds_the_guests_buffers() {
    both_ways(8 << 20);
}

/// Not a test of anything but speed: `cargo test --release -p devices throughput -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn throughput() {
    let total = 1 << 30;
    for (time, name) in both_ways(total).iter().zip(["guest to host", "host to guest"]) {
        println!("{name}: {:.2} Gbit/s", total as f64 * 8e-9 / time.as_secs_f64());
    }
}

#[test]
fn ports_are_forwarded_and_closed_at_run_time() {
    let machine = Machine::new();
    let rule = "tcp:127.0.0.1:0-:22".parse().expect("the rule is right");
    let at = machine.net.add_hostfwd(rule).expect("a port is free");
    let again = format!("tcp:{at}-:22").parse().expect("the rule is right");
    let error = machine.net.add_hostfwd(again).expect_err("the port is taken").to_string();
    assert!(error.starts_with("hostfwd=tcp:127.0.0.1:"), "{error}");
    assert_eq!(machine.net.hostfwds().expect("the thread runs").len(), 1);
    machine.net.remove_hostfwd(rule.transport, at).expect("it is there");
    let error = machine.net.remove_hostfwd(rule.transport, at).expect_err("it is gone").to_string();
    assert_eq!(error, format!("no hostfwd rule tcp:{at} exists"));
}

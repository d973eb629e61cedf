use super::super::CharEvent;
use super::super::test_support::{LIMIT, Recorder, pair, read, start};
use super::*;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixDatagram, UnixStream};

#[test]
fn bytes_go_both_ways() {
    let (port, mut peer) = pair();
    let guest = Recorder::new();
    port.attach(guest.clone());
    guest.expect_event(CharEvent::Opened, 1);
    assert_eq!(port.write(b"hello"), 5);
    assert_eq!(read(&mut peer, 5), b"hello");
    peer.write_all(b"world").unwrap();
    guest.expect(b"world");
}

#[test]
fn input_waits_for_a_device_and_for_room() {
    let (port, mut peer) = pair();
    peer.write_all(b"0123456789").unwrap();
    let guest = Recorder::with_room(3);
    port.attach(guest.clone());
    guest.expect(b"012");
    thread::sleep(Duration::from_millis(20));
    guest.expect(b"012");
    guest.add_room(100);
    port.resume();
    guest.expect(b"0123456789");
}

#[test]
fn a_slow_peer_holds_the_guest_back_and_loses_nothing() {
    let (port, peer) = pair();
    let guest = Recorder::new();
    port.attach(guest.clone());
    let total = 2 << 20;
    let data: Vec<u8> = (0..total).map(|i: u32| (i ^ i >> 8) as u8).collect();
    let (mut sent, mut stops) = (0, 0);
    let mut reader = None;
    while sent < data.len() {
        sent += port.write(&data[sent..]);
        if sent < data.len() {
            stops += 1;
            let start = || {
                let mut peer = peer.try_clone().unwrap();
                thread::spawn(move || read(&mut peer, total as usize))
            };
            reader.get_or_insert_with(start);
            guest.expect_event(CharEvent::Writable, stops);
        }
    }
    assert!(stops > 0 && reader.unwrap().join().unwrap() == data);
}

#[test]
fn single_bytes_are_gathered() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    theirs.set_read_timeout(Some(LIMIT)).unwrap();
    let port = start(ours, None);
    let reader = thread::spawn(move || {
        let (mut bytes, mut packets) = (Vec::new(), 0);
        let mut packet = vec![0; 1 << 17];
        while bytes.len() < 50_000 {
            let n = theirs.recv(&mut packet).unwrap();
            bytes.extend_from_slice(&packet[..n]);
            packets += 1;
        }
        (bytes, packets)
    });
    let begin = Instant::now();
    for i in 0..50_000u32 {
        while port.write(&[i as u8]) == 0 {
            thread::yield_now();
        }
    }
    port.flush();
    let (bytes, packets) = reader.join().unwrap();
    assert!(bytes.iter().enumerate().all(|(i, b)| i as u8 == *b));
    let most = begin.elapsed().as_millis() + 50_000 / PLENTY as u128 + 10;
    assert!(packets <= most, "{packets} writes for 50000 bytes in {:?}", begin.elapsed());
}

#[test]
fn a_peer_that_does_not_read_does_not_hold_up_the_end() {
    let (port, peer) = pair();
    while port.write(&[0; 4096]) > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let begin = Instant::now();
    port.flush();
    let first = begin.elapsed();
    assert!(first < Duration::from_secs(3), "{first:?}");
    // It is known now that there is no use in waiting.
    port.flush();
    drop(port);
    assert!(begin.elapsed() - first < STALLED, "{:?}", begin.elapsed());
    drop(peer);
}

#[test]
fn flush_hands_on_everything() {
    for _ in 0..50 {
        let (port, mut peer) = pair();
        assert_eq!(port.write(&[7; 5000]), 5000);
        assert_eq!(port.write(b"tail"), 4);
        port.flush();
        peer.set_nonblocking(true).unwrap();
        assert_eq!(&read(&mut peer, 5004)[5000..], b"tail");
    }
}

#[test]
fn dropping_it_hands_on_everything_and_closes() {
    let (port, mut peer) = pair();
    port.write(b"last words");
    drop(port);
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"last words");
}

#[test]
fn what_a_peer_sent_before_it_left_is_still_delivered() {
    let (port, mut peer) = pair();
    let guest = Recorder::with_room(3);
    port.attach(guest.clone());
    peer.write_all(b"0123456789").unwrap();
    guest.expect(b"012");
    drop(peer);
    thread::sleep(Duration::from_millis(20));
    port.write(b"nobody");
    assert!(!guest.events().contains(&CharEvent::Closed));
    guest.add_room(100);
    port.resume();
    guest.expect(b"0123456789");
    guest.expect_event(CharEvent::Closed, 1);
    assert_eq!(port.write(&[0; 1 << 20]), 1 << 20, "taken and lost");
}

#[test]
fn a_peer_that_only_stops_sending_still_gets_the_answer() {
    let (port, mut peer) = pair();
    let guest = Recorder::new();
    port.attach(guest.clone());
    peer.write_all(b"question").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    guest.expect(b"question");
    thread::sleep(Duration::from_millis(100));
    port.write(b"answer");
    assert_eq!(read(&mut peer, 6), b"answer");
    guest.expect_event(CharEvent::Closed, 1);
}

#[test]
fn the_log_gets_what_the_guest_writes_also_when_nobody_listens() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let port = start(ours, Some(file.reopen().unwrap()));
    let guest = Recorder::new();
    port.attach(guest.clone());
    port.write(b"one ");
    port.flush();
    drop(theirs);
    guest.expect_event(CharEvent::Closed, 1);
    let many = vec![b'x'; 1 << 20];
    let mut sent = port.write(&many);
    while sent < many.len() {
        port.flush();
        sent += port.write(&many[sent..]);
    }
    port.flush();
    let log = std::fs::read(file.path()).unwrap();
    assert_eq!(log.len(), 4 + many.len());
    assert!(log.starts_with(b"one xxx"));
}

#[test]
fn a_flush_from_the_sink_returns() {
    struct Flushes(Mutex<Option<Arc<Port>>>, Arc<Recorder>);
    impl CharSink for Flushes {
        fn room(&self) -> usize {
            100
        }
        fn receive(&self, bytes: &[u8]) {
            if let Some(port) = &*self.0.lock() {
                port.write(bytes);
                port.flush();
            }
            self.1.receive(bytes);
        }
        fn event(&self, _: CharEvent) {}
    }
    let (port, mut peer) = pair();
    let recorder = Recorder::new();
    let sink = Arc::new(Flushes(Mutex::new(Some(port.clone())), recorder.clone()));
    port.attach(sink.clone());
    peer.write_all(b"x").unwrap();
    recorder.expect(b"x");
    assert_eq!(read(&mut peer, 1), b"x");
    sink.0.lock().take();
}

/// A device that owns its back end, as devices do, and is owned by nobody but the back end.
#[test]
fn a_replaced_device_may_take_another_back_end_with_it() {
    struct Owner(#[expect(dead_code, reason = "dropped with the device")] Arc<Port>);
    impl CharSink for Owner {
        fn room(&self) -> usize {
            0
        }
        fn receive(&self, _: &[u8]) {}
        fn event(&self, _: CharEvent) {}
    }
    let (port, mut peer) = pair();
    for _ in 0..100 {
        let (other, _) = pair();
        port.attach(Arc::new(Owner(other)));
    }
    let guest = Recorder::new();
    port.attach(guest.clone());
    peer.write_all(b"alive").unwrap();
    guest.expect(b"alive");
}

#[test]
fn a_device_that_ends_on_the_back_ends_own_thread_loses_no_output() {
    struct Last(Mutex<Option<Arc<Port>>>);
    impl CharSink for Last {
        fn room(&self) -> usize {
            100
        }
        fn receive(&self, bytes: &[u8]) {
            if let Some(port) = self.0.lock().take() {
                port.write(bytes);
            }
        }
        fn event(&self, _: CharEvent) {}
    }
    for _ in 0..20 {
        let (port, mut peer) = pair();
        port.attach(Arc::new(Last(Mutex::new(Some(port.clone())))));
        drop(port);
        peer.write_all(b"echo").unwrap();
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"echo");
    }
}

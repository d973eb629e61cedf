use super::super::test_support::{LIMIT, Recorder, pair, read};
use super::*;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const HELP: &str = "\n\rC-a h    print this help\n\rC-a x    exit emulator\n\rC-a t    toggle console timestamps\n\r\
                    C-a b    send break (magic sysrq)\n\rC-a c    switch between console and monitor\n\r\
                    C-a C-a  sends C-a\n\r";

struct Bench {
    user: UnixStream,
    fronts: [Arc<dyn CharBackend>; 2],
    guests: [Arc<Recorder>; 2],
    quits: Arc<AtomicUsize>,
}

impl Bench {
    fn new() -> Self {
        Self::with_room(usize::MAX)
    }

    fn with_room(room: usize) -> Self {
        let (inner, user) = pair();
        let quits = Arc::new(AtomicUsize::new(0));
        let count = quits.clone();
        let mux = Mux::new(inner, ESCAPE, "QEMU", move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        let fronts = [mux.front_end(), mux.front_end()];
        let guests = [Recorder::with_room(room), Recorder::with_room(room)];
        for (front, guest) in fronts.iter().zip(&guests) {
            front.attach(guest.clone());
            guest.expect_event(CharEvent::Opened, 1);
        }
        Self { user, fronts, guests, quits }
    }

    fn types(&mut self, keys: &[u8]) {
        self.user.write_all(keys).unwrap();
    }

    fn sees(&mut self, text: &str) {
        assert_eq!(String::from_utf8_lossy(&read(&mut self.user, text.len())), text);
    }
}

#[test]
fn output_of_all_goes_out_and_input_follows_the_focus() {
    let mut b = Bench::new();
    assert_eq!(b.guests[0].events()[..2], [CharEvent::Focus(true), CharEvent::Opened]);
    assert_eq!(b.guests[1].events()[..2], [CharEvent::Focus(false), CharEvent::Opened]);
    b.fronts[0].write(b"serial");
    b.sees("serial");
    b.fronts[1].write(b"monitor");
    b.sees("monitor");
    b.types(b"to serial\x01cto monitor\x01cto serial again");
    b.guests[0].expect(b"to serialto serial again");
    b.guests[1].expect(b"to monitor");
    let focus = |guest: &Recorder| -> Vec<_> {
        guest.events().into_iter().filter(|e| matches!(e, CharEvent::Focus(_))).collect()
    };
    assert_eq!(focus(&b.guests[0]), [true, false, true].map(CharEvent::Focus));
    assert_eq!(focus(&b.guests[1]), [false, true, false].map(CharEvent::Focus));
}

#[test]
fn the_escape_key_itself_and_unknown_commands() {
    let mut b = Bench::new();
    b.types(b"a\x01\x01b\x01zc\x01\x01\x01\x01d");
    b.guests[0].expect(b"a\x01bc\x01\x01d");
}

#[test]
fn help() {
    let mut b = Bench::new();
    b.types(b"\x01h");
    b.sees(HELP);
    b.types(b"\x01?");
    b.sees(HELP);
}

#[test]
fn quit_tells_the_user_and_the_machine() {
    let mut b = Bench::new();
    b.types(b"x\x01x");
    b.sees("QEMU: Terminated\n\r");
    b.guests[0].expect(b"x");
    while b.quits.load(Ordering::SeqCst) != 1 {
        std::thread::yield_now();
    }
}

#[test]
fn a_break_goes_to_the_focus_in_order() {
    let mut b = Bench::new();
    b.types(b"before\x01b");
    b.guests[0].expect_event(CharEvent::Break, 1);
    b.guests[0].expect(b"before");
    b.types(b"\x01c\x01b");
    b.guests[1].expect_event(CharEvent::Break, 1);
    assert!(!b.guests[0].events()[2..].contains(&CharEvent::Opened));
}

#[test]
fn the_escape_key_is_heard_when_the_guest_does_not_read() {
    let mut b = Bench::with_room(0);
    b.types(&[b'x'; 1000]);
    b.types(b"\x01x");
    b.sees("QEMU: Terminated\n\r");
    b.guests[0].add_room(600);
    b.fronts[0].resume();
    b.guests[0].expect(&[b'x'; 600]);
    b.guests[0].add_room(1000);
    b.fronts[0].resume();
    b.guests[0].expect(&[b'x'; 1000]);
}

/// A guest that empties its small FIFO at once, so that it is never found full.
#[derive(Default)]
struct Quick(Mutex<Vec<u8>>);

impl CharSink for Quick {
    fn room(&self) -> usize {
        16
    }

    fn receive(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.room(), "{} bytes for a FIFO of {}", bytes.len(), self.room());
        self.0.lock().extend_from_slice(bytes);
    }

    fn event(&self, _: CharEvent) {}
}

#[test]
fn a_long_line_reaches_a_quick_guest_with_no_further_key() {
    let mut b = Bench::new();
    let guest = Arc::new(Quick::default());
    b.fronts[0].attach(guest.clone());
    let line: Vec<u8> = (0..200).map(|n| b'a' + n % 26).collect();
    b.types(&line);
    let until = Instant::now() + LIMIT;
    while guest.0.lock().len() < line.len() {
        let got = guest.0.lock().len();
        assert!(Instant::now() < until, "{got} of {} bytes arrived", line.len());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(*guest.0.lock(), line);
}

#[test]
fn more_than_is_kept_waits_in_the_host() {
    let mut b = Bench::with_room(0);
    let text: Vec<u8> = (0..20_000u32).map(|i| b'a' + (i % 26) as u8).collect();
    b.types(&text);
    for n in 1..=20 {
        b.guests[0].add_room(1000);
        b.fronts[0].resume();
        b.guests[0].expect(&text[..1000 * n]);
    }
}

#[test]
fn timestamps_start_every_line() {
    let mut b = Bench::new();
    b.fronts[0].write(b"plain\n");
    b.sees("plain\n");
    b.types(b"\x01t\x01h");
    b.sees(HELP);
    b.fronts[0].write(b"rest of the line\none\n");
    b.fronts[0].write(b"two");
    b.fronts[0].write(b" still two\n");
    b.sees("rest of the line\n");
    for line in ["one\n", "two still two\n"] {
        let stamp = String::from_utf8(read(&mut b.user, 15)).unwrap();
        assert!(stamp.starts_with("[00:00:") && stamp.ends_with("] "), "{stamp:?}");
        b.sees(line);
    }
    b.types(b"\x01t\x01h");
    b.sees(HELP);
    b.fronts[0].write(b"plain\n");
    b.sees("plain\n");
}

#[test]
fn a_stamp_reads_as_a_time() {
    let since = Instant::now().checked_sub(Duration::from_millis(3_723_004));
    assert!(since.is_none_or(|since| stamp(since).starts_with("[01:02:03.0")));
}

#[test]
fn a_slow_user_holds_every_guest_back() {
    let mut b = Bench::new();
    let mut sent = [0; 2];
    for (i, letter) in [b'a', b'b'].into_iter().enumerate() {
        loop {
            let n = b.fronts[i].write(&[letter; 1024]);
            sent[i] += n;
            if n < 1024 {
                break;
            }
        }
    }
    // The help waits too, and is not repeated without end.
    b.types(&b"\x01h".repeat(1000));
    let text = read(&mut b.user, sent[0] + sent[1]);
    assert_eq!(text.iter().filter(|&&c| c == b'a').count(), sent[0]);
    for guest in &b.guests {
        guest.expect_event(CharEvent::Writable, 1);
    }
    b.sees(HELP);
}

#[test]
fn clients_come_and_go() {
    let b = Bench::new();
    drop(b.user);
    for guest in &b.guests {
        guest.expect_event(CharEvent::Closed, 1);
    }
    assert_eq!(b.fronts[0].write(&[0; 1 << 20]), 1 << 20);
    b.fronts[0].flush();
}

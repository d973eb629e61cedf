use super::*;
use crate::host::chardev::{CharEvent, CharSink};
use base::LineRecorder;
use parking_lot::Mutex;

/// A back end that keeps what it gets, up to a limit.
#[derive(Default)]
struct Wire {
    sent: Mutex<Vec<u8>>,
    full: Mutex<bool>,
    guest: Mutex<Option<Arc<dyn CharSink>>>,
    resumed: Mutex<u32>,
}

impl CharBackend for Wire {
    fn write(&self, bytes: &[u8]) -> usize {
        if *self.full.lock() {
            return 0;
        }
        self.sent.lock().extend_from_slice(bytes);
        bytes.len()
    }

    fn attach(&self, guest: Arc<dyn CharSink>) {
        *self.guest.lock() = Some(guest);
    }

    fn resume(&self) {
        *self.resumed.lock() += 1;
    }

    fn flush(&self) {}
}

struct Bench {
    irq: Arc<LineRecorder>,
    wire: Arc<Wire>,
    uart: Pl011,
}

const DR: u64 = 0x00;
const RSR: u64 = 0x04;
const FR: u64 = 0x18;
const LCR_H: u64 = 0x2c;
const CR: u64 = 0x30;
const IFLS: u64 = 0x34;
const IMSC: u64 = 0x38;
const RIS: u64 = 0x3c;
const ICR: u64 = 0x44;

fn bench() -> Bench {
    let (irq, wire) = (Arc::new(LineRecorder::default()), Arc::new(Wire::default()));
    let mut b = Bench { uart: Pl011::new(IrqLine::new(irq.clone(), 0), wire.clone()), irq, wire };
    b.write(CR, 0x301);
    b.write(LCR_H, 0x70);
    b
}

impl Bench {
    fn read(&mut self, offset: u64) -> u64 {
        self.uart.read(offset, Width::B4)
    }

    fn write(&mut self, offset: u64, value: u64) {
        self.uart.write(offset, Width::B4, value);
    }

    fn guest(&self) -> Arc<dyn CharSink> {
        self.wire.guest.lock().clone().expect("attached in new")
    }
}

#[test]
fn what_is_sent_leaves_and_interrupts() {
    let mut b = bench();
    b.write(IMSC, 1 << 5);
    assert!(!b.irq.level(0));
    b.write(DR, b'a'.into());
    assert_eq!(*b.wire.sent.lock(), b"a");
    assert!(b.irq.level(0));
    b.write(ICR, 1 << 5);
    assert!(!b.irq.level(0));
    assert_eq!(b.read(FR), 0x90);
}

#[test]
fn a_full_line_fills_the_fifo() {
    let mut b = bench();
    *b.wire.full.lock() = true;
    for byte in 0..20 {
        b.write(DR, byte);
    }
    // Full, and busy.
    assert_eq!(b.read(FR), 0x38);
    *b.wire.full.lock() = false;
    b.guest().event(CharEvent::Writable);
    assert_eq!(*b.wire.sent.lock(), (0..16).collect::<Vec<u8>>());
    assert_eq!(b.read(FR), 0x90);
}

#[test]
fn characters_arrive_at_the_trigger_level_or_by_time_out() {
    let mut b = bench();
    b.write(IFLS, 2 << 3);
    b.write(IMSC, 1 << 4);
    b.guest().receive(b"1234567");
    assert!(!b.irq.level(0));
    assert_eq!(b.read(RIS), 1 << 6);
    b.guest().receive(b"8");
    assert!(b.irq.level(0));
    assert_eq!(b.read(DR), 0x31);
    assert!(!b.irq.level(0));
    b.guest().receive(b"ABCDEFGHIJ");
    // 17 with one too many: it is lost, and the next one read says so.
    assert_eq!(b.read(DR), u64::from(b'2') | 8 << 8);
    b.write(RSR, 0);
    assert_eq!((b.read(DR), b.read(RIS)), (b'3'.into(), 1 << 10 | 1 << 6 | 1 << 4));
    assert_eq!(b.guest().room(), 2);
}

#[test]
fn a_starved_back_end_is_woken() {
    let mut b = bench();
    b.guest().receive(&[0; 16]);
    assert_eq!(b.guest().room(), 0);
    for _ in 0..7 {
        b.read(DR);
    }
    assert_eq!(*b.wire.resumed.lock(), 0);
    b.read(DR);
    assert_eq!(*b.wire.resumed.lock(), 1);
}

#[test]
fn loopback_and_break() {
    let mut b = bench();
    b.guest().event(CharEvent::Break);
    assert_eq!((b.read(RIS) >> 9 & 1, b.read(DR)), (1, 4 << 8));
    b.write(CR, 0x381 | 1 << 11);
    b.write(DR, b'x'.into());
    assert_eq!((b.read(DR), b.read(FR) & 1), (b'x'.into(), 1));
    assert!(b.wire.sent.lock().is_empty());
    assert_eq!((b.read(0xfe0), b.read(0xffc), b.read(0x1000)), (0x11, 0xb1, 0));
}

use super::*;
use crate::host::chardev::{CharEvent, CharSink};
use base::{LineRecorder, ManualClock};
use parking_lot::Mutex;

/// A back end that keeps what it gets, up to a limit.
struct Wire {
    sent: Mutex<Vec<u8>>,
    limit: Mutex<usize>,
    guest: Mutex<Option<Arc<dyn CharSink>>>,
    resumed: Mutex<u32>,
}

impl CharBackend for Wire {
    fn write(&self, bytes: &[u8]) -> usize {
        let mut sent = self.sent.lock();
        let n = bytes.len().min(self.limit.lock().saturating_sub(sent.len()));
        sent.extend_from_slice(&bytes[..n]);
        n
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
    clock: Arc<ManualClock>,
    irq: Arc<LineRecorder>,
    wire: Arc<Wire>,
    uart: Ns16550a,
}

fn bench() -> Bench {
    let clock = ManualClock::new();
    let irq = Arc::new(LineRecorder::default());
    let wire = Arc::new(Wire {
        sent: Mutex::default(),
        limit: Mutex::new(usize::MAX),
        guest: Mutex::default(),
        resumed: Mutex::default(),
    });
    let uart = Ns16550a::new(clock.clone(), IrqLine::new(irq.clone(), 0), wire.clone());
    Bench { clock, irq, wire, uart }
}

impl Bench {
    fn read(&mut self, offset: u64) -> u8 {
        self.uart.read(offset, Width::B1) as u8
    }

    fn write(&mut self, offset: u64, value: u8) {
        self.uart.write(offset, Width::B1, value.into());
    }

    fn guest(&self) -> Arc<dyn CharSink> {
        self.wire.guest.lock().clone().expect("attached in new")
    }

    fn irq(&self) -> bool {
        self.irq.level(0)
    }
}

const RBR: u64 = 0;
const THR: u64 = 0;
const IER: u64 = 1;
const IIR: u64 = 2;
const FCR: u64 = 2;
const LCR: u64 = 3;
const MCR: u64 = 4;
const LSR: u64 = 5;
const MSR: u64 = 6;

#[test]
fn transmitter_empty_interrupt_is_cleared_by_iir() {
    let mut b = bench();
    b.write(IER, 0x02);
    assert!(b.irq());
    assert_eq!(b.read(IIR), 0x02);
    assert!(!b.irq());
    assert_eq!(b.read(IIR), 0x01);
    b.write(THR, b'x');
    assert_eq!(*b.wire.sent.lock(), b"x");
    assert!(b.irq());
}

#[test]
fn a_full_back_end_holds_the_transmitter() {
    let mut b = bench();
    *b.wire.limit.lock() = 1;
    b.write(FCR, 0x01);
    b.write(IER, 0x02);
    b.read(IIR);
    b"abc".iter().for_each(|&byte| b.write(THR, byte));
    assert_eq!((b.read(LSR), b.read(IIR)), (0x00, 0xc1));
    *b.wire.limit.lock() = 10;
    b.guest().event(CharEvent::Writable);
    assert_eq!(*b.wire.sent.lock(), b"abc");
    assert_eq!((b.read(LSR), b.read(IIR)), (0x60, 0xc2));
}

#[test]
fn trigger_level_and_time_out() {
    let mut b = bench();
    b.write(FCR, 0x81);
    b.write(IER, 0x01);
    b.guest().receive(b"1234567");
    assert!(!b.irq());
    b.guest().receive(b"8");
    assert_eq!((b.irq(), b.read(IIR)), (true, 0xc4));
    assert_eq!(b.read(RBR), b'1');
    assert!(!b.irq());
    // 5 data bits, 1 start, 1 stop, divisor 12: 4 characters take 1.458 ms.
    b.clock.advance(1_458_331);
    assert!(!b.irq());
    b.clock.advance(1);
    assert_eq!((b.irq(), b.read(IIR)), (true, 0xcc));
    assert_eq!(b.read(RBR), b'2');
    assert!(!b.irq());
    let rest: Vec<u8> = (0..6).map(|_| b.read(RBR)).collect();
    assert_eq!(rest, b"345678");
    b.clock.advance(1_000_000_000);
    assert_eq!((b.irq(), b.read(LSR)), (false, 0x60));
}

#[test]
fn without_fifo_one_character_is_held() {
    let mut b = bench();
    b.write(IER, 0x05);
    assert_eq!(b.guest().room(), 1);
    b.guest().receive(b"a");
    assert_eq!((b.guest().room(), b.read(IIR)), (0, 0x04));
    b.guest().receive(b"b");
    assert_eq!(b.read(IIR), 0x06);
    assert_eq!((b.read(LSR), b.read(LSR)), (0x63, 0x61));
    assert_eq!(b.read(RBR), b'b');
    assert_eq!(*b.wire.resumed.lock(), 1);
}

#[test]
fn back_end_is_resumed_when_the_fifo_is_half_empty() {
    let mut b = bench();
    b.write(FCR, 0x01);
    let guest = b.guest();
    guest.receive(&[7; 16]);
    assert_eq!(guest.room(), 0);
    (0..7).for_each(|_| assert_eq!(b.read(RBR), 7));
    assert_eq!(*b.wire.resumed.lock(), 0);
    b.read(RBR);
    assert_eq!((*b.wire.resumed.lock(), guest.room()), (1, 8));
}

#[test]
fn loopback_returns_characters_and_modem_lines() {
    let mut b = bench();
    b.write(MCR, 0x1a);
    assert_eq!(b.read(MSR) & 0xf0, 0x90);
    b.write(THR, b'L');
    assert_eq!((b.read(LSR), b.read(RBR)), (0x61, b'L'));
    assert!(b.wire.sent.lock().is_empty());
    assert_eq!(b.guest().room(), 0);
    b.write(IER, 0x08);
    b.write(MCR, 0x14);
    b.read(MSR);
    b.write(MCR, 0x10);
    assert_eq!((b.irq(), b.read(IIR), b.read(MSR)), (true, 0x00, 0x04));
    assert!(!b.irq());
    b.write(MCR, 0x00);
    assert_eq!(b.read(MSR), 0xbb);
}

#[test]
fn break_is_reported_with_its_character() {
    let mut b = bench();
    b.write(FCR, 0x01);
    b.guest().receive(b"x");
    b.guest().event(CharEvent::Break);
    assert_eq!((b.read(LSR), b.read(RBR)), (0xe1, b'x'));
    assert_eq!((b.read(LSR), b.read(LSR), b.read(RBR)), (0xf1, 0x61, 0));
}

#[test]
fn divisor_latch_hides_the_first_two_registers() {
    let mut b = bench();
    b.write(IER, 0x05);
    b.write(LCR, 0x83);
    assert_eq!((b.read(0), b.read(1)), (0x0c, 0));
    b.write(0, 0x34);
    b.write(1, 0x12);
    assert_eq!((b.read(0), b.read(1)), (0x34, 0x12));
    b.write(LCR, 0x03);
    assert_eq!((b.read(IER), b.wire.sent.lock().len()), (0x05, 0));
}

#[test]
fn fifo_bits_identify_a_16550a() {
    let mut b = bench();
    b.write(FCR, 0xff);
    assert_eq!(b.read(IIR), 0xc1);
    b.guest().receive(b"zz");
    b.write(FCR, 0x03);
    assert_eq!(b.read(LSR), 0x60);
    b.write(FCR, 0x00);
    assert_eq!(b.read(IIR), 0x01);
}

#[test]
fn a_loaded_chip_continues_its_time_out() {
    let mut b = bench();
    b.write(FCR, 0x81);
    b.write(IER, 0x01);
    b.guest().receive(b"k");
    let state = b.uart.save();
    let mut other = bench();
    other.uart.load(&state).expect("same version");
    other.clock.advance(10_000_000);
    assert_eq!((other.irq(), other.read(IIR), other.read(RBR)), (true, 0xcc, b'k'));
}

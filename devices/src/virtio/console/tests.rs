//! A console device between a driver and back ends that remember bytes.

use super::*;
use crate::virtio::VirtioMmio;
use crate::virtio::testing::{MmioDriver, Part, check_laws, ram};
use base::{Device, IrqLine, Mmio, Width};
use virtio_bindings::bindings::virtio_mmio::VIRTIO_MMIO_CONFIG;

/// A back end that takes a limited number of bytes.
#[derive(Default)]
struct Line {
    taken: Mutex<Vec<u8>>,
    room: Mutex<Option<usize>>,
    guest: Mutex<Option<Arc<dyn CharSink>>>,
    resumed: Mutex<u32>,
}

impl CharBackend for Line {
    fn write(&self, bytes: &[u8]) -> usize {
        let mut room = self.room.lock();
        let n = bytes.len().min(room.unwrap_or(usize::MAX));
        *room = room.map(|room| room - n);
        self.taken.lock().extend(&bytes[..n]);
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

impl Line {
    fn guest(&self) -> Arc<dyn CharSink> {
        self.guest.lock().clone().unwrap()
    }
}

fn device() -> (Console, Arc<Line>, Arc<Line>) {
    let (console, serial) = (Arc::new(Line::default()), Arc::new(Line::default()));
    let ports = vec![
        ConsolePort { number: 0, name: String::new(), console: true, open: true, backend: console.clone() },
        ConsolePort {
            number: 1,
            name: "org.qemu.guest_agent.0".into(),
            console: false,
            open: false,
            backend: serial.clone(),
        },
    ];
    (Console::new(ports), console, serial)
}

fn message(port: u32, event: u16, value: u16) -> Vec<u8> {
    [&port.to_le_bytes()[..], &event.to_le_bytes(), &value.to_le_bytes()].concat()
}

/// A driver with buffers for control messages.
struct Driver {
    mmio: MmioDriver,
    control: Vec<u64>,
}

impl Driver {
    fn start(device: Console, without: u64) -> Self {
        let mut mmio = MmioDriver::start_with(device, without);
        let control = (0..16).map(|_| mmio.queues[CONTROL_IN].add(&[Part::In(64)]).1[0]).collect();
        mmio.notify(CONTROL_IN);
        Self { mmio, control }
    }

    fn tell(&mut self, port: u32, event: u16, value: u16) {
        self.mmio.queues[CONTROL_OUT].add(&[Part::Out(&message(port, event, value))]);
        self.mmio.notify(CONTROL_OUT);
        assert!(self.mmio.queues[CONTROL_OUT].take_used().is_some());
    }

    fn told(&mut self) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        while let Some((head, len)) = self.mmio.queues[CONTROL_IN].take_used() {
            messages.push(self.mmio.queues[CONTROL_IN].read(self.control[head as usize], len as usize));
        }
        messages
    }

    fn write(&mut self, queue: usize, bytes: &[u8]) {
        self.mmio.queues[queue].add(&[Part::Out(bytes)]);
        self.mmio.notify(queue);
    }
}

#[test]
fn ports_are_announced_named_and_opened() {
    let (device, _, serial) = device();
    let mut driver = Driver::start(device, 0);
    assert_eq!(driver.mmio.queues.len(), 6);
    assert_eq!(driver.mmio.slot.read(u64::from(VIRTIO_MMIO_CONFIG) + 4, Width::B4), 2);
    driver.tell(0, DEVICE_READY, 1);
    assert_eq!(driver.told(), [message(0, DEVICE_ADD, 1), message(1, DEVICE_ADD, 1)]);
    driver.tell(0, PORT_READY, 1);
    assert_eq!(driver.told(), [message(0, CONSOLE_PORT, 1), message(0, PORT_OPEN, 1)]);
    driver.tell(1, PORT_READY, 1);
    assert_eq!(driver.told(), [[&message(1, PORT_NAME, 1)[..], b"org.qemu.guest_agent.0"].concat()]);
    serial.guest().event(CharEvent::Opened);
    serial.guest().event(CharEvent::Closed);
    assert_eq!(driver.told(), [message(1, PORT_OPEN, 1), message(1, PORT_OPEN, 0)]);
    driver.tell(77, PORT_OPEN, 1);
    assert_eq!(driver.mmio.status(), 15);
}

#[test]
fn messages_wait_for_buffers() {
    let (device, _, _) = device();
    let mut mmio = MmioDriver::start_with(device, 0);
    for _ in 0..1000 {
        mmio.queues[CONTROL_OUT].rewind();
        mmio.queues[CONTROL_OUT].add(&[Part::Out(&message(0, DEVICE_READY, 1))]);
        mmio.notify(CONTROL_OUT);
    }
    for _ in 0..4 {
        mmio.queues[CONTROL_IN].add(&[Part::In(64)]);
    }
    mmio.notify(CONTROL_IN);
    let told = std::iter::from_fn(|| mmio.queues[CONTROL_IN].take_used()).count();
    assert_eq!(told, 2, "each port is announced once");
}

#[test]
fn output_goes_to_the_back_end_as_it_has_room() {
    let (device, console, _) = device();
    let mut driver = Driver::start(device, 0);
    driver.write(1, b"hello");
    assert_eq!(*console.taken.lock(), b"hello");
    assert!(driver.mmio.queues[1].take_used().is_some());
    *console.room.lock() = Some(3);
    driver.write(1, b" world");
    assert_eq!(*console.taken.lock(), b"hello wo");
    assert!(driver.mmio.queues[1].take_used().is_none(), "the buffer is not done yet");
    *console.room.lock() = Some(100);
    console.guest().event(CharEvent::Writable);
    assert_eq!(*console.taken.lock(), b"hello world");
    assert!(driver.mmio.queues[1].take_used().is_some());
}

#[test]
fn input_needs_an_open_port_and_a_buffer() {
    let (device, _, serial) = device();
    let mut driver = Driver::start(device, 0);
    let (receive, _) = queue_numbers(1);
    let (_, at) = driver.mmio.queues[receive].add(&[Part::In(4)]);
    driver.mmio.queues[receive].add(&[Part::In(4)]);
    driver.mmio.notify(receive);
    assert_eq!(serial.guest().room(), 0, "nobody in the guest listens");
    driver.tell(1, PORT_OPEN, 1);
    assert!(*serial.resumed.lock() > 0);
    assert_eq!(serial.guest().room(), 4);
    serial.guest().receive(b"abcdef");
    assert_eq!(driver.mmio.queues[receive].take_used(), Some((0, 4)));
    assert_eq!(driver.mmio.queues[receive].take_used(), Some((1, 2)));
    assert_eq!(driver.mmio.queues[receive].read(at[0], 4), b"abcd");
    assert_eq!(serial.guest().room(), 0);
}

#[test]
fn without_multiport_there_is_one_console() {
    let (device, console, serial) = device();
    let mut mmio = MmioDriver::start_with(device, 1 << F_MULTIPORT);
    mmio.queues[0].add(&[Part::In(4)]);
    assert_eq!(console.guest().room(), 4);
    assert_eq!(serial.guest().room(), 0);
    mmio.queues[1].add(&[Part::Out(b"x")]);
    mmio.notify(1);
    assert_eq!(*console.taken.lock(), b"x");
    mmio.queues[3].add(&[Part::Out(&message(0, DEVICE_READY, 1))]);
    mmio.notify(3);
    assert_eq!(mmio.queues[3].take_used(), None);
}

#[test]
fn emergency_writes_need_no_driver() {
    let (device, console, _) = device();
    let mut slot = VirtioMmio::new(Box::new(device), ram(), IrqLine::unconnected());
    slot.write(u64::from(VIRTIO_MMIO_CONFIG) + CONFIG_EMERGENCY_WRITE, Width::B4, b'!'.into());
    assert_eq!(*console.taken.lock(), b"!");
}

#[test]
fn state_remembers_open_ports_and_half_sent_buffers() {
    let (first, console, _) = device();
    let mut driver = Driver::start(first, 0);
    driver.tell(1, PORT_OPEN, 1);
    *console.room.lock() = Some(3);
    driver.write(1, b"abcdef");
    let saved = driver.mmio.slot.save();
    let (second, console, serial) = device();
    let ram = driver.mmio.queues[0].ram.clone();
    let mut slot = VirtioMmio::new(Box::new(second), ram, IrqLine::unconnected());
    slot.load(&saved).unwrap();
    assert_eq!(*console.taken.lock(), b"def");
    driver.mmio.queues[4].add(&[Part::In(4)]);
    assert_eq!(serial.guest().room(), 4);
}

#[test]
fn laws_hold() {
    check_laws(|| VirtioMmio::new(Box::new(device().0), ram(), IrqLine::unconnected()));
}

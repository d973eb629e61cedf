//! A network device between a driver and a back end that remembers frames.

use super::*;
use crate::host::net::Offloads;
use crate::virtio::VirtioMmio;
use crate::virtio::testing::{EVENT_IDX, MmioDriver, Part, check_laws, ram, wait_until};
use base::{Device, IrqLine, Mmio, Width};
use virtio_bindings::bindings::virtio_mmio::{VIRTIO_MMIO_CONFIG, VIRTIO_MMIO_INTERRUPT_ACK};

#[derive(Default)]
struct Wire {
    sent: Mutex<Vec<Vec<u8>>>,
    guest: Mutex<Option<Arc<dyn FrameSink>>>,
    resumed: Mutex<u32>,
}

impl NetBackend for Wire {
    fn offloads(&self) -> Offloads {
        Offloads { checksum: true, segmentation: true }
    }
    fn send(&self, frame: &[u8]) {
        self.sent.lock().push(frame.to_vec());
    }
    fn attach(&self, guest: Arc<dyn FrameSink>) {
        *self.guest.lock() = Some(guest);
    }
    fn resume(&self) {
        *self.resumed.lock() += 1;
    }
}

impl Wire {
    fn deliver(&self, frame: &[u8]) -> bool {
        let guest = self.guest.lock().clone().unwrap();
        let taken = guest.receive(frame);
        guest.flush();
        taken
    }
}

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

fn start(without: u64) -> (Arc<Wire>, MmioDriver) {
    let wire = Arc::new(Wire::default());
    let driver = MmioDriver::start_with(Net::new(wire.clone(), MAC, Service::Thread), without);
    (wire, driver)
}

#[test]
fn shows_its_address_and_link() {
    let (_, mut driver) = start(0);
    let config: Vec<u8> =
        (0..8).map(|i| driver.slot.read(u64::from(VIRTIO_MMIO_CONFIG) + i, Width::B1) as u8).collect();
    assert_eq!(config, [&MAC[..], &[1, 0]].concat());
}

#[test]
fn sends_frames_in_any_pieces() {
    let (wire, mut driver) = start(0);
    let frame: Vec<u8> = (0..100).collect();
    driver.queues[1].add(&[Part::Out(&[0; 12]), Part::Out(&frame)]);
    driver.queues[1].add(&[Part::Out(&[&[0; 12][..], &frame[..50]].concat()), Part::Out(&frame[50..])]);
    driver.notify(1);
    driver.queues[1].wait_used();
    driver.queues[1].wait_used();
    assert_eq!(*wire.sent.lock(), [frame.clone(), frame]);
}

#[test]
fn receives_into_one_buffer() {
    let (wire, mut driver) = start(0);
    assert!(*wire.resumed.lock() > 0, "the back end may start");
    assert!(!wire.deliver(&[1; 60]), "no buffers yet");
    let (_, at) = driver.queues[0].add(&[Part::In(1526)]);
    driver.notify(0);
    assert!(wire.deliver(&[1; 60]));
    assert_eq!(driver.queues[0].take_used(), Some((0, 72)));
    let bytes = driver.queues[0].read(at[0], 72);
    assert_eq!(bytes[0], VIRTIO_NET_HDR_F_DATA_VALID as u8);
    assert_eq!(bytes[10..12], [1, 0]);
    assert_eq!(bytes[12..], [1; 60]);
    assert!(driver.lines.level(0));
}

#[test]
fn a_frame_takes_several_small_buffers_at_once_or_none() {
    for without in [0, EVENT_IDX] {
        let (wire, mut driver) = start(without);
        let frame: Vec<u8> = (0..250).map(|i| i as u8).collect();
        let mut at = Vec::new();
        for _ in 0..2 {
            at.push(driver.queues[0].add(&[Part::In(100)]).1[0]);
        }
        assert!(!wire.deliver(&frame));
        assert_eq!(driver.queues[0].take_used(), None);
        at.push(driver.queues[0].add(&[Part::In(100)]).1[0]);
        assert!(wire.deliver(&frame));
        let used: Vec<_> = std::iter::from_fn(|| driver.queues[0].take_used()).collect();
        assert_eq!(used, [(0, 100), (1, 100), (2, 62)]);
        let bytes: Vec<u8> = at.iter().flat_map(|at| driver.queues[0].read(*at, 100)).collect();
        assert_eq!(bytes[10..12], [3, 0]);
        assert_eq!(bytes[12..262], frame[..]);
    }
}

#[test]
fn drops_what_fits_no_buffer_and_what_comes_without_a_driver() {
    let (wire, mut driver) = start(1 << VIRTIO_NET_F_MRG_RXBUF);
    driver.queues[0].add(&[Part::In(64)]);
    assert!(wire.deliver(&[1; 100]), "taken and lost");
    assert!(wire.deliver(&[2; 40]), "the buffer is still there");
    assert_eq!(driver.queues[0].take_used(), Some((0, 52)));
    driver.slot.reset();
    assert!(wire.deliver(&[3; 100]));
    driver.set(VIRTIO_MMIO_INTERRUPT_ACK, 3);
    assert!(!driver.lines.level(0));
}

#[test]
fn malformed_frames_need_a_reset() {
    let (wire, mut driver) = start(0);
    driver.queues[1].add(&[Part::Out(&[0; 11])]);
    driver.notify(1);
    wait_until(|| driver.status() & 0x40 != 0);
    assert!(wire.deliver(&[1; 60]), "taken and lost");
    let (wire, mut driver) = start(0);
    let queue = &driver.queues[0];
    queue.write_descriptor(queue.desc, 0, (0x10, 1526, 2, 0));
    driver.queues[0].publish(0);
    assert!(wire.deliver(&[1; 60]));
    assert_ne!(driver.status() & 0x40, 0);
}

#[test]
fn laws_hold() {
    check_laws(|| {
        let device = Box::new(Net::new(Arc::new(Wire::default()), MAC, Service::Thread));
        VirtioMmio::new(device, ram(), IrqLine::unconnected())
    });
}

//! An entropy device driven through its ring.

use super::*;
use crate::virtio::VirtioMmio;
use crate::virtio::testing::{MmioDriver, Part, check_laws, ram};
use base::IrqLine;

/// 1, 2, 3, ...
struct Counter(u8);

impl EntropySource for Counter {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}

#[test]
fn fills_buffers_in_order() {
    let mut driver = MmioDriver::start_with(Rng::new(Box::new(Counter(0))), 0);
    let (_, first) = driver.queues[0].add(&[Part::In(3), Part::In(2)]);
    let (_, second) = driver.queues[0].add(&[Part::In(4)]);
    driver.notify(0);
    let queue = &mut driver.queues[0];
    assert_eq!(queue.take_used(), Some((0, 5)));
    assert_eq!(queue.take_used(), Some((2, 4)));
    assert_eq!(queue.read(first[1], 2), [4, 5]);
    assert_eq!(queue.read(second[0], 4), [6, 7, 8, 9]);
    assert!(driver.lines.level(0));
}

#[test]
fn large_buffers_get_a_part() {
    let mut driver = MmioDriver::start_with(Rng::new(Box::new(HostEntropy)), 0);
    let (_, at) = driver.queues[0].add(&[Part::In(100_000)]);
    driver.notify(0);
    assert_eq!(driver.queues[0].take_used(), Some((0, 65536)));
    let bytes = driver.queues[0].read(at[0], 65536);
    assert!(bytes.iter().any(|b| *b != bytes[0]));
}

#[test]
fn laws_hold() {
    check_laws(|| VirtioMmio::new(Box::new(Rng::new(Box::new(Counter(0)))), ram(), IrqLine::unconnected()));
}

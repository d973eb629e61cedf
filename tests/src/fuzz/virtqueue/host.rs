//! Back ends that need no host.

use devices::host::block::BlockBackend;
use devices::host::chardev::{CharBackend, CharEvent, CharSink};
use devices::host::net::{FrameSink, MAX_LARGE_FRAME, NetBackend, Offloads};
use devices::virtio::EntropySource;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A disk of 64 KiB.
pub(super) struct Memory {
    bytes: Mutex<Vec<u8>>,
    read_only: bool,
}

impl Memory {
    pub(super) fn new(read_only: bool) -> Self {
        Self { bytes: Mutex::new(vec![0; 64 << 10]), read_only }
    }

    fn with<T>(&self, offset: u64, len: u64, take: impl FnOnce(&mut [u8]) -> T) -> io::Result<T> {
        let mut bytes = self.bytes.lock();
        let range = usize::try_from(offset).ok().zip(usize::try_from(offset.saturating_add(len)).ok());
        let range = range.and_then(|(start, end)| bytes.get_mut(start..end));
        // The device says that it checks ranges: a miss is its mistake.
        Ok(take(range.expect("the device keeps to the capacity")))
    }

    fn writable(&self) {
        assert!(!self.read_only, "the device writes to no read-only disk");
    }
}

impl BlockBackend for Memory {
    fn capacity(&self) -> u64 {
        self.bytes.lock().len() as u64
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.with(offset, buffer.len() as u64, |bytes| buffer.copy_from_slice(bytes))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writable();
        self.with(offset, bytes.len() as u64, |disk| disk.copy_from_slice(bytes))
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.write_zeroes(offset, len, true)
    }

    fn write_zeroes(&self, offset: u64, len: u64, _unmap: bool) -> io::Result<()> {
        self.writable();
        self.with(offset, len, |disk| disk.fill(0))
    }
}

/// A network on which the host sends when it is told to.
#[derive(Default)]
pub(super) struct Cable(Mutex<Option<Arc<dyn FrameSink>>>);

impl Cable {
    /// Sends up to four frames of `len` bytes to the guest.
    pub(super) fn act(&self, what: u8, len: u16) {
        let sink = self.0.lock().clone();
        let Some(sink) = sink else { return };
        let frame = vec![what; usize::from(len)];
        let all_taken = (0..=what % 4).all(|_| sink.receive(&frame));
        if all_taken || what & 0x80 != 0 {
            sink.flush();
        }
    }
}

impl NetBackend for Cable {
    fn offloads(&self) -> Offloads {
        Offloads { checksum: true, segmentation: true }
    }

    fn send(&self, frame: &[u8]) {
        assert!(frame.len() <= MAX_LARGE_FRAME);
    }

    fn attach(&self, guest: Arc<dyn FrameSink>) {
        *self.0.lock() = Some(guest);
    }

    fn resume(&self) {}
}

/// A character back end that takes as many bytes as the host last said.
#[derive(Default)]
pub(super) struct Pipe {
    sinks: Mutex<Vec<Arc<dyn CharSink>>>,
    room: AtomicUsize,
}

impl Pipe {
    /// Does one thing on the host's side of one port.
    pub(super) fn act(&self, what: u8, len: u16) {
        let sinks = self.sinks.lock().clone();
        let Some(sink) = sinks.get(usize::from(what >> 4) % sinks.len().max(1)) else { return };
        let bytes = vec![what; usize::from(len)];
        match what & 7 {
            0 => sink.event(CharEvent::Opened),
            1 => sink.event(CharEvent::Closed),
            2 => sink.event(CharEvent::Break),
            3 | 4 => {
                self.room.store(len.into(), Ordering::Relaxed);
                sink.event(CharEvent::Writable);
            }
            5 => sink.receive(&bytes),
            _ => sink.receive(&bytes[..bytes.len().min(sink.room())]),
        }
    }
}

impl CharBackend for Pipe {
    fn write(&self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room.load(Ordering::Relaxed));
        self.room.fetch_sub(taken, Ordering::Relaxed);
        taken
    }

    fn attach(&self, guest: Arc<dyn CharSink>) {
        self.sinks.lock().push(guest);
    }

    fn resume(&self) {}

    fn flush(&self) {}
}

/// Entropy that is the same in each run.
pub(super) struct Numbers;

impl EntropySource for Numbers {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        bytes.fill(0xa5);
        Ok(())
    }
}

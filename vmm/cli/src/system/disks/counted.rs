//! A disk that counts what is done with it, for `query-blockstats`.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use control::{DiskCounts, Operations};
use devices::host::block::BlockBackend;
use parking_lot::Mutex;

/// A disk with its figures.
pub struct Counted {
    disk: Arc<dyn BlockBackend>,
    counts: Mutex<DiskCounts>,
}

impl Counted {
    /// `disk`, with which nothing was done yet.
    pub fn new(disk: Arc<dyn BlockBackend>) -> Self {
        Self { disk, counts: Mutex::default() }
    }

    /// What was done so far.
    pub fn counts(&self) -> DiskCounts {
        *self.counts.lock()
    }

    /// Does `work` with the disk, and counts it among those that `which` picks, with `bytes` if it succeeds.
    fn count(
        &self,
        which: impl FnOnce(&mut DiskCounts) -> &mut Operations,
        bytes: u64,
        work: impl FnOnce(&dyn BlockBackend) -> io::Result<()>,
    ) -> io::Result<()> {
        let start = Instant::now();
        let done = work(&*self.disk);
        let ns = start.elapsed().as_nanos() as u64;
        let counts = &mut *self.counts.lock();
        let operations = which(counts);
        operations.ns += ns;
        match done {
            Ok(()) => {
                operations.done += 1;
                operations.bytes += bytes;
            }
            Err(_) => operations.failed += 1,
        }
        done
    }

    /// A write of `bytes` bytes at `offset`, which `work` makes.
    fn write_with(
        &self,
        offset: u64,
        bytes: u64,
        work: impl FnOnce(&dyn BlockBackend) -> io::Result<()>,
    ) -> io::Result<()> {
        self.count(|counts| &mut counts.writes, bytes, work)?;
        let counts = &mut *self.counts.lock();
        counts.highest = counts.highest.max(offset.saturating_add(bytes));
        Ok(())
    }
}

impl BlockBackend for Counted {
    fn capacity(&self) -> u64 {
        self.disk.capacity()
    }

    fn read_only(&self) -> bool {
        self.disk.read_only()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.count(|counts| &mut counts.reads, buffer.len() as u64, |disk| disk.read(offset, buffer))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_with(offset, bytes.len() as u64, |disk| disk.write(offset, bytes))
    }

    fn flush(&self) -> io::Result<()> {
        self.count(|counts| &mut counts.flushes, 0, |disk| disk.flush())
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.count(|counts| &mut counts.discards, len, |disk| disk.discard(offset, len))
    }

    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> io::Result<()> {
        self.write_with(offset, len, |disk| disk.write_zeroes(offset, len, unmap))
    }
}

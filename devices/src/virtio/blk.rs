//! virtio block device (virtio 1.2, section 5.2): a disk on a [`BlockBackend`].
//!
//! Each queue has a worker of its own, usually a thread, so that no vCPU waits for the host's disk. Left out: zoned storage,
//! secure erase, SCSI commands and the disk geometry.

use super::core::{Activation, VirtioDevice, copy_config};
use super::queue::{Chain, ChainReader, ChainWriter, Served, VirtQueue};
use super::worker::{Service, Worker};
use crate::host::block::BlockBackend;
use base::{State, StateError};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use virtio_bindings::bindings::virtio_blk::*;
use virtio_bindings::virtio_ids::VIRTIO_ID_BLOCK;

const SECTOR: u64 = 512;
const QUEUE_SIZE: u16 = 256;
/// Guest data goes through a buffer of this size.
const CHUNK: usize = 256 << 10;
/// Ranges in one discard or write-zeroes request, at most.
const MAX_RANGES: u32 = 16;
/// Sectors in one such range, at most: 2 GiB.
const MAX_RANGE_SECTORS: u32 = 1 << 22;
/// Offset of `writeback` in `struct virtio_blk_config`.
const CONFIG_WRITEBACK: u64 = 32;

/// What a person can choose about a disk.
#[derive(Clone, Debug)]
pub struct BlkOptions {
    /// What the guest reads as the disk's id, at most 20 bytes.
    pub serial: String,
    /// Number of request queues, from 1.
    pub queues: u16,
    /// Report a volatile write cache (`write-cache=on`, every `cache=` but `writethrough` and `directsync`).
    pub write_cache: bool,
    /// When requests are served.
    pub service: Service,
}

impl Default for BlkOptions {
    fn default() -> Self {
        Self { serial: String::new(), queues: 1, write_cache: true, service: Service::Thread }
    }
}

/// What the workers share.
struct Disk {
    backend: Arc<dyn BlockBackend>,
    serial: String,
    /// Writes may stay in a cache until the next flush.
    write_cache: AtomicBool,
    /// A fault of the host has been logged.
    complained: AtomicBool,
}

/// A block device.
pub struct Blk {
    disk: Arc<Disk>,
    options: BlkOptions,
    workers: Vec<Option<Worker>>,
}

#[derive(Serialize, Deserialize)]
struct BlkState {
    write_cache: bool,
}

const STATE_VERSION: u32 = 1;

impl Blk {
    /// A disk on `backend`.
    pub fn new(backend: Arc<dyn BlockBackend>, options: BlkOptions) -> Self {
        let disk = Disk {
            backend,
            serial: options.serial.clone(),
            write_cache: AtomicBool::new(options.write_cache),
            complained: AtomicBool::new(false),
        };
        Self { disk: Arc::new(disk), options, workers: Vec::new() }
    }

    /// `struct virtio_blk_config`.
    fn config(&self) -> Vec<u8> {
        let mut space = Vec::with_capacity(60);
        let write_cache = self.disk.write_cache.load(Ordering::Relaxed);
        space.extend((self.disk.backend.capacity() / SECTOR).to_le_bytes());
        space.extend(0u32.to_le_bytes()); // size_max: not offered
        space.extend(u32::from(QUEUE_SIZE - 2).to_le_bytes()); // seg_max: without header and status
        space.extend([0; 4]); // geometry: not offered
        space.extend((SECTOR as u32).to_le_bytes()); // blk_size
        space.extend([0, 0, 1, 0, 0, 0, 0, 0]); // topology: one sector a block, no preferred sizes
        space.extend([u8::from(write_cache), 0]);
        space.extend(self.options.queues.to_le_bytes());
        space.extend(MAX_RANGE_SECTORS.to_le_bytes()); // max_discard_sectors
        space.extend(MAX_RANGES.to_le_bytes()); // max_discard_seg
        space.extend(1u32.to_le_bytes()); // discard_sector_alignment
        space.extend(MAX_RANGE_SECTORS.to_le_bytes()); // max_write_zeroes_sectors
        space.extend(MAX_RANGES.to_le_bytes()); // max_write_zeroes_seg
        space.extend([1, 0, 0, 0]); // write_zeroes_may_unmap
        space
    }
}

impl VirtioDevice for Blk {
    fn name(&self) -> &'static str {
        "virtio-blk"
    }

    fn id(&self) -> u16 {
        VIRTIO_ID_BLOCK as u16
    }

    fn features(&self) -> u64 {
        let mut bits =
            vec![VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_TOPOLOGY, VIRTIO_BLK_F_FLUSH];
        if self.disk.backend.read_only() {
            bits.push(VIRTIO_BLK_F_RO);
        } else {
            bits.extend([VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_BLK_F_CONFIG_WCE]);
        }
        if self.options.queues > 1 {
            bits.push(VIRTIO_BLK_F_MQ);
        }
        bits.into_iter().fold(0, |all, bit| all | 1 << bit)
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; self.options.queues.into()]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        copy_config(&self.config(), offset, data);
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        if offset == CONFIG_WRITEBACK
            && let [value] = data
        {
            self.disk.write_cache.store(value & 1 != 0, Ordering::Relaxed);
        }
    }

    fn activate(&mut self, activation: Activation) {
        if !activation.has(VIRTIO_BLK_F_FLUSH) {
            // A driver that cannot flush takes every write for durable.
            self.disk.write_cache.store(false, Ordering::Relaxed);
        }
        for queue in &activation.queues {
            let worker = queue.clone().and_then(|queue| {
                let disk = self.disk.clone();
                let mut buffer = Vec::new();
                let link = activation.link.clone();
                Worker::start(self.options.service, "virtio-blk", move |stop| {
                    serve(&disk, &queue, &mut buffer, stop)
                })
                .map_err(|error| link.fail(&format!("no worker thread: {error}")))
                .ok()
            });
            self.workers.push(worker);
        }
    }

    fn notify(&mut self, index: u16) {
        if let Some(Some(worker)) = self.workers.get_mut(usize::from(index)) {
            worker.kick();
        }
    }

    fn reset(&mut self) {
        self.workers.clear();
        self.disk.write_cache.store(self.options.write_cache, Ordering::Relaxed);
    }

    fn save(&self) -> State {
        self.workers.iter().flatten().for_each(Worker::wait_idle);
        State::of(STATE_VERSION, &BlkState { write_cache: self.disk.write_cache.load(Ordering::Relaxed) })
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let state: BlkState = state.get(STATE_VERSION)?;
        self.reset();
        self.disk.write_cache.store(state.write_cache, Ordering::Relaxed);
        Ok(())
    }
}

fn serve(disk: &Disk, queue: &VirtQueue, buffer: &mut Vec<u8>, stop: &dyn Fn() -> bool) {
    buffer.resize(CHUNK, 0);
    queue.serve(stop, |chain| Request { disk, buffer, stop }.run(chain).map(Served::Wrote));
}

/// `struct virtio_blk_req` without its data and status.
struct Header {
    kind: u32,
    sector: u64,
}

/// One request being served.
struct Request<'a> {
    disk: &'a Disk,
    buffer: &'a mut [u8],
    stop: &'a dyn Fn() -> bool,
}

/// How a request ended, other than well.
enum Fault {
    /// The device does not know such a request.
    Unsupported,
    /// The request is wrong, or the host failed.
    Io(Option<io::Error>),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(Some(error))
    }
}

impl Request<'_> {
    /// Serves `chain`; returns the number of bytes written to it.
    fn run(&mut self, chain: &mut Chain<'_>) -> Result<u32, &'static str> {
        let mut header = [0; 16];
        chain.reader.read_exact(&mut header).map_err(|_| "a request without a header")?;
        let [k0, k1, k2, k3, _, _, _, _, sector @ ..] = header;
        let header =
            Header { kind: u32::from_le_bytes([k0, k1, k2, k3]), sector: u64::from_le_bytes(sector) };
        let data_len =
            chain.writer.available_bytes().checked_sub(1).ok_or("a request without a status byte")?;
        let mut status_byte =
            chain.writer.split_at(data_len).map_err(|_| "a request without a status byte")?;
        let status = match self.serve(&header, &mut chain.reader, &mut chain.writer) {
            Ok(()) => VIRTIO_BLK_S_OK,
            Err(Fault::Unsupported) => VIRTIO_BLK_S_UNSUPP,
            Err(Fault::Io(error)) => {
                self.complain(&header, error);
                VIRTIO_BLK_S_IOERR
            }
        };
        // The length covers everything up to the status byte, so whatever was not filled counts as written.
        status_byte.write_all(&[status as u8]).map_err(|_| "a request without a status byte")?;
        Ok(u32::try_from(data_len + 1).unwrap_or(u32::MAX))
    }

    fn complain(&self, header: &Header, error: Option<io::Error>) {
        match error {
            Some(error) if !self.disk.complained.swap(true, Ordering::Relaxed) => {
                tracing::warn!("virtio-blk: request {} at sector {}: {error}", header.kind, header.sector);
            }
            Some(_) => {}
            None => tracing::debug!(
                target: "guest_errors", "virtio-blk: bad request {} at sector {}", header.kind, header.sector
            ),
        }
    }

    fn serve(
        &mut self,
        header: &Header,
        reader: &mut ChainReader<'_>,
        writer: &mut ChainWriter<'_>,
    ) -> Result<(), Fault> {
        match header.kind {
            VIRTIO_BLK_T_IN => self.read(header.sector, writer),
            VIRTIO_BLK_T_OUT => self.write(header.sector, reader),
            VIRTIO_BLK_T_FLUSH => Ok(self.disk.backend.flush()?),
            VIRTIO_BLK_T_GET_ID => {
                let mut id = [0; VIRTIO_BLK_ID_BYTES as usize];
                let n = self.disk.serial.len().min(id.len());
                id[..n].copy_from_slice(&self.disk.serial.as_bytes()[..n]);
                let n = writer.available_bytes().min(id.len());
                Ok(writer.write_all(&id[..n])?)
            }
            VIRTIO_BLK_T_DISCARD => {
                self.ranges(reader, 0, |backend, offset, len, _| backend.discard(offset, len))
            }
            VIRTIO_BLK_T_WRITE_ZEROES => {
                self.ranges(reader, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP, |backend, offset, len, flags| {
                    backend.write_zeroes(offset, len, flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP != 0)
                })
            }
            _ => Err(Fault::Unsupported),
        }
    }

    /// The byte offset of `sector` if `len` bytes from there are whole sectors of the disk.
    fn range(&self, sector: u64, len: u64) -> Result<u64, Fault> {
        let offset = sector.checked_mul(SECTOR).ok_or(Fault::Io(None))?;
        let end = offset.checked_add(len).ok_or(Fault::Io(None))?;
        if !len.is_multiple_of(SECTOR) || end > self.disk.backend.capacity() {
            return Err(Fault::Io(None));
        }
        Ok(offset)
    }

    fn read(&mut self, sector: u64, writer: &mut ChainWriter<'_>) -> Result<(), Fault> {
        let mut left = writer.available_bytes();
        let mut offset = self.range(sector, left as u64)?;
        while left > 0 {
            self.stopped()?;
            let n = left.min(self.buffer.len());
            self.disk.backend.read(offset, &mut self.buffer[..n])?;
            writer.write_all(&self.buffer[..n])?;
            offset += n as u64;
            left -= n;
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, reader: &mut ChainReader<'_>) -> Result<(), Fault> {
        let mut left = reader.available_bytes();
        let mut offset = self.range(sector, left as u64)?;
        self.writable()?;
        while left > 0 {
            self.stopped()?;
            let n = left.min(self.buffer.len());
            reader.read_exact(&mut self.buffer[..n])?;
            self.disk.backend.write(offset, &self.buffer[..n])?;
            offset += n as u64;
            left -= n;
        }
        self.write_through()
    }

    /// Discard and write-zeroes: `apply` each range of the request.
    fn ranges(
        &mut self,
        reader: &mut ChainReader<'_>,
        known_flags: u32,
        apply: impl Fn(&dyn BlockBackend, u64, u64, u32) -> io::Result<()>,
    ) -> Result<(), Fault> {
        self.writable()?;
        let len = reader.available_bytes();
        if len == 0 || !len.is_multiple_of(16) || len / 16 > MAX_RANGES as usize {
            return Err(Fault::Io(None));
        }
        for _ in 0..len / 16 {
            self.stopped()?;
            // `struct virtio_blk_discard_write_zeroes`
            let mut range = [0; 16];
            reader.read_exact(&mut range)?;
            let word =
                |at: usize| u32::from_le_bytes([range[at], range[at + 1], range[at + 2], range[at + 3]]);
            let sector = u64::from(word(0)) | u64::from(word(4)) << 32;
            let (sectors, flags) = (word(8), word(12));
            if flags & !known_flags != 0 {
                return Err(Fault::Unsupported);
            }
            if sectors > MAX_RANGE_SECTORS {
                return Err(Fault::Io(None));
            }
            let bytes = u64::from(sectors) * SECTOR;
            let offset = self.range(sector, bytes)?;
            apply(&*self.disk.backend, offset, bytes, flags)?;
        }
        self.write_through()
    }

    fn writable(&self) -> Result<(), Fault> {
        if self.disk.backend.read_only() { Err(Fault::Io(None)) } else { Ok(()) }
    }

    fn stopped(&self) -> Result<(), Fault> {
        if (self.stop)() { Err(Fault::Io(None)) } else { Ok(()) }
    }

    fn write_through(&self) -> Result<(), Fault> {
        if !self.disk.write_cache.load(Ordering::Relaxed) {
            self.disk.backend.flush()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

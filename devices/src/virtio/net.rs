//! virtio network device (virtio 1.2, section 5.1) on a [`NetBackend`]: one pair of queues, mergeable receive
//! buffers, and the offloads that the back end takes.
//!
//! A worker empties the transmit queue; the back end's thread fills receive buffers. Left out: the control
//! queue (receive filters, offload control), several queue pairs, hash reports.

use super::core::{Activation, VirtioDevice, copy_config};
use super::queue::{Chain, Served, VirtQueue};
use super::worker::{Service, Worker};
use crate::host::net::{FrameSink, MAX_LARGE_FRAME, NetBackend};
use base::{State, StateError};
use parking_lot::Mutex;
use std::io::{Read, Write};
use std::sync::Arc;
use virtio_bindings::bindings::virtio_net::*;
use virtio_bindings::virtio_ids::VIRTIO_ID_NET;

const QUEUE_SIZE: u16 = 256;
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;
/// Bytes of `struct virtio_net_hdr_v1`.
const HEADER: usize = 12;
/// Offset of `num_buffers` in it.
const NUM_BUFFERS: usize = 10;
/// Receive buffers that one frame may take, at most.
const MAX_BUFFERS: usize = 64;
const STATE_VERSION: u32 = 1;

/// The receive queue while the driver is ready.
struct Receiver {
    queue: Arc<VirtQueue>,
    mergeable: bool,
    /// What `flags` of each header says.
    flags: u8,
}

/// What the back end delivers to.
#[derive(Default)]
struct Sink(Mutex<Option<Receiver>>);

/// What became of a frame.
enum Delivery {
    Done,
    NoBuffers,
}

impl Receiver {
    fn header(&self, buffers: u16) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[0] = self.flags;
        header[NUM_BUFFERS..].copy_from_slice(&buffers.to_le_bytes());
        header
    }

    fn deliver(&self, frame: &[u8]) -> Delivery {
        let mut chains: Vec<Chain<'_>> = Vec::new();
        let mut room = 0;
        while room < HEADER + frame.len() {
            let limit = if self.mergeable { MAX_BUFFERS } else { 1 };
            if chains.len() == limit {
                tracing::debug!(target: "guest_errors", "virtio-net: receive buffers are too small, frame dropped");
                self.queue.unpop(chains.len() as u16);
                return Delivery::Done;
            }
            let Some(chain) = self.queue.pop() else {
                self.queue.unpop(chains.len() as u16);
                return Delivery::NoBuffers;
            };
            room += chain.writer.available_bytes();
            chains.push(chain);
        }
        let header = self.header(chains.len() as u16);
        let mut left: Vec<u8> = Vec::with_capacity(HEADER + frame.len());
        left.extend(header);
        left.extend(frame);
        let mut left = &left[..];
        let mut used = Vec::with_capacity(chains.len());
        for chain in &mut chains {
            let (now, later) = left.split_at(left.len().min(chain.writer.available_bytes()));
            if chain.writer.write_all(now).is_err() {
                self.queue.link().fail("a receive buffer cannot be written");
                return Delivery::Done;
            }
            used.push((chain.head(), now.len() as u32));
            left = later;
        }
        self.queue.push_all(&used);
        Delivery::Done
    }
}

impl FrameSink for Sink {
    fn receive(&self, frame: &[u8]) -> bool {
        let receiver = self.0.lock();
        // Without a driver the cable ends nowhere.
        let Some(receiver) = &*receiver else { return true };
        // Each further attempt needs a buffer that the driver posted after the one before.
        for _ in 0..=MAX_BUFFERS {
            match receiver.deliver(frame) {
                Delivery::Done => return true,
                // A failed device takes frames and loses them.
                Delivery::NoBuffers if receiver.queue.link().failed() => return true,
                Delivery::NoBuffers => {}
            }
            // What was given back must be seen before the driver can post new buffers.
            receiver.queue.signal();
            if !receiver.queue.arm_beyond() {
                break;
            }
        }
        false
    }

    fn flush(&self) {
        if let Some(receiver) = &*self.0.lock() {
            receiver.queue.signal();
        }
    }
}

/// A network device.
pub struct Net {
    backend: Arc<dyn NetBackend>,
    mac: [u8; 6],
    sink: Arc<Sink>,
    service: Service,
    worker: Option<Worker>,
}

impl Net {
    /// A device with address `mac` on `backend`.
    /// What it sends it sends as `service` says.
    pub fn new(backend: Arc<dyn NetBackend>, mac: [u8; 6], service: Service) -> Self {
        let sink = Arc::new(Sink::default());
        backend.attach(sink.clone());
        Self { backend, mac, sink, service, worker: None }
    }
}

impl VirtioDevice for Net {
    fn name(&self) -> &'static str {
        "virtio-net"
    }

    fn id(&self) -> u16 {
        VIRTIO_ID_NET as u16
    }

    fn features(&self) -> u64 {
        let offloads = self.backend.offloads();
        let mut features = 1 << VIRTIO_NET_F_MAC | 1 << VIRTIO_NET_F_STATUS | 1 << VIRTIO_NET_F_MRG_RXBUF;
        if offloads.checksum {
            features |= 1 << VIRTIO_NET_F_CSUM | 1 << VIRTIO_NET_F_GUEST_CSUM;
            // Segmentation stands on check sums.
            if offloads.segmentation {
                features |= 1 << VIRTIO_NET_F_HOST_TSO4;
            }
        }
        features
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; 2]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        // `struct virtio_net_config`: the address, and a link that is always up.
        let mut space = [0; 8];
        space[..6].copy_from_slice(&self.mac);
        space[6] = VIRTIO_NET_S_LINK_UP as u8;
        copy_config(&space, offset, data);
    }

    fn write_config(&mut self, _offset: u64, _data: &[u8]) {}

    fn activate(&mut self, activation: Activation) {
        let flags = if activation.has(VIRTIO_NET_F_GUEST_CSUM) { VIRTIO_NET_HDR_F_DATA_VALID } else { 0 };
        *self.sink.0.lock() = activation.queue(RECEIVE.into()).map(|queue| Receiver {
            queue,
            mergeable: activation.has(VIRTIO_NET_F_MRG_RXBUF),
            flags: flags as u8,
        });
        let Some(queue) = activation.queue(TRANSMIT.into()) else { return };
        let backend = self.backend.clone();
        let mut frame = Vec::new();
        let work = move |stop: &dyn Fn() -> bool| {
            queue.serve(stop, |chain| transmit(chain, &mut frame, &*backend));
        };
        match Worker::start(self.service, "virtio-net", work) {
            Ok(worker) => self.worker = Some(worker),
            Err(error) => activation.link.fail(&format!("no worker thread: {error}")),
        }
    }

    fn notify(&mut self, index: u16) {
        match (index, &mut self.worker) {
            (RECEIVE, _) => self.backend.resume(),
            (TRANSMIT, Some(worker)) => worker.kick(),
            _ => {}
        }
    }

    fn reset(&mut self) {
        self.worker = None;
        *self.sink.0.lock() = None;
    }

    fn save(&self) -> State {
        self.worker.iter().for_each(Worker::wait_idle);
        // A frame that is being delivered is in the middle of the queue.
        drop(self.sink.0.lock());
        State::of(STATE_VERSION, &())
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        state.get::<()>(STATE_VERSION)?;
        self.reset();
        self.backend.forget();
        Ok(())
    }
}

/// Sends the frame in `chain`, using `frame` as its buffer.
fn transmit(
    chain: &mut Chain<'_>,
    frame: &mut Vec<u8>,
    backend: &dyn NetBackend,
) -> Result<Served, &'static str> {
    // What the header says about check sums and segments the back end finds out from the frame.
    let mut header = [0; HEADER];
    chain.reader.read_exact(&mut header).map_err(|_| "a frame without a header")?;
    let len = chain.reader.available_bytes();
    if len <= MAX_LARGE_FRAME {
        frame.resize(len, 0);
        chain.reader.read_exact(frame).map_err(|_| "a frame that cannot be read")?;
        backend.send(frame);
    }
    Ok(Served::Wrote(0))
}

impl Drop for Net {
    fn drop(&mut self) {
        self.reset();
    }
}

#[cfg(test)]
mod tests;

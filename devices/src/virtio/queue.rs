//! One virtqueue as a device model sees it: chains come out, used lengths go in, the driver is told when it asked
//! to be (virtio 1.2, section 2.7, on the split ring of `virtio-queue`).
//!
//! Rings are written by the guest while they are read, and may hold anything. What cannot be a correct driver puts
//! the device into the "needs reset" state ([`Link::fail`]): from then on its queues are silent until the driver
//! resets it.

use base::{GuestRam, WriteWatch};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use virtio_bindings::bindings::virtio_ring::VRING_AVAIL_F_NO_INTERRUPT;
use virtio_queue::{DescriptorChain, Queue, QueueOwnedT, QueueT, Reader, Writer};
use vm_memory::{Bytes, GuestAddress};

/// How a transport tells the driver that something happened. Called from any thread, with locks of the device held.
pub trait Interrupt: Send + Sync {
    /// Queue `index` has used buffers that the driver wants to hear of.
    fn queue(&self, index: u16);
    /// The configuration space or the device status changed.
    fn config(&self);
}

/// What a device and its queues share with the transport.
pub struct Link {
    device: &'static str,
    interrupt: Arc<dyn Interrupt>,
    failed: AtomicBool,
    generation: AtomicU32,
}

impl Link {
    pub(super) fn new(device: &'static str, interrupt: Arc<dyn Interrupt>) -> Arc<Self> {
        Arc::new(Self { device, interrupt, failed: AtomicBool::new(false), generation: AtomicU32::new(0) })
    }

    /// Puts the device into the "needs reset" state because the driver did `what`; logs it once until the reset.
    pub fn fail(&self, what: &str) {
        if !self.failed.swap(true, Ordering::SeqCst) {
            tracing::warn!(target: "guest_error", "{}: {what}; the device needs a reset", self.device);
            self.interrupt.config();
        }
    }

    /// Whether the device waits for a reset.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    pub(super) fn set_failed(&self, failed: bool) {
        self.failed.store(failed, Ordering::SeqCst);
    }

    /// Tells the driver that the configuration space changed.
    pub fn config_changed(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.interrupt.config();
    }

    /// Counts changes of the configuration space, so that a driver can tell whether it read a torn value.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::SeqCst)
    }
}

/// Reads the device-readable part of a chain.
pub type ChainReader<'q> = Reader<'q, WriteWatch>;
/// Writes the device-writable part of a chain.
pub type ChainWriter<'q> = Writer<'q, WriteWatch>;

/// One buffer that the driver made available.
pub struct Chain<'q> {
    head: u16,
    /// The device-readable bytes.
    pub reader: ChainReader<'q>,
    /// The device-writable bytes.
    pub writer: ChainWriter<'q>,
}

impl<'q> Chain<'q> {
    fn new(chain: DescriptorChain<&'q GuestRam>, ram: &'q GuestRam) -> Result<Self, &'static str> {
        let (mut ended, mut writable) = (false, false);
        for descriptor in chain.clone() {
            if writable && !descriptor.is_write_only() {
                return Err("a readable descriptor follows a writable one");
            }
            writable = descriptor.is_write_only();
            ended = !descriptor.has_next();
        }
        // The walk stops early at a bad index, a loop, a bad indirect table and beyond 4 GiB.
        if !ended {
            return Err("a descriptor chain has no proper end");
        }
        let head = chain.head_index();
        let reader = chain.clone().reader(ram).map_err(|_| "a descriptor points outside of memory")?;
        let writer = chain.writer(ram).map_err(|_| "a descriptor points outside of memory")?;
        Ok(Self { head, reader, writer })
    }

    /// Index of the first descriptor, which names the buffer in the used ring.
    pub fn head(&self) -> u16 {
        self.head
    }
}

/// Where the rings of a queue lie and how far the device has come in them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RingState {
    pub size: u16,
    pub ready: bool,
    pub desc: u64,
    pub avail: u64,
    pub used: u64,
    pub next_avail: u16,
    pub next_used: u16,
}

/// A queue that the driver has set up. Shared between the transport, the device and its worker.
pub struct VirtQueue {
    index: u16,
    ram: GuestRam,
    ring: Mutex<Queue>,
    link: Arc<Link>,
}

impl VirtQueue {
    /// The queue that `state` describes; `None` when its rings are misaligned or outside of RAM.
    pub(super) fn new(
        index: u16,
        state: &RingState,
        event_idx: bool,
        ram: &GuestRam,
        link: &Arc<Link>,
    ) -> Option<Self> {
        let mut ring = Queue::new(state.size).ok()?;
        ring.try_set_desc_table_address(GuestAddress(state.desc)).ok()?;
        ring.try_set_avail_ring_address(GuestAddress(state.avail)).ok()?;
        ring.try_set_used_ring_address(GuestAddress(state.used)).ok()?;
        ring.set_event_idx(event_idx);
        ring.set_next_avail(state.next_avail);
        ring.set_next_used(state.next_used);
        ring.set_ready(true);
        if !ring.is_valid(ram) {
            return None;
        }
        Some(Self { index, ram: ram.clone(), ring: Mutex::new(ring), link: link.clone() })
    }

    /// The queue's number in its device.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// What the queue shares with its device.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// How far the device has come: the next entries of the available and the used ring.
    pub(super) fn position(&self) -> (u16, u16) {
        let ring = self.ring.lock();
        (ring.next_avail(), ring.next_used())
    }

    /// Takes the next available buffer.
    pub fn pop(&self) -> Option<Chain<'_>> {
        if self.link.failed() {
            return None;
        }
        let next = match self.ring.lock().iter(&self.ram) {
            Ok(mut available) => available.next(),
            Err(_) => {
                self.link.fail(&format!("queue {}: the available index is impossible", self.index));
                return None;
            }
        };
        match Chain::new(next?, &self.ram) {
            Ok(chain) => Some(chain),
            Err(what) => {
                self.link.fail(&format!("queue {}: {what}", self.index));
                None
            }
        }
    }

    /// Puts the buffer that was taken last back, to be taken again.
    pub fn unpop(&self) {
        self.ring.lock().go_to_previous_position();
    }

    /// Gives a buffer back to the driver, `len` bytes of it written.
    pub fn push(&self, head: u16, len: u32) {
        if self.ring.lock().add_used(&self.ram, head, len).is_err() {
            self.link.fail(&format!("queue {}: descriptor {head} cannot be given back", self.index));
        }
    }

    /// Interrupts the driver if it wants to hear of the buffers given back since the last call.
    pub fn signal(&self) {
        let mut ring = self.ring.lock();
        let wanted = if ring.event_idx_enabled() {
            ring.needs_notification(&self.ram).unwrap_or(false)
        } else {
            // The used index must be out before the flags are read, or both sides could wait.
            fence(Ordering::SeqCst);
            let flags = self.ram.load::<u16>(GuestAddress(ring.avail_ring()), Ordering::SeqCst);
            flags.is_ok_and(|f| u32::from(u16::from_le(f)) & VRING_AVAIL_F_NO_INTERRUPT == 0)
        };
        drop(ring);
        if wanted {
            self.link.interrupt.queue(self.index);
        }
    }

    /// Asks the driver to notify us of the next buffer it makes available. True if there is one already: then it
    /// may have seen no reason to notify.
    pub fn arm(&self) -> bool {
        !self.link.failed() && self.ring.lock().enable_notification(&self.ram).unwrap_or(false)
    }

    /// Whether a buffer is available.
    pub fn has_available(&self) -> bool {
        let ring = self.ring.lock();
        !self.link.failed()
            && ring.avail_idx(&self.ram, Ordering::SeqCst).is_ok_and(|idx| idx.0 != ring.next_avail())
    }

    /// Serves buffers until none is left: `serve` returns the number of bytes it wrote, or `Err` with what is wrong
    /// with the driver. Ends early when `stop` says so.
    pub fn serve(
        &self,
        stop: impl Fn() -> bool,
        mut serve: impl FnMut(&mut Chain<'_>) -> Result<u32, &'static str>,
    ) {
        let mut idle = false;
        loop {
            let mut any = false;
            while !stop() {
                let Some(mut chain) = self.pop() else { break };
                any = true;
                match serve(&mut chain) {
                    Ok(len) => self.push(chain.head(), len),
                    Err(what) => self.link.fail(&format!("queue {}: {what}", self.index)),
                }
                self.signal();
            }
            // An index that moves without ever showing a buffer is no reason to look a third time.
            if stop() || !self.arm() || (idle && !any) {
                return;
            }
            idle = !any;
        }
    }
}

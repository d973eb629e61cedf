//! One virtqueue as a device model sees it: chains come out, used lengths go in, the driver is told when it asked
//! to be (virtio 1.2, section 2.7, on the split ring of `virtio-queue`).
//!
//! Rings are written by the guest while they are read, and may hold anything. What cannot be a correct driver puts
//! the device into the "needs reset" state ([`Link::fail`]): from then on its queues are silent until the driver
//! resets it.

use base::{GuestRam, WriteWatch};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::num::Wrapping;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use virtio_bindings::bindings::virtio_ring::VRING_AVAIL_F_NO_INTERRUPT;
use virtio_queue::{DescriptorChain, Queue, QueueOwnedT, QueueT, Reader, Writer};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

/// Buffers served in one notification on a vCPU's thread: many times what any queue holds.
const MAX_INLINE: u32 = 1 << 17;

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
            tracing::warn!(target: "guest_errors", "{}: {what}; the device needs a reset", self.device);
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

/// What became of a buffer that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// It goes back to the driver with so many bytes written.
    Wrote(u32),
    /// It stays available. The device then has a reason of its own to look again, or stops.
    Later,
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
    ring: Mutex<Ring>,
    link: Arc<Link>,
}

struct Ring {
    queue: Queue,
    /// The used index at the last decision about an interrupt.
    signalled: Wrapping<u16>,
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
        let mut queue = Queue::new(state.size).ok()?;
        queue.try_set_desc_table_address(GuestAddress(state.desc)).ok()?;
        queue.try_set_avail_ring_address(GuestAddress(state.avail)).ok()?;
        queue.try_set_used_ring_address(GuestAddress(state.used)).ok()?;
        queue.set_event_idx(event_idx);
        queue.set_next_avail(state.next_avail);
        queue.set_next_used(state.next_used);
        queue.set_ready(true);
        if !queue.is_valid(ram) {
            return None;
        }
        let ring = Mutex::new(Ring { queue, signalled: Wrapping(state.next_used) });
        Some(Self { index, ram: ram.clone(), ring, link: link.clone() })
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
        let queue = &self.ring.lock().queue;
        (queue.next_avail(), queue.next_used())
    }

    /// Takes the next available buffer.
    pub fn pop(&self) -> Option<Chain<'_>> {
        if self.link.failed() {
            return None;
        }
        let next = match self.ring.lock().queue.iter(&self.ram) {
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

    /// Puts the `count` buffers that were taken last back, to be taken again.
    pub fn unpop(&self, count: u16) {
        let queue = &mut self.ring.lock().queue;
        queue.set_next_avail(queue.next_avail().wrapping_sub(count));
    }

    /// Gives a buffer back to the driver, `len` bytes of it written.
    pub fn push(&self, head: u16, len: u32) {
        self.push_all(&[(head, len)]);
    }

    /// Gives buffers back to the driver, which sees all of them at once (`Queue::add_used` shows them one by one).
    pub fn push_all(&self, buffers: &[(u16, u32)]) {
        let queue = &mut self.ring.lock().queue;
        let start = queue.next_used();
        let mut next = start;
        let mut write = || -> Result<(), GuestMemoryError> {
            for &(head, len) in buffers {
                let at = queue.used_ring() + 4 + 8 * u64::from(next % queue.size());
                self.ram.write_obj(u32::from(head).to_le(), GuestAddress(at))?;
                self.ram.write_obj(len.to_le(), GuestAddress(at + 4))?;
                next = next.wrapping_add(1);
            }
            self.ram.store(next.to_le(), GuestAddress(queue.used_ring() + 2), Ordering::Release)
        };
        match write() {
            Ok(()) => queue.set_next_used(next),
            Err(_) => self.link.fail(&format!("queue {}: the used ring cannot be written", self.index)),
        }
    }

    /// Interrupts the driver if it wants to hear of the buffers given back since the last call.
    pub fn signal(&self) {
        let mut ring = self.ring.lock();
        let new = Wrapping(ring.queue.next_used());
        let old = std::mem::replace(&mut ring.signalled, new);
        // The used index must be out before the driver's wishes are read, or both sides could wait.
        fence(Ordering::SeqCst);
        let load = |at| self.ram.load::<u16>(GuestAddress(at), Ordering::Relaxed).map_or(0, u16::from_le);
        let avail = ring.queue.avail_ring();
        let wanted = if ring.queue.event_idx_enabled() {
            let used_event = Wrapping(load(avail + 4 + 2 * u64::from(ring.queue.size())));
            new - used_event - Wrapping(1) < new - old
        } else {
            u32::from(load(avail)) & VRING_AVAIL_F_NO_INTERRUPT == 0
        };
        drop(ring);
        if wanted {
            self.link.interrupt.queue(self.index);
        }
    }

    /// Asks the driver to notify us of the next buffer it makes available. True if there is one already: then it
    /// may have seen no reason to notify.
    pub fn arm(&self) -> bool {
        !self.link.failed() && self.ring.lock().queue.enable_notification(&self.ram).unwrap_or(false)
    }

    /// [`VirtQueue::arm`] for who needs more buffers than are available: asks for a notification of the next one
    /// beyond those. True if there is one already.
    pub fn arm_beyond(&self) -> bool {
        let queue = &mut self.ring.lock().queue;
        let position = queue.next_avail();
        let Ok(seen) = queue.avail_idx(&self.ram, Ordering::Acquire) else { return false };
        queue.set_next_avail(seen.0);
        let more = queue.enable_notification(&self.ram).unwrap_or(false);
        queue.set_next_avail(position);
        more && !self.link.failed()
    }

    /// Serves buffers until none is left; `serve` returns `Err` with what is wrong with the driver. Ends early when
    /// `stop` says so.
    pub fn serve(
        &self,
        stop: impl Fn() -> bool,
        mut serve: impl FnMut(&mut Chain<'_>) -> Result<Served, &'static str>,
    ) {
        let mut idle = false;
        loop {
            let mut any = false;
            while !stop() {
                let Some(mut chain) = self.pop() else { break };
                any = true;
                match serve(&mut chain) {
                    Ok(Served::Wrote(len)) => self.push(chain.head(), len),
                    Ok(Served::Later) => self.unpop(1),
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

    /// [`VirtQueue::serve`] on the thread of the notifying vCPU: a driver that feeds the queue from another vCPU as
    /// fast as it is emptied is not served for ever.
    pub fn serve_inline(
        &self,
        stop: impl Fn() -> bool,
        mut serve: impl FnMut(&mut Chain<'_>) -> Result<Served, &'static str>,
    ) {
        let mut left = MAX_INLINE;
        self.serve(stop, |chain| {
            left = left.checked_sub(1).ok_or("it is fed without end")?;
            serve(chain)
        });
    }
}

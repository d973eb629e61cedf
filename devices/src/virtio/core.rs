//! The part of a virtio device that does not depend on its transport: status, feature negotiation, queue set-up,
//! activation and reset (virtio 1.2, chapters 2 and 3).

use super::queue::{Interrupt, Link, RingState, VirtQueue};
use base::{GuestRam, State, StateError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use virtio_bindings::bindings::virtio_config::{
    VIRTIO_CONFIG_S_DRIVER_OK, VIRTIO_CONFIG_S_FEATURES_OK, VIRTIO_CONFIG_S_NEEDS_RESET, VIRTIO_F_VERSION_1,
};
use virtio_bindings::bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};

/// What a device gets when its driver is ready.
pub struct Activation {
    /// The features that the driver accepted.
    pub features: u64,
    /// The queues by number; `None` for those the driver did not enable.
    pub queues: Vec<Option<Arc<VirtQueue>>>,
    /// For telling the driver of changes and faults.
    pub link: Arc<Link>,
}

impl Activation {
    /// Whether the driver accepted feature bit `bit`.
    pub fn has(&self, bit: u32) -> bool {
        self.features >> bit & 1 != 0
    }

    /// Queue `index`, if the driver enabled it.
    pub fn queue(&self, index: usize) -> Option<Arc<VirtQueue>> {
        self.queues.get(index).cloned().flatten()
    }
}

/// A virtio device model, apart from its transport.
///
/// The calls come from the transport under its lock, mostly on a vCPU thread, so none may wait for the outside
/// world except [`VirtioDevice::reset`] and [`VirtioDevice::save`], which wait for requests under way.
pub trait VirtioDevice: Send {
    /// The kind of device, as `info qtree` names it.
    fn name(&self) -> &'static str;
    /// The device type (virtio 1.2, chapter 5).
    fn id(&self) -> u16;
    /// The device-specific features offered; the core adds those of the ring and of virtio 1.
    fn features(&self) -> u64;
    /// The largest size of each queue, powers of two.
    fn queue_sizes(&self) -> Vec<u16>;
    /// Reads from the device-specific configuration space; bytes that do not exist stay zero.
    fn read_config(&self, offset: u64, data: &mut [u8]);
    /// Writes to the device-specific configuration space.
    fn write_config(&mut self, offset: u64, data: &[u8]);
    /// The driver is ready: start serving the queues. Every enabled queue is notified once afterwards.
    fn activate(&mut self, activation: Activation);
    /// The driver made buffers available in queue `index`.
    fn notify(&mut self, index: u16);
    /// Lets go of the queues once no request is under way, and goes back to the power-on state.
    fn reset(&mut self);
    /// The device's own state, taken when no request is under way.
    fn save(&self) -> State;
    /// Resets the device and takes over a state; on error the device is as it was.
    fn load(&mut self, state: &State) -> Result<(), StateError>;
}

/// Copies what lies at `offset` of the configuration structure `space` into `data`: the body of most
/// [`VirtioDevice::read_config`]s.
pub(super) fn copy_config(space: &[u8], offset: u64, data: &mut [u8]) {
    for (i, byte) in data.iter_mut().enumerate() {
        let at = usize::try_from(offset).ok().and_then(|o| o.checked_add(i));
        *byte = at.and_then(|at| space.get(at)).copied().unwrap_or(0);
    }
}

#[derive(Serialize, Deserialize)]
struct CoreState {
    status: u8,
    needs_reset: bool,
    driver_features: u64,
    rings: Vec<RingState>,
    device: State,
}

const STATE_VERSION: u32 = 1;
const DRIVER_OK: u8 = VIRTIO_CONFIG_S_DRIVER_OK as u8;
const FEATURES_OK: u8 = VIRTIO_CONFIG_S_FEATURES_OK as u8;
const NEEDS_RESET: u8 = VIRTIO_CONFIG_S_NEEDS_RESET as u8;

/// A device model with the life cycle that all transports share.
pub struct VirtioCore {
    device: Box<dyn VirtioDevice>,
    ram: GuestRam,
    link: Arc<Link>,
    status: u8,
    driver_features: u64,
    rings: Vec<RingState>,
    max_sizes: Vec<u16>,
    /// By queue number while the driver is ready, otherwise empty.
    active: Vec<Option<Arc<VirtQueue>>>,
}

impl VirtioCore {
    /// Wraps `device`, which reads and writes `ram` and tells its driver through `interrupt`.
    pub fn new(device: Box<dyn VirtioDevice>, ram: GuestRam, interrupt: Arc<dyn Interrupt>) -> Self {
        let link = Link::new(device.name(), interrupt);
        let max_sizes = device.queue_sizes();
        let mut core = Self {
            device,
            ram,
            link,
            status: 0,
            driver_features: 0,
            rings: Vec::new(),
            max_sizes,
            active: Vec::new(),
        };
        core.clear();
        core
    }

    fn clear(&mut self) {
        self.active.clear();
        self.status = 0;
        self.driver_features = 0;
        self.rings = self.max_sizes.iter().map(|&size| RingState { size, ..Default::default() }).collect();
        self.link.set_failed(false);
    }

    /// The device model's name.
    pub fn name(&self) -> &'static str {
        self.device.name()
    }

    /// The device type.
    pub fn id(&self) -> u16 {
        self.device.id()
    }

    /// All features offered.
    pub fn features(&self) -> u64 {
        self.device.features()
            | 1 << VIRTIO_F_VERSION_1
            | 1 << VIRTIO_RING_F_INDIRECT_DESC
            | 1 << VIRTIO_RING_F_EVENT_IDX
    }

    /// The features the driver has written so far.
    pub fn driver_features(&self) -> u64 {
        self.driver_features
    }

    /// The driver writes one half of the features it accepts: 0 the low, 1 the high one.
    pub fn set_driver_features(&mut self, half: u32, value: u32) {
        // Feature negotiation is over once it is confirmed.
        if self.status & FEATURES_OK != 0 {
            return;
        }
        match half {
            0 => self.driver_features = self.driver_features >> 32 << 32 | u64::from(value),
            1 => self.driver_features = self.driver_features & 0xffff_ffff | u64::from(value) << 32,
            _ => {}
        }
    }

    /// The device status field.
    pub fn status(&self) -> u8 {
        self.status | if self.link.failed() { NEEDS_RESET } else { 0 }
    }

    /// The driver writes the device status field; zero resets the device.
    pub fn set_status(&mut self, value: u8) {
        if value == 0 {
            return self.reset();
        }
        let mut value = value & !NEEDS_RESET;
        let acceptable = self.driver_features & !self.features() == 0
            && self.driver_features >> VIRTIO_F_VERSION_1 & 1 != 0;
        if value & FEATURES_OK != 0 && !acceptable {
            value &= !(FEATURES_OK | DRIVER_OK);
        }
        let ready = value & !self.status & DRIVER_OK != 0;
        self.status = value;
        if ready {
            self.activate();
        }
    }

    fn activate(&mut self) {
        if self.status & FEATURES_OK == 0 {
            self.status &= !DRIVER_OK;
            tracing::debug!(target: "guest_errors", "{}: driver is ready without features", self.name());
            return;
        }
        let event_idx = self.driver_features >> VIRTIO_RING_F_EVENT_IDX & 1 != 0;
        let mut queues = Vec::new();
        for (index, state) in (0..).zip(&self.rings) {
            let queue = state.ready.then(|| VirtQueue::new(index, state, event_idx, &self.ram, &self.link));
            if matches!(queue, Some(None)) {
                self.link.fail(&format!("queue {index} does not lie in memory"));
            }
            queues.push(queue.flatten().map(Arc::new));
        }
        self.active = queues.clone();
        let activation = Activation { features: self.driver_features, queues, link: self.link.clone() };
        self.device.activate(activation);
        for index in 0..self.active.len() {
            self.notify(index as u16);
        }
    }

    /// The driver made buffers available in queue `index`.
    pub fn notify(&mut self, index: u16) {
        if self.active.get(usize::from(index)).is_some_and(Option::is_some) && !self.link.failed() {
            self.device.notify(index);
        }
    }

    /// The number of queues.
    pub fn queue_count(&self) -> u16 {
        self.max_sizes.len() as u16
    }

    /// The largest size of queue `index`, zero if there is no such queue.
    pub fn max_size(&self, index: u16) -> u16 {
        self.max_sizes.get(usize::from(index)).copied().unwrap_or(0)
    }

    /// The set-up of queue `index`.
    pub(super) fn ring(&self, index: u16) -> Option<&RingState> {
        self.rings.get(usize::from(index))
    }

    /// Changes the set-up of queue `index`, which the driver may do until it enables the queue.
    pub(super) fn set_ring(&mut self, index: u16, change: impl FnOnce(&mut RingState)) {
        if self.active.is_empty()
            && let Some(ring) = self.rings.get_mut(usize::from(index))
        {
            change(ring);
        }
    }

    /// Changes the size of queue `index`; a size that is no power of two or too large is ignored.
    pub fn set_queue_size(&mut self, index: u16, size: u16) {
        if size.is_power_of_two() && size <= self.max_size(index) {
            self.set_ring(index, |ring| ring.size = size);
        }
    }

    /// Counts changes of the configuration space.
    pub fn generation(&self) -> u32 {
        self.link.generation()
    }

    /// Reads from the device-specific configuration space.
    pub fn read_config(&self, offset: u64, data: &mut [u8]) {
        self.device.read_config(offset, data);
    }

    /// Writes to the device-specific configuration space.
    pub fn write_config(&mut self, offset: u64, data: &[u8]) {
        self.device.write_config(offset, data);
    }

    /// Back to the power-on state, once no request is under way.
    pub fn reset(&mut self) {
        self.device.reset();
        self.clear();
    }

    /// The whole state, taken when no request is under way.
    pub fn save(&self) -> State {
        // First, because it waits for requests under way and they move the rings.
        let device = self.device.save();
        let mut rings = self.rings.clone();
        for (ring, queue) in rings.iter_mut().zip(&self.active) {
            if let Some(queue) = queue {
                (ring.next_avail, ring.next_used) = queue.position();
            }
        }
        State::of(
            STATE_VERSION,
            &CoreState {
                status: self.status,
                needs_reset: self.link.failed(),
                driver_features: self.driver_features,
                rings,
                device,
            },
        )
    }

    /// Takes over a state; on error the device is as it was.
    pub fn load(&mut self, state: &State) -> Result<(), StateError> {
        let state: CoreState = state.get(STATE_VERSION)?;
        let fits = |(ring, &max): (&RingState, &u16)| ring.size.is_power_of_two() && ring.size <= max;
        if state.rings.len() != self.max_sizes.len() || !state.rings.iter().zip(&self.max_sizes).all(fits) {
            return Err(StateError::Value("virtio queues of another device"));
        }
        self.device.load(&state.device)?;
        self.clear();
        self.status = state.status & !NEEDS_RESET;
        self.driver_features = state.driver_features;
        self.rings = state.rings;
        self.link.set_failed(state.needs_reset);
        if self.status & DRIVER_OK != 0 {
            self.activate();
        }
        Ok(())
    }
}

//! virtio over PCI: the modern interface (virtio 1.2, section 4.1), laid out as QEMU does.
//!
//! BAR 1 holds the MSI-X table, BAR 4 the virtio structures. The device ids are those of modern devices (0x1040 + type), as QEMU's
//! `disable-legacy=on`; the legacy interface in I/O ports is left out.

use super::core::{VirtioCore, VirtioDevice};
use super::mmio::{set_high, set_low};
use super::queue::Interrupt;
use crate::pci::{
    Bar, BarKind, ConfigSpace, ConfigState, Identity, InterruptState, PciFunction, PciInterrupt, PciWiring,
    express,
};
use base::{Device, GuestRam, State, StateError, Width};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use virtio_bindings::virtio_ids::{VIRTIO_ID_BLOCK, VIRTIO_ID_CONSOLE, VIRTIO_ID_NET, VIRTIO_ID_RNG};

const BAR_MSIX: usize = 1;
const BAR_VIRTIO: usize = 4;
const BAR_SIZE: u64 = 0x4000;

const CAPABILITY_VENDOR: u8 = 0x09;
/// `cfg_type` of the capabilities, and where their structures are in the BAR; each takes 4 KiB.
const COMMON: (u8, u32) = (1, 0x0000);
const ISR: (u8, u32) = (3, 0x1000);
const DEVICE: (u8, u32) = (4, 0x2000);
const NOTIFY: (u8, u32) = (2, 0x3000);
/// The capability through which firmware without BARs reaches the structures.
const CONFIG_ACCESS: u8 = 5;
const STRUCTURE: u32 = 0x1000;
const NOTIFY_MULTIPLIER: u32 = 4;

const NO_VECTOR: u16 = 0xffff;
const ISR_QUEUE: u8 = 1;
const ISR_CONFIG: u8 = 2;

const STATUS_REGISTER: std::ops::Range<usize> = 0x04..0x08;
const STATUS_INTERRUPT: u32 = 1 << 3;

#[derive(Clone, Serialize, Deserialize)]
struct Vectors {
    isr: u8,
    config: u16,
    queues: Vec<u16>,
}

/// The ISR status, the vectors, and the pins they drive.
struct VirtioPciInterrupt {
    pci: Arc<PciInterrupt>,
    vectors: Mutex<Vectors>,
}

impl VirtioPciInterrupt {
    fn raise(&self, isr: u8, vector: impl FnOnce(&Vectors) -> u16) {
        let mut vectors = self.vectors.lock();
        if self.pci.msix_enabled() {
            let vector = vector(&vectors);
            drop(vectors);
            self.pci.fire(vector);
        } else {
            vectors.isr |= isr;
            self.pci.set_intx(true);
        }
    }

    /// Reads and clears the ISR status.
    fn acknowledge(&self) -> u8 {
        let mut vectors = self.vectors.lock();
        self.pci.set_intx(false);
        std::mem::take(&mut vectors.isr)
    }

    fn reset(&self) {
        let mut vectors = self.vectors.lock();
        vectors.isr = 0;
        vectors.config = NO_VECTOR;
        vectors.queues.fill(NO_VECTOR);
        self.pci.set_intx(false);
    }
}

impl Interrupt for VirtioPciInterrupt {
    fn queue(&self, index: u16) {
        self.raise(ISR_QUEUE, |v| v.queues.get(usize::from(index)).copied().unwrap_or(NO_VECTOR));
    }

    fn config(&self) {
        self.raise(ISR_CONFIG, |v| v.config);
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Selectors {
    device_features: u32,
    driver_features: u32,
    queue: u16,
}

#[derive(Serialize, Deserialize)]
struct PciState {
    config: ConfigState,
    interrupt: InterruptState,
    vectors: Vectors,
    selectors: Selectors,
    core: State,
}

const STATE_VERSION: u32 = 1;

/// A virtio device as a PCI function.
pub struct VirtioPci {
    name: &'static str,
    config: ConfigSpace,
    /// Offset of the capability for access through configuration space.
    access: usize,
    interrupt: Arc<VirtioPciInterrupt>,
    selectors: Selectors,
    core: VirtioCore,
}

/// The name in QEMU's `-device`, and the class code, by device type.
fn kind(id: u16) -> (&'static str, u32) {
    match u32::from(id) {
        VIRTIO_ID_NET => ("virtio-net-pci", 0x02_00_00),
        VIRTIO_ID_BLOCK => ("virtio-blk-pci", 0x01_00_00),
        VIRTIO_ID_CONSOLE => ("virtio-serial-pci", 0x07_80_00),
        VIRTIO_ID_RNG => ("virtio-rng-pci", 0x00_ff_00),
        _ => ("virtio-pci", 0x00_ff_00),
    }
}

/// The body of a `struct virtio_pci_cap`, after its id and link.
fn capability(kind: u8, len: u8, offset: u32) -> Vec<u8> {
    let mut body = vec![len, kind, BAR_VIRTIO as u8, 0, 0, 0];
    body.extend(offset.to_le_bytes());
    body.extend(STRUCTURE.to_le_bytes());
    body
}

impl VirtioPci {
    /// `device` as a function in the slot that `wiring` belongs to.
    pub fn new(device: Box<dyn VirtioDevice>, ram: GuestRam, wiring: PciWiring) -> Self {
        let (name, class) = kind(device.id());
        let mut config = ConfigSpace::new(Identity {
            vendor: 0x1af4,
            device: 0x1040 + device.id(),
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
            class,
            revision: 1,
            pin: 1,
        });
        let queues = device.queue_sizes().len();
        let vectors = (queues as u16 + 1).min(128);
        let pci = PciInterrupt::new(&mut config, BAR_MSIX, vectors, wiring.intx, wiring.messages);
        config.add_bar(BAR_VIRTIO, Bar { kind: BarKind::Memory64, size: BAR_SIZE });
        for (kind, offset) in [COMMON, ISR, DEVICE] {
            config.add_capability(CAPABILITY_VENDOR, &capability(kind, 16, offset), &[]);
        }
        let mut notify = capability(NOTIFY.0, 20, NOTIFY.1);
        notify.extend(NOTIFY_MULTIPLIER.to_le_bytes());
        config.add_capability(CAPABILITY_VENDOR, &notify, &[]);
        // Bar, offset, length and data are software's to write.
        let mut access = vec![20, CONFIG_ACCESS];
        access.resize(18, 0);
        let mut writable = [0xff; 18];
        (writable[0], writable[1]) = (0, 0);
        let access = config.add_capability(CAPABILITY_VENDOR, &access, &writable);
        if wiring.express {
            express::add_endpoint(&mut config);
        }
        let vectors = Vectors { isr: 0, config: NO_VECTOR, queues: vec![NO_VECTOR; queues] };
        let interrupt = Arc::new(VirtioPciInterrupt { pci, vectors: Mutex::new(vectors) });
        let core = VirtioCore::new(device, ram, interrupt.clone());
        Self { name, config, access, interrupt, selectors: Selectors::default(), core }
    }

    /// `struct virtio_pci_common_cfg` as it reads now.
    fn common(&self) -> Vec<u8> {
        let Selectors { device_features, driver_features, queue } = self.selectors;
        let half = |features: u64, half: u32| match half {
            0 => features as u32,
            1 => (features >> 32) as u32,
            _ => 0,
        };
        let ring = self.core.ring(queue).cloned().unwrap_or_default();
        let vectors = self.interrupt.vectors.lock();
        let queue_vector = vectors.queues.get(usize::from(queue)).copied().unwrap_or(NO_VECTOR);
        let mut bytes = Vec::with_capacity(64);
        bytes.extend(device_features.to_le_bytes());
        bytes.extend(half(self.core.features(), device_features).to_le_bytes());
        bytes.extend(driver_features.to_le_bytes());
        bytes.extend(half(self.core.driver_features(), driver_features).to_le_bytes());
        bytes.extend(vectors.config.to_le_bytes());
        bytes.extend(self.core.queue_count().to_le_bytes());
        bytes.extend([self.core.status(), self.core.generation() as u8]);
        bytes.extend(queue.to_le_bytes());
        bytes.extend(ring.size.to_le_bytes());
        bytes.extend(queue_vector.to_le_bytes());
        bytes.extend(u16::from(ring.ready).to_le_bytes());
        bytes.extend(queue.to_le_bytes()); // queue_notify_off
        bytes.extend(ring.desc.to_le_bytes());
        bytes.extend(ring.avail.to_le_bytes());
        bytes.extend(ring.used.to_le_bytes());
        bytes
    }

    fn write_common(&mut self, offset: u64, width: Width, value: u32) {
        let queue = self.selectors.queue;
        let vector = if (value as usize) < self.interrupt.pci.vectors() { value as u16 } else { NO_VECTOR };
        match (offset, width) {
            (0, Width::B4) => self.selectors.device_features = value,
            (8, Width::B4) => self.selectors.driver_features = value,
            (12, Width::B4) => self.core.set_driver_features(self.selectors.driver_features, value),
            (16, Width::B2) => self.interrupt.vectors.lock().config = vector,
            (20, Width::B1) => {
                self.core.set_status(value as u8);
                if value as u8 == 0 {
                    self.interrupt.reset();
                    self.selectors = Selectors::default();
                }
            }
            (22, Width::B2) => self.selectors.queue = value as u16,
            (24, Width::B2) => self.core.set_queue_size(queue, value as u16),
            (26, Width::B2) => {
                if let Some(slot) = self.interrupt.vectors.lock().queues.get_mut(usize::from(queue)) {
                    *slot = vector;
                }
            }
            // A queue can be enabled but only a reset disables it.
            (28, Width::B2) if value & 1 != 0 => self.core.set_ring(queue, |ring| ring.ready = true),
            (32, Width::B4) => self.core.set_ring(queue, |ring| set_low(&mut ring.desc, value)),
            (36, Width::B4) => self.core.set_ring(queue, |ring| set_high(&mut ring.desc, value)),
            (40, Width::B4) => self.core.set_ring(queue, |ring| set_low(&mut ring.avail, value)),
            (44, Width::B4) => self.core.set_ring(queue, |ring| set_high(&mut ring.avail, value)),
            (48, Width::B4) => self.core.set_ring(queue, |ring| set_low(&mut ring.used, value)),
            (52, Width::B4) => self.core.set_ring(queue, |ring| set_high(&mut ring.used, value)),
            _ => {}
        }
    }

    fn load_interrupts(&mut self, config: &ConfigState, interrupt: InterruptState, vectors: Vectors) {
        self.config.load(config);
        *self.interrupt.vectors.lock() = vectors;
        self.interrupt.pci.load(interrupt);
        self.interrupt.pci.config_changed(&self.config);
    }

    /// What the capability for access through configuration space points at: offset and width in the BAR.
    fn accessed(&self) -> Option<(u64, Width)> {
        let offset = u64::from(self.config.read(self.access + 8, Width::B4));
        let width = match self.config.read(self.access + 12, Width::B4) {
            1 => Width::B1,
            2 => Width::B2,
            4 => Width::B4,
            _ => return None,
        };
        let in_bar = self.config.read(self.access + 4, Width::B1) == BAR_VIRTIO as u32
            && offset.is_multiple_of(width.bytes())
            && offset < BAR_SIZE;
        in_bar.then_some((offset, width))
    }

    /// Whether a configuration access touches the data of that capability.
    fn is_access_data(&self, offset: usize, width: Width) -> bool {
        let data = self.access + 16;
        offset < data + 4 && data < offset + width.bytes() as usize
    }
}

impl Device for VirtioPci {
    fn name(&self) -> &'static str {
        self.name
    }

    fn reset(&mut self) {
        self.core.reset();
        self.config.reset();
        self.interrupt.reset();
        self.interrupt.pci.reset();
        self.selectors = Selectors::default();
    }

    fn save(&self) -> State {
        // First, because it waits for requests under way and they raise interrupts.
        let core = self.core.save();
        let state = PciState {
            config: self.config.save(),
            interrupt: self.interrupt.pci.save(),
            vectors: self.interrupt.vectors.lock().clone(),
            selectors: self.selectors.clone(),
            core,
        };
        State::of(STATE_VERSION, &state)
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let state: PciState = state.get(STATE_VERSION)?;
        ConfigSpace::check(&state.config)?;
        let queues = self.interrupt.vectors.lock().queues.len();
        if !self.interrupt.pci.fits(&state.interrupt) || state.vectors.queues.len() != queues {
            return Err(StateError::Value("interrupt vectors of another device"));
        }
        // The interrupts before the core, whose device may raise some as soon as it runs again.
        let before = (self.config.save(), self.interrupt.pci.save(), self.interrupt.vectors.lock().clone());
        self.load_interrupts(&state.config, state.interrupt, state.vectors);
        if let Err(error) = self.core.load(&state.core) {
            self.load_interrupts(&before.0, before.1, before.2);
            return Err(error);
        }
        self.selectors = state.selectors;
        Ok(())
    }
}

impl PciFunction for VirtioPci {
    fn config(&self) -> &ConfigSpace {
        &self.config
    }

    fn read_config(&mut self, offset: usize, width: Width) -> u32 {
        if self.is_access_data(offset, width)
            && let Some((at, accessed)) = self.accessed()
        {
            let value = self.read_bar(BAR_VIRTIO, at, accessed);
            self.config.write(self.access + 16, Width::B4, value as u32);
        }
        let mut value = self.config.read(offset, width);
        if STATUS_REGISTER.contains(&offset) && self.interrupt.pci.intx_wanted() {
            // The interrupt status bit is in the third byte of the word at 4.
            let word = u64::from(STATUS_INTERRUPT) << 16;
            value |= (word >> (8 * (offset - STATUS_REGISTER.start)) & width.mask()) as u32;
        }
        value
    }

    fn write_config(&mut self, offset: usize, width: Width, value: u32) {
        self.config.write(offset, width, value);
        self.interrupt.pci.config_changed(&self.config);
        if self.is_access_data(offset, width)
            && let Some((at, accessed)) = self.accessed()
        {
            let value = self.config.read(self.access + 16, Width::B4);
            self.write_bar(BAR_VIRTIO, at, accessed, u64::from(value) & accessed.mask());
        }
    }

    fn read_bar(&mut self, bar: usize, offset: u64, width: Width) -> u64 {
        if bar == self.interrupt.pci.bar() {
            return self.interrupt.pci.read_bar(offset, width);
        }
        let within = offset % u64::from(STRUCTURE);
        let mut data = [0; 8];
        let bytes = &mut data[..width.bytes() as usize];
        match (offset - within) as u32 {
            at if at == COMMON.1 => super::core::copy_config(&self.common(), within, bytes),
            at if at == ISR.1 && within == 0 => bytes[0] = self.interrupt.acknowledge(),
            at if at == DEVICE.1 => self.core.read_config(within, bytes),
            _ => {}
        }
        u64::from_le_bytes(data)
    }

    fn write_bar(&mut self, bar: usize, offset: u64, width: Width, value: u64) {
        if bar == self.interrupt.pci.bar() {
            return self.interrupt.pci.write_bar(offset, width, value as u32);
        }
        let within = offset % u64::from(STRUCTURE);
        match (offset - within) as u32 {
            at if at == COMMON.1 => self.write_common(within, width, value as u32),
            at if at == DEVICE.1 => {
                self.core.write_config(within, &value.to_le_bytes()[..width.bytes() as usize]);
            }
            at if at == NOTIFY.1 => {
                self.core.notify((within / u64::from(NOTIFY_MULTIPLIER)) as u16);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;

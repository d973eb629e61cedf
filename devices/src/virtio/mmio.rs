//! virtio over MMIO: the register interface of version 2 (virtio 1.2, section 4.2.2), as the `virtio-mmio` slots of
//! QEMU's `virt` boards.
//!
//! A slot without a device answers with device id 0, so that a driver passes over it. Left out: the legacy interface
//! (version 1) and shared memory regions.

use super::core::{VirtioCore, VirtioDevice};
use super::queue::{Interrupt, RingState};
use base::{Device, GuestRam, IrqLine, Mmio, State, StateError, Width, Widths};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use virtio_bindings::bindings::virtio_mmio::*;

/// Bytes of address space that one slot takes.
pub const VIRTIO_MMIO_SIZE: u64 = 0x200;

/// "virt"
const MAGIC: u32 = 0x7472_6976;
const VERSION: u32 = 2;
/// "QEMU", which drivers expect from these slots.
const VENDOR: u32 = 0x554d_4551;

/// The interrupt status register and the line it drives.
struct MmioInterrupt {
    line: IrqLine,
    status: Mutex<u32>,
}

impl MmioInterrupt {
    fn change(&self, change: impl FnOnce(&mut u32)) {
        let mut status = self.status.lock();
        change(&mut status);
        self.line.set(*status != 0);
    }
}

impl Interrupt for MmioInterrupt {
    fn queue(&self, _index: u16) {
        self.change(|status| *status |= VIRTIO_MMIO_INT_VRING);
    }

    fn config(&self) {
        self.change(|status| *status |= VIRTIO_MMIO_INT_CONFIG);
    }
}

/// The registers that belong to the transport.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Selectors {
    device_features: u32,
    driver_features: u32,
    queue: u32,
}

#[derive(Serialize, Deserialize)]
struct MmioState {
    selectors: Selectors,
    interrupt_status: u32,
    core: Option<State>,
}

const STATE_VERSION: u32 = 1;

/// One virtio-mmio slot.
pub struct VirtioMmio {
    interrupt: Arc<MmioInterrupt>,
    selectors: Selectors,
    core: Option<VirtioCore>,
}

impl VirtioMmio {
    /// A slot with a device in it that interrupts through `line`.
    pub fn new(device: Box<dyn VirtioDevice>, ram: GuestRam, line: IrqLine) -> Self {
        let mut slot = Self::empty(line);
        slot.core = Some(VirtioCore::new(device, ram, slot.interrupt.clone()));
        slot
    }

    /// A slot without a device.
    pub fn empty(line: IrqLine) -> Self {
        let interrupt = Arc::new(MmioInterrupt { line, status: Mutex::new(0) });
        Self { interrupt, selectors: Selectors::default(), core: None }
    }

    fn read_register(&self, core: &VirtioCore, offset: u32) -> u32 {
        let selected = u16::try_from(self.selectors.queue).unwrap_or(u16::MAX);
        match offset {
            VIRTIO_MMIO_DEVICE_ID => core.id().into(),
            VIRTIO_MMIO_DEVICE_FEATURES => match self.selectors.device_features {
                0 => core.features() as u32,
                1 => (core.features() >> 32) as u32,
                _ => 0,
            },
            VIRTIO_MMIO_QUEUE_NUM_MAX => core.max_size(selected).into(),
            VIRTIO_MMIO_QUEUE_READY => core.ring(selected).is_some_and(|ring| ring.ready).into(),
            VIRTIO_MMIO_INTERRUPT_STATUS => *self.interrupt.status.lock(),
            VIRTIO_MMIO_STATUS => core.status().into(),
            VIRTIO_MMIO_CONFIG_GENERATION => core.generation(),
            // A region of length ~0 does not exist.
            VIRTIO_MMIO_SHM_LEN_LOW | VIRTIO_MMIO_SHM_LEN_HIGH => u32::MAX,
            VIRTIO_MMIO_SHM_BASE_LOW | VIRTIO_MMIO_SHM_BASE_HIGH => u32::MAX,
            _ => 0,
        }
    }

    fn write_register(&mut self, offset: u32, value: u32) {
        let Some(core) = &mut self.core else { return };
        let selected = u16::try_from(self.selectors.queue).unwrap_or(u16::MAX);
        let mut address =
            |change: fn(&mut RingState, u32)| core.set_ring(selected, |ring| change(ring, value));
        match offset {
            VIRTIO_MMIO_DEVICE_FEATURES_SEL => self.selectors.device_features = value,
            VIRTIO_MMIO_DRIVER_FEATURES_SEL => self.selectors.driver_features = value,
            VIRTIO_MMIO_DRIVER_FEATURES => core.set_driver_features(self.selectors.driver_features, value),
            VIRTIO_MMIO_QUEUE_SEL => self.selectors.queue = value,
            VIRTIO_MMIO_QUEUE_NUM => core.set_queue_size(selected, u16::try_from(value).unwrap_or(0)),
            VIRTIO_MMIO_QUEUE_READY => address(|ring, v| ring.ready = v & 1 != 0),
            VIRTIO_MMIO_QUEUE_DESC_LOW => address(|ring, v| set_low(&mut ring.desc, v)),
            VIRTIO_MMIO_QUEUE_DESC_HIGH => address(|ring, v| set_high(&mut ring.desc, v)),
            VIRTIO_MMIO_QUEUE_AVAIL_LOW => address(|ring, v| set_low(&mut ring.avail, v)),
            VIRTIO_MMIO_QUEUE_AVAIL_HIGH => address(|ring, v| set_high(&mut ring.avail, v)),
            VIRTIO_MMIO_QUEUE_USED_LOW => address(|ring, v| set_low(&mut ring.used, v)),
            VIRTIO_MMIO_QUEUE_USED_HIGH => address(|ring, v| set_high(&mut ring.used, v)),
            VIRTIO_MMIO_QUEUE_NOTIFY => core.notify(u16::try_from(value).unwrap_or(u16::MAX)),
            VIRTIO_MMIO_INTERRUPT_ACK => self.interrupt.change(|status| *status &= !value),
            VIRTIO_MMIO_STATUS => {
                core.set_status(value as u8);
                if value as u8 == 0 {
                    self.interrupt.change(|status| *status = 0);
                }
            }
            _ => {}
        }
    }
}

pub(super) fn set_low(address: &mut u64, value: u32) {
    *address = *address >> 32 << 32 | u64::from(value);
}

pub(super) fn set_high(address: &mut u64, value: u32) {
    *address = *address & 0xffff_ffff | u64::from(value) << 32;
}

impl Device for VirtioMmio {
    fn name(&self) -> &'static str {
        "virtio-mmio"
    }

    fn reset(&mut self) {
        if let Some(core) = &mut self.core {
            core.reset();
        }
        self.selectors = Selectors::default();
        self.interrupt.change(|status| *status = 0);
    }

    fn save(&self) -> State {
        // First, because it waits for requests under way and they raise interrupts.
        let core = self.core.as_ref().map(VirtioCore::save);
        let interrupt_status = *self.interrupt.status.lock();
        State::of(STATE_VERSION, &MmioState { selectors: self.selectors.clone(), interrupt_status, core })
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let state: MmioState = state.get(STATE_VERSION)?;
        match (&mut self.core, &state.core) {
            (None, None) => {}
            (Some(core), Some(core_state)) => {
                // Before the core, whose device may raise interrupts as soon as it runs again.
                let before = *self.interrupt.status.lock();
                self.interrupt.change(|status| *status = state.interrupt_status);
                if let Err(error) = core.load(core_state) {
                    self.interrupt.change(|status| *status = before);
                    return Err(error);
                }
            }
            _ => return Err(StateError::Value("virtio-mmio slot with and without a device")),
        }
        self.selectors = state.selectors;
        Ok(())
    }
}

impl Mmio for VirtioMmio {
    fn widths(&self) -> Widths {
        Widths::UP_TO_WORD
    }

    fn read(&mut self, offset: u64, width: Width) -> u64 {
        if let Some(offset) = offset.checked_sub(VIRTIO_MMIO_CONFIG.into()) {
            let mut data = [0; 8];
            if let Some(core) = &self.core {
                core.read_config(offset, &mut data[..width.bytes() as usize]);
            }
            return u64::from_le_bytes(data);
        }
        if width != Width::B4 {
            tracing::debug!(target: "guest_errors", "virtio-mmio: read of {} bytes at {offset:#x}", width.bytes());
            return 0;
        }
        let value = match (offset as u32, &self.core) {
            (VIRTIO_MMIO_MAGIC_VALUE, _) => MAGIC,
            (VIRTIO_MMIO_VERSION, _) => VERSION,
            (VIRTIO_MMIO_VENDOR_ID, _) => VENDOR,
            (_, None) => 0,
            (offset, Some(core)) => self.read_register(core, offset),
        };
        value.into()
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        if let Some(offset) = offset.checked_sub(VIRTIO_MMIO_CONFIG.into()) {
            if let Some(core) = &mut self.core {
                core.write_config(offset, &value.to_le_bytes()[..width.bytes() as usize]);
            }
        } else if width == Width::B4 {
            self.write_register(offset as u32, value as u32);
        } else {
            tracing::debug!(target: "guest_errors", "virtio-mmio: write of {} bytes at {offset:#x}", width.bytes());
        }
    }
}

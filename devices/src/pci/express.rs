//! The PCI Express capability (PCI Express Base Specification 5.0, section 7.5.3): of an endpoint, and of a root port with a slot.
//!
//! Offsets are from the start of the capability. The link is one of 16 GT/s with 32 lanes, as QEMU's ports have it.

use super::ConfigSpace;

const CAPABILITY: u8 = 0x10;
/// Bytes of the capability behind its id and link.
const BODY: usize = 0x3a;
/// Id and link stand before the body.
const HEAD: usize = 2;

const CAPABILITIES: usize = 0x02;
const DEVICE_CAPABILITIES: usize = 0x04;
const DEVICE_CONTROL: usize = 0x08;
const LINK_CAPABILITIES: usize = 0x0c;
pub(super) const LINK_CONTROL: usize = 0x10;
pub(super) const LINK_STATUS: usize = 0x12;
const SLOT_CAPABILITIES: usize = 0x14;
pub(super) const SLOT_CONTROL: usize = 0x18;
pub(super) const SLOT_STATUS: usize = 0x1a;
const ROOT_CONTROL: usize = 0x1c;
const LINK_CAPABILITIES_2: usize = 0x2c;
const LINK_CONTROL_2: usize = 0x30;

const VERSION: u16 = 2;
const ENDPOINT: u16 = 0 << 4;
const ROOT_PORT: u16 = 4 << 4;
const SLOT_IMPLEMENTED: u16 = 1 << 8;
/// Errors are reported by role, as every device since 1.1 does.
const ROLE_BASED_ERRORS: u32 = 1 << 15;
/// Which errors are reported.
const DEVICE_CONTROL_WRITABLE: u16 = 0xf;

const SPEED_16_GT: u16 = 4;
const LANES_32: u16 = 32 << 4;
const SPEEDS: u32 = 0b1111 << 1;
const LINK_ACTIVE_REPORTING: u32 = 1 << 20;
const PORT_SHIFT: u32 = 24;
/// Link control: power management, link disable, common clock, extended synch.
const LINK_CONTROL_WRITABLE: u16 = 0xd3;
pub(super) const LINK_DISABLE: u16 = 1 << 4;
pub(super) const LINK_ACTIVE: u16 = 1 << 13;

const SLOT_ATTENTION_BUTTON: u32 = 1 << 0;
const SLOT_POWER_CONTROLLER: u32 = 1 << 1;
const SLOT_ATTENTION_INDICATOR: u32 = 1 << 3;
const SLOT_POWER_INDICATOR: u32 = 1 << 4;
const SLOT_HOT_PLUG: u32 = 1 << 6;
const SLOT_NUMBER_SHIFT: u32 = 19;
/// Enables, indicators and power; the slot has no lock.
const SLOT_CONTROL_WRITABLE: u16 = 0x17ff;
/// System errors on errors of the ports below.
const ROOT_CONTROL_WRITABLE: u16 = 0xf;

/// The state of a link that is up: its speed and lanes.
pub(super) const LINK_UP: u16 = LINK_ACTIVE | SPEED_16_GT | LANES_32;
/// The state of a link that is down.
pub(super) const LINK_DOWN: u16 = SPEED_16_GT | LANES_32;

/// What is said of a root port's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotOptions {
    /// Number of the port.
    pub port: u8,
    /// Number of the slot on the chassis, up to 8191.
    pub slot: u16,
    /// Functions can come and go while the machine runs.
    pub hotplug: bool,
}

/// A capability while it is put together.
struct Parts {
    body: [u8; BODY],
    writable: [u8; BODY],
}

impl Parts {
    fn new(kind: u16) -> Self {
        let mut parts = Self { body: [0; BODY], writable: [0; BODY] };
        parts.set(CAPABILITIES, &(VERSION | kind).to_le_bytes());
        parts.set(DEVICE_CAPABILITIES, &ROLE_BASED_ERRORS.to_le_bytes());
        parts.allow(DEVICE_CONTROL, DEVICE_CONTROL_WRITABLE);
        parts.set(LINK_STATUS, &LINK_DOWN.to_le_bytes());
        parts.set(LINK_CAPABILITIES_2, &SPEEDS.to_le_bytes());
        parts.set(LINK_CONTROL_2, &SPEED_16_GT.to_le_bytes());
        parts
    }

    fn set(&mut self, at: usize, bytes: &[u8]) {
        self.body[at - HEAD..at - HEAD + bytes.len()].copy_from_slice(bytes);
    }

    fn allow(&mut self, at: usize, mask: u16) {
        self.writable[at - HEAD..at - HEAD + 2].copy_from_slice(&mask.to_le_bytes());
    }

    fn add(self, config: &mut ConfigSpace) -> usize {
        config.add_capability(CAPABILITY, &self.body, &self.writable)
    }
}

/// Adds the capability of an endpoint.
pub fn add_endpoint(config: &mut ConfigSpace) {
    let mut parts = Parts::new(ENDPOINT);
    parts.set(LINK_CAPABILITIES, &u32::from(SPEED_16_GT | LANES_32).to_le_bytes());
    parts.add(config);
}

/// Adds the capability of a root port; returns where it is.
pub(super) fn add_root_port(config: &mut ConfigSpace, options: SlotOptions) -> usize {
    let mut parts = Parts::new(ROOT_PORT | SLOT_IMPLEMENTED);
    let mut link = u32::from(SPEED_16_GT | LANES_32) | u32::from(options.port) << PORT_SHIFT;
    let mut slot = u32::from(options.slot) << SLOT_NUMBER_SHIFT;
    if options.hotplug {
        link |= LINK_ACTIVE_REPORTING;
        slot |= SLOT_ATTENTION_BUTTON
            | SLOT_POWER_CONTROLLER
            | SLOT_ATTENTION_INDICATOR
            | SLOT_POWER_INDICATOR
            | SLOT_HOT_PLUG;
        parts.allow(SLOT_CONTROL, SLOT_CONTROL_WRITABLE);
    }
    parts.set(LINK_CAPABILITIES, &link.to_le_bytes());
    parts.allow(LINK_CONTROL, LINK_CONTROL_WRITABLE);
    parts.set(SLOT_CAPABILITIES, &slot.to_le_bytes());
    parts.allow(ROOT_CONTROL, ROOT_CONTROL_WRITABLE);
    parts.add(config)
}

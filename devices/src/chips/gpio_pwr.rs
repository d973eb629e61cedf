//! Two pins that turn the machine off and reset it, behind a GPIO chip of the Secure world: QEMU's `gpio-pwr`, which firmware
//! drives by the device tree bindings `gpio-poweroff` and `gpio-restart`.

use base::{IrqSink, PowerEvent, PowerSink};
use std::sync::Arc;

/// The pin that turns the machine off.
pub const POWER_OFF: u32 = 0;
/// The pin that resets it.
pub const RESTART: u32 = 1;

/// The pins, as inputs that act on a high level.
pub struct GpioPwr(pub Arc<dyn PowerSink>);

impl IrqSink for GpioPwr {
    fn set(&self, line: u32, level: bool) {
        match (line, level) {
            (POWER_OFF, true) => self.0.power(PowerEvent::Off { code: 0 }),
            (RESTART, true) => self.0.power(PowerEvent::Reset),
            _ => {}
        }
    }
}

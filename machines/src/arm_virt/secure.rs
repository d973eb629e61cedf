//! The Secure world of the board: its own chips, and its views of the interrupt controller. They stand on the bus where
//! [`super::map::SECURE_BASE`] says.

use super::Gic;
use super::map::{Chip, find, secure};
use crate::parts::{BoardError, Builder};
use base::{IrqLine, PowerSink};
use devices::chips::gic::v3::REDISTRIBUTOR_SIZE;
use devices::chips::gpio_pwr::{GpioPwr, POWER_OFF, RESTART};
use devices::chips::pl011::Pl011;
use devices::chips::pl061::Pl061;
use devices::host::chardev::CharBackend;
use std::sync::Arc;

/// Adds them; `irq` is the line of a shared interrupt.
pub(super) fn add(
    b: &mut Builder,
    gic: &Gic,
    (serial, power): (Arc<dyn CharBackend>, Arc<dyn PowerSink>),
    cpus: usize,
    irq: impl Fn(u32) -> IrqLine,
) -> Result<(), BoardError> {
    let place = |chip| secure(find(chip));
    match gic {
        Gic::V2(gic) => {
            b.add_view(&place(Chip::GicDistributor), gic.secure_distributor())?;
            b.add_view(&place(Chip::GicInterface), gic.secure_interface())?;
        }
        Gic::V3(gic, _) => {
            b.add_view(&place(Chip::GicDistributor), gic.secure_distributor())?;
            let mut frames = place(Chip::GicRedistributors);
            frames.size = REDISTRIBUTOR_SIZE * cpus as u64;
            b.add_view(&frames, gic.secure_redistributors())?;
        }
    }
    let uart = place(Chip::SecureUart);
    b.add(&uart, Pl011::new(irq(uart.irq), serial))?;
    let gpio = place(Chip::SecureGpio);
    let pins = Arc::new(GpioPwr(power));
    let mut outputs = std::array::from_fn(|_| IrqLine::unconnected());
    for pin in [POWER_OFF, RESTART] {
        outputs[pin as usize] = IrqLine::new(pins.clone(), pin);
    }
    b.add(&gpio, Pl061::with_outputs(irq(gpio.irq), outputs))?;
    Ok(())
}

//! The GICv2m frame: a write to it becomes an edge on an SPI, so that PCI functions can send messages to a GICv2.
//!
//! From Arm's Server Base System Architecture (DEN 0029), appendix "GICv2m architecture".

use super::spi_input;
use crate::chips::guest_error;
use crate::chips::registers::registers;
use base::{Device, IrqLine, IrqSink, Mmio, State, StateError, Width, Widths};
use std::sync::Arc;

registers! {
    /// The register file.
    pub enum Register {
        /// First interrupt and number of interrupts.
        0x008 MSI_TYPER R;
        /// The number written becomes pending.
        0x040 MSI_SETSPI_NS W;
        /// Who made it.
        0xfcc MSI_IIDR R = 0x53;
    }
}

/// Bytes of the frame.
pub const SIZE: u64 = 0x1000;

const VERSION: u32 = 1;

/// The frame.
pub struct GicV2m {
    gic: Arc<dyn IrqSink>,
    first_spi: u32,
    count: u32,
}

impl GicV2m {
    /// A frame for `count` SPIs from `first_spi` (interrupt 32 + `first_spi`) on, on the inputs of `gic`.
    pub fn new(gic: Arc<dyn IrqSink>, first_spi: u32, count: u32) -> Self {
        Self { gic, first_spi, count }
    }

    fn first(&self) -> u32 {
        super::PRIVATE + self.first_spi
    }
}

impl Device for GicV2m {
    fn name(&self) -> &'static str {
        "arm-gicv2m"
    }

    fn reset(&mut self) {}

    fn save(&self) -> State {
        State::of(VERSION, &())
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        state.get(VERSION)
    }
}

impl Mmio for GicV2m {
    fn widths(&self) -> Widths {
        Widths::WORD
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        match Register::read_at(offset) {
            Some(Register::MSI_TYPER) => (self.first() << 16 | self.count).into(),
            Some(Register::MSI_IIDR) => 0x53,
            _ => 0,
        }
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        let number = (value as u32).wrapping_sub(self.first());
        match Register::write_at(offset) {
            Some(Register::MSI_SETSPI_NS) if number < self.count => {
                IrqLine::new(self.gic.clone(), spi_input(self.first_spi + number)).pulse();
            }
            _ => guest_error(self.name(), format_args!("write of {value:#x} at {offset:#x}")),
        }
    }
}

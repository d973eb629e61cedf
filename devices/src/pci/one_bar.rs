//! A function that is nothing but a chip's registers in BAR 0: no interrupt, no capability.

use super::config::ConfigState;
use super::{Bar, BarKind, ConfigSpace, Identity, PciFunction};
use base::{Device, Mmio, State, StateError, Width};

const STATE_VERSION: u32 = 1;

/// A chip on the PCI bus.
pub struct OneBar<M> {
    name: &'static str,
    config: ConfigSpace,
    chip: M,
}

impl<M: Mmio> OneBar<M> {
    /// `chip` with `size` bytes of registers (a power of two, at least 16) as the function `identity`; `name` is that of
    /// the function.
    pub fn new(name: &'static str, identity: Identity, size: u64, chip: M) -> Self {
        let mut config = ConfigSpace::new(identity);
        config.add_bar(0, Bar { kind: BarKind::Memory32, size });
        Self { name, config, chip }
    }
}

impl<M: Mmio> Device for OneBar<M> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn reset(&mut self) {
        self.config.reset();
        self.chip.reset();
    }

    fn save(&self) -> State {
        State::of(STATE_VERSION, &(self.config.save(), self.chip.save()))
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let (config, chip): (ConfigState, State) = state.get(STATE_VERSION)?;
        ConfigSpace::check(&config)?;
        self.chip.load(&chip)?;
        self.config.load(&config);
        Ok(())
    }
}

impl<M: Mmio> PciFunction for OneBar<M> {
    fn config(&self) -> &ConfigSpace {
        &self.config
    }

    fn read_config(&mut self, offset: usize, width: Width) -> u32 {
        self.config.read(offset, width)
    }

    fn write_config(&mut self, offset: usize, width: Width, value: u32) {
        self.config.write(offset, width, value);
    }

    /// Registers that are narrower than the access are read one by one.
    fn read_bar(&mut self, _bar: usize, offset: u64, width: Width) -> u64 {
        let step = width.min(self.chip.widths().max);
        (0..width.bytes() / step.bytes())
            .map(|n| n * step.bytes())
            .fold(0, |all, at| all | (self.chip.read(offset + at, step) & step.mask()) << (8 * at))
    }

    fn write_bar(&mut self, _bar: usize, offset: u64, width: Width, value: u64) {
        let step = width.min(self.chip.widths().max);
        for at in (0..width.bytes() / step.bytes()).map(|n| n * step.bytes()) {
            self.chip.write(offset + at, step, value >> (8 * at) & step.mask());
        }
    }
}

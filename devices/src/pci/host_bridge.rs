//! Function 00:00.0: the host bridge that QEMU's generic PCIe host shows (1b36:0008). It has no registers of its own.

use super::config::ConfigState;
use super::{ConfigSpace, Identity, PciFunction};
use base::{Device, State, StateError, Width};

const STATE_VERSION: u32 = 1;

pub(super) struct HostBridge {
    config: ConfigSpace,
}

impl HostBridge {
    pub fn new() -> Self {
        let identity = Identity {
            vendor: 0x1b36,
            device: 0x0008,
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
            class: 0x06_00_00,
            revision: 0,
            pin: 0,
        };
        Self { config: ConfigSpace::new(identity) }
    }
}

impl Device for HostBridge {
    fn name(&self) -> &'static str {
        "gpex-root"
    }

    fn reset(&mut self) {
        self.config.reset();
    }

    fn save(&self) -> State {
        State::of(STATE_VERSION, &self.config.save())
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let state: ConfigState = state.get(STATE_VERSION)?;
        ConfigSpace::check(&state)?;
        self.config.load(&state);
        Ok(())
    }
}

impl PciFunction for HostBridge {
    fn config(&self) -> &ConfigSpace {
        &self.config
    }

    fn read_config(&mut self, offset: usize, width: Width) -> u32 {
        self.config.read(offset, width)
    }

    fn write_config(&mut self, offset: usize, width: Width, value: u32) {
        self.config.write(offset, width, value);
    }

    fn read_bar(&mut self, _bar: usize, _offset: u64, _width: Width) -> u64 {
        0
    }

    fn write_bar(&mut self, _bar: usize, _offset: u64, _width: Width, _value: u64) {}
}

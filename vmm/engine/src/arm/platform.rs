//! The machine as PSCI sees it during one call.

use super::Psci;
use crate::parking::{Life, Start};
use base::PowerEvent;
use firmware::psci::{CpuState, Platform, Reset};
use tcg_aarch64::Aarch64;
use tcg_core::run::Vcpu;
use vm_memory::{GuestAddress, GuestMemoryBackend};

/// A call in progress.
pub(super) struct Calling<'a> {
    pub psci: &'a Psci,
    pub vcpu: &'a mut Vcpu<Aarch64>,
    pub number: usize,
}

fn state(life: Life) -> CpuState {
    match life {
        Life::On => CpuState::On,
        Life::Starting => CpuState::OnPending,
        Life::Off => CpuState::Off,
    }
}

impl Platform for Calling<'_> {
    fn cpu_of(&self, affinity: u64) -> Option<usize> {
        self.psci.affinities.iter().position(|known| *known == affinity)
    }

    fn state(&self, cpu: usize) -> CpuState {
        state(self.psci.cpus.life(cpu))
    }

    fn cpu_on(&mut self, cpu: usize, entry: u64, context: u64) -> Result<(), CpuState> {
        self.psci.cpus.start(cpu, Start { entry, argument: context }).map_err(state)
    }

    fn cpu_off(&mut self) {
        self.psci.cpus.stop(self.number);
    }

    fn suspend(&mut self) {
        if self.vcpu.handle().lines().levels() == 0 {
            self.vcpu.sleep(None);
        }
    }

    fn reset(&mut self, how: Reset) {
        self.psci.power.power(match how {
            Reset::Off => PowerEvent::Off { code: 0 },
            Reset::Reset => PowerEvent::Reset,
        });
        // The CPU waits for the machine to act on it.
        self.cpu_off();
    }

    fn is_memory(&self, addr: u64) -> bool {
        self.vcpu.space().ram().address_in_range(GuestAddress(addr))
    }
}

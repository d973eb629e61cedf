//! CPU state as a value that can be kept and put back.

use crate::cpu::CpuHeader;
use crate::guest::Guest;
use crate::run::collect_flags;
use base::{State, StateError};
use serde::{Deserialize, Serialize};

/// A guest whose CPUs can be saved. What was worked out from the state (translations, TLBs) is no part of it;
/// [`crate::run::Vcpu::forget`] goes before a load.
pub trait Saved: Guest {
    /// Everything that the guest can see of `cpu`, and what decides how it goes on.
    fn save(cpu: &mut Self::Cpu) -> State;
    /// Takes over a state that [`Saved::save`] made of a CPU of the same model, with the machine's clock standing at the moment of
    /// saving; on error the CPU is as it was.
    fn load(cpu: &mut Self::Cpu, state: &State) -> Result<(), StateError>;
    /// The TLBs of all vCPUs are being emptied: forgets what others were still to be told about theirs.
    fn forget_maintenance(_cpu: &mut Self::Cpu) {}
}

/// The part of a state that every guest has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeaderState {
    /// Address of the next instruction.
    pub pc: u64,
    fp_flags: u32,
    insns: u64,
}

impl HeaderState {
    /// That of `head`.
    pub fn save(head: &mut CpuHeader) -> Self {
        collect_flags(head);
        Self { pc: head.pc, fp_flags: head.fp_flags, insns: head.insns }
    }

    /// Puts it back.
    pub fn load(&self, head: &mut CpuHeader) {
        // What the host's float unit holds is of the state that goes.
        collect_flags(head);
        (head.pc, head.fp_flags, head.insns) = (self.pc, self.fp_flags, self.insns);
        head.link_site = 0;
    }
}

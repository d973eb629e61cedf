//! What a debugger sees of a guest, and how it stops it.
//!
//! A guest describes its registers once, as [`Feature`]s: the debugger's target description, its register packets and
//! the monitor's listings all come from them. [`Vcpu`] is stopped by points like those of a debug unit
//! ([`crate::run`], "points"), which the guest can not see, and can run a single instruction.

use crate::guest::{Access, Guest, PhysMem};
use crate::run::Vcpu;
use std::borrow::Cow;

/// One register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// Name, as the guest's manual and its debugger have it.
    pub name: Cow<'static, str>,
    /// Number that the debugger knows it by.
    pub number: u32,
    /// Size in bits, a multiple of eight.
    pub bits: u32,
    /// gdb's name of the type; empty where it is not said.
    pub kind: &'static str,
    /// gdb's name of the group it is listed with; empty for the usual one.
    pub group: &'static str,
}

/// Registers that belong together: one file of a target description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Name of the file.
    pub file: &'static str,
    /// gdb's name of the feature.
    pub name: &'static str,
    /// Definitions of the types that the registers have, as XML.
    pub types: &'static str,
    /// Whether the numbers are written out; otherwise they count on from the feature before.
    pub numbered: bool,
    /// Whether the registers are in the packet that carries all of them at once.
    pub bulk: bool,
    /// The registers.
    pub registers: Vec<Register>,
}

/// A guest that a debugger can look at.
pub trait Debuggable: Guest {
    /// gdb's name of the architecture.
    const ARCHITECTURE: &'static str;

    /// The registers of `cpu`.
    fn features(cpu: &mut Self::Cpu) -> Vec<Feature>;
    /// The value of register `number`, in the guest's byte order; `None` where there is no such register.
    fn register(cpu: &mut Self::Cpu, number: u32) -> Option<Vec<u8>>;
    /// Sets register `number` from its first bytes; false where there is none, or where it can not be written.
    fn set_register(cpu: &mut Self::Cpu, number: u32, value: &[u8]) -> bool;
    /// The guest-physical address of `addr`, whatever access is allowed there; changes nothing.
    fn translate(cpu: &Self::Cpu, mem: &dyn PhysMem, addr: u64) -> Option<u64>;
    /// Whether a CPU that waits for an interrupt can get none.
    fn sleeps_for_ever(cpu: &Self::Cpu) -> bool;
    /// The ranges that are mapped, as `info mem` of the monitor lists them.
    fn mappings(cpu: &Self::Cpu, mem: &dyn PhysMem) -> String;
}

/// Why a vCPU stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It is at a breakpoint.
    Breakpoint,
    /// It has run one instruction.
    Step,
    /// Its next instruction makes an access that is watched.
    Watchpoint {
        /// First byte of it that is watched.
        addr: u64,
        /// The access that the watch is for; a read that a watch for both found is one of both.
        kind: WatchKind,
    },
    /// It has come to the beginning of what was recorded, going backwards.
    Beginning,
    /// It has come to the end of what was recorded.
    End,
}

/// What a watchpoint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// Loads.
    Read,
    /// Stores.
    Write,
    /// Both.
    Access,
}

impl<G: Debuggable> Vcpu<G> {
    /// The guest-physical address of `addr` for a debugger.
    pub fn translate(&self, addr: u64) -> Option<u64> {
        G::translate(self.cpu(), &crate::run::Phys(self.space()), addr)
    }

    /// What is mapped, as text.
    pub fn mappings(&self) -> String {
        G::mappings(self.cpu(), &crate::run::Phys(self.space()))
    }

    /// The listing of the instruction at `addr`, and its length in bytes; `None` where there is no code.
    pub fn disassemble(&mut self, addr: u64) -> Option<(String, u64)> {
        let mode = G::context(self.cpu()).mode;
        let mut fetch = DebugFetch { vcpu: self };
        let (insn, len) = G::decode(&mut fetch, addr, mode).ok()?;
        Some((G::print(insn, addr), len))
    }
}

/// Reads code as a debugger does: without faults and without filling any cache.
struct DebugFetch<'a, G: Guest> {
    vcpu: &'a Vcpu<G>,
}

impl<G: Debuggable> crate::guest::Fetch for DebugFetch<'_, G> {
    fn u16(&mut self, addr: u64) -> Result<u16, crate::guest::Trap> {
        let fault = || G::bus_fault(addr, Access::Fetch);
        let phys = self.vcpu.translate(addr).ok_or_else(fault)?;
        let value = self.vcpu.space().read(phys, base::Width::B2).ok_or_else(fault)?;
        Ok(value as u16)
    }
}

//! Address translation instructions: C5.5, and PAR_EL1, which has their results.

use super::fault::{Fault, Kind};
use super::{Regime, Request, Walk, Who, find};
use crate::cpu::Cpu;
use crate::esr;
use crate::sysreg::{Stored, System, hcr};
use tcg_core::guest::{Access, PhysMem, Trap};

/// One of the instructions.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// Level that the access is made as.
    pub el: u8,
    /// As a store.
    pub write: bool,
    /// Stage 2 as well.
    pub both: bool,
    /// With PSTATE.PAN.
    pub pan: bool,
}

impl At {
    fn regime(self, system: &System) -> Regime {
        match self.el {
            3 => Regime::El3,
            2 if system.is_host_el2() => Regime::El20,
            2 => Regime::El2,
            // S12 names the guest's regime.
            _ if !self.both && system.in_host() && system.el == 2 => Regime::El20,
            _ => Regime::El10,
        }
    }

    /// Translates `addr`; PAR_EL1 says what came of it. The error is
    /// a table that can not be read, or a fault of stage 2 in a walk at EL1, which goes to EL2.
    pub fn run(self, cpu: &mut Cpu, mem: &dyn PhysMem, addr: u64) -> Result<(), Trap> {
        let regime = self.regime(&cpu.system);
        let user = self.el == 0;
        let pan = self.pan && cpu.system.pan && !user;
        let access = if self.write { Access::Write } else { Access::Read };
        let request = Request { addr, access, who: Who { regime, user, pan } };
        let found =
            if self.both { find(&cpu.system, mem, request) } else { first_stage(&cpu.system, mem, request) };
        if let Err(fault) = found
            && (fault.kind == Kind::External || fault.in_walk && cpu.system.el == 1)
        {
            let Trap { code, value } = fault.take(cpu, request);
            let trap = Trap { code: code | esr::CM | esr::WNR, value };
            if let Some(kept) = &mut cpu.system.stage2_fault {
                kept.trap = trap;
            }
            return Err(trap);
        }
        let result = match found {
            Ok(walk) => success(walk),
            Err(fault) => failure(fault),
        };
        cpu.system.set(Stored::ParEl1, result);
        Ok(())
    }
}

/// Stage 1 alone: its result is an intermediate address, though its tables are found through stage 2.
fn first_stage(system: &System, mem: &dyn PhysMem, request: Request) -> Result<Walk, Fault> {
    if request.who.regime == Regime::El10 && system.hcr() & hcr::VM != 0 {
        super::stage1::walk(system, mem, request)
    } else {
        find(system, mem, request)
    }
}

/// PAR_EL1.F: the translation failed.
const F: u64 = 1;
/// Reads as one.
const ONE: u64 = 1 << 11;
/// Non-secure.
const NS: u64 = 1 << 9;

fn success(walk: Walk) -> u64 {
    let device_or_uncached = walk.is_device() || walk.attributes == super::attributes::NON_CACHEABLE;
    // Those are Outer Shareable, whatever the descriptor says.
    let shareability = if device_or_uncached { 2 } else { u64::from(walk.shareability) };
    let page = walk.phys & ((1 << 52) - 1) & !0xfff;
    let ns = if walk.secure { 0 } else { NS };
    u64::from(walk.attributes) << 56 | page | ONE | ns | shareability << 7
}

fn failure(fault: Fault) -> u64 {
    let bit = |on: bool, at: u32| u64::from(on) << at;
    ONE | u64::from(fault.status()) << 1 | bit(fault.in_walk, 8) | bit(fault.stage2.is_some(), 9) | F
}

//! The aarch64 guest as the translator sees it.

use crate::cpu::{Cpu, REGS};
use crate::{decode, esr, helpers, mode, print, show};
use std::fmt;
use tcg_core::cpu::{Helper, RegDesc};
use tcg_core::guest::{Access, Context, Ctx, Fetch, Guest, Page, PhysMem, Trap, Wait};
use tcg_core::sem::{Flow, Rm, Sem};

/// The A64 instruction set.
pub struct Aarch64;

/// Bits of an address below its tag (top byte ignore at EL0, as Linux has it).
const ADDRESS: u64 = u64::MAX >> 8;

impl Guest for Aarch64 {
    type Cpu = Cpu;
    type Insn = decode::Insn;

    const NAME: &'static str = "aarch64";

    fn regs() -> &'static [RegDesc] {
        &REGS
    }

    fn helpers() -> &'static [Helper] {
        helpers::HELPERS
    }

    fn decode(fetch: &mut impl Fetch, pc: u64, mode: u64) -> Result<(Self::Insn, u64), Trap> {
        decode::fetch_insn(fetch, pc, mode)
    }

    fn exec<S: Sem>(s: &mut S, cx: &Ctx, insn: Self::Insn) -> Flow<S> {
        decode::exec(s, cx, insn)
    }

    fn print(insn: Self::Insn, pc: u64) -> String {
        print::print(insn, pc)
    }

    fn show(cpu: &Cpu, float: bool, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        show::registers(cpu, float, to)
    }

    fn rounding(mode: u64) -> Rm {
        mode::rounding(mode)
    }

    fn context(cpu: &Cpu) -> Context {
        Context { data: 0, code: 0, mode: mode::of(&cpu.system) }
    }

    fn walk(_: &mut Cpu, _: &dyn PhysMem, addr: u64, access: Access) -> Result<Page, Trap> {
        let phys = if access == Access::Fetch { addr } else { addr & ADDRESS };
        Ok(Page { phys, size_log2: base::PAGE_SHIFT, read: true, write: true, fetch: true })
    }

    /// There is no level above EL0 yet: the run loop's owner takes traps.
    fn take_trap(_: &mut Cpu, _: Trap) {}

    fn take_interrupt(_: &mut Cpu, _: u64) -> bool {
        false
    }

    fn wait(_: &mut Cpu, _: u64) -> Wait {
        Wait::Run
    }

    fn bus_fault(addr: u64, access: Access) -> Trap {
        esr::abort(addr, access, esr::status::EXTERNAL)
    }

    fn misaligned(addr: u64, access: Access) -> Trap {
        esr::abort(addr, access, esr::status::ALIGNMENT)
    }
}

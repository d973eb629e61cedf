//! The aarch64 guest as the translator sees it.

use crate::cpu::{Cpu, REGS};
use crate::features::Ext;
use crate::mmu::{self, Who};
use crate::{decode, esr, exception, helpers, mode, print, show};
use std::fmt;
use tcg_core::cpu::{Helper, RegDesc};
use tcg_core::guest::{Access, Context, Ctx, Fetch, Guest, Page, PhysMem, Point, Trap, Units, Wait};
use tcg_core::sem::{Flow, Rm, Sem};

/// The A64 instruction set.
pub struct Aarch64;

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

    fn show(cpu: &Cpu, units: Units, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        show::registers(cpu, units.float, to)
    }

    fn rounding(mode: u64) -> Rm {
        mode::rounding(mode)
    }

    fn aligned(mode: u64) -> bool {
        mode::aligned(mode)
    }

    fn points(cpu: &Cpu) -> &[Point] {
        cpu.points()
    }

    fn reached(cpu: &mut Cpu, addr: u64, bytes: u64, access: Access) -> Option<Trap> {
        cpu.reached(addr, bytes, access)
    }

    fn context(cpu: &Cpu) -> Context {
        let system = &cpu.system;
        Context {
            data: mmu::key::of(system, Who::data(system)),
            code: mmu::key::of_code(system, cpu.head.pc),
            mode: mode::of(system),
        }
    }

    fn settle_pc(cpu: &mut Cpu) {
        mmu::settle_pc(cpu);
    }

    fn walk(cpu: &mut Cpu, mem: &dyn PhysMem, addr: u64, access: Access) -> Result<Page, Trap> {
        mmu::walk(cpu, mem, addr, access)
    }

    fn take_trap(cpu: &mut Cpu, trap: Trap) {
        exception::synchronous(cpu, trap);
    }

    fn take_interrupt(cpu: &mut Cpu, levels: u64) -> bool {
        exception::interrupt(cpu, levels)
    }

    fn wait(cpu: &mut Cpu, levels: u64) -> Wait {
        if exception::wakes(cpu, levels) { Wait::Run } else { Wait::Sleep(None) }
    }

    fn granule(cpu: &Cpu) -> u64 {
        if cpu.system.features.has(Ext::Lse2) { 16 } else { 1 }
    }

    fn bus_fault(addr: u64, access: Access) -> Trap {
        esr::abort(addr, access, esr::status::EXTERNAL)
    }

    fn misaligned(addr: u64, access: Access) -> Trap {
        esr::abort(addr, access, esr::status::ALIGNMENT)
    }
}

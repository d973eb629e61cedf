//! The riscv64 guest as the translator sees it.

use crate::cpu::{Hart, REGS};
use crate::{decode, helpers, mmu, mode, print, show, trap};
use std::fmt;
use tcg_core::cpu::{Helper, RegDesc};
use tcg_core::guest::{Access, Context, Ctx, Fetch, Guest, Page, PhysMem, Point, Trap, Units, Wait};
use tcg_core::sem::{Flow, Rm, Sem};

/// 64-bit RISC-V.
pub struct Riscv;

impl Guest for Riscv {
    type Cpu = Hart;
    type Insn = decode::Insn;

    const NAME: &'static str = "riscv64";

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

    fn show(cpu: &Hart, units: Units, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        show::registers(cpu, units, to)
    }

    fn rounding(mode: u64) -> Rm {
        mode::rounding(mode)
    }

    fn counts(mode: u64) -> bool {
        mode::counting(mode)
    }

    fn points(cpu: &Hart) -> &[Point] {
        cpu.csr.triggers.points()
    }

    fn reached(cpu: &mut Hart, addr: u64, bytes: u64, access: Access) -> Option<Trap> {
        cpu.csr.triggers.fires(cpu.csr.privilege, addr, bytes, access)
    }

    fn context(cpu: &Hart) -> Context {
        Context {
            data: mmu::data_context(&cpu.csr),
            code: mmu::code_context(&cpu.csr),
            mode: mode::of(&cpu.csr),
        }
    }

    fn walk(cpu: &mut Hart, mem: &dyn PhysMem, addr: u64, access: Access) -> Result<Page, Trap> {
        mmu::walk(cpu, mem, addr, access)
    }

    fn take_trap(cpu: &mut Hart, trap: Trap) {
        trap::exception(cpu, trap);
    }

    fn take_interrupt(cpu: &mut Hart, _levels: u64) -> bool {
        cpu.csr.latch_software_interrupt();
        if cpu.csr.take_overflow_due() {
            let now = cpu.now();
            cpu.change_counters(now, |_| ());
        }
        trap::interrupt(cpu)
    }

    fn wait(cpu: &mut Hart, _levels: u64) -> Wait {
        if cpu.csr.mip() & cpu.csr.mie != 0 { Wait::Run } else { Wait::Sleep(None) }
    }

    fn bus_fault(addr: u64, access: Access) -> Trap {
        mmu::access_fault(addr, access)
    }

    fn misaligned(addr: u64, access: Access) -> Trap {
        mmu::misaligned(addr, access)
    }
}

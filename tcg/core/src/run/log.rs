//! What can be logged about translations and their runs (`-d`): `tracing` events whose target is the item's name.
//!
//! Events about code carry its guest address as `pc`, so that whoever receives them can choose by address. While an
//! item is off, it costs a look at `tracing`'s highest level, and nothing in generated code.

use crate::guest::{Fetch, Guest, Registers, Units};
use crate::host::disassemble;
use crate::ir::{Names, Region};
use std::fmt::{self, Write};
use tracing::Level;

/// `in_asm`: the guest code of a block of `insns` instructions.
pub fn guest_code<G: Guest>(fetch: &mut impl Fetch, pc: u64, mode: u64, insns: usize) {
    if tracing::enabled!(target: "in_asm", Level::TRACE) {
        let mut listing = String::new();
        let mut at = pc;
        for _ in 0..insns {
            // It was translated just now; what has changed since is not shown.
            let Ok((insn, len)) = G::decode(fetch, at, mode) else { break };
            let bytes: String = (0..len / 2).rev().map(|i| hex(fetch, at.wrapping_add(2 * i))).collect();
            write!(listing, "\n{at:#010x}:  {bytes:<16}  {}", G::print(insn, at)).expect("a string");
            at = at.wrapping_add(len);
        }
        tracing::trace!(target: "in_asm", pc, "----------------\nIN:{listing}\n");
    }
}

/// Two bytes of code, the upper one first.
fn hex(fetch: &mut impl Fetch, at: u64) -> String {
    fetch.u16(at).map_or_else(|_| "????".into(), |half| format!("{half:04x}"))
}

/// `op`: a region as it was made.
pub fn ir<G: Guest>(region: &Region) {
    tracing::trace!(target: "op", pc = region.pc, "OP:\n{}", names::<G>().display(region));
}

/// `op_opt`: a region after the optimiser.
pub fn optimised<G: Guest>(region: &Region) {
    tracing::trace!(target: "op_opt", pc = region.pc, "OP after optimization:\n{}", names::<G>().display(region));
}

fn names<G: Guest>() -> Names<'static> {
    Names { regs: G::regs(), helpers: G::helpers() }
}

/// `out_asm`: the host code, at host address `at`, of the block at `pc`.
pub fn host_code(pc: u64, code: &[u8], at: u64) {
    let (size, listing) = (code.len(), HostCode(code, at));
    tracing::trace!(target: "out_asm", pc, "OUT: [size={size}]\n  -- guest addr {pc:#018x}\n{listing}");
}

struct HostCode<'a>(&'a [u8], u64);

impl fmt::Display for HostCode<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        disassemble(self.0, self.1).iter().try_for_each(|insn| {
            let bytes: Vec<String> = insn.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(to, "{:#x}:  {:<24} {}", insn.at, bytes.join(" "), insn.text)
        })
    }
}

/// `exec` and `cpu`: vCPU `number` goes on at its `pc`, in a translation that is entered at host address `code`, or
/// in the interpreter (0).
pub fn run<G: Guest>(number: usize, cpu: &G::Cpu, code: u64) {
    if tracing::enabled!(target: "exec", Level::TRACE) {
        let (pc, mode) = (cpu.as_ref().pc, G::context(cpu).mode);
        tracing::trace!(target: "exec", pc, "Trace {number}: {code:#x} [00000000/{pc:016x}/{mode:08x}/00000000]");
    }
    if tracing::enabled!(target: "cpu", Level::TRACE) {
        let units = Units::logged();
        tracing::trace!(target: "cpu", pc = cpu.as_ref().pc, "{}", Registers::<G> { cpu, units });
    }
}

/// `invalid_mem`: an access to guest-physical memory that nobody answers.
pub fn invalid_access(what: &str, phys: u64, bytes: u64) {
    tracing::trace!(target: "invalid_mem", "Invalid {what} at addr {phys:#x}, size {bytes}, reason: rejected");
}

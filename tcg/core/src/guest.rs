//! What a guest architecture owes the translator.

use crate::cpu::{CpuHeader, Helper, RegDesc};
use crate::sem::{Flow, Rm, Sem};
use base::Ns;
use std::fmt;

/// A synchronous exception or interrupt, numbered as the guest's manual does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Cause.
    pub code: u32,
    /// What the manual calls the trap value, fault address or syndrome; 0 if it has none.
    pub value: u64,
}

impl Trap {
    /// The code of a trap that no guest has: a point of the debugger was reached. The run loop takes it.
    pub const DEBUG: u32 = u32::MAX;
}

/// What a memory access is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Data load.
    Read,
    /// Data store or read-modify-write.
    Write,
    /// Instruction fetch.
    Fetch,
}

/// The answer of a guest's page walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Guest-physical address of the byte asked for.
    pub phys: u64,
    /// log2 of the size of the naturally aligned range around the address for which this answer holds (at least 12;
    /// smaller where protection is finer than a page, and then the answer is not kept).
    pub size_log2: u32,
    /// Loads are allowed.
    pub read: bool,
    /// Stores are allowed, and need no further bookkeeping (dirty bit already set).
    pub write: bool,
    /// Fetches are allowed.
    pub fetch: bool,
    /// Data accesses must be aligned, as on memory of devices.
    pub aligned: bool,
}

/// Which data translations and which code translations a vCPU uses now.
///
/// Two states with equal `data` share one TLB, two with equal `code` share the jump cache's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Context {
    /// Everything that decides the outcome of a data access: address space, privilege, permission overrides.
    pub data: u128,
    /// Everything that decides the outcome of a fetch: address space, privilege. A [`Guest::walk`] for a fetch may change it: what
    /// was found is of the context that is told afterwards.
    pub code: u128,
    /// Everything else that a translation may depend on; the mode given to [`Guest::exec`].
    pub mode: u64,
}

/// Addresses before which the guest's debug unit wants to be asked ([`Guest::reached`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// First guest-virtual address.
    pub first: u64,
    /// Last guest-virtual address.
    pub last: u64,
    /// Loads that touch one of them.
    pub read: bool,
    /// Stores and read-modify-writes that touch one of them.
    pub write: bool,
    /// Instructions that begin at one of them.
    pub fetch: bool,
}

/// What the run loop does after a trap or an interrupt check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Go on.
    Run,
    /// Sleep until an input changes, or for at most this long.
    Sleep(Option<Ns>),
}

/// Gives instruction bytes, two at a time, and faults as the guest would.
pub trait Fetch {
    /// The little-endian 16 bits at guest-virtual `addr` (2-aligned).
    fn u16(&mut self, addr: u64) -> Result<u16, Trap>;
}

/// Where an instruction stands and what is known about the CPU while it is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ctx {
    /// Address of the instruction.
    pub pc: u64,
    /// Its length in bytes.
    pub len: u64,
    /// Mode bits, [`Context::mode`].
    pub mode: u64,
}

impl Ctx {
    /// Address of the instruction that follows in memory.
    pub fn next_pc(&self) -> u64 {
        self.pc.wrapping_add(self.len)
    }
}

/// A guest architecture.
pub trait Guest: Sized + 'static {
    /// CPU state, `repr(C)`, starting with a [`CpuHeader`].
    type Cpu: Send + AsRef<CpuHeader> + AsMut<CpuHeader>;
    /// A decoded instruction.
    type Insn: Copy;

    /// Name as in `-cpu` errors and file names.
    const NAME: &'static str;

    /// Registers that semantics functions get and set.
    fn regs() -> &'static [RegDesc];
    /// Helpers that semantics functions call, in [`crate::cpu::HelperId`] order.
    fn helpers() -> &'static [Helper];

    /// Decodes the instruction at `pc`; also gives its length in bytes. What is no instruction decodes to one that
    /// traps. The only error is a fault of the fetch.
    fn decode(fetch: &mut impl Fetch, pc: u64, mode: u64) -> Result<(Self::Insn, u64), Trap>;
    /// The meaning of an instruction.
    fn exec<S: Sem>(s: &mut S, cx: &Ctx, insn: Self::Insn) -> Flow<S>;
    /// The listing of an instruction.
    fn print(insn: Self::Insn, pc: u64) -> String;
    /// Writes the registers of `cpu`, lines without a newline after the last, with those of `units`.
    fn show(cpu: &Self::Cpu, units: Units, to: &mut fmt::Formatter<'_>) -> fmt::Result;
    /// The rounding mode that the float unit is in under `mode`.
    fn rounding(mode: u64) -> Rm;

    /// Whether translations under `mode` keep [`CpuHeader::insns`] exact, which costs an addition a block.
    fn counts(_mode: u64) -> bool {
        false
    }
    /// Whether all data accesses under `mode` must be aligned.
    fn aligned(_mode: u64) -> bool {
        false
    }
    /// Aligned and atomic accesses may be anywhere within a block of so many bytes, a power of two; 1: they are aligned.
    fn granule(_cpu: &Self::Cpu) -> u64 {
        1
    }
    /// Where the debug unit has its breakpoints and watchpoints, enabled or not in the present privilege; a change is
    /// followed by [`crate::run::Mmu::sync`].
    fn points(_cpu: &Self::Cpu) -> &[Point] {
        &[]
    }
    /// Asked before the instruction at `addr`, or before `bytes` bytes at `addr` are accessed, where [`Self::points`] has
    /// a point: the trap to take instead.
    fn reached(_cpu: &mut Self::Cpu, _addr: u64, _bytes: u64, _access: Access) -> Option<Trap> {
        None
    }

    /// What the present state makes of addresses and translations.
    fn context(cpu: &Self::Cpu) -> Context;
    /// Makes the pc the one that a fetch uses, where a jump may leave something else there (a tag).
    fn settle_pc(_cpu: &mut Self::Cpu) {}
    /// Translates `addr` for `access` under the present state. Page-table memory is reached through `mem`.
    fn walk(cpu: &mut Self::Cpu, mem: &dyn PhysMem, addr: u64, access: Access) -> Result<Page, Trap>;
    /// Takes `trap` at the present `pc`: the state becomes that at the first instruction of the handler.
    fn take_trap(cpu: &mut Self::Cpu, trap: Trap);
    /// Takes the most urgent interrupt that is pending and enabled under input `levels`, if there is one.
    fn take_interrupt(cpu: &mut Self::Cpu, levels: u64) -> bool;
    /// Called after [`crate::cpu::exit::HALT`]: whether the guest may sleep under input `levels`.
    fn wait(cpu: &mut Self::Cpu, levels: u64) -> Wait;
    /// A trap that a load or store of unaligned or unmapped (bus error) memory makes.
    fn bus_fault(addr: u64, access: Access) -> Trap;
    /// A trap that an unaligned atomic access makes.
    fn misaligned(addr: u64, access: Access) -> Trap;
}

/// The registers of a CPU as text, made when it is written somewhere.
pub struct Registers<'a, G: Guest> {
    /// The CPU.
    pub cpu: &'a G::Cpu,
    /// With those of these units.
    pub units: Units,
}

/// Units whose registers are shown beside the general ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Units {
    /// The float unit.
    pub float: bool,
    /// The vector unit, where that has registers of its own.
    pub vector: bool,
}

impl Units {
    /// Those that are logged.
    pub fn logged() -> Self {
        Self {
            float: tracing::enabled!(target: "fpu", tracing::Level::TRACE),
            vector: tracing::enabled!(target: "vpu", tracing::Level::TRACE),
        }
    }
}

impl<G: Guest> fmt::Display for Registers<'_, G> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        G::show(self.cpu, self.units, to)
    }
}

/// Guest-physical memory as page walks see it. All accesses are naturally aligned.
pub trait PhysMem {
    /// Reads 64 bits; `None` is a bus error.
    fn read_u64(&self, phys: u64) -> Option<u64>;
    /// Replaces `old` by `new` at `phys` if it still is there (hardware update of a page-table entry); the outer
    /// `None` is a bus error, false says that it had changed.
    fn cas_u64(&self, phys: u64, old: u64, new: u64) -> Option<bool>;
}

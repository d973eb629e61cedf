//! Hosts: turning a region into machine code, and running it.
//!
//! A host gives a [`Compiler`], which makes a [`Piece`] of a region, and a [`CodeBuffer`]: code memory into which pieces are put one
//! after the other, exits that can be linked and unlinked while other threads run the code, and a [`Runner`] that enters
//! it. `x64` is the only host so far.

mod helpers;
mod memory;
mod x64;

pub use helpers::{MemoryHelpers, core_helpers};
pub use x64::{CodeBuffer, Compiler, Fault, Fixup, HostFeatures, Piece, Runner, disassemble, recover};
pub(crate) use x64::{Outcome, cas, cas_128, copy, load, store, unpack_fault};

use crate::cpu::{Helper, RegDesc};
use serde::{Deserialize, Serialize};

/// What a compilation depends on besides the region.
pub struct Env<'a> {
    /// The guest's registers.
    pub regs: &'a [RegDesc],
    /// The guest's helpers.
    pub helpers: &'a [Helper],
    /// Choose registers, and which of the CPU's extensions to use, at random but legally from this seed.
    pub random_registers: Option<u64>,
    /// The code is a process': its addresses mean one thing, and do not change.
    pub process: bool,
    /// Guest addresses are host addresses, and faults are the host's: only for a process.
    pub direct: bool,
    /// The TLBs it is for.
    pub tlb: TlbShape,
    /// vCPUs run by turns ([`crate::cpu::CpuHeader::ticks`]).
    pub turns: bool,
    /// Exits that jump backwards count down, and leave with [`crate::cpu::exit::HOT`] in the end.
    pub heat: bool,
    /// Computed jumps count down too, and leave with [`crate::cpu::exit::WENT`] in the end.
    pub samples: bool,
    /// The code is in more pages than the one it begins in: who comes by a link looks into the jump cache first, which has it only while
    /// these pages are where they were.
    pub several_pages: bool,
}

/// What code takes for granted of the TLB it looks into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlbShape {
    /// How many entries there are: a power of two.
    pub entries: usize,
    /// There is one vCPU: nobody else begins to watch a page for stores.
    pub alone: bool,
}

/// Why a region was not compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// The code memory is full.
    OutOfSpace,
    /// The region needs more stack than a frame has, or more code than the whole memory.
    TooLarge,
}

/// An exit that is linked, or counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Guest address; `None` of a computed jump.
    pub pc: Option<u64>,
    /// What links it to that address's translation; `None`: it leads to another page or a computed address, and is only counted.
    pub patch: Option<Patch>,
}

/// The jump of an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Offset of its displacement, 4-aligned.
    pub at: u32,
    /// Offset of the stub that it leads to while it is not linked.
    pub stub: u32,
}

/// One instruction of host code, for listings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostInsn {
    /// Host address.
    pub at: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Mnemonic and operands.
    pub text: String,
}

/// A compiled region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// Offset of the first instruction.
    pub entry: u32,
    /// Offset of the code, which exits are linked to: the same, or the way there for a region of several pages ([`Env::several_pages`]).
    pub link_entry: u32,
    /// Bytes of code, stubs included.
    pub len: u32,
    /// Exits, in the order of their numbers.
    pub sites: Vec<Site>,
}

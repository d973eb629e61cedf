//! The part of a vCPU's state that the translator knows, and the helper calling convention.
//!
//! A guest's CPU structure is `repr(C)` and starts with a [`CpuHeader`]; generated code holds its address in one host
//! register and reaches everything else, guest registers included, at fixed offsets from it. So generated code
//! contains no host address.

use crate::run::Mmu;
use crate::ty::Ty;
use base::{PAGE_SHIFT, Ticks};
use std::sync::atomic::AtomicU32;

/// Index of a guest register in the guest's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegId(pub u16);

/// One guest register that semantics functions get and set.
#[derive(Clone, Copy, Debug)]
pub struct RegDesc {
    /// The manual's name.
    pub name: &'static str,
    /// Type of the value; float registers may also be read as the integer of the same width.
    pub ty: Ty,
    /// Byte offset from the start of the CPU structure, 8-aligned; 16-aligned for vectors.
    pub offset: u32,
}

/// Why generated code came back to the run loop. Also the status that a helper returns (zero: go on).
pub mod exit {
    /// Not an exit: the helper succeeded.
    pub const NONE: u32 = 0;
    /// A [`super::CpuHeader::trap_code`] is to be taken at `pc`.
    pub const TRAP: u32 = 1;
    /// The translation of `pc` is wanted and the exit `link_site` can be linked to it (0: it cannot).
    pub const LOOKUP: u32 = 2;
    /// Somebody asked for attention; go on at `pc` afterwards.
    pub const REQUEST: u32 = 3;
    /// The guest waits for an interrupt; `pc` is the instruction after.
    pub const HALT: u32 = 4;
    /// State that translations depend on changed; look at it and go on at `pc`.
    pub const RESYNC: u32 = 5;
    /// The instruction at `pc` was not carried out, because translations of the code it writes were in the way, because
    /// its trap is the interpreter's to take, or because it needs another mode than it was translated for; look at the
    /// state and run it again.
    pub const RETRY: u32 = 7;
    /// The way back to `pc` was taken often; `link_site` is the exit that it is.
    pub const HOT: u32 = 8;
    /// The computed jump `link_site`, one of many that it made, goes to `pc`.
    pub const WENT: u32 = 11;
    /// An observer stops the vCPU in front of the instruction at `pc`.
    pub const STOP: u32 = 9;
    /// The guest spins in a wait loop and gives the host's time away; go on at `pc`.
    pub const YIELD: u32 = 6;
    /// The vCPU's turn has fewer instructions left than were to follow at `pc`: run those one by one.
    pub const TURN: u32 = 10;
}

/// What a helper gives back, in the two result registers of the host's C convention.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct HelperResult {
    /// The value of the call.
    pub value: u64,
    /// One of [`exit`]; not zero: the region is left through the call's snapshot with this code.
    pub status: u64,
}

impl HelperResult {
    /// Success.
    pub fn ok(value: u64) -> Self {
        Self { value, status: exit::NONE.into() }
    }

    /// Leave the region with `code`.
    pub fn leave(code: u32) -> Self {
        Self { value: 0, status: code.into() }
    }
}

/// A function that generated code calls. Must not unwind.
///
/// # Safety
/// `cpu` is the header of the running vCPU, of the guest the helper belongs to.
pub type HelperFn = unsafe extern "C" fn(cpu: *mut CpuHeader, a: u64, b: u64, c: u64, d: u64) -> HelperResult;

/// Index of one of the guest's helpers, in the order of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelperId(pub u16);

/// A guest's helper.
#[derive(Clone, Copy)]
pub struct Helper {
    /// Name in listings.
    pub name: &'static str,
    /// The function.
    pub func: HelperFn,
    /// Whether it reads or writes guest registers of the table behind the translator's back.
    pub touches_regs: bool,
    /// Whether it is a vector helper: a function of [`CpuHeader::vectors`] and its first argument that gives a vector in
    /// the first of them, always succeeds, and changes nothing else but [`CpuHeader::fp_flags`].
    pub vectors: bool,
}

/// What a vCPU's software TLB says of a page. All entries' words of one kind stand one after the other, those of the next kind
/// behind them, so that an index is scaled to a place by the host's addresses.
///
/// A tag is the guest-virtual page address when the access is allowed without further thought; bits below the page
/// size are set where the slow path has to be asked (device, watched page, nothing there), so that the comparison fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlbWord {
    /// Tag for loads.
    Read,
    /// Tag for stores.
    Write,
    /// Host address minus guest-virtual address.
    Addend,
    /// Guest-physical page address.
    Phys,
}

impl TlbWord {
    /// How many kinds there are.
    pub const COUNT: usize = 4;

    /// Bytes from [`CpuHeader::tlb`] to the first entry's word of this kind, in a TLB of `entries`.
    pub fn offset(self, entries: usize) -> i32 {
        (self as usize * entries * size_of::<u64>()) as i32 - tlb_bits(entries)
    }
}

/// A TLB begins at a multiple of this, and its address in the header is [`tlb_bits`] behind.
pub const TLB_ALIGN: usize = 1 << 16;

/// Which bits of an address are the index of a TLB of `entries`, as the host's instruction for it takes that from the lowest bits of a
/// register (BEXTR: the first one, and in the next byte how many).
pub const fn tlb_bits(entries: usize) -> i32 {
    (PAGE_SHIFT | entries.trailing_zeros() << 8) as i32
}

/// Most entries of a TLB: generated code takes the index from the low half of an address.
pub const MOST_TLB_ENTRIES: usize = 1 << 20;

const _: () = assert!(MOST_TLB_ENTRIES.trailing_zeros() + PAGE_SHIFT <= u32::BITS);

/// One entry of a vCPU's jump cache: where the translation of a guest address is.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct JumpEntry {
    /// Guest address.
    pub key: u64,
    /// Host address of the translation's entry.
    pub code: u64,
}

/// Entries of the jump cache, a power of two.
pub const JUMP_ENTRIES: usize = 1 << 14;

/// How many bytes of code share an entry of the jump cache, as a power of two: hardly two jumps lead to the same four.
pub const JUMP_SHIFT: u32 = 2;

/// The jump cache's entry of `pc`. Those of a page stand side by side.
pub const fn jump_index(pc: u64) -> usize {
    (pc >> JUMP_SHIFT) as usize & (JUMP_ENTRIES - 1)
}

/// What leads from a jump's entry to its other one, where it is put when another jump takes its place: as good a place among those of
/// its page.
pub const JUMP_ASIDE: usize = 1 << 9;

impl CpuHeader {
    /// A header with nothing in it yet; [`crate::run::Vcpu`] fills in the pointers.
    pub const fn new() -> Self {
        Self {
            pc: 0,
            trap_value: 0,
            trap_code: 0,
            fp_flags: 0,
            fp_control: 0,
            link_site: 0,
            request: std::ptr::null(),
            heat: std::ptr::null(),
            records: std::ptr::null(),
            helpers: std::ptr::null(),
            tlb: std::ptr::null(),
            jumps: std::ptr::null(),
            mmu: std::ptr::null_mut(),
            page: 0,
            fp_live: 0,
            insns: 0,
            counters: std::ptr::null_mut(),
            ticks: std::ptr::null(),
            vectors: [0; 3],
        }
    }

    /// Counts guest instructions that were carried out.
    pub fn count(&mut self, insns: u64) {
        self.insns = self.insns.wrapping_add(insns);
        if let Some(ticks) = self.ticks() {
            ticks.add(insns);
        }
    }

    /// What machine time is counted with, if vCPUs run by turns.
    pub fn ticks(&self) -> Option<&Ticks> {
        // SAFETY: null, or of the clock that the vCPU's code cache holds.
        unsafe { self.ticks.as_ref() }
    }
}

impl Default for CpuHeader {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: the pointers lead to tables that the vCPU owns or shares through atomics; the header goes where the vCPU goes.
unsafe impl Send for CpuHeader {}

/// The start of every guest's CPU structure.
#[repr(C)]
pub struct CpuHeader {
    /// Address of the next guest instruction. Out of date while generated code runs.
    pub pc: u64,
    /// Extra value of the trap to be taken.
    pub trap_value: u64,
    /// Guest's number of the trap to be taken.
    pub trap_code: u32,
    /// Accrued float flags, as [`crate::sem::flags`], without those that the host's float unit still holds.
    pub fp_flags: u32,
    /// The host float control word (MXCSR on x86-64) to load when generated code is entered; after it is left, the
    /// word with the flags that the guest's operations raised.
    pub fp_control: u32,
    /// After [`exit::LOOKUP`]: which exit asks to be linked, 0 for none; likewise after those that count.
    pub link_site: u32,
    /// First word of the records of the code that runs, which say what its rare ways out need.
    pub records: *const u32,
    /// Table of helper functions, indexed by [`HelperId`].
    pub helpers: *const HelperFn,
    /// The vCPU's view of memory, for helpers.
    pub mmu: *mut Mmu,
    /// Counters of what is executed, [`crate::observe::SLOTS`] of them; null while nobody counts.
    pub counters: *mut u64,
    /// Not zero while the host's float unit is in the guest's mode and holds flags of the guest.
    pub fp_live: u32,
    /// Vectors on their way to helpers and back; no state.
    pub vectors: [u128; 3],
    /// Count of the machine and end of the turn, where vCPUs run by turns; else null.
    pub ticks: *const Ticks,
    /// Guest instructions carried out, those that trapped left out. Exact while translations count them
    /// ([`crate::guest::Guest::counts`]); else only those interpreted are in it.
    pub insns: u64,
    /// Counts of ways back, [`crate::run::HEAT_SLOTS`] of them.
    pub heat: *const AtomicU32,
    // What generated code needs most often stands at the end, near the registers that follow.
    /// Not zero while somebody wants this vCPU's attention ([`base::CpuLines::request_word`]).
    pub request: *const AtomicU32,
    /// First entry of the jump cache ([`JUMP_ENTRIES`] long).
    pub jumps: *const JumpEntry,
    /// Guest-virtual address of the page that the running translation is in: what it knows of code addresses is
    /// relative to it.
    pub page: u64,
    /// The TLB in use ([`TlbWord::offset`]).
    pub tlb: *const u8,
}

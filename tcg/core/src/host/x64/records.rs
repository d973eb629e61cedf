//! What rare ways out of generated code need to know, as data instead of code.
//!
//! A *state record* is a snapshot with the places of its values: whoever leaves through it has the guest's state put in order.
//! An *access record* is a memory access whose fast path was not taken: which helper does it, where its operands are, where
//! the result goes, and the state record to leave through. Code enters one of two shared routines
//! ([`super::buffer`]) with the record's number; they save all registers and call [`leave`] or [`access`]. An *exit record* is
//! the number of an exit and the guest address that it leads to; the shared code itself reads it.

use super::compile::{Emit, Frame};
use super::piece::Fixup;
use crate::cpu::{CpuHeader, HelperFn, HelperResult};
use crate::eval;
use crate::host::helpers::CoreHelper;
use crate::ir::{Inst, Op, SnapId, Value};
use crate::opt::lowest;
use crate::regalloc::Loc;
use crate::sem::FlagsKind;
use crate::ty::Ty;
use base::PAGE_SIZE;
use std::{io, ptr};

/// Where a value is, as a word: kind in the low byte, register or slot in the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    /// 64 bits of a general register.
    Gpr,
    /// A single in a float register.
    XmmSingle,
    /// The low 64 bits of a float register.
    Xmm,
    /// A whole float register.
    XmmWide,
    /// A single in a slot; what lies above it is no part of it.
    SlotSingle,
    /// A slot.
    Slot,
    /// A slot and the next.
    SlotWide,
    /// The two words that follow.
    Constant,
    /// The four words that follow.
    Vector,
    /// Nowhere: nobody wants the result.
    None,
    /// Flags ([`Op::FlagsOf`]) of the three values whose places follow.
    Flags,
    /// A vector, parted: the places of the lowest lane, whose bits the next byte counts, and of the rest follow.
    Lowest,
}

const KINDS: [Kind; 12] = [
    Kind::Gpr,
    Kind::XmmSingle,
    Kind::Xmm,
    Kind::XmmWide,
    Kind::SlotSingle,
    Kind::Slot,
    Kind::SlotWide,
    Kind::Constant,
    Kind::Vector,
    Kind::None,
    Kind::Flags,
    Kind::Lowest,
];

impl Kind {
    fn of(word: u32) -> Self {
        KINDS[(word & 0xff) as usize]
    }

    fn is_wide(self) -> bool {
        matches!(self, Self::XmmWide | Self::SlotWide | Self::Vector | Self::Lowest)
    }
}

/// In a state record's word of flags: the address is relative to [`CpuHeader::page`].
const RELATIVE: u32 = 1 << 31;
/// In an access record's first word: the result has 32 bits.
const NARROW: u32 = 1 << 16;

impl Emit<'_> {
    /// Number of the state record of `snap`.
    pub fn state_record(&mut self, snap: SnapId) -> u32 {
        if let Some((.., number)) = self.last_state.filter(|(last, at, _)| (*last, *at) == (snap, self.at)) {
            return number;
        }
        let number = self.piece.records.len() as u32;
        let region = self.region;
        let (snapshot, outdated) = (&region.snaps[snap.0 as usize], region.outdated(snap));
        let (pc, relative) = self.address_word(snapshot.pc);
        let flags = if relative { RELATIVE } else { 0 };
        self.word64(pc);
        self.piece.records.push(u32::try_from(snapshot.retired).expect("the verifier's limit"));
        self.piece.records.push(outdated.len() as u32 | flags);
        for (reg, value) in outdated {
            let offset = self.env.regs[reg.0 as usize].offset;
            assert!(offset <= u16::MAX.into(), "registers stand at the beginning of the CPU's state");
            self.place_word(*value, offset << 16);
        }
        self.last_state = Some((snap, self.at, number));
        number
    }

    /// Number of the access record of `inst`.
    pub fn access_record(&mut self, v: Value, inst: &Inst, helper: CoreHelper) -> u32 {
        let state = self.state_record(inst.snap);
        let number = self.piece.records.len() as u32;
        let helper = match (inst.ty, inst.op) {
            (Ty::V128, Op::Load) => CoreHelper::LoadVector,
            (Ty::V128, Op::Store) => CoreHelper::StoreVector,
            _ => helper,
        };
        let narrow = if inst.result() == Ty::I32 { NARROW } else { 0 };
        let args = &inst.args()[1..];
        self.piece.records.push(helper as u32 | (args.len() as u32) << 8 | narrow);
        self.piece.fixups.push(Fixup::state(self.piece.records.len() as u32));
        self.piece.records.push(state);
        self.word64(inst.imm);
        if inst.result() == Ty::None {
            self.piece.records.push(Kind::None as u32);
        } else {
            self.place_word(v, 0);
        }
        args.iter().for_each(|arg| self.place_word(*arg, 0));
        number
    }

    /// Number of the record of exit `site`, or of a way out that is none, which leaves for `pc`.
    pub fn exit_record(&mut self, site: Option<u32>, pc: u64) -> u32 {
        let record = self.piece.records.len() as u32;
        if site.is_some() {
            self.piece.fixups.push(Fixup::exit(record));
        }
        self.piece.records.push(site.unwrap_or(0));
        self.word64(self.address_word(pc).0);
        record
    }

    /// An address of guest code as records have it, and whether it is relative.
    fn address_word(&self, pc: u64) -> (u64, bool) {
        match self.env.process {
            true => (pc, false),
            false => (pc.wrapping_sub(self.region.pc & !(PAGE_SIZE - 1)), true),
        }
    }

    fn word64(&mut self, value: u64) {
        self.piece.records.extend([value as u32, (value >> 32) as u32]);
    }

    /// Adds the place of `v`, with `more` in the upper half of the word.
    fn place_word(&mut self, v: Value, more: u32) {
        let v = self.whole(v);
        if let Some(k) = self.constant(v) {
            self.piece.records.push(Kind::Constant as u32 | more);
            return self.word64(k);
        }
        if let Some(value) = self.region.constant_vector(v) {
            self.piece.records.push(Kind::Vector as u32 | more);
            self.word64(value as u64);
            return self.word64((value >> 64) as u64);
        }
        if self.uses.is_fused(v) {
            return match lowest(self.region, v) {
                Some(parts) => self.lowest_words(parts, more),
                None => self.flags_words(v, more),
            };
        }
        let ty = self.ty(v);
        let (kind, n) = match self.loc(v) {
            Loc::Gpr(n) => (Kind::Gpr, n.into()),
            Loc::Xmm(n) if ty == Ty::F32 => (Kind::XmmSingle, n.into()),
            Loc::Xmm(n) if ty == Ty::V128 => (Kind::XmmWide, n.into()),
            Loc::Xmm(n) => (Kind::Xmm, n.into()),
            Loc::Slot(n) if ty == Ty::F32 => (Kind::SlotSingle, n),
            Loc::Slot(n) if ty == Ty::V128 => (Kind::SlotWide, n),
            Loc::Slot(n) => (Kind::Slot, n),
            Loc::None => (Kind::None, 0),
        };
        self.piece.records.push(kind as u32 | u32::from(n) << 8 | more);
    }
}

impl Emit<'_> {
    /// Adds the parts of a vector: the rest, and the lowest lane.
    fn lowest_words(&mut self, (rest, low): (Value, Value), more: u32) {
        let bits = self.ty(low).bits();
        self.piece.records.push(Kind::Lowest as u32 | bits << 8 | more);
        self.place_word(low, 0);
        if self.region.constant_vector(rest) == Some(0) {
            // Zeros.
            return self.piece.records.push(Kind::None as u32);
        }
        self.place_word(rest, 0);
    }

    /// Adds what the flags `v` are made of, with `more` in the upper half of the first word.
    fn flags_words(&mut self, v: Value, more: u32) {
        let inst = *self.region.inst(v);
        self.piece.records.push(Kind::Flags as u32 | more);
        // Of one value: the second is not looked at.
        let second = if inst.op == Op::FlagsLogic { 0 } else { 1 };
        self.place_word(inst.args[0], 0);
        self.place_word(inst.args[second], 0);
        match FlagsKind::of(inst.op, inst.ty) {
            Some(kind) => {
                self.piece.records.push(Kind::Constant as u32);
                self.word64(kind as u64);
            }
            None => self.place_word(inst.args[2], 0),
        }
    }
}

/// Reads the words of a record.
struct Reader(*const u32);

impl Reader {
    /// # Safety
    /// There is another word of the record.
    unsafe fn word(&mut self) -> u32 {
        // SAFETY: the caller's promise.
        unsafe {
            let word = self.0.read();
            self.0 = self.0.add(1);
            word
        }
    }

    /// # Safety
    /// There are two more words of the record.
    unsafe fn word64(&mut self) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { u64::from(self.word()) | u64::from(self.word()) << 32 }
    }

    /// The value at a place, and the place's word.
    ///
    /// # Safety
    /// A place comes next, and `frame` is what the shared code saved of the region that the record belongs to.
    unsafe fn value(&mut self, frame: *mut u8) -> (u128, u32) {
        // SAFETY: the caller's promise; the places of `at` lie inside the frame.
        unsafe {
            let word = self.word();
            let value = match Kind::of(word) {
                Kind::Constant => self.word64().into(),
                Kind::Vector => u128::from(self.word64()) | u128::from(self.word64()) << 64,
                Kind::None => 0,
                Kind::Flags => {
                    let [a, b, kind] = std::array::from_fn(|_| self.value(frame).0 as u64);
                    eval::flags_of(FlagsKind::from_bits(kind), a, b).into()
                }
                Kind::Lowest => {
                    let [low, rest] = std::array::from_fn(|_| self.value(frame).0);
                    let mask = (1 << (word >> 8 & 0xff)) - 1;
                    rest & !mask | low & mask
                }
                Kind::XmmSingle | Kind::SlotSingle => at(frame, word).cast::<u32>().read_unaligned().into(),
                Kind::XmmWide | Kind::SlotWide => at(frame, word).cast::<u128>().read_unaligned(),
                Kind::Gpr | Kind::Xmm | Kind::Slot => at(frame, word).cast::<u64>().read_unaligned().into(),
            };
            (value, word)
        }
    }
}

/// Where a register or slot is in a frame.
fn at(frame: *mut u8, word: u32) -> *mut u8 {
    let n = (word >> 8) as u8;
    let offset = match Kind::of(word) {
        Kind::Gpr => Frame::save(n),
        Kind::XmmSingle | Kind::Xmm | Kind::XmmWide => Frame::save(16 + n),
        _ => Frame::slot(n.into()),
    };
    frame.wrapping_add(offset as usize)
}

/// Puts the guest's state in order as the state record at `reader` says.
///
/// # Safety
/// It is one of the code that the frame belongs to, and `head` is the header of the CPU that ran it.
unsafe fn put_in_order(head: *mut CpuHeader, mut reader: Reader, frame: *mut u8) {
    // SAFETY: the caller's promise; a record's registers are those of the guest's table.
    unsafe {
        let (pc, retired, flags) = (reader.word64(), reader.word(), reader.word());
        for _ in 0..flags & !RELATIVE {
            let (value, word) = reader.value(frame);
            let register = head.cast::<u8>().add((word >> 16) as usize);
            if Kind::of(word).is_wide() {
                register.cast::<u128>().write_unaligned(value);
            } else {
                register.cast::<u64>().write(value as u64);
            }
        }
        (*head).count(retired.into());
        (*head).pc = if flags & RELATIVE == 0 { pc } else { (*head).page.wrapping_add(pc) };
    }
}

/// Leaves generated code: (frame, exit code, number of the state record); gives the code.
pub unsafe extern "C" fn leave(
    head: *mut CpuHeader,
    frame: u64,
    code: u64,
    record: u64,
    _: u64,
) -> HelperResult {
    // SAFETY: the shared code passes its own header and frame, and the number that it was entered with.
    unsafe { put_in_order(head, Reader((*head).records.add(record as u32 as usize)), frame as *mut u8) };
    HelperResult::ok(code)
}

/// Carries out a memory access: (frame, number of the access record, guest address). Zero: the result is in the frame; else
/// the guest's state is in order, and generated code is to be left with this code.
pub unsafe extern "C" fn access(
    head: *mut CpuHeader,
    frame: u64,
    record: u64,
    addr: u64,
    _: u64,
) -> HelperResult {
    let frame = frame as *mut u8;
    // SAFETY: the shared code passes its own header and frame, and the number that it was entered with. Helpers are called
    // as generated code does, without a borrow of the header.
    unsafe {
        let records = (*head).records;
        let mut reader = Reader(records.add(record as u32 as usize));
        let (first, state, imm) = (reader.word(), reader.word(), reader.word64());
        let result = reader.word();
        let helper: HelperFn = (*head).helpers.add((first & 0xff) as usize).read();
        let count = (first >> 8 & 0xff) as usize;
        let (mut args, mut vectors) = ([imm; 3], 0);
        for arg in args.iter_mut().take(count) {
            let (value, word) = reader.value(frame);
            if Kind::of(word).is_wide() {
                (*head).vectors[vectors] = value;
                vectors += 1;
            } else {
                *arg = value as u64;
            }
        }
        let done = helper(head, addr, args[0], args[1], args[2]);
        if done.status != 0 {
            put_in_order(head, Reader(records.add(state as usize)), frame);
            return HelperResult::ok(done.status);
        }
        match Kind::of(result) {
            Kind::None => {}
            kind if kind.is_wide() => at(frame, result).cast::<u128>().write_unaligned((*head).vectors[0]),
            _ => {
                let value = if first & NARROW != 0 { done.value & 0xffff_ffff } else { done.value };
                at(frame, result).cast::<u64>().write(value);
            }
        }
    }
    HelperResult::ok(0)
}

/// The records of one code buffer. Running code reads it while its owner appends.
pub struct RecordTable {
    words: *mut u32,
    room: usize,
    used: usize,
}

// SAFETY: words below `used` do not change until `clear`, which nobody runs code of the buffer during.
unsafe impl Send for RecordTable {}

impl RecordTable {
    /// A table with room for what `code_bytes` bytes of code need.
    pub fn new(code_bytes: usize) -> io::Result<Self> {
        // As many bytes again, and something for tests with little code memory.
        let room = code_bytes / 2 + 1024;
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at =
            unsafe { libc::mmap(ptr::null_mut(), room * 4, protection, flags | libc::MAP_NORESERVE, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { words: at.cast(), room, used: 0 })
    }

    /// The first word.
    pub fn words(&self) -> *const u32 {
        self.words
    }

    /// Number of the next record.
    pub fn next(&self) -> u32 {
        self.used as u32
    }

    /// Whether `count` more words fit.
    pub fn has_room(&self, count: usize) -> bool {
        self.used + count <= self.room
    }

    /// Adds records.
    pub fn append(&mut self, words: &[u32]) {
        assert!(self.has_room(words.len()), "the table has room for the code's records");
        // SAFETY: inside the mapping, and no code refers to it yet.
        unsafe { ptr::copy_nonoverlapping(words.as_ptr(), self.words.add(self.used), words.len()) };
        self.used += words.len();
    }

    /// Forgets all records.
    pub fn clear(&mut self) {
        self.used = 0;
    }
}

impl Drop for RecordTable {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`; no code of the buffer runs any more.
        unsafe { libc::munmap(self.words.cast(), self.room * 4) };
    }
}

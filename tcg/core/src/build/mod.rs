//! The reading that makes IR: [`Build`] implements [`Sem`] by appending instructions to a region.

use crate::cpu::{HelperId, RegId, exit};
use crate::guest::{Ctx, Fetch, Guest, Trap};
use crate::ir::{BlockId, Edge, Inst, Op, Region, SnapId, Term, Value};
use crate::observe::Record;
use crate::sem::{FloatMode, Hint, Lane, MemOp, Next, Order, Rmw, Sem, V, Val};
use crate::ty::{Bool, Float, I32, I64, Int, Scalar, Ty};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

mod observe;
mod region;

pub use observe::Tallies;
use observe::Watch;
pub use region::{GuestRegion, Profile, guest_region};

/// Which exits of a block can be linked to the block they lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Those within its page: where another page is may change.
    WithinPage,
    /// All.
    Anywhere,
}

/// How far a block goes, and what is seen of it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest run of guest instructions.
    pub max_insns: usize,
    /// Exits that can be linked.
    pub links: Links,
    /// Who watches what is executed.
    pub record: Option<Arc<Record>>,
    /// vCPUs run by turns: instructions are counted, and the code is left where a turn ends.
    pub turns: bool,
}

impl Limits {
    /// At most `max_insns` instructions, and links within the page.
    pub fn new(max_insns: usize) -> Self {
        Self { max_insns, links: Links::WithinPage, record: None, turns: false }
    }
}

/// Makes a region, one guest instruction after the other.
pub struct Build {
    region: Region,
    block: BlockId,
    snap: SnapId,
    /// Whether guest instructions are counted.
    counts: bool,
    /// Whether data accesses must be aligned.
    aligned: bool,
    /// How many are carried out on every way to here since the last [`Op::Count`].
    retired: u64,
    /// vCPUs run by turns.
    turns: bool,
    /// The [`Op::Quota`] that the next instruction is part of, if there is one.
    quota: Option<Value>,
    /// The present instruction calls a helper.
    calls: bool,
    links: Links,
    /// Whether the mode is another here than where the region begins: then nothing outside can be linked to.
    other_mode: bool,
    /// Guest addresses that blocks of the region stand for.
    inside: BTreeMap<u64, BlockId>,
    /// What observers want.
    watch: Option<Box<Watch>>,
}

/// Longest run of guest instructions in one translation.
pub const MAX_INSNS: usize = 64;

/// Longest guest instruction that is translated whole wherever it begins in a page.
const MAX_INSN_BYTES: u64 = 4;

/// The translation of a guest basic block.
#[derive(Debug)]
pub struct GuestBlock {
    /// Its IR: ends at the first jump, at a page's end, or after the limit.
    pub region: Region,
    /// Bytes of guest code it was made from, starting at the region's pc.
    pub len: u64,
    /// Guest instructions in it.
    pub insns: usize,
    /// The mode that each is translated for.
    pub modes: Vec<u64>,
    /// Counts how often it is entered, once it has a counter.
    pub entered: Option<Value>,
    /// What the translation counts of itself.
    pub tallies: Tallies,
}

/// Translates the basic block at `pc` into a region of IR.
///
/// The block does not leave the page it starts in, save for one instruction that crosses into the next. The error is
/// the fault of fetching the first instruction; a later one ends the block before it. The block takes the memory of `room`.
pub fn guest_block<G: Guest>(
    fetch: &mut impl Fetch,
    pc: u64,
    mode: u64,
    limits: &Limits,
    mut room: Region,
) -> Result<GuestBlock, Trap> {
    room.reset(pc, G::rounding(mode));
    let mut build = Build::new(room);
    build.settle::<G>(mode, limits);
    build.enter_translation();
    let entered = build.count_entries();
    let (mut at, entry_mode, mut mode) = (pc, mode, mode);
    let (mut insns, mut modes) = (0, Vec::new());
    loop {
        let (insn, len) = match G::decode(fetch, at, mode) {
            Ok(decoded) => decoded,
            Err(trap) if insns == 0 => return Err(trap),
            Err(_) => {
                let end = build.leave(at, false);
                build.end(end);
                break;
            }
        };
        let cx = Ctx { pc: at, len, mode };
        let crosses = |end: u64| (end ^ pc) >> base::PAGE_SHIFT != 0;
        if insns > 0 && crosses(at.wrapping_add(len - 1)) {
            let end = build.leave(at, false);
            build.end(end);
            break;
        }
        build.begin(at);
        build.watch::<G>(fetch, &cx, insn);
        let Ok(next) = G::exec(&mut build, &cx, insn);
        insns += 1;
        modes.push(mode);
        at = cx.next_pc();
        if let Next::Mode(next) = next {
            mode = next;
            build.other_mode = mode != entry_mode;
        }
        let leaves_page = crosses(at);
        match build.finish(&cx, next) {
            Some(term) => {
                build.end(term);
                break;
            }
            None if insns >= limits.max_insns || leaves_page => {
                let end = build.leave(at, false);
                build.end(end);
                break;
            }
            None => {}
        }
    }
    let tallies = build.tallies();
    Ok(GuestBlock { region: build.region, len: at.wrapping_sub(pc), insns, modes, entered, tallies })
}

impl Build {
    /// A builder that goes on with an empty region.
    pub fn new(region: Region) -> Self {
        Self {
            region,
            block: BlockId(0),
            snap: SnapId::NONE,
            counts: false,
            aligned: false,
            retired: 0,
            turns: false,
            quota: None,
            calls: false,
            links: Links::WithinPage,
            other_mode: false,
            inside: BTreeMap::new(),
            watch: None,
        }
    }

    /// Takes over what holds for code of `mode`, and what its user wants.
    fn settle<G: Guest>(&mut self, mode: u64, limits: &Limits) {
        let counts = G::counts(mode) || limits.record.is_some() || limits.turns;
        (self.counts, self.aligned) = (counts, G::aligned(mode));
        (self.links, self.turns) = (limits.links, limits.turns);
        self.watch = limits.record.clone().map(|record| Box::new(Watch::new(record)));
    }

    /// The region made so far.
    pub fn into_region(self) -> Region {
        self.region
    }

    /// A load or store as the mode has it.
    fn access(&self, op: MemOp) -> MemOp {
        if self.aligned { op.aligned() } else { op }
    }

    /// Starts the guest instruction at `pc`.
    pub fn begin(&mut self, pc: u64) {
        self.snapshot(pc);
        if self.turns {
            match self.quota {
                Some(quota) => self.region.inst_mut(quota).imm += 1,
                None => self.quota = Some(self.emit(Op::Quota, Ty::None, 1, &[])),
            }
        }
        self.calls = false;
        self.emit(Op::Mark, Ty::None, 0, &[]);
    }

    /// The guest falls through to the instruction at `pc`. Where vCPUs run by turns, what a helper may have done comes before
    /// it: an interrupt that is pending now, a turn that ends earlier.
    fn fall(&mut self, pc: u64) {
        if self.turns && self.calls {
            // What the next quota asks for begins here.
            self.count();
            self.snapshot(pc);
            self.emit(Op::Poll, Ty::None, 0, &[]);
            self.quota = None;
        }
    }

    /// What leaves from here on leaves for the instruction at `pc`.
    fn snapshot(&mut self, pc: u64) {
        self.snap = self.region.add_snapshot(pc, self.retired, []);
    }

    /// Has the state know what was carried out so far: on the way out, before a helper that may look, and before ways
    /// part.
    fn count(&mut self) {
        let insns = std::mem::take(&mut self.retired);
        if insns > 0 {
            self.emit(Op::Count, Ty::None, insns, &[]);
            self.count_for_translation(insns);
        }
    }

    /// [`Self::count`] in the middle of an instruction.
    fn count_so_far(&mut self) {
        if self.retired > 0 {
            self.count();
            self.snapshot(self.region.snaps[self.snap.0 as usize].pc);
        }
    }

    /// Ends the current block.
    pub fn end(&mut self, term: Term) {
        self.region.blocks[self.block.0 as usize].term = term;
    }

    /// The end that `next` makes; `None` if the guest falls through to the next instruction.
    fn finish(&mut self, cx: &Ctx, next: Next<Value>) -> Option<Term> {
        self.retired += u64::from(self.counts && !matches!(next, Next::Trap(_)));
        self.executed(&next);
        if !matches!(next, Next::Fall | Next::Mode(_)) {
            self.count();
        }
        Some(match next {
            Next::Fall | Next::Mode(_) => {
                self.fall(cx.next_pc());
                return None;
            }
            Next::Jump(pc) => self.leave(pc, pc <= cx.pc),
            Next::Branch { cond, taken, not } => {
                let then = self.side(taken, taken <= cx.pc);
                let other = self.side(not, not <= cx.pc);
                Term::Branch { cond: cond.raw, then, other }
            }
            Next::Indirect(target, _) if self.other_mode => {
                Term::Indirect { target: target.raw, hint: Hint::Sync }
            }
            Next::Indirect(target, hint) => Term::Indirect { target: target.raw, hint },
            Next::Trap(Trap { code, value: 0 }) => Term::Trap { pc: cx.pc, code, value: 0 },
            // The value may be an address, which moves with the code; the interpreter knows.
            Next::Trap(_) => Term::Exit { pc: cx.pc, code: exit::RETRY },
            Next::Exit(exit::RESYNC) => {
                let target = self.code_addr(cx.next_pc());
                let hint = if self.other_mode { Hint::Sync } else { Hint::Resync };
                Term::Indirect { target: target.raw, hint }
            }
            Next::Exit(code) => Term::Exit { pc: cx.next_pc(), code },
        })
    }

    /// The block of `pc`, or one that leaves for it.
    fn side(&mut self, pc: u64, check: bool) -> Edge {
        if let Some(block) = self.inside.get(&pc) {
            return Edge::to(*block);
        }
        let from = std::mem::replace(&mut self.block, self.region.add_block());
        let term = self.leave(pc, check);
        self.end(term);
        Edge::to(std::mem::replace(&mut self.block, from))
    }

    /// Goes to the block of `pc`, or leaves the region for it. Only exits within the page can be linked: where another page is may change, and
    /// so may the second page of an instruction that begins at the very end of this one. In a process nothing of that can.
    fn leave(&mut self, pc: u64, check: bool) -> Term {
        self.count();
        if let Some(block) = self.inside.get(&pc) {
            return Term::Jump(Edge::to(*block));
        }
        if self.other_mode {
            let target = self.code_addr(pc);
            return Term::Indirect { target: target.raw, hint: Hint::Sync };
        }
        let same_page = (pc ^ self.region.pc) >> base::PAGE_SHIFT == 0;
        let whole = same_page && pc % base::PAGE_SIZE <= base::PAGE_SIZE - MAX_INSN_BYTES;
        if whole || self.links == Links::Anywhere {
            return Term::Goto { pc, check };
        }
        let target = self.code_addr(pc);
        Term::Indirect { target: target.raw, hint: if check { Hint::Back } else { Hint::Jump } }
    }

    /// Whether the present instruction has set a register to the address `next` of the instruction that follows.
    fn links_to(&self, next: u64) -> bool {
        let insts = self.region.blocks[self.block.0 as usize].insts.iter().rev();
        let mut insts = insts.map(|v| self.region.inst(*v)).take_while(|inst| inst.op != Op::Mark);
        insts.any(|inst| {
            let value = inst.args().first().map(|v| self.region.inst(*v));
            inst.op == Op::Set
                && value.is_some_and(|v| matches!(v.op, Op::Const | Op::CodeAddr) && v.imm == next)
        })
    }

    /// Where `term`, if it is computed, goes to one of `ways`, it goes to that one's block; gives the end for all others.
    fn choose(&mut self, term: Term, ways: &[(u64, BlockId)]) -> Term {
        let (Term::Indirect { target, .. }, [(first, block), more @ ..]) = (&term, ways) else { return term };
        let first_addr = self.code_addr(*first).raw;
        self.part(*target, first_addr, *block);
        if !more.is_empty() {
            // Where code is may have to be asked for; the rest lies a known way from there.
            let distance = self.emit(Op::Sub, Ty::I64, 0, &[*target, first_addr]);
            for (pc, block) in more {
                let expected = self.k::<I64>(pc.wrapping_sub(*first)).raw;
                self.part(distance, expected, *block);
            }
        }
        term
    }

    /// Goes to `block` if the values are equal, and on if they are not.
    fn part(&mut self, value: Value, expected: Value, block: BlockId) {
        let cond = self.emit(Op::Eq, Ty::I64, 0, &[value, expected]);
        let others = self.region.add_block();
        self.end(Term::Branch { cond, then: Edge::to(block), other: Edge::to(others) });
        self.block = others;
    }

    fn emit(&mut self, op: Op, ty: Ty, imm: u64, args: &[Value]) -> Value {
        let mut all = [Value::NONE; 3];
        all[..args.len()].copy_from_slice(args);
        self.region.push(self.block, Inst { op, ty, args: all, imm, snap: self.snap })
    }
}

/// The type an instruction is marked with: the result's, or for comparisons and flags the operands'.
fn marked<T: Scalar, U: Scalar>(op: Op) -> Ty {
    let of_operands =
        U::TY == Ty::Bool || matches!(op, Op::FlagsAdd | Op::FlagsSub | Op::FlagsLogic | Op::FlagsFloat);
    if of_operands { T::TY } else { U::TY }
}

impl Sem for Build {
    type R = Value;
    type W = Value;
    type Stop = Infallible;

    fn k<T: Scalar>(&mut self, value: u64) -> V<Self, T> {
        Val::new(self.emit(Op::Const, T::TY, value & T::TY.mask(), &[]))
    }

    fn code_addr(&mut self, addr: u64) -> V<Self, I64> {
        if self.links == Links::Anywhere {
            return self.k(addr);
        }
        Val::new(self.emit(Op::CodeAddr, Ty::I64, addr, &[]))
    }

    fn get<T: Scalar>(&mut self, reg: RegId) -> V<Self, T> {
        Val::new(self.emit(Op::Get, T::TY, reg.0.into(), &[]))
    }

    fn set<T: Scalar>(&mut self, reg: RegId, value: V<Self, T>) {
        self.emit(Op::Set, T::TY, reg.0.into(), &[value.raw]);
    }

    fn op1<T: Scalar, U: Scalar>(&mut self, op: Op, imm: u64, a: V<Self, T>) -> V<Self, U> {
        Val::new(self.emit(op, marked::<T, U>(op), imm, &[a.raw]))
    }

    fn op2<T: Scalar, U: Scalar>(&mut self, op: Op, imm: u64, a: V<Self, T>, b: V<Self, T>) -> V<Self, U> {
        Val::new(self.emit(op, marked::<T, U>(op), imm, &[a.raw, b.raw]))
    }

    fn fmuladd<T: Float>(
        &mut self,
        a: V<Self, T>,
        b: V<Self, T>,
        c: V<Self, T>,
        mode: impl Into<FloatMode>,
    ) -> V<Self, T> {
        Val::new(self.emit(Op::FMulAdd, T::TY, mode.into().bits(), &[a.raw, b.raw, c.raw]))
    }

    fn flags_adc<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>, carry: V<Self, Bool>) -> V<Self, I32> {
        Val::new(self.emit(Op::FlagsAdc, T::TY, 0, &[a.raw, b.raw, carry.raw]))
    }

    fn select<T: Scalar>(&mut self, cond: V<Self, Bool>, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        Val::new(self.emit(Op::Select, T::TY, 0, &[cond.raw, a.raw, b.raw]))
    }

    fn load<T: Scalar>(&mut self, addr: V<Self, I64>, op: MemOp) -> Result<V<Self, T>, Infallible> {
        let value = self.emit(Op::Load, T::TY, self.access(op).pack(), &[addr.raw]);
        self.accessed(addr.raw, op, false);
        Ok(Val::new(value))
    }

    fn store<T: Scalar>(
        &mut self,
        addr: V<Self, I64>,
        value: V<Self, T>,
        op: MemOp,
    ) -> Result<(), Infallible> {
        self.emit(Op::Store, T::TY, self.access(op).pack(), &[addr.raw, value.raw]);
        self.accessed(addr.raw, op, true);
        Ok(())
    }

    fn rmw<T: Int>(
        &mut self,
        kind: Rmw,
        addr: V<Self, I64>,
        operand: V<Self, T>,
        op: MemOp,
    ) -> Result<V<Self, T>, Infallible> {
        let old = self.emit(Op::AtomicRmw, T::TY, kind.pack(op), &[addr.raw, operand.raw]);
        self.updated(addr.raw, op);
        Ok(Val::new(old))
    }

    fn cas<T: Int>(
        &mut self,
        addr: V<Self, I64>,
        expected: V<Self, T>,
        new: V<Self, T>,
        op: MemOp,
    ) -> Result<V<Self, T>, Infallible> {
        let old = self.emit(Op::AtomicCas, T::TY, op.pack(), &[addr.raw, expected.raw, new.raw]);
        self.updated(addr.raw, op);
        Ok(Val::new(old))
    }

    fn fence(&mut self, order: Order) {
        self.emit(Op::Fence, Ty::None, order.pack(), &[]);
    }

    fn call(&mut self, id: HelperId, args: &[V<Self, I64>]) -> Result<V<Self, I64>, Infallible> {
        self.announce_helper();
        self.count_so_far();
        self.calls = true;
        let mut all = [Value::NONE; 3];
        let zero = if args.len() < 3 { self.k::<I64>(0).raw } else { Value::NONE };
        for (i, slot) in all.iter_mut().enumerate() {
            *slot = args.get(i).map_or(zero, |a| a.raw);
        }
        Ok(Val::new(self.emit(Op::Call, Ty::I64, id.0.into(), &all)))
    }

    fn usually(
        &mut self,
        cond: V<Self, Bool>,
        value: V<Self, I64>,
        _: HelperId,
        _: &[V<Self, I64>],
    ) -> Result<V<Self, I64>, Infallible> {
        self.count_so_far();
        let (otherwise, after) = (self.region.add_block(), self.region.add_block());
        self.end(Term::Branch { cond: cond.raw, then: Edge::to(after), other: Edge::to(otherwise) });
        self.block = otherwise;
        let pc = self.region.snaps[self.snap.0 as usize].pc;
        self.end(Term::Exit { pc, code: exit::RETRY });
        self.block = after;
        Ok(value)
    }

    fn when(
        &mut self,
        cond: V<Self, Bool>,
        body: impl FnOnce(&mut Self) -> Result<(), Infallible>,
    ) -> Result<(), Infallible> {
        self.count_so_far();
        let (inside, after) = (self.region.add_block(), self.region.add_block());
        self.end(Term::Branch { cond: cond.raw, then: Edge::to(inside), other: Edge::to(after) });
        self.block = inside;
        body(self)?;
        self.end(Term::Jump(Edge::to(after)));
        self.block = after;
        Ok(())
    }

    fn vector(&mut self, value: u128) -> Value {
        let imm = self.region.vector(value);
        self.emit(Op::Const, Ty::V128, imm, &[])
    }

    fn get_vector(&mut self, reg: RegId) -> Value {
        self.emit(Op::Get, Ty::V128, reg.0.into(), &[])
    }

    fn set_vector(&mut self, reg: RegId, value: Value) {
        self.emit(Op::Set, Ty::V128, reg.0.into(), &[value]);
    }

    fn load_vector(&mut self, addr: V<Self, I64>, op: MemOp) -> Result<Value, Infallible> {
        let value = self.emit(Op::Load, Ty::V128, self.access(op).pack(), &[addr.raw]);
        self.accessed(addr.raw, op, false);
        Ok(value)
    }

    fn store_vector(&mut self, addr: V<Self, I64>, value: Value, op: MemOp) -> Result<(), Infallible> {
        self.emit(Op::Store, Ty::V128, self.access(op).pack(), &[addr.raw, value]);
        self.accessed(addr.raw, op, true);
        Ok(())
    }

    fn load_lanes(&mut self, addr: V<Self, I64>, mask: Value, op: MemOp) -> Result<Value, Infallible> {
        let value = self.emit(Op::LoadLanes, Ty::V128, self.access(op).pack(), &[addr.raw, mask]);
        self.accessed_lanes(addr, mask, op, false);
        Ok(value)
    }

    fn store_lanes(
        &mut self,
        addr: V<Self, I64>,
        [value, mask]: [Value; 2],
        op: MemOp,
    ) -> Result<(), Infallible> {
        self.emit(Op::StoreLanes, Ty::V128, self.access(op).pack(), &[addr.raw, value, mask]);
        self.accessed_lanes(addr, mask, op, true);
        Ok(())
    }

    fn lanes(&mut self, op: Op, ty: Ty, imm: u64, args: &[Value]) -> Value {
        self.emit(op, ty, imm, args)
    }

    fn splat<T: Scalar>(&mut self, ty: Ty, value: V<Self, T>) -> Value {
        self.emit(Op::Splat, ty, 0, &[value.raw])
    }

    fn insert<T: Scalar>(&mut self, ty: Ty, index: u32, a: Value, value: V<Self, T>) -> Value {
        self.emit(Op::Insert, ty, index.into(), &[a, value.raw])
    }

    fn extract<T: Scalar>(&mut self, lane: Lane, a: Value) -> V<Self, T> {
        Val::new(self.emit(Op::Extract, T::TY, lane.pack(), &[a]))
    }

    fn any(&mut self, a: Value) -> V<Self, Bool> {
        Val::new(self.emit(Op::AnyBit, Ty::V128, 0, &[a]))
    }

    fn byte_signs(&mut self, a: Value) -> V<Self, I32> {
        Val::new(self.emit(Op::ByteSigns, Ty::I32, 0, &[a]))
    }

    fn select_vector(&mut self, cond: V<Self, Bool>, a: Value, b: Value) -> Value {
        self.emit(Op::Select, Ty::V128, 0, &[cond.raw, a, b])
    }

    fn shuffle(&mut self, a: Value, b: Value, bytes: [u8; 16]) -> Value {
        let imm = self.region.vector(u128::from_le_bytes(bytes));
        self.emit(Op::Shuffle, Ty::V128, imm, &[a, b])
    }

    fn call_vector(&mut self, id: HelperId, param: u64, args: &[Value]) -> Value {
        let filler = args.first().copied();
        let filler = filler.unwrap_or_else(|| self.vector(0));
        let all: [Value; 3] = std::array::from_fn(|n| args.get(n).copied().unwrap_or(filler));
        self.emit(Op::CallVector, Ty::V128, u64::from(id.0) | param << 16, &all)
    }
}

//! Linear-scan register allocation over the blocks of a region in order.
//!
//! A value is in a host register, in a stack slot, or nowhere (constants, and values that their only user computes itself).
//! A life runs from the definition to the last use in block order; around a loop it is stretched to the loop's end. When
//! registers run out, the value gives its register up that is used least, and least in loops, for the rest of its life: from
//! there on it is in a slot, where it was put when it was made ([`Split`]). So no way between blocks has to move it.

mod uses;

use crate::ir::{Inst, Op, Region, SnapId, Term, Value};
use crate::sem::FloatMode;
use crate::ty::Ty;
use uses::UseList;

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loc {
    /// Nowhere: dead, a constant, or computed where it is used.
    None,
    /// General register.
    Gpr(u8),
    /// Float register.
    Xmm(u8),
    /// Stack slot of 8 bytes; vectors have the next one too, and an even number.
    Slot(u16),
}

/// The registers that may be given to values.
#[derive(Clone, Debug)]
pub struct Pool {
    /// General registers, best first.
    pub gpr: Vec<u8>,
    /// Float registers, best first.
    pub xmm: Vec<u8>,
}

/// Registers in use at one instruction, for code that calls out: bits 0-15 general, 16-31 float.
pub type RegSet = u32;

/// The bit of a register in a [`RegSet`].
pub fn bit(loc: Loc) -> RegSet {
    match loc {
        Loc::Gpr(n) => 1 << n,
        Loc::Xmm(n) => 1 << (16 + n),
        Loc::None | Loc::Slot(_) => 0,
    }
}

/// Where a value is in the second part of its life.
#[derive(Clone, Copy)]
pub struct Split {
    /// The first position of that part.
    pub from: u32,
    /// The slot, to be written where the value is made.
    pub slot: Loc,
}

impl Split {
    const NONE: Self = Self { from: u32::MAX, slot: Loc::None };
}

/// The outcome. Positions count instructions in block order: one for a block's parameters, one for each of its
/// instructions, one for its end.
#[derive(Default)]
pub struct Allocation {
    /// Place of each value, where it is made.
    loc: Vec<Loc>,
    /// Its other place.
    split: Vec<Split>,
    /// Registers that hold something needed after each instruction.
    pub live_after: Vec<RegSet>,
    /// Stack slots used.
    pub slots: u16,
    /// The position where each block begins.
    pub start: Vec<u32>,
    /// The position of its end.
    pub end: Vec<u32>,
}

impl Allocation {
    /// Where `v` is at position `at`.
    pub fn place(&self, v: Value, at: u32) -> Loc {
        let split = self.split[v.0 as usize];
        if at >= split.from { split.slot } else { self.loc[v.0 as usize] }
    }

    /// Where `v` is at the end of its life.
    fn last_place(&self, v: Value) -> Loc {
        self.second_place(v).unwrap_or(self.loc[v.0 as usize])
    }

    /// The slot that `v` is to be put in as well, where it is made.
    pub fn second_place(&self, v: Value) -> Option<Loc> {
        let split = self.split[v.0 as usize];
        (split.slot != Loc::None).then_some(split.slot)
    }
}

/// Buffers that are used again for each region.
#[derive(Default)]
pub struct Scratch {
    first: Vec<u32>,
    last: Vec<u32>,
    /// What a value should share its register with: a parameter and what it is given.
    partner: Vec<Value>,
    /// How many loops each block is in.
    depth: Vec<u32>,
    /// First and last block of each loop.
    loops: Vec<(usize, usize)>,
    uses: UseList,
    active: Vec<Value>,
    /// Slots that have been given up, and since when.
    free_slots: Vec<(u16, u32)>,
    free_pairs: Vec<(u16, u32)>,
}

struct Scan<'a> {
    region: &'a Region,
    /// Whether each value gets no place because its users compute it.
    fused: &'a [bool],
    /// All registers of the pool.
    all: RegSet,
    /// No life ends before.
    next_end: u32,
    s: &'a mut Scratch,
    out: &'a mut Allocation,
    free: RegSet,
    pool: &'a Pool,
}

/// Allocates registers for `region`. Values that are `fused` are computed by their users: their operands live to there.
pub fn allocate(region: &Region, pool: &Pool, fused: &[bool], s: &mut Scratch, out: &mut Allocation) {
    let n = region.insts.len();
    s.first.clear();
    s.first.resize(n, u32::MAX);
    s.last.clear();
    s.last.resize(n, 0);
    s.uses.clear();
    s.partner.clear();
    s.partner.resize(n, Value::NONE);
    s.active.clear();
    s.free_slots.clear();
    s.free_pairs.clear();
    out.loc.clear();
    out.loc.resize(n, Loc::None);
    out.split.clear();
    out.split.resize(n, Split::NONE);
    out.live_after.clear();
    out.live_after.resize(n, 0);
    out.slots = 0;
    let mut free = 0;
    pool.gpr.iter().for_each(|r| free |= bit(Loc::Gpr(*r)));
    pool.xmm.iter().for_each(|r| free |= bit(Loc::Xmm(*r)));
    let mut scan = Scan { region, fused, all: free, next_end: 0, s, out, free, pool };
    scan.depths();
    scan.lives();
    scan.walk();
}

/// Whether software makes rare results of float operation `inst` of its operands, and not just the canonical NaN: infinity times
/// zero plus a NaN raises invalid for some guests.
pub fn wants_operands(inst: &Inst) -> bool {
    let mode = FloatMode::from_bits(inst.imm);
    mode.propagates_nans() || mode.is_tiny_before() || inst.op == Op::FMulAdd
}

impl Scan<'_> {
    fn used(&mut self, v: Value, at: u32) {
        if self.fused[v.0 as usize] {
            // Its operands are read where it is used.
            let inst = *self.region.inst(v);
            for arg in inst.args() {
                self.used(*arg, at);
            }
            return;
        }
        let last = &mut self.s.last[v.0 as usize];
        *last = (*last).max(at);
    }

    /// Counts the loops around each block.
    fn depths(&mut self) {
        let region = self.region;
        let (depth, loops) = (&mut self.s.depth, &mut self.s.loops);
        loops.clear();
        depth.clear();
        depth.resize(region.blocks.len(), 0);
        for (head, _) in region.blocks.iter().enumerate() {
            let back =
                |from: &usize| region.blocks[*from].term.edges().any(|edge| edge.to.0 as usize == head);
            if let Some(last) = (head..region.blocks.len()).rev().find(back) {
                depth[head..=last].iter_mut().for_each(|d| *d += 1);
                loops.push((head, last));
            }
        }
    }

    fn snap_used(&mut self, snap: SnapId, at: u32) {
        if snap != SnapId::NONE {
            let region = self.region;
            for (_, v) in region.outdated(snap) {
                self.used(*v, at);
            }
        }
    }

    /// Numbers instructions in block order and finds each value's first and last position.
    fn lives(&mut self) {
        let region = self.region;
        let mut at = 1;
        self.out.start.clear();
        self.out.end.clear();
        for (n, block) in region.blocks.iter().enumerate() {
            self.out.start.push(at);
            for v in &block.params {
                self.s.first[v.0 as usize] = at;
                self.used(*v, at);
            }
            at += 1;
            for &v in &block.insts {
                let inst = region.inst(v);
                if !self.fused[v.0 as usize] {
                    self.s.first[v.0 as usize] = at;
                    inst.args().iter().for_each(|arg| self.used(*arg, at));
                }
                self.snap_used(inst.snap, at);
                at += 1;
            }
            match &block.term {
                Term::Branch { cond, .. } => self.used(*cond, at),
                Term::Indirect { target, .. } => self.used(*target, at),
                _ => {}
            }
            for edge in block.term.edges() {
                let params = &region.blocks[edge.to.0 as usize].params;
                for (arg, param) in edge.args.iter().zip(params) {
                    self.used(*arg, at);
                    // Whichever gets its register first is asked by the other.
                    let forward = edge.to.0 as usize > n;
                    let (asks, asked) = if forward { (*param, *arg) } else { (*arg, *param) };
                    if self.s.partner[asks.0 as usize] == Value::NONE {
                        self.s.partner[asks.0 as usize] = asked;
                    }
                }
            }
            self.out.end.push(at);
            at += 1;
        }
        // A value from before a loop that is used inside is needed until the loop's end.
        for (from, block) in region.blocks.iter().enumerate() {
            for edge in block.term.edges() {
                let to = edge.to.0 as usize;
                if to > from {
                    continue;
                }
                let (start, end) = (self.out.start[to], self.out.end[from]);
                for v in 0..region.insts.len() {
                    if self.s.first[v] < start && self.s.last[v] >= start {
                        self.s.last[v] = self.s.last[v].max(end);
                    }
                }
            }
        }
    }

    fn walk(&mut self) {
        let region = self.region;
        for (n, block) in region.blocks.iter().enumerate() {
            let at = self.out.start[n];
            self.expire(at);
            for v in &block.params {
                self.define(*v, at, Loc::None);
            }
            for (at, &v) in (at + 1..).zip(&block.insts) {
                if !self.fused[v.0 as usize] {
                    self.instruction(v, at);
                }
            }
        }
    }

    fn instruction(&mut self, v: Value, at: u32) {
        let inst = self.region.inst(v);
        // Not over operands that software may want afterwards.
        let arithmetic = matches!(inst.op, Op::FAdd | Op::FSub | Op::FMul | Op::FDiv) && !inst.on_lanes();
        let beside = if arithmetic && wants_operands(inst) { self.take(true) } else { None };
        // Operands that end here make room for the result, except where code that calls out still needs them.
        self.expire(at);
        let hint = inst.args().first().map_or(Loc::None, |a| {
            let fused = self.fused[a.0 as usize];
            let from = if fused { self.region.inst(*a).args[0] } else { *a };
            self.out.loc.get(from.0 as usize).copied().unwrap_or(Loc::None)
        });
        let hint = beside.unwrap_or(hint);
        if inst.op != Op::Const && inst.result() != Ty::None && self.s.last[v.0 as usize] > 0 {
            self.define(v, at, hint);
        }
        let own = bit(self.out.loc[v.0 as usize]);
        self.out.live_after[v.0 as usize] = self.all & !self.free & !own;
    }

    /// Frees the places of lives that end at or before `at`.
    fn expire(&mut self, at: u32) {
        if at < self.next_end {
            return;
        }
        let mut next_end = u32::MAX;
        let (last, out, region) = (&self.s.last, &*self.out, self.region);
        let (free, s) = (&mut self.free, (&mut self.s.free_slots, &mut self.s.free_pairs));
        self.s.active.retain(|v| {
            let end = last[v.0 as usize];
            if end > at {
                next_end = next_end.min(end);
                return true;
            }
            match out.last_place(*v) {
                Loc::Slot(slot) if region.inst(*v).result().is_vector() => s.1.push((slot, at)),
                Loc::Slot(slot) => s.0.push((slot, at)),
                place => *free |= bit(place),
            }
            false
        });
        self.next_end = next_end;
    }

    fn define(&mut self, v: Value, at: u32, hint: Loc) {
        let float = self.region.inst(v).result().in_float_register();
        let partner = match self.s.partner[v.0 as usize] {
            Value::NONE => Loc::None,
            partner => self.out.loc[partner.0 as usize],
        };
        let fits = |loc: &Loc| bit(*loc) & self.free != 0 && matches!(loc, Loc::Xmm(_)) == float;
        let place = [partner, hint].into_iter().find(fits).or_else(|| self.take(float));
        let place = place.unwrap_or_else(|| self.evict(v, at, float));
        self.free &= !bit(place);
        self.out.loc[v.0 as usize] = place;
        self.s.active.push(v);
        self.next_end = self.next_end.min(self.s.last[v.0 as usize]);
    }

    fn take(&self, float: bool) -> Option<Loc> {
        let found = |make: fn(u8) -> Loc, pool: &[u8]| {
            pool.iter().map(|r| make(*r)).find(|loc| self.free & bit(*loc) != 0)
        };
        if float { found(Loc::Xmm, &self.pool.xmm) } else { found(Loc::Gpr, &self.pool.gpr) }
    }

    /// Sends a value to the stack: `v`, or one whose register `v` then gets.
    fn evict(&mut self, v: Value, at: u32, float: bool) -> Loc {
        self.list_uses();
        let same_class = |u: &&Value| match self.out.last_place(**u) {
            Loc::Gpr(_) => !float,
            Loc::Xmm(_) => float,
            Loc::None | Loc::Slot(_) => false,
        };
        let candidates = self.s.active.iter().filter(same_class);
        let cheapest = candidates.map(|u| (self.cost(*u, at), *u)).min_by_key(|(cost, _)| *cost);
        let Some((_, victim)) = cheapest.filter(|(cost, _)| *cost < self.cost(v, at)) else {
            return self.slot_for(v, at);
        };
        let (first, place) = (self.s.first[victim.0 as usize], self.out.loc[victim.0 as usize]);
        let (from, slot) = (self.rest(victim, at), self.slot_for(victim, first));
        self.out.split[victim.0 as usize] = Split { from, slot };
        place
    }

    /// Where the life of `v` is to be split so that its register is free from `at` on: there, or before the outermost loop
    /// around it that `v` comes from outside of, since its beginning is come to again. Loops may overlap: what begins inside
    /// of one may end behind it.
    fn rest(&self, v: Value, at: u32) -> u32 {
        let first = self.s.first[v.0 as usize];
        // By their heads, the last first.
        self.s.loops.iter().rev().fold(at, |at, (head, last)| {
            let (start, end) = (self.out.start[*head], self.out.end[*last]);
            if first < start && (start..=end).contains(&at) { start } else { at }
        })
    }

    /// What it costs to have no register for `v` from `at` on, for each position that gains by it.
    fn cost(&self, v: Value, at: u32) -> u64 {
        let made = self.s.uses.made(v);
        let uses = self.s.uses.since(v, self.rest(v, at));
        let gain = self.s.last[v.0 as usize].saturating_sub(at).max(1);
        if uses == 0 { 0 } else { ((uses + made) << 16) / u64::from(gain) }
    }

    /// Finds all uses, if that is not done.
    fn list_uses(&mut self) {
        if self.s.uses.is_empty() {
            let (region, fused, out) = (self.region, self.fused, &*self.out);
            self.s.uses.fill(region, fused, &self.s.depth, &out.start);
        }
    }

    /// A slot for `v`, which is made at position `first`: one that nobody else needs from then on.
    fn slot_for(&mut self, v: Value, first: u32) -> Loc {
        let wide = self.region.inst(v).result().is_vector();
        let free = if wide { &mut self.s.free_pairs } else { &mut self.s.free_slots };
        if let Some(n) = free.iter().rposition(|(_, since)| *since <= first) {
            return Loc::Slot(free.swap_remove(n).0);
        }
        let slots = &mut self.out.slots;
        let slot = if wide { slots.next_multiple_of(2) } else { *slots };
        *slots = slot + if wide { 2 } else { 1 };
        Loc::Slot(slot)
    }
}

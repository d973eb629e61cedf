//! Linear-scan register allocation over the blocks of a region in order.
//!
//! Every value has one place for its whole life: a host register, a stack slot, or nothing (constants, and values that
//! their only user computes itself). A life runs from the definition to the last use in block order; around a loop it
//! is stretched to the loop's end. When registers run out, the value goes to the stack that is used least in loops, and of
//! those the one whose life ends last.

use crate::ir::{Op, Region, SnapId, Term, Value};
use crate::ty::Ty;
use std::cmp::Reverse;

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

/// The outcome.
#[derive(Default)]
pub struct Allocation {
    /// Place of each value.
    pub loc: Vec<Loc>,
    /// Registers that hold something needed after each instruction.
    pub live_after: Vec<RegSet>,
    /// Stack slots used.
    pub slots: u16,
}

/// Buffers that are used again for each region.
#[derive(Default)]
pub struct Scratch {
    first: Vec<u32>,
    last: Vec<u32>,
    /// Uses in loops, deeper ones counting more.
    score: Vec<u64>,
    /// What a value should share its register with: a parameter and what it is given.
    partner: Vec<Value>,
    /// How many loops each block is in.
    depth: Vec<u32>,
    active: Vec<Value>,
    free_slots: Vec<u16>,
    free_pairs: Vec<u16>,
    start: Vec<u32>,
    end: Vec<u32>,
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
    s.score.clear();
    s.score.resize(n, 0);
    s.partner.clear();
    s.partner.resize(n, Value::NONE);
    s.active.clear();
    s.free_slots.clear();
    s.free_pairs.clear();
    out.loc.clear();
    out.loc.resize(n, Loc::None);
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

    /// A use of `v` that is carried out each time `block` is.
    fn scored(&mut self, v: Value, block: usize) {
        let depth = self.s.depth[block];
        if depth == 0 {
            return;
        }
        if self.fused[v.0 as usize] {
            let inst = *self.region.inst(v);
            inst.args().iter().for_each(|arg| self.scored(*arg, block));
            return;
        }
        let score = &mut self.s.score[v.0 as usize];
        *score = score.saturating_add(1 << (4 * depth.min(12)));
    }

    /// Counts the loops around each block.
    fn depths(&mut self) {
        let region = self.region;
        let depth = &mut self.s.depth;
        depth.clear();
        depth.resize(region.blocks.len(), 0);
        for (head, _) in region.blocks.iter().enumerate() {
            let back =
                |from: &usize| region.blocks[*from].term.edges().any(|edge| edge.to.0 as usize == head);
            if let Some(last) = (head..region.blocks.len()).rev().find(back) {
                depth[head..=last].iter_mut().for_each(|d| *d += 1);
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
        self.s.start.clear();
        self.s.end.clear();
        for (n, block) in region.blocks.iter().enumerate() {
            self.s.start.push(at);
            for v in &block.params {
                self.s.first[v.0 as usize] = at;
                self.used(*v, at);
            }
            at += 1;
            for &v in &block.insts {
                let inst = region.inst(v);
                if !self.fused[v.0 as usize] {
                    self.s.first[v.0 as usize] = at;
                    self.scored(v, n);
                    for arg in inst.args() {
                        self.used(*arg, at);
                        self.scored(*arg, n);
                    }
                }
                self.snap_used(inst.snap, at);
                at += 1;
            }
            match &block.term {
                Term::Branch { cond, .. } => {
                    self.used(*cond, at);
                    self.scored(*cond, n);
                }
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
            self.s.end.push(at);
            at += 1;
        }
        // A value from before a loop that is used inside is needed until the loop's end.
        for (from, block) in region.blocks.iter().enumerate() {
            for edge in block.term.edges() {
                let to = edge.to.0 as usize;
                if to > from {
                    continue;
                }
                let (start, end) = (self.s.start[to], self.s.end[from]);
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
            let at = self.s.start[n];
            self.expire(at);
            for v in &block.params {
                self.define(*v, Loc::None);
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
        // Operands that end here make room for the result, except where code that calls out still needs them.
        self.expire(at);
        let hint = inst.args().first().map_or(Loc::None, |a| {
            let fused = self.fused[a.0 as usize];
            let from = if fused { self.region.inst(*a).args[0] } else { *a };
            self.out.loc.get(from.0 as usize).copied().unwrap_or(Loc::None)
        });
        if inst.op != Op::Const && inst.result() != Ty::None && self.s.last[v.0 as usize] > 0 {
            self.define(v, hint);
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
        let (last, loc, region) = (&self.s.last, &self.out.loc, self.region);
        let (free, s) = (&mut self.free, (&mut self.s.free_slots, &mut self.s.free_pairs));
        self.s.active.retain(|v| {
            let end = last[v.0 as usize];
            if end > at {
                next_end = next_end.min(end);
                return true;
            }
            match loc[v.0 as usize] {
                Loc::Slot(slot) if region.inst(*v).result().is_vector() => s.1.push(slot),
                Loc::Slot(slot) => s.0.push(slot),
                place => *free |= bit(place),
            }
            false
        });
        self.next_end = next_end;
    }

    fn define(&mut self, v: Value, hint: Loc) {
        let float = self.region.inst(v).result().in_float_register();
        let partner = match self.s.partner[v.0 as usize] {
            Value::NONE => Loc::None,
            partner => self.out.loc[partner.0 as usize],
        };
        let fits = |loc: &Loc| bit(*loc) & self.free != 0 && matches!(loc, Loc::Xmm(_)) == float;
        let place = [partner, hint].into_iter().find(fits).or_else(|| self.take(float));
        let place = place.unwrap_or_else(|| self.evict(v, float));
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

    /// Sends a value to the stack: `v`, or one whose register `v` then gets. Nothing is emitted yet, so a life that has
    /// begun can still move as a whole; its slot must then be one that nobody had before.
    fn evict(&mut self, v: Value, float: bool) -> Loc {
        let loc = &self.out.loc;
        let cost = |u: &Value| (self.s.score[u.0 as usize], Reverse(self.s.last[u.0 as usize]));
        let same_class = |u: &&Value| match loc[u.0 as usize] {
            Loc::Gpr(_) => !float,
            Loc::Xmm(_) => float,
            Loc::None | Loc::Slot(_) => false,
        };
        let cheapest = self.s.active.iter().filter(same_class).min_by_key(|u| cost(u)).copied();
        match cheapest.filter(|u| cost(u) < cost(&v)) {
            Some(victim) => {
                let slot = self.new_slot(victim);
                std::mem::replace(&mut self.out.loc[victim.0 as usize], slot)
            }
            None => {
                let wide = self.region.inst(v).result().is_vector();
                let free = if wide { &mut self.s.free_pairs } else { &mut self.s.free_slots };
                free.pop().map_or_else(|| self.new_slot(v), Loc::Slot)
            }
        }
    }

    /// A slot for `v` that nobody had before.
    fn new_slot(&mut self, v: Value) -> Loc {
        let slots = &mut self.out.slots;
        if !self.region.inst(v).result().is_vector() {
            *slots += 1;
            return Loc::Slot(*slots - 1);
        }
        let first = slots.next_multiple_of(2);
        *slots = first + 2;
        Loc::Slot(first)
    }
}

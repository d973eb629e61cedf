//! Guest registers become values.
//!
//! The first [`Op::Get`] of a register reads the state and later ones reuse the value; a [`Op::Set`] only changes what the
//! register's value is. What is out of date in the state is written there once, where the region is left. What may leave in
//! the middle gets a snapshot with the values of the registers that are out of date at that point. Where ways meet, and
//! around loops, values travel as block parameters. Arguments are replaced and folded on the way.

use super::flow::{Flow, Way};
use super::fold::{Folded, fold, fold_store};
use super::seen::Seen;
use crate::cpu::{Helper, RegDesc, RegId};
use crate::ir::{BlockId, Edge, Inst, Op, Region, SnapId, Snapshot, Term, Value};
use crate::ty::Ty;

/// What is known about one guest register at one point of a block.
#[derive(Clone, Copy)]
struct Slot {
    value: Value,
    /// The state's copy is out of date.
    dirty: bool,
}

/// Of a register that was neither read nor written.
const UNKNOWN: Slot = Slot { value: Value::NONE, dirty: false };

/// Lists that are used again for each region.
#[derive(Default)]
pub struct Scratch {
    flow: Flow,
    /// What is known at the end of each block that was walked.
    ends: Vec<Vec<(RegId, Slot)>>,
    slots: Vec<Slot>,
    /// Registers whose slot is in use, to clear few.
    touched: Vec<RegId>,
    /// What each value was found to be.
    same_as: Vec<Value>,
    /// What becomes of the block's instructions.
    out: Vec<Value>,
    seen: Seen,
    /// Of one snapshot.
    outdated: Vec<(RegId, Value)>,
}

/// What promotion leaves for others to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// Ways meet: there are parameters, which may be needless.
    pub joins: bool,
    /// A branch goes only one way, so blocks may be reached by fewer ways than before, or not at all.
    pub folded: bool,
}

struct Promote<'a> {
    region: &'a mut Region,
    regs: &'a [RegDesc],
    helpers: &'a [Helper],
    s: &'a mut Scratch,
    folded: bool,
}

fn constant(ty: Ty, imm: u64) -> Inst {
    Inst { op: Op::Const, ty, args: [Value::NONE; 3], imm, snap: SnapId::NONE }
}

/// Promotes guest registers in every block of `region`.
pub fn promote(region: &mut Region, regs: &[RegDesc], helpers: &[Helper], s: &mut Scratch) -> Promoted {
    s.flow.look_at(region, regs.len(), helpers);
    let joins = s.flow.has_joins();
    s.same_as.clear();
    s.same_as.extend((0..region.insts.len() as u32).map(Value));
    s.slots.resize(regs.len(), UNKNOWN);
    s.ends.iter_mut().for_each(Vec::clear);
    s.ends.resize(s.ends.len().max(region.blocks.len()), Vec::new());
    let mut pass = Promote { regs, helpers, region, s, folded: false };
    for block in 0..pass.region.blocks.len() as u32 {
        pass.block(BlockId(block));
    }
    Promoted { joins, folded: pass.folded }
}

impl Promote<'_> {
    fn block(&mut self, id: BlockId) {
        self.start(id);
        self.s.seen.clear();
        let mut insts = std::mem::take(&mut self.region.blocks[id.0 as usize].insts);
        for v in insts.drain(..) {
            self.inst(v);
        }
        let away = Term::Exit { pc: 0, code: 0 };
        let mut term = std::mem::replace(&mut self.region.blocks[id.0 as usize].term, away);
        self.end(&mut term);
        if term.edges().next().is_some() {
            let known = self.s.touched.iter().map(|reg| (*reg, self.s.slots[reg.0 as usize]));
            self.s.ends[id.0 as usize].extend(known);
        }
        self.forget();
        let block = &mut self.region.blocks[id.0 as usize];
        block.term = term;
        // The list of the one is the next block's room.
        block.insts = std::mem::replace(&mut self.s.out, insts);
    }

    /// What is known at the start of a block.
    fn start(&mut self, id: BlockId) {
        match self.s.flow.ways[id.0 as usize] {
            Way::Entry => {}
            Way::From(from) => {
                let known = std::mem::take(&mut self.s.ends[from.0 as usize]);
                known.iter().for_each(|(reg, slot)| self.learn(*reg, *slot));
                self.s.ends[from.0 as usize] = known;
            }
            Way::Join => {
                let carried = std::mem::take(&mut self.s.flow.carried[id.0 as usize]);
                for reg in carried.iter() {
                    let value = self.region.add_param(id, self.regs[reg.0 as usize].ty);
                    self.s.same_as.push(value);
                    let dirty = self.s.flow.dirty[id.0 as usize].contains(reg);
                    self.learn(reg, Slot { value, dirty });
                }
                self.s.flow.carried[id.0 as usize] = carried;
            }
        }
    }

    fn learn(&mut self, reg: RegId, slot: Slot) {
        self.s.slots[reg.0 as usize] = slot;
        self.s.touched.push(reg);
    }

    /// The end of a block: what leaves the region has the state up to date, edges take what their blocks carry.
    fn end(&mut self, term: &mut Term) {
        match term {
            Term::Jump(edge) => self.edge(edge),
            Term::Branch { cond, then, other } => {
                *cond = self.s.same_as[cond.0 as usize];
                let known = self.region.inst(*cond);
                if known.op == Op::Const {
                    let mut edge = if known.imm != 0 { then.clone() } else { other.clone() };
                    self.edge(&mut edge);
                    *term = Term::Jump(edge);
                    self.folded = true;
                    return;
                }
                if self.leaves(then) && self.leaves(other) {
                    // Once for both.
                    self.write_back();
                }
                self.edge(then);
                self.edge(other);
            }
            Term::Indirect { target, .. } => {
                *target = self.s.same_as[target.0 as usize];
                self.write_back();
            }
            Term::Goto { .. } | Term::Trap { .. } | Term::Exit { .. } => self.write_back(),
        }
    }

    /// Whether the block that `edge` leads to leaves the region, and is come to by no other edge.
    fn leaves(&self, edge: &Edge) -> bool {
        let to = edge.to.0 as usize;
        self.s.flow.ways[to] != Way::Join && self.region.blocks[to].term.edges().next().is_none()
    }

    fn edge(&mut self, edge: &mut Edge) {
        edge.args.iter_mut().for_each(|v| *v = self.s.same_as[v.0 as usize]);
        let to = edge.to.0 as usize;
        if self.s.flow.ways[to] != Way::Join {
            return;
        }
        let carried = std::mem::take(&mut self.s.flow.carried[to]);
        for reg in carried.iter() {
            edge.args.push(self.value_of(reg));
        }
        self.s.flow.carried[to] = carried;
    }

    /// The value of `reg` here, in the register's own type.
    fn value_of(&mut self, reg: RegId) -> Value {
        let ty = self.regs[reg.0 as usize].ty;
        let value = self.s.slots[reg.0 as usize].value;
        let args = [value, Value::NONE, Value::NONE];
        if value == Value::NONE {
            let value = self.add(Inst { op: Op::Get, ty, args, imm: reg.0.into(), snap: SnapId::NONE });
            self.learn(reg, Slot { value, dirty: false });
            return value;
        }
        if self.region.inst(value).result() == ty {
            return value;
        }
        let cast = Inst { op: Op::Bitcast, ty, args, imm: 0, snap: SnapId::NONE };
        match fold(self.region, &cast) {
            Folded::Value(other) => other,
            Folded::Const(imm) => self.add(constant(ty, imm)),
            _ => self.add(cast),
        }
    }

    fn inst(&mut self, v: Value) {
        let mut inst = *self.region.inst(v);
        for arg in &mut inst.args[..inst.op.arg_count()] {
            *arg = self.s.same_as[arg.0 as usize];
        }
        match inst.op {
            Op::Nop | Op::Mark => return,
            Op::Get => return self.get(v, inst),
            Op::Set => return self.set(RegId(inst.imm as u16), inst.args[0]),
            Op::Store => {
                inst = fold_store(self.region, inst);
                inst.snap = self.snapshot(inst.snap);
            }
            Op::Load
            | Op::LoadLanes
            | Op::StoreLanes
            | Op::AtomicRmw
            | Op::AtomicCas
            | Op::Poll
            | Op::Quota => {
                inst.snap = self.snapshot(inst.snap);
            }
            Op::Call if !self.helpers[inst.imm as usize].touches_regs => {
                inst.snap = self.snapshot(inst.snap);
            }
            Op::Call | Op::Observe => {
                self.write_back();
                inst.snap = self.snapshot(inst.snap);
                self.keep(v, inst);
                return self.forget();
            }
            _ => match fold(self.region, &inst) {
                Folded::Same => {}
                Folded::Value(other) => {
                    self.s.same_as[v.0 as usize] = other;
                    return;
                }
                Folded::Inst(other) => inst = other,
                Folded::With(other, k) => {
                    let k = self.add(constant(other.ty, k));
                    inst = Inst { args: [other.args[0], k, Value::NONE], ..other };
                }
                Folded::Signed(other, k) => {
                    let k = self.add(constant(other.ty, k));
                    let word = self.add(Inst { args: [other.args[0], k, Value::NONE], ..other });
                    inst = Inst { op: Op::SextW, args: [word, Value::NONE, Value::NONE], ..inst };
                }
                Folded::Const(imm) => inst = constant(inst.result(), imm),
                Folded::Vector(value) => inst = constant(Ty::V128, self.region.vector(value)),
                Folded::CodeAddr(imm) => inst = Inst { op: Op::CodeAddr, ..constant(Ty::I64, imm) },
            },
        }
        match self.s.seen.look(self.region, &inst) {
            Some(Ok(other)) => self.s.same_as[v.0 as usize] = other,
            Some(Err(place)) => {
                *place = v;
                self.keep(v, inst);
            }
            None => self.keep(v, inst),
        }
    }

    /// A new instruction, put here.
    fn add(&mut self, inst: Inst) -> Value {
        let v = self.region.add(inst);
        self.s.same_as.push(v);
        self.s.out.push(v);
        v
    }

    fn keep(&mut self, v: Value, inst: Inst) {
        self.region.insts[v.0 as usize] = inst;
        self.s.out.push(v);
    }

    fn get(&mut self, v: Value, inst: Inst) {
        let reg = RegId(inst.imm as u16);
        let known = self.s.slots[reg.0 as usize].value;
        if known == Value::NONE {
            self.learn(reg, Slot { value: v, dirty: false });
            return self.keep(v, inst);
        }
        if self.region.inst(known).result() == inst.ty {
            self.s.same_as[v.0 as usize] = known;
            return;
        }
        let cast = Inst { op: Op::Bitcast, args: [known, Value::NONE, Value::NONE], imm: 0, ..inst };
        match fold(self.region, &cast) {
            Folded::Value(other) => self.s.same_as[v.0 as usize] = other,
            Folded::Const(imm) => self.keep(v, constant(cast.ty, imm)),
            _ => self.keep(v, cast),
        }
    }

    fn set(&mut self, reg: RegId, value: Value) {
        let slot = &mut self.s.slots[reg.0 as usize];
        if slot.value == Value::NONE {
            self.s.touched.push(reg);
        }
        if slot.value != value {
            *slot = Slot { value, dirty: true };
        }
    }

    /// The snapshot `base` with the registers that are out of date now; what `base` says of a register stays.
    fn snapshot(&mut self, base: SnapId) -> SnapId {
        let Snapshot { pc, retired, .. } = self.region.snaps[base.0 as usize];
        let Scratch { outdated, same_as, slots, touched, .. } = &mut *self.s;
        outdated.clear();
        outdated.extend(self.region.outdated(base).iter().map(|(reg, v)| (*reg, same_as[v.0 as usize])));
        let said = outdated.len();
        for reg in touched.iter() {
            let slot = slots[reg.0 as usize];
            if slot.dirty && outdated[..said].iter().all(|(other, _)| other != reg) {
                outdated.push((*reg, slot.value));
            }
        }
        if outdated.is_empty() {
            return base;
        }
        self.region.add_snapshot(pc, retired, outdated.iter().copied())
    }

    /// Writes every out-of-date register to the state.
    fn write_back(&mut self) {
        for i in 0..self.s.touched.len() {
            let reg = self.s.touched[i];
            let slot = &mut self.s.slots[reg.0 as usize];
            if !std::mem::take(&mut slot.dirty) {
                continue;
            }
            let value = slot.value;
            let ty = self.region.inst(value).result();
            let ty = if ty == Ty::None { Ty::I64 } else { ty };
            let args = [value, Value::NONE, Value::NONE];
            self.add(Inst { op: Op::Set, ty, args, imm: reg.0.into(), snap: SnapId::NONE });
        }
    }

    fn forget(&mut self) {
        for reg in self.s.touched.drain(..) {
            self.s.slots[reg.0 as usize] = UNKNOWN;
        }
    }
}

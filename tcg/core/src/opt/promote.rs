//! Guest registers become values.
//!
//! Within a block, the first [`Op::Get`] of a register reads the state and later ones reuse the value; a [`Op::Set`] only
//! changes what the register's value is, and what is out of date in the state at the end of the block is written there
//! once. What may leave in the middle gets a snapshot with the values of the registers that are out of date at that
//! point. Arguments are replaced and folded on the way.

use super::fold::{Folded, fold};
use crate::cpu::{Helper, RegDesc, RegId};
use crate::ir::{BlockId, Inst, Op, Region, SnapId, Snapshot, Term, Value};
use crate::ty::Ty;

/// What is known about one guest register at one point of a block.
#[derive(Clone, Copy)]
struct Slot {
    value: Value,
    /// The state's copy is out of date.
    dirty: bool,
}

struct Promote<'a> {
    region: &'a mut Region,
    helpers: &'a [Helper],
    slots: Vec<Slot>,
    /// Registers whose slot is in use, to clear few.
    touched: Vec<RegId>,
    /// What each value was found to be.
    same_as: Vec<Value>,
    out: Vec<Value>,
}

fn constant(ty: Ty, imm: u64) -> Inst {
    Inst { op: Op::Const, ty, args: [Value::NONE; 3], imm, snap: SnapId::NONE }
}

/// Promotes guest registers in every block of `region`.
pub fn promote(region: &mut Region, regs: &[RegDesc], helpers: &[Helper]) {
    let unknown = Slot { value: Value::NONE, dirty: false };
    let same_as = (0..region.insts.len() as u32).map(Value).collect();
    let slots = vec![unknown; regs.len()];
    let mut pass = Promote { region, helpers, slots, touched: Vec::new(), same_as, out: Vec::new() };
    for block in 0..pass.region.blocks.len() as u32 {
        pass.block(BlockId(block));
    }
}

impl Promote<'_> {
    fn block(&mut self, id: BlockId) {
        let insts = std::mem::take(&mut self.region.blocks[id.0 as usize].insts);
        self.out = Vec::with_capacity(insts.len());
        for v in insts {
            self.inst(v);
        }
        self.write_back();
        self.forget();
        let block = &mut self.region.blocks[id.0 as usize];
        block.insts = std::mem::take(&mut self.out);
        let same_as = &self.same_as;
        let resolve = |v: &mut Value| *v = same_as[v.0 as usize];
        match &mut block.term {
            Term::Jump(edge) => edge.args.iter_mut().for_each(resolve),
            Term::Branch { cond, then, other } => {
                resolve(cond);
                then.args.iter_mut().chain(&mut other.args).for_each(resolve);
            }
            Term::Indirect { target, .. } => resolve(target),
            Term::Goto { .. } | Term::Trap { .. } | Term::Exit { .. } => {}
        }
    }

    fn inst(&mut self, v: Value) {
        let mut inst = *self.region.inst(v);
        for arg in &mut inst.args[..inst.op.arg_count()] {
            *arg = self.same_as[arg.0 as usize];
        }
        match inst.op {
            Op::Nop | Op::Mark => return,
            Op::Get => return self.get(v, inst),
            Op::Set => return self.set(RegId(inst.imm as u16), inst.args[0]),
            Op::Load | Op::Store | Op::AtomicRmw | Op::AtomicCas => inst.snap = self.snapshot(inst.snap),
            Op::Call => {
                if self.helpers[inst.imm as usize].touches_regs {
                    self.write_back();
                    inst.snap = self.snapshot(inst.snap);
                    self.keep(v, inst);
                    return self.forget();
                }
                inst.snap = self.snapshot(inst.snap);
            }
            _ => match fold(self.region, &inst) {
                Folded::Same => {}
                Folded::Value(other) => {
                    self.same_as[v.0 as usize] = other;
                    return;
                }
                Folded::Inst(other) => inst = other,
                Folded::AgainstZero(other) => {
                    let zero = self.zero(other.ty);
                    inst = Inst { args: [other.args[0], zero, Value::NONE], ..other };
                }
                Folded::Const(imm) => inst = constant(inst.result(), imm),
                Folded::Vector(value) => inst = constant(Ty::V128, self.region.vector(value)),
                Folded::CodeAddr(imm) => inst = Inst { op: Op::CodeAddr, ..constant(Ty::I64, imm) },
            },
        }
        self.keep(v, inst);
    }

    /// A zero of type `ty`, put here.
    fn zero(&mut self, ty: Ty) -> Value {
        let v = Value(self.region.insts.len() as u32);
        self.region.insts.push(Inst {
            op: Op::Const,
            ty,
            args: [Value::NONE; 3],
            imm: 0,
            snap: SnapId::NONE,
        });
        self.same_as.push(v);
        self.out.push(v);
        v
    }

    fn keep(&mut self, v: Value, inst: Inst) {
        self.region.insts[v.0 as usize] = inst;
        self.out.push(v);
    }

    fn get(&mut self, v: Value, inst: Inst) {
        let reg = RegId(inst.imm as u16);
        let known = self.slots[reg.0 as usize].value;
        if known == Value::NONE {
            self.slots[reg.0 as usize] = Slot { value: v, dirty: false };
            self.touched.push(reg);
            return self.keep(v, inst);
        }
        if self.region.inst(known).result() == inst.ty {
            self.same_as[v.0 as usize] = known;
            return;
        }
        let cast = Inst { op: Op::Bitcast, args: [known, Value::NONE, Value::NONE], imm: 0, ..inst };
        match fold(self.region, &cast) {
            Folded::Value(other) => self.same_as[v.0 as usize] = other,
            Folded::Const(imm) => self.keep(v, constant(cast.ty, imm)),
            Folded::Same
            | Folded::Vector(_)
            | Folded::CodeAddr(_)
            | Folded::Inst(_)
            | Folded::AgainstZero(_) => self.keep(v, cast),
        }
    }

    fn set(&mut self, reg: RegId, value: Value) {
        let slot = &mut self.slots[reg.0 as usize];
        if slot.value == Value::NONE {
            self.touched.push(reg);
        }
        if slot.value != value {
            *slot = Slot { value, dirty: true };
        }
    }

    /// The snapshot `base` with the registers that are out of date now; what `base` says of a register stays.
    fn snapshot(&mut self, base: SnapId) -> SnapId {
        let Snapshot { pc, regs, retired } = &self.region.snaps[base.0 as usize];
        let (pc, said, retired) = (*pc, regs.len(), *retired);
        let mut regs: Vec<_> = regs.iter().map(|(reg, v)| (*reg, self.same_as[v.0 as usize])).collect();
        for reg in &self.touched {
            let slot = self.slots[reg.0 as usize];
            if slot.dirty && regs[..said].iter().all(|(other, _)| other != reg) {
                regs.push((*reg, slot.value));
            }
        }
        if regs.is_empty() {
            return base;
        }
        self.region.snaps.push(Snapshot { pc, regs, retired });
        SnapId(self.region.snaps.len() as u32 - 1)
    }

    /// Writes every out-of-date register to the state.
    fn write_back(&mut self) {
        for i in 0..self.touched.len() {
            let reg = self.touched[i];
            let slot = &mut self.slots[reg.0 as usize];
            if !std::mem::take(&mut slot.dirty) {
                continue;
            }
            let value = slot.value;
            let ty = self.region.inst(value).result();
            let ty = if ty == Ty::None { Ty::I64 } else { ty };
            let args = [value, Value::NONE, Value::NONE];
            let v = Value(self.region.insts.len() as u32);
            let inst = Inst { op: Op::Set, ty, args, imm: reg.0.into(), snap: SnapId::NONE };
            self.region.insts.push(inst);
            self.same_as.push(v);
            self.out.push(v);
        }
    }

    fn forget(&mut self) {
        for reg in self.touched.drain(..) {
            self.slots[reg.0 as usize] = Slot { value: Value::NONE, dirty: false };
        }
    }
}

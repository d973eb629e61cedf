//! The reading that takes notes: what an instruction reads, writes and may do, found without a CPU.
//!
//! The generator of random tests asks it which registers have to be pointed at memory. Values are followed as far as
//! constants and sums of a register and a constant go; both outcomes of every condition are seen.

use crate::cpu::{HelperId, RegId, exit};
use crate::guest::{Ctx, Guest, Trap};
use crate::ir::Op;
use crate::sem::{FloatMode, Lane, MemOp, Next, Order, Rmw, Sem, V, Val};
use crate::ty::{Bool, Float, I32, I64, Int, Scalar, Ty};
use std::convert::Infallible;

/// What is known about a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A constant.
    Const(u64),
    /// A register as it was before the instruction, plus a constant.
    Reg(RegId, u64),
    /// Something computed.
    Computed,
}

/// What a memory operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemKind {
    /// Loads.
    Load,
    /// Stores.
    Store,
    /// Reads, changes and writes in one.
    Atomic,
}

/// One memory operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What it does.
    pub kind: MemKind,
    /// Where.
    pub addr: Origin,
    /// How much.
    pub op: MemOp,
}

/// How an instruction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The next one follows.
    Fall,
    /// Jumps to one of at most two addresses known now.
    Jump(u64, Option<u64>),
    /// Jumps to a computed address.
    Indirect(Origin),
    /// Always traps.
    Trap(Trap),
    /// Leaves to the run loop with one of [`crate::cpu::exit`].
    Exit(u32),
}

impl End {
    /// Whether a basic block ends here.
    pub fn is_jump(self) -> bool {
        self != Self::Fall
    }
}

/// What one instruction may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects {
    /// Registers read, in order of first reading.
    pub reads: Vec<RegId>,
    /// Registers written, in order of first writing.
    pub writes: Vec<RegId>,
    /// Memory operations in order.
    pub memory: Vec<Memory>,
    /// Helpers called.
    pub helpers: Vec<HelperId>,
    /// Whether float flags may be raised.
    pub float: bool,
    /// Whether it is a memory barrier.
    pub fence: bool,
    /// How it ends.
    pub end: End,
}

impl Effects {
    /// What `insn`, standing at `cx.pc`, may do.
    pub fn of<G: Guest>(cx: &Ctx, insn: G::Insn) -> Self {
        let mut reader = Reader(Self {
            reads: Vec::new(),
            writes: Vec::new(),
            memory: Vec::new(),
            helpers: Vec::new(),
            float: false,
            fence: false,
            end: End::Fall,
        });
        let Ok(next) = G::exec(&mut reader, cx, insn);
        let end = match next {
            Next::Fall => End::Fall,
            Next::Jump(pc) => End::Jump(pc, None),
            Next::Branch { taken, not, .. } => End::Jump(taken, Some(not)),
            Next::Indirect(target, _) => End::Indirect(target.raw),
            Next::Trap(trap) => End::Trap(trap),
            Next::Mode(_) => End::Exit(exit::RESYNC),
            Next::Exit(code) => End::Exit(code),
        };
        Self { end, ..reader.0 }
    }
}

struct Reader(Effects);

/// Adds `item` unless it is there.
fn note<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

impl Reader {
    fn computed<T>() -> Val<Origin, T> {
        Val::new(Origin::Computed)
    }

    fn access(&mut self, kind: MemKind, addr: V<Self, I64>, op: MemOp) {
        self.0.memory.push(Memory { kind, addr: addr.raw, op });
    }

    fn operation(&mut self, op: Op) {
        self.0.float |= op.effect() == crate::ir::Effect::Flags;
    }
}

impl Sem for Reader {
    type R = Origin;
    type W = ();
    type Stop = Infallible;

    fn k<T: Scalar>(&mut self, value: u64) -> V<Self, T> {
        Val::new(Origin::Const(value & T::TY.mask()))
    }

    fn code_addr(&mut self, addr: u64) -> V<Self, I64> {
        self.k(addr)
    }

    fn get<T: Scalar>(&mut self, reg: RegId) -> V<Self, T> {
        note(&mut self.0.reads, reg);
        let fresh = !self.0.writes.contains(&reg);
        Val::new(if fresh { Origin::Reg(reg, 0) } else { Origin::Computed })
    }

    fn set<T: Scalar>(&mut self, reg: RegId, _: V<Self, T>) {
        note(&mut self.0.writes, reg);
    }

    fn op1<T: Scalar, U: Scalar>(&mut self, op: Op, _: u64, _: V<Self, T>) -> V<Self, U> {
        self.operation(op);
        Self::computed()
    }

    fn op2<T: Scalar, U: Scalar>(&mut self, op: Op, _: u64, a: V<Self, T>, b: V<Self, T>) -> V<Self, U> {
        self.operation(op);
        Val::new(match (op, a.raw, b.raw) {
            (Op::Add, Origin::Reg(reg, x), Origin::Const(y)) if T::TY == Ty::I64 => {
                Origin::Reg(reg, x.wrapping_add(y))
            }
            (Op::Add, Origin::Const(x), Origin::Reg(reg, y)) if T::TY == Ty::I64 => {
                Origin::Reg(reg, x.wrapping_add(y))
            }
            _ => Origin::Computed,
        })
    }

    fn fmuladd<T: Float>(
        &mut self,
        _: V<Self, T>,
        _: V<Self, T>,
        _: V<Self, T>,
        _: impl Into<FloatMode>,
    ) -> V<Self, T> {
        self.operation(Op::FMulAdd);
        Self::computed()
    }

    fn flags_adc<T: Int>(&mut self, _: V<Self, T>, _: V<Self, T>, _: V<Self, Bool>) -> V<Self, I32> {
        Self::computed()
    }

    fn select<T: Scalar>(&mut self, _: V<Self, Bool>, _: V<Self, T>, _: V<Self, T>) -> V<Self, T> {
        Self::computed()
    }

    fn load<T: Scalar>(&mut self, addr: V<Self, I64>, op: MemOp) -> Result<V<Self, T>, Infallible> {
        self.access(MemKind::Load, addr, op);
        Ok(Self::computed())
    }

    fn store<T: Scalar>(&mut self, addr: V<Self, I64>, _: V<Self, T>, op: MemOp) -> Result<(), Infallible> {
        self.access(MemKind::Store, addr, op);
        Ok(())
    }

    fn rmw<T: Int>(
        &mut self,
        _: Rmw,
        addr: V<Self, I64>,
        _: V<Self, T>,
        op: MemOp,
    ) -> Result<V<Self, T>, Infallible> {
        self.access(MemKind::Atomic, addr, op);
        Ok(Self::computed())
    }

    fn cas<T: Int>(
        &mut self,
        addr: V<Self, I64>,
        _: V<Self, T>,
        _: V<Self, T>,
        op: MemOp,
    ) -> Result<V<Self, T>, Infallible> {
        self.access(MemKind::Atomic, addr, op);
        Ok(Self::computed())
    }

    fn fence(&mut self, _: Order) {
        self.0.fence = true;
    }

    fn call(&mut self, id: HelperId, _: &[V<Self, I64>]) -> Result<V<Self, I64>, Infallible> {
        self.0.helpers.push(id);
        Ok(Self::computed())
    }

    fn usually(
        &mut self,
        _: V<Self, Bool>,
        _: V<Self, I64>,
        id: HelperId,
        args: &[V<Self, I64>],
    ) -> Result<V<Self, I64>, Infallible> {
        self.call(id, args)
    }

    fn when(
        &mut self,
        _: V<Self, Bool>,
        body: impl FnOnce(&mut Self) -> Result<(), Infallible>,
    ) -> Result<(), Infallible> {
        body(self)
    }

    fn vector(&mut self, _: u128) {}

    fn get_vector(&mut self, reg: RegId) {
        note(&mut self.0.reads, reg);
    }

    fn set_vector(&mut self, reg: RegId, (): ()) {
        note(&mut self.0.writes, reg);
    }

    fn load_vector(&mut self, addr: V<Self, I64>, op: MemOp) -> Result<(), Infallible> {
        self.access(MemKind::Load, addr, op);
        Ok(())
    }

    fn store_vector(&mut self, addr: V<Self, I64>, (): (), op: MemOp) -> Result<(), Infallible> {
        self.access(MemKind::Store, addr, op);
        Ok(())
    }

    fn load_lanes(&mut self, addr: V<Self, I64>, (): (), _: MemOp) -> Result<(), Infallible> {
        self.access(MemKind::Load, addr, MemOp::new(4));
        Ok(())
    }

    fn store_lanes(&mut self, addr: V<Self, I64>, _: [(); 2], _: MemOp) -> Result<(), Infallible> {
        self.access(MemKind::Store, addr, MemOp::new(4));
        Ok(())
    }

    fn lanes(&mut self, op: Op, _: Ty, _: u64, _: &[()]) {
        self.operation(op);
    }

    fn splat<T: Scalar>(&mut self, _: Ty, _: V<Self, T>) {}

    fn insert<T: Scalar>(&mut self, _: Ty, _: u32, (): (), _: V<Self, T>) {}

    fn extract<T: Scalar>(&mut self, _: Lane, (): ()) -> V<Self, T> {
        Self::computed()
    }

    fn any(&mut self, (): ()) -> V<Self, Bool> {
        Self::computed()
    }

    fn byte_signs(&mut self, (): ()) -> V<Self, I32> {
        Self::computed()
    }

    fn select_vector(&mut self, _: V<Self, Bool>, (): (), (): ()) {}

    fn shuffle(&mut self, (): (), (): (), _: [u8; 16]) {}

    fn call_vector(&mut self, id: HelperId, _: u64, _: &[()]) {
        self.0.helpers.push(id);
        self.operation(Op::CallVector);
    }
}

#[cfg(test)]
mod tests;

//! Runs a region, instruction by instruction, by `eval.rs`: what generated code has to equal.

use super::{BlockId, Effect, Inst, Op, Region, Snapshot, Term, Value};
use crate::cpu::{HelperId, RegId, exit};
use crate::eval;
use crate::fp;
use crate::guest::Trap;
use crate::interp::Stop;
use crate::sem::{FloatMode, MemOp, Order};
use crate::ty::Ty;

/// What a region works on. [`crate::interp::Interp`] is one, over a vCPU's state and memory.
pub trait Machine {
    /// The 64 bits of guest register `reg`.
    fn get(&mut self, reg: RegId) -> u64;
    /// Guest register `reg` becomes `value`, the bits above its type zero.
    fn set(&mut self, reg: RegId, value: u64);
    /// Raises sticky float flags ([`crate::sem::flags`]).
    fn raise(&mut self, flags: u32);
    /// Loads; the value is extended to `ty` as `op` says.
    fn load(&mut self, addr: u64, op: MemOp, ty: Ty) -> Result<u64, Stop>;
    /// Stores the low bytes of `value`.
    fn store(&mut self, addr: u64, value: u64, op: MemOp) -> Result<(), Stop>;
    /// Atomic read-modify-write; `imm` packs kind and size. Gives the old value, extended to `ty`.
    fn rmw(&mut self, addr: u64, operand: u64, imm: u64, ty: Ty) -> Result<u64, Stop>;
    /// Atomic compare and swap of `expected` and `new`; gives the old value, extended to `ty`.
    fn cas(&mut self, addr: u64, values: [u64; 2], op: MemOp, ty: Ty) -> Result<u64, Stop>;
    /// Calls a guest's helper.
    fn call(&mut self, id: HelperId, args: [u64; 3]) -> Result<u64, Stop>;
    /// Counts guest instructions that were carried out.
    fn count(&mut self, insns: u64);
    /// Whether somebody wants attention.
    fn requested(&mut self) -> bool;
}

/// How a region was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Where the guest goes on, or the instruction that traps.
    pub pc: u64,
    /// One of [`exit`]; [`exit::LOOKUP`] where the guest just goes on at `pc`.
    pub code: u32,
    /// The trap, if `code` is [`exit::TRAP`].
    pub trap: Option<Trap>,
}

impl Left {
    fn with(pc: u64, code: u32) -> Self {
        Self { pc, code, trap: None }
    }

    fn trapping(pc: u64, trap: Trap) -> Self {
        Self { pc, code: exit::TRAP, trap: Some(trap) }
    }
}

/// Runs `region` on `machine`; `None` if it has not left after `fuel` blocks. The region is one that
/// [`super::verify`] accepts.
pub fn evaluate(region: &Region, machine: &mut impl Machine, fuel: usize) -> Option<Left> {
    let values = vec![0; region.insts.len()];
    let mut run = Run { region, machine, values };
    let mut block = BlockId(0);
    for _ in 0..fuel {
        match run.block(block) {
            Ok(next) => block = next,
            Err(left) => return Some(left),
        }
    }
    None
}

struct Run<'a, M> {
    region: &'a Region,
    machine: &'a mut M,
    values: Vec<u64>,
}

impl<M: Machine> Run<'_, M> {
    fn value(&self, v: Value) -> u64 {
        self.values[v.0 as usize]
    }

    /// Runs a block; the next one, or how the region was left.
    fn block(&mut self, id: BlockId) -> Result<BlockId, Left> {
        let region = self.region;
        let block = &region.blocks[id.0 as usize];
        for &v in &block.insts {
            let inst = region.inst(v);
            match self.inst(inst) {
                Ok(value) => self.values[v.0 as usize] = value,
                Err(stop) => return Err(self.leave_at(&region.snaps[inst.snap.0 as usize], stop)),
            }
        }
        let edge = match &block.term {
            Term::Jump(edge) => edge,
            Term::Branch { cond, then, other } => {
                if self.value(*cond) != 0 {
                    then
                } else {
                    other
                }
            }
            Term::Goto { pc, check } => return Err(self.go(*pc, *check)),
            Term::Indirect { target, .. } => return Err(self.go(self.value(*target), true)),
            Term::Trap { pc, code, value } => {
                return Err(Left::trapping(*pc, Trap { code: *code, value: *value }));
            }
            Term::Exit { pc, code } => return Err(Left::with(*pc, *code)),
        };
        // All at once: a parameter may be an argument of the same edge.
        let args: Vec<u64> = edge.args.iter().map(|v| self.value(*v)).collect();
        for (param, arg) in region.blocks[edge.to.0 as usize].params.iter().zip(args) {
            self.values[param.0 as usize] = arg;
        }
        Ok(edge.to)
    }

    fn go(&mut self, pc: u64, check: bool) -> Left {
        let requested = check && self.machine.requested();
        Left::with(pc, if requested { exit::REQUEST } else { exit::LOOKUP })
    }

    /// Leaves in the middle, with the state that the snapshot describes.
    fn leave_at(&mut self, snap: &Snapshot, stop: Stop) -> Left {
        for (reg, v) in &snap.regs {
            self.machine.set(*reg, self.value(*v));
        }
        self.machine.count(snap.retired);
        match stop {
            Stop::Trap(trap) => Left::trapping(snap.pc, trap),
            Stop::Leave(code) => Left::with(snap.pc, code),
        }
    }

    fn inst(&mut self, inst: &Inst) -> Result<u64, Stop> {
        let ty = inst.ty;
        let arg = |n: usize| self.values[inst.args[n].0 as usize];
        let from = |n: usize| self.region.inst(inst.args[n]).result();
        Ok(match inst.op {
            Op::Nop | Op::Mark | Op::Param => 0,
            Op::Const | Op::CodeAddr => inst.imm,
            Op::Get => self.machine.get(RegId(inst.imm as u16)) & ty.mask(),
            Op::Set => {
                let value = arg(0);
                self.machine.set(RegId(inst.imm as u16), value);
                0
            }
            Op::Select => arg(if arg(0) != 0 { 1 } else { 2 }),
            Op::Load => {
                let addr = arg(0);
                self.machine.load(addr, MemOp::unpack(inst.imm), ty)?
            }
            Op::Store => {
                let (addr, value) = (arg(0), arg(1));
                self.machine.store(addr, value, MemOp::unpack(inst.imm))?;
                0
            }
            Op::AtomicRmw => {
                let (addr, operand) = (arg(0), arg(1));
                self.machine.rmw(addr, operand, inst.imm, ty)?
            }
            Op::AtomicCas => {
                let (addr, values) = (arg(0), [arg(1), arg(2)]);
                self.machine.cas(addr, values, MemOp::unpack(inst.imm), ty)?
            }
            Op::Count => {
                self.machine.count(inst.imm);
                0
            }
            Op::Fence => {
                Order::unpack(inst.imm).fence();
                0
            }
            Op::Call => {
                let args = [arg(0), arg(1), arg(2)];
                self.machine.call(HelperId(inst.imm as u16), args)?
            }
            op => {
                let mut raised = 0;
                let value = match (op.effect(), op.arg_count()) {
                    (Effect::Flags, 1) => eval::float1(op, (from(0), ty), inst.imm, arg(0), &mut raised),
                    (Effect::Flags, 2) => eval::float2(op, ty, inst.imm, [arg(0), arg(1)], &mut raised),
                    (Effect::Flags, _) => {
                        let mode = FloatMode::from_bits(inst.imm);
                        fp::fmuladd(ty, [arg(0), arg(1), arg(2)], mode, &mut raised)
                    }
                    (_, 1) => eval::int1(op, from(0), inst.result(), inst.imm, arg(0)),
                    (_, 3) => eval::flags_adc(ty, arg(0), arg(1), arg(2) != 0),
                    _ => eval::int2(op, ty, inst.imm, [arg(0), arg(1)]),
                };
                if raised != 0 {
                    self.machine.raise(raised);
                }
                value
            }
        })
    }
}

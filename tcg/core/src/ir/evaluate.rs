//! Runs a region, instruction by instruction, by `eval.rs`: what generated code has to equal.

use super::{BlockId, Effect, Inst, Op, Region, SnapId, Term, Value};
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
    /// The vector in guest register `reg`.
    fn get_vector(&mut self, reg: RegId) -> u128;
    /// Vector register `reg` becomes `value`.
    fn set_vector(&mut self, reg: RegId, value: u128);
    /// Loads 16 bytes.
    fn load_vector(&mut self, addr: u64, op: MemOp) -> Result<u128, Stop>;
    /// Stores 16 bytes.
    fn store_vector(&mut self, addr: u64, value: u128, op: MemOp) -> Result<(), Stop>;
    /// Loads the lanes of 16 bytes that `mask` has bits of, and of these those bits.
    fn load_lanes(&mut self, addr: u64, mask: u128, op: MemOp) -> Result<u128, Stop>;
    /// Stores the lanes of the first vector whose highest bit the second has.
    fn store_lanes(&mut self, addr: u64, lanes: [u128; 2], op: MemOp) -> Result<(), Stop>;
    /// Calls a guest's vector helper.
    fn call_vector(&mut self, id: HelperId, param: u64, args: [u128; 3]) -> u128;
    /// Whether somebody wants attention.
    fn requested(&mut self) -> bool;
    /// Whether the vCPU's turn has `insns` more instructions.
    fn turn_has(&mut self, insns: u64) -> bool;
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
    /// Scalars are in the low bits.
    values: Vec<u128>,
}

impl<M: Machine> Run<'_, M> {
    fn value(&self, v: Value) -> u64 {
        self.values[v.0 as usize] as u64
    }

    /// Guest register `reg` becomes the value `v`.
    fn set(&mut self, reg: RegId, v: Value) {
        let value = self.values[v.0 as usize];
        if self.region.inst(v).result() == Ty::V128 {
            self.machine.set_vector(reg, value);
        } else {
            self.machine.set(reg, value as u64);
        }
    }

    /// Runs a block; the next one, or how the region was left.
    fn block(&mut self, id: BlockId) -> Result<BlockId, Left> {
        let region = self.region;
        let block = &region.blocks[id.0 as usize];
        for &v in &block.insts {
            let inst = region.inst(v);
            match self.inst(inst) {
                Ok(value) => self.values[v.0 as usize] = value,
                Err(stop) => return Err(self.leave_at(region, inst.snap, stop)),
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
        let args: Vec<u128> = edge.args.iter().map(|v| self.values[v.0 as usize]).collect();
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
    fn leave_at(&mut self, region: &Region, snap: SnapId, stop: Stop) -> Left {
        for (reg, v) in region.outdated(snap) {
            self.set(*reg, *v);
        }
        let snap = &region.snaps[snap.0 as usize];
        self.machine.count(snap.retired);
        match stop {
            Stop::Trap(trap) => Left::trapping(snap.pc, trap),
            Stop::Leave(code) => Left::with(snap.pc, code),
        }
    }

    fn inst(&mut self, inst: &Inst) -> Result<u128, Stop> {
        let wide = |n: usize| self.values[inst.args[n].0 as usize];
        Ok(match inst.op {
            Op::Select => wide(if wide(0) != 0 { 1 } else { 2 }),
            _ if inst.on_lanes() => self.lanes(inst),
            _ if inst.ty == Ty::V128 => self.vector(inst)?,
            Op::Set => {
                self.set(RegId(inst.imm as u16), inst.args[0]);
                0
            }
            _ => self.scalar(inst)?.into(),
        })
    }

    /// An operation on lanes.
    fn lanes(&mut self, inst: &Inst) -> u128 {
        let mut args = [0; 3];
        inst.args().iter().zip(&mut args).for_each(|(v, arg)| *arg = self.values[v.0 as usize]);
        if inst.op == Op::Shuffle {
            args[2] = self.region.vectors[inst.imm as usize];
        }
        let mut raised = 0;
        let value = eval::vector(inst.op, inst.ty, inst.imm, args, &mut raised);
        if raised != 0 {
            self.machine.raise(raised);
        }
        value
    }

    /// Moves of vectors.
    fn vector(&mut self, inst: &Inst) -> Result<u128, Stop> {
        let wide = |n: usize| self.values[inst.args[n].0 as usize];
        let (reg, access) = (RegId(inst.imm as u16), MemOp::unpack(inst.imm));
        Ok(match inst.op {
            Op::Const => self.region.vectors[inst.imm as usize],
            Op::Get => self.machine.get_vector(reg),
            Op::Set => {
                self.set(reg, inst.args[0]);
                0
            }
            Op::Bitcast => wide(0),
            Op::Load => {
                let addr = wide(0) as u64;
                self.machine.load_vector(addr, access)?
            }
            Op::Store => {
                let (addr, value) = (wide(0) as u64, wide(1));
                self.machine.store_vector(addr, value, access)?;
                0
            }
            Op::LoadLanes => {
                let (addr, mask) = (wide(0) as u64, wide(1));
                self.machine.load_lanes(addr, mask, access)?
            }
            Op::StoreLanes => {
                let (addr, lanes) = (wide(0) as u64, [wide(1), wide(2)]);
                self.machine.store_lanes(addr, lanes, access)?;
                0
            }
            Op::CallVector => {
                let args = [wide(0), wide(1), wide(2)];
                self.machine.call_vector(HelperId(inst.imm as u16), inst.imm >> 16, args)
            }
            op => unreachable!("{} moves no vector", op.name()),
        })
    }

    fn scalar(&mut self, inst: &Inst) -> Result<u64, Stop> {
        let ty = inst.ty;
        let arg = |n: usize| self.values[inst.args[n].0 as usize] as u64;
        let from = |n: usize| self.region.inst(inst.args[n]).result();
        Ok(match inst.op {
            // Nobody watches the reference.
            Op::Tally | Op::Observe => 0,
            Op::Nop | Op::Mark | Op::Param => 0,
            Op::Const | Op::CodeAddr => inst.imm,
            Op::Get => self.machine.get(RegId(inst.imm as u16)) & ty.mask(),
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
            Op::Poll if self.machine.requested() => return Err(Stop::Leave(exit::REQUEST)),
            Op::Poll => 0,
            Op::Quota if !self.machine.turn_has(inst.imm) => return Err(Stop::Leave(exit::TURN)),
            Op::Quota => 0,
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
                    (_, 3) => eval::int3(op, ty, [arg(0), arg(1), arg(2)]),
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

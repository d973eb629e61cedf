//! What holds of every region, between any two passes.
//!
//! Operands have the types that the operation takes; each instruction stands in one place; a value is used only where
//! its definition has run, and its block has no higher number than the user's (passes walk blocks in order); edges
//! carry what the block's parameters are; registers, helpers, snapshots and immediates exist.

use super::{Block, BlockId, Class, Dominators, Edge, Imm, Inst, Op, Region, SnapId, Term, Value};
use crate::cpu::{Helper, RegDesc, RegId};
use crate::sem::{Cc, Lane, MemOp, Rm, Rmw, Sha256};
use crate::ty::Ty;

/// A rule that a region breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{block}, {place}: {what}")]
pub struct VerifyError {
    /// The block.
    pub block: BlockId,
    /// The instruction or end, by its name.
    pub place: String,
    /// The rule.
    pub what: String,
}

/// Where a value is defined.
#[derive(Clone, Copy)]
struct Def {
    block: u32,
    /// Position in the block, parameters at 0.
    at: u32,
}

struct Verify<'a> {
    region: &'a Region,
    regs: &'a [RegDesc],
    helpers: &'a [Helper],
    defs: Vec<Option<Def>>,
    dominators: Dominators,
}

/// Checks `region`, made for a guest with these registers and helpers.
pub fn verify(region: &Region, regs: &[RegDesc], helpers: &[Helper]) -> Result<(), VerifyError> {
    let defs = vec![None; region.insts.len()];
    let mut verify = Verify { region, regs, helpers, defs, dominators: Dominators::default() };
    verify.define()?;
    verify.dominators = Dominators::of(region);
    (0..region.blocks.len() as u32).try_for_each(|id| verify.block(BlockId(id)))
}

impl Verify<'_> {
    fn fail<T>(
        &self,
        block: BlockId,
        place: impl ToString,
        what: impl Into<String>,
    ) -> Result<T, VerifyError> {
        Err(VerifyError { block, place: place.to_string(), what: what.into() })
    }

    /// Notes where each value is defined; checks that it is in one place, and that edges lead somewhere.
    fn define(&mut self) -> Result<(), VerifyError> {
        let region = self.region;
        if region.blocks.first().is_none_or(|entry| !entry.params.is_empty()) {
            return self.fail(BlockId(0), "start", "a region has an entry block without parameters");
        }
        for (i, block) in region.blocks.iter().enumerate() {
            let id = BlockId(i as u32);
            let params = block.params.iter().map(|v| (0, *v, true));
            let insts = block.insts.iter().enumerate().map(|(n, v)| (n as u32 + 1, *v, false));
            for (at, v, param) in params.chain(insts) {
                let Some(inst) = region.insts.get(v.0 as usize) else {
                    return self.fail(id, v, "no such instruction");
                };
                if (inst.op == Op::Param) != param {
                    return self.fail(id, v, "parameters, and nothing else, stand in the parameter list");
                }
                if self.defs[v.0 as usize].replace(Def { block: i as u32, at }).is_some() {
                    return self.fail(id, v, "stands in two places");
                }
            }
            if block.term.edges().any(|edge| edge.to.0 as usize >= region.blocks.len()) {
                return self.fail(id, &block.term, "no such block");
            }
        }
        Ok(())
    }

    /// The type of `v` as seen at position `at` of `block`.
    fn value(&self, block: BlockId, at: usize, v: Value, place: &dyn ToString) -> Result<Ty, VerifyError> {
        let Some(Some(def)) = self.defs.get(v.0 as usize) else {
            return self.fail(block, place.to_string(), format!("uses {v}, which stands nowhere"));
        };
        let before = if def.block == block.0 {
            (def.at as usize) < at
        } else {
            def.block < block.0 && self.dominators.on_every_way(BlockId(def.block), block)
        };
        let ty = self.region.inst(v).result();
        if !before {
            return self.fail(block, place.to_string(), format!("uses {v}, which may not have run"));
        }
        if ty == Ty::None {
            return self.fail(block, place.to_string(), format!("uses {v}, which gives no value"));
        }
        Ok(ty)
    }

    fn block(&self, id: BlockId) -> Result<(), VerifyError> {
        let block = &self.region.blocks[id.0 as usize];
        for v in &block.params {
            if !Class::Any.contains(self.region.inst(*v).ty) {
                return self.fail(id, v, "a parameter has the type of a value");
            }
        }
        for (i, &v) in block.insts.iter().enumerate() {
            self.inst(id, i + 1, v)?;
        }
        self.term(id, block)
    }

    fn inst(&self, id: BlockId, at: usize, v: Value) -> Result<(), VerifyError> {
        let inst = self.region.inst(v);
        let shape = inst.op.shape();
        let place = format!("{v} ({})", inst.op.name());
        if !shape.ty.contains(inst.ty) {
            return self.fail(id, place, format!("cannot have type {}", inst.ty.name()));
        }
        for (arg, want) in inst.args().iter().zip(shape.args) {
            let ty = self.value(id, at, *arg, &place)?;
            if !want.accepts(inst.ty, ty) {
                return self.fail(id, place, format!("{arg} is {}, not what it takes", ty.name()));
            }
        }
        if let Err(what) = self.imm(inst, shape.imm) {
            return self.fail(id, place, what);
        }
        if !inst.op.has_snapshot() {
            return Ok(());
        }
        self.snapshot(id, at, inst.snap, &place)
    }

    fn imm(&self, inst: &Inst, imm: Imm) -> Result<(), String> {
        let value = inst.imm;
        let holds = match imm {
            Imm::None => value == 0,
            Imm::Const if inst.ty == Ty::V128 => (value as usize) < self.region.vectors.len(),
            Imm::Const => value & !inst.ty.mask() == 0,
            Imm::Reg => {
                let reg = RegId(value as u16);
                let known = self.regs.get(value as usize).is_some();
                return if known { self.reg(reg, inst.ty) } else { Err(format!("no register {value}")) };
            }
            Imm::Bits => matches!(value, 8 | 16 | 32) && value <= u64::from(inst.ty.bits()),
            Imm::Mem => value >> MemOp::PACKED_BITS == 0 && fits(inst, MemOp::unpack(value)),
            Imm::LaneMem => {
                let op = MemOp::unpack(value);
                op.pack() == value && op.size <= 3 && !op.signed
            }
            Imm::Rmw => {
                let kind = value >> MemOp::PACKED_BITS;
                kind < Rmw::ALL.len() as u64 && fits(inst, MemOp::unpack(value))
            }
            Imm::Order => value >> 4 == 0,
            Imm::Insns => value > 0 && value <= i32::MAX as u64,
            Imm::Counter => (value as u32 as usize) < crate::observe::SLOTS && value >> 32 <= i32::MAX as u64,
            Imm::Event => true,
            Imm::Helper => self.helpers.get(value as usize).is_some_and(|h| !h.vectors),
            Imm::Index => value < inst.ty.lanes().into(),
            Imm::Lane => extracts(inst.ty, value),
            Imm::Vector => (value as usize) < self.region.vectors.len(),
            Imm::Widen | Imm::Narrow | Imm::Halves | Imm::Aes => value < 4,
            Imm::Sha256 => (value as usize) < Sha256::ALL.len(),
            Imm::VectorHelper => self.helpers.get((value & 0xffff) as usize).is_some_and(|h| h.vectors),
            Imm::Cond => value < Cc::NAMES.len() as u64,
            _ => {
                let words = imm.words().iter().fold(0, |all, (_, bit)| all | bit);
                let rest = value & !words;
                match imm {
                    Imm::CondFloat => rest & 0xff == 0 && rest >> 8 < Cc::NAMES.len() as u64,
                    _ if imm.rounds() => Rm::from_bits(rest).is_some(),
                    _ => rest == 0,
                }
            }
        };
        if holds { Ok(()) } else { Err(format!("the immediate {value:#x} is out of range")) }
    }

    /// Whether a value of type `ty` can be in register `reg`.
    fn reg(&self, reg: RegId, ty: Ty) -> Result<(), String> {
        let Some(desc) = self.regs.get(reg.0 as usize) else { return Err(format!("no register {}", reg.0)) };
        if Class::Plain.contains(ty) && ty.bits() == desc.ty.bits() {
            return Ok(());
        }
        Err(format!("{} is {}, not {}", desc.name, desc.ty.name(), ty.name()))
    }

    fn snapshot(&self, id: BlockId, at: usize, snap: SnapId, place: &str) -> Result<(), VerifyError> {
        if snap.0 as usize >= self.region.snaps.len() {
            return self.fail(id, place, "has no snapshot");
        }
        let regs = self.region.outdated(snap);
        if self.region.snaps[snap.0 as usize].retired > i32::MAX as u64 {
            return self.fail(id, place, "too many instructions retired");
        }
        for (i, (reg, v)) in regs.iter().enumerate() {
            let ty = self.value(id, at, *v, &place)?;
            if let Err(what) = self.reg(*reg, ty) {
                return self.fail(id, place, format!("in the snapshot, {what}"));
            }
            if regs[..i].iter().any(|(other, _)| other == reg) {
                return self.fail(id, place, "a register is twice in the snapshot");
            }
        }
        Ok(())
    }

    fn term(&self, id: BlockId, block: &Block) -> Result<(), VerifyError> {
        let at = block.insts.len() + 1;
        let wanted = match &block.term {
            Term::Branch { cond, .. } => Some((*cond, Ty::Bool)),
            Term::Indirect { target, .. } => Some((*target, Ty::I64)),
            Term::Jump(_) | Term::Goto { .. } | Term::Trap { .. } | Term::Exit { .. } => None,
        };
        if let Some((v, ty)) = wanted {
            let found = self.value(id, at, v, &block.term)?;
            if found != ty {
                return self.fail(id, &block.term, format!("{v} is {}, not {}", found.name(), ty.name()));
            }
        }
        block.term.edges().try_for_each(|edge| self.edge(id, at, edge))
    }

    fn edge(&self, id: BlockId, at: usize, edge: &Edge) -> Result<(), VerifyError> {
        let params = &self.region.blocks[edge.to.0 as usize].params;
        if params.len() != edge.args.len() {
            return self.fail(id, edge, format!("{} has {} parameters", edge.to, params.len()));
        }
        for (arg, param) in edge.args.iter().zip(params) {
            let (found, want) = (self.value(id, at, *arg, edge)?, self.region.inst(*param).ty);
            if found != want {
                return self.fail(id, edge, format!("{arg} is {}, {param} is {}", found.name(), want.name()));
            }
        }
        Ok(())
    }
}

/// Whether `imm` names a lane that can become a scalar of type `ty`.
fn extracts(ty: Ty, imm: u64) -> bool {
    let lane = Lane::unpack(imm);
    let bits = 8 << lane.size;
    let fits = if ty.is_float() { bits == ty.bits() && !lane.signed } else { bits <= ty.bits() };
    lane.pack() == imm && fits && u32::from(lane.index) * bits < 128
}

/// Whether the access `op` goes with the type of `inst`.
fn fits(inst: &Inst, op: MemOp) -> bool {
    let bits = 8u32.checked_shl(op.size.into()).unwrap_or(0);
    let whole = bits == inst.ty.bits();
    match inst.op {
        _ if inst.ty.in_float_register() => whole && !op.signed,
        Op::Store => !op.signed && bits <= inst.ty.bits(),
        _ => bits <= inst.ty.bits(),
    }
}

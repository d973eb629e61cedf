//! Vectors of which loops use the lowest lane travel as that lane and the rest.
//!
//! An operation on scalars writes a vector register of some guests: the lowest lane, with zeros above. Where such registers
//! come round a loop, the lane is what is used, and hardly anybody asks for the vector: snapshots and ways out. So a parameter
//! that nobody else asks becomes two, the lane and a vector with the rest, which mostly is always zero and goes; the whole is
//! made of both ([`Op::Insert`]), and if only snapshots name it not even that: whoever leaves there makes it.

use super::flow::predecessors;
use super::params::keep;
use crate::ir::{BlockId, Inst, Op, Region, SnapId, Value};
use crate::sem::Lane;
use crate::ty::Ty;

/// Gives edges the lowest lane and the rest in the place of vectors.
pub fn carry_lowest(region: &mut Region) {
    let count = region.insts.len();
    let mut pass = Pass { asked: vec![false; count], lanes: vec![None; count], given: Vec::new(), region };
    pass.look();
    if pass.given.is_empty() {
        return;
    }
    pass.choose();
    let pairs = pass.add_params();
    pass.edges(&pairs);
    pass.replace(&pairs);
}

/// The vector that `v` puts a lane into, and what it puts into the lowest: a word or a doubleword.
pub fn lowest(region: &Region, v: Value) -> Option<(Value, Value)> {
    let inst = region.inst(v);
    let [rest, low, _] = inst.args;
    let fits = inst.op == Op::Insert && inst.imm == 0 && inst.ty.lane_bits() >= 32;
    (fits && region.inst(low).result().bits() == inst.ty.lane_bits()).then_some((rest, low))
}

/// A parameter, and what it becomes.
struct Pair {
    block: BlockId,
    vector: Value,
    low: Value,
    rest: Value,
    whole: Value,
}

/// What an edge gives a parameter that is a vector.
struct Given {
    param: Value,
    arg: Value,
    /// On the way into a loop.
    enters: bool,
}

struct Pass<'a> {
    region: &'a mut Region,
    /// By something that wants more than the lowest lane and is neither a snapshot nor a way out.
    asked: Vec<bool>,
    /// The type that the lowest lane of a value has.
    lanes: Vec<Option<Ty>>,
    given: Vec<Given>,
}

impl Pass<'_> {
    /// Finds what vectors are given to parameters and who asks for vectors.
    fn look(&mut self) {
        let region = &*self.region;
        let preds = predecessors(region);
        for (n, block) in region.blocks.iter().enumerate() {
            for edge in block.term.edges() {
                let to = edge.to.0 as usize;
                let enters = n < to && preds[to].iter().any(|pred| pred.0 as usize >= to);
                let params = region.blocks[to].params.iter().zip(&edge.args);
                let vectors = params.filter(|(param, _)| region.inst(**param).ty == Ty::V128);
                self.given.extend(vectors.map(|(param, arg)| Given { param: *param, arg: *arg, enters }));
            }
            for &v in &block.insts {
                let inst = region.inst(v);
                match inst.op {
                    Op::Set => {}
                    Op::Extract if is_lowest(inst) => {
                        let lane = self.lanes[inst.args[0].0 as usize].get_or_insert(inst.ty);
                        self.asked[inst.args[0].0 as usize] |= lane.bits() != inst.ty.bits();
                    }
                    _ => inst.args().iter().for_each(|arg| self.asked[arg.0 as usize] = true),
                }
            }
        }
    }

    /// Chooses the parameters that are given lanes put into vectors, and that nobody asks for more: all others count as asked.
    fn choose(&mut self) {
        let mut reached = vec![false; self.region.insts.len()];
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for Given { param, arg, .. } in &self.given {
                let lane = match lowest(self.region, *arg) {
                    Some((_, low)) => Some(self.region.inst(low).result()),
                    None if reached[arg.0 as usize] => self.lanes[arg.0 as usize],
                    None => None,
                };
                if let Some(lane) = lane {
                    changed |= !std::mem::replace(&mut reached[param.0 as usize], true);
                    self.lanes[param.0 as usize].get_or_insert(lane);
                }
            }
        }
        for Given { param, .. } in &self.given {
            self.asked[param.0 as usize] |= !reached[param.0 as usize];
        }
        changed = true;
        while std::mem::take(&mut changed) {
            for Given { param, arg, enters } in &self.given {
                let is_param = self.region.inst(*arg).op == Op::Param;
                if self.asked[param.0 as usize] {
                    changed |= is_param && !std::mem::replace(&mut self.asked[arg.0 as usize], true);
                    continue;
                }
                let bits = |v: Value| self.lanes[v.0 as usize].map(Ty::bits);
                let fits = match lowest(self.region, *arg) {
                    Some((_, low)) => bits(*param) == Some(self.region.inst(low).result().bits()),
                    None if is_param && !self.asked[arg.0 as usize] => bits(*param) == bits(*arg),
                    None => *enters || self.region.constant_vector(*arg).is_some(),
                };
                changed |= !fits;
                self.asked[param.0 as usize] = !fits;
            }
        }
    }

    /// Adds the parameters, and the vectors that they make.
    fn add_params(&mut self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for n in 0..self.region.blocks.len() {
            let block = BlockId(n as u32);
            for vector in self.region.blocks[n].params.clone() {
                let is_vector = self.region.inst(vector).ty == Ty::V128;
                let lane =
                    self.lanes[vector.0 as usize].filter(|_| is_vector && !self.asked[vector.0 as usize]);
                let Some(lane) = lane else { continue };
                let [low, rest] = [lane, Ty::V128].map(|ty| self.region.add_param(block, ty));
                let whole = self.region.add(inst(Op::Insert, lanes_of(lane), [rest, low, Value::NONE]));
                self.region.blocks[n].insts.insert(0, whole);
                pairs.push(Pair { block, vector, low, rest, whole });
            }
        }
        pairs
    }

    /// Gives the parameters what they are made of.
    fn edges(&mut self, pairs: &[Pair]) {
        for pair in pairs {
            for (from, nth, arg) in self.region.given_by_edges(pair.block, pair.vector) {
                let parts = self.parts(arg, self.region.inst(pair.low).ty, from.0 as usize, pairs);
                self.region.add_args(from, nth, parts);
            }
        }
    }

    /// The lowest lane of the vector `v` as a value of type `ty`, and the rest, at the end of block `n`.
    fn parts(&mut self, v: Value, ty: Ty, n: usize, pairs: &[Pair]) -> [Value; 2] {
        if let Some(pair) = pairs.iter().find(|pair| pair.vector == v) {
            return [self.cast(pair.low, ty, n), pair.rest];
        }
        if let Some((rest, low)) = lowest(self.region, v) {
            let rest = match self.region.constant_vector(rest) {
                Some(value) => self.constant(Ty::V128, value),
                None => rest,
            };
            return [self.cast(low, ty, n), rest];
        }
        if let Some(value) = self.region.constant_vector(v) {
            let mask = u128::from(ty.mask());
            return [self.constant(ty, value & mask), self.constant(Ty::V128, value & !mask)];
        }
        let lane = Lane::new(if ty.bits() == 64 { 3 } else { 2 }, 0).pack();
        let extract = Inst { imm: lane, ..inst(Op::Extract, ty, [v, Value::NONE, Value::NONE]) };
        [self.region.push(BlockId(n as u32), extract), v]
    }

    fn cast(&mut self, v: Value, ty: Ty, n: usize) -> Value {
        if self.region.inst(v).result() == ty {
            return v;
        }
        self.region.push(BlockId(n as u32), inst(Op::Bitcast, ty, [v, Value::NONE, Value::NONE]))
    }

    fn constant(&mut self, ty: Ty, value: u128) -> Value {
        let imm = if ty == Ty::V128 { self.region.vector(value) } else { value as u64 };
        self.region.constant_in_entry(ty, imm)
    }

    /// Puts what the parameters have become in their place.
    fn replace(&mut self, pairs: &[Pair]) {
        let whole = |v: Value| pairs.iter().find(|pair| pair.vector == v).map_or(v, |pair| pair.whole);
        for inst in &mut self.region.insts {
            let count = inst.op.arg_count();
            inst.args[..count].iter_mut().for_each(|arg| *arg = whole(*arg));
        }
        self.region.saved_mut().iter_mut().for_each(|(_, v)| *v = whole(*v));
        for n in 0..self.region.blocks.len() {
            let params = &self.region.blocks[n].params;
            let kept: Vec<bool> = params.iter().map(|param| whole(*param) == *param).collect();
            keep(self.region, BlockId(n as u32), &kept);
        }
    }
}

/// Whether `inst` takes the lowest word or doubleword out of a vector, and all of it.
fn is_lowest(inst: &Inst) -> bool {
    let lane = Lane::unpack(inst.imm);
    lane.index == 0 && 8 << lane.size == inst.ty.bits()
}

/// The lanes of a vector whose lowest has type `ty`.
fn lanes_of(ty: Ty) -> Ty {
    match ty {
        Ty::F32 => Ty::F32x4,
        Ty::F64 => Ty::F64x2,
        Ty::I32 => Ty::I32x4,
        _ => Ty::I64x2,
    }
}

fn inst(op: Op, ty: Ty, args: [Value; 3]) -> Inst {
    Inst { op, ty, args, imm: 0, snap: SnapId::NONE }
}

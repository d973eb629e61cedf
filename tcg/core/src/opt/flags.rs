//! Flags travel as what they are made of.
//!
//! Code of a guest with flags makes them all the time, and hardly anybody asks: a condition on flags just made is a comparison of
//! its own by then. What is left are snapshots, ways out of the region, and the loops that carry flags to these. So a
//! parameter that nobody else asks becomes three, [`Op::FlagsOf`] of which it is, and a way out makes its flags itself.
//! Flags that only snapshots name are not made at all: they know of what, and whoever leaves there makes them.

use super::params::keep;
use crate::ir::{BlockId, Dominators, Inst, Op, Region, SnapId, Value};
use crate::sem::FlagsKind;
use crate::ty::Ty;

/// Gives edges and ways out the operands of flags in the place of flags.
pub fn carry_operands(region: &mut Region) {
    let count = region.insts.len();
    let mut pass =
        Pass { made: vec![None; count], asked: vec![false; count], carried: vec![false; count], region };
    if pass.look() {
        pass.choose();
        let mut triples = pass.add_params();
        pass.find_kinds(&mut triples);
        pass.ways_out(&triples);
        pass.edges(&triples);
        pass.fill(&triples);
        pass.remove(&triples);
    }
}

/// A parameter of flags, and the three that it becomes.
struct Triple {
    block: BlockId,
    flags: Value,
    parts: [Value; 3],
    /// The kinds that it may be of, as bits.
    kinds: u32,
}

struct Pass<'a> {
    region: &'a mut Region,
    /// The block where each value is made, if it is flags.
    made: Vec<Option<usize>>,
    /// By something that is neither a snapshot nor a way out.
    asked: Vec<bool>,
    /// Parameters that are to become three.
    carried: Vec<bool>,
}

impl Pass<'_> {
    /// Finds where flags are made and who asks for values; whether there are flags at all.
    fn look(&mut self) -> bool {
        let mut any = false;
        for (n, block) in self.region.blocks.iter().enumerate() {
            let leaves = block.term.edges().next().is_none();
            for &v in &block.insts {
                let inst = self.region.inst(v);
                if FlagsKind::of(inst.op, inst.ty).is_some() {
                    self.made[v.0 as usize] = Some(n);
                    any = true;
                }
                if !(leaves && inst.op == Op::Set) {
                    inst.args().iter().for_each(|arg| self.asked[arg.0 as usize] = true);
                }
            }
        }
        any
    }

    /// Chooses the parameters that carry flags which nobody asks for.
    fn choose(&mut self) {
        let (region, asked) = (&*self.region, &mut self.asked);
        let is_word = |param: Value| region.inst(param).ty == Ty::I32;
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for (param, arg) in region.given() {
                let asks = !is_word(param) || asked[param.0 as usize];
                let is_param = region.inst(arg).op == Op::Param;
                changed |= asks && is_param && !std::mem::replace(&mut asked[arg.0 as usize], true);
            }
        }
        changed = true;
        while std::mem::take(&mut changed) {
            for (param, arg) in region.given() {
                let flags = self.made[arg.0 as usize].is_some() || self.carried[arg.0 as usize];
                if flags && is_word(param) && !asked[param.0 as usize] {
                    changed |= !std::mem::replace(&mut self.carried[param.0 as usize], true);
                }
            }
        }
        for (param, arg) in region.given() {
            asked[arg.0 as usize] |= !self.carried[param.0 as usize];
        }
    }

    /// Adds the parameters, and the flags that snapshots name.
    fn add_params(&mut self) -> Vec<Triple> {
        let mut triples = Vec::new();
        let mut wholes = vec![Value::NONE; self.region.insts.len()];
        for n in 0..self.region.blocks.len() {
            let block = BlockId(n as u32);
            for flags in self.region.blocks[n].params.clone() {
                if !self.carried[flags.0 as usize] {
                    continue;
                }
                let parts = [Ty::I64, Ty::I64, Ty::I32].map(|ty| self.region.add_param(block, ty));
                let whole = self.region.add(inst(Op::FlagsOf, Ty::I64, parts));
                self.region.blocks[n].insts.insert(0, whole);
                wholes[flags.0 as usize] = whole;
                triples.push(Triple { block, flags, parts, kinds: 0 });
            }
        }
        for (_, v) in self.region.saved_mut() {
            let whole = wholes.get(v.0 as usize).copied().unwrap_or(Value::NONE);
            *v = if whole == Value::NONE { *v } else { whole };
        }
        triples
    }

    /// Finds the kinds of each of `triples`.
    fn find_kinds(&self, triples: &mut [Triple]) {
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for (param, arg) in self.region.given() {
                let Some(to) = triples.iter().position(|triple| triple.flags == param) else { continue };
                let more = match triples.iter().find(|triple| triple.flags == arg) {
                    Some(from) => from.kinds,
                    None => 1 << self.kind(arg) as u32,
                };
                changed |= more & !triples[to].kinds != 0;
                triples[to].kinds |= more;
            }
        }
    }

    /// What kind of flags the instruction `v` gives.
    fn kind(&self, v: Value) -> FlagsKind {
        let inst = self.region.inst(v);
        FlagsKind::of(inst.op, inst.ty).unwrap_or(FlagsKind::Packed)
    }

    /// Makes flags where they are written to the state on the way out, and not before.
    fn ways_out(&mut self, triples: &[Triple]) {
        for n in 0..self.region.blocks.len() {
            if self.region.blocks[n].term.edges().next().is_some() {
                continue;
            }
            let mut out = Vec::new();
            for v in std::mem::take(&mut self.region.blocks[n].insts) {
                let set = *self.region.inst(v);
                if set.op == Op::Set
                    && let Some(flags) = self.flags_for(set.args[0], n, triples, &mut out)
                {
                    self.region.inst_mut(v).args[0] = flags;
                }
                out.push(v);
            }
            self.region.blocks[n].insts = out;
        }
    }

    /// Makes the flags `v` in block `n`, if they are made in another or are carried; adds what that takes to `out`.
    fn flags_for(&mut self, v: Value, n: usize, triples: &[Triple], out: &mut Vec<Value>) -> Option<Value> {
        if let Some(triple) = triples.iter().find(|triple| triple.flags == v) {
            return Some(self.flags_of(triple, out));
        }
        let made = (*self.made.get(v.0 as usize)?)?;
        let again = (made != n && !self.asked[v.0 as usize]).then(|| *self.region.inst(v))?;
        Some(self.put(again, out))
    }

    /// Chooses among flags of all kinds that those of `triple` may be of.
    fn flags_of(&mut self, triple: &Triple, out: &mut Vec<Value>) -> Value {
        let [.., kind] = triple.parts;
        let mut flags = None;
        for bits in (0..32).rev().filter(|bit| triple.kinds >> bit & 1 != 0) {
            let known = self.flags_of_kind(triple, FlagsKind::from_bits(bits), out);
            flags = Some(match flags {
                None => known,
                Some(others) => {
                    let bits = self.region.constant_in_entry(Ty::I32, bits);
                    let is = self.put(inst(Op::Eq, Ty::I32, [kind, bits, Value::NONE]), out);
                    self.put(inst(Op::Select, Ty::I32, [is, known, others]), out)
                }
            });
        }
        flags.expect("flags are given on every edge")
    }

    fn flags_of_kind(&mut self, triple: &Triple, kind: FlagsKind, out: &mut Vec<Value>) -> Value {
        let [a, b, _] = triple.parts;
        let low = |a| inst(Op::Trunc, Ty::I32, [a, Value::NONE, Value::NONE]);
        let Some((op, ty)) = kind.made_by() else { return self.put(low(a), out) };
        let [a, b] = [a, b].map(|v| if ty == Ty::I64 { v } else { self.put(low(v), out) });
        let b = if op.arg_count() == 2 { b } else { Value::NONE };
        self.put(inst(op, ty, [a, b, Value::NONE]), out)
    }

    fn put(&mut self, inst: Inst, out: &mut Vec<Value>) -> Value {
        let v = self.region.add(inst);
        out.push(v);
        v
    }

    /// Gives the parameters what they are made of.
    fn edges(&mut self, triples: &[Triple]) {
        for triple in triples {
            for (from, nth, arg) in self.region.given_by_edges(triple.block, triple.flags) {
                let parts = self.parts(arg, from.0 as usize, triples);
                self.region.add_args(from, nth, parts);
            }
        }
    }

    /// What the flags `arg` are made of, at the end of block `n`.
    fn parts(&mut self, arg: Value, n: usize, triples: &[Triple]) -> [Value; 3] {
        if let Some(triple) = triples.iter().find(|triple| triple.flags == arg) {
            return triple.parts;
        }
        let (kind, args) = match self.kind(arg) {
            FlagsKind::Packed => (FlagsKind::Packed, [arg, Value::NONE, Value::NONE]),
            kind => (kind, self.region.inst(arg).args),
        };
        let kind = self.region.constant_in_entry(Ty::I32, kind as u64);
        let second = if args[1] == Value::NONE { args[1] } else { self.wide(args[1], n) };
        [self.wide(args[0], n), second, kind]
    }

    /// Flags of one value are given any second one: that of all others, if it is there on every way.
    fn fill(&mut self, triples: &[Triple]) {
        let dominators = Dominators::of(self.region);
        let zero = self.region.constant_in_entry(Ty::I64, 0);
        for Triple { block, parts: [_, second, _], .. } in triples {
            let only = only_other(self.region, *block, *second, &dominators);
            let at = self.region.blocks[block.0 as usize].params.iter().position(|param| param == second);
            let at = at.expect("it is a parameter of that block");
            let any = only.unwrap_or(zero);
            let edges = self.region.blocks.iter_mut().flat_map(|block| block.term.edges_mut());
            let args = edges.filter(|edge| edge.to == *block).map(|edge| &mut edge.args[at]);
            args.filter(|arg| **arg == Value::NONE).for_each(|arg| *arg = any);
        }
    }

    /// A value with the bits of `v`, and any above them.
    fn wide(&mut self, v: Value, n: usize) -> Value {
        let made = *self.region.inst(v);
        match (made.op, made.result()) {
            (_, Ty::I64) => v,
            (Op::Trunc, _) => made.args[0],
            (Op::Const, _) => self.region.constant_in_entry(Ty::I64, made.imm),
            _ => {
                let wide = self.region.add(inst(Op::Zext, Ty::I64, [v, Value::NONE, Value::NONE]));
                self.region.blocks[n].insts.push(wide);
                wide
            }
        }
    }

    /// Removes the parameters that have become others.
    fn remove(&mut self, triples: &[Triple]) {
        for n in 0..self.region.blocks.len() {
            let params = &self.region.blocks[n].params;
            let kept: Vec<bool> =
                params.iter().map(|param| triples.iter().all(|triple| triple.flags != *param)).collect();
            keep(self.region, BlockId(n as u32), &kept);
        }
    }
}

/// The one value that parameter `param` of `block` is given, besides itself and nothing, if it is there on every way.
fn only_other(region: &Region, block: BlockId, param: Value, dominators: &Dominators) -> Option<Value> {
    let args = region.given().filter(|(to, arg)| *to == param && *arg != param && *arg != Value::NONE);
    let mut args = args.map(|(_, arg)| arg);
    let only = args.next()?;
    let home = region.home(only)?;
    let before = home != block && dominators.on_every_way(home, block);
    (before && args.all(|arg| arg == only)).then_some(only)
}

fn inst(op: Op, ty: Ty, args: [Value; 3]) -> Inst {
    Inst { op, ty, args, imm: 0, snap: SnapId::NONE }
}

//! Removal of instructions and parameters whose value nobody uses.

use super::params::keep;
use crate::ir::{BlockId, Effect, Op, Region, SnapId, Term, Value};

/// Lists that are used again for each region.
#[derive(Default)]
pub struct Scratch {
    used: Vec<bool>,
    /// Needed, but what it needs is not marked yet.
    open: Vec<Value>,
}

/// Drops dead instructions and parameters. What touches memory, raises float flags or sets a register stays.
pub fn remove_dead(region: &mut Region, scratch: &mut Scratch) {
    let params = region.blocks.iter().any(|block| !block.params.is_empty());
    Marks::mark_all(region, scratch, params);
    let used = &scratch.used;
    if params {
        remove_params(region, used);
    }
    let insts = &region.insts;
    for block in &mut region.blocks {
        block.insts.retain(|v| used[v.0 as usize] || !removable(insts[v.0 as usize].op));
    }
}

fn remove_params(region: &mut Region, used: &[bool]) {
    for n in 0..region.blocks.len() {
        let kept: Vec<bool> = region.blocks[n].params.iter().map(|v| used[v.0 as usize]).collect();
        keep(region, BlockId(n as u32), &kept);
    }
}

fn removable(op: Op) -> bool {
    match op.effect() {
        Effect::Pure | Effect::Mark => true,
        Effect::State => op == Op::Get,
        Effect::Flags | Effect::Memory => false,
    }
}

/// What is needed: by what has an effect, and by what is needed.
struct Marks<'a> {
    region: &'a Region,
    s: &'a mut Scratch,
    /// Arguments of each parameter; empty where there are no parameters.
    args: Vec<Vec<Value>>,
}

impl<'a> Marks<'a> {
    fn mark_all(region: &'a Region, s: &'a mut Scratch, params: bool) {
        let count = region.insts.len();
        s.used.clear();
        s.used.resize(count, false);
        let mut marks = Self { region, s, args: Vec::new() };
        if params {
            marks.args = vec![Vec::new(); count];
            region.given().for_each(|(param, arg)| marks.args[param.0 as usize].push(arg));
        }
        // Uses come before definitions this way, so little stays open.
        for block in region.blocks.iter().rev() {
            match &block.term {
                Term::Branch { cond, .. } => marks.mark(*cond),
                Term::Indirect { target, .. } => marks.mark(*target),
                _ => {}
            }
            for &v in block.insts.iter().rev() {
                if !removable(region.inst(v).op) {
                    marks.operands(v);
                }
            }
        }
        while let Some(v) = marks.s.open.pop() {
            marks.operands(v);
        }
    }

    fn mark(&mut self, v: Value) {
        if !std::mem::replace(&mut self.s.used[v.0 as usize], true) {
            self.s.open.push(v);
        }
    }

    /// Marks what `v` needs.
    fn operands(&mut self, v: Value) {
        let region = self.region;
        let inst = region.inst(v);
        inst.args().iter().for_each(|arg| self.mark(*arg));
        if inst.op == Op::Param {
            std::mem::take(&mut self.args[v.0 as usize]).into_iter().for_each(|arg| self.mark(arg));
        }
        if inst.snap != SnapId::NONE && inst.op != Op::Mark {
            region.outdated(inst.snap).iter().for_each(|(_, value)| self.mark(*value));
        }
    }
}

//! Removal of instructions whose value nobody uses.

use crate::ir::{Effect, Op, Region, Term, Value};

/// Drops dead instructions from every block. What touches memory, raises float flags or sets a register stays.
pub fn remove_dead(region: &mut Region) {
    let mut used = vec![false; region.insts.len()];
    for snap in &region.snaps {
        for (_, value) in &snap.regs {
            used[value.0 as usize] = true;
        }
    }
    for block in &region.blocks {
        let mut mark = |v: Value| used[v.0 as usize] = true;
        match &block.term {
            Term::Branch { cond, .. } => mark(*cond),
            Term::Indirect { target, .. } => mark(*target),
            _ => {}
        }
        block.term.edges().flat_map(|e| &e.args).for_each(|v| mark(*v));
    }
    // A use stands after its definition in block order, except through parameters, which were marked above.
    for block in region.blocks.iter_mut().rev() {
        let insts = &region.insts;
        let mut kept = Vec::with_capacity(block.insts.len());
        for &v in block.insts.iter().rev() {
            let inst = &insts[v.0 as usize];
            let removable = match inst.op.effect() {
                Effect::Pure | Effect::Mark => true,
                Effect::State => inst.op == Op::Get,
                Effect::Flags | Effect::Memory => false,
            };
            if removable && !used[v.0 as usize] {
                continue;
            }
            inst.args().iter().for_each(|a| used[a.0 as usize] = true);
            kept.push(v);
        }
        kept.reverse();
        block.insts = kept;
    }
}

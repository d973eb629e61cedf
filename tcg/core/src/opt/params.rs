//! Removal of block parameters that are always the same value.
//!
//! A parameter that every edge gives either itself or one other value is that value: a register that a loop reads and
//! does not change, say. From: Braun and others, Simple and Efficient Construction of Static Single Assignment Form, 3.1.

use super::flow::predecessors;
use crate::ir::{BlockId, Region, Term, Value};

/// Removes needless parameters, and puts the values that they are in their place.
pub fn remove_needless(region: &mut Region) {
    let mut same_as: Vec<Value> = (0..region.insts.len() as u32).map(Value).collect();
    let preds = predecessors(region);
    while round(region, &preds, &mut same_as) {}
    replace(region, &same_as);
}

/// Leaves one of parameters of a block that every edge gives the same.
pub fn remove_twins(region: &mut Region) {
    let mut same_as: Vec<Value> = (0..region.insts.len() as u32).map(Value).collect();
    for n in 0..region.blocks.len() {
        let params = region.blocks[n].params.clone();
        let edges =
            || region.blocks.iter().flat_map(|block| block.term.edges()).filter(|e| e.to.0 as usize == n);
        let args: Vec<&[Value]> = edges().map(|edge| &edge.args[..]).collect();
        let twins = |i: usize, j: usize| {
            let own = |args: &[Value]| args[i] == params[i] && args[j] == params[j];
            args.iter().all(|args| args[i] == args[j] || own(args))
        };
        let twin = |i: usize| (0..i).find(|j| twins(*j, i));
        let found: Vec<_> = (0..params.len()).map(twin).collect();
        let kept: Vec<bool> = found.iter().map(Option::is_none).collect();
        for (param, twin) in params.iter().zip(&found) {
            if let Some(twin) = twin {
                same_as[param.0 as usize] = params[*twin];
            }
        }
        keep(region, BlockId(n as u32), &kept);
    }
    replace(region, &same_as);
}

/// Keeps the parameters of block `id` that `kept` says, and what edges give them.
pub fn keep(region: &mut Region, id: BlockId, kept: &[bool]) {
    if kept.iter().all(|kept| *kept) {
        return;
    }
    retain(&mut region.blocks[id.0 as usize].params, kept);
    let edges = region.blocks.iter_mut().flat_map(|block| block.term.edges_mut());
    edges.filter(|edge| edge.to == id).for_each(|edge| retain(&mut edge.args, kept));
}

fn resolve(same_as: &[Value], mut v: Value) -> Value {
    while same_as[v.0 as usize] != v {
        v = same_as[v.0 as usize];
    }
    v
}

/// Looks at every parameter once; true if one went.
fn round(region: &mut Region, preds: &[Vec<BlockId>], same_as: &mut [Value]) -> bool {
    let mut changed = false;
    for (n, preds) in preds.iter().enumerate() {
        let params = &region.blocks[n].params;
        let mut kept = vec![true; params.len()];
        for (i, param) in params.iter().enumerate() {
            let mut only = None;
            let edges = preds.iter().flat_map(|pred| region.blocks[pred.0 as usize].term.edges());
            let args =
                edges.filter(|edge| edge.to.0 as usize == n).map(|edge| resolve(same_as, edge.args[i]));
            let one = args.filter(|arg| arg != param).all(|arg| *only.get_or_insert(arg) == arg);
            if let (true, Some(value)) = (one, only) {
                same_as[param.0 as usize] = value;
                kept[i] = false;
            }
        }
        if kept.iter().all(|kept| *kept) {
            continue;
        }
        changed = true;
        retain(&mut region.blocks[n].params, &kept);
        let mut froms = preds.clone();
        froms.dedup();
        for from in froms {
            let edges = region.blocks[from.0 as usize].term.edges_mut();
            edges.filter(|e| e.to.0 as usize == n).for_each(|e| retain(&mut e.args, &kept));
        }
    }
    changed
}

/// Keeps the elements of `list` that `kept` says.
fn retain(list: &mut Vec<Value>, kept: &[bool]) {
    let mut kept = kept.iter();
    list.retain(|_| *kept.next().expect("one for each element"));
}

/// Puts the values that they are in the place of all operands.
fn replace(region: &mut Region, same_as: &[Value]) {
    let put = |v: &mut Value| *v = resolve(same_as, *v);
    for inst in &mut region.insts {
        let count = inst.op.arg_count();
        inst.args[..count].iter_mut().for_each(put);
    }
    region.saved_mut().iter_mut().for_each(|(_, v)| put(v));
    for block in &mut region.blocks {
        match &mut block.term {
            Term::Branch { cond, .. } => put(cond),
            Term::Indirect { target, .. } => put(target),
            _ => {}
        }
        block.term.edges_mut().flat_map(|edge| &mut edge.args).for_each(put);
    }
}

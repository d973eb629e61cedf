//! Singles that loops find in registers of doubles travel as singles too.
//!
//! What comes round a loop as [`Op::Box`] and is unboxed in it needs neither a look at the box nor the way through it: a
//! parameter of a loop that is unboxed gets another beside it, which is given what is boxed. Promotion then finds nothing to
//! unbox, and the first parameter stays where the state still wants it. What a loop unboxes and does not change is unboxed
//! where it is made.

use super::flow::predecessors;
use crate::ir::{BlockId, Inst, Op, Region, SnapId, Value};
use crate::ty::Ty;
use std::ops::Range;

/// Unboxes singles outside of the loops that use them.
pub fn carry_singles(region: &mut Region) {
    let unboxed = |v: &Value| {
        let inst = region.inst(*v);
        (inst.op == Op::Unbox).then_some(inst.args[0])
    };
    let mut wanted: Vec<Value> =
        region.blocks.iter().flat_map(|block| &block.insts).filter_map(unboxed).collect();
    if wanted.is_empty() {
        return;
    }
    wanted.sort_unstable_by_key(|v| v.0);
    wanted.dedup();
    let preds = predecessors(region);
    // From the inside: what an inner loop finds in a box, the loops around it carry.
    for (n, preds) in preds.iter().enumerate().rev() {
        let Some(last) = preds.iter().map(|pred| pred.0 as usize).max().filter(|last| *last >= n) else {
            continue;
        };
        for i in 0..region.blocks[n].params.len() {
            let param = region.blocks[n].params[i];
            if wanted.contains(&param) {
                let single = beside(region, BlockId(n as u32), param, &mut wanted);
                replace(region, n..region.blocks.len(), param, single);
            }
        }
        hoist(region, n..last + 1, &mut wanted);
    }
}

/// Unboxes before the loop `blocks` what is from before it; adds that to what is `wanted`.
fn hoist(region: &mut Region, blocks: Range<usize>, wanted: &mut Vec<Value>) {
    let mut list = Vec::new();
    for block in &region.blocks[blocks.clone()] {
        list.extend(block.insts.iter().filter(|v| region.inst(**v).op == Op::Unbox).copied());
    }
    for v in list {
        let from = region.inst(v).args[0];
        if region.inst(v).op != Op::Unbox {
            // The twin of one that has gone.
            continue;
        }
        if let Some(BlockId(home)) = region.home(from).filter(|home| (home.0 as usize) < blocks.start) {
            let single = region.add(unary(Op::Unbox, from));
            region.blocks[home as usize].insts.push(single);
            wanted.push(from);
            replace(region, blocks.clone(), from, single);
        }
    }
}

/// Puts `single` in the place of what is boxed in `from`.
fn replace(region: &mut Region, blocks: Range<usize>, from: Value, single: Value) {
    for n in blocks {
        for i in 0..region.blocks[n].insts.len() {
            let v = region.blocks[n].insts[i];
            let inst = region.inst(v);
            if inst.op == Op::Unbox && inst.args[0] == from {
                region.insts[v.0 as usize] = unary(Op::Bitcast, single);
            }
        }
    }
}

fn unary(op: Op, arg: Value) -> Inst {
    Inst { op, ty: Ty::F32, args: [arg, Value::NONE, Value::NONE], imm: 0, snap: SnapId::NONE }
}

/// A new parameter of block `id`: what is boxed in its parameter `param`. Adds what is unboxed for it to what is `wanted`.
fn beside(region: &mut Region, id: BlockId, param: Value, wanted: &mut Vec<Value>) -> Value {
    let single = region.add_param(id, Ty::F32);
    for (from, nth, arg) in region.given_by_edges(id, param) {
        let given = match region.inst(arg) {
            _ if arg == param => single,
            inst if inst.op == Op::Box => inst.args[0],
            _ => {
                wanted.push(arg);
                region.push(from, unary(Op::Unbox, arg))
            }
        };
        region.add_args(from, nth, [given]);
    }
    single
}

//! Turning, as CPUs without an instruction for it do it: two shifts, and an or.

use super::{Folded, constant};
use crate::ir::{Inst, Op, Region, Value};
use crate::ty::Ty;

/// What integer `v` is shifted from, and by how much, if `op` made it.
fn shifted(region: &Region, v: Value, op: Op) -> Option<(Value, u64)> {
    let inst = region.inst(v);
    let by = constant(region, *inst.args().get(1)?)? & u64::from(inst.ty.bits() - 1);
    (inst.op == op).then_some((inst.args[0], by))
}

/// The I32 that `v` was before it was widened as `op` does.
fn narrow(region: &Region, v: Value, op: Op) -> Option<Value> {
    let inst = region.inst(v);
    (inst.op == op && region.inst(inst.args[0]).result() == Ty::I32).then_some(inst.args[0])
}

/// What is turned, and how far to the right, if `right` and `left` are its two parts of integers of type `ty`.
fn parts(region: &Region, ty: Ty, right: Value, left: Value) -> Option<(Value, u64)> {
    let (value, by) = shifted(region, right, Op::ShrU)?;
    let rest = shifted(region, left, Op::Shl)?;
    (by > 0 && rest == (value, u64::from(ty.bits()) - by)).then_some((value, by))
}

/// An Or of two shifts of one value. A word that was shifted right is widened with zeros, which are its sign.
pub fn fold(region: &Region, inst: &Inst) -> Option<Folded> {
    let [a, b, _] = inst.args;
    [(a, b), (b, a)].into_iter().find_map(|(right, left)| {
        if let Some((value, by)) = parts(region, inst.ty, right, left) {
            let args = [value, Value::NONE, Value::NONE];
            return Some(Folded::With(Inst { op: Op::Rotr, args, ..*inst }, by));
        }
        let (right, left) = (narrow(region, right, Op::Zext)?, narrow(region, left, Op::SextW)?);
        let (value, by) = parts(region, Ty::I32, right, left)?;
        let args = [value, Value::NONE, Value::NONE];
        Some(Folded::Signed(Inst { op: Op::Rotr, ty: Ty::I32, args, ..*inst }, by))
    })
}

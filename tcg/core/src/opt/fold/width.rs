//! How wide integers are at most, and extensions that this makes needless.

use super::{Folded, constant};
use crate::ir::{Inst, Op, Region, Value};
use crate::sem::MemOp;
use crate::ty::Ty;

/// How far back operands are followed: to the first of four parts that a word is put together of.
const DEPTH: u32 = 5;

/// The number of low bits of integer `v` outside which all are known to be zero.
fn width(region: &Region, v: Value, depth: u32) -> u32 {
    let inst = region.inst(v);
    let all = inst.result().bits();
    let Some(depth) = depth.checked_sub(1) else { return all };
    let of = |n: usize| width(region, inst.args[n], depth);
    let shift = || constant(region, inst.args[1]).map(|k| k as u32 & (all - 1));
    let known = match inst.op {
        Op::Const => 64 - inst.imm.leading_zeros(),
        Op::Load => {
            let access = MemOp::unpack(inst.imm);
            if access.signed { all } else { 8 << access.size }
        }
        Op::And => of(0).min(of(1)),
        Op::Or | Op::Xor => of(0).max(of(1)),
        Op::ShrU => shift().map_or(all, |k| of(0).saturating_sub(k)),
        Op::Shl => shift().map_or(all, |k| of(0) + k),
        Op::Zext | Op::Trunc => of(0),
        Op::Select => of(1).max(of(2)),
        _ => all,
    };
    known.min(all)
}

/// An And whose second operand is the constant `k`, if no bit can be lost in it.
pub fn keeps_all(region: &Region, inst: &Inst, k: u64) -> bool {
    k.trailing_ones() >= width(region, inst.args[0], DEPTH)
}

/// Whether the I32 `v` is never negative.
pub fn is_positive(region: &Region, v: Value) -> bool {
    width(region, v, DEPTH) < 32
}

/// Whether the I64 `v` has no bits above its low 32.
pub fn is_word(region: &Region, v: Value) -> bool {
    region.inst(v).result() == Ty::I64 && width(region, v, DEPTH) <= 32
}

/// A shift left by `k` that loses all the bits which a mask before it would have cleared.
pub fn fold_mask(region: &Region, inst: &Inst, k: u64) -> Option<Folded> {
    let masked = region.inst(inst.args[0]);
    let all = inst.ty.bits();
    let kept = all - (k as u32 & (all - 1));
    let mask = constant(region, masked.args[1])?;
    let args = [masked.args[0], inst.args[1], Value::NONE];
    (mask.trailing_ones() >= kept).then_some(Folded::Inst(Inst { args, ..*inst }))
}

/// A shift right by `k` of what was shifted left by as much: an extension of the bits that are left.
pub fn fold_shifts(region: &Region, inst: &Inst, k: u64) -> Option<Folded> {
    let left = region.inst(inst.args[0]);
    let all = inst.ty.bits();
    let bits = all.checked_sub(k as u32)?;
    if left.op != Op::Shl || constant(region, left.args[1]) != Some(k) || !matches!(bits, 8 | 16 | 32) {
        return None;
    }
    Some(match inst.op {
        Op::ShrU => Folded::With(Inst { op: Op::And, ..*left }, u64::MAX >> (64 - bits)),
        Op::ShrS => Folded::Inst(Inst { op: Op::Sext, imm: bits.into(), ..*left }),
        _ => return None,
    })
}

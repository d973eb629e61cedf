//! Folding of operations on vectors.

use super::Folded;
use crate::eval;
use crate::ir::{Inst, Op, Region, Value};
use crate::sem::Lane;
use crate::ty::Ty;

/// The constant that `v` is, a scalar in the low bits.
fn constant(region: &Region, v: Value) -> Option<u128> {
    let inst = region.inst(v);
    match region.constant_vector(v) {
        None if inst.op == Op::Const => Some(inst.imm.into()),
        vector => vector,
    }
}

/// Looks at the operation on lanes `inst`, whose arguments are already folded.
pub fn fold(region: &Region, inst: &Inst) -> Folded {
    let mut args = [0; 3];
    let constant_args = inst.args().iter().zip(&mut args).all(|(v, arg)| match constant(region, *v) {
        Some(k) => {
            *arg = k;
            true
        }
        None => false,
    });
    if constant_args {
        if inst.op == Op::Shuffle {
            args[2] = region.vectors[inst.imm as usize];
        }
        let value = eval::vector(inst.op, inst.ty, inst.imm, args, &mut 0);
        return if inst.result() == Ty::V128 { Folded::Vector(value) } else { Folded::Const(value as u64) };
    }
    let [a, b, _] = inst.args;
    let known = |v: Value| region.constant_vector(v);
    match inst.op {
        Op::Extract => extract(region, inst),
        Op::Shuffle => match region.vectors[inst.imm as usize] {
            IDENTITY => Folded::Value(a),
            SECOND => Folded::Value(b),
            _ => Folded::Same,
        },
        Op::And | Op::Or if a == b => Folded::Value(a),
        Op::Xor | Op::AndNot | Op::Sub if a == b => Folded::Vector(0),
        Op::And if known(a) == Some(u128::MAX) => Folded::Value(b),
        Op::And if known(b) == Some(u128::MAX) => Folded::Value(a),
        Op::And if known(a) == Some(0) || known(b) == Some(0) => Folded::Vector(0),
        Op::Or | Op::Xor | Op::Add if known(a) == Some(0) => Folded::Value(b),
        Op::Or | Op::Xor | Op::Add | Op::Sub | Op::AndNot if known(b) == Some(0) => Folded::Value(a),
        Op::Shl | Op::ShrU | Op::ShrS if known(b) == Some(0) => Folded::Value(a),
        Op::BitSelect if known(a) == Some(u128::MAX) => Folded::Value(b),
        Op::BitSelect if known(a) == Some(0) => Folded::Value(inst.args[2]),
        _ => Folded::Same,
    }
}

/// The control of a shuffle that gives its first argument.
const IDENTITY: u128 = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100;
/// The control of a shuffle that gives its second argument.
const SECOND: u128 = IDENTITY | 0x1010_1010_1010_1010_1010_1010_1010_1010;

/// A lane that was put in just before, or whose vector was widened from a scalar.
fn extract(region: &Region, inst: &Inst) -> Folded {
    let lane = Lane::unpack(inst.imm);
    let mut from = inst.args[0];
    loop {
        let source = region.inst(from);
        let bits = source.ty.lane_bits();
        let (whole, value) = (8 << lane.size == bits, source.args[source.op.arg_count().max(1) - 1]);
        let hit = match source.op {
            Op::Splat => whole,
            Op::Insert => whole && source.imm == u64::from(lane.index),
            _ => return Folded::Same,
        };
        let width = |v: Value| region.inst(v).result().bits();
        let same = |v: Value| region.inst(v).result() == inst.ty && inst.ty.bits() == bits;
        match (hit, source.op) {
            (true, _) if same(value) => return Folded::Value(value),
            (true, _) if width(value) == bits && inst.ty.bits() == bits => {
                return Folded::Inst(Inst {
                    op: Op::Bitcast,
                    args: [value, Value::NONE, Value::NONE],
                    imm: 0,
                    ..*inst
                });
            }
            (true, _) => return Folded::Same,
            // Another lane of the same width was replaced.
            (false, Op::Insert) if whole => from = source.args[0],
            _ => return Folded::Same,
        }
    }
}

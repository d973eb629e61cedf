//! Constant folding and identities, one instruction at a time.

mod rotate;
mod vector;
mod width;

use crate::eval;
use crate::ir::{Effect, Inst, Op, Region, Value};
use crate::sem::{Cc, FloatMode, MemOp};
use crate::ty::Ty;
use base::PAGE_SIZE;

/// What an instruction turns out to be.
pub enum Folded {
    /// Itself.
    Same,
    /// A constant of its result type.
    Const(u64),
    /// The code address.
    CodeAddr(u64),
    /// A vector constant.
    Vector(u128),
    /// Another value.
    Value(Value),
    /// Another instruction.
    Inst(Inst),
    /// Another instruction, whose second operand is this constant of its type.
    With(Inst, u64),
    /// The same, of 32 bits, widened with its sign.
    Signed(Inst, u64),
}

/// The constant that `v` is.
pub fn constant(region: &Region, v: Value) -> Option<u64> {
    let inst = region.inst(v);
    (inst.op == Op::Const).then_some(inst.imm)
}

/// Looks at `inst`, whose arguments are already folded.
pub fn fold(region: &Region, inst: &Inst) -> Folded {
    if inst.op == Op::Cond {
        return fold_cond(region, inst);
    }
    if inst.op.effect() != Effect::Pure {
        return Folded::Same;
    }
    if inst.on_lanes() {
        return vector::fold(region, inst);
    }
    match inst.op.arg_count() {
        1 => fold1(region, inst),
        2 if region.inst(inst.args[0]).op == Op::CodeAddr => {
            fold_code_addr(region, inst).unwrap_or_else(|| fold2(region, inst))
        }
        2 => fold2(region, inst),
        3 if inst.op == Op::Select => fold_select(region, inst),
        _ => Folded::Same,
    }
}

fn fold1(region: &Region, inst: &Inst) -> Folded {
    let from = region.inst(inst.args[0]);
    let from_ty = from.result();
    if from.op == Op::Const && inst.ty != Ty::V128 {
        return Folded::Const(eval::int1(inst.op, from_ty, inst.result(), inst.imm, from.imm));
    }
    match (inst.op, from.op) {
        (Op::Trunc, Op::SextW) => Folded::Value(from.args[0]),
        (Op::Trunc, Op::Sext) if from.imm == 32 => Folded::Inst(Inst { args: from.args, ..*inst }),
        (Op::SextW, _) if width::is_positive(region, inst.args[0]) => {
            Folded::Inst(Inst { op: Op::Zext, ..*inst })
        }
        (Op::Trunc, Op::And) if constant(region, from.args[1]).is_some_and(|k| k as u32 == u32::MAX) => {
            Folded::Inst(Inst { args: [from.args[0], Value::NONE, Value::NONE], ..*inst })
        }
        (Op::Zext, Op::Trunc) if width::is_word(region, from.args[0]) => Folded::Value(from.args[0]),
        (Op::Trunc, Op::Zext) if region.inst(from.args[0]).result() == Ty::I32 => Folded::Value(from.args[0]),
        (Op::Unbox, Op::Box) => Folded::Value(from.args[0]),
        (Op::Trunc, Op::Bitcast) if region.inst(from.args[0]).op == Op::Box => {
            let args = region.inst(from.args[0]).args;
            Folded::Inst(Inst { op: Op::Bitcast, args, ..*inst })
        }
        (Op::Bitcast, _) if from_ty == inst.ty => Folded::Value(inst.args[0]),
        // Not by way of binary16, which is narrower than the integer that holds its bits.
        (Op::Bitcast, Op::Bitcast)
            if region.inst(from.args[0]).result() == inst.ty && from.ty.bits() == inst.ty.bits() =>
        {
            Folded::Value(from.args[0])
        }
        _ => Folded::Same,
    }
}

/// A store with what is stored as it was before it was widened or became bits.
pub fn fold_store(region: &Region, mut inst: Inst) -> Inst {
    let size = MemOp::unpack(inst.imm).size;
    let value = region.inst(inst.args[1]);
    if value.op == Op::Bitcast && value.ty == inst.ty {
        let double = region.inst(value.args[0]);
        if (size, double.op) == (2, Op::Box) {
            (inst.args[1], inst.ty) = (double.args[0], Ty::F32);
            return inst;
        }
        let from = double.result();
        if matches!((size, from), (2, Ty::F32) | (3, Ty::F64)) {
            (inst.args[1], inst.ty) = (value.args[0], from);
        }
    }
    inst
}

/// A code address and another, or a constant.
fn fold_code_addr(region: &Region, inst: &Inst) -> Option<Folded> {
    let (here, other) = (region.inst(inst.args[0]).imm, region.inst(inst.args[1]));
    match (inst.op, other.op) {
        (Op::Add, Op::Const) => Some(Folded::CodeAddr(here.wrapping_add(other.imm))),
        // Bits that are zero wherever the page is.
        (Op::And, Op::Const) if other.imm | (PAGE_SIZE - 1) == u64::MAX && here & other.imm == here => {
            Some(Folded::Value(inst.args[0]))
        }
        (Op::Eq, Op::CodeAddr) => Some(Folded::Const((here == other.imm).into())),
        _ => None,
    }
}

fn fold2(region: &Region, inst: &Inst) -> Folded {
    let [a, b, _] = inst.args;
    let (left, right) = (constant(region, a), constant(region, b));
    if let (Some(x), Some(y)) = (left, right) {
        return Folded::Const(eval::int2(inst.op, inst.ty, inst.imm, [x, y]));
    }
    let ones = inst.ty.mask();
    match (inst.op, left, right) {
        (Op::Add | Op::Or | Op::Xor, Some(0), _) => Folded::Value(b),
        (Op::Add | Op::Sub | Op::Or | Op::Xor, _, Some(0)) => Folded::Value(a),
        (Op::Shl | Op::ShrU | Op::ShrS | Op::Rotr, _, Some(0)) => Folded::Value(a),
        (Op::And, Some(0), _) | (Op::And, _, Some(0)) => Folded::Const(0),
        (Op::And, _, Some(k)) if k == ones => Folded::Value(a),
        (Op::And, Some(k), _) if k == ones => Folded::Value(b),
        (Op::And, _, Some(k)) if width::keeps_all(region, inst, k) => Folded::Value(a),
        (Op::Mul, _, Some(1)) => Folded::Value(a),
        (Op::Mul, Some(1), _) => Folded::Value(b),
        (Op::Sub | Op::Xor, _, _) if a == b => Folded::Const(0),
        (Op::And | Op::Or, _, _) if a == b => Folded::Value(a),
        (Op::Or, None, None) => rotate::fold(region, inst).unwrap_or(Folded::Same),
        (Op::Shl, _, Some(k)) if region.inst(a).op == Op::And => {
            width::fold_mask(region, inst, k).unwrap_or(Folded::Same)
        }
        (Op::ShrU | Op::ShrS, _, Some(k)) if region.inst(a).op == Op::Shl => {
            width::fold_shifts(region, inst, k).unwrap_or(Folded::Same)
        }
        // A truth value made an integer and tested again.
        (Op::Ne, _, Some(0)) => {
            let wide = region.inst(a);
            let truth = wide.op == Op::Zext && region.inst(wide.args[0]).result() == Ty::Bool;
            if truth { Folded::Value(wide.args[0]) } else { Folded::Same }
        }
        _ => Folded::Same,
    }
}

/// Of a condition on flags just made, one comparison.
fn fold_cond(region: &Region, inst: &Inst) -> Folded {
    let cc = Cc::from_bits(inst.imm);
    let from = region.inst(inst.args[0]);
    match from.op {
        Op::Const => Folded::Const(cc.holds(from.imm).into()),
        Op::FlagsSub => {
            let [a, b, none] = from.args;
            let (op, args, imm) = match cc {
                Cc::Eq => (Op::Eq, [a, b, none], 0),
                Cc::Ne => (Op::Ne, [a, b, none], 0),
                Cc::CarryClear => (Op::LtU, [a, b, none], 0),
                Cc::Above => (Op::LtU, [b, a, none], 0),
                Cc::Lt => (Op::LtS, [a, b, none], 0),
                Cc::Gt => (Op::LtS, [b, a, none], 0),
                _ => (Op::CondSub, [a, b, none], inst.imm),
            };
            Folded::Inst(Inst { op, args, imm, ..*from })
        }
        Op::FlagsLogic => {
            let (op, imm) = match cc {
                // Neither carry nor overflow: constant, or what is left of the condition.
                Cc::CarrySet | Cc::Above | Cc::Overflow => return Folded::Const(0),
                Cc::CarryClear | Cc::NotAbove | Cc::NoOverflow => return Folded::Const(1),
                Cc::Eq => (Op::Eq, 0),
                Cc::Ne => (Op::Ne, 0),
                Cc::Minus | Cc::Lt => (Op::LtS, 0),
                Cc::Plus => (Op::CondSub, Cc::Ge as u64),
                Cc::Ge | Cc::Gt | Cc::Le => (Op::CondSub, inst.imm),
            };
            Folded::With(Inst { op, imm, ..*from }, 0)
        }
        Op::FlagsFloat => {
            let imm = inst.imm << 8 | FloatMode::from_bits(from.imm).bits();
            Folded::Inst(Inst { op: Op::CondFloat, imm, ..*from })
        }
        _ => Folded::Same,
    }
}

fn fold_select(region: &Region, inst: &Inst) -> Folded {
    let [cond, yes, no] = inst.args;
    match constant(region, cond) {
        Some(0) => Folded::Value(no),
        Some(_) => Folded::Value(yes),
        None if yes == no => Folded::Value(yes),
        None => Folded::Same,
    }
}

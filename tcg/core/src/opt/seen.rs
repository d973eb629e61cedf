//! Common subexpressions: what a block has made lately is not made again.
//!
//! The table forgets: a place in it holds one value, so that looking costs next to nothing and values do not live long only to be
//! found. Left out is what its user takes over anyway: comparisons, and what is an address' displacement.

use super::fold::constant;
use crate::ir::{Effect, Inst, Op, Region, Value};
use crate::ty::Ty;

/// Places of the table.
const PLACES: usize = 128;

/// What the block has made.
pub struct Seen([Value; PLACES]);

impl Default for Seen {
    fn default() -> Self {
        Self([Value::NONE; PLACES])
    }
}

impl Seen {
    /// Another block begins.
    pub fn clear(&mut self) {
        self.0.fill(Value::NONE);
    }

    /// An earlier value that is what `inst` would be, or a place to note it at; `None` if it is not looked for.
    pub fn look(&mut self, region: &Region, inst: &Inst) -> Option<Result<Value, &mut Value>> {
        let args = inst.args();
        let displaced = inst.op == Op::Add && constant(region, args[1]).is_some();
        if args.is_empty() || inst.op.effect() != Effect::Pure || inst.result() == Ty::Bool || displaced {
            return None;
        }
        let start = (inst.op as u64) << 8 ^ inst.imm ^ inst.ty as u64;
        let mixed = args.iter().fold(start, |sum, arg| {
            let part = constant(region, *arg).unwrap_or(!u64::from(arg.0));
            (sum.rotate_left(5) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        let place = &mut self.0[(mixed >> 57) as usize];
        if *place != Value::NONE && same(region, region.inst(*place), inst) {
            return Some(Ok(*place));
        }
        Some(Err(place))
    }
}

/// Whether two pure instructions give the same.
fn same(region: &Region, a: &Inst, b: &Inst) -> bool {
    let arg = |(a, b): (&Value, &Value)| {
        let [left, right] = [a, b].map(|v| region.inst(*v));
        a == b || left.op == Op::Const && (left.op, left.ty, left.imm) == (right.op, right.ty, right.imm)
    };
    (a.op, a.ty, a.imm) == (b.op, b.ty, b.imm) && a.args().iter().zip(b.args()).all(arg)
}

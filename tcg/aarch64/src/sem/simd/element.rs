//! Products with one element of a vector: C4.1.96.

use super::{get, put, widened};
use crate::isa::VE;
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Sem};
use tcg_core::ty::{I64, Ty};

/// The element of the last operand, in every lane.
pub(super) fn of<S: Sem>(s: &mut S, a: VE) -> S::W {
    let (rm, index) =
        if a.size == 1 { (a.rm, a.h << 2 | a.l << 1 | a.m) } else { (a.m << 4 | a.rm, a.h << 1 | a.l) };
    let v = get(s, rm);
    let v = s.extract::<I64>(Lane::new(a.size, index), v);
    s.splat(Ty::int_lanes(a.size), v)
}

/// Product with an element.
pub fn mul_e<S: Sem>(s: &mut S, _: &Cx, a: VE) -> Flow<S> {
    let (n, m) = (get(s, a.rn), of(s, a));
    let v = s.v2(Op::Mul, Ty::int_lanes(a.size), n, m);
    put(s, a.q, a.rd, v)
}

fn accumulate<S: Sem>(s: &mut S, a: VE, op: Op) -> Flow<S> {
    let (n, m, d, ty) = (get(s, a.rn), of(s, a), get(s, a.rd), Ty::int_lanes(a.size));
    let product = s.v2(Op::Mul, ty, n, m);
    let v = s.v2(op, ty, d, product);
    put(s, a.q, a.rd, v)
}

/// Product with an element, added.
pub fn mla_e<S: Sem>(s: &mut S, _: &Cx, a: VE) -> Flow<S> {
    accumulate(s, a, Op::Add)
}

/// Product with an element, subtracted.
pub fn mls_e<S: Sem>(s: &mut S, _: &Cx, a: VE) -> Flow<S> {
    accumulate(s, a, Op::Sub)
}

macro_rules! long {
    ($($(#[$doc:meta])* $name:ident = $signed:literal $sum:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: VE) -> Flow<S> {
            let (n, m, d, wide) = (get(s, a.rn), of(s, a), get(s, a.rd), Ty::int_lanes(a.size + 1));
            let (n, m) = (widened(s, (a.size, a.q), n, $signed), widened(s, (a.size, 0), m, $signed));
            let product = s.v2(Op::Mul, wide, n, m);
            let sum: Option<Op> = $sum;
            let v = match sum {
                Some(op) => s.v2(op, wide, d, product),
                None => product,
            };
            put(s, 1, a.rd, v)
        }
    )* };
}

long! {
    /// Signed long product with an element.
    smull_e = true None;
    /// Unsigned long product with an element.
    umull_e = false None;
    /// Signed long product with an element, added.
    smlal_e = true Some(Op::Add);
    /// Unsigned long product with an element, added.
    umlal_e = false Some(Op::Add);
    /// Signed long product with an element, subtracted.
    smlsl_e = true Some(Op::Sub);
    /// Unsigned long product with an element, subtracted.
    umlsl_e = false Some(Op::Sub);
}

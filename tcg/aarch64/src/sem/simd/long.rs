//! Operands of two widths: C4.1.96, three different.

use super::{difference, get, put, put_half, widened};
use crate::isa::{V2, V3};
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Narrow, Sem, splat_bits};
use tcg_core::ty::Ty;

/// Narrowed.
pub fn xtn_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = s.lanes(Op::Narrow, Ty::int_lanes(a.size), Narrow::Truncate as u64, &[n, n]);
    put_half(s, a.q, a.rd, v)
}

/// Widened and shifted by the width.
pub fn shll_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = widened(s, (a.size, a.q), n, false);
    let v = s.shift_lanes(Op::Shl, Ty::int_lanes(a.size + 1), v, 8 << a.size);
    put(s, 1, a.rd, v)
}

macro_rules! long {
    ($($(#[$doc:meta])* $name:ident = $signed:literal, |$s:ident, $ty:ident, $n:ident, $m:ident, $d:pat_param| $body:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>($s: &mut S, _: &Cx, a: V3) -> Flow<S> {
            let ($n, $m) = (get($s, a.rn), get($s, a.rm));
            let ($n, $m) = (widened($s, (a.size, a.q), $n, $signed), widened($s, (a.size, a.q), $m, $signed));
            let ($ty, $d) = (Ty::int_lanes(a.size + 1), get($s, a.rd));
            let v = $body;
            put($s, 1, a.rd, v)
        }
    )* };
}

long! {
    /// Signed long sum.
    saddl_v = true, |s, ty, n, m, _| s.v2(Op::Add, ty, n, m);
    /// Unsigned long sum.
    uaddl_v = false, |s, ty, n, m, _| s.v2(Op::Add, ty, n, m);
    /// Signed long difference.
    ssubl_v = true, |s, ty, n, m, _| s.v2(Op::Sub, ty, n, m);
    /// Unsigned long difference.
    usubl_v = false, |s, ty, n, m, _| s.v2(Op::Sub, ty, n, m);
    /// Signed long absolute difference.
    sabdl_v = true, |s, ty, n, m, _| difference(s, ty, (Op::MaxS, Op::MinS), n, m);
    /// Unsigned long absolute difference.
    uabdl_v = false, |s, ty, n, m, _| difference(s, ty, (Op::MaxS, Op::MinS), n, m);
    /// Signed long absolute difference, added.
    sabal_v = true, |s, ty, n, m, d| { let v = difference(s, ty, (Op::MaxS, Op::MinS), n, m); s.v2(Op::Add, ty, d, v) };
    /// Unsigned long absolute difference, added.
    uabal_v = false, |s, ty, n, m, d| { let v = difference(s, ty, (Op::MaxS, Op::MinS), n, m); s.v2(Op::Add, ty, d, v) };
    /// Signed long product.
    smull_v = true, |s, ty, n, m, _| s.v2(Op::Mul, ty, n, m);
    /// Unsigned long product.
    umull_v = false, |s, ty, n, m, _| s.v2(Op::Mul, ty, n, m);
    /// Signed long product, added.
    smlal_v = true, |s, ty, n, m, d| { let p = s.v2(Op::Mul, ty, n, m); s.v2(Op::Add, ty, d, p) };
    /// Unsigned long product, added.
    umlal_v = false, |s, ty, n, m, d| { let p = s.v2(Op::Mul, ty, n, m); s.v2(Op::Add, ty, d, p) };
    /// Signed long product, subtracted.
    smlsl_v = true, |s, ty, n, m, d| { let p = s.v2(Op::Mul, ty, n, m); s.v2(Op::Sub, ty, d, p) };
    /// Unsigned long product, subtracted.
    umlsl_v = false, |s, ty, n, m, d| { let p = s.v2(Op::Mul, ty, n, m); s.v2(Op::Sub, ty, d, p) };
}

fn wide_sum<S: Sem>(s: &mut S, a: V3, op: Op, signed: bool) -> Flow<S> {
    let (n, m) = (get(s, a.rn), get(s, a.rm));
    let m = widened(s, (a.size, a.q), m, signed);
    let v = s.v2(op, Ty::int_lanes(a.size + 1), n, m);
    put(s, 1, a.rd, v)
}

/// Signed wide sum.
pub fn saddw_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    wide_sum(s, a, Op::Add, true)
}

/// Unsigned wide sum.
pub fn uaddw_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    wide_sum(s, a, Op::Add, false)
}

/// Signed wide difference.
pub fn ssubw_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    wide_sum(s, a, Op::Sub, true)
}

/// Unsigned wide difference.
pub fn usubw_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    wide_sum(s, a, Op::Sub, false)
}

/// High halves of the lanes of a sum or difference.
fn high_halves<S: Sem>(s: &mut S, a: V3, op: Op, rounds: bool) -> Flow<S> {
    let (n, m, wide) = (get(s, a.rn), get(s, a.rm), Ty::int_lanes(a.size + 1));
    let bits = 8 << a.size;
    let mut v = s.v2(op, wide, n, m);
    if rounds {
        let half = s.vector(splat_bits(wide, 1 << (bits - 1)));
        v = s.v2(Op::Add, wide, v, half);
    }
    let v = s.shift_lanes(Op::ShrU, wide, v, bits);
    let v = s.lanes(Op::Narrow, Ty::int_lanes(a.size), Narrow::Truncate as u64, &[v, v]);
    put_half(s, a.q, a.rd, v)
}

/// High halves of the sum.
pub fn addhn_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    high_halves(s, a, Op::Add, false)
}

/// High halves of the difference.
pub fn subhn_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    high_halves(s, a, Op::Sub, false)
}

/// High halves of the sum, rounding.
pub fn raddhn_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    high_halves(s, a, Op::Add, true)
}

/// High halves of the difference, rounding.
pub fn rsubhn_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    high_halves(s, a, Op::Sub, true)
}

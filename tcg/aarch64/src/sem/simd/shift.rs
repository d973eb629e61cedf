//! Shifts by a constant: C4.1.96.

use super::{get, put, put_half, widened};
use crate::isa::{VDShR, VShR};
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Narrow, Sem, splat_bits};
use tcg_core::ty::Ty;

/// Lane size and shift of the instructions that shift right: immh:immb is twice the bits minus the shift.
fn right(imm: u8) -> (u8, u32) {
    let size = 7 - (imm >> 3).leading_zeros() as u8;
    (size, (16 << size) - u32::from(imm))
}

/// Lane size and shift of those that shift left: the bits plus the shift.
fn left(imm: u8) -> (u8, u32) {
    let size = 7 - (imm >> 3).leading_zeros() as u8;
    (size, u32::from(imm) - (8 << size))
}

/// Shifted right, halves rounded up: the last bit shifted out is added.
fn rounded<S: Sem>(s: &mut S, ty: Ty, op: Op, n: S::W, by: u32) -> S::W {
    let v = s.shift_lanes(op, ty, n, by);
    let last = s.shift_lanes(Op::ShrU, ty, n, by - 1);
    let one = s.vector(splat_bits(ty, 1));
    let last = s.v2(Op::And, Ty::V128, last, one);
    s.v2(Op::Add, ty, v, last)
}

macro_rules! right_shifts {
    ($($(#[$doc:meta])* $name:ident = |$s:ident, $ty:ident, $n:ident, $by:ident, $d:pat_param| $body:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>($s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
            let (size, $by) = right(a.imm);
            let ($ty, $n, $d) = (Ty::int_lanes(size), get($s, a.rn), get($s, a.rd));
            let v = $body;
            put($s, a.q, a.rd, v)
        }
    )* };
}

right_shifts! {
    /// Signed shift right.
    sshr_v = |s, ty, n, by, _| s.shift_lanes(Op::ShrS, ty, n, by);
    /// Unsigned shift right.
    ushr_v = |s, ty, n, by, _| s.shift_lanes(Op::ShrU, ty, n, by);
    /// Signed shift right, rounding.
    srshr_v = |s, ty, n, by, _| rounded(s, ty, Op::ShrS, n, by);
    /// Unsigned shift right, rounding.
    urshr_v = |s, ty, n, by, _| rounded(s, ty, Op::ShrU, n, by);
    /// Signed shift right, added.
    ssra_v = |s, ty, n, by, d| { let v = s.shift_lanes(Op::ShrS, ty, n, by); s.v2(Op::Add, ty, d, v) };
    /// Unsigned shift right, added.
    usra_v = |s, ty, n, by, d| { let v = s.shift_lanes(Op::ShrU, ty, n, by); s.v2(Op::Add, ty, d, v) };
    /// Signed shift right, rounding, added.
    srsra_v = |s, ty, n, by, d| { let v = rounded(s, ty, Op::ShrS, n, by); s.v2(Op::Add, ty, d, v) };
    /// Unsigned shift right, rounding, added.
    ursra_v = |s, ty, n, by, d| { let v = rounded(s, ty, Op::ShrU, n, by); s.v2(Op::Add, ty, d, v) };
    /// Shift right and insert.
    sri_v = |s, ty, n, by, d| {
        let v = s.shift_lanes(Op::ShrU, ty, n, by);
        let mask = s.vector(splat_bits(ty, ty.mask().checked_shr(by).unwrap_or(0)));
        s.bitselect(mask, v, d)
    };
}

/// Shift left.
pub fn shl_v<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
    let ((size, by), n) = (left(a.imm), get(s, a.rn));
    let v = s.shift_lanes(Op::Shl, Ty::int_lanes(size), n, by);
    put(s, a.q, a.rd, v)
}

/// Shift left and insert.
pub fn sli_v<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
    let ((size, by), n, d) = (left(a.imm), get(s, a.rn), get(s, a.rd));
    let ty = Ty::int_lanes(size);
    let v = s.shift_lanes(Op::Shl, ty, n, by);
    let mask = s.vector(splat_bits(ty, ty.mask() << by & ty.mask()));
    let v = s.bitselect(mask, v, d);
    put(s, a.q, a.rd, v)
}

fn doubleword_shift(a: VDShR) -> VShR {
    VShR { q: 0, imm: a.imm | 64, rn: a.rn, rd: a.rd }
}

/// Signed shift right.
pub fn sshr_d<S: Sem>(s: &mut S, cx: &Cx, a: VDShR) -> Flow<S> {
    sshr_v(s, cx, doubleword_shift(a))
}

/// Unsigned shift right.
pub fn ushr_d<S: Sem>(s: &mut S, cx: &Cx, a: VDShR) -> Flow<S> {
    ushr_v(s, cx, doubleword_shift(a))
}

/// Shift left.
pub fn shl_d<S: Sem>(s: &mut S, cx: &Cx, a: VDShR) -> Flow<S> {
    shl_v(s, cx, doubleword_shift(a))
}

/// Shifts lanes twice as wide as the result's right, and narrows.
fn shift_narrow<S: Sem>(s: &mut S, a: VShR, rounds: bool) -> Flow<S> {
    let ((size, by), n) = (right(a.imm), get(s, a.rn));
    let wide = Ty::int_lanes(size + 1);
    let n = if rounds {
        let half = s.vector(splat_bits(wide, 1 << (by - 1)));
        s.v2(Op::Add, wide, n, half)
    } else {
        n
    };
    let v = s.shift_lanes(Op::ShrU, wide, n, by);
    let v = s.lanes(Op::Narrow, Ty::int_lanes(size), Narrow::Truncate as u64, &[v, v]);
    put_half(s, a.q, a.rd, v)
}

/// Shift right and narrow.
pub fn shrn_v<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
    shift_narrow(s, a, false)
}

/// Shift right, round and narrow.
pub fn rshrn_v<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
    shift_narrow(s, a, true)
}

fn widen_shift<S: Sem>(s: &mut S, a: VShR, signed: bool) -> Flow<S> {
    let (size, by) = left(a.imm);
    let v = widened(s, (size, a.q), a.rn, signed);
    let v = s.shift_lanes(Op::Shl, Ty::int_lanes(size + 1), v, by);
    put(s, 1, a.rd, v)
}

/// Widen, signed, and shift left.
pub fn sshll_v<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
    widen_shift(s, a, true)
}

/// Widen, unsigned, and shift left.
pub fn ushll_v<S: Sem>(s: &mut S, _: &Cx, a: VShR) -> Flow<S> {
    widen_shift(s, a, false)
}

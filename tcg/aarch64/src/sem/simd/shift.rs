//! Shifts that do not saturate: C4.1.96, by a constant and by a register.

use super::{get, put, put_half, widened};
use crate::isa::{V3, VD3, VDShR, VShR};
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Narrow, Sem, splat_bits};
use tcg_core::ty::Ty;

/// Lane size and shift of the instructions that shift right: immh:immb is twice the bits minus the shift.
pub(super) fn right(imm: u8) -> (u8, u32) {
    let size = 7 - (imm >> 3).leading_zeros() as u8;
    (size, (16 << size) - u32::from(imm))
}

/// Lane size and shift of those that shift left: the bits plus the shift.
pub(super) fn left(imm: u8) -> (u8, u32) {
    let size = 7 - (imm >> 3).leading_zeros() as u8;
    (size, u32::from(imm) - (8 << size))
}

/// Shifted right, halves rounded up: the last bit shifted out is added.
pub(super) fn rounded<S: Sem>(s: &mut S, ty: Ty, op: Op, n: S::W, by: u32) -> S::W {
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

macro_rules! doublewords {
    ($($(#[$doc:meta])* $name:ident = $vector:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: VDShR) -> Flow<S> {
            $vector(s, cx, doubleword_shift(a))
        }
    )* };
}

doublewords! {
    /// Signed shift right.
    sshr_d = sshr_v;
    /// Unsigned shift right.
    ushr_d = ushr_v;
    /// Signed shift right, rounding.
    srshr_d = srshr_v;
    /// Unsigned shift right, rounding.
    urshr_d = urshr_v;
    /// Signed shift right, added.
    ssra_d = ssra_v;
    /// Unsigned shift right, added.
    usra_d = usra_v;
    /// Signed shift right, rounding, added.
    srsra_d = srsra_v;
    /// Unsigned shift right, rounding, added.
    ursra_d = ursra_v;
    /// Shift right and insert.
    sri_d = sri_v;
    /// Shift left.
    shl_d = shl_v;
    /// Shift left and insert.
    sli_d = sli_v;
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
    let n = get(s, a.rn);
    let v = widened(s, (size, a.q), n, signed);
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

/// Shifted by the low byte of each lane of `m`, a signed number: left if it is positive.
fn by_register<S: Sem>(s: &mut S, ty: Ty, right: Op, rounds: bool, n: S::W, m: S::W) -> S::W {
    let above = ty.lane_bits() - 8;
    let by = s.shift_lanes(Op::Shl, ty, m, above);
    let by = s.shift_lanes(Op::ShrS, ty, by, above);
    let zero = s.vector(0);
    let back = s.v2(Op::Sub, ty, zero, by);
    // A negative amount is a very large one, too.
    let left = s.v2(Op::Shl, ty, n, by);
    let mut shifted = s.v2(right, ty, n, back);
    if rounds {
        let one = s.vector(splat_bits(ty, 1));
        let before = s.v2(Op::Sub, ty, back, one);
        let last = s.v2(right, ty, n, before);
        let last = s.v2(Op::And, Ty::V128, last, one);
        shifted = s.v2(Op::Add, ty, shifted, last);
    }
    let goes_right = s.v2(Op::LtS, ty, by, zero);
    s.bitselect(goes_right, shifted, left)
}

macro_rules! register_shifts {
    ($($(#[$doc:meta])* $name:ident, $scalar:ident = $right:ident $rounds:literal;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
            let (n, m) = (get(s, a.rn), get(s, a.rm));
            let v = by_register(s, Ty::int_lanes(a.size), Op::$right, $rounds, n, m);
            put(s, a.q, a.rd, v)
        }
        /// The same of a doubleword.
        pub fn $scalar<S: Sem>(s: &mut S, cx: &Cx, a: VD3) -> Flow<S> {
            $name(s, cx, V3 { q: 0, size: 3, rm: a.rm, rn: a.rn, rd: a.rd })
        }
    )* };
}

register_shifts! {
    /// Signed shift.
    sshl_v, sshl_d = ShrS false;
    /// Unsigned shift.
    ushl_v, ushl_d = ShrU false;
    /// Signed shift, rounding.
    srshl_v, srshl_d = ShrS true;
    /// Unsigned shift, rounding.
    urshl_v, urshl_d = ShrU true;
}

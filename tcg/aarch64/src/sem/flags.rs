//! Flag manipulation: FEAT_FlagM and FEAT_FlagM2, C4.1.93 and C4.1.95.

use super::{Cx, fall, get_flags, set_flags, x};
use crate::isa::{N, Rmif, Rn};
use tcg_core::sem::{Cc, Flow, Sem, V, packed};
use tcg_core::ty::I32;

const PACKED: [u64; 4] = [packed::V, packed::C, packed::Z, packed::N];

/// Rotate and insert into flags.
pub fn rmif<S: Sem>(s: &mut S, _: &Cx, a: Rmif) -> Flow<S> {
    let (v, by) = (x(s, a.rn), s.k(a.imm.into()));
    let v = s.rotr(v, by);
    let v = s.trunc(v);
    let mut flags = get_flags(s);
    for (n, flag) in PACKED.into_iter().enumerate().filter(|(n, _)| a.mask >> n & 1 != 0) {
        let keep = s.k(!flag);
        flags = s.and(flags, keep);
        let new = moved(s, v, n as u32, flag);
        flags = s.or(flags, new);
    }
    set_flags(s, flags);
    fall::<S>()
}

/// Bit `from` of `v`, moved to the only bit of `to`, the others zero.
fn moved<S: Sem>(s: &mut S, v: V<S, I32>, from: u32, to: u64) -> V<S, I32> {
    let (down, one, up) = (s.k(from.into()), s.k(1), s.k(to.trailing_zeros().into()));
    let v = s.shru(v, down);
    let v = s.and(v, one);
    s.shl(v, up)
}

/// Flags of a value of `bits` bits: overflow is a bit above that differs from the sign.
fn evaluate<S: Sem>(s: &mut S, a: Rn, bits: u32) -> Flow<S> {
    let v = x(s, a.rn);
    let v = s.trunc(v);
    let up = s.k((32 - bits).into());
    let top = s.shl(v, up);
    let nz = s.flags_logic(top);
    let one = s.k(1);
    let above = s.shru(v, one);
    let differ = s.xor(v, above);
    let overflow = moved(s, differ, bits - 1, packed::V);
    let (flags, c) = (get_flags(s), s.k(packed::C));
    let carry = s.and(flags, c);
    let flags = s.or(nz, overflow);
    let flags = s.or(flags, carry);
    set_flags(s, flags);
    fall::<S>()
}

/// Flags of a byte.
pub fn setf8<S: Sem>(s: &mut S, _: &Cx, a: Rn) -> Flow<S> {
    evaluate(s, a, 8)
}

/// Flags of a halfword.
pub fn setf16<S: Sem>(s: &mut S, _: &Cx, a: Rn) -> Flow<S> {
    evaluate(s, a, 16)
}

/// Invert carry.
pub fn cfinv<S: Sem>(s: &mut S, _: &Cx, _: N) -> Flow<S> {
    let (flags, c) = (get_flags(s), s.k(packed::C));
    let flags = s.xor(flags, c);
    set_flags(s, flags);
    fall::<S>()
}

/// One bit for a condition on `flags`, at the place of `flag`.
fn flag_if<S: Sem>(s: &mut S, cc: Cc, flags: V<S, I32>, flag: u64) -> V<S, I32> {
    let holds = s.cond(cc, flags);
    let (yes, no) = (s.k(flag), s.k(0));
    s.select(holds, yes, no)
}

/// Flags of a float comparison to the alternative format: Z = Z or V, C = C and not V, N = V = 0.
pub fn axflag<S: Sem>(s: &mut S, _: &Cx, _: N) -> Flow<S> {
    let flags = get_flags(s);
    let (z_mask, c_mask, v_mask) = (s.k(packed::Z), s.k(packed::C), s.k(packed::V));
    let z = s.and(flags, z_mask);
    let unordered = flag_if(s, Cc::Overflow, flags, packed::Z);
    let z = s.or(z, unordered);
    let c = s.and(flags, c_mask);
    let not_v = s.xor(flags, v_mask);
    let ordered = moved(s, not_v, 0, packed::C);
    let c = s.and(c, ordered);
    let flags = s.or(z, c);
    set_flags(s, flags);
    fall::<S>()
}

/// Flags of a float comparison from the alternative format.
pub fn xaflag<S: Sem>(s: &mut S, _: &Cx, _: N) -> Flow<S> {
    let flags = get_flags(s);
    // N = not C and not Z; Z = Z and C; C = C or Z; V = not C and Z.
    let (z_mask, c_mask) = (s.k(packed::Z), s.k(packed::C));
    let zero = s.k(0);
    let (z, c) = (s.and(flags, z_mask), s.and(flags, c_mask));
    let (has_z, has_c) = (s.ne(z, zero), s.ne(c, zero));
    let both = s.k(packed::Z | packed::C);
    let (only_z, only_c) = (s.k(packed::C | packed::V), s.k(packed::C));
    let neither = s.k(packed::N);
    let with_z = s.select(has_c, both, only_z);
    let without = s.select(has_c, only_c, neither);
    let flags = s.select(has_z, with_z, without);
    set_flags(s, flags);
    fall::<S>()
}

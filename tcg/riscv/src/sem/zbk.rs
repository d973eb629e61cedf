//! Bit manipulation for cryptography: chapter 30 (Zbkb and Zbkx; Zbkc is part of Zbc).

use super::{Cx, binary, unary};
use crate::isa::{R, R2};
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Sem, V};
use tcg_core::ty::{I64, Ty};

/// The low halves, rs1's below rs2's.
fn packed<S: Sem>(s: &mut S, a: R, bits: u32) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let (low, high, by) = (s.zext(v, bits), s.zext(w, bits), s.k(bits.into()));
        let high = s.shl(high, by);
        s.or(low, high)
    })
}

/// Pack low words.
pub fn pack<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    packed(s, a, 32)
}

/// Pack low bytes.
pub fn packh<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    packed(s, a, 8)
}

/// Pack low halfwords, word.
pub fn packw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let (low, by) = (s.zext(v, 16), s.k(16));
        let high = s.shl(w, by);
        let v = s.or(low, high);
        s.sext(v, 32)
    })
}

/// The bits of every byte in reverse order.
pub fn brev8<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    unary(s, a, |s, mut v| {
        for (by, mask) in [(1, 0x5555_5555_5555_5555), (2, 0x3333_3333_3333_3333), (4, 0x0f0f_0f0f_0f0f_0f0f)]
        {
            let (by, mask) = (s.k(by), s.k(mask));
            let high = s.shru(v, by);
            let (low, high) = (s.and(v, mask), s.and(high, mask));
            let low = s.shl(low, by);
            v = s.or(low, high);
        }
        v
    })
}

/// A vector whose lower half is `v`, zeros above.
fn low_half<S: Sem>(s: &mut S, v: V<S, I64>) -> S::W {
    let zero = s.vector(0);
    s.insert(Ty::I64x2, 0, zero, v)
}

/// Bytes of rs1, chosen by the bytes of rs2; zero where there is none.
pub fn xperm8<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let (table, indices) = (low_half(s, v), low_half(s, w));
        let bytes = s.v2(Op::Table, Ty::V128, table, indices);
        s.extract(Lane::new(3, 0), bytes)
    })
}

/// Four bits of rs1 each, chosen by four bits of rs2 each.
pub fn xperm4<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    let nibbles = |s: &mut S, v: V<S, I64>| {
        let (mask, four) = (s.k(0x0f0f_0f0f_0f0f_0f0f), s.k(4));
        let high = s.shru(v, four);
        let (low, high) = (s.and(v, mask), s.and(high, mask));
        (low_half(s, low), low_half(s, high))
    };
    binary(s, a, |s, v, w| {
        let ((low, high), (even, odd)) = (nibbles(s, v), nibbles(s, w));
        // One in each byte, those of even numbers from the first vector.
        let table = s.shuffle(low, high, std::array::from_fn(|i| (i / 2 + 16 * (i % 2)) as u8));
        let even = s.v2(Op::Table, Ty::V128, table, even);
        let odd = s.v2(Op::Table, Ty::V128, table, odd);
        let (even, odd) = (s.extract(Lane::new(3, 0), even), s.extract::<I64>(Lane::new(3, 0), odd));
        let four = s.k(4);
        let odd = s.shl(odd, four);
        s.or(even, odd)
    })
}

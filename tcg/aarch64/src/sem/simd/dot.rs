//! Sums of products of bytes: C4.1.96, DotProd and I8MM.

use super::{get, put};
use crate::isa::{VB3, VD3, VDotE};
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Sem};
use tcg_core::ty::{I32, Ty};

/// Whether bytes of the first and of the second operand have signs.
#[derive(Clone, Copy)]
struct Signs(bool, bool);

/// Even or odd bytes, extended to halfwords.
fn every_other<S: Sem>(s: &mut S, v: S::W, odd: bool, signed: bool) -> S::W {
    let v = if odd { v } else { s.shift_lanes(Op::Shl, Ty::I16x8, v, 8) };
    s.shift_lanes(if signed { Op::ShrS } else { Op::ShrU }, Ty::I16x8, v, 8)
}

/// Sums of neighbouring halfwords, in words.
fn pairs<S: Sem>(s: &mut S, v: S::W, signed: bool) -> S::W {
    let shift = if signed { Op::ShrS } else { Op::ShrU };
    let high = s.shift_lanes(shift, Ty::I32x4, v, 16);
    let low = s.shift_lanes(Op::Shl, Ty::I32x4, v, 16);
    let low = s.shift_lanes(shift, Ty::I32x4, low, 16);
    s.v2(Op::Add, Ty::I32x4, low, high)
}

/// For each word the sum of the products of its bytes: each fits a halfword, with a sign if an operand has one.
fn products<S: Sem>(s: &mut S, Signs(n_signed, m_signed): Signs, n: S::W, m: S::W) -> S::W {
    let [even, odd] = [false, true].map(|odd| {
        let (n, m) = (every_other(s, n, odd, n_signed), every_other(s, m, odd, m_signed));
        let product = s.v2(Op::Mul, Ty::I16x8, n, m);
        pairs(s, product, n_signed || m_signed)
    });
    s.v2(Op::Add, Ty::I32x4, even, odd)
}

fn accumulate<S: Sem>(s: &mut S, (q, rd): (u8, u8), sum: S::W) -> Flow<S> {
    let d = get(s, rd);
    let v = s.v2(Op::Add, Ty::I32x4, d, sum);
    put(s, q, rd, v)
}

macro_rules! dots {
    ($($(#[$doc:meta])* $name:ident = $n:literal $m:literal;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: VB3) -> Flow<S> {
            let (n, m) = (get(s, a.rn), get(s, a.rm));
            let sum = products(s, Signs($n, $m), n, m);
            accumulate(s, (a.q, a.rd), sum)
        }
    )* };
}

dots! {
    /// Signed.
    sdot_v = true true;
    /// Unsigned.
    udot_v = false false;
    /// Unsigned times signed.
    usdot_v = false true;
}

macro_rules! element_dots {
    ($($(#[$doc:meta])* $name:ident = $n:literal $m:literal;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: VDotE) -> Flow<S> {
            let (n, m) = (get(s, a.rn), get(s, a.m << 4 | a.rm));
            let m = s.extract::<I32>(Lane::new(2, a.h << 1 | a.l), m);
            let m = s.splat(Ty::I32x4, m);
            let sum = products(s, Signs($n, $m), n, m);
            accumulate(s, (a.q, a.rd), sum)
        }
    )* };
}

element_dots! {
    /// Signed, by four bytes.
    sdot_e = true true;
    /// Unsigned, by four bytes.
    udot_e = false false;
    /// Unsigned times signed, by four bytes.
    usdot_e = false true;
    /// Signed times unsigned, by four bytes.
    sudot_e = true false;
}

/// Word `from[n]` for word `n`.
pub(super) fn words(from: [u8; 4]) -> [u8; 16] {
    std::array::from_fn(|n| 4 * from[n / 4] + n as u8 % 4)
}

macro_rules! matrices {
    ($($(#[$doc:meta])* $name:ident = $n:literal $m:literal;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: VD3) -> Flow<S> {
            let (n, m) = (get(s, a.rn), get(s, a.rm));
            // Both halves of each row with both halves of each column.
            let [left, right] = [0, 1].map(|half| {
                let n = s.shuffle(n, n, words([half, half, 2 + half, 2 + half]));
                let m = s.shuffle(m, m, words([half, 2 + half, half, 2 + half]));
                products(s, Signs($n, $m), n, m)
            });
            let sum = s.v2(Op::Add, Ty::I32x4, left, right);
            accumulate(s, (1, a.rd), sum)
        }
    )* };
}

matrices! {
    /// Product of matrices of two rows of eight, signed.
    smmla = true true;
    /// Unsigned.
    ummla = false false;
    /// Unsigned times signed.
    usmmla = false true;
}

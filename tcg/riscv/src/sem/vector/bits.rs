//! Bits of lanes, and carry-less products: chapter 33 (Zvbb, Zvkb, Zvbc).

use super::by_element::by_element;
use super::lanes::{Operands, each, integers, shape};
use crate::isa::{V1, VV, VX};
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Sem, splat_bits};
use tcg_core::ty::Ty;

/// Four bits in reverse order, by their value.
const REVERSED: [u8; 16] = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15];

/// The bits of every byte in reverse order.
pub(super) fn bytes_reversed<S: Sem>(s: &mut S, a: S::W) -> S::W {
    let fours = s.vector(splat_bits(Ty::I8x16, 15));
    let (low, high) = (s.v2(Op::And, Ty::V128, a, fours), s.shift_lanes(Op::ShrU, Ty::I8x16, a, 4));
    let upper = s.vector(u128::from_le_bytes(REVERSED.map(|four| four << 4)));
    let lower = s.vector(u128::from_le_bytes(REVERSED));
    let (low, high) = (s.v2(Op::Table, Ty::V128, upper, low), s.v2(Op::Table, Ty::V128, lower, high));
    s.v2(Op::Or, Ty::V128, low, high)
}

/// The bytes of every lane in reverse order.
fn lanes_swapped<S: Sem>(s: &mut S, ty: Ty, a: S::W) -> S::W {
    let last = (ty.lane_bits() / 8 - 1) as u8;
    s.shuffle(a, a, std::array::from_fn(|i| i as u8 ^ last))
}

/// Zeros below the lowest bit that is set.
fn trailing<S: Sem>(s: &mut S, ty: Ty, a: S::W) -> S::W {
    let ones = s.vector(u128::MAX);
    let less = s.v2(Op::Add, ty, a, ones);
    let below = s.v2(Op::AndNot, Ty::V128, less, a);
    s.v1(Op::Popcnt, ty, below)
}

macro_rules! bits {
    (|$s:ident, $ty:ident, $a:ident| $($name:ident: $body:expr;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: V1) -> Flow<S> {
            integers(s, cx, a, |$s, $ty, e| { let $a = e.a; $body })
        }
    )* };
}

bits! { |s, ty, a|
    vbrev8_v: { let _ = ty; bytes_reversed(s, a) };
    vrev8_v: lanes_swapped(s, ty, a);
    vbrev_v: { let a = bytes_reversed(s, a); lanes_swapped(s, ty, a) };
    vclz_v: s.v1(Op::Clz, ty, a);
    vctz_v: trailing(s, ty, a);
    vcpop_v: s.v1(Op::Popcnt, ty, a);
}

/// One half of the carry-less products of doublewords.
fn product<S: Sem, A: Operands>(s: &mut S, cx: &Cx, a: A, high: bool) -> Flow<S> {
    let Some(shape) = shape(cx, &a).filter(|shape| shape.sew == 3) else { return by_element(s, cx) };
    let scalar = a.splat(s, Ty::I64x2);
    each(s, cx, (a, shape, scalar), |s, e, _| {
        let [first, second] = [0, 3].map(|which| s.lanes(Op::ClmulWide, Ty::V128, which, &[e.a, e.b]));
        let start = if high { 8 } else { 0 };
        s.shuffle(first, second, std::array::from_fn(|i| i as u8 % 8 + start + if i < 8 { 0 } else { 16 }))
    })
}

macro_rules! products {
    ($($format:ident $name:ident $high:literal;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: $format) -> Flow<S> {
            product(s, cx, a, $high)
        }
    )* };
}

products! {
    VV vclmul_vv false;
    VX vclmul_vx false;
    VV vclmulh_vv true;
    VX vclmulh_vx true;
}

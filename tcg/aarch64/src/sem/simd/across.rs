//! Neighbouring lanes, and all lanes of a vector: C4.1.96, pairwise and across lanes.

use super::{Part, alternate, get, put};
use crate::isa::{V2, V3, VD2};
use crate::sem::{self, Cx, fall};
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Sem};
use tcg_core::ty::{I64, Ty};

/// An operation on neighbouring lanes of both vectors, one after the other.
fn pairwise<S: Sem>(s: &mut S, a: V3, op: Op) -> Flow<S> {
    let (n, m) = (get(s, a.rn), get(s, a.rm));
    let even = s.shuffle(n, m, alternate(a.size, a.q, 0));
    let odd = s.shuffle(n, m, alternate(a.size, a.q, 1));
    let v = s.v2(op, Ty::int_lanes(a.size), even, odd);
    put(s, a.q, a.rd, v)
}

/// Sum of neighbours.
pub fn addp_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    pairwise(s, a, Op::Add)
}

/// Signed maximum of neighbours.
pub fn smaxp_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    pairwise(s, a, Op::MaxS)
}

/// Unsigned maximum of neighbours.
pub fn umaxp_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    pairwise(s, a, Op::MaxU)
}

/// Signed minimum of neighbours.
pub fn sminp_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    pairwise(s, a, Op::MinS)
}

/// Unsigned minimum of neighbours.
pub fn uminp_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    pairwise(s, a, Op::MinU)
}

/// Sums of neighbours in lanes twice as wide.
fn long_pairs<S: Sem>(s: &mut S, a: V2, signed: bool) -> S::W {
    let (n, wide, bits) = (get(s, a.rn), Ty::int_lanes(a.size + 1), 8 << a.size);
    let shift = if signed { Op::ShrS } else { Op::ShrU };
    let high = s.shift_lanes(shift, wide, n, bits);
    let low = s.shift_lanes(Op::Shl, wide, n, bits);
    let low = s.shift_lanes(shift, wide, low, bits);
    s.v2(Op::Add, wide, low, high)
}

fn add_long_pairs<S: Sem>(s: &mut S, a: V2, signed: bool) -> Flow<S> {
    let (sum, d) = (long_pairs(s, a, signed), get(s, a.rd));
    let v = s.v2(Op::Add, Ty::int_lanes(a.size + 1), d, sum);
    put(s, a.q, a.rd, v)
}

/// Signed sums of neighbours.
pub fn saddlp_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    let v = long_pairs(s, a, true);
    put(s, a.q, a.rd, v)
}

/// Unsigned sums of neighbours.
pub fn uaddlp_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    let v = long_pairs(s, a, false);
    put(s, a.q, a.rd, v)
}

/// Signed sums of neighbours, added.
pub fn sadalp_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    add_long_pairs(s, a, true)
}

/// Unsigned sums of neighbours, added.
pub fn uadalp_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    add_long_pairs(s, a, false)
}

/// All lanes combined by `op`, in the lowest.
fn folded<S: Sem>(s: &mut S, (size, q): (u8, u8), v: S::W, op: Op) -> S::W {
    let mut v = v;
    let mut distance = 4usize << q;
    while distance >= 1 << size {
        let turned = s.shuffle(v, v, std::array::from_fn(|n| ((n + distance) % 16) as u8));
        v = s.v2(op, Ty::int_lanes(size), v, turned);
        distance /= 2;
    }
    v
}

fn across<S: Sem>(s: &mut S, a: V2, op: Op) -> Flow<S> {
    let n = get(s, a.rn);
    let v = folded(s, (a.size, a.q), n, op);
    Part::Scalar(a.size).put(s, a.rd, v)
}

/// Sum of all lanes.
pub fn addv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    across(s, a, Op::Add)
}

/// Signed maximum of all lanes.
pub fn smaxv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    across(s, a, Op::MaxS)
}

/// Signed minimum of all lanes.
pub fn sminv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    across(s, a, Op::MinS)
}

/// Unsigned maximum of all lanes.
pub fn umaxv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    across(s, a, Op::MaxU)
}

/// Unsigned minimum of all lanes.
pub fn uminv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    across(s, a, Op::MinU)
}

/// Sum of all lanes, in one twice as wide.
fn long_sum<S: Sem>(s: &mut S, a: V2, signed: bool) -> Flow<S> {
    let pairs = long_pairs(s, a, signed);
    let v = folded(s, (a.size + 1, a.q), pairs, Op::Add);
    Part::Scalar(a.size + 1).put(s, a.rd, v)
}

/// Signed long sum of all lanes.
pub fn saddlv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    long_sum(s, a, true)
}

/// Unsigned long sum of all lanes.
pub fn uaddlv<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    long_sum(s, a, false)
}

/// Sum of both doublewords.
pub fn addp_d<S: Sem>(s: &mut S, _: &Cx, a: VD2) -> Flow<S> {
    let n = get(s, a.rn);
    let (low, high) = (s.extract::<I64>(Lane::new(3, 0), n), s.extract(Lane::new(3, 1), n));
    let sum = s.add(low, high);
    sem::set_v_low(s, a.rd, sum);
    fall::<S>()
}

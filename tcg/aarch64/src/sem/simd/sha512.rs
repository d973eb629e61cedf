//! SHA-512's instructions: C4.1.96, after FIPS 180-4, 4.1.3. Rounds are of scalars, two of them an instruction.

use super::crypto::turned_right;
use super::{get, put};
use crate::isa::{VD2, VD3};
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Sem, V};
use tcg_core::ty::{I64, Ty};

/// Both doublewords of `v[n]`.
fn doubles<S: Sem>(s: &mut S, n: u8) -> [V<S, I64>; 2] {
    let v = get(s, n);
    [0, 1].map(|n| s.extract::<I64>(Lane::new(3, n), v))
}

/// `v[rd]` becomes two doublewords.
fn put_doubles<S: Sem>(s: &mut S, rd: u8, [low, high]: [V<S, I64>; 2]) -> Flow<S> {
    let zero = s.vector(0);
    let v = s.insert(Ty::I64x2, 0, zero, low);
    let v = s.insert(Ty::I64x2, 1, v, high);
    put(s, 1, rd, v)
}

/// The exclusive or of `x` turned right by three numbers of bits.
fn turned<S: Sem>(s: &mut S, x: V<S, I64>, by: [u64; 3]) -> V<S, I64> {
    let [a, b, c] = by.map(|by| {
        let by = s.k(by);
        s.rotr(x, by)
    });
    let v = s.xor(a, b);
    s.xor(v, c)
}

fn sum<S: Sem>(s: &mut S, [a, b, c]: [V<S, I64>; 3]) -> V<S, I64> {
    let v = s.add(a, b);
    s.add(v, c)
}

/// Sigma 1 and Ch for e, f, g, added to `w`.
fn choosing<S: Sem>(s: &mut S, [e, f, g]: [V<S, I64>; 3], w: V<S, I64>) -> V<S, I64> {
    let differ = s.xor(f, g);
    let chosen = s.and(differ, e);
    let chosen = s.xor(chosen, g);
    let sigma = turned(s, e, [14, 18, 41]);
    sum(s, [w, chosen, sigma])
}

/// Sigma 0 and Maj for a, b, c, added to `w`.
fn majority<S: Sem>(s: &mut S, [a, b, c]: [V<S, I64>; 3], w: V<S, I64>) -> V<S, I64> {
    let (both, either) = (s.and(b, c), s.or(b, c));
    let with = s.and(either, a);
    let most = s.or(both, with);
    let sigma = turned(s, a, [28, 34, 39]);
    sum(s, [w, most, sigma])
}

/// Two rounds, first part.
pub fn sha512h<S: Sem>(s: &mut S, _: &Cx, a: VD3) -> Flow<S> {
    let ([w0, w1], [x0, x1], [y0, y1]) = (doubles(s, a.rd), doubles(s, a.rn), doubles(s, a.rm));
    let high = choosing(s, [y1, x0, x1], w1);
    let e = s.add(high, y0);
    let low = choosing(s, [e, y1, x0], w0);
    put_doubles(s, a.rd, [low, high])
}

/// Two rounds, second part.
pub fn sha512h2<S: Sem>(s: &mut S, _: &Cx, a: VD3) -> Flow<S> {
    let ([w0, w1], [x0, _], [y0, y1]) = (doubles(s, a.rd), doubles(s, a.rn), doubles(s, a.rm));
    let high = majority(s, [y0, y1, x0], w1);
    let low = majority(s, [high, y0, y1], w0);
    put_doubles(s, a.rd, [low, high])
}

/// The exclusive or of doublewords turned right by two numbers of bits and shifted by a third.
fn mixed<S: Sem>(s: &mut S, v: S::W, [first, second, shifted]: [u32; 3]) -> S::W {
    let (a, b) = (turned_right(s, Ty::I64x2, v, first), turned_right(s, Ty::I64x2, v, second));
    let c = s.shift_lanes(Op::ShrU, Ty::I64x2, v, shifted);
    let v = s.v2(Op::Xor, Ty::V128, a, b);
    s.v2(Op::Xor, Ty::V128, v, c)
}

/// Schedule, first part: sigma 0 of the next doubleword is added to each.
pub fn sha512su0<S: Sem>(s: &mut S, _: &Cx, a: VD2) -> Flow<S> {
    let (d, n) = (get(s, a.rd), get(s, a.rn));
    let next = s.shuffle(d, n, std::array::from_fn(|n| n as u8 + 8));
    let sigma = mixed(s, next, [1, 8, 7]);
    let v = s.v2(Op::Add, Ty::I64x2, d, sigma);
    put(s, 1, a.rd, v)
}

/// Schedule, second part: sigma 1 of each doubleword of `rn`, and `rm`, are added.
pub fn sha512su1<S: Sem>(s: &mut S, _: &Cx, a: VD3) -> Flow<S> {
    let (d, n, m) = (get(s, a.rd), get(s, a.rn), get(s, a.rm));
    let sigma = mixed(s, n, [19, 61, 6]);
    let v = s.v2(Op::Add, Ty::I64x2, d, sigma);
    let v = s.v2(Op::Add, Ty::I64x2, v, m);
    put(s, 1, a.rd, v)
}

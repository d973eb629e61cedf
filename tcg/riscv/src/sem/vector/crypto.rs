//! Vector cryptography, chapter 33: Zvkned, Zvknha and Zvknhb, Zvkg, where `vl` is VLMAX. A group of four words is a part.

use super::bits::bytes_reversed;
use super::by_element::by_element;
use super::shape::{Shape, change};
use crate::features::Ext;
use crate::isa::{V2W, V3U, VVM};
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Aes, Flow, Lane, Sem, Sha256, V, splat_bits};
use tcg_core::ty::{I64, Ty};

/// The constants of the key schedule of AES.
const AES_CONSTANTS: [u32; 10] = [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36];

/// The configuration, if all elements, of `1 << sew` bytes, are in groups of four.
fn shape(cx: &Cx, sew: u8) -> Option<Shape> {
    Shape::of(cx).filter(|shape| shape.whole && shape.sew == sew && shape.vlmax.is_multiple_of(4))
}

/// The destination becomes what `f` makes of its parts and those of vs2; `one`: of the first of vs2 alone.
fn blocks<S: Sem>(
    s: &mut S,
    cx: &Cx,
    (vd, vs2, one): (u8, u8, bool),
    f: impl Fn(&mut S, S::W, S::W) -> S::W,
) -> Flow<S> {
    let fits = |shape: &Shape| {
        if one { shape.apart_from_register((vd, 2), vs2) } else { shape.is_group(vs2, 2) }
    };
    let Some(shape) = shape(cx, 2).filter(|shape| shape.is_group(vd, 2) && fits(shape)) else {
        return by_element(s, cx);
    };
    change(s, cx, |s| {
        for n in 0..shape.parts(2) {
            let state = s.get_vector(shape.part(vd, n));
            let key = s.get_vector(shape.part(vs2, if one { 0 } else { n }));
            let value = f(s, state, key);
            s.set_vector(shape.part(vd, n), value);
        }
    })
}

fn step<S: Sem>(s: &mut S, step: Aes, a: S::W) -> S::W {
    s.lanes(Op::Aes, Ty::V128, step as u64, &[a])
}

fn xor<S: Sem>(s: &mut S, a: S::W, b: S::W) -> S::W {
    s.v2(Op::Xor, Ty::V128, a, b)
}

macro_rules! aes {
    (|$s:ident, $state:ident, $key:ident| $($all:ident $one:ident: $body:expr;)*) => { $(
        #[doc = concat!("`", stringify!($all), "`.")]
        pub fn $all<S: Sem>(s: &mut S, cx: &Cx, a: V2W) -> Flow<S> {
            blocks(s, cx, (a.vd, a.vs2, false), |$s, $state, $key| $body)
        }
        #[doc = concat!("`", stringify!($one), "`.")]
        pub fn $one<S: Sem>(s: &mut S, cx: &Cx, a: V2W) -> Flow<S> {
            blocks(s, cx, (a.vd, a.vs2, true), |$s, $state, $key| $body)
        }
    )* };
}

aes! { |s, state, key|
    vaesem_vv vaesem_vs: { let v = step(s, Aes::Sub, state); let v = step(s, Aes::Mix, v); xor(s, v, key) };
    vaesef_vv vaesef_vs: { let v = step(s, Aes::Sub, state); xor(s, v, key) };
    vaesdm_vv vaesdm_vs: {
        let v = step(s, Aes::InvSub, state);
        let v = xor(s, v, key);
        step(s, Aes::InvMix, v)
    };
    vaesdf_vv vaesdf_vs: { let v = step(s, Aes::InvSub, state); xor(s, v, key) };
}

/// The first round: the key alone.
pub fn vaesz_vs<S: Sem>(s: &mut S, cx: &Cx, a: V2W) -> Flow<S> {
    blocks(s, cx, (a.vd, a.vs2, true), |s, state, key| xor(s, state, key))
}

/// The key schedule's function of the last word of `key`, in every word: with a turn and a constant, or without.
fn scheduled<S: Sem>(s: &mut S, key: S::W, constant: Option<u32>) -> S::W {
    let last = s.shuffle(key, key, std::array::from_fn(|i| 12 + i as u8 % 4));
    // Columns that are all alike do not notice that rows are shifted.
    let value = step(s, Aes::Sub, last);
    let Some(constant) = constant else { return value };
    let turned = s.shuffle(value, value, std::array::from_fn(|i| (i as u8 & !3) + (i as u8 + 1) % 4));
    let constant = s.vector(splat_bits(Ty::I32x4, constant.into()));
    xor(s, turned, constant)
}

/// Every word the sum of `first` and of all words of `older` up to its own.
fn chained<S: Sem>(s: &mut S, first: S::W, older: S::W) -> S::W {
    let mut value = xor(s, first, older);
    for words in 1..4 {
        let up = s.shuffle(
            older,
            older,
            std::array::from_fn(|i| if i < 4 * words { 32 } else { (i - 4 * words) as u8 }),
        );
        value = xor(s, value, up);
    }
    value
}

/// The next key of a schedule of 128 bits.
pub fn vaeskf1_vi<S: Sem>(s: &mut S, cx: &Cx, a: V3U) -> Flow<S> {
    let round = a.uimm & 15;
    let round = if matches!(round, 1..=10) { round } else { round ^ 8 };
    blocks(s, cx, (a.vd, a.vs2, false), |s, _, key| {
        let first = scheduled(s, key, Some(AES_CONSTANTS[usize::from(round) - 1]));
        chained(s, first, key)
    })
}

/// The next of 256 bits.
pub fn vaeskf2_vi<S: Sem>(s: &mut S, cx: &Cx, a: V3U) -> Flow<S> {
    let round = a.uimm & 15;
    let round = if matches!(round, 2..=14) { round } else { round ^ 8 };
    let constant = (round & 1 == 0).then(|| AES_CONSTANTS[usize::from(round) / 2 - 1]);
    blocks(s, cx, (a.vd, a.vs2, false), |s, before, key| {
        let first = scheduled(s, key, constant);
        chained(s, first, before)
    })
}

/// The configuration of a step of SHA-2, whose sources are not its destination.
fn sha2_shape(cx: &Cx, a: &VVM, sew: u8) -> Option<Shape> {
    let shape = shape(cx, sew)?;
    let group = |register| shape.is_group(register, sew);
    let apart = |register| shape.apart((a.vd, sew), (register, sew));
    let groups = group(a.vd) && group(a.vs2) && group(a.vs1);
    (groups && apart(a.vs2) && apart(a.vs1)).then_some(shape)
}

/// Has every group of four elements be what `words` makes of vd, vs2 and vs1, or `doublewords` if they are such.
fn sha2<S: Sem>(
    s: &mut S,
    cx: &Cx,
    a: VVM,
    words: impl Fn(&mut S, [S::W; 3]) -> S::W,
    doublewords: impl Fn(&mut S, [[V<S, I64>; 4]; 3]) -> [V<S, I64>; 4],
) -> Flow<S> {
    if let Some(shape) = sha2_shape(cx, &a, 2) {
        return change(s, cx, |s| {
            for n in 0..shape.parts(2) {
                let args = [a.vd, a.vs2, a.vs1].map(|register| s.get_vector(shape.part(register, n)));
                let value = words(s, args);
                s.set_vector(shape.part(a.vd, n), value);
            }
        });
    }
    let Some(shape) = sha2_shape(cx, &a, 3).filter(|_| cx.has(Ext::Zvknhb)) else { return by_element(s, cx) };
    change(s, cx, |s| {
        for n in (0..shape.parts(3)).step_by(2) {
            let args = [a.vd, a.vs2, a.vs1].map(|register| {
                let parts = [n, n + 1].map(|n| s.get_vector(shape.part(register, n)));
                std::array::from_fn(|i| s.extract::<I64>(Lane::new(3, i as u8 % 2), parts[i / 2]))
            });
            let [p, q, r, t] = doublewords(s, args);
            for (n, low, high) in [(n, p, q), (n + 1, r, t)] {
                let low = s.splat(Ty::I64x2, low);
                let value = s.insert(Ty::I64x2, 1, low, high);
                s.set_vector(shape.part(a.vd, n), value);
            }
        }
    })
}

/// The sum of two rotations to the right and a third, or a shift.
fn sigma<S: Sem>(s: &mut S, v: V<S, I64>, [a, b, c]: [u64; 3], shifts: bool) -> V<S, I64> {
    let [a, b, c] = [a, b, c].map(|by| s.k(by));
    let (p, q) = (s.rotr(v, a), s.rotr(v, b));
    let r = if shifts { s.shru(v, c) } else { s.rotr(v, c) };
    let p = s.xor(p, q);
    s.xor(p, r)
}

/// Four doublewords of the message schedule: from those 16 before, parts of those 12 to 5 before, and the last four.
fn schedule_512<S: Sem>(s: &mut S, [old, middle, last]: [[V<S, I64>; 4]; 3]) -> [V<S, I64>; 4] {
    let next = [old[1], old[2], old[3], middle[0]];
    let mut new = old;
    for n in 0..4 {
        let two_before = if n < 2 { last[n + 2] } else { new[n - 2] };
        let seven_before = if n < 3 { middle[n + 1] } else { last[0] };
        let (later, earlier) = (sigma(s, two_before, [19, 61, 6], true), sigma(s, next[n], [1, 8, 7], true));
        let sum = s.add(later, seven_before);
        let sum = s.add(sum, old[n]);
        new[n] = s.add(sum, earlier);
    }
    new
}

/// Two rounds: from h, g, d, c and f, e, b, a and the sums of words and constants to f, e, b, a.
fn rounds_512<S: Sem>(
    s: &mut S,
    low: [V<S, I64>; 4],
    high: [V<S, I64>; 4],
    w: [V<S, I64>; 2],
) -> [V<S, I64>; 4] {
    let ([mut h, mut g, mut d, mut c], [mut f, mut e, mut b, mut a]) = (low, high);
    for w in w {
        // Ch and Maj with one operation fewer than the standard's.
        let differ = s.xor(f, g);
        let chosen = s.and(e, differ);
        let chosen = s.xor(chosen, g);
        let (either, both) = (s.or(a, b), s.and(a, b));
        let with_c = s.and(either, c);
        let majority = s.or(with_c, both);
        let t1 = sigma(s, e, [14, 18, 41], false);
        let t1 = s.add(t1, h);
        let t1 = s.add(t1, chosen);
        let t1 = s.add(t1, w);
        let t2 = sigma(s, a, [28, 34, 39], false);
        let t2 = s.add(t2, majority);
        (h, g, f, e) = (g, f, e, s.add(d, t1));
        (d, c, b, a) = (c, b, a, s.add(t1, t2));
    }
    [f, e, b, a]
}

/// SHA-2 message schedule.
pub fn vsha2ms_vv<S: Sem>(s: &mut S, cx: &Cx, a: VVM) -> Flow<S> {
    let words = |s: &mut S, [old, middle, last]: [S::W; 3]| {
        let sum = s.lanes(Op::Sha256, Ty::V128, Sha256::Schedule0 as u64, &[old, middle, middle]);
        let seven_before = s.shuffle(middle, last, std::array::from_fn(|i| 4 + i as u8));
        let sum = s.v2(Op::Add, Ty::I32x4, sum, seven_before);
        s.lanes(Op::Sha256, Ty::V128, Sha256::Schedule1 as u64, &[sum, last, last])
    };
    sha2(s, cx, a, words, schedule_512)
}

/// Two rounds by the words of the lower half of vs1, or of the upper.
fn rounds<S: Sem>(s: &mut S, cx: &Cx, a: VVM, upper: usize) -> Flow<S> {
    let words = |s: &mut S, [low, high, w]: [S::W; 3]| {
        let w = s.shuffle(w, w, std::array::from_fn(|i| (i + 8 * upper) as u8 % 16));
        s.lanes(Op::Sha256, Ty::V128, Sha256::Rounds as u64, &[low, high, w])
    };
    sha2(s, cx, a, words, |s, [low, high, w]| rounds_512(s, low, high, [w[2 * upper], w[2 * upper + 1]]))
}

/// SHA-2 rounds, upper words.
pub fn vsha2ch_vv<S: Sem>(s: &mut S, cx: &Cx, a: VVM) -> Flow<S> {
    rounds(s, cx, a, 1)
}

/// SHA-2 rounds, lower words.
pub fn vsha2cl_vv<S: Sem>(s: &mut S, cx: &Cx, a: VVM) -> Flow<S> {
    rounds(s, cx, a, 0)
}

/// What is moved up by a doubleword, or down.
fn doubleword<S: Sem>(s: &mut S, a: S::W, up: bool) -> S::W {
    s.shuffle(
        a,
        a,
        std::array::from_fn(|i| match (up, i) {
            (true, 8..) => i as u8 - 8,
            (false, ..8) => i as u8 + 8,
            _ => 32,
        }),
    )
}

/// The product of two elements of GCM's field, of which bit 0 is the lowest coefficient: NIST SP 800-38D, 6.3.
fn field_product<S: Sem>(s: &mut S, a: S::W, b: S::W) -> S::W {
    let product = |s: &mut S, which, a, b| s.lanes(Op::ClmulWide, Ty::V128, which, &[a, b]);
    let [low, high, one, other] = [0, 3, 1, 2].map(|which| product(s, which, a, b));
    let middle = xor(s, one, other);
    let (up, down) = (doubleword(s, middle, true), doubleword(s, middle, false));
    let (low, high) = (xor(s, low, up), xor(s, high, down));
    // x^128 is x^7 + x^2 + x + 1.
    let polynomial = s.vector(0x87);
    let top = product(s, 1, high, polynomial);
    let (top_up, top_down) = (doubleword(s, top, true), doubleword(s, top, false));
    let high = xor(s, high, top_down);
    let rest = product(s, 0, high, polynomial);
    let low = xor(s, low, top_up);
    xor(s, low, rest)
}

/// The product of what memory has as elements of the field.
fn hashed<S: Sem>(s: &mut S, a: S::W, b: S::W) -> S::W {
    let (a, b) = (bytes_reversed(s, a), bytes_reversed(s, b));
    let value = field_product(s, a, b);
    bytes_reversed(s, value)
}

/// Multiply in GCM's field.
pub fn vgmul_vv<S: Sem>(s: &mut S, cx: &Cx, a: V2W) -> Flow<S> {
    blocks(s, cx, (a.vd, a.vs2, false), |s, hash, key| hashed(s, hash, key))
}

/// Add and multiply in GCM's field.
pub fn vghsh_vv<S: Sem>(s: &mut S, cx: &Cx, a: VVM) -> Flow<S> {
    let legal = |shape: &Shape| [a.vd, a.vs2, a.vs1].iter().all(|register| shape.is_group(*register, 2));
    let Some(shape) = shape(cx, 2).filter(legal) else { return by_element(s, cx) };
    change(s, cx, |s| {
        for n in 0..shape.parts(2) {
            let [hash, key, text] =
                [a.vd, a.vs2, a.vs1].map(|register| s.get_vector(shape.part(register, n)));
            let sum = xor(s, hash, text);
            let value = hashed(s, sum, key);
            s.set_vector(shape.part(a.vd, n), value);
        }
    })
}

//! Scalar cryptography: chapter 32 (Zkne, Zknd, Zknh, Zksed, Zksh).

use super::{Cx, binary, fall, set_x, unary, x};
use crate::helpers;
use crate::isa::{Ks1, R, R2, Sm4};
use tcg_core::cpu::HelperId;
use tcg_core::ir::Op;
use tcg_core::sem::{Aes, Flow, Lane, Sem, V};
use tcg_core::ty::{I32, Int, Ty};

/// One step of a round on a whole state.
fn step<S: Sem>(s: &mut S, kind: Aes, state: S::W) -> S::W {
    s.lanes(Op::Aes, Ty::V128, kind as u64, &[state])
}

/// The lower half of the state that `steps` make of rs1 and, above it, rs2.
fn round<S: Sem>(s: &mut S, a: R, steps: &[Aes]) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let state = s.splat(Ty::I64x2, v);
        let mut state = s.insert(Ty::I64x2, 1, state, w);
        for kind in steps {
            state = step(s, *kind, state);
        }
        s.extract(Lane::new(3, 0), state)
    })
}

/// The last round of encryption.
pub fn aes64es<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    round(s, a, &[Aes::Sub])
}

/// A round of encryption.
pub fn aes64esm<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    round(s, a, &[Aes::Sub, Aes::Mix])
}

/// The last round of decryption.
pub fn aes64ds<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    round(s, a, &[Aes::InvSub])
}

/// A round of decryption.
pub fn aes64dsm<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    round(s, a, &[Aes::InvSub, Aes::InvMix])
}

/// Inverse MixColumns of two columns.
pub fn aes64im<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    unary(s, a, |s, v| {
        let columns = s.splat(Ty::I64x2, v);
        let columns = step(s, Aes::InvMix, columns);
        s.extract(Lane::new(3, 0), columns)
    })
}

/// The first part of the key schedule: the substituted upper word, rotated and with a round's constant unless it is
/// step 10, twice.
pub fn aes64ks1i<S: Sem>(s: &mut S, _: &Cx, a: Ks1) -> Flow<S> {
    const CONSTANTS: [u64; 11] = [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36, 0];
    let (v, top, eight) = (x(s, a.rs1), s.k(32), s.k(8));
    let word = s.shru(v, top);
    let word = s.trunc(word);
    // Columns that are alike: moving rows does nothing.
    let columns = s.splat(Ty::I32x4, word);
    let columns = step(s, Aes::Sub, columns);
    let word = s.extract::<I32>(Lane::new(2, 0), columns);
    let word = if a.rnum == 10 { word } else { s.rotr(word, eight) };
    let constant = s.k(CONSTANTS[usize::from(a.rnum).min(10)]);
    let word = s.xor(word, constant);
    let low = s.zextw(word);
    let high = s.shl(low, top);
    let v = s.or(low, high);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// The second part: each word becomes its sum with the word before.
pub fn aes64ks2<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let top = s.k(32);
        let before = s.shru(v, top);
        let low = s.xor(before, w);
        let low = s.zext(low, 32);
        let above = s.shl(low, top);
        let (mask, all) = (s.k(!0 << 32), s.xor(above, w));
        let high = s.and(all, mask);
        s.or(low, high)
    })
}

/// `v` rotated right by the first two numbers of bits, and by the third, or shifted with zeros if `shifts`.
fn sigma<S: Sem, T: Int>(s: &mut S, v: V<S, T>, [a, b, c]: [u64; 3], shifts: bool) -> V<S, T> {
    let (a, b, c) = (s.k(a), s.k(b), s.k(c));
    let (a, b, c) = (s.rotr(v, a), s.rotr(v, b), if shifts { s.shru(v, c) } else { s.rotr(v, c) });
    let v = s.xor(a, b);
    s.xor(v, c)
}

fn word_sigma<S: Sem>(s: &mut S, a: R2, by: [u64; 3], shifts: bool) -> Flow<S> {
    unary(s, a, |s, v| {
        let v = s.trunc(v);
        let v = sigma(s, v, by, shifts);
        s.sextw(v)
    })
}

macro_rules! sigmas {
    ($how:expr; $($name:ident $by:expr, $shifts:literal;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`: FIPS 180-4, 4.1.")]
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
            $how(s, a, $by, $shifts)
        }
    )* };
}

sigmas! { word_sigma;
    sha256sum0 [2, 13, 22], false;
    sha256sum1 [6, 11, 25], false;
    sha256sig0 [7, 18, 3], true;
    sha256sig1 [17, 19, 10], true;
}

sigmas! { |s, a, by, shifts| unary(s, a, |s, v| sigma(s, v, by, shifts));
    sha512sum0 [28, 34, 39], false;
    sha512sum1 [14, 18, 41], false;
    sha512sig0 [1, 8, 7], true;
    sha512sig1 [19, 61, 6], true;
}

/// `v` and what it is rotated left by two numbers of bits.
fn permuted<S: Sem>(s: &mut S, a: R2, by: [u64; 2]) -> Flow<S> {
    unary(s, a, |s, v| {
        let v = s.trunc(v);
        let (a, b) = (s.k(32 - by[0]), s.k(32 - by[1]));
        let (a, b) = (s.rotr(v, a), s.rotr(v, b));
        let v = s.xor(v, a);
        let v = s.xor(v, b);
        s.sextw(v)
    })
}

/// P0 of SM3.
pub fn sm3p0<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    permuted(s, a, [9, 17])
}

/// P1 of SM3.
pub fn sm3p1<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    permuted(s, a, [15, 23])
}

/// rs1 plus what byte `bs` of rs2 gives to a word.
fn sm4<S: Sem>(s: &mut S, a: Sm4, spread: HelperId) -> Flow<S> {
    let (v, w, at) = (x(s, a.rs1), x(s, a.rs2), 8 * u64::from(a.bs));
    let (right, left) = (s.k(at), s.k((32 - at) & 31));
    let byte = s.shru(w, right);
    let byte = s.zext(byte, 8);
    let word = s.call(spread, &[byte])?;
    let word = s.trunc(word);
    let (word, v) = (s.rotr(word, left), s.trunc(v));
    let v = s.xor(v, word);
    let v = s.sextw(v);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// A quarter of a round.
pub fn sm4ed<S: Sem>(s: &mut S, _: &Cx, a: Sm4) -> Flow<S> {
    sm4(s, a, helpers::SM4_ROUND)
}

/// A quarter of a step of the key schedule.
pub fn sm4ks<S: Sem>(s: &mut S, _: &Cx, a: Sm4) -> Flow<S> {
    sm4(s, a, helpers::SM4_KEY)
}

//! Cryptography and polynomial products: C4.1.96.

use super::{Part, get, put, soft};
use crate::crypto::Crypto;
use crate::helpers;
use crate::isa::{Sm3T, V3, VB4, VD2, VD3, VPmull, Xar};
use crate::sem::Cx;
use crate::simd::Soft;
use tcg_core::ir::Op;
use tcg_core::sem::{Aes, Flow, Sem};
use tcg_core::ty::Ty;

fn aes<S: Sem>(s: &mut S, a: VD2, step: Aes) -> Flow<S> {
    let n = get(s, a.rn);
    let n = match step {
        Aes::Sub | Aes::InvSub => {
            let d = get(s, a.rd);
            s.v2(Op::Xor, Ty::V128, d, n)
        }
        Aes::Mix | Aes::InvMix => n,
    };
    let v = s.lanes(Op::Aes, Ty::V128, step as u64, &[n]);
    put(s, 1, a.rd, v)
}

/// AES round: key, bytes and rows.
pub fn aese<S: Sem>(s: &mut S, _: &Cx, a: VD2) -> Flow<S> {
    aes(s, a, Aes::Sub)
}

/// AES inverse round: key, bytes and rows.
pub fn aesd<S: Sem>(s: &mut S, _: &Cx, a: VD2) -> Flow<S> {
    aes(s, a, Aes::InvSub)
}

/// AES round: columns.
pub fn aesmc<S: Sem>(s: &mut S, _: &Cx, a: VD2) -> Flow<S> {
    aes(s, a, Aes::Mix)
}

/// AES inverse round: columns.
pub fn aesimc<S: Sem>(s: &mut S, _: &Cx, a: VD2) -> Flow<S> {
    aes(s, a, Aes::InvMix)
}

/// Polynomial product of doublewords.
pub fn pmull_d<S: Sem>(s: &mut S, _: &Cx, a: VPmull) -> Flow<S> {
    let (n, m) = (get(s, a.rn), get(s, a.rm));
    let v = s.lanes(Op::ClmulWide, Ty::V128, if a.q == 1 { 3 } else { 0 }, &[n, m]);
    put(s, 1, a.rd, v)
}

/// Polynomial product of bytes.
pub fn pmul_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    let (n, m, part) = (get(s, a.rn), get(s, a.rm), Part::of(a.q));
    let v = soft(s, Soft::Pmul, (a.size, part), &[n, m]);
    part.put(s, a.rd, v)
}

/// Polynomial product of bytes, in halfwords.
pub fn pmull_v<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    let [n, m] = [a.rn, a.rm].map(|r| {
        let v = get(s, r);
        if a.q == 0 { v } else { s.shuffle(v, v, std::array::from_fn(|n| (n as u8 + 8) % 16)) }
    });
    let v = soft(s, Soft::PmulLong, (a.size, Part::All), &[n, m]);
    put(s, 1, a.rd, v)
}

fn step<S: Sem>(s: &mut S, op: Crypto, index: u8, rd: u8, args: &[S::W]) -> Flow<S> {
    let v = s.call_vector(helpers::CRYPTO, op.pack(index), args);
    put(s, 1, rd, v)
}

macro_rules! three {
    ($($(#[$doc:meta])* $name:ident = $op:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: VD3) -> Flow<S> {
            let (d, n, m) = (get(s, a.rd), get(s, a.rn), get(s, a.rm));
            step(s, Crypto::$op, 0, a.rd, &[d, n, m])
        }
    )* };
}

three! {
    /// SHA-1 rounds that choose.
    sha1c = Sha1Choose;
    /// SHA-1 rounds of parity.
    sha1p = Sha1Parity;
    /// SHA-1 rounds of the majority.
    sha1m = Sha1Majority;
    /// SHA-1 schedule, first part.
    sha1su0 = Sha1Schedule0;
    /// SHA-256 rounds, first half of the state.
    sha256h = Sha256Hash;
    /// SHA-256 rounds, second half.
    sha256h2 = Sha256Hash2;
    /// SHA-256 schedule, second part.
    sha256su1 = Sha256Schedule1;
    /// SM3 schedule, first part.
    sm3partw1 = Sm3Part1;
    /// SM3 schedule, second part.
    sm3partw2 = Sm3Part2;
}

macro_rules! two {
    ($($(#[$doc:meta])* $name:ident = $op:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: VD2) -> Flow<S> {
            let (d, n) = (get(s, a.rd), get(s, a.rn));
            step(s, Crypto::$op, 0, a.rd, &[d, n])
        }
    )* };
}

two! {
    /// SHA-1 schedule, second part.
    sha1su1 = Sha1Schedule1;
    /// SHA-256 schedule, first part.
    sha256su0 = Sha256Schedule0;
    /// SM4 rounds.
    sm4e = Sm4Rounds;
}

/// SM4 keys.
pub fn sm4ekey<S: Sem>(s: &mut S, _: &Cx, a: VD3) -> Flow<S> {
    let (n, m) = (get(s, a.rn), get(s, a.rm));
    step(s, Crypto::Sm4Keys, 0, a.rd, &[n, m])
}

/// A word turned left by 30.
pub fn sha1h<S: Sem>(s: &mut S, _: &Cx, a: VD2) -> Flow<S> {
    let n = get(s, a.rn);
    let v = turned_right(s, Ty::I32x4, n, 2);
    Part::Scalar(2).put(s, a.rd, v)
}

/// Lanes turned right, 0 to one less than their bits.
pub(super) fn turned_right<S: Sem>(s: &mut S, ty: Ty, v: S::W, by: u32) -> S::W {
    if by == 0 {
        return v;
    }
    let (low, high) =
        (s.shift_lanes(Op::ShrU, ty, v, by), s.shift_lanes(Op::Shl, ty, v, ty.lane_bits() - by));
    s.v2(Op::Or, Ty::V128, low, high)
}

/// Exclusive or of three.
pub fn eor3<S: Sem>(s: &mut S, _: &Cx, a: VB4) -> Flow<S> {
    let (n, m, b) = (get(s, a.rn), get(s, a.rm), get(s, a.ra));
    let v = s.v2(Op::Xor, Ty::V128, n, m);
    let v = s.v2(Op::Xor, Ty::V128, v, b);
    put(s, 1, a.rd, v)
}

/// Exclusive or with what one has and the other does not.
pub fn bcax<S: Sem>(s: &mut S, _: &Cx, a: VB4) -> Flow<S> {
    let (n, m, b) = (get(s, a.rn), get(s, a.rm), get(s, a.ra));
    let v = s.v2(Op::AndNot, Ty::V128, m, b);
    let v = s.v2(Op::Xor, Ty::V128, n, v);
    put(s, 1, a.rd, v)
}

/// Exclusive or with doublewords turned left by one.
pub fn rax1<S: Sem>(s: &mut S, _: &Cx, a: VD3) -> Flow<S> {
    let (n, m) = (get(s, a.rn), get(s, a.rm));
    let m = turned_right(s, Ty::I64x2, m, 63);
    let v = s.v2(Op::Xor, Ty::V128, n, m);
    put(s, 1, a.rd, v)
}

/// Exclusive or, of which doublewords are turned right.
pub fn xar<S: Sem>(s: &mut S, _: &Cx, a: Xar) -> Flow<S> {
    let (n, m) = (get(s, a.rn), get(s, a.rm));
    let v = s.v2(Op::Xor, Ty::V128, n, m);
    let v = turned_right(s, Ty::I64x2, v, a.imm.into());
    put(s, 1, a.rd, v)
}

/// SM3: a sum, turned.
pub fn sm3ss1<S: Sem>(s: &mut S, _: &Cx, a: VB4) -> Flow<S> {
    let (n, m, b) = (get(s, a.rn), get(s, a.rm), get(s, a.ra));
    step(s, Crypto::Sm3Rotate, 0, a.rd, &[n, m, b])
}

macro_rules! sm3_rounds {
    ($($(#[$doc:meta])* $name:ident = $op:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: Sm3T) -> Flow<S> {
            let (d, n, m) = (get(s, a.rd), get(s, a.rn), get(s, a.rm));
            step(s, Crypto::$op, a.imm, a.rd, &[d, n, m])
        }
    )* };
}

sm3_rounds! {
    /// SM3 round, first half, rounds 0 to 15.
    sm3tt1a = Sm3Tt1a;
    /// SM3 round, first half, later.
    sm3tt1b = Sm3Tt1b;
    /// SM3 round, second half, rounds 0 to 15.
    sm3tt2a = Sm3Tt2a;
    /// SM3 round, second half, later.
    sm3tt2b = Sm3Tt2b;
}

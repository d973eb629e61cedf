//! Cryptography and carry-less products: C4.1.96.

use super::{get, put};
use crate::isa::{VD2, VPmull};
use crate::sem::Cx;
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

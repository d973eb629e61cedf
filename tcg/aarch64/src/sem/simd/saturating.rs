//! What saturates and raises FPSR.QC, and shifts by registers: C4.1.96.

use super::{get, put, put_half, soft};
use crate::isa::{V2, V3};
use crate::sem::Cx;
use crate::simd::Soft;
use tcg_core::sem::{Flow, Sem};

macro_rules! soft_three {
    ($($(#[$doc:meta])* $name:ident = $op:ident;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
            let (n, m) = (get(s, a.rn), get(s, a.rm));
            let v = soft(s, Soft::$op, (a.size, a.q), &[n, m]);
            put(s, a.q, a.rd, v)
        }
    )* };
}

soft_three! {
    /// Signed sum, saturating.
    sqadd_v = Sqadd;
    /// Unsigned sum, saturating.
    uqadd_v = Uqadd;
    /// Signed difference, saturating.
    sqsub_v = Sqsub;
    /// Unsigned difference, saturating.
    uqsub_v = Uqsub;
    /// Signed shift.
    sshl_v = Sshl;
    /// Unsigned shift.
    ushl_v = Ushl;
    /// Signed shift, saturating.
    sqshl_v = Sqshl;
    /// Unsigned shift, saturating.
    uqshl_v = Uqshl;
    /// Signed shift, rounding.
    srshl_v = Srshl;
    /// Unsigned shift, rounding.
    urshl_v = Urshl;
    /// Signed shift, saturating and rounding.
    sqrshl_v = Sqrshl;
    /// Unsigned shift, saturating and rounding.
    uqrshl_v = Uqrshl;
    /// Polynomial product.
    pmul_v = Pmul;
    /// High half of the doubled product, saturating.
    sqdmulh_v = Sqdmulh;
    /// High half of the doubled product, saturating and rounding.
    sqrdmulh_v = Sqrdmulh;
}

fn soft_two<S: Sem>(s: &mut S, a: V2, op: Soft) -> Flow<S> {
    let n = get(s, a.rn);
    let v = soft(s, op, (a.size, a.q), &[n]);
    put(s, a.q, a.rd, v)
}

/// Absolute value, saturating.
pub fn sqabs_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    soft_two(s, a, Soft::Sqabs)
}

/// Negative, saturating.
pub fn sqneg_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    soft_two(s, a, Soft::Sqneg)
}

fn soft_narrow<S: Sem>(s: &mut S, a: V2, op: Soft) -> Flow<S> {
    let n = get(s, a.rn);
    let v = soft(s, op, (a.size, 1), &[n]);
    put_half(s, a.q, a.rd, v)
}

/// Narrowed, signed, saturating.
pub fn sqxtn_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    soft_narrow(s, a, Soft::Sqxtn)
}

/// Narrowed, signed to unsigned, saturating.
pub fn sqxtun_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    soft_narrow(s, a, Soft::Sqxtun)
}

/// Narrowed, unsigned, saturating.
pub fn uqxtn_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    soft_narrow(s, a, Soft::Uqxtn)
}

//! Advanced SIMD: C4.1.96.

mod across;
mod crypto;
mod element;
mod float;
mod lanes;
mod long;
mod memory;
mod moves;
mod saturating;
mod shift;

pub use across::*;
pub use crypto::*;
pub use element::*;
pub use float::*;
use lanes::difference;
pub use lanes::*;
pub use long::*;
pub use memory::*;
pub use moves::*;
pub use saturating::*;
pub use shift::*;

use super::fall;
use crate::cpu;
use crate::helpers;
use crate::simd::Soft;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Sem, widen};
use tcg_core::ty::{F64, I64, Ty};

/// The value of `v[n]`.
pub(super) fn get<S: Sem>(s: &mut S, n: u8) -> S::W {
    s.get_vector(cpu::v(n))
}

/// `v` with zeros above its low half.
pub(super) fn lower<S: Sem>(s: &mut S, v: S::W) -> S::W {
    let (low, zero) = (s.extract::<F64>(Lane::new(3, 0), v), s.vector(0));
    s.insert(Ty::F64x2, 0, zero, low)
}

/// `v[rd]` becomes `v`, of which without `q` only the low half counts.
pub(super) fn put<S: Sem>(s: &mut S, q: u8, rd: u8, v: S::W) -> Flow<S> {
    let v = if q == 0 { lower(s, v) } else { v };
    s.set_vector(cpu::v(rd), v);
    fall::<S>()
}

/// An operation in software.
pub(super) fn soft<S: Sem>(s: &mut S, op: Soft, (size, q): (u8, u8), args: &[S::W]) -> S::W {
    s.call_vector(helpers::SIMD, op.pack(size, 8 << q), args)
}

/// Numbers of the bytes of even or odd lanes of two vectors one after the other.
pub(super) fn alternate(size: u8, q: u8, odd: usize) -> [u8; 16] {
    let (bytes, half) = (1usize << size, (8usize << q) / 2);
    std::array::from_fn(|n| {
        let (vector, at) = (n / half % 2, n % half);
        let lane = at / bytes * 2 + odd;
        (16 * vector + lane * bytes + at % bytes) as u8
    })
}

/// `narrow`, whose low half counts, becomes the low half of `v[rd]` with zeros above, or with `q` the high half.
pub(super) fn put_half<S: Sem>(s: &mut S, q: u8, rd: u8, narrow: S::W) -> Flow<S> {
    if q == 0 {
        return put(s, 0, rd, narrow);
    }
    let (low, d) = (s.extract::<I64>(Lane::new(3, 0), narrow), get(s, rd));
    let v = s.insert(Ty::I64x2, 1, d, low);
    put(s, 1, rd, v)
}

/// The low half of `v[n]`, or with `q` the high one, in lanes twice as wide as `1 << size` bytes.
pub(super) fn widened<S: Sem>(s: &mut S, (size, q): (u8, u8), n: u8, signed: bool) -> S::W {
    let v = get(s, n);
    let imm = if signed { widen::SIGNED } else { 0 } | if q == 1 { widen::HIGH } else { 0 };
    s.lanes(Op::Widen, Ty::int_lanes(size + 1), imm, &[v])
}

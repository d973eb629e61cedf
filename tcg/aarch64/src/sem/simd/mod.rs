//! Advanced SIMD: C4.1.96.

mod across;
mod complex;
mod convert;
mod crypto;
mod dot;
mod element;
mod estimate;
mod float;
mod lanes;
mod long;
mod memory;
mod moves;
mod saturating;
mod sha512;
mod shift;

pub use across::*;
pub use complex::*;
pub use convert::*;
pub use crypto::*;
pub use dot::*;
pub use element::*;
pub use estimate::*;
pub use float::*;
pub use lanes::*;
pub use long::*;
pub use memory::*;
pub use moves::*;
pub use saturating::*;
pub use sha512::*;
pub use shift::*;

use super::fall;
use crate::cpu;
use crate::helpers;
use crate::simd::Soft;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Sem, widen};
use tcg_core::ty::{F64, I64, Ty};

/// How much of a register an instruction works on, from the lowest bit; the rest of its result is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A scalar of `1 << size` bytes.
    Scalar(u8),
    /// 64 bits.
    Half,
    /// All 128 bits.
    All,
}

impl Part {
    /// What field `q` says.
    pub(super) const fn of(q: u8) -> Self {
        if q == 0 { Self::Half } else { Self::All }
    }

    /// Its bytes.
    pub(super) const fn bytes(self) -> u8 {
        match self {
            Self::Scalar(size) => 1 << size,
            Self::Half => 8,
            Self::All => 16,
        }
    }

    /// Its bits, set.
    pub(super) const fn mask(self) -> u128 {
        u128::MAX >> (128 - 8 * self.bytes() as u32)
    }

    /// `v` with zeros above it.
    pub(super) fn of_vector<S: Sem>(self, s: &mut S, v: S::W) -> S::W {
        match self {
            Self::All => v,
            Self::Half | Self::Scalar(3) => {
                let (low, zero) = (s.extract::<F64>(Lane::new(3, 0), v), s.vector(0));
                s.insert(Ty::F64x2, 0, zero, low)
            }
            Self::Scalar(_) => {
                let mask = s.vector(self.mask());
                s.v2(Op::And, Ty::V128, v, mask)
            }
        }
    }

    /// `v[rd]` becomes what it has of `v`.
    pub(super) fn put<S: Sem>(self, s: &mut S, rd: u8, v: S::W) -> Flow<S> {
        let v = self.of_vector(s, v);
        s.set_vector(cpu::v(rd), v);
        fall::<S>()
    }

    /// FPSR.QC is set if a bit of it is set in `differs`.
    pub(super) fn note_saturation<S: Sem>(self, s: &mut S, differs: S::W) {
        let (differs, old) = (self.of_vector(s, differs), s.get_vector(cpu::QC));
        let all = s.v2(Op::Or, Ty::V128, old, differs);
        s.set_vector(cpu::QC, all);
    }
}

/// The value of `v[n]`.
pub(super) fn get<S: Sem>(s: &mut S, n: u8) -> S::W {
    s.get_vector(cpu::v(n))
}

/// `v[rd]` becomes `v`, of which without `q` only the low half counts.
pub(super) fn put<S: Sem>(s: &mut S, q: u8, rd: u8, v: S::W) -> Flow<S> {
    Part::of(q).put(s, rd, v)
}

/// An operation in software.
pub(super) fn soft<S: Sem>(s: &mut S, op: Soft, (size, part): (u8, Part), args: &[S::W]) -> S::W {
    s.call_vector(helpers::SIMD, op.pack(size, part.bytes()), args)
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

/// The low half of `v`, or with `q` the high one, in lanes twice as wide as `1 << size` bytes.
pub(super) fn widened<S: Sem>(s: &mut S, (size, q): (u8, u8), v: S::W, signed: bool) -> S::W {
    let imm = if signed { widen::SIGNED } else { 0 } | if q == 1 { widen::HIGH } else { 0 };
    s.lanes(Op::Widen, Ty::int_lanes(size + 1), imm, &[v])
}

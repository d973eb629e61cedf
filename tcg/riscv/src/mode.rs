//! The mode bits of a translation ([`tcg_core::guest::Context::mode`]): everything in the CSRs that decoding and the
//! semantics functions look at.
//!
//! | bits | what |
//! |---|---|
//! | 0..=1 | privilege |
//! | 2..=3 | `mstatus.FS`, Initial counted as Clean |
//! | 4..=6 | `frm` |
//! | 7..=8 | `mstatus.VS`, Initial counted as Clean |
//! | 9..=13 | whether vector instructions work on whole registers, all of them; then SEW and LMUL ([`whole_vectors`]) |
//! | 15 | instructions are counted |
//! | 16..=31 | the hart's features, by their number in this process ([`Features::numbered`]) |

use crate::csr::bits::mstatus;
use crate::csr::{Csrs, Priv};
use crate::features::{Ext, Features};
use crate::vector;
use tcg_core::sem::Rm;

const FS_SHIFT: u32 = 2;
const FRM_SHIFT: u32 = 4;
const COUNTING_SHIFT: u32 = 15;
const VS_SHIFT: u32 = 7;
const VECTOR_SHIFT: u32 = 9;
const FEATURES_SHIFT: u32 = 16;

/// State of the float unit, `mstatus.FS`, or of the vector unit, `mstatus.VS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fs {
    /// Its instructions are illegal.
    Off,
    /// As memory has it.
    Clean,
    /// Changed since it was loaded.
    Dirty,
}

/// The mode of the present state.
pub fn of(csr: &Csrs) -> u64 {
    let fs = match (csr.mstatus & mstatus::FS) >> mstatus::FS_SHIFT {
        1 => 2,
        fs => fs,
    };
    let counting = u64::from(csr.counters.counting()) << COUNTING_SHIFT;
    let vs = match (csr.mstatus & mstatus::VS) >> mstatus::VS_SHIFT {
        1 => 2,
        vs => vs,
    };
    let vector = vs << VS_SHIFT | vector_shape(csr) << VECTOR_SHIFT;
    csr.features.number() << FEATURES_SHIFT
        | counting
        | vector
        | csr.frm << FRM_SHIFT
        | fs << FS_SHIFT
        | csr.privilege as u64
}

/// SEW and LMUL if every element that they have room for takes part, and LMUL is no fraction.
fn vector_shape(csr: &Csrs) -> u64 {
    let v = &csr.vector;
    let (sew, lmul) = (v.vtype >> 3 & 3, v.vtype & 7);
    let whole = v.vstart == 0 && lmul < 4 && v.vl != 0 && v.vl == vector::vlmax(v.vtype, &csr.features);
    if whole { 1 | sew << 1 | lmul << 3 } else { 0 }
}

/// log2 of SEW in bytes and of LMUL, if vector instructions work on whole registers.
pub fn whole_vectors(mode: u64) -> Option<(u8, u8)> {
    let shape = mode >> VECTOR_SHIFT;
    (shape & 1 != 0).then_some(((shape >> 1 & 3) as u8, (shape >> 3 & 3) as u8))
}

/// State of the vector unit.
pub fn vs(mode: u64) -> Fs {
    state(mode >> VS_SHIFT)
}

/// Privilege.
pub fn privilege(mode: u64) -> Priv {
    Priv::from_bits(mode)
}

/// State of the float unit.
pub fn fs(mode: u64) -> Fs {
    state(mode >> FS_SHIFT)
}

fn state(field: u64) -> Fs {
    match field & 3 {
        0 => Fs::Off,
        3 => Fs::Dirty,
        _ => Fs::Clean,
    }
}

/// The dynamic rounding mode; `None` if `frm` holds a reserved one.
pub fn frm(mode: u64) -> Option<Rm> {
    Rm::from_bits(mode >> FRM_SHIFT & 7)
}

/// Whether instructions are counted.
pub fn counting(mode: u64) -> bool {
    mode >> COUNTING_SHIFT & 1 != 0
}

/// The rounding mode that the float unit is in.
pub fn rounding(mode: u64) -> Rm {
    frm(mode).unwrap_or(Rm::Rne)
}

/// What the hart has.
#[inline]
pub fn features(mode: u64) -> &'static Features {
    Features::numbered(mode >> FEATURES_SHIFT & 0xffff)
}

/// Whether an extension is there.
pub fn has(mode: u64, ext: Ext) -> bool {
    features(mode).has(ext)
}

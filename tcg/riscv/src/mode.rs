//! The mode bits of a translation ([`tcg_core::guest::Context::mode`]): everything in the CSRs that decoding and the
//! semantics functions look at.
//!
//! | bits | what |
//! |---|---|
//! | 0..=1 | privilege |
//! | 2..=3 | `mstatus.FS`, Initial counted as Clean |
//! | 4..=6 | `frm` |
//! | 7..=8 | `mstatus.VS`, Initial counted as Clean |
//! | 9..=14 | `vtype`: LMUL, SEW, `vill` ([`vectors`]) |
//! | 15 | instructions are counted |
//! | 16..=31 | the hart's features, by their number in this process ([`Features::numbered`]) |
//! | 32 | `vl` is VLMAX |
//! | 33 | `vstart` is not zero |
//! | 34..=35 | `vxrm` |

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
/// In the bits of `vtype`.
const VILL: u64 = 1 << 5;
const WHOLE: u64 = 1 << 32;
const RESUMES: u64 = 1 << 33;
const VXRM_SHIFT: u32 = 34;

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
    let vector = vs << VS_SHIFT | vector_state(csr);
    csr.features.number() << FEATURES_SHIFT
        | counting
        | vector
        | csr.frm << FRM_SHIFT
        | fs << FS_SHIFT
        | csr.privilege as u64
}

/// What vector instructions are translated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vectors {
    /// log2 of SEW in bytes.
    pub sew: u8,
    /// log2 of LMUL.
    pub lmul: i8,
    /// VLMAX.
    pub vlmax: u64,
    /// `vl` is VLMAX; else it is less.
    pub whole: bool,
}

fn vector_bits(vtype: u64, whole: bool) -> u64 {
    let bits = if vtype & vector::VILL != 0 { VILL } else { vtype & 0x1f };
    bits << VECTOR_SHIFT | if whole { WHOLE } else { 0 }
}

fn vector_state(csr: &Csrs) -> u64 {
    let v = &csr.vector;
    let whole = v.vl != 0 && v.vl == vector::vlmax(v.vtype, &csr.features);
    vector_bits(v.vtype, whole) | v.vxrm << VXRM_SHIFT | if v.vstart != 0 { RESUMES } else { 0 }
}

/// The mode after `vtype`, a legal one, and `vl`.
pub fn with_vtype(mode: u64, vtype: u64, whole: bool) -> u64 {
    mode & !(0x3f << VECTOR_SHIFT | WHOLE) | vector_bits(vtype, whole)
}

/// Whether vector instructions do not begin with element 0.
pub fn resumes(mode: u64) -> bool {
    mode & RESUMES != 0
}

/// How vector instructions work that begin with element 0; `None` if they are illegal, or begin elsewhere.
pub fn vectors(mode: u64) -> Option<Vectors> {
    let vtype = mode >> VECTOR_SHIFT & 0x3f;
    if vtype & VILL != 0 || mode & RESUMES != 0 {
        return None;
    }
    let lmul = (vtype & 7) as i8;
    Some(Vectors {
        sew: (vtype >> 3 & 3) as u8,
        lmul: if lmul < 4 { lmul } else { lmul - 8 },
        vlmax: vector::vlmax(vtype, features(mode)),
        whole: mode & WHOLE != 0,
    })
}

/// State of the vector unit.
pub fn vs(mode: u64) -> Fs {
    state(mode >> VS_SHIFT)
}

/// How fixed-point instructions round: the values of `vxrm`, 31.3.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedRounding {
    /// To nearest, up in the middle.
    Up,
    /// To nearest, to even in the middle.
    Even,
    /// Down.
    Down,
    /// To odd.
    Odd,
}

/// The rounding of fixed-point instructions.
pub fn fixed_rounding(mode: u64) -> FixedRounding {
    match mode >> VXRM_SHIFT & 3 {
        0 => FixedRounding::Up,
        1 => FixedRounding::Even,
        2 => FixedRounding::Down,
        _ => FixedRounding::Odd,
    }
}

/// Whether the vector unit's state is dirty.
pub fn is_dirty(mode: u64) -> bool {
    vs(mode) == Fs::Dirty
}

/// Whether the float unit's state is dirty and its dynamic rounding mode a legal one.
pub fn float_ready(mode: u64) -> bool {
    fs(mode) == Fs::Dirty && frm(mode).is_some()
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

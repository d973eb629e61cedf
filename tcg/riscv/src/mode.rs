//! The mode bits of a translation ([`tcg_core::guest::Context::mode`]): everything in the CSRs that decoding and the
//! semantics functions look at.
//!
//! | bits | what |
//! |---|---|
//! | 0..=1 | privilege |
//! | 2..=3 | `mstatus.FS`, Initial counted as Clean |
//! | 4..=6 | `frm` |
//! | 15 | instructions are counted |
//! | 16..=63 | extensions that instructions depend on, by number ([`Ext::INSTRUCTION_EXTS`]) |

use crate::csr::bits::mstatus;
use crate::csr::{Csrs, Priv};
use crate::features::Ext;
use tcg_core::sem::Rm;

const FS_SHIFT: u32 = 2;
const FRM_SHIFT: u32 = 4;
const COUNTING_SHIFT: u32 = 15;
const EXT_SHIFT: u32 = 16;

const _: () = assert!(Ext::INSTRUCTION_EXTS <= u64::BITS - EXT_SHIFT, "mode has a bit for each");

/// State of the float unit, `mstatus.FS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fs {
    /// Float instructions are illegal.
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
    (csr.features.bits() as u64) << EXT_SHIFT
        | counting
        | csr.frm << FRM_SHIFT
        | fs << FS_SHIFT
        | csr.privilege as u64
}

/// Privilege.
pub fn privilege(mode: u64) -> Priv {
    Priv::from_bits(mode)
}

/// State of the float unit.
pub fn fs(mode: u64) -> Fs {
    match mode >> FS_SHIFT & 3 {
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

/// Whether an extension that instructions depend on is there.
pub fn has(mode: u64, ext: Ext) -> bool {
    mode >> (EXT_SHIFT + ext as u32) & 1 != 0
}

//! The mode bits of a translation ([`tcg_core::guest::Context::mode`]): everything in the system registers that decoding and
//! the semantics functions look at.
//!
//! | bits | what |
//! |---|---|
//! | 0..=1 | exception level |
//! | 2..=3 | FPCR.RMode |
//! | 4 | FPCR.FZ |
//! | 5 | FPCR.DN |
//! | 6 | FPCR.FZ16 |
//! | 7 | FPCR.AHP |
//! | 8 | SIMD and floating point are on |
//! | 9 | identification registers answer at EL0 |
//! | 10 | FPCR.EBF |
//! | 16..=63 | extensions, by number |

use crate::features::Ext;
use crate::sysreg::{System, fpcr};
use tcg_core::sem::{FloatMode, Rm};
use tcg_core::ty::Ty;

const RMODE_SHIFT: u32 = 2;
const FZ: u64 = 1 << 4;
const DN: u64 = 1 << 5;
const FZ16: u64 = 1 << 6;
const AHP: u64 = 1 << 7;
const FP_ON: u64 = 1 << 8;
const USER_IDS: u64 = 1 << 9;
const EBF: u64 = 1 << 10;
const EXT_SHIFT: u32 = 16;

const _: () = assert!(Ext::COUNT <= u64::BITS - EXT_SHIFT, "mode has a bit for each");

/// The mode of the present state.
pub fn of(system: &System) -> u64 {
    let control = system.fpcr;
    let bits = [(fpcr::FZ, FZ), (fpcr::DN, DN), (fpcr::FZ16, FZ16), (fpcr::AHP, AHP), (fpcr::EBF, EBF)];
    let float =
        bits.into_iter().fold(0, |all, (bit, mode)| if control & bit != 0 { all | mode } else { all });
    let user = if system.user_ids { USER_IDS } else { 0 };
    let rounding = (control >> fpcr::RMODE_SHIFT & 3) << RMODE_SHIFT;
    system.features.bits() << EXT_SHIFT | FP_ON | user | float | rounding | u64::from(system.el)
}

/// Exception level.
pub fn el(mode: u64) -> u8 {
    (mode & 3) as u8
}

/// Whether SIMD and floating point are on.
pub fn fp_on(mode: u64) -> bool {
    mode & FP_ON != 0
}

/// Whether identification registers answer at EL0, which they do in user mode as they do under Linux.
pub fn user_ids(mode: u64) -> bool {
    mode & USER_IDS != 0
}

/// Whether half-precision conversions use the alternative format.
pub fn alternative_half(mode: u64) -> bool {
    mode & AHP != 0
}

/// Whether sums of products of BFloat16 numbers have the extended behaviour.
pub fn extended_bfloat(mode: u64) -> bool {
    mode & EBF != 0
}

/// The rounding mode that the float unit is in, FPCR.RMode.
pub fn rounding(mode: u64) -> Rm {
    [Rm::Rne, Rm::Rup, Rm::Rdn, Rm::Rtz][(mode >> RMODE_SHIFT & 3) as usize]
}

/// How operations on floats of type `ty` behave, rounding by `rm`.
pub fn float(mode: u64, ty: Ty, rm: Rm) -> FloatMode {
    let flush = if ty == Ty::F16 { FZ16 } else { FZ };
    let mut float = FloatMode::new(rm).tiny_before();
    if mode & DN == 0 {
        float = float.propagating_nans();
    }
    if mode & flush != 0 {
        float = float.flushing();
    }
    float
}

/// Whether an extension is there.
pub fn has(mode: u64, ext: Ext) -> bool {
    mode >> (EXT_SHIFT + ext as u32) & 1 != 0
}

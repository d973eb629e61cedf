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
//! | 9 | a user program under Linux |
//! | 10 | FPCR.EBF |
//! | 11 | PSTATE.SP |
//! | 12 | names of EL1 lead to registers of EL2, which is a host |
//! | 13 | data accesses must be aligned |
//! | 14 | system registers of EL1 may be trapped |
//! | 15 | PSTATE.IL |
//! | 16 | DC ZVA is allowed, and clears 64 bytes |
//! | 17 | pointers are signed as user programs' are, with the code of our own and all keys |
//! | 18..=63 | extensions that instructions depend on, by number ([`Ext::INSTRUCTION_EXTS`]) |

use crate::features::Ext;
use crate::mmu;
use crate::sysreg::{Instruction, System, fpcr, hcr, instruction_trap};
use tcg_core::sem::{FloatMode, Rm};
use tcg_core::ty::Ty;

const RMODE_SHIFT: u32 = 2;
const FZ: u64 = 1 << 4;
const DN: u64 = 1 << 5;
const FZ16: u64 = 1 << 6;
const AHP: u64 = 1 << 7;
const FP_ON: u64 = 1 << 8;
const USER: u64 = 1 << 9;
const EBF: u64 = 1 << 10;
const SP_SEL: u64 = 1 << 11;
const HOST: u64 = 1 << 12;
const ALIGNED: u64 = 1 << 13;
const TRAPPED: u64 = 1 << 14;
const ILLEGAL: u64 = 1 << 15;
const ZEROES_LINES: u64 = 1 << 16;
const SIGNS_PLAINLY: u64 = 1 << 17;
const EXT_SHIFT: u32 = 18;
const EXTS: u64 = (1 << Ext::INSTRUCTION_EXTS) - 1;

/// DCZID_EL0.BS of 64 bytes.
const LINE: u64 = 4;

const _: () = assert!(Ext::INSTRUCTION_EXTS <= u64::BITS - EXT_SHIFT, "mode has a bit for each");

/// The mode of the present state.
pub fn of(system: &System) -> u64 {
    let control = system.fpcr;
    let bits = [(fpcr::FZ, FZ), (fpcr::DN, DN), (fpcr::FZ16, FZ16), (fpcr::AHP, AHP), (fpcr::EBF, EBF)];
    let float =
        bits.into_iter().fold(0, |all, (bit, mode)| if control & bit != 0 { all | mode } else { all });
    let when = |on: bool, bit: u64| if on { bit } else { 0 };
    let rounding = (control >> fpcr::RMODE_SHIFT & 3) << RMODE_SHIFT;
    let plain = (system.features.bits() & EXTS) << EXT_SHIFT | float | rounding | u64::from(system.el);
    if system.user_ids {
        // All its keys are on, and stay so.
        return plain | USER | FP_ON | when(system.features.has(Ext::PauthImpdef), SIGNS_PLAINLY);
    }
    plain
        | when(system.float_trap(system.el).is_none(), FP_ON)
        | when(system.sp_sel, SP_SEL)
        | when(system.el == 2 && system.is_host_el2(), HOST)
        | when(mmu::must_align(system), ALIGNED)
        | when(system.el == 1 && system.hcr() & (hcr::TVM | hcr::TRVM) != 0, TRAPPED)
        | when(system.il, ILLEGAL)
        | when(
            system.features.system_lines().1 == LINE
                && instruction_trap(system, Instruction::ZeroBlock).is_none(),
            ZEROES_LINES,
        )
}

/// Whether DC ZVA clears 64 bytes, with nothing that may trap it.
pub fn zeroes_lines(mode: u64) -> bool {
    mode & ZEROES_LINES != 0
}

/// Whether pointers are signed with the code of our own and keys that are on, next to addresses of 48 bits.
pub fn signs_plainly(mode: u64) -> bool {
    mode & SIGNS_PLAINLY != 0
}

/// Exception level.
pub fn el(mode: u64) -> u8 {
    (mode & 3) as u8
}

/// Whether SIMD and floating point are on.
pub fn fp_on(mode: u64) -> bool {
    mode & FP_ON != 0
}

/// Whether a user program runs under Linux.
pub fn is_user(mode: u64) -> bool {
    mode & USER != 0
}

/// Whether the stack pointer in use is that of the level.
pub fn sp_sel(mode: u64) -> bool {
    mode & SP_SEL != 0
}

/// Whether names of EL1 registers lead to those of EL2.
pub fn is_host(mode: u64) -> bool {
    mode & HOST != 0
}

/// Whether data accesses must be aligned.
pub fn aligned(mode: u64) -> bool {
    mode & ALIGNED != 0
}

/// Whether system registers of EL1 may be trapped.
pub fn trapped(mode: u64) -> bool {
    mode & TRAPPED != 0
}

/// Whether every instruction is an illegal state.
pub fn illegal(mode: u64) -> bool {
    mode & ILLEGAL != 0
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

/// Whether an extension that instructions depend on is there.
pub fn has(mode: u64, ext: Ext) -> bool {
    mode >> (EXT_SHIFT + ext as u32) & 1 != 0
}

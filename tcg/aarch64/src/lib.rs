//! The aarch64 guest: instruction tables, semantics, system registers, traps.
//!
//! From: Arm Architecture Reference Manual for A-profile (DDI 0487), AArch64 state, instruction set A64.
//!
//! An instruction is a row of `isa/*.decode` and the function of its name in [`sem`]; [`isa`] is generated from the
//! rows at build time (`tcg_decodegen` says how they are written). [`features`] holds the table of extensions and CPU
//! models, [`sysreg`] that of system registers. EL0 is complete for the rows there are; of EL1 to EL3 there is the state that
//! rows name, and neither address translation nor exception entry. Left out: A32, SVE, SME, memory tagging, guarded pages,
//! alternative float behaviour (FEAT_AFP, FEAT_RPRES), 64-byte loads and stores, common short sequences (FEAT_CSSC).

pub mod board;
pub mod cpu;
pub mod crc;
pub mod crypto;
pub mod decode;
pub mod esr;
pub mod features;
pub mod float;
pub mod gic;
mod guest;
pub mod helpers;
pub mod irq;
pub mod isa;
pub mod mode;
pub mod mops;
pub mod pauth;
mod print;
pub mod sem;
mod show;
pub mod simd;
pub mod sysreg;
pub mod tlbi;

pub use guest::Aarch64;
pub use print::print;

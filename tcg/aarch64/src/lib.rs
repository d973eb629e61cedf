//! The aarch64 guest: instruction tables, semantics, system registers, traps.
//!
//! From: Arm Architecture Reference Manual for A-profile (DDI 0487), AArch64 state, instruction set A64.
//!
//! An instruction is a row of `isa/*.decode` and the function of its name in [`sem`]; [`isa`] is generated from the
//! rows at build time (`tcg_decodegen` says how they are written). [`features`] holds the table of extensions and CPU
//! models, [`sysreg`] that of system registers. EL0 to EL3 with VHE: [`exception`]s, the memory system in [`mmu`], the generic
//! [`timer`], performance monitors, [`selfhosted`] debug. [`board`] is what a machine decides and connects. Left out: A32, SVE,
//! SME, memory tagging, guarded pages, big-endian data, alternative float behaviour (FEAT_AFP, FEAT_RPRES), 64-byte loads and
//! stores, common short sequences (FEAT_CSSC), fine-grained traps, nested virtualization, Secure EL2, the check of the stack
//! pointer's alignment.

pub mod board;
pub mod cpu;
pub mod crc;
pub mod crypto;
mod debug;
pub mod decode;
pub mod esr;
pub mod exception;
pub mod features;
pub mod float;
pub mod gic;
mod guest;
pub mod helpers;
pub mod instructions;
pub mod irq;
pub mod isa;
mod isv;
pub mod mmu;
pub mod mode;
pub mod mops;
pub mod pauth;
pub mod pmu;
mod print;
pub mod pstate;
mod saved;
pub mod selfhosted;
pub mod sem;
mod show;
pub mod simd;
pub mod sysreg;
pub mod timer;
pub mod tlbi;

pub use guest::Aarch64;
pub use print::print;

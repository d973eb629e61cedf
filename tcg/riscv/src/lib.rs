//! The riscv64 guest: instruction tables, semantics, CSRs, MMU, traps.
//!
//! An instruction is a row of `isa/*.decode` and the function of its name in [`sem`]; [`isa`] is generated from the
//! rows at build time (`tcg_decodegen` says how they are written). [`features`] holds the table of extensions.

pub mod cpu;
pub mod csr;
pub mod debug;
pub mod decode;
pub mod features;
mod guest;
pub mod helpers;
pub mod isa;
pub mod mmu;
pub mod mode;
pub mod pmp;
mod print;
mod saved;
pub mod sem;
mod show;
pub mod sys;
pub mod trap;
pub mod vector;

pub use guest::Riscv;
pub use print::print;

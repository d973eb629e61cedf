//! The dynamic binary translator: semantics written once, read three ways; IR; optimiser; register allocation; host
//! back ends; and the run-time that caches, links and drops translations.
//!
//! A guest gives instruction semantics as functions generic over [`sem::Sem`]. [`interp::Interp`] runs them at once
//! (tier 0, single step, the oracle of tests), [`build::Build`] turns them into [`ir`]. Nothing here names a guest or
//! a device.

pub mod build;
pub mod cpu;
pub mod crypto;
pub mod debug;
pub mod effects;
pub mod eval;
pub mod fp;
pub mod guest;
pub mod host;
pub mod interp;
pub mod ir;
pub mod observe;
pub mod opt;
pub mod regalloc;
pub mod run;
pub mod saved;
pub mod sem;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod ty;

//! Tests of firmware and kernels: what `mimic test` and `mimic robot` do.
//!
//! A [`spec`] says what to boot and what shall happen. Each [`guest`] is a process of its own, the emulator, so that nothing a guest
//! does can end the runner. It is driven by QMP, and its serial lines come in records that carry machine time ([`wire`]):
//! a deadline in machine time is judged by what the guest did, never by how busy the host was. [`run`] carries out one test,
//! [`pool`] many beside each other, [`report`] tells of them. [`robot`] offers the same guests to Robot Framework.

pub mod guest;
mod line;
pub mod pool;
mod qmp;
pub mod report;
pub mod robot;
mod run;
pub mod spec;
mod symbols;
pub mod wire;

pub use run::{Outcome, Verdict};

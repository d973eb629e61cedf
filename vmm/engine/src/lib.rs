//! A running machine: vCPU threads, stopping and resetting them, and what ends the run.
//!
//! [`Machine`] receives finished vCPUs and devices and knows no board by name. [`riscv`] is the built-in firmware of
//! riscv machines: the SBI on top of the vCPUs' handles.

mod machine;
mod power;
pub mod riscv;

pub use machine::{Machine, Policy, Reload};
pub use power::{End, Power, RunState};

//! A running machine: vCPU threads, stopping and resetting them, and what ends the run.
//!
//! [`Machine`] receives finished vCPUs and devices and knows no board by name. [`Power`] is how others reach it: they ask
//! for a stop or a reset, have work done on the vCPUs ([`Power::with_cpus`]), and are told what happens ([`Event`]).
//! Usually each vCPU has a thread; with [`Turns`] they share one, and the same run twice is the same run.
//! [`Cpu`] is a vCPU as debuggers and monitors see it. [`riscv`] and [`arm`] are the built-in firmware of machines: the SBI and
//! PSCI on top of the vCPUs' handles, and how each asks for [`Semihost`]ing. [`snapshot`] keeps whole machines and puts them back,
//! [`replay`] records runs and repeats them.

mod actions;
pub mod arm;
mod cpus;
mod event;
mod inputs;
mod machine;
pub mod memory;
mod pace;
mod parking;
mod power;
pub mod replay;
pub mod riscv;
mod semihost;
pub mod snapshot;
mod turns;

pub use actions::{Actions, HangAction, PanicAction, WatchdogAction};
pub use cpus::{Cpu, Cpus, Motion, Plan};
pub use event::{Cause, Event, Listener};
pub use inputs::{Deliver, Inputs, Keeper, Kept, SourceId};
pub use machine::{Machine, Policy, Reload};

pub use pace::Pace;
pub use parking::ParkedState;
pub use power::{End, Power, RunState};
pub use semihost::{Console as SemihostConsole, Input as SemihostInput, Semihost};
pub use tcg_core::debug::{Feature, Register, Stop, WatchKind};
pub use tcg_core::guest::Point;
pub use tcg_core::observe::Record;
pub use tcg_core::run::Chaining;
pub use turns::{Trace, Turns};

//! What tests share, here and in the crates of the guests: a machine of one CPU and a little memory to run regions
//! and instructions on ([`Rig`]), random legal regions ([`random_region`]), and the triangle: interpreter, evaluator
//! and generated code have to agree on every random instruction ([`triangle`]); what an instruction becomes, as text
//! ([`golden`]); programs that another implementation runs
//! ([`oracle`]).

pub mod golden;
pub mod oracle;
mod random_region;
mod rig;
mod rng;
pub mod toy;
pub mod triangle;

pub use random_region::{random_operation, random_region};
pub use rig::{Rig, Seen};
pub use rng::Rng;

#[cfg(test)]
mod tests;

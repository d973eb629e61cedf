//! What tests share, here and in the crates of the guests: a machine of one CPU and a little memory to run regions
//! and instructions on ([`Rig`]), random legal regions ([`random_region`]), and the triangle: interpreter, evaluator
//! and generated code have to agree on every random instruction ([`triangle`]); what an instruction becomes, as text
//! ([`golden`]); random programs ([`program`]) that another implementation runs as well ([`oracle`]); the laws of saved CPU
//! states ([`saved`]).

pub mod golden;
pub mod oracle;
pub mod program;
mod random_region;
mod rig;
mod rng;
pub mod saved;
pub mod toy;
pub mod triangle;

pub use random_region::{random_operation, random_region};
pub use rig::{Rig, Seen};
pub use rng::Rng;

/// The number in environment variable `name`, by which a test is made longer or repeated.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests;

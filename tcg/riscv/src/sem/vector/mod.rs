//! Vectors: chapters 31 (V) and 33 (Zvbb and others), translated part by part of 128 bits.
//!
//! The mode of a translation tells `vtype`, and whether `vl` is VLMAX. Then everything takes part; else what does not is
//! kept by blending. What is not translated, and whatever is not legal, `by_element` leaves to [`crate::vector`].

mod bits;
mod by_element;
mod config;
mod crypto;
mod divide;
mod fixed;
mod gather;
mod lanes;
mod mask;
mod memory;
mod narrow_float;
mod permute;
mod reduce;
mod segment;
mod shape;
mod wide;
mod wide_float;

pub use bits::*;
pub use by_element::*;
pub use config::*;
pub use crypto::*;
pub use divide::*;
pub use fixed::*;
pub use gather::*;
pub use lanes::*;
pub use mask::*;
pub use memory::*;
pub use narrow_float::*;
pub use permute::*;
pub use reduce::*;
pub use segment::*;
pub use wide::*;
pub use wide_float::*;

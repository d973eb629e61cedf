//! Steps of ciphers and hash functions that guests have instructions for, in software: on vectors of 128 bits, lane 0 the
//! lowest, or on single words. Divided as the manuals of the guests divide them.

pub mod ghash;
pub mod rounds;
pub mod sha;
pub mod sm3;
pub mod sm4;

pub use crate::eval::aes;
use crate::eval::{from_lanes, lane};

/// Words, the lowest first.
pub fn words(v: u128) -> [u32; 4] {
    std::array::from_fn(|n| lane(v, 32, n as u32) as u32)
}

/// The vector of these words.
pub fn of_words(w: [u32; 4]) -> u128 {
    from_lanes(32, |n| w[n as usize].into())
}

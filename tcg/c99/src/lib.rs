//! C99's `<stdint.h>` names, as far as the SoftFloat bindings use them.
//!
//! Replaces the registry's crate of the same name, which runs CMake at build time to learn what is known: on 64-bit
//! Linux the "fast" types are as wide as a register with glibc, and at least 32 bits with musl.
#![allow(non_camel_case_types)]

/// `uint_fast8_t`.
pub type uint_fast8_t = u8;
/// `int_fast32_t`.
pub type int_fast32_t = fast::i;
/// `uint_fast32_t`.
pub type uint_fast32_t = fast::u;
/// `int_fast64_t`.
pub type int_fast64_t = i64;
/// `uint_fast64_t`.
pub type uint_fast64_t = u64;

#[cfg(target_env = "musl")]
mod fast {
    pub type i = i32;
    pub type u = u32;
}
#[cfg(not(target_env = "musl"))]
mod fast {
    pub type i = i64;
    pub type u = u64;
}

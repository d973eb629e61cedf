//! The x86-64 host: System V calling convention, SSE2; SSE4, BMI, LZCNT, POPCNT, PCLMULQDQ, AES-NI, FMA3 and AVX2 where
//! the CPU has them.
//!
//! In generated code rbx is near the CPU header ([`short::BIAS`]); rax, rcx, rdx and xmm0 to xmm2 belong to the emitter of the current
//! operation, so that shifts, multiplications, TLB probes and helper results need no register allocation; the other
//! eleven general and thirteen float registers hold values, vectors in the latter, but for r15 in code that looks into a TLB: it
//! points to that of the present context, and its low bits say how that is indexed ([`crate::cpu::tlb_bits`]). I32 and Bool values keep the upper
//! half of their register zero. What is rarely needed stands behind the region's code, in stubs; vector constants follow. What
//! a rare way out has to know is no code at all: [`records`].

#![allow(clippy::useless_conversion)] // `dynasm!` converts register numbers that are bytes already.

mod access;
mod buffer;
mod compile;
mod direct;
mod faults;
mod features;
mod flags;
mod float;
mod integer;
mod listing;
mod memory;
mod moves;
mod piece;
mod records;
mod short;
mod spans;
mod stubs;
mod terminators;
mod vector;
mod vector_float;
mod vector_integer;
mod vector_memory;
mod vector_shuffle;

pub use access::{Outcome, cas, cas_128, copy, load, store, unpack_fault};
pub use buffer::{CodeBuffer, Runner};
pub use compile::Compiler;
pub use faults::{Fault, recover};
pub use features::HostFeatures;
pub use listing::disassemble;
pub use piece::{Fixup, Piece};
pub(super) use records::{access, leave};

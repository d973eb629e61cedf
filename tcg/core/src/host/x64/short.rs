//! Displacements and immediate operands in the shorter of their two forms: most fit a byte, which makes code a fifth shorter.
//!
//! So that guest registers are near, rbx points [`BIAS`] bytes behind the start of the header: what code needs most often stands at
//! the header's end, and a guest's general registers follow it.

use crate::cpu::CpuHeader;
use std::mem::{offset_of, size_of};

/// Where in the guest's CPU structure rbx points.
pub const BIAS: i32 = offset_of!(CpuHeader, request) as i32 + 128;

const _: () =
    assert!(size_of::<CpuHeader>() as i32 - BIAS < 0, "registers follow what code needs most often");

/// The displacement from rbx to what is at `offset` in the guest's CPU structure.
pub const fn in_cpu(offset: usize) -> i32 {
    offset as i32 - BIAS
}

/// The displacement from rbx to a field of the header.
macro_rules! head {
    ($field:ident) => {
        const { $crate::host::x64::short::in_cpu(std::mem::offset_of!($crate::cpu::CpuHeader, $field)) }
    };
}

/// An instruction whose memory operand is `[base + at]`: `short!(ops, at, (mov rax,) [rbx] ())`, `short!(ops, at, (mov) [rbx] (, rax))`.
macro_rules! short {
    ($ops:expr, $at:expr, ($($before:tt)*) [$($base:tt)*] ($($after:tt)*)) => {{
        let at: i32 = $at;
        match i8::try_from(at) {
            Ok(at) => dynasmrt::dynasm!($ops ; .arch x64 ; $($before)* [BYTE $($base)* + at] $($after)*),
            Err(_) => dynasmrt::dynasm!($ops ; .arch x64 ; $($before)* [$($base)* + at] $($after)*),
        }
    }};
}

/// An instruction whose last operand is the constant `k`: `with!(ops, k, add Rq(to))`.
macro_rules! with {
    ($ops:expr, $k:expr, $($before:tt)*) => {{
        let k: i32 = $k;
        match i8::try_from(k) {
            Ok(k) => dynasmrt::dynasm!($ops ; .arch x64 ; $($before)*, BYTE k),
            Err(_) => dynasmrt::dynasm!($ops ; .arch x64 ; $($before)*, k),
        }
    }};
}

pub(super) use {head, short, with};

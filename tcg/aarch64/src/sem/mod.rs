//! What every instruction means: one function a row of the tables, in files by group.
//!
//! A file names the section of the manual that it follows. Operands are `a`, named as in the manual.

mod atomic;
mod bits;
mod branch;
mod conversion;
mod flags;
mod float;
mod integer;
mod memory;
mod mops;
mod multiply;
mod pauth;
mod simd;
mod system;

pub use atomic::*;
pub use bits::*;
pub use branch::*;
pub use conversion::*;
pub use flags::*;
pub use float::*;
pub use integer::*;
pub use memory::*;
pub use mops::*;
pub use multiply::*;
pub use pauth::*;
pub use simd::*;
pub use system::*;

use crate::cpu;
use crate::esr;
use crate::features::Ext;
use crate::mode;
use tcg_core::guest::{Ctx, Trap};
use tcg_core::sem::{Cc, Flow, Next, Sem, V};
use tcg_core::ty::{Bool, I32, I64, Int, Ty};

/// Where an instruction stands, what is known about the PE, and its bits.
#[derive(Clone, Copy, Debug)]
pub struct Cx {
    /// Place and mode.
    pub at: Ctx,
    /// The instruction's 32 bits.
    pub bits: u32,
}

impl Cx {
    /// Address of the instruction that follows in memory.
    pub fn next_pc(&self) -> u64 {
        self.at.next_pc()
    }

    /// The address `offset` away from the instruction.
    pub fn relative(&self, offset: i32) -> u64 {
        self.at.pc.wrapping_add(offset as u64)
    }

    /// Exception level.
    pub fn el(&self) -> u8 {
        mode::el(self.at.mode)
    }

    /// Whether an extension that instructions depend on is there.
    pub fn has(&self, ext: Ext) -> bool {
        mode::has(self.at.mode, ext)
    }

    /// Takes a trap.
    pub fn trap<S: Sem>(&self, trap: Trap) -> Flow<S> {
        Ok(Next::Trap(trap))
    }

    /// Is undefined.
    pub fn undefined<S: Sem>(&self) -> Flow<S> {
        self.trap::<S>(esr::UNDEFINED)
    }
}

/// General registers as instructions of one width see them.
pub trait Width: Int {
    /// Bits.
    const BITS: u32;

    /// From a 64-bit register.
    fn narrow<S: Sem>(s: &mut S, v: V<S, I64>) -> V<S, Self>;
    /// To a 64-bit register, zeros above.
    fn widen<S: Sem>(s: &mut S, v: V<S, Self>) -> V<S, I64>;

    /// The value of register `n`; zero for number 31.
    fn get<S: Sem>(s: &mut S, n: u8) -> V<S, Self> {
        let v = x(s, n);
        Self::narrow(s, v)
    }

    /// Register `n` becomes `value`; nothing for number 31.
    fn set<S: Sem>(s: &mut S, n: u8, value: V<S, Self>) {
        if n != 31 {
            let v = Self::widen(s, value);
            s.set(cpu::x(n), v);
        }
    }

    /// The same with the stack pointer for number 31.
    fn get_sp<S: Sem>(s: &mut S, n: u8) -> V<S, Self> {
        let v = x_sp(s, n);
        Self::narrow(s, v)
    }

    /// The same with the stack pointer for number 31.
    fn set_sp<S: Sem>(s: &mut S, n: u8, value: V<S, Self>) {
        let v = Self::widen(s, value);
        set_x_sp(s, n, v);
    }
}

impl Width for I64 {
    const BITS: u32 = 64;

    fn narrow<S: Sem>(_: &mut S, v: V<S, I64>) -> V<S, I64> {
        v
    }

    fn widen<S: Sem>(_: &mut S, v: V<S, I64>) -> V<S, I64> {
        v
    }
}

impl Width for I32 {
    const BITS: u32 = 32;

    fn narrow<S: Sem>(s: &mut S, v: V<S, I64>) -> V<S, I32> {
        s.trunc(v)
    }

    fn widen<S: Sem>(s: &mut S, v: V<S, I32>) -> V<S, I64> {
        s.zextw(v)
    }
}

/// Calls the generic function with the width that field `sf` says.
macro_rules! by_width {
    ($sf:expr, $f:ident($($arg:expr),* $(,)?)) => {
        if $sf != 0 { $f::<I64, S>($($arg),*) } else { $f::<I32, S>($($arg),*) }
    };
}
use by_width;

/// The value of register `n`; zero for number 31.
fn x<S: Sem>(s: &mut S, n: u8) -> V<S, I64> {
    if n == 31 { s.k(0) } else { s.get(cpu::x(n)) }
}

/// Register `n` becomes `value`; nothing for number 31.
fn set_x<S: Sem>(s: &mut S, n: u8, value: V<S, I64>) {
    if n != 31 {
        s.set(cpu::x(n), value);
    }
}

/// The value of register `n` or the stack pointer.
fn x_sp<S: Sem>(s: &mut S, n: u8) -> V<S, I64> {
    s.get(if n == 31 { cpu::SP } else { cpu::x(n) })
}

/// Register `n` or the stack pointer becomes `value`.
fn set_x_sp<S: Sem>(s: &mut S, n: u8, value: V<S, I64>) {
    s.set(if n == 31 { cpu::SP } else { cpu::x(n) }, value);
}

/// `v[n]` becomes `value` with zeros above.
fn set_v_low<S: Sem>(s: &mut S, n: u8, value: V<S, I64>) {
    let zero = s.vector(0);
    let v = s.insert(Ty::I64x2, 0, zero, value);
    s.set_vector(cpu::v(n), v);
}

/// Goes on with the instruction that follows.
fn fall<S: Sem>() -> Flow<S> {
    Ok(Next::Fall)
}

/// PSTATE.{N,Z,C,V}.
fn get_flags<S: Sem>(s: &mut S) -> V<S, I32> {
    s.get(cpu::FLAGS)
}

/// PSTATE.{N,Z,C,V} become these.
fn set_flags<S: Sem>(s: &mut S, flags: V<S, I32>) {
    s.set(cpu::FLAGS, flags);
}

/// Whether the condition of a `cond` field holds; `None`: always.
fn condition<S: Sem>(s: &mut S, cond: u8) -> Option<V<S, Bool>> {
    if cond >= 14 {
        return None;
    }
    let flags = get_flags(s);
    Some(s.cond(Cc::from_bits(cond.into()), flags))
}

/// `yes` if the condition of a `cond` field holds, else `no`.
fn choose<T: Int, S: Sem>(s: &mut S, cond: u8, yes: V<S, T>, no: V<S, T>) -> V<S, T> {
    match condition(s, cond) {
        Some(holds) => s.select(holds, yes, no),
        None => yes,
    }
}

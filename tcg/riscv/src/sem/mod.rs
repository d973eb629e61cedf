//! What every instruction means: one function a row of the tables, in files by extension.
//!
//! A file names the chapter of the Unprivileged ISA 20240411 that it follows. Operands are `a`, named as in the manual.

mod a;
mod b;
mod d;
mod f;
mod float;
mod i;
mod m;
mod privileged;
mod vector;
mod zbk;
mod zfa;
mod zfh;
mod zicsr;
mod zk;
mod zmop;

pub use a::*;
pub use b::*;
pub use d::*;
pub use f::*;
pub use i::*;
pub use m::*;
pub use privileged::*;
pub use vector::*;
pub use zbk::*;
pub use zfa::*;
pub use zfh::*;
pub use zicsr::*;
pub use zk::*;
pub use zmop::*;

use crate::cpu;
use crate::csr::Priv;
use crate::csr::bits::cause;
use crate::features::Ext;
use crate::isa::{R, R2};
use crate::mode;
use tcg_core::guest::{Ctx, Trap};
use tcg_core::sem::{Flow, Next, Sem, V};
use tcg_core::ty::I64;

/// Where an instruction stands, what is known about the hart, and its bits.
#[derive(Clone, Copy, Debug)]
pub struct Cx {
    /// Place and mode.
    pub at: Ctx,
    /// The instruction's 16 or 32 bits.
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

    /// Privilege mode.
    pub fn privilege(&self) -> Priv {
        mode::privilege(self.at.mode)
    }

    /// Whether an extension that instructions depend on is there.
    pub fn has(&self, ext: Ext) -> bool {
        mode::has(self.at.mode, ext)
    }

    /// The instruction's bits, for helpers.
    pub fn bits_value<S: Sem>(&self, s: &mut S) -> V<S, I64> {
        s.k(self.bits.into())
    }

    /// Takes a trap.
    pub fn trap<S: Sem>(&self, code: u32, value: u64) -> Flow<S> {
        Ok(Next::Trap(Trap { code, value }))
    }

    /// Is illegal.
    pub fn illegal<S: Sem>(&self) -> Flow<S> {
        self.trap::<S>(cause::ILLEGAL, self.bits.into())
    }
}

/// The value of register `x[n]`.
fn x<S: Sem>(s: &mut S, n: u8) -> V<S, I64> {
    if n == 0 { s.k(0) } else { s.get(cpu::x(n)) }
}

/// Register `x[n]` becomes `value`.
fn set_x<S: Sem>(s: &mut S, n: u8, value: V<S, I64>) {
    if n != 0 {
        s.set(cpu::x(n), value);
    }
}

/// Goes on with the instruction that follows.
fn fall<S: Sem>() -> Flow<S> {
    Ok(Next::Fall)
}

/// rd = f(rs1).
fn unary<S: Sem>(s: &mut S, a: R2, f: impl FnOnce(&mut S, V<S, I64>) -> V<S, I64>) -> Flow<S> {
    let v = x(s, a.rs1);
    let v = f(s, v);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// rd = f(rs1, rs2).
fn binary<S: Sem>(s: &mut S, a: R, f: impl FnOnce(&mut S, V<S, I64>, V<S, I64>) -> V<S, I64>) -> Flow<S> {
    let (v, w) = (x(s, a.rs1), x(s, a.rs2));
    let v = f(s, v, w);
    set_x(s, a.rd, v);
    fall::<S>()
}

//! Atomic instructions: chapter 14 (A, Zabha). A reservation is the address and the value that LR saw; SC compares and swaps.
//!
//! So SC also succeeds when another hart has put the same value back, which no correct program can tell from the
//! reservation having been kept: the compare-and-swap makes the pair atomic.

use super::{Cx, fall, set_x, x};
use crate::cpu::{RESERVATION, RESERVED_VALUE};
use crate::isa::{Amo, Lr};
use tcg_core::sem::{Flow, MemOp, Order, Rmw, Sem};
use tcg_core::ty::{Bool, I64};

const BYTE: MemOp = MemOp::new(0).signed();
const HALF: MemOp = MemOp::new(1).signed().aligned();
const WORD: MemOp = MemOp::new(2).signed().aligned();
const DOUBLE: MemOp = MemOp::new(3).aligned();
/// Acquire, in the `aqrl` field.
const AQ: u8 = 2;
/// Release.
const RL: u8 = 1;

fn load_reserved<S: Sem>(s: &mut S, a: Lr, op: MemOp) -> Flow<S> {
    let addr = x(s, a.rs1);
    if a.aqrl & RL != 0 {
        s.fence(Order::FULL);
    }
    let v = s.load(addr, op)?;
    if a.aqrl & AQ != 0 {
        s.fence(Order::ACQUIRE);
    }
    s.set(RESERVATION, addr);
    s.set(RESERVED_VALUE, v);
    set_x(s, a.rd, v);
    fall::<S>()
}

fn store_conditional<S: Sem>(s: &mut S, a: Amo, op: MemOp) -> Flow<S> {
    let (addr, new) = (x(s, a.rs1), x(s, a.rs2));
    let (reservation, expected) = (s.get(RESERVATION), s.get::<I64>(RESERVED_VALUE));
    let reserved = s.eq(addr, reservation);
    // A misaligned address traps in any case, and is never reserved.
    let (low, zero, yes) = (s.k(op.bytes() - 1), s.k(0), s.k::<Bool>(1));
    let low = s.and(addr, low);
    let misaligned = s.ne(low, zero);
    let tries = s.select(misaligned, yes, reserved);
    s.when(tries, |s| {
        let old = s.cas(addr, expected, new, op)?;
        s.set(RESERVED_VALUE, old);
        Ok(())
    })?;
    let old = s.get(RESERVED_VALUE);
    // After `lr.d`, `sc.w` is about the low half.
    let expected = if op.size == 2 { s.sext(expected, 32) } else { expected };
    let lost = s.ne(old, expected);
    let failed = s.select(reserved, lost, yes);
    let none = s.k(u64::MAX);
    s.set::<I64>(RESERVATION, none);
    let v = s.bool_to_int(failed);
    set_x(s, a.rd, v);
    fall::<S>()
}

fn amo<S: Sem>(s: &mut S, a: Amo, kind: Rmw, op: MemOp) -> Flow<S> {
    let (addr, operand) = (x(s, a.rs1), x(s, a.rs2));
    let old = s.rmw(kind, addr, operand, op)?;
    set_x(s, a.rd, old);
    fall::<S>()
}

/// Load reserved, word.
pub fn lr_w<S: Sem>(s: &mut S, _: &Cx, a: Lr) -> Flow<S> {
    load_reserved(s, a, WORD)
}

/// Load reserved, doubleword.
pub fn lr_d<S: Sem>(s: &mut S, _: &Cx, a: Lr) -> Flow<S> {
    load_reserved(s, a, DOUBLE)
}

/// Store conditional, word.
pub fn sc_w<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    store_conditional(s, a, WORD)
}

/// Store conditional, doubleword.
pub fn sc_d<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    store_conditional(s, a, DOUBLE)
}

/// Atomic swap, word.
pub fn amoswap_w<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::Swap, WORD)
}

/// Atomic add, word.
pub fn amoadd_w<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::Add, WORD)
}

/// Atomic and, word.
pub fn amoand_w<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::And, WORD)
}

/// Atomic or, word.
pub fn amoor_w<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::Or, WORD)
}

/// Atomic exclusive or, word.
pub fn amoxor_w<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::Xor, WORD)
}

/// Atomic minimum, word.
pub fn amomin_w<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::MinS, WORD)
}

/// Atomic maximum, word.
pub fn amomax_w<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::MaxS, WORD)
}

/// Atomic unsigned minimum, word.
pub fn amominu_w<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::MinU, WORD)
}

/// Atomic unsigned maximum, word.
pub fn amomaxu_w<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::MaxU, WORD)
}

/// Atomic swap, doubleword.
pub fn amoswap_d<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::Swap, DOUBLE)
}

/// Atomic add, doubleword.
pub fn amoadd_d<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::Add, DOUBLE)
}

/// Atomic and, doubleword.
pub fn amoand_d<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::And, DOUBLE)
}

/// Atomic or, doubleword.
pub fn amoor_d<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::Or, DOUBLE)
}

/// Atomic exclusive or, doubleword.
pub fn amoxor_d<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::Xor, DOUBLE)
}

/// Atomic minimum, doubleword.
pub fn amomin_d<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::MinS, DOUBLE)
}

/// Atomic maximum, doubleword.
pub fn amomax_d<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::MaxS, DOUBLE)
}

/// Atomic unsigned minimum, doubleword.
pub fn amominu_d<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::MinU, DOUBLE)
}

/// Atomic unsigned maximum, doubleword.
pub fn amomaxu_d<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
    amo(s, a, Rmw::MaxU, DOUBLE)
}

macro_rules! narrow {
    ($($name:ident $kind:ident $op:ident;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, a: Amo) -> Flow<S> {
            amo(s, a, Rmw::$kind, $op)
        }
    )* };
}

narrow! {
    amoswap_b Swap BYTE;
    amoadd_b Add BYTE;
    amoand_b And BYTE;
    amoor_b Or BYTE;
    amoxor_b Xor BYTE;
    amomin_b MinS BYTE;
    amomax_b MaxS BYTE;
    amominu_b MinU BYTE;
    amomaxu_b MaxU BYTE;
    amoswap_h Swap HALF;
    amoadd_h Add HALF;
    amoand_h And HALF;
    amoor_h Or HALF;
    amoxor_h Xor HALF;
    amomin_h MinS HALF;
    amomax_h MaxS HALF;
    amominu_h MinU HALF;
    amomaxu_h MaxU HALF;
}

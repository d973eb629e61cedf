//! May-be operations: chapter 15 (Zimop; those of Zcmop do nothing). None is anything yet: they write zero.

use super::{Cx, fall, set_x};
use crate::isa::{MopR, MopRr};
use tcg_core::sem::{Flow, Sem};

/// Of one register.
pub fn mop_r<S: Sem>(s: &mut S, _: &Cx, a: MopR) -> Flow<S> {
    let zero = s.k(0);
    set_x(s, a.rd, zero);
    fall::<S>()
}

/// Of two.
pub fn mop_rr<S: Sem>(s: &mut S, _: &Cx, a: MopRr) -> Flow<S> {
    let zero = s.k(0);
    set_x(s, a.rd, zero);
    fall::<S>()
}

//! `vtype` and `vl`: 31.6.
//!
//! Where `vtype` is known, what follows is translated for it at once. Whether `vl` becomes VLMAX is expected to stay as it
//! is; where it does not, a helper sees to the mode.

use crate::cpu;
use crate::helpers;
use crate::isa::{R, VSet, VSetI};
use crate::mode::{self, Fs};
use crate::sem::{Cx, fall, set_x, x};
use crate::vector::vlmax;
use tcg_core::cpu::exit;
use tcg_core::sem::{Flow, Next, Sem, V};
use tcg_core::ty::I64;

/// By the helper; what follows is translated for what it finds.
fn by_helper<S: Sem>(s: &mut S, rd: u8, avl: V<S, I64>, vtype: V<S, I64>) -> Flow<S> {
    let vl = s.call(helpers::VSET, &[avl, vtype])?;
    set_x(s, rd, vl);
    Ok(Next::Exit(exit::RESYNC))
}

/// The length that an instruction asks for.
enum Asked<S: Sem> {
    /// A constant.
    Known(u64),
    /// The value of a register.
    Value(V<S, I64>),
    /// The present one.
    Present,
}

/// Sets `vtype`, a constant, and `vl`.
fn configure<S: Sem>(s: &mut S, cx: &Cx, rd: u8, asked: Asked<S>, vtype: u64) -> Flow<S> {
    let max = vlmax(vtype, mode::features(cx.at.mode));
    let present = mode::vectors(cx.at.mode).filter(|_| mode::vs(cx.at.mode) == Fs::Dirty);
    let expected = present.is_some_and(|present| present.whole);
    let same_max = present.is_some_and(|present| present.vlmax == max);
    let type_value = s.k(vtype);
    let (vl, whole) = match asked {
        Asked::Present if !same_max => {
            let avl = s.get(cpu::VL);
            return by_helper(s, rd, avl, type_value);
        }
        Asked::Known(avl) if max == 0 || present.is_none() => {
            let avl = s.k(avl);
            return by_helper(s, rd, avl, type_value);
        }
        Asked::Value(avl) if max == 0 || mode::vs(cx.at.mode) != Fs::Dirty || mode::resumes(cx.at.mode) => {
            return by_helper(s, rd, avl, type_value);
        }
        Asked::Present => (None, expected),
        Asked::Known(avl) => (Some(s.k(avl.min(max))), avl >= max),
        Asked::Value(avl) => {
            let most = s.k(max);
            let less = s.ltu(avl, most);
            let (yes, no) = (s.k(1), s.k(0));
            let unexpected = if expected { less } else { s.select(less, no, yes) };
            s.when(unexpected, |s| s.call(helpers::VSET_OTHER, &[avl, type_value]).map(|_| ()))?;
            (Some(if expected { most } else { avl }), expected)
        }
    };
    if let Some(vl) = vl {
        set_x(s, rd, vl);
        s.set(cpu::VL, vl);
    }
    s.set(cpu::VTYPE, type_value);
    let mode = mode::with_vtype(cx.at.mode, vtype, whole);
    if mode == cx.at.mode { fall::<S>() } else { Ok(Next::Mode(mode)) }
}

/// The length that rs1 asks for: as long as it gets if that is x0, and the present one if rd is x0 as well.
fn requested<S: Sem>(s: &mut S, rd: u8, rs1: u8) -> Asked<S> {
    match (rd, rs1) {
        (0, 0) => Asked::Present,
        (_, 0) => Asked::Known(u64::MAX),
        _ => Asked::Value(x(s, rs1)),
    }
}

/// Set type and length.
pub fn vsetvli<S: Sem>(s: &mut S, cx: &Cx, a: VSet) -> Flow<S> {
    let asked = requested(s, a.rd, a.rs1);
    configure(s, cx, a.rd, asked, a.vtype.into())
}

/// Set type and length, a constant.
pub fn vsetivli<S: Sem>(s: &mut S, cx: &Cx, a: VSetI) -> Flow<S> {
    configure(s, cx, a.rd, Asked::Known(a.avl.into()), a.vtype.into())
}

/// Set type, from a register, and length.
pub fn vsetvl<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    let vtype = x(s, a.rs2);
    let avl = match requested(s, a.rd, a.rs1) {
        Asked::Present => s.get(cpu::VL),
        Asked::Known(avl) => s.k(avl),
        Asked::Value(avl) => avl,
    };
    by_helper(s, a.rd, avl, vtype)
}

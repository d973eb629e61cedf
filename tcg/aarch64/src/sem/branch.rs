//! Branches and exception generation: C4.1.93.

use super::{Cx, Width, by_width, condition, set_x, x};
use crate::cpu;
use crate::esr::{self, class};
use crate::helpers;
use crate::isa::{Branch, BranchC, BranchR, BranchT, BranchZ, Except, N};
use tcg_core::sem::{Flow, Hint, Next, Sem, V};
use tcg_core::ty::{I32, I64};

/// The link register.
const LR: u8 = 30;

/// The link register becomes the address of the next instruction.
pub(super) fn link<S: Sem>(s: &mut S, cx: &Cx) {
    let next = s.code_addr(cx.next_pc());
    set_x(s, LR, next);
}

/// Goes to a computed address.
pub(super) fn jump<S: Sem>(target: V<S, I64>) -> Flow<S> {
    Ok(Next::Indirect(target, Hint::Jump))
}

/// Goes back to a caller.
pub(super) fn go_back<S: Sem>(target: V<S, I64>) -> Flow<S> {
    Ok(Next::Indirect(target, Hint::Return))
}

/// Branch.
pub fn b<S: Sem>(_: &mut S, cx: &Cx, a: Branch) -> Flow<S> {
    Ok(Next::Jump(cx.relative(a.imm)))
}

/// Branch with link.
pub fn bl<S: Sem>(s: &mut S, cx: &Cx, a: Branch) -> Flow<S> {
    link(s, cx);
    Ok(Next::Jump(cx.relative(a.imm)))
}

/// Conditional branch.
pub fn b_cond<S: Sem>(s: &mut S, cx: &Cx, a: BranchC) -> Flow<S> {
    let taken = cx.relative(a.imm);
    Ok(match condition(s, a.cond) {
        Some(cond) => Next::Branch { cond, taken, not: cx.next_pc() },
        None => Next::Jump(taken),
    })
}

/// Conditional branch that is seldom taken otherwise than last time.
pub fn bc_cond<S: Sem>(s: &mut S, cx: &Cx, a: BranchC) -> Flow<S> {
    b_cond(s, cx, a)
}

fn on_zero<T: Width, S: Sem>(s: &mut S, cx: &Cx, a: BranchZ, zero: bool) -> Flow<S> {
    let (v, k) = (T::get(s, a.rt), s.k(0));
    let cond = if zero { s.eq(v, k) } else { s.ne(v, k) };
    Ok(Next::Branch { cond, taken: cx.relative(a.imm), not: cx.next_pc() })
}

/// Branch on zero.
pub fn cbz<S: Sem>(s: &mut S, cx: &Cx, a: BranchZ) -> Flow<S> {
    by_width!(a.sf, on_zero(s, cx, a, true))
}

/// Branch on not zero.
pub fn cbnz<S: Sem>(s: &mut S, cx: &Cx, a: BranchZ) -> Flow<S> {
    by_width!(a.sf, on_zero(s, cx, a, false))
}

fn on_bit<S: Sem>(s: &mut S, cx: &Cx, a: BranchT, zero: bool) -> Flow<S> {
    let (v, mask, k) = (x(s, a.rt), s.k(1 << a.bit), s.k(0));
    let v = s.and::<I64>(v, mask);
    let cond = if zero { s.eq(v, k) } else { s.ne(v, k) };
    Ok(Next::Branch { cond, taken: cx.relative(a.imm), not: cx.next_pc() })
}

/// Branch on a zero bit.
pub fn tbz<S: Sem>(s: &mut S, cx: &Cx, a: BranchT) -> Flow<S> {
    on_bit(s, cx, a, true)
}

/// Branch on a set bit.
pub fn tbnz<S: Sem>(s: &mut S, cx: &Cx, a: BranchT) -> Flow<S> {
    on_bit(s, cx, a, false)
}

/// Branch to a register.
pub fn br<S: Sem>(s: &mut S, _: &Cx, a: BranchR) -> Flow<S> {
    let target = x(s, a.rn);
    jump::<S>(target)
}

/// Branch to a register with link.
pub fn blr<S: Sem>(s: &mut S, cx: &Cx, a: BranchR) -> Flow<S> {
    let target = x(s, a.rn);
    link(s, cx);
    jump::<S>(target)
}

/// Return.
pub fn ret<S: Sem>(s: &mut S, _: &Cx, a: BranchR) -> Flow<S> {
    let target = x(s, a.rn);
    go_back::<S>(target)
}

/// Exception return: undefined at EL0.
pub fn eret<S: Sem>(s: &mut S, cx: &Cx, _: N) -> Flow<S> {
    if cx.el() == 0 {
        return cx.undefined::<S>();
    }
    let pc = s.call(helpers::EXCEPTION_RETURN, &[])?;
    Ok(Next::Indirect(pc, Hint::Resync))
}

/// Exception return with an address authenticated by key IA (0) or IB (1).
fn return_checked<S: Sem>(s: &mut S, cx: &Cx, key: u64) -> Flow<S> {
    if cx.el() == 0 {
        return cx.undefined::<S>();
    }
    let key = s.k(key);
    let pc = s.call(helpers::EXCEPTION_RETURN_CHECKED, &[key])?;
    Ok(Next::Indirect(pc, Hint::Resync))
}

/// Exception return with an address authenticated by key IA.
pub fn eretaa<S: Sem>(s: &mut S, cx: &Cx, _: N) -> Flow<S> {
    return_checked(s, cx, 0)
}

/// Exception return with an address authenticated by key IB.
pub fn eretab<S: Sem>(s: &mut S, cx: &Cx, _: N) -> Flow<S> {
    return_checked(s, cx, 1)
}

/// Debug restore: undefined outside debug state.
pub fn drps<S: Sem>(_: &mut S, cx: &Cx, _: N) -> Flow<S> {
    cx.undefined::<S>()
}

/// Supervisor call.
pub fn svc<S: Sem>(_: &mut S, cx: &Cx, a: Except) -> Flow<S> {
    cx.trap::<S>(esr::trap(class::SVC, a.imm.into()))
}

/// Hypervisor call: undefined at EL0.
pub fn hvc<S: Sem>(_: &mut S, cx: &Cx, a: Except) -> Flow<S> {
    if cx.el() == 0 { cx.undefined::<S>() } else { cx.trap::<S>(esr::trap(class::HVC, a.imm.into())) }
}

/// Secure monitor call: undefined at EL0.
pub fn smc<S: Sem>(_: &mut S, cx: &Cx, a: Except) -> Flow<S> {
    if cx.el() == 0 { cx.undefined::<S>() } else { cx.trap::<S>(esr::trap(class::SMC, a.imm.into())) }
}

/// Breakpoint.
pub fn brk<S: Sem>(_: &mut S, cx: &Cx, a: Except) -> Flow<S> {
    cx.trap::<S>(esr::trap(class::BRK, a.imm.into()))
}

/// Halt: undefined while halting debug is off.
pub fn hlt<S: Sem>(_: &mut S, cx: &Cx, _: Except) -> Flow<S> {
    cx.undefined::<S>()
}

/// Permanently undefined.
pub fn udf<S: Sem>(_: &mut S, cx: &Cx, _: Except) -> Flow<S> {
    cx.undefined::<S>()
}

/// The link register's value, for returns that authenticate it.
pub(super) fn link_register<S: Sem>(s: &mut S) -> V<S, I64> {
    s.get(cpu::x(LR))
}

//! Pointer authentication: C6.2, D8.10. Signing and checking are helpers.

use super::branch::{jump, link, link_register};
use super::{Cx, fall, set_x, x, x_sp};
use crate::cpu;
use crate::helpers;
use crate::isa::{BranchR, BranchRA, LdPac, N, Pac, PacGa, PacZ};
use tcg_core::cpu::HelperId;
use tcg_core::sem::{Flow, MemOp, Sem, V};
use tcg_core::ty::I64;

/// Keys by number, as [`crate::sysreg::System::keys`] has them.
#[derive(Clone, Copy)]
enum Key {
    Ia,
    Ib,
    Da,
    Db,
}

fn call<S: Sem>(
    s: &mut S,
    helper: HelperId,
    key: Key,
    (ptr, modifier): (V<S, I64>, V<S, I64>),
) -> Result<V<S, I64>, S::Stop> {
    let key = s.k(key as u64);
    s.call(helper, &[ptr, modifier, key])
}

/// rd = rd signed or checked with modifier rn.
fn change<S: Sem>(s: &mut S, a: Pac, helper: HelperId, key: Key) -> Flow<S> {
    let (ptr, modifier) = (x(s, a.rd), x_sp(s, a.rn));
    let v = call(s, helper, key, (ptr, modifier))?;
    set_x(s, a.rd, v);
    fall::<S>()
}

/// The same with modifier zero.
fn change_zero<S: Sem>(s: &mut S, rd: u8, helper: HelperId, key: Key) -> Flow<S> {
    let (ptr, modifier) = (x(s, rd), s.k(0));
    let v = call(s, helper, key, (ptr, modifier))?;
    set_x(s, rd, v);
    fall::<S>()
}

/// The same for the link register with the stack pointer.
fn change_link<S: Sem>(s: &mut S, helper: HelperId, key: Key) -> Flow<S> {
    change(s, Pac { rn: 31, rd: 30 }, helper, key)
}

/// The same for x17 with x16.
fn change_17<S: Sem>(s: &mut S, helper: HelperId, key: Key) -> Flow<S> {
    change(s, Pac { rn: 16, rd: 17 }, helper, key)
}

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident($shape:ident) = |$s:ident, $a:pat_param| $body:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>($s: &mut S, _: &Cx, $a: $shape) -> Flow<S> {
            $body
        }
    )* };
}

rows! {
    /// Sign with key IA.
    pacia(Pac) = |s, a| change(s, a, helpers::PAC_ADD, Key::Ia);
    /// Sign with key IB.
    pacib(Pac) = |s, a| change(s, a, helpers::PAC_ADD, Key::Ib);
    /// Sign with key DA.
    pacda(Pac) = |s, a| change(s, a, helpers::PAC_ADD, Key::Da);
    /// Sign with key DB.
    pacdb(Pac) = |s, a| change(s, a, helpers::PAC_ADD, Key::Db);
    /// Check with key IA.
    autia(Pac) = |s, a| change(s, a, helpers::PAC_CHECK, Key::Ia);
    /// Check with key IB.
    autib(Pac) = |s, a| change(s, a, helpers::PAC_CHECK, Key::Ib);
    /// Check with key DA.
    autda(Pac) = |s, a| change(s, a, helpers::PAC_CHECK, Key::Da);
    /// Check with key DB.
    autdb(Pac) = |s, a| change(s, a, helpers::PAC_CHECK, Key::Db);
    /// Sign with key IA and modifier zero.
    paciza(PacZ) = |s, a| change_zero(s, a.rd, helpers::PAC_ADD, Key::Ia);
    /// Sign with key IB and modifier zero.
    pacizb(PacZ) = |s, a| change_zero(s, a.rd, helpers::PAC_ADD, Key::Ib);
    /// Sign with key DA and modifier zero.
    pacdza(PacZ) = |s, a| change_zero(s, a.rd, helpers::PAC_ADD, Key::Da);
    /// Sign with key DB and modifier zero.
    pacdzb(PacZ) = |s, a| change_zero(s, a.rd, helpers::PAC_ADD, Key::Db);
    /// Check with key IA and modifier zero.
    autiza(PacZ) = |s, a| change_zero(s, a.rd, helpers::PAC_CHECK, Key::Ia);
    /// Check with key IB and modifier zero.
    autizb(PacZ) = |s, a| change_zero(s, a.rd, helpers::PAC_CHECK, Key::Ib);
    /// Check with key DA and modifier zero.
    autdza(PacZ) = |s, a| change_zero(s, a.rd, helpers::PAC_CHECK, Key::Da);
    /// Check with key DB and modifier zero.
    autdzb(PacZ) = |s, a| change_zero(s, a.rd, helpers::PAC_CHECK, Key::Db);
    /// Strip an instruction address.
    xpaci(PacZ) = |s, a| strip(s, a.rd, 1);
    /// Strip a data address.
    xpacd(PacZ) = |s, a| strip(s, a.rd, 0);
    /// Strip the link register.
    xpaclri(N) = |s, _| strip(s, 30, 1);
    /// Sign x17 with key IA and x16.
    pacia1716(N) = |s, _| change_17(s, helpers::PAC_ADD, Key::Ia);
    /// Sign x17 with key IB and x16.
    pacib1716(N) = |s, _| change_17(s, helpers::PAC_ADD, Key::Ib);
    /// Check x17 with key IA and x16.
    autia1716(N) = |s, _| change_17(s, helpers::PAC_CHECK, Key::Ia);
    /// Check x17 with key IB and x16.
    autib1716(N) = |s, _| change_17(s, helpers::PAC_CHECK, Key::Ib);
    /// Sign the link register with key IA and modifier zero.
    paciaz(N) = |s, _| change_zero(s, 30, helpers::PAC_ADD, Key::Ia);
    /// Sign the link register with key IA and the stack pointer.
    paciasp(N) = |s, _| change_link(s, helpers::PAC_ADD, Key::Ia);
    /// Sign the link register with key IB and modifier zero.
    pacibz(N) = |s, _| change_zero(s, 30, helpers::PAC_ADD, Key::Ib);
    /// Sign the link register with key IB and the stack pointer.
    pacibsp(N) = |s, _| change_link(s, helpers::PAC_ADD, Key::Ib);
    /// Check the link register with key IA and modifier zero.
    autiaz(N) = |s, _| change_zero(s, 30, helpers::PAC_CHECK, Key::Ia);
    /// Check the link register with key IA and the stack pointer.
    autiasp(N) = |s, _| change_link(s, helpers::PAC_CHECK, Key::Ia);
    /// Check the link register with key IB and modifier zero.
    autibz(N) = |s, _| change_zero(s, 30, helpers::PAC_CHECK, Key::Ib);
    /// Check the link register with key IB and the stack pointer.
    autibsp(N) = |s, _| change_link(s, helpers::PAC_CHECK, Key::Ib);
    /// Code of data.
    pacga(PacGa) = |s, a| {
        let (data, modifier) = (x(s, a.rn), x_sp(s, a.rm));
        let v = s.call(helpers::PAC_GENERIC, &[data, modifier])?;
        set_x(s, a.rd, v);
        fall::<S>()
    };
}

/// Takes the code off; `code` is 1 for a pointer to code.
fn strip<S: Sem>(s: &mut S, rd: u8, code: u64) -> Flow<S> {
    let (v, code) = (x(s, rd), s.k(code));
    let v = s.call(helpers::PAC_STRIP, &[v, code])?;
    set_x(s, rd, v);
    fall::<S>()
}

/// Checks a branch target.
fn checked<S: Sem>(s: &mut S, key: Key, rn: u8, rm: Option<u8>) -> Result<V<S, I64>, S::Stop> {
    let ptr = x(s, rn);
    let modifier = match rm {
        Some(rm) => x_sp(s, rm),
        None => s.k(0),
    };
    call(s, helpers::PAC_CHECK, key, (ptr, modifier))
}

macro_rules! branches {
    ($($(#[$doc:meta])* $name:ident($shape:ident) = $key:ident, |$a:ident| $modifier:expr, $link:literal;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, $a: $shape) -> Flow<S> {
            let target = checked(s, Key::$key, $a.rn, $modifier)?;
            if $link {
                link(s, cx);
            }
            jump::<S>(target)
        }
    )* };
}

branches! {
    /// Branch, key IA.
    braa(BranchRA) = Ia, |a| Some(a.rm), false;
    /// Branch, key IB.
    brab(BranchRA) = Ib, |a| Some(a.rm), false;
    /// Branch, key IA, modifier zero.
    braaz(BranchR) = Ia, |a| None, false;
    /// Branch, key IB, modifier zero.
    brabz(BranchR) = Ib, |a| None, false;
    /// Branch with link, key IA.
    blraa(BranchRA) = Ia, |a| Some(a.rm), true;
    /// Branch with link, key IB.
    blrab(BranchRA) = Ib, |a| Some(a.rm), true;
    /// Branch with link, key IA, modifier zero.
    blraaz(BranchR) = Ia, |a| None, true;
    /// Branch with link, key IB, modifier zero.
    blrabz(BranchR) = Ib, |a| None, true;
}

fn return_checked<S: Sem>(s: &mut S, key: Key) -> Flow<S> {
    let (ptr, modifier) = (link_register(s), s.get(cpu::SP));
    let target = call(s, helpers::PAC_CHECK, key, (ptr, modifier))?;
    jump::<S>(target)
}

/// Return, key IA.
pub fn retaa<S: Sem>(s: &mut S, _: &Cx, _: N) -> Flow<S> {
    return_checked(s, Key::Ia)
}

/// Return, key IB.
pub fn retab<S: Sem>(s: &mut S, _: &Cx, _: N) -> Flow<S> {
    return_checked(s, Key::Ib)
}

/// Load through a checked address.
pub fn ldra<S: Sem>(s: &mut S, _: &Cx, a: LdPac) -> Flow<S> {
    let (ptr, modifier) = (x_sp(s, a.rn), s.k(0));
    let key = if a.m == 0 { Key::Da } else { Key::Db };
    let base = call(s, helpers::PAC_CHECK, key, (ptr, modifier))?;
    let addr = s.add_imm(base, a.imm.into());
    let v = s.load(addr, MemOp::new(3))?;
    if a.w != 0 {
        super::set_x_sp(s, a.rn, addr);
    }
    set_x(s, a.rt, v);
    fall::<S>()
}

//! Pointer authentication: C6.2, D8.10. Signing and checking are helpers, but for user programs with the code of our own.

use super::branch::{go_back, jump, link, link_register};
use super::{Cx, fall, set_x, x, x_sp};
use crate::cpu;
use crate::helpers;
use crate::isa::{BranchR, BranchRA, LdPac, N, Pac, PacGa, PacZ};
use crate::{mode, pauth};
use tcg_core::sem::{Flow, MemOp, Sem, V};
use tcg_core::ty::{Bool, I64};

/// Keys by number, as [`crate::sysreg::System::keys`] has them.
#[derive(Clone, Copy)]
enum Key {
    Ia,
    Ib,
    Da,
    Db,
}

/// What is done to a pointer.
#[derive(Clone, Copy)]
enum Do {
    Sign,
    Check,
}

/// Where the code is in a pointer to the lower half, next to addresses of 48 bits and a tag.
const FIELD: u64 = pauth::field(48, true);

/// The code of our own but for its lower half, which no pointer has room for.
fn code<S: Sem>(s: &mut S, (data, modifier): (V<S, I64>, V<S, I64>), key: Key) -> V<S, I64> {
    let step = |s: &mut S, v: V<S, I64>, by: u64| {
        let (shift, by) = (s.k(33), s.k(by));
        let high = s.shru(v, shift);
        let v = s.xor(v, high);
        s.mul(v, by)
    };
    let [low, high] = [0, 1].map(|half| s.get(cpu::key(key as u8, half)));
    let v = s.xor(data, low);
    let v = step(s, v, pauth::MULTIPLIERS[0]);
    let half = s.k(32);
    let modifier = s.rotr(modifier, half);
    let modifier = s.xor(modifier, high);
    let v = s.xor(v, modifier);
    step(s, v, pauth::MULTIPLIERS[1])
}

/// Signs or checks a pointer.
fn apply<S: Sem>(
    s: &mut S,
    (cx, what, key): (&Cx, Do, Key),
    (ptr, modifier): (V<S, I64>, V<S, I64>),
) -> Result<V<S, I64>, S::Stop> {
    let helper = match what {
        Do::Sign => helpers::PAC_ADD,
        Do::Check => helpers::PAC_CHECK,
    };
    let number = s.k(key as u64);
    let args = [ptr, modifier, number];
    if !mode::signs_plainly(cx.at.mode) {
        return s.call(helper, &args);
    }
    let (field, others) = (s.k(FIELD), s.k(!FIELD));
    let plain = s.and(ptr, others);
    let code = code(s, (plain, modifier), key);
    let (usual, value) = match what {
        Do::Sign => {
            let code = s.and(code, field);
            (is_lower(s, ptr), s.xor(ptr, code))
        }
        Do::Check => {
            // Not equal if the pointer is to the upper half.
            let there = bits_from_48(s, ptr, FIELD | pauth::HALF);
            let right = bits_from_48(s, code, FIELD);
            (s.eq(there, right), plain)
        }
    };
    s.usually(usual, value, helper, &args)
}

/// The bits of `mask`, which has none below bit 48, moved to the lowest.
fn bits_from_48<S: Sem>(s: &mut S, v: V<S, I64>, mask: u64) -> V<S, I64> {
    let (by, mask) = (s.k(48), s.k(mask >> 48));
    let v = s.shru(v, by);
    s.and(v, mask)
}

/// Whether a pointer is to the lower half.
fn is_lower<S: Sem>(s: &mut S, ptr: V<S, I64>) -> V<S, Bool> {
    let (half, zero) = (s.k(pauth::HALF), s.k(0));
    let half = s.and(ptr, half);
    s.eq(half, zero)
}

/// rd = rd signed or checked with modifier rn.
fn change<S: Sem>(s: &mut S, cx: &Cx, a: Pac, what: Do, key: Key) -> Flow<S> {
    let (ptr, modifier) = (x(s, a.rd), x_sp(s, a.rn));
    let v = apply(s, (cx, what, key), (ptr, modifier))?;
    set_x(s, a.rd, v);
    fall::<S>()
}

/// The same with modifier zero.
fn change_zero<S: Sem>(s: &mut S, cx: &Cx, rd: u8, what: Do, key: Key) -> Flow<S> {
    let (ptr, modifier) = (x(s, rd), s.k(0));
    let v = apply(s, (cx, what, key), (ptr, modifier))?;
    set_x(s, rd, v);
    fall::<S>()
}

/// The same for the link register with the stack pointer.
fn change_link<S: Sem>(s: &mut S, cx: &Cx, what: Do, key: Key) -> Flow<S> {
    change(s, cx, Pac { rn: 31, rd: 30 }, what, key)
}

/// The same for x17 with x16.
fn change_17<S: Sem>(s: &mut S, cx: &Cx, what: Do, key: Key) -> Flow<S> {
    change(s, cx, Pac { rn: 16, rd: 17 }, what, key)
}

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident($shape:ident) = |$s:ident, $cx:pat_param, $a:pat_param| $body:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>($s: &mut S, $cx: &Cx, $a: $shape) -> Flow<S> {
            $body
        }
    )* };
}

rows! {
    /// Sign with key IA.
    pacia(Pac) = |s, cx, a| change(s, cx, a, Do::Sign, Key::Ia);
    /// Sign with key IB.
    pacib(Pac) = |s, cx, a| change(s, cx, a, Do::Sign, Key::Ib);
    /// Sign with key DA.
    pacda(Pac) = |s, cx, a| change(s, cx, a, Do::Sign, Key::Da);
    /// Sign with key DB.
    pacdb(Pac) = |s, cx, a| change(s, cx, a, Do::Sign, Key::Db);
    /// Check with key IA.
    autia(Pac) = |s, cx, a| change(s, cx, a, Do::Check, Key::Ia);
    /// Check with key IB.
    autib(Pac) = |s, cx, a| change(s, cx, a, Do::Check, Key::Ib);
    /// Check with key DA.
    autda(Pac) = |s, cx, a| change(s, cx, a, Do::Check, Key::Da);
    /// Check with key DB.
    autdb(Pac) = |s, cx, a| change(s, cx, a, Do::Check, Key::Db);
    /// Sign with key IA and modifier zero.
    paciza(PacZ) = |s, cx, a| change_zero(s, cx, a.rd, Do::Sign, Key::Ia);
    /// Sign with key IB and modifier zero.
    pacizb(PacZ) = |s, cx, a| change_zero(s, cx, a.rd, Do::Sign, Key::Ib);
    /// Sign with key DA and modifier zero.
    pacdza(PacZ) = |s, cx, a| change_zero(s, cx, a.rd, Do::Sign, Key::Da);
    /// Sign with key DB and modifier zero.
    pacdzb(PacZ) = |s, cx, a| change_zero(s, cx, a.rd, Do::Sign, Key::Db);
    /// Check with key IA and modifier zero.
    autiza(PacZ) = |s, cx, a| change_zero(s, cx, a.rd, Do::Check, Key::Ia);
    /// Check with key IB and modifier zero.
    autizb(PacZ) = |s, cx, a| change_zero(s, cx, a.rd, Do::Check, Key::Ib);
    /// Check with key DA and modifier zero.
    autdza(PacZ) = |s, cx, a| change_zero(s, cx, a.rd, Do::Check, Key::Da);
    /// Check with key DB and modifier zero.
    autdzb(PacZ) = |s, cx, a| change_zero(s, cx, a.rd, Do::Check, Key::Db);
    /// Strip an instruction address.
    xpaci(PacZ) = |s, _, a| strip(s, a.rd, 1);
    /// Strip a data address.
    xpacd(PacZ) = |s, _, a| strip(s, a.rd, 0);
    /// Strip the link register.
    xpaclri(N) = |s, _, _| strip(s, 30, 1);
    /// Sign x17 with key IA and x16.
    pacia1716(N) = |s, cx, _| change_17(s, cx, Do::Sign, Key::Ia);
    /// Sign x17 with key IB and x16.
    pacib1716(N) = |s, cx, _| change_17(s, cx, Do::Sign, Key::Ib);
    /// Check x17 with key IA and x16.
    autia1716(N) = |s, cx, _| change_17(s, cx, Do::Check, Key::Ia);
    /// Check x17 with key IB and x16.
    autib1716(N) = |s, cx, _| change_17(s, cx, Do::Check, Key::Ib);
    /// Sign the link register with key IA and modifier zero.
    paciaz(N) = |s, cx, _| change_zero(s, cx, 30, Do::Sign, Key::Ia);
    /// Sign the link register with key IA and the stack pointer.
    paciasp(N) = |s, cx, _| change_link(s, cx, Do::Sign, Key::Ia);
    /// Sign the link register with key IB and modifier zero.
    pacibz(N) = |s, cx, _| change_zero(s, cx, 30, Do::Sign, Key::Ib);
    /// Sign the link register with key IB and the stack pointer.
    pacibsp(N) = |s, cx, _| change_link(s, cx, Do::Sign, Key::Ib);
    /// Check the link register with key IA and modifier zero.
    autiaz(N) = |s, cx, _| change_zero(s, cx, 30, Do::Check, Key::Ia);
    /// Check the link register with key IA and the stack pointer.
    autiasp(N) = |s, cx, _| change_link(s, cx, Do::Check, Key::Ia);
    /// Check the link register with key IB and modifier zero.
    autibz(N) = |s, cx, _| change_zero(s, cx, 30, Do::Check, Key::Ib);
    /// Check the link register with key IB and the stack pointer.
    autibsp(N) = |s, cx, _| change_link(s, cx, Do::Check, Key::Ib);
    /// Code of data.
    pacga(PacGa) = |s, _, a| {
        let (data, modifier) = (x(s, a.rn), x_sp(s, a.rm));
        let v = s.call(helpers::PAC_GENERIC, &[data, modifier])?;
        set_x(s, a.rd, v);
        fall::<S>()
    };
}

/// Takes the code off; `code` is 1 for a pointer to code.
fn strip<S: Sem>(s: &mut S, rd: u8, code: u64) -> Flow<S> {
    let (ptr, code) = (x(s, rd), s.k(code));
    let v = s.call(helpers::PAC_STRIP, &[ptr, code])?;
    set_x(s, rd, v);
    fall::<S>()
}

/// Checks a branch target.
fn checked<S: Sem>(s: &mut S, cx: &Cx, key: Key, rn: u8, rm: Option<u8>) -> Result<V<S, I64>, S::Stop> {
    let ptr = x(s, rn);
    let modifier = match rm {
        Some(rm) => x_sp(s, rm),
        None => s.k(0),
    };
    apply(s, (cx, Do::Check, key), (ptr, modifier))
}

macro_rules! branches {
    ($($(#[$doc:meta])* $name:ident($shape:ident) = $key:ident, |$a:ident| $modifier:expr, $link:literal;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, $a: $shape) -> Flow<S> {
            let target = checked(s, cx, Key::$key, $a.rn, $modifier)?;
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

fn return_checked<S: Sem>(s: &mut S, cx: &Cx, key: Key) -> Flow<S> {
    let (ptr, modifier) = (link_register(s), s.get(cpu::SP));
    let target = apply(s, (cx, Do::Check, key), (ptr, modifier))?;
    go_back::<S>(target)
}

/// Return, key IA.
pub fn retaa<S: Sem>(s: &mut S, cx: &Cx, _: N) -> Flow<S> {
    return_checked(s, cx, Key::Ia)
}

/// Return, key IB.
pub fn retab<S: Sem>(s: &mut S, cx: &Cx, _: N) -> Flow<S> {
    return_checked(s, cx, Key::Ib)
}

/// Load through a checked address.
pub fn ldra<S: Sem>(s: &mut S, cx: &Cx, a: LdPac) -> Flow<S> {
    let (ptr, modifier) = (x_sp(s, a.rn), s.k(0));
    let key = if a.m == 0 { Key::Da } else { Key::Db };
    let base = apply(s, (cx, Do::Check, key), (ptr, modifier))?;
    let addr = s.add_imm(base, a.imm.into());
    let v = s.load(addr, MemOp::new(3))?;
    if a.w != 0 {
        super::set_x_sp(s, a.rn, addr);
    }
    set_x(s, a.rt, v);
    fall::<S>()
}

//! Exclusive, ordered and atomic accesses: C4.1.94, B2.12 (exclusives).
//!
//! An exclusive load notes the address and the value that it saw; an exclusive store compares and swaps. So it also succeeds
//! when another PE has put the same value back, which no correct program can tell. A store-release is ordered before later
//! loads too, so that load-acquires do not overtake it.

use super::{Cx, Width, fall, set_x, set_x_sp, x, x_sp};
use crate::cpu;
use crate::features::Ext;
use crate::helpers;
use crate::isa::{Cas, CasP, Ex, LdExP, LdI, StEx, StExP, StilpPre, StlrPre};
use tcg_core::sem::{Flow, MemOp, Order, Rmw, Sem, V};
use tcg_core::ty::{Bool, I32, I64};

/// What comes before a store-release.
pub(super) const RELEASE: Order = Order { loads: true, stores: true, later_loads: false, later_stores: true };
/// What comes after one.
pub(super) const BEFORE_LOADS: Order =
    Order { loads: false, stores: true, later_loads: true, later_stores: false };

fn load_exclusive<S: Sem>(s: &mut S, a: Ex, acquires: bool) -> Flow<S> {
    let addr = x_sp(s, a.rn);
    let v = s.load(addr, MemOp::new(a.size).aligned())?;
    if acquires {
        s.fence(Order::ACQUIRE);
    }
    s.set(cpu::EXCLUSIVE_ADDR, addr);
    s.set(cpu::EXCLUSIVE_LOW, v);
    set_x(s, a.rt, v);
    fall::<S>()
}

/// Exclusive load.
pub fn ldxr<S: Sem>(s: &mut S, _: &Cx, a: Ex) -> Flow<S> {
    load_exclusive(s, a, false)
}

/// Exclusive load-acquire.
pub fn ldaxr<S: Sem>(s: &mut S, _: &Cx, a: Ex) -> Flow<S> {
    load_exclusive(s, a, true)
}

/// Ends the reservation and gives the status: 1 if the store did not happen.
fn finish_store<S: Sem>(s: &mut S, rs: u8, reserved: V<S, Bool>, lost: V<S, Bool>) -> Flow<S> {
    let (yes, none) = (s.k::<Bool>(1), s.k::<I64>(u64::MAX));
    let failed = s.select(reserved, lost, yes);
    let status = s.bool_to_int(failed);
    s.set(cpu::EXCLUSIVE_ADDR, none);
    set_x(s, rs, status);
    fall::<S>()
}

/// Whether the store at `addr` is to be tried: it is reserved, or where `bytes` may not be, which faults in any case.
fn tries<S: Sem>(s: &mut S, cx: &Cx, addr: V<S, I64>, (reserved, bytes): (V<S, Bool>, u64)) -> V<S, Bool> {
    let yes = s.k::<Bool>(1);
    let refused = if cx.has(Ext::Lse2) {
        let (low, last) = (s.zext(addr, 4), s.k(16 - bytes));
        s.ltu(last, low)
    } else {
        let (low, zero) = (s.k(bytes - 1), s.k(0));
        let low = s.and(addr, low);
        s.ne(low, zero)
    };
    s.select(refused, yes, reserved)
}

fn store_exclusive_value<S: Sem>(
    s: &mut S,
    cx: &Cx,
    (rs, rn): (u8, u8),
    new: V<S, I64>,
    op: MemOp,
) -> Flow<S> {
    let addr = x_sp(s, rn);
    let (reservation, expected) = (s.get(cpu::EXCLUSIVE_ADDR), s.get::<I64>(cpu::EXCLUSIVE_LOW));
    let reserved = s.eq(addr, reservation);
    let tries = tries(s, cx, addr, (reserved, op.bytes()));
    s.when(tries, |s| {
        let old = s.cas(addr, expected, new, op)?;
        s.set(cpu::EXCLUSIVE_LOW, old);
        Ok(())
    })?;
    let old = s.get(cpu::EXCLUSIVE_LOW);
    let expected = s.zext(expected, 8 << op.size);
    let lost = s.ne(old, expected);
    finish_store(s, rs, reserved, lost)
}

fn store_exclusive<S: Sem>(s: &mut S, cx: &Cx, a: StEx) -> Flow<S> {
    let new = x(s, a.rt);
    store_exclusive_value(s, cx, (a.rs, a.rn), new, MemOp::new(a.size).aligned())
}

/// Exclusive store.
pub fn stxr<S: Sem>(s: &mut S, cx: &Cx, a: StEx) -> Flow<S> {
    store_exclusive(s, cx, a)
}

/// Exclusive store-release.
pub fn stlxr<S: Sem>(s: &mut S, cx: &Cx, a: StEx) -> Flow<S> {
    store_exclusive(s, cx, a)
}

/// Two words as one doubleword, the first low.
fn joined<S: Sem>(s: &mut S, low: u8, high: u8) -> V<S, I64> {
    let (low, high, by) = (I32::get(s, low), x(s, high), s.k(32));
    let (low, high) = (s.zextw(low), s.shl(high, by));
    s.or(low, high)
}

/// The words of a doubleword.
fn split<S: Sem>(s: &mut S, v: V<S, I64>) -> (V<S, I64>, V<S, I64>) {
    let by = s.k(32);
    (s.zext(v, 32), s.shru(v, by))
}

fn load_pair<S: Sem>(s: &mut S, a: LdExP) -> Flow<S> {
    let addr = x_sp(s, a.rn);
    let (first, second, low, high) = if a.sf == 0 {
        let v = s.load(addr, MemOp::new(3).aligned())?;
        let (first, second) = split(s, v);
        (first, second, v, s.k(0))
    } else {
        let low = s.load(addr, MemOp::new(3).aligned())?;
        let above = s.add_imm(addr, 8);
        let high = s.load(above, MemOp::new(3).aligned())?;
        (low, high, low, high)
    };
    s.set(cpu::EXCLUSIVE_ADDR, addr);
    s.set(cpu::EXCLUSIVE_LOW, low);
    s.set(cpu::EXCLUSIVE_HIGH, high);
    set_x(s, a.rt, first);
    set_x(s, a.rt2, second);
    fall::<S>()
}

/// Exclusive load of a pair.
pub fn ldxp<S: Sem>(s: &mut S, _: &Cx, a: LdExP) -> Flow<S> {
    load_pair(s, a)
}

/// Exclusive load-acquire of a pair.
pub fn ldaxp<S: Sem>(s: &mut S, _: &Cx, a: LdExP) -> Flow<S> {
    let flow = load_pair(s, a)?;
    s.fence(Order::ACQUIRE);
    Ok(flow)
}

/// Compares 128 bits with `expected` and swaps them with `new`; the old value is in the scratch registers 0 and 1.
fn cas_128<S: Sem>(
    s: &mut S,
    addr: V<S, I64>,
    expected: [V<S, I64>; 2],
    new: [V<S, I64>; 2],
) -> Result<(), S::Stop> {
    for (n, v) in expected.into_iter().chain(new).enumerate() {
        s.set(cpu::scratch(n as u8), v);
    }
    s.call(helpers::CAS_128, &[addr]).map(|_| ())
}

fn store_pair<S: Sem>(s: &mut S, cx: &Cx, a: StExP) -> Flow<S> {
    if a.sf == 0 {
        let new = joined(s, a.rt, a.rt2);
        return store_exclusive_value(s, cx, (a.rs, a.rn), new, MemOp::new(3).aligned());
    }
    let (addr, new) = (x_sp(s, a.rn), [x(s, a.rt), x(s, a.rt2)]);
    let reservation = s.get(cpu::EXCLUSIVE_ADDR);
    let expected = [s.get::<I64>(cpu::EXCLUSIVE_LOW), s.get::<I64>(cpu::EXCLUSIVE_HIGH)];
    let reserved = s.eq(addr, reservation);
    let tries = tries(s, cx, addr, (reserved, 16));
    s.when(tries, |s| cas_128(s, addr, expected, new))?;
    let old = [s.get::<I64>(cpu::scratch(0)), s.get::<I64>(cpu::scratch(1))];
    let expected = [s.get::<I64>(cpu::EXCLUSIVE_LOW), s.get::<I64>(cpu::EXCLUSIVE_HIGH)];
    let (low, high) = (s.xor(old[0], expected[0]), s.xor(old[1], expected[1]));
    let (differ, zero) = (s.or(low, high), s.k(0));
    let lost = s.ne(differ, zero);
    finish_store(s, a.rs, reserved, lost)
}

/// Exclusive store of a pair.
pub fn stxp<S: Sem>(s: &mut S, cx: &Cx, a: StExP) -> Flow<S> {
    store_pair(s, cx, a)
}

/// Exclusive store-release of a pair.
pub fn stlxp<S: Sem>(s: &mut S, cx: &Cx, a: StExP) -> Flow<S> {
    store_pair(s, cx, a)
}

fn load_ordered<S: Sem>(s: &mut S, a: Ex) -> Flow<S> {
    let addr = x_sp(s, a.rn);
    let v = s.load(addr, MemOp::new(a.size).aligned())?;
    s.fence(Order::ACQUIRE);
    set_x(s, a.rt, v);
    fall::<S>()
}

fn store_ordered<S: Sem>(s: &mut S, a: Ex) -> Flow<S> {
    let (addr, v) = (x_sp(s, a.rn), x(s, a.rt));
    s.fence(RELEASE);
    s.store(addr, v, MemOp::new(a.size).aligned())?;
    s.fence(BEFORE_LOADS);
    fall::<S>()
}

/// Load-acquire.
pub fn ldar<S: Sem>(s: &mut S, _: &Cx, a: Ex) -> Flow<S> {
    load_ordered(s, a)
}

/// Load with limited ordering.
pub fn ldlar<S: Sem>(s: &mut S, _: &Cx, a: Ex) -> Flow<S> {
    load_ordered(s, a)
}

/// Load-acquire that later store-releases do not wait for.
pub fn ldapr<S: Sem>(s: &mut S, _: &Cx, a: Ex) -> Flow<S> {
    load_ordered(s, a)
}

/// Store-release.
pub fn stlr<S: Sem>(s: &mut S, _: &Cx, a: Ex) -> Flow<S> {
    store_ordered(s, a)
}

/// Store with limited ordering.
pub fn stllr<S: Sem>(s: &mut S, _: &Cx, a: Ex) -> Flow<S> {
    store_ordered(s, a)
}

/// Store-release, unscaled offset.
pub fn stlur<S: Sem>(s: &mut S, _: &Cx, a: LdI) -> Flow<S> {
    let (base, v) = (x_sp(s, a.rn), x(s, a.rt));
    let addr = s.add_imm(base, a.imm.into());
    s.fence(RELEASE);
    s.store(addr, v, MemOp::new(a.size).aligned())?;
    s.fence(BEFORE_LOADS);
    fall::<S>()
}

/// Load-acquire, unscaled offset.
pub fn ldapur<S: Sem>(s: &mut S, _: &Cx, a: LdI) -> Flow<S> {
    let base = x_sp(s, a.rn);
    let addr = s.add_imm(base, a.imm.into());
    let v = s.load(addr, MemOp::new(a.size).aligned())?;
    s.fence(Order::ACQUIRE);
    set_x(s, a.rt, v);
    fall::<S>()
}

/// Load-acquire signed, unscaled offset.
pub fn ldapurs_s<S: Sem>(s: &mut S, _: &Cx, a: LdI) -> Flow<S> {
    let base = x_sp(s, a.rn);
    let addr = s.add_imm(base, a.imm.into());
    let v = s.load(addr, MemOp::new(a.size).signed().aligned())?;
    s.fence(Order::ACQUIRE);
    set_x(s, a.rt, v);
    fall::<S>()
}

/// Load-acquire signed to 32 bits, unscaled offset.
pub fn ldapurs_sw<S: Sem>(s: &mut S, _: &Cx, a: LdI) -> Flow<S> {
    let base = x_sp(s, a.rn);
    let addr = s.add_imm(base, a.imm.into());
    let v = s.load::<I32>(addr, MemOp::new(a.size).signed().aligned())?;
    s.fence(Order::ACQUIRE);
    I32::set(s, a.rt, v);
    fall::<S>()
}

/// The address after a register's.
fn after<S: Sem>(s: &mut S, base: V<S, I64>, sf: u8) -> V<S, I64> {
    s.add_imm(base, 4 << sf)
}

/// Stores a pair with release, at `addr`.
fn store_pair_ordered<S: Sem>(s: &mut S, a: LdExP, addr: V<S, I64>) -> Result<(), S::Stop> {
    let (v, w, op) = (x(s, a.rt), x(s, a.rt2), MemOp::new(2 + a.sf).aligned());
    s.fence(RELEASE);
    s.store(addr, v, op)?;
    let next = after(s, addr, a.sf);
    s.store(next, w, op)?;
    s.fence(BEFORE_LOADS);
    Ok(())
}

/// Store-release pair.
pub fn stilp<S: Sem>(s: &mut S, _: &Cx, a: LdExP) -> Flow<S> {
    let addr = x_sp(s, a.rn);
    store_pair_ordered(s, a, addr)?;
    fall::<S>()
}

/// Store-release pair below the base, which becomes the address.
pub fn stilp_pre<S: Sem>(s: &mut S, _: &Cx, a: StilpPre) -> Flow<S> {
    let base = x_sp(s, a.rn);
    let addr = s.add_imm(base, -(8 << a.sf));
    store_pair_ordered(s, LdExP { sf: a.sf, rt2: a.rt2, rn: a.rn, rt: a.rt }, addr)?;
    set_x_sp(s, a.rn, addr);
    fall::<S>()
}

/// Loads a pair with acquire, at the base; `advance` also moves that.
fn load_pair_ordered<S: Sem>(s: &mut S, a: LdExP, advance: bool) -> Flow<S> {
    let (base, op) = (x_sp(s, a.rn), MemOp::new(2 + a.sf).aligned());
    let next = after(s, base, a.sf);
    let (v, w) = (s.load(base, op)?, s.load(next, op)?);
    s.fence(Order::ACQUIRE);
    if advance {
        let end = after(s, next, a.sf);
        set_x_sp(s, a.rn, end);
    }
    set_x(s, a.rt, v);
    set_x(s, a.rt2, w);
    fall::<S>()
}

/// Load-acquire pair.
pub fn ldiapp<S: Sem>(s: &mut S, _: &Cx, a: LdExP) -> Flow<S> {
    load_pair_ordered(s, a, false)
}

/// Load-acquire pair, post-indexed.
pub fn ldiapp_post<S: Sem>(s: &mut S, _: &Cx, a: StilpPre) -> Flow<S> {
    load_pair_ordered(s, LdExP { sf: a.sf, rt2: a.rt2, rn: a.rn, rt: a.rt }, true)
}

/// Store-release below the base, which becomes the address.
pub fn stlr_pre<S: Sem>(s: &mut S, _: &Cx, a: StlrPre) -> Flow<S> {
    let (base, v) = (x_sp(s, a.rn), x(s, a.rt));
    let addr = s.add_imm(base, -(4 << a.sf));
    s.fence(RELEASE);
    s.store(addr, v, MemOp::new(2 + a.sf).aligned())?;
    s.fence(BEFORE_LOADS);
    set_x_sp(s, a.rn, addr);
    fall::<S>()
}

/// Load-acquire, post-indexed.
pub fn ldapr_post<S: Sem>(s: &mut S, _: &Cx, a: StlrPre) -> Flow<S> {
    let base = x_sp(s, a.rn);
    let v = s.load(base, MemOp::new(2 + a.sf).aligned())?;
    s.fence(Order::ACQUIRE);
    let next = after(s, base, a.sf);
    set_x_sp(s, a.rn, next);
    set_x(s, a.rt, v);
    fall::<S>()
}

/// Compare and swap.
pub fn cas<S: Sem>(s: &mut S, _: &Cx, a: Cas) -> Flow<S> {
    let (addr, expected, new) = (x_sp(s, a.rn), x(s, a.rs), x(s, a.rt));
    let old = s.cas(addr, expected, new, MemOp::new(a.size).aligned())?;
    set_x(s, a.rs, old);
    fall::<S>()
}

/// Compare and swap a pair.
pub fn casp<S: Sem>(s: &mut S, _: &Cx, a: CasP) -> Flow<S> {
    let addr = x_sp(s, a.rn);
    let (low, high) = if a.sf == 0 {
        let (expected, new) = (joined(s, a.rs, a.rs + 1), joined(s, a.rt, a.rt + 1));
        let old = s.cas(addr, expected, new, MemOp::new(3).aligned())?;
        split(s, old)
    } else {
        let (expected, new) = ([x(s, a.rs), x(s, a.rs + 1)], [x(s, a.rt), x(s, a.rt + 1)]);
        cas_128(s, addr, expected, new)?;
        (s.get(cpu::scratch(0)), s.get(cpu::scratch(1)))
    };
    set_x(s, a.rs, low);
    set_x(s, a.rs + 1, high);
    fall::<S>()
}

/// rt = memory, which becomes what `kind` makes of it and rs.
fn rmw<S: Sem>(s: &mut S, a: Cas, kind: Rmw, invert: bool) -> Flow<S> {
    let (addr, v) = (x_sp(s, a.rn), x(s, a.rs));
    let v = if invert { s.not(v) } else { v };
    let old = s.rmw(kind, addr, v, MemOp::new(a.size).aligned())?;
    set_x(s, a.rt, old);
    fall::<S>()
}

/// Atomic add.
pub fn ldadd<S: Sem>(s: &mut S, _: &Cx, a: Cas) -> Flow<S> {
    rmw(s, a, Rmw::Add, false)
}

/// Atomic bit clear.
pub fn ldclr<S: Sem>(s: &mut S, _: &Cx, a: Cas) -> Flow<S> {
    rmw(s, a, Rmw::And, true)
}

/// Atomic exclusive or.
pub fn ldeor<S: Sem>(s: &mut S, _: &Cx, a: Cas) -> Flow<S> {
    rmw(s, a, Rmw::Xor, false)
}

/// Atomic bit set.
pub fn ldset<S: Sem>(s: &mut S, _: &Cx, a: Cas) -> Flow<S> {
    rmw(s, a, Rmw::Or, false)
}

/// Atomic signed maximum.
pub fn ldsmax<S: Sem>(s: &mut S, _: &Cx, a: Cas) -> Flow<S> {
    rmw(s, a, Rmw::MaxS, false)
}

/// Atomic signed minimum.
pub fn ldsmin<S: Sem>(s: &mut S, _: &Cx, a: Cas) -> Flow<S> {
    rmw(s, a, Rmw::MinS, false)
}

/// Atomic unsigned maximum.
pub fn ldumax<S: Sem>(s: &mut S, _: &Cx, a: Cas) -> Flow<S> {
    rmw(s, a, Rmw::MaxU, false)
}

/// Atomic unsigned minimum.
pub fn ldumin<S: Sem>(s: &mut S, _: &Cx, a: Cas) -> Flow<S> {
    rmw(s, a, Rmw::MinU, false)
}

/// Atomic swap.
pub fn swp<S: Sem>(s: &mut S, _: &Cx, a: Cas) -> Flow<S> {
    rmw(s, a, Rmw::Swap, false)
}

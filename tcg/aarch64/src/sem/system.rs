//! Hints, barriers, system registers and system instructions: C4.1.93, C5.

use super::{Cx, fall, get_flags, set_flags, set_x, x};
use crate::cpu;
use crate::helpers;
use crate::instructions::DC_ZVA;
use crate::isa::{Barrier, Hint, Msr, MsrImm, N, Sys, Wfxt};
use crate::mode;
use crate::sysreg::{self, Group, Place, encode};
use tcg_core::cpu::exit;
use tcg_core::sem::{Flow, MemOp, Next, Order, Sem, V, packed};
use tcg_core::ty::{I32, I64};

/// Does nothing.
pub fn nop_hint<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    fall::<S>()
}

/// A hint that does nothing here.
pub fn hint<S: Sem>(_: &mut S, _: &Cx, _: Hint) -> Flow<S> {
    fall::<S>()
}

/// Gives the host's time away.
pub fn yield_hint<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    Ok(Next::Exit(exit::YIELD))
}

/// Leaves for the run loop, unless waiting is trapped. `kind` is that of the syndrome.
fn wait<S: Sem>(s: &mut S, cx: &Cx, (event, kind): (bool, u64), code: u32) -> Flow<S> {
    if !mode::is_user(cx.at.mode) {
        let (event, kind) = (s.k(event.into()), s.k(kind));
        s.call(helpers::WAIT, &[event, kind])?;
    }
    Ok(Next::Exit(code))
}

/// Wait for event: an event may always have come.
pub fn wfe<S: Sem>(s: &mut S, cx: &Cx, _: N) -> Flow<S> {
    wait(s, cx, (true, 1), exit::YIELD)
}

/// Wait for interrupt. In a user program, where there are none to see, it ends at once.
pub fn wfi<S: Sem>(s: &mut S, cx: &Cx, _: N) -> Flow<S> {
    let code = if mode::is_user(cx.at.mode) { exit::YIELD } else { exit::HALT };
    wait(s, cx, (false, 0), code)
}

/// Wait for event with a timeout.
pub fn wfet<S: Sem>(s: &mut S, cx: &Cx, _: Wfxt) -> Flow<S> {
    wait(s, cx, (true, 3), exit::YIELD)
}

/// Wait for interrupt with a timeout: it may always have passed.
pub fn wfit<S: Sem>(s: &mut S, cx: &Cx, _: Wfxt) -> Flow<S> {
    wait(s, cx, (false, 2), exit::YIELD)
}

/// Send event: every wait ends by itself.
pub fn sev<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    fall::<S>()
}

/// Send event to itself.
pub fn sevl<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    fall::<S>()
}

/// Clear the exclusive monitor.
pub fn clrex<S: Sem>(s: &mut S, _: &Cx, _: Barrier) -> Flow<S> {
    let none = s.k::<I64>(u64::MAX);
    s.set(crate::cpu::EXCLUSIVE_ADDR, none);
    fall::<S>()
}

/// A barrier: CRm says whether of loads before everything, of stores among themselves, or of all.
fn barrier<S: Sem>(s: &mut S, a: Barrier) -> Flow<S> {
    s.fence(match a.crm & 3 {
        1 => Order::ACQUIRE,
        2 => Order { loads: false, stores: true, later_loads: false, later_stores: true },
        _ => Order::FULL,
    });
    fall::<S>()
}

/// Data synchronisation barrier: completes TLB maintenance, too, which there is above EL0.
pub fn dsb<S: Sem>(s: &mut S, cx: &Cx, a: Barrier) -> Flow<S> {
    if cx.el() > 0 {
        s.call(helpers::COMPLETE_TLB, &[])?;
    }
    barrier(s, a)
}

/// Data memory barrier.
pub fn dmb<S: Sem>(s: &mut S, _: &Cx, a: Barrier) -> Flow<S> {
    barrier(s, a)
}

/// Instruction synchronisation barrier: stores to code are seen by themselves, but not by the translation that is running.
pub fn isb<S: Sem>(_: &mut S, _: &Cx, _: Barrier) -> Flow<S> {
    // What follows may be in the same translation, and have changed.
    Ok(Next::Exit(exit::RESYNC))
}

/// Speculation barrier.
pub fn sb<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    fall::<S>()
}

/// `flags` in bits 31 to 28.
fn unpacked<S: Sem>(s: &mut S, flags: V<S, I32>) -> V<S, I64> {
    let mut all = s.k(0);
    for (mask, up) in [(packed::N | packed::Z, 16), (packed::C, 21), (packed::V, 28)] {
        let (mask, up) = (s.k(mask), s.k(up));
        let part = s.and(flags, mask);
        let part = s.shl(part, up);
        all = s.or(all, part);
    }
    s.zextw(all)
}

/// Bits 31 to 28 as packed flags.
fn repacked<S: Sem>(s: &mut S, v: V<S, I64>) -> V<S, I32> {
    let v = s.trunc(v);
    let mut all = s.k(0);
    for (mask, down) in [(packed::N | packed::Z, 16), (packed::C, 21), (packed::V, 28)] {
        let (mask, down) = (s.k(mask), s.k(down));
        let part = s.shru(v, down);
        let part = s.and(part, mask);
        all = s.or(all, part);
    }
    all
}

/// The register's encoding with the number of the general register, as helpers take it.
fn named<S: Sem>(s: &mut S, reg: u16, rt: u8) -> V<S, I64> {
    s.k(u64::from(reg) | u64::from(rt) << 16)
}

/// Where a register is that needs no helper: one whose access nothing traps.
fn at_hand(cx: &Cx, reg: u16, write: bool) -> Option<Place> {
    const SP_EL0: u16 = encode(3, 0, 4, 1, 0);
    let mode = cx.at.mode;
    match reg {
        SP_EL0 if cx.el() > 0 && mode::sp_sel(mode) => return Some(Place::Direct(cpu::SP_EL0)),
        DAIF if cx.el() > 0 && !write => return Some(Place::Direct(cpu::DAIF)),
        _ => {}
    }
    let row = sysreg::find(reg)?;
    let moved = mode::is_host(mode) && row.host.is_some();
    let trapped = mode::trapped(mode) && row.group != Group::Plain;
    let allowed = cx.el() >= if write { row.write } else { row.read };
    let simple = matches!(row.place, Place::Direct(_) | Place::Nzcv);
    (allowed && simple && !moved && !trapped).then_some(row.place)
}

/// Read a system register.
pub fn mrs<S: Sem>(s: &mut S, cx: &Cx, a: Msr) -> Flow<S> {
    let v = match at_hand(cx, a.reg, false) {
        Some(Place::Direct(reg)) => s.get(reg),
        Some(_) => {
            let flags = get_flags(s);
            unpacked(s, flags)
        }
        None => {
            let reg = named(s, a.reg, a.rt);
            s.call(helpers::READ_SYSTEM, &[reg])?
        }
    };
    set_x(s, a.rt, v);
    fall::<S>()
}

/// Write a system register.
pub fn msr<S: Sem>(s: &mut S, cx: &Cx, a: Msr) -> Flow<S> {
    let v = x(s, a.rt);
    match at_hand(cx, a.reg, true) {
        Some(Place::Direct(reg)) => s.set(reg, v),
        Some(_) => {
            let flags = repacked(s, v);
            set_flags(s, flags);
        }
        None => {
            let reg = named(s, a.reg, a.rt);
            s.call(helpers::WRITE_SYSTEM, &[reg, v])?;
            // What translations depend on may be another now; what an interrupt waits for, too.
            let plain = sysreg::find(a.reg).is_some_and(|row| !row.resync && row.encoding != DAIF);
            return Ok(if plain { Next::Fall } else { Next::Exit(exit::RESYNC) });
        }
    }
    fall::<S>()
}

const DAIF: u16 = encode(3, 3, 4, 2, 1);

/// Write a field of PSTATE.
pub fn msr_imm<S: Sem>(s: &mut S, cx: &Cx, a: MsrImm) -> Flow<S> {
    let el = cx.el();
    let (register, shift) = match (a.op1, a.op2) {
        (0, 3) if el > 0 => (encode(3, 0, 4, 2, 4), 23),
        (0, 4) if el > 0 => (encode(3, 0, 4, 2, 3), 22),
        (0, 5) if el > 0 => (encode(3, 0, 4, 2, 0), 0),
        (3, 1) => (encode(3, 3, 4, 2, 6), 12),
        (3, 2) => (encode(3, 3, 4, 2, 5), 24),
        (3, 6 | 7) => return masks(s, cx, a),
        _ => return cx.undefined::<S>(),
    };
    let (reg, v) = (named(s, register, 31), s.k(u64::from(a.crm & 1) << shift));
    s.call(helpers::WRITE_SYSTEM, &[reg, v])?;
    Ok(if a.op1 == 0 { Next::Exit(exit::RESYNC) } else { Next::Fall })
}

/// Set or clear masks of exceptions.
fn masks<S: Sem>(s: &mut S, cx: &Cx, a: MsrImm) -> Flow<S> {
    let set = a.op2 == 6;
    let bits = u64::from(a.crm) << 6;
    if cx.el() == 0 {
        // A check of whether EL0 may, which the interpreter makes; then the change.
        let insn = s.k(encode(0, a.op1.into(), 4, a.crm.into(), a.op2.into()).into());
        s.call(helpers::CHECK_MASKS, &[insn])?;
    }
    let old = s.get(cpu::DAIF);
    let bits = s.k(if set { bits } else { !bits });
    let new = if set { s.or(old, bits) } else { s.and(old, bits) };
    if set && cx.el() > 0 && a.crm & 8 == 0 {
        s.set(cpu::DAIF, new);
        return fall::<S>();
    }
    s.call(helpers::SET_MASKS, &[new])?;
    Ok(Next::Exit(exit::RESYNC))
}

/// System instructions: maintenance, address translation. An address space may be another afterwards.
pub fn sys<S: Sem>(s: &mut S, cx: &Cx, a: Sys) -> Flow<S> {
    const TLB: u16 = 8;
    if a.reg == DC_ZVA && mode::zeroes_lines(cx.at.mode) {
        return zero_line(s, a.rt);
    }
    let (reg, v) = (named(s, a.reg, a.rt), x(s, a.rt));
    s.call(helpers::SYSTEM_INSTRUCTION, &[reg, v])?;
    Ok(if a.reg >> 7 & 15 == TLB { Next::Exit(exit::RESYNC) } else { Next::Fall })
}

/// DC ZVA of 64 bytes, which kernels clear pages with.
fn zero_line<S: Sem>(s: &mut S, rt: u8) -> Flow<S> {
    let (addr, mask) = (x(s, rt), s.k(!63));
    let (start, zero) = (s.and(addr, mask), s.vector(0));
    for offset in (0..64).step_by(16) {
        let offset = s.k(offset);
        let at = s.add(start, offset);
        s.store_vector(at, zero, MemOp::new(4))?;
    }
    fall::<S>()
}

/// System instructions with a result: there are none.
pub fn sysl<S: Sem>(_: &mut S, cx: &Cx, _: Sys) -> Flow<S> {
    cx.undefined::<S>()
}

//! Hints, barriers, system registers and system instructions: C4.1.93, C5.

use super::{Cx, fall, get_flags, set_flags, set_x, x};
use crate::esr::{self, class};
use crate::features::Ext;
use crate::helpers;
use crate::isa::{Barrier, Hint, Msr, MsrImm, N, Sys, Wfxt};
use crate::mode;
use crate::sysreg::{self, Place, Row, encode};
use tcg_core::cpu::exit;
use tcg_core::sem::{Flow, Next, Order, Sem, V, packed};
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

/// Wait for event: an event may always have come.
pub fn wfe<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    Ok(Next::Exit(exit::YIELD))
}

/// Wait for interrupt. At EL0, where there are none to see, it ends at once.
pub fn wfi<S: Sem>(_: &mut S, cx: &Cx, _: N) -> Flow<S> {
    Ok(Next::Exit(if cx.el() == 0 { exit::YIELD } else { exit::HALT }))
}

/// Wait for event with a timeout.
pub fn wfet<S: Sem>(_: &mut S, _: &Cx, _: Wfxt) -> Flow<S> {
    Ok(Next::Exit(exit::YIELD))
}

/// Wait for interrupt with a timeout.
pub fn wfit<S: Sem>(_: &mut S, _: &Cx, _: Wfxt) -> Flow<S> {
    Ok(Next::Exit(exit::YIELD))
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

/// Data synchronisation barrier.
pub fn dsb<S: Sem>(s: &mut S, _: &Cx, a: Barrier) -> Flow<S> {
    barrier(s, a)
}

/// Data memory barrier.
pub fn dmb<S: Sem>(s: &mut S, _: &Cx, a: Barrier) -> Flow<S> {
    barrier(s, a)
}

/// Instruction synchronisation barrier: stores to code take effect by themselves.
pub fn isb<S: Sem>(_: &mut S, _: &Cx, _: Barrier) -> Flow<S> {
    fall::<S>()
}

/// Speculation barrier.
pub fn sb<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    fall::<S>()
}

fn exists(cx: &Cx, row: &Row) -> bool {
    cx.has(row.needs)
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

/// Read a system register.
pub fn mrs<S: Sem>(s: &mut S, cx: &Cx, a: Msr) -> Flow<S> {
    let answered = cx.el() > 0 || mode::user_ids(cx.at.mode);
    let Some(row) = sysreg::find(a.reg) else {
        if !answered || !sysreg::is_emulated_identification(a.reg) {
            return cx.undefined::<S>();
        }
        let zero = s.k(0);
        set_x(s, a.rt, zero);
        return fall::<S>();
    };
    let by_emulation = answered && sysreg::is_identification(row.encoding);
    if !exists(cx, row) || cx.el() < row.read && !by_emulation {
        return cx.undefined::<S>();
    }
    let v = match row.place {
        Place::Direct(reg) => s.get(reg),
        Place::Nzcv => {
            let flags = get_flags(s);
            unpacked(s, flags)
        }
        Place::Random => {
            let v = s.call(helpers::RANDOM, &[])?;
            let none = s.k(0);
            set_flags(s, none);
            v
        }
        Place::Functions(..) | Place::Mode(..) | Place::Stored(..) => {
            let reg = s.k(a.reg.into());
            s.call(helpers::READ_SYSTEM, &[reg])?
        }
    };
    set_x(s, a.rt, v);
    fall::<S>()
}

/// Write a system register.
pub fn msr<S: Sem>(s: &mut S, cx: &Cx, a: Msr) -> Flow<S> {
    let Some(row) = sysreg::find(a.reg).filter(|row| exists(cx, row) && cx.el() >= row.write) else {
        return cx.undefined::<S>();
    };
    let v = x(s, a.rt);
    match row.place {
        Place::Direct(reg) => s.set(reg, v),
        Place::Nzcv => {
            let flags = repacked(s, v);
            set_flags(s, flags);
        }
        Place::Functions(..) | Place::Mode(..) | Place::Random | Place::Stored(..) => {
            let reg = s.k(a.reg.into());
            s.call(helpers::WRITE_SYSTEM, &[reg, v])?;
        }
    }
    Ok(if matches!(row.place, Place::Mode(..)) { Next::Exit(exit::RESYNC) } else { Next::Fall })
}

/// Write a field of PSTATE. EL0 may write DIT and SSBS; the interrupt masks are trapped there, as Linux has it.
pub fn msr_imm<S: Sem>(s: &mut S, cx: &Cx, a: MsrImm) -> Flow<S> {
    let (register, shift) = match (a.op1, a.op2) {
        (3, 1) if cx.has(Ext::Ssbs2) => (encode(3, 3, 4, 2, 6), 12),
        (3, 2) if cx.has(Ext::Dit) => (encode(3, 3, 4, 2, 5), 24),
        (3, 6 | 7) if cx.el() == 0 => return cx.trap::<S>(esr::trap(class::SYSTEM, 0)),
        _ => return cx.undefined::<S>(),
    };
    let (reg, v) = (s.k(register.into()), s.k(u64::from(a.crm & 1) << shift));
    s.call(helpers::WRITE_SYSTEM, &[reg, v])?;
    fall::<S>()
}

/// op1, CRn, CRm, op2 of a system instruction.
const fn instruction(op1: u16, crn: u16, crm: u16, op2: u16) -> u16 {
    encode(0, op1, crn, crm, op2)
}

/// System instructions. At EL0 there are cache maintenance by address and DC ZVA.
pub fn sys<S: Sem>(s: &mut S, cx: &Cx, a: Sys) -> Flow<S> {
    const IC_IVAU: u16 = instruction(3, 7, 5, 1);
    const DC_ZVA: u16 = instruction(3, 7, 4, 1);
    const DC_CVAC: u16 = instruction(3, 7, 10, 1);
    const DC_CVAU: u16 = instruction(3, 7, 11, 1);
    const DC_CVAP: u16 = instruction(3, 7, 12, 1);
    const DC_CVADP: u16 = instruction(3, 7, 13, 1);
    const DC_CIVAC: u16 = instruction(3, 7, 14, 1);
    match a.reg {
        // Caches are not modelled.
        DC_CVAC | DC_CVAU | DC_CIVAC => fall::<S>(),
        IC_IVAU => {
            let addr = x(s, a.rt);
            s.call(helpers::FORGET_CODE, &[addr])?;
            fall::<S>()
        }
        DC_CVAP if cx.has(Ext::Dpb) => fall::<S>(),
        DC_CVADP if cx.has(Ext::Dpb2) => fall::<S>(),
        DC_ZVA => {
            let addr = x(s, a.rt);
            s.call(helpers::ZERO_BLOCK, &[addr])?;
            fall::<S>()
        }
        _ => cx.undefined::<S>(),
    }
}

/// System instructions with a result: there are none.
pub fn sysl<S: Sem>(_: &mut S, cx: &Cx, _: Sys) -> Flow<S> {
    cx.undefined::<S>()
}

//! Control and status register instructions: chapter 7.

use super::{Cx, fall, set_x, x};
use crate::cpu;
use crate::csr::bits::mstatus;
use crate::csr::{self, Access, Update};
use crate::features::Ext;
use crate::helpers;
use crate::isa::{Csr, CsrI};
use crate::mode::{self, Fs};
use tcg_core::cpu::{RegId, exit};
use tcg_core::sem::{Flow, Next, Sem, V};
use tcg_core::ty::I64;

const VXSAT: u16 = 0x009;
const VCSR: u16 = 0x00f;

/// A register of the vector unit that translations know: `vl`, `vtype`, `vlenb`.
fn of_vectors<S: Sem>(s: &mut S, cx: &Cx, access: Access) -> Option<V<S, I64>> {
    let readable = access.write.is_none() && cx.has(Ext::Zve32x) && mode::vs(cx.at.mode) != Fs::Off;
    Some(match access.number {
        0xc20 if readable => s.get(cpu::VL),
        0xc21 if readable => s.get(cpu::VTYPE),
        0xc22 if readable => s.k(mode::features(cx.at.mode).vlen() / 8),
        _ => return None,
    })
}

/// The register of the state that CSR `number` is, if it only keeps what is written to it and may be accessed.
fn kept(cx: &Cx, number: u16) -> Option<RegId> {
    let allowed = mode::privilege(cx.at.mode) >= csr::least_privilege(number);
    cpu::kept_csr(number).filter(|_| allowed)
}

/// An access to CSR `number`, which is register `reg` of the state.
fn in_state<S: Sem>(s: &mut S, rd: u8, reg: RegId, access: Access, operand: V<S, I64>) -> Flow<S> {
    let old = s.get(reg);
    if let Some(update) = access.write {
        let new = match update {
            Update::Write => operand,
            Update::Set => s.or(old, operand),
            Update::Clear => {
                let kept = s.not(operand);
                s.and(old, kept)
            }
        };
        let mask = s.k(csr::kept_bits(access.number));
        let new = s.and(new, mask);
        s.set(reg, new);
    }
    set_x(s, rd, old);
    fall::<S>()
}

/// The access, then on in step with what it may have changed; `settled` says that it changed nothing that others know.
fn access<S: Sem>(
    s: &mut S,
    cx: &Cx,
    rd: u8,
    (access, settled): (Access, bool),
    operand: V<S, I64>,
) -> Flow<S> {
    if let Some(reg) = kept(cx, access.number) {
        return in_state(s, rd, reg, access, operand);
    }
    if let Some(value) = of_vectors(s, cx, access) {
        set_x(s, rd, value);
        return fall::<S>();
    }
    let (packed, bits) = (s.k(helpers::pack(access)), cx.bits_value(s));
    let helper = if matches!(access.number, VXSAT | VCSR) { helpers::CSR_VECTOR } else { helpers::CSR };
    let old = s.call(helper, &[packed, operand, bits])?;
    set_x(s, rd, old);
    let settled = settled || access.write.is_none();
    Ok(if settled { Next::Fall } else { Next::Exit(exit::RESYNC) })
}

/// With a register: x0 as operand of set and clear writes nothing.
fn by_register<S: Sem>(s: &mut S, cx: &Cx, a: Csr, update: Update) -> Flow<S> {
    let operand = x(s, a.rs1);
    let write = (update == Update::Write || a.rs1 != 0).then_some(update);
    access(s, cx, a.rd, (Access { number: a.csr, write, read: a.rd != 0 }, false), operand)
}

/// With a constant: zero as operand of set and clear writes nothing.
fn by_constant<S: Sem>(s: &mut S, cx: &Cx, a: CsrI, update: Update) -> Flow<S> {
    let operand = s.k(a.uimm.into());
    let write = (update == Update::Write || a.uimm != 0).then_some(update);
    // As kernels do at the beginning of what is not to be interrupted.
    let bars_interrupts =
        csr::is_status(a.csr) && update == Update::Clear && u64::from(a.uimm) & !mstatus::INTERRUPTS == 0;
    access(s, cx, a.rd, (Access { number: a.csr, write, read: a.rd != 0 }, bars_interrupts), operand)
}

/// Read and write.
pub fn csrrw<S: Sem>(s: &mut S, cx: &Cx, a: Csr) -> Flow<S> {
    by_register(s, cx, a, Update::Write)
}

/// Read and set bits.
pub fn csrrs<S: Sem>(s: &mut S, cx: &Cx, a: Csr) -> Flow<S> {
    by_register(s, cx, a, Update::Set)
}

/// Read and clear bits.
pub fn csrrc<S: Sem>(s: &mut S, cx: &Cx, a: Csr) -> Flow<S> {
    by_register(s, cx, a, Update::Clear)
}

/// Read and write a constant.
pub fn csrrwi<S: Sem>(s: &mut S, cx: &Cx, a: CsrI) -> Flow<S> {
    by_constant(s, cx, a, Update::Write)
}

/// Read and set bits of a constant.
pub fn csrrsi<S: Sem>(s: &mut S, cx: &Cx, a: CsrI) -> Flow<S> {
    by_constant(s, cx, a, Update::Set)
}

/// Read and clear bits of a constant.
pub fn csrrci<S: Sem>(s: &mut S, cx: &Cx, a: CsrI) -> Flow<S> {
    by_constant(s, cx, a, Update::Clear)
}

//! Privileged instructions: Privileged ISA 20240411, 3.3, 10.2 and chapter 12 (Svinval). Cache blocks: Unprivileged
//! ISA, chapter 18 (Zicbom, Zicbop, Zicboz).

use super::{Cx, fall, x};
use crate::helpers;
use crate::isa::{Cbo, N, Pref, Sfence};
use tcg_core::cpu::{HelperId, exit};
use tcg_core::sem::{Flow, Hint, MemOp, Next, Sem};
use tcg_core::ty::I64;

/// Bytes of a cache block.
const BLOCK: u64 = 64;

fn return_by<S: Sem>(s: &mut S, cx: &Cx, helper: HelperId) -> Flow<S> {
    let bits = cx.bits_value(s);
    let pc = s.call(helper, &[bits])?;
    Ok(Next::Indirect(pc, Hint::Resync))
}

/// Return from a trap into M-mode.
pub fn mret<S: Sem>(s: &mut S, cx: &Cx, _: N) -> Flow<S> {
    return_by(s, cx, helpers::MRET)
}

/// Return from a trap into S-mode.
pub fn sret<S: Sem>(s: &mut S, cx: &Cx, _: N) -> Flow<S> {
    return_by(s, cx, helpers::SRET)
}

/// Wait for an interrupt.
pub fn wfi<S: Sem>(s: &mut S, cx: &Cx, _: N) -> Flow<S> {
    let bits = cx.bits_value(s);
    s.call(helpers::WFI, &[bits])?;
    Ok(Next::Exit(exit::HALT))
}

/// Order page-table stores before later translations.
pub fn sfence_vma<S: Sem>(s: &mut S, cx: &Cx, a: Sfence) -> Flow<S> {
    let (addr, asid, bits) = (x(s, a.rs1), x(s, a.rs2), cx.bits_value(s));
    s.call(helpers::SFENCE_VMA, &[addr, asid, bits])?;
    Ok(Next::Exit(exit::RESYNC))
}

/// The same without the order, which here it always has.
pub fn sinval_vma<S: Sem>(s: &mut S, cx: &Cx, a: Sfence) -> Flow<S> {
    sfence_vma(s, cx, a)
}

/// Order before `sinval.vma`.
pub fn sfence_w_inval<S: Sem>(s: &mut S, cx: &Cx, _: N) -> Flow<S> {
    let bits = cx.bits_value(s);
    s.call(helpers::SFENCE_CHECK, &[bits])?;
    fall::<S>()
}

/// Order after `sinval.vma`.
pub fn sfence_inval_ir<S: Sem>(s: &mut S, cx: &Cx, a: N) -> Flow<S> {
    sfence_w_inval(s, cx, a)
}

fn cache_block<S: Sem>(s: &mut S, cx: &Cx, a: Cbo, helper: HelperId) -> Flow<S> {
    let (addr, bits) = (x(s, a.rs1), cx.bits_value(s));
    s.call(helper, &[addr, bits])?;
    fall::<S>()
}

/// Invalidate a cache block.
pub fn cbo_inval<S: Sem>(s: &mut S, cx: &Cx, a: Cbo) -> Flow<S> {
    cache_block(s, cx, a, helpers::CBO_INVAL)
}

/// Write a cache block back.
pub fn cbo_clean<S: Sem>(s: &mut S, cx: &Cx, a: Cbo) -> Flow<S> {
    cache_block(s, cx, a, helpers::CBO_CLEAN)
}

/// Write a cache block back and invalidate it.
pub fn cbo_flush<S: Sem>(s: &mut S, cx: &Cx, a: Cbo) -> Flow<S> {
    cache_block(s, cx, a, helpers::CBO_CLEAN)
}

/// Zero a cache block. Lying in one page, it faults with its first store or not at all.
pub fn cbo_zero<S: Sem>(s: &mut S, cx: &Cx, a: Cbo) -> Flow<S> {
    let bits = cx.bits_value(s);
    s.call(helpers::CBO_ZERO, &[bits])?;
    let (addr, mask, zero) = (x(s, a.rs1), s.k(!(BLOCK - 1)), s.k::<I64>(0));
    let block = s.and(addr, mask);
    for offset in (0..BLOCK as i64).step_by(8) {
        let at = s.add_imm(block, offset);
        s.store(at, zero, MemOp::new(3))?;
    }
    fall::<S>()
}

/// Prefetch for execution: a hint.
pub fn prefetch_i<S: Sem>(_: &mut S, _: &Cx, _: Pref) -> Flow<S> {
    fall::<S>()
}

/// Prefetch for reading: a hint.
pub fn prefetch_r<S: Sem>(_: &mut S, _: &Cx, _: Pref) -> Flow<S> {
    fall::<S>()
}

/// Prefetch for writing: a hint.
pub fn prefetch_w<S: Sem>(_: &mut S, _: &Cx, _: Pref) -> Flow<S> {
    fall::<S>()
}

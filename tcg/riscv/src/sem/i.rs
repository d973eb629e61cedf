//! RV64I: chapters 2 and 4; Zifencei: 6; Zihintntl: 12; Zihintpause: 13; Zicond: 14; Zawrs: 16.

use super::{Cx, binary, fall, set_x, x};
use crate::csr::bits::cause;
use crate::features::Ext;
use crate::helpers;
use crate::isa::{B, Fence, I, J, N, R, S as Store, Shift, ShiftW, U};
use tcg_core::cpu::exit;
use tcg_core::sem::{Flow, Hint, MemOp, Next, Order, Sem, V};
use tcg_core::ty::{Bool, I32, I64};

/// Load upper immediate.
pub fn lui<S: Sem>(s: &mut S, _: &Cx, a: U) -> Flow<S> {
    let v = s.k(a.imm as u64);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// Add upper immediate to pc.
pub fn auipc<S: Sem>(s: &mut S, cx: &Cx, a: U) -> Flow<S> {
    let v = s.code_addr(cx.relative(a.imm));
    set_x(s, a.rd, v);
    fall::<S>()
}

/// Whether a jump to `target` traps: without Zca instructions stand at multiples of four.
fn misaligned(cx: &Cx, target: u64) -> bool {
    target & 2 != 0 && !cx.has(Ext::Zca)
}

/// Jump and link.
pub fn jal<S: Sem>(s: &mut S, cx: &Cx, a: J) -> Flow<S> {
    let target = cx.relative(a.imm);
    if misaligned(cx, target) {
        return cx.trap::<S>(cause::FETCH_MISALIGNED, target);
    }
    let link = s.code_addr(cx.next_pc());
    set_x(s, a.rd, link);
    Ok(Next::Jump(target))
}

/// Jump and link register.
pub fn jalr<S: Sem>(s: &mut S, cx: &Cx, a: I) -> Flow<S> {
    let base = x(s, a.rs1);
    let target = s.add_imm(base, a.imm.into());
    let even = s.k(!1);
    let target = s.and(target, even);
    if !cx.has(Ext::Zca) {
        let two = s.k(2);
        let low = s.and(target, two);
        let odd = s.eq(low, two);
        s.when(odd, |s| s.call(helpers::MISALIGNED_JUMP, &[target]).map(|_| ()))?;
    }
    let link = s.code_addr(cx.next_pc());
    set_x(s, a.rd, link);
    let returns = is_link(a.rs1) && !is_link(a.rd);
    Ok(Next::Indirect(target, if returns { Hint::Return } else { Hint::Jump }))
}

/// Whether a register holds a return address by convention: x1 and x5 (2.5.1, table 3).
fn is_link(reg: u8) -> bool {
    matches!(reg, 1 | 5)
}

/// Goes to the target if `test` holds for rs1 and rs2.
fn branch<S: Sem>(
    s: &mut S,
    cx: &Cx,
    a: B,
    test: impl FnOnce(&mut S, V<S, I64>, V<S, I64>) -> V<S, Bool>,
) -> Flow<S> {
    let (v, w) = (x(s, a.rs1), x(s, a.rs2));
    let cond = test(s, v, w);
    let taken = cx.relative(a.imm);
    if misaligned(cx, taken) {
        let target = s.k(taken);
        s.when(cond, |s| s.call(helpers::MISALIGNED_JUMP, &[target]).map(|_| ()))?;
        return fall::<S>();
    }
    Ok(Next::Branch { cond, taken, not: cx.next_pc() })
}

/// The opposite truth value.
fn negate<S: Sem>(s: &mut S, cond: V<S, Bool>) -> V<S, Bool> {
    let (yes, no) = (s.k(1), s.k(0));
    s.select(cond, no, yes)
}

/// Branch if equal.
pub fn beq<S: Sem>(s: &mut S, cx: &Cx, a: B) -> Flow<S> {
    branch(s, cx, a, S::eq)
}

/// Branch if not equal.
pub fn bne<S: Sem>(s: &mut S, cx: &Cx, a: B) -> Flow<S> {
    branch(s, cx, a, S::ne)
}

/// Branch if less.
pub fn blt<S: Sem>(s: &mut S, cx: &Cx, a: B) -> Flow<S> {
    branch(s, cx, a, S::lts)
}

/// Branch if less, unsigned.
pub fn bltu<S: Sem>(s: &mut S, cx: &Cx, a: B) -> Flow<S> {
    branch(s, cx, a, S::ltu)
}

/// Branch if greater or equal.
pub fn bge<S: Sem>(s: &mut S, cx: &Cx, a: B) -> Flow<S> {
    unless(s, cx, a, S::lts)
}

/// Branch if greater or equal, unsigned.
pub fn bgeu<S: Sem>(s: &mut S, cx: &Cx, a: B) -> Flow<S> {
    unless(s, cx, a, S::ltu)
}

/// Goes to the target unless `test` holds: the same branch with its ways exchanged.
fn unless<S: Sem>(
    s: &mut S,
    cx: &Cx,
    a: B,
    test: impl FnOnce(&mut S, V<S, I64>, V<S, I64>) -> V<S, Bool>,
) -> Flow<S> {
    if misaligned(cx, cx.relative(a.imm)) {
        return branch(s, cx, a, |s, v, w| {
            let below = test(s, v, w);
            negate(s, below)
        });
    }
    Ok(match branch(s, cx, a, test)? {
        Next::Branch { cond, taken, not } => Next::Branch { cond, taken: not, not: taken },
        next => next,
    })
}

/// rs1 plus the offset.
pub(super) fn address<S: Sem>(s: &mut S, rs1: u8, imm: i32) -> V<S, I64> {
    let base = x(s, rs1);
    if imm == 0 { base } else { s.add_imm(base, imm.into()) }
}

fn load<S: Sem>(s: &mut S, a: I, op: MemOp) -> Flow<S> {
    let addr = address(s, a.rs1, a.imm);
    let v = s.load(addr, op)?;
    set_x(s, a.rd, v);
    fall::<S>()
}

fn store<S: Sem>(s: &mut S, a: Store, op: MemOp) -> Flow<S> {
    let (addr, v) = (address(s, a.rs1, a.imm), x(s, a.rs2));
    s.store(addr, v, op)?;
    fall::<S>()
}

/// Load byte.
pub fn lb<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    load(s, a, MemOp::new(0).signed())
}

/// Load halfword.
pub fn lh<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    load(s, a, MemOp::new(1).signed())
}

/// Load word.
pub fn lw<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    load(s, a, MemOp::new(2).signed())
}

/// Load doubleword.
pub fn ld<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    load(s, a, MemOp::new(3))
}

/// Load byte, unsigned.
pub fn lbu<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    load(s, a, MemOp::new(0))
}

/// Load halfword, unsigned.
pub fn lhu<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    load(s, a, MemOp::new(1))
}

/// Load word, unsigned.
pub fn lwu<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    load(s, a, MemOp::new(2))
}

/// Store byte.
pub fn sb<S: Sem>(s: &mut S, _: &Cx, a: Store) -> Flow<S> {
    store(s, a, MemOp::new(0))
}

/// Store halfword.
pub fn sh<S: Sem>(s: &mut S, _: &Cx, a: Store) -> Flow<S> {
    store(s, a, MemOp::new(1))
}

/// Store word.
pub fn sw<S: Sem>(s: &mut S, _: &Cx, a: Store) -> Flow<S> {
    store(s, a, MemOp::new(2))
}

/// Store doubleword.
pub fn sd<S: Sem>(s: &mut S, _: &Cx, a: Store) -> Flow<S> {
    store(s, a, MemOp::new(3))
}

/// rd = f(rs1, imm).
fn immediate<S: Sem>(s: &mut S, a: I, f: impl FnOnce(&mut S, V<S, I64>, V<S, I64>) -> V<S, I64>) -> Flow<S> {
    let (v, imm) = (x(s, a.rs1), s.k(a.imm as u64));
    let v = f(s, v, imm);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// Add immediate; of x0 and of zero the moves that assemblers make of it.
pub fn addi<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    let v = if a.rs1 == 0 { s.k(a.imm as u64) } else { address(s, a.rs1, a.imm) };
    set_x(s, a.rd, v);
    fall::<S>()
}

/// Set if less than immediate.
pub fn slti<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    immediate(s, a, set_if_less)
}

/// Set if less than immediate, unsigned.
pub fn sltiu<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    immediate(s, a, set_if_below)
}

/// Exclusive or with immediate.
pub fn xori<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    immediate(s, a, S::xor)
}

/// Or with immediate.
pub fn ori<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    immediate(s, a, S::or)
}

/// And with immediate.
pub fn andi<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    immediate(s, a, S::and)
}

/// rd = f(rs1, shamt).
pub(super) fn shift<S: Sem>(
    s: &mut S,
    a: Shift,
    f: impl FnOnce(&mut S, V<S, I64>, V<S, I64>) -> V<S, I64>,
) -> Flow<S> {
    let (v, by) = (x(s, a.rs1), s.k(a.shamt.into()));
    let v = f(s, v, by);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// rd = f(rs1, shamt) on 32 bits, with the sign extended.
pub(super) fn shift_word<S: Sem>(
    s: &mut S,
    a: ShiftW,
    f: impl FnOnce(&mut S, V<S, I32>, V<S, I32>) -> V<S, I32>,
) -> Flow<S> {
    let a = Shift { rd: a.rd, rs1: a.rs1, shamt: a.shamt };
    shift(s, a, |s, v, by| on_words(s, v, by, f))
}

/// f of the low words, with the sign extended.
pub(super) fn on_words<S: Sem>(
    s: &mut S,
    v: V<S, I64>,
    w: V<S, I64>,
    f: impl FnOnce(&mut S, V<S, I32>, V<S, I32>) -> V<S, I32>,
) -> V<S, I64> {
    let (v, w) = (s.trunc(v), s.trunc(w));
    let v = f(s, v, w);
    s.sextw(v)
}

/// rd = f(rs1, rs2) on the low words, with the sign extended.
pub(super) fn binary_word<S: Sem>(
    s: &mut S,
    a: R,
    f: impl FnOnce(&mut S, V<S, I32>, V<S, I32>) -> V<S, I32>,
) -> Flow<S> {
    binary(s, a, |s, v, w| on_words(s, v, w, f))
}

/// Shift left logical by a constant.
pub fn slli<S: Sem>(s: &mut S, _: &Cx, a: Shift) -> Flow<S> {
    shift(s, a, S::shl)
}

/// Shift right logical by a constant.
pub fn srli<S: Sem>(s: &mut S, _: &Cx, a: Shift) -> Flow<S> {
    shift(s, a, S::shru)
}

/// Shift right arithmetic by a constant.
pub fn srai<S: Sem>(s: &mut S, _: &Cx, a: Shift) -> Flow<S> {
    shift(s, a, S::shrs)
}

/// Sum.
pub fn add<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    match (a.rs1, a.rs2) {
        // The move that `c.mv` is.
        (0, from) | (from, 0) => {
            let v = x(s, from);
            set_x(s, a.rd, v);
            fall::<S>()
        }
        _ => binary(s, a, S::add),
    }
}

/// Difference.
pub fn sub<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::sub)
}

/// Shift left logical.
pub fn sll<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::shl)
}

/// Set if less.
pub fn slt<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, set_if_less)
}

/// Set if less, unsigned.
pub fn sltu<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, set_if_below)
}

fn set_if_less<S: Sem>(s: &mut S, v: V<S, I64>, w: V<S, I64>) -> V<S, I64> {
    let less = s.lts(v, w);
    s.bool_to_int(less)
}

fn set_if_below<S: Sem>(s: &mut S, v: V<S, I64>, w: V<S, I64>) -> V<S, I64> {
    let less = s.ltu(v, w);
    s.bool_to_int(less)
}

/// Exclusive or.
pub fn xor<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::xor)
}

/// Shift right logical.
pub fn srl<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::shru)
}

/// Shift right arithmetic.
pub fn sra<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::shrs)
}

/// Or.
pub fn or<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::or)
}

/// And.
pub fn and<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, S::and)
}

/// Add immediate, word.
pub fn addiw<S: Sem>(s: &mut S, _: &Cx, a: I) -> Flow<S> {
    immediate(s, a, |s, v, imm| on_words(s, v, imm, S::add))
}

/// Shift left logical by a constant, word.
pub fn slliw<S: Sem>(s: &mut S, _: &Cx, a: ShiftW) -> Flow<S> {
    shift_word(s, a, S::shl)
}

/// Shift right logical by a constant, word.
pub fn srliw<S: Sem>(s: &mut S, _: &Cx, a: ShiftW) -> Flow<S> {
    shift_word(s, a, S::shru)
}

/// Shift right arithmetic by a constant, word.
pub fn sraiw<S: Sem>(s: &mut S, _: &Cx, a: ShiftW) -> Flow<S> {
    shift_word(s, a, S::shrs)
}

/// Sum, word.
pub fn addw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary_word(s, a, S::add)
}

/// Difference, word.
pub fn subw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary_word(s, a, S::sub)
}

/// Shift left logical, word.
pub fn sllw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary_word(s, a, S::shl)
}

/// Shift right logical, word.
pub fn srlw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary_word(s, a, S::shru)
}

/// Shift right arithmetic, word.
pub fn sraw<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary_word(s, a, S::shrs)
}

/// Memory ordering fence. Device input orders as loads do, device output as stores.
pub fn fence<S: Sem>(s: &mut S, _: &Cx, a: Fence) -> Flow<S> {
    let (loads, stores) = (|set: u8| set & 0b1010 != 0, |set: u8| set & 0b0101 != 0);
    s.fence(Order {
        loads: loads(a.pred),
        stores: stores(a.pred),
        later_loads: loads(a.succ),
        later_stores: stores(a.succ),
    });
    fall::<S>()
}

/// Fence of everything but stores against later loads.
pub fn fence_tso<S: Sem>(s: &mut S, _: &Cx, _: N) -> Flow<S> {
    s.fence(Order::ACQUIRE);
    s.fence(Order { later_loads: false, ..Order::FULL });
    fall::<S>()
}

/// Instruction-fetch fence. Translations follow stores by themselves; the present one may be out of date.
pub fn fence_i<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    Ok(Next::Exit(exit::RESYNC))
}

/// Environment call.
pub fn ecall<S: Sem>(_: &mut S, cx: &Cx, _: N) -> Flow<S> {
    cx.trap::<S>(cause::ECALL_U + cx.privilege() as u32, 0)
}

/// Breakpoint.
pub fn ebreak<S: Sem>(_: &mut S, cx: &Cx, _: N) -> Flow<S> {
    cx.trap::<S>(cause::BREAKPOINT, cx.at.pc)
}

/// Hint that the hart spins: Zihintpause.
pub fn pause<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    Ok(Next::Exit(exit::YIELD))
}

/// Non-temporal locality hint: Zihintntl.
pub fn ntl_p1<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    fall::<S>()
}

/// Non-temporal locality hint: Zihintntl.
pub fn ntl_pall<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    fall::<S>()
}

/// Non-temporal locality hint: Zihintntl.
pub fn ntl_s1<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    fall::<S>()
}

/// Non-temporal locality hint: Zihintntl.
pub fn ntl_all<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    fall::<S>()
}

/// Wait for the reservation set to change; may go on at any time: Zawrs.
pub fn wrs_nto<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    Ok(Next::Exit(exit::YIELD))
}

/// The same with a short limit: Zawrs.
pub fn wrs_sto<S: Sem>(_: &mut S, _: &Cx, _: N) -> Flow<S> {
    Ok(Next::Exit(exit::YIELD))
}

/// Zero if rs2 is zero, else rs1: Zicond.
pub fn czero_eqz<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let zero = s.k(0);
        let is_zero = s.eq(w, zero);
        s.select(is_zero, zero, v)
    })
}

/// Zero if rs2 is not zero, else rs1: Zicond.
pub fn czero_nez<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    binary(s, a, |s, v, w| {
        let zero = s.k(0);
        let is_zero = s.eq(w, zero);
        s.select(is_zero, v, zero)
    })
}

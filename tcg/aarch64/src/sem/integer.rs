//! Sums, logic, moves and conditional operations: C4.1.92 and C4.1.95.

use super::{Cx, Width, by_width, choose, condition, fall, get_flags, set_flags, set_x};
use crate::decode::bitmask;
use crate::isa::{AddImm, Adr, CondCmp, CondCmpI, CondSel, Extended, LogImm, MovWide, R3, Shifted};
use crate::sysreg::packed_flags;
use tcg_core::sem::{Cc, Flow, Sem, V};
use tcg_core::ty::{I32, I64};

/// PC-relative address.
pub fn adr<S: Sem>(s: &mut S, cx: &Cx, a: Adr) -> Flow<S> {
    let v = s.code_addr(cx.relative(a.imm));
    set_x(s, a.rd, v);
    fall::<S>()
}

/// Address of a page relative to this one.
pub fn adrp<S: Sem>(s: &mut S, cx: &Cx, a: Adr) -> Flow<S> {
    let v = s.code_addr((cx.at.pc & !0xfff).wrapping_add((i64::from(a.imm) << 12) as u64));
    set_x(s, a.rd, v);
    fall::<S>()
}

/// The constant of an addition.
fn constant(a: AddImm) -> u64 {
    u64::from(a.imm) << (12 * a.sh)
}

fn add_constant<T: Width, S: Sem>(s: &mut S, a: AddImm, value: u64) -> Flow<S> {
    let (v, k) = (T::get_sp(s, a.rn), s.k(value));
    let v = s.add::<T>(v, k);
    T::set_sp(s, a.rd, v);
    fall::<S>()
}

/// rd = rn + value, with flags. A sum with a constant has the flags of the difference with its negative, which conditions
/// understand better; only the sum with zero has not.
fn adds_constant<T: Width, S: Sem>(s: &mut S, a: AddImm, value: u64) -> Flow<S> {
    let (v, k) = (T::get_sp(s, a.rn), s.k(value));
    let sum = s.add::<T>(v, k);
    let flags = if value == 0 {
        s.flags_logic(v)
    } else {
        let negative = s.k(value.wrapping_neg());
        s.flags_sub::<T>(v, negative)
    };
    T::set(s, a.rd, sum);
    set_flags(s, flags);
    fall::<S>()
}

fn subs_constant<T: Width, S: Sem>(s: &mut S, a: AddImm, value: u64) -> Flow<S> {
    let (v, k) = (T::get_sp(s, a.rn), s.k(value));
    subs_values::<T, S>(s, a.rd, v, k)
}

/// Add.
pub fn add_imm<S: Sem>(s: &mut S, _: &Cx, a: AddImm) -> Flow<S> {
    by_width!(a.sf, add_constant(s, a, constant(a)))
}

/// Add, setting flags.
pub fn adds_imm<S: Sem>(s: &mut S, _: &Cx, a: AddImm) -> Flow<S> {
    by_width!(a.sf, adds_constant(s, a, constant(a)))
}

/// Subtract.
pub fn sub_imm<S: Sem>(s: &mut S, _: &Cx, a: AddImm) -> Flow<S> {
    by_width!(a.sf, add_constant(s, a, constant(a).wrapping_neg()))
}

/// Subtract, setting flags.
pub fn subs_imm<S: Sem>(s: &mut S, _: &Cx, a: AddImm) -> Flow<S> {
    by_width!(a.sf, subs_constant(s, a, constant(a)))
}

fn adds_values<T: Width, S: Sem>(s: &mut S, rd: u8, v: V<S, T>, w: V<S, T>) -> Flow<S> {
    let sum = s.add(v, w);
    let flags = s.flags_add(v, w);
    T::set(s, rd, sum);
    set_flags(s, flags);
    fall::<S>()
}

fn subs_values<T: Width, S: Sem>(s: &mut S, rd: u8, v: V<S, T>, w: V<S, T>) -> Flow<S> {
    let difference = s.sub(v, w);
    let flags = s.flags_sub(v, w);
    T::set(s, rd, difference);
    set_flags(s, flags);
    fall::<S>()
}

/// `v` shifted as a `shift` field says.
fn shifted<T: Width, S: Sem>(s: &mut S, v: V<S, T>, kind: u8, amount: u8) -> V<S, T> {
    let k = s.k(amount.into());
    match kind {
        0 => s.shl(v, k),
        1 => s.shru(v, k),
        2 => s.shrs(v, k),
        _ => s.rotr(v, k),
    }
}

fn operands<T: Width, S: Sem>(s: &mut S, a: Shifted) -> (V<S, T>, V<S, T>) {
    let (v, w) = (T::get(s, a.rn), T::get(s, a.rm));
    let w = shifted(s, w, a.shift, a.imm);
    (v, w)
}

/// The last operand of an extended-register form.
fn extended<T: Width, S: Sem>(s: &mut S, rm: u8, option: u8, amount: u8) -> V<S, T> {
    let v = T::get(s, rm);
    let bits = 8 << (option & 3);
    let v = match (bits >= T::BITS, option & 4 != 0) {
        (true, _) => v,
        (false, true) => s.sext(v, bits),
        (false, false) => s.zext(v, bits),
    };
    let k = s.k(amount.into());
    s.shl(v, k)
}

fn add_shifted<T: Width, S: Sem>(s: &mut S, a: Shifted) -> Flow<S> {
    let (v, w) = operands::<T, S>(s, a);
    let v = s.add(v, w);
    T::set(s, a.rd, v);
    fall::<S>()
}

fn sub_shifted<T: Width, S: Sem>(s: &mut S, a: Shifted) -> Flow<S> {
    let (v, w) = operands::<T, S>(s, a);
    let v = s.sub(v, w);
    T::set(s, a.rd, v);
    fall::<S>()
}

fn adds_shifted<T: Width, S: Sem>(s: &mut S, a: Shifted) -> Flow<S> {
    let (v, w) = operands::<T, S>(s, a);
    adds_values(s, a.rd, v, w)
}

fn subs_shifted<T: Width, S: Sem>(s: &mut S, a: Shifted) -> Flow<S> {
    let (v, w) = operands::<T, S>(s, a);
    subs_values(s, a.rd, v, w)
}

/// Add.
pub fn add<S: Sem>(s: &mut S, _: &Cx, a: Shifted) -> Flow<S> {
    by_width!(a.sf, add_shifted(s, a))
}

/// Subtract.
pub fn sub<S: Sem>(s: &mut S, _: &Cx, a: Shifted) -> Flow<S> {
    by_width!(a.sf, sub_shifted(s, a))
}

/// Add, setting flags.
pub fn adds<S: Sem>(s: &mut S, _: &Cx, a: Shifted) -> Flow<S> {
    by_width!(a.sf, adds_shifted(s, a))
}

/// Subtract, setting flags.
pub fn subs<S: Sem>(s: &mut S, _: &Cx, a: Shifted) -> Flow<S> {
    by_width!(a.sf, subs_shifted(s, a))
}

fn add_extended<T: Width, S: Sem>(s: &mut S, a: Extended, negate: bool) -> Flow<S> {
    let (v, w) = (T::get_sp(s, a.rn), extended::<T, S>(s, a.rm, a.option, a.imm));
    let v = if negate { s.sub(v, w) } else { s.add(v, w) };
    T::set_sp(s, a.rd, v);
    fall::<S>()
}

fn adds_extended<T: Width, S: Sem>(s: &mut S, a: Extended, negate: bool) -> Flow<S> {
    let (v, w) = (T::get_sp(s, a.rn), extended::<T, S>(s, a.rm, a.option, a.imm));
    if negate { subs_values(s, a.rd, v, w) } else { adds_values(s, a.rd, v, w) }
}

/// Add an extended register.
pub fn add_ext<S: Sem>(s: &mut S, _: &Cx, a: Extended) -> Flow<S> {
    by_width!(a.sf, add_extended(s, a, false))
}

/// Subtract an extended register.
pub fn sub_ext<S: Sem>(s: &mut S, _: &Cx, a: Extended) -> Flow<S> {
    by_width!(a.sf, add_extended(s, a, true))
}

/// Add an extended register, setting flags.
pub fn adds_ext<S: Sem>(s: &mut S, _: &Cx, a: Extended) -> Flow<S> {
    by_width!(a.sf, adds_extended(s, a, false))
}

/// Subtract an extended register, setting flags.
pub fn subs_ext<S: Sem>(s: &mut S, _: &Cx, a: Extended) -> Flow<S> {
    by_width!(a.sf, adds_extended(s, a, true))
}

/// Which logical operation.
#[derive(Clone, Copy)]
enum Logic {
    And,
    Or,
    Xor,
}

fn logic<T: Width, S: Sem>(s: &mut S, op: Logic, v: V<S, T>, w: V<S, T>) -> V<S, T> {
    match op {
        Logic::And => s.and(v, w),
        Logic::Or => s.or(v, w),
        Logic::Xor => s.xor(v, w),
    }
}

fn logic_constant<T: Width, S: Sem>(s: &mut S, a: LogImm, op: Logic) -> Flow<S> {
    let k = s.k(bitmask(a.sf, a.n, a.immr, a.imms).unwrap_or(0));
    let v = T::get(s, a.rn);
    let v = logic::<T, S>(s, op, v, k);
    T::set_sp(s, a.rd, v);
    fall::<S>()
}

fn test_constant<T: Width, S: Sem>(s: &mut S, a: LogImm) -> Flow<S> {
    let k = s.k(bitmask(a.sf, a.n, a.immr, a.imms).unwrap_or(0));
    let v = T::get(s, a.rn);
    let v = s.and::<T>(v, k);
    let flags = s.flags_logic(v);
    T::set(s, a.rd, v);
    set_flags(s, flags);
    fall::<S>()
}

/// Bitwise and.
pub fn and_imm<S: Sem>(s: &mut S, _: &Cx, a: LogImm) -> Flow<S> {
    by_width!(a.sf, logic_constant(s, a, Logic::And))
}

/// Bitwise or.
pub fn orr_imm<S: Sem>(s: &mut S, _: &Cx, a: LogImm) -> Flow<S> {
    by_width!(a.sf, logic_constant(s, a, Logic::Or))
}

/// Bitwise exclusive or.
pub fn eor_imm<S: Sem>(s: &mut S, _: &Cx, a: LogImm) -> Flow<S> {
    by_width!(a.sf, logic_constant(s, a, Logic::Xor))
}

/// Bitwise and, setting flags.
pub fn ands_imm<S: Sem>(s: &mut S, _: &Cx, a: LogImm) -> Flow<S> {
    by_width!(a.sf, test_constant(s, a))
}

fn logic_shifted<T: Width, S: Sem>(s: &mut S, a: Shifted, op: Logic, negate: bool) -> Flow<S> {
    let (v, w) = operands::<T, S>(s, a);
    let w = if negate { s.not(w) } else { w };
    let v = logic(s, op, v, w);
    T::set(s, a.rd, v);
    fall::<S>()
}

fn test_shifted<T: Width, S: Sem>(s: &mut S, a: Shifted, negate: bool) -> Flow<S> {
    let (v, w) = operands::<T, S>(s, a);
    let w = if negate { s.not(w) } else { w };
    let v = s.and(v, w);
    let flags = s.flags_logic(v);
    T::set(s, a.rd, v);
    set_flags(s, flags);
    fall::<S>()
}

/// Bitwise and.
pub fn and<S: Sem>(s: &mut S, _: &Cx, a: Shifted) -> Flow<S> {
    by_width!(a.sf, logic_shifted(s, a, Logic::And, false))
}

/// Bitwise and with the complement.
pub fn bic<S: Sem>(s: &mut S, _: &Cx, a: Shifted) -> Flow<S> {
    by_width!(a.sf, logic_shifted(s, a, Logic::And, true))
}

/// Bitwise or.
pub fn orr<S: Sem>(s: &mut S, _: &Cx, a: Shifted) -> Flow<S> {
    by_width!(a.sf, logic_shifted(s, a, Logic::Or, false))
}

/// Bitwise or with the complement.
pub fn orn<S: Sem>(s: &mut S, _: &Cx, a: Shifted) -> Flow<S> {
    by_width!(a.sf, logic_shifted(s, a, Logic::Or, true))
}

/// Bitwise exclusive or.
pub fn eor<S: Sem>(s: &mut S, _: &Cx, a: Shifted) -> Flow<S> {
    by_width!(a.sf, logic_shifted(s, a, Logic::Xor, false))
}

/// Bitwise exclusive or with the complement.
pub fn eon<S: Sem>(s: &mut S, _: &Cx, a: Shifted) -> Flow<S> {
    by_width!(a.sf, logic_shifted(s, a, Logic::Xor, true))
}

/// Bitwise and, setting flags.
pub fn ands<S: Sem>(s: &mut S, _: &Cx, a: Shifted) -> Flow<S> {
    by_width!(a.sf, test_shifted(s, a, false))
}

/// Bitwise and with the complement, setting flags.
pub fn bics<S: Sem>(s: &mut S, _: &Cx, a: Shifted) -> Flow<S> {
    by_width!(a.sf, test_shifted(s, a, true))
}

fn move_constant<T: Width, S: Sem>(s: &mut S, rd: u8, value: u64) -> Flow<S> {
    let k = s.k(value);
    T::set(s, rd, k);
    fall::<S>()
}

/// Move the complement of a wide constant.
pub fn movn<S: Sem>(s: &mut S, _: &Cx, a: MovWide) -> Flow<S> {
    by_width!(a.sf, move_constant(s, a.rd, !(u64::from(a.imm) << (16 * a.hw))))
}

/// Move a wide constant.
pub fn movz<S: Sem>(s: &mut S, _: &Cx, a: MovWide) -> Flow<S> {
    by_width!(a.sf, move_constant(s, a.rd, u64::from(a.imm) << (16 * a.hw)))
}

fn keep<T: Width, S: Sem>(s: &mut S, a: MovWide) -> Flow<S> {
    let shift = 16 * a.hw;
    let (v, mask, k) = (T::get(s, a.rd), s.k(!(0xffff << shift)), s.k(u64::from(a.imm) << shift));
    let v = s.and::<T>(v, mask);
    let v = s.or(v, k);
    T::set(s, a.rd, v);
    fall::<S>()
}

/// Move a wide constant, keeping the other bits.
pub fn movk<S: Sem>(s: &mut S, _: &Cx, a: MovWide) -> Flow<S> {
    by_width!(a.sf, keep(s, a))
}

/// rd = rn + (rm or its complement) + carry.
fn with_carry<T: Width, S: Sem>(s: &mut S, a: R3, subtract: bool, sets_flags: bool) -> Flow<S> {
    let (v, w) = (T::get(s, a.rn), T::get(s, a.rm));
    let w = if subtract { s.not(w) } else { w };
    let flags = get_flags(s);
    let carry = s.cond(Cc::CarrySet, flags);
    let addend = s.bool_to_int(carry);
    let sum = s.add(v, w);
    let sum = s.add(sum, addend);
    let new = sets_flags.then(|| s.flags_adc(v, w, carry));
    T::set(s, a.rd, sum);
    if let Some(new) = new {
        set_flags(s, new);
    }
    fall::<S>()
}

/// Add with carry.
pub fn adc<S: Sem>(s: &mut S, _: &Cx, a: R3) -> Flow<S> {
    by_width!(a.sf, with_carry(s, a, false, false))
}

/// Add with carry, setting flags.
pub fn adcs<S: Sem>(s: &mut S, _: &Cx, a: R3) -> Flow<S> {
    by_width!(a.sf, with_carry(s, a, false, true))
}

/// Subtract with carry.
pub fn sbc<S: Sem>(s: &mut S, _: &Cx, a: R3) -> Flow<S> {
    by_width!(a.sf, with_carry(s, a, true, false))
}

/// Subtract with carry, setting flags.
pub fn sbcs<S: Sem>(s: &mut S, _: &Cx, a: R3) -> Flow<S> {
    by_width!(a.sf, with_carry(s, a, true, true))
}

/// Flags of a comparison if a condition holds, else constant ones.
fn compare_if<T: Width, S: Sem>(
    s: &mut S,
    (rn, w): (u8, V<S, T>),
    (cond, nzcv): (u8, u8),
    negative: bool,
) -> Flow<S> {
    let v = T::get(s, rn);
    let holds = condition(s, cond);
    let flags = if negative { s.flags_add(v, w) } else { s.flags_sub(v, w) };
    let flags = match holds {
        Some(holds) => {
            let other = s.k::<I32>(packed_flags(u64::from(nzcv) << 28));
            s.select(holds, flags, other)
        }
        None => flags,
    };
    set_flags(s, flags);
    fall::<S>()
}

fn compare_registers<T: Width, S: Sem>(s: &mut S, a: CondCmp, negative: bool) -> Flow<S> {
    let w = T::get(s, a.rm);
    compare_if(s, (a.rn, w), (a.cond, a.nzcv), negative)
}

fn compare_constant<T: Width, S: Sem>(s: &mut S, a: CondCmpI, negative: bool) -> Flow<S> {
    let w = s.k::<T>(a.imm.into());
    compare_if(s, (a.rn, w), (a.cond, a.nzcv), negative)
}

/// Conditional compare.
pub fn ccmp<S: Sem>(s: &mut S, _: &Cx, a: CondCmp) -> Flow<S> {
    by_width!(a.sf, compare_registers(s, a, false))
}

/// Conditional compare negative.
pub fn ccmn<S: Sem>(s: &mut S, _: &Cx, a: CondCmp) -> Flow<S> {
    by_width!(a.sf, compare_registers(s, a, true))
}

/// Conditional compare with a constant.
pub fn ccmp_imm<S: Sem>(s: &mut S, _: &Cx, a: CondCmpI) -> Flow<S> {
    by_width!(a.sf, compare_constant(s, a, false))
}

/// Conditional compare negative with a constant.
pub fn ccmn_imm<S: Sem>(s: &mut S, _: &Cx, a: CondCmpI) -> Flow<S> {
    by_width!(a.sf, compare_constant(s, a, true))
}

/// rd = rn if a condition holds, else rm, perhaps inverted and perhaps incremented.
fn select<T: Width, S: Sem>(s: &mut S, a: CondSel, invert: bool, increment: bool) -> Flow<S> {
    let (yes, no) = (T::get(s, a.rn), T::get(s, a.rm));
    let no = if invert { s.not(no) } else { no };
    let no = if increment {
        let one = s.k(1);
        s.add(no, one)
    } else {
        no
    };
    let v = choose(s, a.cond, yes, no);
    T::set(s, a.rd, v);
    fall::<S>()
}

/// Conditional select.
pub fn csel<S: Sem>(s: &mut S, _: &Cx, a: CondSel) -> Flow<S> {
    by_width!(a.sf, select(s, a, false, false))
}

/// Conditional select or increment.
pub fn csinc<S: Sem>(s: &mut S, _: &Cx, a: CondSel) -> Flow<S> {
    by_width!(a.sf, select(s, a, false, true))
}

/// Conditional select or invert.
pub fn csinv<S: Sem>(s: &mut S, _: &Cx, a: CondSel) -> Flow<S> {
    by_width!(a.sf, select(s, a, true, false))
}

/// Conditional select or negate.
pub fn csneg<S: Sem>(s: &mut S, _: &Cx, a: CondSel) -> Flow<S> {
    by_width!(a.sf, select(s, a, true, true))
}

//! What every value operation means, on bits: the reference that the interpreter, the constant folder and the IR
//! evaluator share, and that host back ends are tested against.
//!
//! A value of type `ty` travels in the low `ty.bits()` bits of a `u64`, the rest zero. Operations on vectors stand in
//! [`vector()`]'s file.

pub mod aes;
mod vector;

pub use vector::{from_lanes, lane, vector};

use crate::fp;
use crate::ir::Op;
use crate::sem::{Cc, FlagsKind, FloatMode, Rm, Rmw, packed};
use crate::ty::Ty;

/// `a`, a value of `bits` bits, with its sign copied upwards.
fn signed(a: u64, bits: u32) -> i64 {
    ((a << (64 - bits)) as i64) >> (64 - bits)
}

fn carryless(a: u64, b: u64) -> u128 {
    (0..64).filter(|i| b >> i & 1 != 0).fold(0, |sum, i| sum ^ (u128::from(a) << i))
}

/// An integer operation of two arguments of type `ty`.
#[inline]
pub fn int2(op: Op, ty: Ty, imm: u64, [a, b]: [u64; 2]) -> u64 {
    let bits = ty.bits();
    let mask = ty.mask();
    let (sa, sb) = (signed(a, bits), signed(b, bits));
    let shift = (b & u64::from(bits - 1)) as u32;
    let high = |product: u128| (product >> bits) as u64;
    let value = match op {
        Op::Add => a.wrapping_add(b),
        Op::Sub => a.wrapping_sub(b),
        Op::Mul => a.wrapping_mul(b),
        Op::MulHU => high(u128::from(a) * u128::from(b)),
        Op::MulHS => high((i128::from(sa) * i128::from(sb)) as u128),
        Op::DivU => a.checked_div(b).unwrap_or(mask),
        Op::DivS if b == 0 => mask,
        Op::DivS => sa.wrapping_div(sb) as u64,
        Op::RemU => a.checked_rem(b).unwrap_or(a),
        Op::RemS if b == 0 => a,
        Op::RemS => sa.wrapping_rem(sb) as u64,
        Op::And => a & b,
        Op::Or => a | b,
        Op::Xor => a ^ b,
        Op::Shl => a << shift,
        Op::ShrU => a >> shift,
        Op::ShrS => (sa >> shift) as u64,
        Op::Rotr if shift == 0 => a,
        Op::Rotr => a >> shift | a << (bits - shift),
        Op::Clmul => carryless(a, b) as u64,
        Op::ClmulH => high(carryless(a, b)),
        Op::FlagsAdd => flags_adc(ty, a, b, false),
        Op::FlagsSub => flags_adc(ty, a, !b & mask, true),
        Op::CondSub => {
            return Cc::from_bits(imm).holds(flags_adc(ty, a, !b & mask, true)).into();
        }
        Op::Eq => (a == b).into(),
        Op::Ne => (a != b).into(),
        Op::LtU => (a < b).into(),
        Op::LtS => (sa < sb).into(),
        _ => unreachable!("{} is no integer operation of two arguments", op.name()),
    };
    value & mask
}

/// The bits above an F32 that is boxed.
const BOX: u64 = 0xffff_ffff << 32;

/// An integer operation of one argument of type `from`, giving `to`.
#[inline]
pub fn int1(op: Op, from: Ty, to: Ty, imm: u64, a: u64) -> u64 {
    let bits = from.bits();
    let value = match op {
        Op::Clz => u64::from(a.leading_zeros() - (64 - bits)),
        Op::Ctz => u64::from(a.trailing_zeros().min(bits)),
        Op::Popcnt => a.count_ones().into(),
        Op::Bswap => a.swap_bytes() >> (64 - bits),
        Op::Sext => signed(a, imm as u32) as u64,
        Op::SextW => signed(a, 32) as u64,
        Op::Trunc | Op::Zext | Op::Bitcast => a,
        Op::Box => a | BOX,
        Op::Unbox if a & BOX == BOX => a,
        Op::Unbox => fp::canonical_nan(Ty::F32),
        Op::FlagsLogic => {
            let zero = if a == 0 { packed::Z } else { 0 };
            zero | if signed(a, bits) < 0 { packed::N } else { 0 }
        }
        Op::Cond => Cc::from_bits(imm).holds(a).into(),
        _ => unreachable!("{} is no integer operation of one argument", op.name()),
    };
    value & to.mask()
}

/// An integer operation of three arguments, the first of type `ty`.
pub fn int3(op: Op, ty: Ty, [a, b, c]: [u64; 3]) -> u64 {
    match op {
        Op::FlagsAdc => flags_adc(ty, a, b, c != 0),
        Op::FlagsOf => flags_of(FlagsKind::from_bits(c), a, b),
        _ => unreachable!("{} is no integer operation of three arguments", op.name()),
    }
}

/// [`Op::FlagsOf`]: packed flags of two values.
pub fn flags_of(kind: FlagsKind, a: u64, b: u64) -> u64 {
    let Some((op, ty)) = kind.made_by() else { return a & Ty::I32.mask() };
    let [a, b] = [a, b].map(|v| v & ty.mask());
    match op {
        Op::FlagsLogic => int1(op, ty, Ty::I32, 0, a),
        _ => int2(op, ty, 0, [a, b]),
    }
}

/// [`Op::FlagsAdc`]: packed flags of a sum of two values of type `ty` and a carry.
#[inline]
pub fn flags_adc(ty: Ty, a: u64, b: u64, carry: bool) -> u64 {
    let bits = ty.bits();
    let wide = u128::from(a) + u128::from(b) + u128::from(carry);
    let sum = wide as u64 & ty.mask();
    let overflow = ((a ^ sum) & (b ^ sum)) >> (bits - 1) & 1;
    let mut flags = overflow * packed::V;
    if wide >> bits != 0 {
        flags |= packed::C;
    }
    if sum == 0 {
        flags |= packed::Z;
    }
    if sum >> (bits - 1) != 0 {
        flags |= packed::N;
    }
    flags
}

/// The rounding mode in the immediate of a float operation.
pub fn rounding(imm: u64) -> Rm {
    FloatMode::from_bits(imm).rm()
}

/// A float operation of two arguments of type `ty`.
#[inline]
pub fn float2(op: Op, ty: Ty, imm: u64, [a, b]: [u64; 2], raised: &mut u32) -> u64 {
    let rm = FloatMode::from_bits(imm);
    match op {
        Op::FAdd => fp::add(ty, a, b, rm, raised),
        Op::FSub => fp::sub(ty, a, b, rm, raised),
        Op::FMul => fp::mul(ty, a, b, rm, raised),
        Op::FDiv => fp::div(ty, a, b, rm, raised),
        Op::FMin => fp::min_or_max(ty, [a, b], false, imm, raised),
        Op::FMax => fp::min_or_max(ty, [a, b], true, imm, raised),
        Op::FlagsFloat => fp::compare_flags(ty, [a, b], rm, imm >> 8 & 1 != 0, raised),
        Op::CondFloat => {
            Cc::from_bits(imm >> 8).holds(fp::compare_flags(ty, [a, b], rm, false, raised)).into()
        }
        _ => fp::compare(op, ty, [a, b], rm, raised).into(),
    }
}

/// A float operation of one argument of type `from`, giving `to`.
#[inline]
pub fn float1(op: Op, (from, to): (Ty, Ty), imm: u64, a: u64, raised: &mut u32) -> u64 {
    let rm = FloatMode::from_bits(imm);
    match op {
        Op::FSqrt => fp::sqrt(to, a, rm, raised),
        Op::FToF => fp::convert((from, to), a, rm, raised),
        Op::FToS => fp::to_int((from, to), true, a, imm, raised),
        Op::FToU => fp::to_int((from, to), false, a, imm, raised),
        Op::SToF => fp::from_int((from, to), true, a, rm, raised),
        Op::UToF => fp::from_int((from, to), false, a, rm, raised),
        Op::FRound => fp::round(to, a, rm, imm & 1 << 8 != 0, raised),
        _ => unreachable!("{} is no float operation of one argument", op.name()),
    }
}

/// The new memory value of an atomic read-modify-write of `bits` bits.
#[inline]
pub fn rmw(kind: Rmw, bits: u32, old: u64, operand: u64) -> u64 {
    let mask = u64::MAX >> (64 - bits);
    let (old, operand) = (old & mask, operand & mask);
    let (s_old, s_operand) = (signed(old, bits), signed(operand, bits));
    let value = match kind {
        Rmw::Swap => operand,
        Rmw::Add => old.wrapping_add(operand),
        Rmw::And => old & operand,
        Rmw::Or => old | operand,
        Rmw::Xor => old ^ operand,
        Rmw::MinS => s_old.min(s_operand) as u64,
        Rmw::MaxS => s_old.max(s_operand) as u64,
        Rmw::MinU => old.min(operand),
        Rmw::MaxU => old.max(operand),
    };
    value & mask
}

/// The low `8 << size` bits of `value`, extended as `op` says within the type of `bits` bits.
#[inline]
pub fn extend(op: crate::sem::MemOp, ty: Ty, value: u64) -> u64 {
    let bits = 8 << op.size;
    let cut = value & (u64::MAX >> (64 - bits));
    if op.signed { signed(cut, bits) as u64 & ty.mask() } else { cut }
}

//! What every operation on the lanes of vectors means, on bits; the reference, as `eval.rs` is for scalars.
//!
//! Lane 0 is the lowest. Scalar operands and results travel in the low bits of a `u128`.

use super::{carryless, float1, float2, int1, signed};
use crate::crypto::sha;
use crate::fp;
use crate::ir::{Effect, Op};
use crate::sem::{Aes, FloatMode, Lane, Narrow, Sha256, splat_bits, widen};
use crate::ty::Ty;

/// The bits of lane `i` of those that are `bits` wide.
#[inline]
pub fn lane(vector: u128, bits: u32, i: u32) -> u64 {
    (vector >> (i * bits)) as u64 & (u64::MAX >> (64 - bits))
}

/// A vector of lanes of `bits` bits, each the low bits of what `value` gives for its number.
#[inline]
pub fn from_lanes(bits: u32, mut value: impl FnMut(u32) -> u64) -> u128 {
    let mask = u64::MAX >> (64 - bits);
    (0..128 / bits).fold(0, |all, i| all | u128::from(value(i) & mask) << (i * bits))
}

/// Carries out `op` with type `ty` and immediate `imm`; the constant of [`Op::Shuffle`] is its third argument. Float
/// flags are added to `raised`.
pub fn vector(op: Op, ty: Ty, imm: u64, args: [u128; 3], raised: &mut u32) -> u128 {
    let [a, b, c] = args;
    let bits = ty.lane_bits();
    match op {
        Op::And => a & b,
        Op::Or => a | b,
        Op::Xor => a ^ b,
        Op::AndNot => a & !b,
        Op::BitSelect => b & a | c & !a,
        Op::AnyBit => (a != 0).into(),
        Op::ByteSigns => (0..16).fold(0, |bits, i| bits | u128::from(lane(a, 8, i) >> 7) << i),
        Op::Splat => splat_bits(ty, a as u64),
        Op::Insert => from_lanes(bits, |i| if u64::from(i) == imm { b as u64 } else { lane(a, bits, i) }),
        Op::Extract => {
            let Lane { size, signed: extend, index } = Lane::unpack(imm);
            let bits = 8 << size;
            let value = lane(a, bits, index.into());
            u128::from(if extend { signed(value, bits) as u64 & ty.mask() } else { value })
        }
        Op::Shuffle => shuffle(a, b, c),
        Op::Table => from_lanes(8, |i| match lane(b, 8, i) as u32 {
            from @ 0..16 => lane(a, 8, from),
            _ => 0,
        }),
        Op::Widen => {
            let (half, first) = (bits / 2, if imm & widen::HIGH != 0 { ty.lanes() } else { 0 });
            from_lanes(bits, |i| {
                let value = lane(a, half, first + i);
                if imm & widen::SIGNED != 0 { signed(value, half) as u64 } else { value }
            })
        }
        Op::Narrow => {
            let half = ty.lanes() / 2;
            from_lanes(bits, |i| {
                let from = if i < half { lane(a, 2 * bits, i) } else { lane(b, 2 * bits, i - half) };
                narrow(Narrow::unpack(imm), bits, from)
            })
        }
        Op::ClmulWide => carryless(lane(a, 64, imm as u32 & 1), lane(b, 64, imm as u32 >> 1 & 1)),
        Op::Aes => super::aes::step(Aes::unpack(imm), a.to_le_bytes()),
        Op::Sha256 => match Sha256::unpack(imm) {
            Sha256::Rounds => sha::sha256_two_rounds(args),
            Sha256::Schedule0 => sha::sha256_schedule_0(args, 0),
            Sha256::Schedule1 => sha::sha256_schedule_2(args),
        },
        Op::FOfHalves => from_lanes(bits, |i| {
            fp::convert((Ty::F16, Ty::F32), lane(a, 16, i), FloatMode::from_bits(imm), raised)
        }),
        Op::FToHalves => from_lanes(bits, |i| match i {
            0..4 => fp::convert((Ty::F32, Ty::F16), lane(a, 32, i), FloatMode::from_bits(imm), raised),
            _ => 0,
        }),
        Op::FToF | Op::FToS | Op::FToU | Op::SToF | Op::UToF => convert(op, ty, imm, a, raised),
        _ if op.effect() == Effect::Flags => floats(op, ty, imm, args, raised),
        _ if op.arg_count() == 1 => from_lanes(bits, |i| unary(op, bits, lane(a, bits, i))),
        _ => from_lanes(bits, |i| binary(op, bits, lane(a, bits, i), lane(b, bits, i))),
    }
}

fn shuffle(a: u128, b: u128, control: u128) -> u128 {
    from_lanes(8, |i| match lane(control, 8, i) as u32 {
        from @ 0..16 => lane(a, 8, from),
        from @ 16..32 => lane(b, 8, from - 16),
        _ => 0,
    })
}

/// `value`, of twice `bits` bits, made to fit `bits`.
fn narrow(kind: Narrow, bits: u32, value: u64) -> u64 {
    let (wide, max) = (signed(value, 2 * bits), u64::MAX >> (64 - bits));
    let signed_max = (max >> 1) as i64;
    match kind {
        Narrow::Truncate => value,
        Narrow::SignedToSigned => wide.clamp(!signed_max, signed_max) as u64,
        Narrow::SignedToUnsigned => wide.clamp(0, max as i64) as u64,
        Narrow::UnsignedToUnsigned => value.min(max),
    }
}

/// An integer operation on one lane; what is above its bits in the result does not matter.
fn unary(op: Op, bits: u32, a: u64) -> u64 {
    match op {
        Op::Abs => signed(a, bits).unsigned_abs(),
        Op::Clz => u64::from(a.leading_zeros() - (64 - bits)),
        _ => int1(op, Ty::I64, Ty::I64, 0, a),
    }
}

/// An integer operation on two lanes; what is above their bits in the result does not matter.
fn binary(op: Op, bits: u32, a: u64, b: u64) -> u64 {
    let (sa, sb) = (signed(a, bits), signed(b, bits));
    let max = u64::MAX >> (64 - bits);
    let truth = |holds: bool| if holds { u64::MAX } else { 0 };
    let saturated = |value: i128| value.clamp(!i128::from(max >> 1), i128::from(max >> 1)) as u64;
    let shift = b.min(64) as u32;
    match op {
        Op::Add => a.wrapping_add(b),
        Op::Sub => a.wrapping_sub(b),
        Op::Mul => a.wrapping_mul(b),
        Op::MulHU => ((u128::from(a) * u128::from(b)) >> bits) as u64,
        Op::MulHS => ((i128::from(sa) * i128::from(sb)) >> bits) as u64,
        Op::Shl => a.checked_shl(shift).unwrap_or(0),
        Op::ShrU => a.checked_shr(shift).unwrap_or(0),
        Op::ShrS => (sa >> shift.min(bits - 1)) as u64,
        Op::Eq => truth(a == b),
        Op::LtU => truth(a < b),
        Op::LtS => truth(sa < sb),
        Op::AddSatS => saturated(i128::from(sa) + i128::from(sb)),
        Op::AddSatU => a.saturating_add(b).min(max),
        Op::SubSatS => saturated(i128::from(sa) - i128::from(sb)),
        Op::SubSatU => a.saturating_sub(b),
        Op::MinS => sa.min(sb) as u64,
        Op::MaxS => sa.max(sb) as u64,
        Op::MinU => a.min(b),
        Op::MaxU => a.max(b),
        Op::AvgU => ((u128::from(a) + u128::from(b) + 1) >> 1) as u64,
        _ => unreachable!("{} is no operation on two lanes", op.name()),
    }
}

/// A float operation that gives lanes of the width it takes.
fn floats(op: Op, ty: Ty, imm: u64, [a, b, c]: [u128; 3], raised: &mut u32) -> u128 {
    let (bits, scalar) = (ty.lane_bits(), ty.float_lane());
    let compares = matches!(op, Op::FEq | Op::FLt | Op::FLe | Op::FLtQ | Op::FLeQ);
    from_lanes(bits, |i| {
        let [a, b, c] = [a, b, c].map(|v| lane(v, bits, i));
        match op.arg_count() {
            1 => float1(op, (scalar, scalar), imm, a, raised),
            2 if compares => float2(op, scalar, imm, [a, b], raised).wrapping_neg(),
            2 => float2(op, scalar, imm, [a, b], raised),
            _ => fp::fmuladd(scalar, [a, b, c], FloatMode::from_bits(imm), raised),
        }
    })
}

fn convert(op: Op, ty: Ty, imm: u64, a: u128, raised: &mut u32) -> u128 {
    let bits = ty.lane_bits();
    if op == Op::FToF {
        let (from, from_bits) = if ty == Ty::F64x2 { (Ty::F32, 32) } else { (Ty::F64, 64) };
        return from_lanes(bits, |i| match i {
            0 | 1 => float1(op, (from, ty.float_lane()), imm, lane(a, from_bits, i), raised),
            _ => 0,
        });
    }
    from_lanes(bits, |i| match (op, lane(a, bits, i)) {
        (Op::SToF, from) => {
            // Of a halfword that is extended, the value is the same.
            let from = signed(from, bits) as u64 & ty.int_lane().mask();
            float1(op, (ty.int_lane(), ty.float_lane()), imm, from, raised)
        }
        (Op::UToF, from) => float1(op, (ty.int_lane(), ty.float_lane()), imm, from, raised),
        (_, from) if bits == 16 => {
            fp::halfword(op == Op::FToS, raised, |own| float1(op, (Ty::F16, Ty::I32), imm, from, own))
        }
        (_, from) => float1(op, (ty.float_lane(), ty.int_lane()), imm, from, raised),
    })
}

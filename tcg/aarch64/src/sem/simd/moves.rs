//! Advanced SIMD copies, permutes, table look-ups and constants: C4.1.96.

use super::{get, put};
use crate::cpu;
use crate::isa::{V2, V3, VDupE, VExt, VHImm, VImm, VInsE, VInsG, VTbl};
use crate::sem::expand_constant;
use crate::sem::{self, Cx, fall, set_x, x};
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Sem, splat_bits};
use tcg_core::ty::{I64, Ty};

/// Size and number of the lane that `imm5` names.
fn lane(imm5: u8) -> Lane {
    let size = imm5.trailing_zeros().min(3) as u8;
    Lane::new(size, imm5 >> (size + 1))
}

/// An element, in every lane.
pub fn dup_element<S: Sem>(s: &mut S, _: &Cx, a: VDupE) -> Flow<S> {
    let (n, lane) = (get(s, a.rn), lane(a.imm5));
    let v = s.extract::<I64>(lane, n);
    let v = s.splat(Ty::int_lanes(lane.size), v);
    put(s, a.q, a.rd, v)
}

/// A general register, in every lane.
pub fn dup_general<S: Sem>(s: &mut S, _: &Cx, a: VDupE) -> Flow<S> {
    let v = x(s, a.rn);
    let v = s.splat(Ty::int_lanes(lane(a.imm5).size), v);
    put(s, a.q, a.rd, v)
}

/// An element, as a scalar.
pub fn dup_scalar<S: Sem>(s: &mut S, _: &Cx, a: VInsG) -> Flow<S> {
    let n = get(s, a.rn);
    let v = s.extract::<I64>(lane(a.imm5), n);
    sem::set_v_low(s, a.rd, v);
    fall::<S>()
}

/// An element to a general register, zeros above.
pub fn umov<S: Sem>(s: &mut S, _: &Cx, a: VDupE) -> Flow<S> {
    let n = get(s, a.rn);
    let v = s.extract::<I64>(lane(a.imm5), n);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// An element to a general register, with its sign.
pub fn smov<S: Sem>(s: &mut S, _: &Cx, a: VDupE) -> Flow<S> {
    let n = get(s, a.rn);
    let v = s.extract::<I64>(lane(a.imm5).signed(), n);
    let v = if a.q == 0 { s.zext(v, 32) } else { v };
    set_x(s, a.rd, v);
    fall::<S>()
}

/// A general register to an element.
pub fn ins_general<S: Sem>(s: &mut S, _: &Cx, a: VInsG) -> Flow<S> {
    let (v, d, lane) = (x(s, a.rn), get(s, a.rd), lane(a.imm5));
    let v = s.insert(Ty::int_lanes(lane.size), lane.index.into(), d, v);
    put(s, 1, a.rd, v)
}

/// An element to an element.
pub fn ins_element<S: Sem>(s: &mut S, _: &Cx, a: VInsE) -> Flow<S> {
    let (n, d, to) = (get(s, a.rn), get(s, a.rd), lane(a.imm5));
    let v = s.extract::<I64>(Lane::new(to.size, a.imm4 >> to.size), n);
    let v = s.insert(Ty::int_lanes(to.size), to.index.into(), d, v);
    put(s, 1, a.rd, v)
}

/// Lanes of both operands; `from` gives for each lane of the result the operand and its lane.
fn permute<S: Sem>(s: &mut S, a: V3, from: impl Fn(usize, usize) -> (usize, usize)) -> Flow<S> {
    let (n, m) = (get(s, a.rn), get(s, a.rm));
    let bytes = 1usize << a.size;
    let lanes = (8usize << a.q) / bytes;
    let order = std::array::from_fn(|at| {
        let (operand, lane) = from(at / bytes % lanes, lanes);
        (16 * operand + lane * bytes + at % bytes) as u8
    });
    let v = s.shuffle(n, m, order);
    put(s, a.q, a.rd, v)
}

/// Even lanes.
pub fn uzp1<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    permute(s, a, |n, lanes| (2 * n / lanes, 2 * n % lanes))
}

/// Odd lanes.
pub fn uzp2<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    permute(s, a, |n, lanes| (2 * n / lanes, 2 * n % lanes + 1))
}

/// Lower lanes, alternating.
pub fn zip1<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    permute(s, a, |n, _| (n % 2, n / 2))
}

/// Upper lanes, alternating.
pub fn zip2<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    permute(s, a, |n, lanes| (n % 2, n / 2 + lanes / 2))
}

/// Even lanes, alternating.
pub fn trn1<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    permute(s, a, |n, _| (n % 2, n & !1))
}

/// Odd lanes, alternating.
pub fn trn2<S: Sem>(s: &mut S, _: &Cx, a: V3) -> Flow<S> {
    permute(s, a, |n, _| (n % 2, n | 1))
}

/// Bytes out of both operands, one after the other.
pub fn ext_v<S: Sem>(s: &mut S, _: &Cx, a: VExt) -> Flow<S> {
    let (n, m, half) = (get(s, a.rn), get(s, a.rm), 8u8 << a.q);
    let order = std::array::from_fn(|at| {
        let at = at as u8 % half + a.imm4;
        if at < half { at } else { 16 + at - half }
    });
    let v = s.shuffle(n, m, order);
    put(s, a.q, a.rd, v)
}

/// Bytes out of up to four registers; zero where the index is too large.
fn looked_up<S: Sem>(s: &mut S, a: VTbl, indices: S::W) -> S::W {
    let mut all = s.vector(0);
    let mut indices = indices;
    for n in 0..=a.len {
        let table = get(s, (a.rn + n) % 32);
        let part = s.v2(Op::Table, Ty::V128, table, indices);
        all = s.v2(Op::Or, Ty::V128, all, part);
        let sixteen = s.vector(splat_bits(Ty::I8x16, 16));
        // What was in range before wraps round to what never is.
        indices = s.v2(Op::Sub, Ty::I8x16, indices, sixteen);
    }
    all
}

/// Table look-up.
pub fn tbl<S: Sem>(s: &mut S, _: &Cx, a: VTbl) -> Flow<S> {
    let indices = get(s, a.rm);
    let v = looked_up(s, a, indices);
    put(s, a.q, a.rd, v)
}

/// Table look-up that keeps what is out of range.
pub fn tbx<S: Sem>(s: &mut S, _: &Cx, a: VTbl) -> Flow<S> {
    let (indices, d) = (get(s, a.rm), get(s, a.rd));
    let v = looked_up(s, a, indices);
    let limit = s.vector(splat_bits(Ty::I8x16, 16 * (u64::from(a.len) + 1)));
    let inside = s.v2(Op::LtU, Ty::I8x16, indices, limit);
    let v = s.bitselect(inside, v, d);
    put(s, a.q, a.rd, v)
}

/// What a modified constant does to the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// Replaces it.
    Move(u64),
    /// Sets bits.
    Or(u64),
    /// Clears bits.
    Clear(u64),
}

/// The constant of every doubleword: AdvSIMDExpandImm of the manual.
pub fn modified_constant(op: u8, cmode: u8, imm: u8) -> Constant {
    let byte = u64::from(imm);
    let value = match cmode >> 1 {
        0..=3 => (byte << (8 * (cmode >> 1))) * 0x1_0000_0001,
        4 | 5 => (byte << (8 * (cmode >> 1 & 1))) * 0x1_0001_0001_0001,
        6 if cmode & 1 == 0 => (byte << 8 | 0xff) * 0x1_0000_0001,
        6 => (byte << 16 | 0xffff) * 0x1_0000_0001,
        _ => {
            return Constant::Move(match (cmode & 1, op) {
                (0, 0) => byte * 0x0101_0101_0101_0101,
                (0, _) => (0..8).filter(|n| byte >> n & 1 != 0).fold(0, |all, n| all | 0xff << (8 * n)),
                (_, 0) => expand_constant(imm, Ty::F32) * 0x1_0000_0001,
                _ => expand_constant(imm, Ty::F64),
            });
        }
    };
    let keeps = cmode < 12 && cmode & 1 == 1;
    match (keeps, op) {
        (true, 0) => Constant::Or(value),
        (true, _) => Constant::Clear(value),
        (false, 0) => Constant::Move(value),
        (false, _) => Constant::Move(!value),
    }
}

/// Constants: MOVI, MVNI, ORR, BIC and FMOV.
pub fn movi_v<S: Sem>(s: &mut S, _: &Cx, a: VImm) -> Flow<S> {
    let both = |v: u64| splat_bits(Ty::I64x2, v);
    let v = match modified_constant(a.op, a.cmode, a.abc << 5 | a.defgh) {
        Constant::Move(value) => s.vector(both(value)),
        Constant::Or(value) => {
            let (d, k) = (s.get_vector(cpu::v(a.rd)), s.vector(both(value)));
            s.v2(Op::Or, Ty::V128, d, k)
        }
        Constant::Clear(value) => {
            let (d, k) = (s.get_vector(cpu::v(a.rd)), s.vector(both(value)));
            s.v2(Op::AndNot, Ty::V128, d, k)
        }
    };
    put(s, a.q, a.rd, v)
}

/// Bytes in reverse order within groups of `bytes`, whole lanes of `1 << size` bytes staying as they are.
fn reverse<S: Sem>(s: &mut S, a: V2, bytes: usize) -> Flow<S> {
    let (n, lane) = (get(s, a.rn), 1usize << a.size);
    let lanes = bytes / lane;
    let order = std::array::from_fn(|at| {
        let (group, within) = (at / bytes, at % bytes);
        (group * bytes + (lanes - 1 - within / lane) * lane + within % lane) as u8
    });
    let v = s.shuffle(n, n, order);
    put(s, a.q, a.rd, v)
}

/// Lanes in reverse order within doublewords.
pub fn rev64_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    reverse(s, a, 8)
}

/// Lanes in reverse order within words.
pub fn rev32_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    reverse(s, a, 4)
}

/// Lanes in reverse order within halfwords.
pub fn rev16_v<S: Sem>(s: &mut S, _: &Cx, a: V2) -> Flow<S> {
    reverse(s, a, 2)
}

/// A constant, in all halves.
pub fn fmov_vh<S: Sem>(s: &mut S, _: &Cx, a: VHImm) -> Flow<S> {
    let v = s.vector(splat_bits(Ty::I16x8, expand_constant(a.abc << 5 | a.defgh, Ty::F16)));
    put(s, a.q, a.rd, v)
}

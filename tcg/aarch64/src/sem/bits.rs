//! Bitfields, shifts, bit and byte order, CRC: C4.1.92 and C4.1.95.

use super::{Cx, Width, by_width, fall, set_x, x};
use crate::helpers;
use crate::isa::{Bitfield, Crc, CrcX, Extract, R2, R3, W2};
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Sem, V};
use tcg_core::ty::{I32, I64, Int};

/// `v` moved left by a constant.
fn left<T: Int, S: Sem>(s: &mut S, v: V<S, T>, by: u32) -> V<S, T> {
    let k = s.k(by.into());
    s.shl(v, k)
}

/// `v` moved right by a constant, with zeros.
fn right<T: Int, S: Sem>(s: &mut S, v: V<S, T>, by: u32) -> V<S, T> {
    let k = s.k(by.into());
    s.shru(v, k)
}

/// Where a bitfield goes: from bit `from` of the source, `len` bits, to bit `to`.
struct Field {
    from: u32,
    to: u32,
    len: u32,
}

fn field<T: Width>(a: Bitfield) -> Field {
    let (r, last) = (u32::from(a.immr), u32::from(a.imms));
    if last >= r {
        Field { from: r, to: 0, len: last - r + 1 }
    } else {
        Field { from: 0, to: T::BITS - r, len: last + 1 }
    }
}

fn unsigned_field<T: Width, S: Sem>(s: &mut S, a: Bitfield) -> Flow<S> {
    let f = field::<T>(a);
    let v = T::get(s, a.rn);
    let v = right(s, v, f.from);
    let v = if f.from + f.len < T::BITS { s.zext(v, f.len) } else { v };
    let v = left(s, v, f.to);
    T::set(s, a.rd, v);
    fall::<S>()
}

fn signed_field<T: Width, S: Sem>(s: &mut S, a: Bitfield) -> Flow<S> {
    let f = field::<T>(a);
    let v = T::get(s, a.rn);
    let v = if f.from == 0 && matches!(f.len, 8 | 16) || f.from == 0 && f.len == 32 && T::BITS == 64 {
        s.sext(v, f.len)
    } else {
        let up = T::BITS - f.from - f.len;
        let v = left(s, v, up);
        let k = s.k((up + f.from).into());
        s.shrs(v, k)
    };
    let v = left(s, v, f.to);
    T::set(s, a.rd, v);
    fall::<S>()
}

fn insert_field<T: Width, S: Sem>(s: &mut S, a: Bitfield) -> Flow<S> {
    let f = field::<T>(a);
    let (v, old) = (T::get(s, a.rn), T::get(s, a.rd));
    let v = right(s, v, f.from);
    let v = if f.from + f.len < T::BITS { s.zext(v, f.len) } else { v };
    let v = left(s, v, f.to);
    let keep = s.k(!((u64::MAX >> (64 - f.len)) << f.to));
    let old = s.and::<T>(old, keep);
    let v = s.or(old, v);
    T::set(s, a.rd, v);
    fall::<S>()
}

/// Signed bitfield move.
pub fn sbfm<S: Sem>(s: &mut S, _: &Cx, a: Bitfield) -> Flow<S> {
    by_width!(a.sf, signed_field(s, a))
}

/// Bitfield move into the destination.
pub fn bfm<S: Sem>(s: &mut S, _: &Cx, a: Bitfield) -> Flow<S> {
    by_width!(a.sf, insert_field(s, a))
}

/// Unsigned bitfield move.
pub fn ubfm<S: Sem>(s: &mut S, _: &Cx, a: Bitfield) -> Flow<S> {
    by_width!(a.sf, unsigned_field(s, a))
}

fn extract<T: Width, S: Sem>(s: &mut S, a: Extract) -> Flow<S> {
    let (high, low) = (T::get(s, a.rn), T::get(s, a.rm));
    let by = u32::from(a.imms);
    let v = if a.rn == a.rm {
        let k = s.k(by.into());
        s.rotr(low, k)
    } else if by == 0 {
        low
    } else {
        let (low, high) = (right(s, low, by), left(s, high, T::BITS - by));
        s.or(low, high)
    };
    T::set(s, a.rd, v);
    fall::<S>()
}

/// A register's width out of a pair.
pub fn extr<S: Sem>(s: &mut S, _: &Cx, a: Extract) -> Flow<S> {
    by_width!(a.sf, extract(s, a))
}

fn binary<T: Width, S: Sem>(s: &mut S, a: R3, op: Op) -> Flow<S> {
    let (v, w) = (T::get(s, a.rn), T::get(s, a.rm));
    let v = s.op2(op, 0, v, w);
    T::set(s, a.rd, v);
    fall::<S>()
}

/// Logical shift left.
pub fn lslv<S: Sem>(s: &mut S, _: &Cx, a: R3) -> Flow<S> {
    by_width!(a.sf, binary(s, a, Op::Shl))
}

/// Logical shift right.
pub fn lsrv<S: Sem>(s: &mut S, _: &Cx, a: R3) -> Flow<S> {
    by_width!(a.sf, binary(s, a, Op::ShrU))
}

/// Arithmetic shift right.
pub fn asrv<S: Sem>(s: &mut S, _: &Cx, a: R3) -> Flow<S> {
    by_width!(a.sf, binary(s, a, Op::ShrS))
}

/// Rotate right.
pub fn rorv<S: Sem>(s: &mut S, _: &Cx, a: R3) -> Flow<S> {
    by_width!(a.sf, binary(s, a, Op::Rotr))
}

/// Exchanges neighbouring groups of `by` bits; `mask` has the lower of each two.
fn exchange<T: Int, S: Sem>(s: &mut S, v: V<S, T>, by: u32, mask: u64) -> V<S, T> {
    let mask = s.k(mask);
    let high = right(s, v, by);
    let (high, low) = (s.and(high, mask), s.and(v, mask));
    let low = left(s, low, by);
    s.or(high, low)
}

fn reverse_bits<T: Width, S: Sem>(s: &mut S, a: R2) -> Flow<S> {
    let v = T::get(s, a.rn);
    let v = s.bswap(v);
    let v = exchange(s, v, 4, 0x0f0f_0f0f_0f0f_0f0f);
    let v = exchange(s, v, 2, 0x3333_3333_3333_3333);
    let v = exchange(s, v, 1, 0x5555_5555_5555_5555);
    T::set(s, a.rd, v);
    fall::<S>()
}

/// Bits in reverse order.
pub fn rbit<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    by_width!(a.sf, reverse_bits(s, a))
}

fn reverse_halves<T: Width, S: Sem>(s: &mut S, a: R2) -> Flow<S> {
    let v = T::get(s, a.rn);
    let v = exchange(s, v, 8, 0x00ff_00ff_00ff_00ff);
    T::set(s, a.rd, v);
    fall::<S>()
}

/// Bytes of halfwords in reverse order.
pub fn rev16<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    by_width!(a.sf, reverse_halves(s, a))
}

/// Bytes of a word in reverse order.
pub fn rev_w<S: Sem>(s: &mut S, _: &Cx, a: W2) -> Flow<S> {
    let v = I32::get(s, a.rn);
    let v = s.bswap(v);
    I32::set(s, a.rd, v);
    fall::<S>()
}

/// Bytes of both words in reverse order.
pub fn rev32<S: Sem>(s: &mut S, _: &Cx, a: W2) -> Flow<S> {
    let (v, k) = (x(s, a.rn), s.k(32));
    let v = s.bswap(v);
    let v = s.rotr(v, k);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// Bytes in reverse order.
pub fn rev<S: Sem>(s: &mut S, _: &Cx, a: W2) -> Flow<S> {
    let v = x(s, a.rn);
    let v = s.bswap(v);
    set_x(s, a.rd, v);
    fall::<S>()
}

fn leading_zeros<T: Width, S: Sem>(s: &mut S, a: R2) -> Flow<S> {
    let v = T::get(s, a.rn);
    let v = s.clz(v);
    T::set(s, a.rd, v);
    fall::<S>()
}

/// Leading zeros.
pub fn clz<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    by_width!(a.sf, leading_zeros(s, a))
}

fn leading_signs<T: Width, S: Sem>(s: &mut S, a: R2) -> Flow<S> {
    let (v, one) = (T::get(s, a.rn), s.k(1));
    let shifted = s.shrs(v, one);
    let differ = s.xor(v, shifted);
    let count = s.clz(differ);
    let v = s.sub(count, one);
    T::set(s, a.rd, v);
    fall::<S>()
}

/// Leading bits that are as the sign.
pub fn cls<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    by_width!(a.sf, leading_signs(s, a))
}

fn checksum<S: Sem>(s: &mut S, (rd, rn, rm): (u8, u8, u8), size: u8, castagnoli: bool) -> Flow<S> {
    let (crc, value) = (x(s, rn), x(s, rm));
    let kind = s.k(u64::from(size) | u64::from(castagnoli) << 2);
    let v = s.call(helpers::CRC32, &[crc, value, kind])?;
    set_x(s, rd, v);
    fall::<S>()
}

/// CRC-32.
pub fn crc32_w<S: Sem>(s: &mut S, _: &Cx, a: Crc) -> Flow<S> {
    checksum(s, (a.rd, a.rn, a.rm), a.size, false)
}

/// CRC-32C.
pub fn crc32c_w<S: Sem>(s: &mut S, _: &Cx, a: Crc) -> Flow<S> {
    checksum(s, (a.rd, a.rn, a.rm), a.size, true)
}

/// CRC-32 of eight bytes.
pub fn crc32_x<S: Sem>(s: &mut S, _: &Cx, a: CrcX) -> Flow<S> {
    checksum(s, (a.rd, a.rn, a.rm), 3, false)
}

/// CRC-32C of eight bytes.
pub fn crc32c_x<S: Sem>(s: &mut S, _: &Cx, a: CrcX) -> Flow<S> {
    checksum(s, (a.rd, a.rn, a.rm), 3, true)
}

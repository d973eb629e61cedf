//! Products of complex numbers, of halves and of BFloat16 numbers: C4.1.96, FCMA, FHM and BF16.

use super::dot::words;
use super::estimate::float_soft;
use super::float::Floats;
use super::{get, put};
use crate::float::lanes::FloatSoft;
use crate::isa::{VB3, VCadd, VCmla, VCmlaE, VD3, VDotE, VHCadd, VHCmla, VHCmlaE};
use crate::mode;
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Sem, splat_bits};
use tcg_core::ty::{I32, Ty};

/// In pairs of lanes, the one of number `from[n]` of the same pair at place `n`.
fn in_pairs<S: Sem>(s: &mut S, f: Floats, v: S::W, from: [u8; 2]) -> S::W {
    let order = std::array::from_fn(|at| {
        let (at, lane) = (at as u8, at as u8 >> f.size);
        (lane & !1 | from[usize::from(lane & 1)]) << f.size | at & ((1 << f.size) - 1)
    });
    s.shuffle(v, v, order)
}

/// The other sign where `real` and `imaginary` say.
fn signed<S: Sem>(s: &mut S, f: Floats, v: S::W, (real, imaginary): (bool, bool)) -> S::W {
    let (bits, sign) = (8u32 << f.size, 1u128 << ((8 << f.size) - 1));
    let pair = if real { sign } else { 0 } | if imaginary { sign << bits } else { 0 };
    let mask = s.vector((0..64 / bits).fold(0, |all, n| all | pair << (2 * n * bits)));
    s.v2(Op::Xor, Ty::V128, v, mask)
}

/// `n` plus `m` turned by one or three quarters.
fn turned_sum<S: Sem>(s: &mut S, cx: &Cx, f: Floats, three: bool, [rn, rm, rd]: [u8; 3]) -> Flow<S> {
    let (n, m) = (f.operand(s, rn), f.operand(s, rm));
    let m = in_pairs(s, f, m, [1, 0]);
    let m = signed(s, f, m, (!three, three));
    let v = f.operate(s, cx, Op::FAdd, &[n, m]);
    f.part.put(s, rd, v)
}

/// The product of the real or imaginary parts of `n`, as `quarters` says, with `m` turned by them, added.
fn turned_product<S: Sem>(s: &mut S, cx: &Cx, f: Floats, quarters: u8, [n, m]: [S::W; 2], rd: u8) -> Flow<S> {
    let d = f.operand(s, rd);
    let odd = quarters & 1;
    let n = in_pairs(s, f, n, [odd; 2]);
    let m = if odd == 1 { in_pairs(s, f, m, [1, 0]) } else { m };
    let m = match quarters {
        0 => m,
        1 => signed(s, f, m, (true, false)),
        2 => signed(s, f, m, (true, true)),
        _ => signed(s, f, m, (false, true)),
    };
    let v = f.operate(s, cx, Op::FMulAdd, &[n, m, d]);
    f.part.put(s, rd, v)
}

/// Sum with complex numbers that are turned.
pub fn fcadd_v<S: Sem>(s: &mut S, cx: &Cx, a: VCadd) -> Flow<S> {
    turned_sum(s, cx, Floats::vector(2 + a.sz, a.q), a.rot != 0, [a.rn, a.rm, a.rd])
}

/// The same of halves.
pub fn fcadd_vh<S: Sem>(s: &mut S, cx: &Cx, a: VHCadd) -> Flow<S> {
    turned_sum(s, cx, Floats::vector(1, a.q), a.rot != 0, [a.rn, a.rm, a.rd])
}

/// Half of a complex product, added.
pub fn fcmla_v<S: Sem>(s: &mut S, cx: &Cx, a: VCmla) -> Flow<S> {
    let f = Floats::vector(2 + a.sz, a.q);
    let args = [f.operand(s, a.rn), f.operand(s, a.rm)];
    turned_product(s, cx, f, a.rot, args, a.rd)
}

/// The same of halves.
pub fn fcmla_vh<S: Sem>(s: &mut S, cx: &Cx, a: VHCmla) -> Flow<S> {
    let f = Floats::vector(1, a.q);
    let args = [f.operand(s, a.rn), f.operand(s, a.rm)];
    turned_product(s, cx, f, a.rot, args, a.rd)
}

/// The same by one complex number.
pub fn fcmla_e<S: Sem>(s: &mut S, cx: &Cx, a: VCmlaE) -> Flow<S> {
    let (f, m) = (Floats::vector(2, 1), get(s, a.m << 4 | a.rm));
    let m = s.shuffle(m, m, words([2 * a.h, 2 * a.h + 1, 2 * a.h, 2 * a.h + 1]));
    let n = get(s, a.rn);
    turned_product(s, cx, f, a.rot, [n, m], a.rd)
}

/// The same of halves.
pub fn fcmla_eh<S: Sem>(s: &mut S, cx: &Cx, a: VHCmlaE) -> Flow<S> {
    let f = Floats::vector(1, a.q);
    let (n, m) = (f.operand(s, a.rn), word(s, a.m << 4 | a.rm, a.h << 1 | a.l));
    let m = f.part.of_vector(s, m);
    turned_product(s, cx, f, a.rot, [n, m], a.rd)
}

/// One word, in all.
fn word<S: Sem>(s: &mut S, n: u8, index: u8) -> S::W {
    let v = get(s, n);
    let v = s.extract::<I32>(Lane::new(2, index), v);
    s.splat(Ty::I32x4, v)
}

/// One halfword, in all.
fn halfword<S: Sem>(s: &mut S, n: u8, index: u8) -> S::W {
    let v = get(s, n);
    let v = s.extract::<I32>(Lane::new(1, index), v);
    s.splat(Ty::I16x8, v)
}

/// Singles plus, or minus, products of halves: as many as there are singles, of the lower half or the upper one.
#[derive(Clone, Copy)]
struct Long {
    upper: bool,
    subtract: bool,
}

/// The halves that count.
fn halves<S: Sem>(s: &mut S, q: u8, upper: bool, v: S::W) -> S::W {
    let start = if upper { 4u8 << q } else { 0 };
    s.shuffle(v, v, std::array::from_fn(|at| (at as u8 + start) % 16))
}

fn long_product<S: Sem>(s: &mut S, cx: &Cx, (q, rd): (u8, u8), how: Long, [n, m]: [S::W; 2]) -> Flow<S> {
    let f = Floats::vector(2, q);
    let n = halves(s, q, how.upper, n);
    let n = if how.subtract { Floats::vector(1, 1).negative(s, n) } else { n };
    let (d, mode) = (get(s, rd), f.dynamic(cx));
    let more = Floats::vector(1, q).dynamic(cx).flushes().into();
    let v = float_soft(s, FloatSoft::AddLongProduct, f, (mode, more), &[n, m, d]);
    put(s, q, rd, v)
}

macro_rules! long_products {
    ($($(#[$doc:meta])* $name:ident $element:ident = $upper:literal $subtract:literal;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: VB3) -> Flow<S> {
            let (n, m) = (get(s, a.rn), get(s, a.rm));
            let m = halves(s, a.q, $upper, m);
            long_product(s, cx, (a.q, a.rd), Long { upper: $upper, subtract: $subtract }, [n, m])
        }
        /// The same with an element.
        pub fn $element<S: Sem>(s: &mut S, cx: &Cx, a: VDotE) -> Flow<S> {
            let (n, m) = (get(s, a.rn), halfword(s, a.rm, a.h << 2 | a.l << 1 | a.m));
            long_product(s, cx, (a.q, a.rd), Long { upper: $upper, subtract: $subtract }, [n, m])
        }
    )* };
}

long_products! {
    /// Products of halves, added to singles.
    fmlal_v fmlal_e = false false;
    /// Products of halves, subtracted from singles.
    fmlsl_v fmlsl_e = false true;
    /// Products of upper halves, added to singles.
    fmlal2_v fmlal2_e = true false;
    /// Products of upper halves, subtracted from singles.
    fmlsl2_v fmlsl2_e = true true;
}

/// Sums of products of pairs of BFloat16 numbers, added to `d`.
fn bfloat_pairs<S: Sem>(s: &mut S, cx: &Cx, q: u8, args: [S::W; 3]) -> S::W {
    let f = Floats::vector(2, q);
    let extended = mode::extended_bfloat(cx.at.mode);
    float_soft(s, FloatSoft::BfloatPairs, f, (f.dynamic(cx), extended.into()), &args)
}

/// Sums of products of two BFloat16 numbers.
pub fn bfdot_v<S: Sem>(s: &mut S, cx: &Cx, a: VB3) -> Flow<S> {
    let (n, m, d) = (get(s, a.rn), get(s, a.rm), get(s, a.rd));
    let v = bfloat_pairs(s, cx, a.q, [n, m, d]);
    put(s, a.q, a.rd, v)
}

/// The same by one pair.
pub fn bfdot_e<S: Sem>(s: &mut S, cx: &Cx, a: VDotE) -> Flow<S> {
    let (n, m, d) = (get(s, a.rn), word(s, a.m << 4 | a.rm, a.h << 1 | a.l), get(s, a.rd));
    let v = bfloat_pairs(s, cx, a.q, [n, m, d]);
    put(s, a.q, a.rd, v)
}

/// Product of matrices of two rows of four BFloat16 numbers.
pub fn bfmmla<S: Sem>(s: &mut S, cx: &Cx, a: VD3) -> Flow<S> {
    let (n, m, mut v) = (get(s, a.rn), get(s, a.rm), get(s, a.rd));
    for half in [0, 1] {
        let n = s.shuffle(n, n, words([half, half, 2 + half, 2 + half]));
        let m = s.shuffle(m, m, words([half, 2 + half, half, 2 + half]));
        v = bfloat_pairs(s, cx, 1, [n, m, v]);
    }
    put(s, 1, a.rd, v)
}

/// Even or odd BFloat16 numbers as singles.
fn bfloat_singles<S: Sem>(s: &mut S, odd: u8, v: S::W) -> S::W {
    if odd == 0 {
        return s.shift_lanes(Op::Shl, Ty::I32x4, v, 16);
    }
    let mask = s.vector(splat_bits(Ty::I32x4, 0xffff_0000));
    s.v2(Op::And, Ty::V128, v, mask)
}

fn bfloat_long<S: Sem>(s: &mut S, cx: &Cx, rd: u8, [n, m]: [S::W; 2]) -> Flow<S> {
    let d = get(s, rd);
    let v = Floats::vector(2, 1).operate(s, cx, Op::FMulAdd, &[n, m, d]);
    put(s, 1, rd, v)
}

/// Products of even or odd BFloat16 numbers, added to singles.
pub fn bfmlal_v<S: Sem>(s: &mut S, cx: &Cx, a: VB3) -> Flow<S> {
    let args = [a.rn, a.rm].map(|n| {
        let v = get(s, n);
        bfloat_singles(s, a.q, v)
    });
    bfloat_long(s, cx, a.rd, args)
}

/// The same by an element.
pub fn bfmlal_e<S: Sem>(s: &mut S, cx: &Cx, a: VDotE) -> Flow<S> {
    let (n, m) = (get(s, a.rn), halfword(s, a.rm, a.h << 2 | a.l << 1 | a.m));
    let args = [bfloat_singles(s, a.q, n), bfloat_singles(s, 0, m)];
    bfloat_long(s, cx, a.rd, args)
}

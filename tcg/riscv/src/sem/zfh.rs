//! Half-precision floating point: chapter 24 (Zfh, Zfhmin).

use super::float::{self, Kind, Negated};
use super::i::address;
use super::{Cx, fall, set_x, x};
use crate::cpu;
use crate::isa::{F2Rm, FRm, I, R, R2, R4, S as Store};
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, MemOp, Sem};
use tcg_core::ty::{F16, F32, F64, I32, I64};

/// Load halfword.
pub fn flh<S: Sem>(s: &mut S, cx: &Cx, a: I) -> Flow<S> {
    let addr = address(s, a.rs1, a.imm);
    let v = s.load::<I32>(addr, MemOp::new(1))?;
    float::change(s, cx, |s| F16::set_bits(s, a.rd, v))
}

/// Store halfword: the low bits, boxed or not.
pub fn fsh<S: Sem>(s: &mut S, _: &Cx, a: Store) -> Flow<S> {
    let (addr, v) = (address(s, a.rs1, a.imm), s.get::<I64>(cpu::f(a.rs2)));
    s.store(addr, v, MemOp::new(1))?;
    fall::<S>()
}

/// The low halfword to an integer register, boxed or not, with the sign extended.
pub fn fmv_x_h<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    let v = s.get(cpu::f(a.rs1));
    let v = s.sext(v, 16);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// The low halfword of an integer register.
pub fn fmv_h_x<S: Sem>(s: &mut S, cx: &Cx, a: R2) -> Flow<S> {
    let v = x(s, a.rs1);
    let v = s.trunc(v);
    float::change(s, cx, |s| F16::set_bits(s, a.rd, v))
}

/// fd = fs1 of format `K` in format `L`.
fn convert<K: Kind, L: Kind, S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::rounded::<K, L, S>(s, cx, a, |s, v, rm| s.op1(Op::FToF, rm as u64, v))
}

/// From half to single.
pub fn fcvt_s_h<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    convert::<F16, F32, S>(s, cx, a)
}

/// From single to half.
pub fn fcvt_h_s<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    convert::<F32, F16, S>(s, cx, a)
}

/// From half to double.
pub fn fcvt_d_h<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    convert::<F16, F64, S>(s, cx, a)
}

/// From double to half.
pub fn fcvt_h_d<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    convert::<F64, F16, S>(s, cx, a)
}

/// Product plus addend.
pub fn fmadd_h<S: Sem>(s: &mut S, cx: &Cx, a: R4) -> Flow<S> {
    float::fused::<F16, S>(s, cx, a, Negated { product: false, addend: false })
}

/// Product minus addend.
pub fn fmsub_h<S: Sem>(s: &mut S, cx: &Cx, a: R4) -> Flow<S> {
    float::fused::<F16, S>(s, cx, a, Negated { product: false, addend: true })
}

/// Addend minus product.
pub fn fnmsub_h<S: Sem>(s: &mut S, cx: &Cx, a: R4) -> Flow<S> {
    float::fused::<F16, S>(s, cx, a, Negated { product: true, addend: false })
}

/// Product plus addend, negated.
pub fn fnmadd_h<S: Sem>(s: &mut S, cx: &Cx, a: R4) -> Flow<S> {
    float::fused::<F16, S>(s, cx, a, Negated { product: true, addend: true })
}

/// Sum.
pub fn fadd_h<S: Sem>(s: &mut S, cx: &Cx, a: FRm) -> Flow<S> {
    float::arithmetic::<F16, S>(s, cx, a, Op::FAdd)
}

/// Difference.
pub fn fsub_h<S: Sem>(s: &mut S, cx: &Cx, a: FRm) -> Flow<S> {
    float::arithmetic::<F16, S>(s, cx, a, Op::FSub)
}

/// Product.
pub fn fmul_h<S: Sem>(s: &mut S, cx: &Cx, a: FRm) -> Flow<S> {
    float::arithmetic::<F16, S>(s, cx, a, Op::FMul)
}

/// Quotient.
pub fn fdiv_h<S: Sem>(s: &mut S, cx: &Cx, a: FRm) -> Flow<S> {
    float::arithmetic::<F16, S>(s, cx, a, Op::FDiv)
}

/// Square root.
pub fn fsqrt_h<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::rounded::<F16, F16, S>(s, cx, a, S::fsqrt)
}

/// Sign of the second.
pub fn fsgnj_h<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::sign_inject::<F16, S>(s, cx, a, |_, _, w| w)
}

/// Opposite sign of the second.
pub fn fsgnjn_h<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::sign_inject::<F16, S>(s, cx, a, |s, _, w| s.not(w))
}

/// Product of the signs.
pub fn fsgnjx_h<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::sign_inject::<F16, S>(s, cx, a, S::xor)
}

/// Minimum.
pub fn fmin_h<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::min_max::<F16, S>(s, cx, a, Op::FMin)
}

/// Maximum.
pub fn fmax_h<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::min_max::<F16, S>(s, cx, a, Op::FMax)
}

/// Equal.
pub fn feq_h<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F16, S>(s, cx, a, Op::FEq)
}

/// Less.
pub fn flt_h<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F16, S>(s, cx, a, Op::FLt)
}

/// Less or equal.
pub fn fle_h<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F16, S>(s, cx, a, Op::FLe)
}

/// Class.
pub fn fclass_h<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    float::classify::<F16, S>(s, a)
}

/// To signed word.
pub fn fcvt_w_h<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::to_int::<F16, I32, S>(s, cx, a, true)
}

/// From signed word.
pub fn fcvt_h_w<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::from_int::<F16, I32, S>(s, cx, a, true)
}

/// To unsigned word.
pub fn fcvt_wu_h<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::to_int::<F16, I32, S>(s, cx, a, false)
}

/// From unsigned word.
pub fn fcvt_h_wu<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::from_int::<F16, I32, S>(s, cx, a, false)
}

/// To signed doubleword.
pub fn fcvt_l_h<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::to_int::<F16, I64, S>(s, cx, a, true)
}

/// From signed doubleword.
pub fn fcvt_h_l<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::from_int::<F16, I64, S>(s, cx, a, true)
}

/// To unsigned doubleword.
pub fn fcvt_lu_h<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::to_int::<F16, I64, S>(s, cx, a, false)
}

/// From unsigned doubleword.
pub fn fcvt_h_lu<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::from_int::<F16, I64, S>(s, cx, a, false)
}

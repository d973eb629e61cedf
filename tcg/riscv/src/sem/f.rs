//! Single-precision floating point: chapter 21 (F).

use super::float::{self, Kind, Negated};
use super::i::address;
use super::{Cx, fall, set_x, x};
use crate::cpu;
use crate::isa::{F2Rm, FRm, I, R, R2, R4, S as Store};
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, MemOp, Sem};
use tcg_core::ty::{F32, I32, I64};

/// Load word.
pub fn flw<S: Sem>(s: &mut S, cx: &Cx, a: I) -> Flow<S> {
    let addr = address(s, a.rs1, a.imm);
    let v = s.load(addr, MemOp::new(2))?;
    float::change(s, cx, |s| F32::set(s, a.rd, v))
}

/// Store word: the low bits, boxed or not.
pub fn fsw<S: Sem>(s: &mut S, _: &Cx, a: Store) -> Flow<S> {
    let (addr, v) = (address(s, a.rs1, a.imm), s.get::<I64>(cpu::f(a.rs2)));
    s.store(addr, v, MemOp::new(2))?;
    fall::<S>()
}

/// The low word to an integer register, boxed or not, with the sign extended.
pub fn fmv_x_w<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    let v = s.get(cpu::f(a.rs1));
    let v = s.sext(v, 32);
    set_x(s, a.rd, v);
    fall::<S>()
}

/// The low word of an integer register.
pub fn fmv_w_x<S: Sem>(s: &mut S, cx: &Cx, a: R2) -> Flow<S> {
    let v = x(s, a.rs1);
    let v = s.trunc(v);
    float::change(s, cx, |s| F32::set_bits(s, a.rd, v))
}

/// Product plus addend.
pub fn fmadd_s<S: Sem>(s: &mut S, cx: &Cx, a: R4) -> Flow<S> {
    float::fused::<F32, S>(s, cx, a, Negated { product: false, addend: false })
}

/// Product minus addend.
pub fn fmsub_s<S: Sem>(s: &mut S, cx: &Cx, a: R4) -> Flow<S> {
    float::fused::<F32, S>(s, cx, a, Negated { product: false, addend: true })
}

/// Addend minus product.
pub fn fnmsub_s<S: Sem>(s: &mut S, cx: &Cx, a: R4) -> Flow<S> {
    float::fused::<F32, S>(s, cx, a, Negated { product: true, addend: false })
}

/// Product plus addend, negated.
pub fn fnmadd_s<S: Sem>(s: &mut S, cx: &Cx, a: R4) -> Flow<S> {
    float::fused::<F32, S>(s, cx, a, Negated { product: true, addend: true })
}

/// Sum.
pub fn fadd_s<S: Sem>(s: &mut S, cx: &Cx, a: FRm) -> Flow<S> {
    float::arithmetic::<F32, S>(s, cx, a, Op::FAdd)
}

/// Difference.
pub fn fsub_s<S: Sem>(s: &mut S, cx: &Cx, a: FRm) -> Flow<S> {
    float::arithmetic::<F32, S>(s, cx, a, Op::FSub)
}

/// Product.
pub fn fmul_s<S: Sem>(s: &mut S, cx: &Cx, a: FRm) -> Flow<S> {
    float::arithmetic::<F32, S>(s, cx, a, Op::FMul)
}

/// Quotient.
pub fn fdiv_s<S: Sem>(s: &mut S, cx: &Cx, a: FRm) -> Flow<S> {
    float::arithmetic::<F32, S>(s, cx, a, Op::FDiv)
}

/// Square root.
pub fn fsqrt_s<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::rounded::<F32, F32, S>(s, cx, a, S::fsqrt)
}

/// Sign of the second.
pub fn fsgnj_s<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::sign_inject::<F32, S>(s, cx, a, |_, _, w| w)
}

/// Opposite sign of the second.
pub fn fsgnjn_s<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::sign_inject::<F32, S>(s, cx, a, |s, _, w| s.not(w))
}

/// Product of the signs.
pub fn fsgnjx_s<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::sign_inject::<F32, S>(s, cx, a, S::xor)
}

/// Minimum.
pub fn fmin_s<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::min_max::<F32, S>(s, cx, a, Op::FMin)
}

/// Maximum.
pub fn fmax_s<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::min_max::<F32, S>(s, cx, a, Op::FMax)
}

/// Equal.
pub fn feq_s<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F32, S>(s, cx, a, Op::FEq)
}

/// Less.
pub fn flt_s<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F32, S>(s, cx, a, Op::FLt)
}

/// Less or equal.
pub fn fle_s<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F32, S>(s, cx, a, Op::FLe)
}

/// Class.
pub fn fclass_s<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    float::classify::<F32, S>(s, a)
}

/// To signed word.
pub fn fcvt_w_s<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::to_int::<F32, I32, S>(s, cx, a, true)
}

/// From signed word.
pub fn fcvt_s_w<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::from_int::<F32, I32, S>(s, cx, a, true)
}

/// To unsigned word.
pub fn fcvt_wu_s<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::to_int::<F32, I32, S>(s, cx, a, false)
}

/// From unsigned word.
pub fn fcvt_s_wu<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::from_int::<F32, I32, S>(s, cx, a, false)
}

/// To signed doubleword.
pub fn fcvt_l_s<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::to_int::<F32, I64, S>(s, cx, a, true)
}

/// From signed doubleword.
pub fn fcvt_s_l<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::from_int::<F32, I64, S>(s, cx, a, true)
}

/// To unsigned doubleword.
pub fn fcvt_lu_s<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::to_int::<F32, I64, S>(s, cx, a, false)
}

/// From unsigned doubleword.
pub fn fcvt_s_lu<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::from_int::<F32, I64, S>(s, cx, a, false)
}

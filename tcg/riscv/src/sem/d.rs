//! Double-precision floating point: chapter 22 (D).

use super::float::{self, Kind, Negated};
use super::i::address;
use super::{Cx, fall, set_x, x};
use crate::cpu;
use crate::isa::{F2Rm, FRm, I, R, R2, R4, S as Store};
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, MemOp, Sem};
use tcg_core::ty::{F32, F64, I32, I64};

/// Load doubleword.
pub fn fld<S: Sem>(s: &mut S, cx: &Cx, a: I) -> Flow<S> {
    let addr = address(s, a.rs1, a.imm);
    let v = s.load(addr, MemOp::new(3))?;
    float::change(s, cx, |s| F64::set(s, a.rd, v))
}

/// Store doubleword.
pub fn fsd<S: Sem>(s: &mut S, _: &Cx, a: Store) -> Flow<S> {
    let (addr, v) = (address(s, a.rs1, a.imm), F64::get(s, a.rs2));
    s.store(addr, v, MemOp::new(3))?;
    fall::<S>()
}

/// The bits to an integer register.
pub fn fmv_x_d<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    let v = s.get(cpu::f(a.rs1));
    set_x(s, a.rd, v);
    fall::<S>()
}

/// The bits of an integer register.
pub fn fmv_d_x<S: Sem>(s: &mut S, cx: &Cx, a: R2) -> Flow<S> {
    let v = x(s, a.rs1);
    float::change(s, cx, |s| F64::set_bits(s, a.rd, v))
}

/// From double to single.
pub fn fcvt_s_d<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::rounded::<F64, F32, S>(s, cx, a, S::fnarrow)
}

/// From single to double.
pub fn fcvt_d_s<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::rounded::<F32, F64, S>(s, cx, a, |s, v, _| s.fwiden(v))
}

/// Product plus addend.
pub fn fmadd_d<S: Sem>(s: &mut S, cx: &Cx, a: R4) -> Flow<S> {
    float::fused::<F64, S>(s, cx, a, Negated { product: false, addend: false })
}

/// Product minus addend.
pub fn fmsub_d<S: Sem>(s: &mut S, cx: &Cx, a: R4) -> Flow<S> {
    float::fused::<F64, S>(s, cx, a, Negated { product: false, addend: true })
}

/// Addend minus product.
pub fn fnmsub_d<S: Sem>(s: &mut S, cx: &Cx, a: R4) -> Flow<S> {
    float::fused::<F64, S>(s, cx, a, Negated { product: true, addend: false })
}

/// Product plus addend, negated.
pub fn fnmadd_d<S: Sem>(s: &mut S, cx: &Cx, a: R4) -> Flow<S> {
    float::fused::<F64, S>(s, cx, a, Negated { product: true, addend: true })
}

/// Sum.
pub fn fadd_d<S: Sem>(s: &mut S, cx: &Cx, a: FRm) -> Flow<S> {
    float::arithmetic::<F64, S>(s, cx, a, Op::FAdd)
}

/// Difference.
pub fn fsub_d<S: Sem>(s: &mut S, cx: &Cx, a: FRm) -> Flow<S> {
    float::arithmetic::<F64, S>(s, cx, a, Op::FSub)
}

/// Product.
pub fn fmul_d<S: Sem>(s: &mut S, cx: &Cx, a: FRm) -> Flow<S> {
    float::arithmetic::<F64, S>(s, cx, a, Op::FMul)
}

/// Quotient.
pub fn fdiv_d<S: Sem>(s: &mut S, cx: &Cx, a: FRm) -> Flow<S> {
    float::arithmetic::<F64, S>(s, cx, a, Op::FDiv)
}

/// Square root.
pub fn fsqrt_d<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::rounded::<F64, F64, S>(s, cx, a, S::fsqrt)
}

/// Sign of the second.
pub fn fsgnj_d<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::sign_inject::<F64, S>(s, cx, a, |_, _, w| w)
}

/// Opposite sign of the second.
pub fn fsgnjn_d<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::sign_inject::<F64, S>(s, cx, a, |s, _, w| s.not(w))
}

/// Product of the signs.
pub fn fsgnjx_d<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::sign_inject::<F64, S>(s, cx, a, S::xor)
}

/// Minimum.
pub fn fmin_d<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::min_max::<F64, S>(s, cx, a, Op::FMin)
}

/// Maximum.
pub fn fmax_d<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::min_max::<F64, S>(s, cx, a, Op::FMax)
}

/// Equal.
pub fn feq_d<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F64, S>(s, cx, a, Op::FEq)
}

/// Less.
pub fn flt_d<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F64, S>(s, cx, a, Op::FLt)
}

/// Less or equal.
pub fn fle_d<S: Sem>(s: &mut S, cx: &Cx, a: R) -> Flow<S> {
    float::compare::<F64, S>(s, cx, a, Op::FLe)
}

/// Class.
pub fn fclass_d<S: Sem>(s: &mut S, _: &Cx, a: R2) -> Flow<S> {
    float::classify::<F64, S>(s, a)
}

/// To signed word.
pub fn fcvt_w_d<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::to_int::<F64, I32, S>(s, cx, a, true)
}

/// From signed word.
pub fn fcvt_d_w<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::from_int::<F64, I32, S>(s, cx, a, true)
}

/// To unsigned word.
pub fn fcvt_wu_d<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::to_int::<F64, I32, S>(s, cx, a, false)
}

/// From unsigned word.
pub fn fcvt_d_wu<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::from_int::<F64, I32, S>(s, cx, a, false)
}

/// To signed doubleword.
pub fn fcvt_l_d<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::to_int::<F64, I64, S>(s, cx, a, true)
}

/// From signed doubleword.
pub fn fcvt_d_l<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::from_int::<F64, I64, S>(s, cx, a, true)
}

/// To unsigned doubleword.
pub fn fcvt_lu_d<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::to_int::<F64, I64, S>(s, cx, a, false)
}

/// From unsigned doubleword.
pub fn fcvt_d_lu<S: Sem>(s: &mut S, cx: &Cx, a: F2Rm) -> Flow<S> {
    float::from_int::<F64, I64, S>(s, cx, a, false)
}

//! Operations on lanes of floats.
//!
//! As for scalars, the host's sticky flags are the guest's, and what the host answers differently goes to software, all
//! lanes at once: NaN results, results that are the smallest normal number where the guest detects tininess before
//! rounding, conversions out of range, rounding modes other than the one that is set.

use super::compile::Emit;
use super::float::round_field;
use super::moves::{RAX, RCX};
use super::stubs::{Slow, Stub};
use super::vector::{X0, X1, X2, sse};
use crate::fp;
use crate::ir::{Inst, Op, Value};
use crate::sem::{FloatMode, Rm, splat_bits};
use crate::ty::Ty;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// Emits the form for doubles or for singles.
macro_rules! by_type {
    ($emit:expr, $double:expr, $d:ident | $s:ident $($operand:tt)*) => {
        if $double { sse!($emit, $d $($operand)*) } else { sse!($emit, $s $($operand)*) }
    };
}

impl Emit<'_> {
    /// An operation on lanes of floats.
    pub fn float_lanes(&mut self, v: Value, inst: &Inst) {
        let mode = FloatMode::from_bits(inst.imm);
        let rm = mode.rm();
        let current = rm == self.region.rm && rm != Rm::Rmm;
        let double = inst.ty == Ty::F64x2;
        let half = inst.ty.lane_bits() == 16 && inst.op != Op::FToHalves;
        if half || mode.flushes() || mode.is_tiny_before() && !self.features.sse4 {
            return self.soft_lanes(v, inst);
        }
        match inst.op {
            Op::FAdd | Op::FSub | Op::FMul | Op::FDiv if current => {
                let b = self.xmm(inst.args[1], X1);
                self.read_xmm(inst.args[0], X0);
                match inst.op {
                    Op::FAdd => by_type!(self, double, addpd | addps X0, b),
                    Op::FSub => by_type!(self, double, subpd | subps X0, b),
                    Op::FMul => by_type!(self, double, mulpd | mulps X0, b),
                    _ => by_type!(self, double, divpd | divps X0, b),
                }
                self.finish_lanes(v, inst, matches!(inst.op, Op::FMul | Op::FDiv));
            }
            Op::FSqrt if current => {
                let a = self.xmm(inst.args[0], X1);
                by_type!(self, double, sqrtpd | sqrtps X0, a);
                self.finish_lanes(v, inst, false);
            }
            Op::FMulAdd if current && self.features.fma => {
                let (a, b) = (self.xmm(inst.args[0], X1), self.xmm(inst.args[1], X2));
                self.read_xmm(inst.args[2], X0);
                // VFMADD231PD or PS xmm0, a, b; the assembler has no W bit for the former.
                let (w, b_low) = (if double { 0x80 } else { 0 }, if b < 8 { 0x20 } else { 0 });
                self.ops.extend([0xc4, 0xc2 | b_low, w | (!a & 15) << 3 | 1, 0xb8, 0xc0 | b & 7]);
                self.finish_lanes(v, inst, true);
            }
            Op::FToF if double || current => {
                let a = self.xmm(inst.args[0], X1);
                by_type!(self, double, cvtps2pd | cvtpd2ps X0, a);
                self.finish_lanes(v, inst, !double);
            }
            Op::FOfHalves if self.features.f16c => {
                let a = self.xmm(inst.args[0], X1);
                sse!(self, vcvtph2ps X0, a);
                self.finish_lanes(v, inst, false);
            }
            Op::FToHalves if current && self.features.f16c => self.halves_of_floats(v, inst),
            Op::FRound if self.features.sse4 && round_field(rm).is_some() => {
                let exact = inst.imm & 1 << 8 != 0;
                let field = round_field(rm).unwrap_or(0) | if exact { 0 } else { 8 };
                let a = self.xmm(inst.args[0], X1);
                by_type!(self, double, roundpd | roundps X0, a, field);
                self.finish_lanes(v, inst, false);
            }
            Op::FMin | Op::FMax => self.min_max_lanes(v, inst, double),
            Op::FEq | Op::FLt | Op::FLe | Op::FLtQ | Op::FLeQ => self.compare_lanes(v, inst, double),
            Op::FToS if current || rm == Rm::Rtz => self.float_to_integer_lanes(v, inst, rm == Rm::Rtz),
            Op::SToF if current => self.integer_to_float_lanes(v, inst),
            Op::UToF if current && !double && self.features.sse4 => self.unsigned_words_to_floats(v, inst),
            _ => self.soft_lanes(v, inst),
        }
    }

    /// Puts the result in xmm0 where it belongs, unless a lane is a NaN or perhaps tiny where hosts and guests may differ.
    fn finish_lanes(&mut self, v: Value, inst: &Inst, may_be_tiny: bool) {
        let stub = self.stub(v, Slow::Soft);
        let (slow, double) = (stub.entry, inst.ty == Ty::F64x2);
        // Of quiet NaNs no flag is raised.
        if may_be_tiny && FloatMode::from_bits(inst.imm).is_tiny_before() {
            self.find_smallest(inst.ty, double);
        } else {
            sse!(self, movaps X1, X0);
            by_type!(self, double, cmpunordpd | cmpunordps X1, X0);
        }
        self.jump_if_any(X1, slow);
        self.write_xmm(X0, v);
        self.ops.dynamic_label(stub.resume);
    }

    /// Ones in xmm1 for lanes of xmm0 that are the smallest normal number of either sign, or NaNs.
    fn find_smallest(&mut self, ty: Ty, double: bool) {
        let infinity = fp::infinity(ty.float_lane());
        let smallest = self.pooled(splat_bits(ty, infinity & infinity.wrapping_neg()));
        let magnitude = splat_bits(ty, ty.mask() >> 1);
        if self.features.avx2 {
            let magnitude = self.pooled(magnitude);
            let ops = &mut self.ops;
            dynasm!(ops ; .arch x64 ; vandps xmm1, xmm0, [=>magnitude]);
            if double {
                dynasm!(ops ; .arch x64 ; vcmpeq_uqpd xmm1, xmm1, [=>smallest]);
            } else {
                dynasm!(ops ; .arch x64 ; vcmpeq_uqps xmm1, xmm1, [=>smallest]);
            }
            return;
        }
        sse!(self, movaps X1, X0);
        by_type!(self, double, cmpunordpd | cmpunordps X1, X0);
        sse!(self, movaps X2, X0);
        self.with_constant(X2, magnitude, |s, to, k| sse!(s, pand to, =k));
        by_type!(self, double, pcmpeqq | pcmpeqd X2, =smallest);
        sse!(self, por X1, X2);
    }

    fn halves_of_floats(&mut self, v: Value, inst: &Inst) {
        /// The rounding that is set.
        const CURRENT: i8 = 4;
        let stub = self.stub(v, Slow::Soft);
        let a = self.xmm(inst.args[0], X2);
        self.check_ordered(a, a, false, stub.entry);
        sse!(self, vcvtps2ph X0, a, CURRENT);
        if FloatMode::from_bits(inst.imm).is_tiny_before() {
            // Results that are the smallest normal number may have been tiny.
            sse!(self, movaps X1, X0);
            self.with_constant(X1, splat_bits(Ty::I16x8, 0x7fff), |s, to, k| sse!(s, pand to, =k));
            self.with_constant(X1, splat_bits(Ty::I16x8, 0x0400), |s, to, k| sse!(s, pcmpeqw to, =k));
            sse!(self, punpcklwd X1, X1);
            self.jump_if_any(X1, stub.entry);
        }
        self.write_xmm(X0, v);
        self.ops.dynamic_label(stub.resume);
    }

    /// Goes to `slow` if a lane of `a` or `b` is a NaN. Uses xmm0 and rax.
    fn check_ordered(&mut self, a: u8, b: u8, double: bool, slow: DynamicLabel) {
        sse!(self, movaps X0, a);
        by_type!(self, double, cmpunordpd | cmpunordps X0, b);
        self.jump_if_any(X0, slow);
    }

    fn min_max_lanes(&mut self, v: Value, inst: &Inst, double: bool) {
        let stub = self.stub(v, Slow::Soft);
        let (a, b) = (self.xmm(inst.args[0], X1), self.xmm(inst.args[1], X2));
        self.check_ordered(a, b, double, stub.entry);
        sse!(self, movaps X0, a);
        if b != X2 {
            sse!(self, movaps X2, b);
        }
        // Of two zeros the host gives the second: taken both ways, their signs meet.
        if inst.op == Op::FMin {
            by_type!(self, double, minpd | minps X0, b);
            by_type!(self, double, minpd | minps X2, a);
            sse!(self, por X0, X2);
        } else {
            by_type!(self, double, maxpd | maxps X0, b);
            by_type!(self, double, maxpd | maxps X2, a);
            sse!(self, pand X0, X2);
        }
        self.write_xmm(X0, v);
        self.ops.dynamic_label(stub.resume);
    }

    fn compare_lanes(&mut self, v: Value, inst: &Inst, double: bool) {
        let (a, b) = (self.xmm(inst.args[0], X1), self.xmm(inst.args[1], X2));
        let quiet = matches!(inst.op, Op::FLtQ | Op::FLeQ);
        let stub: Option<Stub> = quiet.then(|| self.stub(v, Slow::Soft));
        if let Some(stub) = stub {
            // The host's orderings signal.
            self.check_ordered(a, b, double, stub.entry);
        }
        sse!(self, movaps X0, a);
        match inst.op {
            Op::FEq => by_type!(self, double, cmpeqpd | cmpeqps X0, b),
            Op::FLt | Op::FLtQ => by_type!(self, double, cmpltpd | cmpltps X0, b),
            _ => by_type!(self, double, cmplepd | cmpleps X0, b),
        }
        self.write_xmm(X0, v);
        if let Some(stub) = stub {
            self.ops.dynamic_label(stub.resume);
        }
    }

    fn float_to_integer_lanes(&mut self, v: Value, inst: &Inst, truncate: bool) {
        let stub = self.stub(v, Slow::Soft);
        let a = self.xmm(inst.args[0], X2);
        if inst.ty == Ty::I32x4 {
            if truncate {
                sse!(self, cvttps2dq X0, a);
            } else {
                sse!(self, cvtps2dq X0, a);
            }
            // What is out of range, and the least number.
            self.constant_to_xmm(splat_bits(Ty::I32x4, 1 << 31), X1);
            sse!(self, pcmpeqd X1, X0);
            self.jump_if_any(X1, stub.entry);
        } else {
            sse!(self, pshufd X1, a, super::vector::UPPER);
            let (slow, ops) = (stub.entry, &mut self.ops);
            if truncate {
                dynasm!(ops ; .arch x64 ; cvttsd2si rax, Rx(a) ; cvttsd2si rcx, xmm1);
            } else {
                dynasm!(ops ; .arch x64 ; cvtsd2si rax, Rx(a) ; cvtsd2si rcx, xmm1);
            }
            dynasm!(ops ; .arch x64 ; cmp rax, 1 ; jo =>slow ; cmp rcx, 1 ; jo =>slow);
            self.join_gprs();
        }
        self.write_xmm(X0, v);
        self.ops.dynamic_label(stub.resume);
    }

    fn integer_to_float_lanes(&mut self, v: Value, inst: &Inst) {
        let a = self.xmm(inst.args[0], X2);
        if inst.ty == Ty::F32x4 {
            sse!(self, cvtdq2ps X0, a);
            return self.write_xmm(X0, v);
        }
        self.upper_to_gpr(a, RCX);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; movq Rq(RAX), Rx(a) ; pxor xmm0, xmm0 ; pxor xmm1, xmm1);
        dynasm!(ops ; .arch x64 ; cvtsi2sd xmm0, rax ; cvtsi2sd xmm1, rcx ; punpcklqdq xmm0, xmm1);
        self.write_xmm(X0, v);
    }

    /// Words as doublewords, which have a sign to spare.
    fn unsigned_words_to_floats(&mut self, v: Value, inst: &Inst) {
        let a = self.xmm(inst.args[0], X2);
        for n in 0..4i8 {
            let ops = &mut self.ops;
            dynasm!(ops
                ; .arch x64
                ; pextrd Rd(RAX), Rx(a), n
                ; pxor xmm1, xmm1
                ; cvtsi2ss xmm1, rax
                ; insertps xmm0, xmm1, n << 4
            );
        }
        self.write_xmm(X0, v);
    }
}

//! Floating point on SSE registers.
//!
//! The host's sticky flags are the guest's, so an emitter must not use an instruction that raises a flag the operation
//! does not raise; where the host's answer differs (a NaN, a conversion out of range, a rounding mode other than the one
//! that is set) the operation goes to software.

use super::compile::Emit;
use super::integer::Cond;
use super::moves::{RAX, RCX};
use super::stubs::Slow;
use crate::eval;
use crate::ir::{Inst, Op, Region, Value};
use crate::regalloc::wants_operands;
use crate::sem::{Cc, FloatMode, Rm, packed};
use crate::ty::Ty;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// Emits the form for doubles or for singles.
macro_rules! by_width {
    ($ops:expr, $double:expr, $d:ident | $s:ident $($operand:tt)*) => {
        if $double {
            dynasm!($ops ; .arch x64 ; $d $($operand)*)
        } else {
            dynasm!($ops ; .arch x64 ; $s $($operand)*)
        }
    };
}

/// The rounding field of ROUNDSD; `None` for the mode the host lacks.
pub fn round_field(rm: Rm) -> Option<i8> {
    Some(match rm {
        Rm::Rne => 0,
        Rm::Rdn => 1,
        Rm::Rup => 2,
        Rm::Rtz => 3,
        Rm::Rmm => return None,
    })
}

/// The host's condition after UCOMISD for a condition on the flags of a float comparison, and whether the operands change
/// sides for it: "below" also holds for unordered operands, "above" does not. None for equality.
fn one_condition(cc: Cc) -> Option<(Cond, bool)> {
    Some(match cc {
        Cc::Eq | Cc::Ne => return None,
        Cc::Minus | Cc::CarryClear => (Cond::A, true),
        Cc::Plus | Cc::CarrySet => (Cond::Be, true),
        Cc::Overflow => (Cond::P, false),
        Cc::NoOverflow => (Cond::Np, false),
        Cc::Above => (Cond::B, true),
        Cc::NotAbove => (Cond::Ae, true),
        Cc::Ge => (Cond::Ae, false),
        Cc::Lt => (Cond::B, false),
        Cc::Gt => (Cond::A, false),
        Cc::Le => (Cond::Be, false),
    })
}

/// Whether [`Op::CondFloat`] can be left to the branch or selection that uses it.
pub fn is_one_condition(inst: &Inst, region: &Region) -> bool {
    let half = region.inst(inst.args[0]).result() == Ty::F16;
    !half
        && !FloatMode::from_bits(inst.imm).flushes()
        && one_condition(Cc::from_bits(inst.imm >> 8)).is_some()
}

impl Emit<'_> {
    /// An operation on floats.
    pub fn float(&mut self, v: Value, inst: &Inst) {
        let rm = eval::rounding(inst.imm);
        let half = inst.ty == Ty::F16 || self.ty(inst.args[0]) == Ty::F16;
        if half || FloatMode::from_bits(inst.imm).flushes() {
            return self.soft(v, inst);
        }
        let current = rm == self.region.rm && rm != Rm::Rmm;
        let exact_widening = inst.op == Op::FToF && inst.ty == Ty::F64;
        match inst.op {
            Op::FAdd | Op::FSub | Op::FMul | Op::FDiv if current => self.arithmetic(v, inst),
            Op::FSqrt if current => {
                let a = self.xmm(inst.args[0], 1);
                let double = inst.ty == Ty::F64;
                let ops = &mut self.ops;
                by_width!(ops, double, sqrtsd | sqrtss xmm0, Rx(a));
                self.finish(v, 0, inst, false);
            }
            Op::FMulAdd if current && self.features.fma => {
                let [a, b, c] = inst.args;
                self.read_xmm(c, 0);
                let b = self.xmm(b, 1);
                self.fused_multiply_add(v, inst, a, b);
            }
            Op::FToF if current || exact_widening => {
                let a = self.xmm(inst.args[0], 1);
                let ops = &mut self.ops;
                by_width!(ops, exact_widening, cvtss2sd | cvtsd2ss xmm0, Rx(a));
                self.finish(v, 0, inst, !exact_widening);
            }
            Op::FMin | Op::FMax => self.min_max(v, inst),
            Op::FEq | Op::FLt | Op::FLe | Op::FLtQ | Op::FLeQ => self.float_compare(v, inst),
            Op::FlagsFloat => self.pack_float_flags(v, inst),
            Op::CondFloat => self.float_condition(v, inst),
            Op::FToS | Op::FToU if self.can_convert(rm) => self.float_to_integer(v, inst, rm),
            Op::SToF | Op::UToF if current => self.integer_to_float(v, inst),
            Op::FRound if self.features.sse4 && round_field(rm).is_some() => self.round(v, inst, rm),
            _ => self.soft(v, inst),
        }
    }

    /// Puts the result in float register `from` where it belongs, unless it is a NaN, or perhaps tiny where hosts and guests
    /// may differ.
    fn finish(&mut self, v: Value, from: u8, inst: &Inst, may_be_tiny: bool) {
        let mode = FloatMode::from_bits(inst.imm);
        let tiny = may_be_tiny && mode.is_tiny_before();
        let slow = if wants_operands(inst) { Slow::Soft } else { Slow::Nan };
        let stub = self.stub(v, slow);
        let (slow, double) = (stub.entry, inst.ty == Ty::F64);
        // Of quiet NaNs no flag is raised.
        if tiny {
            self.compare_with_smallest(from, inst.ty);
            let ops = &mut self.ops;
            dynasm!(ops ; .arch x64 ; je =>slow);
        } else {
            let ops = &mut self.ops;
            by_width!(ops, double, ucomisd | ucomiss Rx(from), Rx(from));
            dynasm!(ops ; .arch x64 ; jp =>slow);
        }
        self.write_xmm(from, v);
        self.ops.dynamic_label(stub.resume);
    }

    /// Sets the host's flags to equal if `from` holds the smallest normal number of either sign, which the host may have
    /// rounded up to before it looked for tininess, or a NaN. Uses xmm1.
    fn compare_with_smallest(&mut self, from: u8, ty: Ty) {
        let infinity = crate::fp::infinity(ty);
        let magnitude = self.pooled((ty.mask() >> 1).into());
        let smallest = self.pooled((infinity & infinity.wrapping_neg()).into());
        let (ops, double) = (&mut self.ops, ty == Ty::F64);
        if self.features.avx2 {
            dynasm!(ops ; .arch x64 ; vandps xmm1, Rx(from), [=>magnitude]);
        } else {
            dynasm!(ops ; .arch x64 ; movaps xmm1, Rx(from) ; andps xmm1, [=>magnitude]);
        }
        by_width!(ops, double, ucomisd | ucomiss xmm1, [=>smallest]);
    }

    /// A single with ones above.
    pub fn nan_box(&mut self, v: Value, inst: &Inst) {
        let (a, to) = (self.xmm(inst.args[0], 0), self.target_xmm(v, 0));
        let above = self.pooled(!u128::from(u32::MAX));
        let ops = &mut self.ops;
        if self.features.avx2 {
            dynasm!(ops ; .arch x64 ; vorps Rx(to), Rx(a), [=>above]);
        } else {
            if a != to {
                dynasm!(ops ; .arch x64 ; movaps Rx(to), Rx(a));
            }
            dynasm!(ops ; .arch x64 ; orps Rx(to), [=>above]);
        }
        self.write_xmm(to, v);
    }

    /// The single below ones.
    pub fn nan_unbox(&mut self, v: Value, inst: &Inst) {
        let stub = self.stub(v, Slow::Nan);
        let a = self.xmm(inst.args[0], 0);
        let (nan, ops) = (stub.entry, &mut self.ops);
        if self.features.sse4 {
            dynasm!(ops ; .arch x64 ; pextrd eax, Rx(a), 1);
        } else {
            dynasm!(ops ; .arch x64 ; pshufd xmm1, Rx(a), 1 ; movd eax, xmm1);
        }
        dynasm!(ops ; .arch x64 ; inc eax ; jnz =>nan);
        self.write_xmm(a, v);
        self.ops.dynamic_label(stub.resume);
    }

    /// Into the register where the result belongs, unless software may still want an operand that is there.
    fn arithmetic(&mut self, v: Value, inst: &Inst) {
        let double = inst.ty == Ty::F64;
        let may_be_tiny = matches!(inst.op, Op::FMul | Op::FDiv);
        if !self.features.avx2 {
            self.read_xmm(inst.args[0], 0);
            let b = self.xmm(inst.args[1], 1);
            let ops = &mut self.ops;
            match inst.op {
                Op::FAdd => by_width!(ops, double, addsd | addss xmm0, Rx(b)),
                Op::FSub => by_width!(ops, double, subsd | subss xmm0, Rx(b)),
                Op::FMul => by_width!(ops, double, mulsd | mulss xmm0, Rx(b)),
                _ => by_width!(ops, double, divsd | divss xmm0, Rx(b)),
            }
            return self.finish(v, 0, inst, may_be_tiny);
        }
        let (a, b) = (self.xmm(inst.args[0], 0), self.xmm(inst.args[1], 1));
        let to = self.target_xmm(v, 0);
        let to = if wants_operands(inst) && (to == a || to == b) { 0 } else { to };
        let ops = &mut self.ops;
        match inst.op {
            Op::FAdd => by_width!(ops, double, vaddsd | vaddss Rx(to), Rx(a), Rx(b)),
            Op::FSub => by_width!(ops, double, vsubsd | vsubss Rx(to), Rx(a), Rx(b)),
            Op::FMul => by_width!(ops, double, vmulsd | vmulss Rx(to), Rx(a), Rx(b)),
            _ => by_width!(ops, double, vdivsd | vdivss Rx(to), Rx(a), Rx(b)),
        }
        self.finish(v, to, inst, may_be_tiny);
    }

    /// xmm0 holds the addend.
    fn fused_multiply_add(&mut self, v: Value, inst: &Inst, a: Value, b: u8) {
        let double = inst.ty == Ty::F64;
        let in_register = matches!(self.loc(a), crate::regalloc::Loc::Xmm(_));
        if !in_register {
            if b == 1 {
                // Both factors are elsewhere, and there is one scratch register left.
                return self.soft(v, inst);
            }
            self.read_xmm(a, 1);
        }
        let a = if in_register { self.xmm(a, 1) } else { 1 };
        let ops = &mut self.ops;
        by_width!(ops, double, vfmadd231sd | vfmadd231ss xmm0, Rx(a), Rx(b));
        self.finish(v, 0, inst, true);
    }

    fn min_max(&mut self, v: Value, inst: &Inst) {
        let double = inst.ty == Ty::F64;
        let stub = self.stub(v, Slow::Soft);
        self.read_xmm(inst.args[0], 0);
        let b = self.xmm(inst.args[1], 1);
        let (nan, ops) = (stub.entry, &mut self.ops);
        by_width!(ops, double, ucomisd | ucomiss xmm0, Rx(b));
        dynasm!(ops ; .arch x64 ; jp =>nan ; jne >differ);
        // Equal: the same bits, or zeros of both signs.
        if inst.op == Op::FMin {
            dynasm!(ops ; .arch x64 ; orps xmm0, Rx(b) ; jmp >done ; differ:);
            by_width!(ops, double, minsd | minss xmm0, Rx(b));
        } else {
            dynasm!(ops ; .arch x64 ; andps xmm0, Rx(b) ; jmp >done ; differ:);
            by_width!(ops, double, maxsd | maxss xmm0, Rx(b));
        }
        dynasm!(ops ; .arch x64 ; done:);
        self.write_xmm(0, v);
        self.ops.dynamic_label(stub.resume);
    }

    fn float_compare(&mut self, v: Value, inst: &Inst) {
        let double = inst.ty == Ty::F64;
        let (a, b) = (self.xmm(inst.args[0], 0), self.xmm(inst.args[1], 1));
        let ops = &mut self.ops;
        // "Above" is false for unordered operands, "below" is not: so the sides change.
        match inst.op {
            Op::FEq => {
                by_width!(ops, double, ucomisd | ucomiss Rx(a), Rx(b));
                dynasm!(ops ; .arch x64 ; sete al ; setnp cl ; and al, cl);
            }
            Op::FLt => {
                by_width!(ops, double, comisd | comiss Rx(b), Rx(a));
                dynasm!(ops ; .arch x64 ; seta al);
            }
            Op::FLe => {
                by_width!(ops, double, comisd | comiss Rx(b), Rx(a));
                dynasm!(ops ; .arch x64 ; setae al);
            }
            Op::FLtQ => {
                by_width!(ops, double, ucomisd | ucomiss Rx(b), Rx(a));
                dynasm!(ops ; .arch x64 ; seta al);
            }
            _ => {
                by_width!(ops, double, ucomisd | ucomiss Rx(b), Rx(a));
                dynasm!(ops ; .arch x64 ; setae al);
            }
        }
        let to = self.target(v, RAX);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; movzx Rd(to), al);
        self.write_gpr(to, v);
    }

    /// The packed flags of a comparison.
    fn pack_float_flags(&mut self, v: Value, inst: &Inst) {
        let double = inst.ty == Ty::F64;
        let (a, b) = (self.xmm(inst.args[0], 0), self.xmm(inst.args[1], 1));
        let ops = &mut self.ops;
        if inst.imm >> 8 & 1 != 0 {
            by_width!(ops, double, comisd | comiss Rx(a), Rx(b));
        } else {
            by_width!(ops, double, ucomisd | ucomiss Rx(a), Rx(b));
        }
        if self.loc(v) == crate::regalloc::Loc::None {
            return;
        }
        let ops = &mut self.ops;
        // Greater, unless it is less, equal or unordered.
        dynasm!(ops
            ; .arch x64
            ; mov eax, packed::C as i32
            ; mov ecx, packed::N as i32 ; cmovb eax, ecx
            ; mov ecx, (packed::Z | packed::C) as i32 ; cmove eax, ecx
            ; mov ecx, (packed::C | packed::V) as i32 ; cmovp eax, ecx
        );
        self.write_gpr(RAX, v);
    }

    /// Sets the host's flags for [`Op::CondFloat`], of those for which there is one condition.
    pub fn compare_floats(&mut self, inst: &Inst) -> Cond {
        let double = inst.ty == Ty::F64;
        let (cond, swapped) = one_condition(Cc::from_bits(inst.imm >> 8)).unwrap_or((Cond::E, false));
        let [first, second, _] = inst.args;
        let (first, second) = if swapped { (second, first) } else { (first, second) };
        let (a, b) = (self.xmm(first, 0), self.xmm(second, 1));
        let ops = &mut self.ops;
        by_width!(ops, double, ucomisd | ucomiss Rx(a), Rx(b));
        cond
    }

    /// Whether a condition holds in the flags of a comparison.
    fn float_condition(&mut self, v: Value, inst: &Inst) {
        let cond = self.compare_floats(inst);
        let cc = Cc::from_bits(inst.imm >> 8);
        let ops = &mut self.ops;
        match cc {
            Cc::Eq => dynasm!(ops ; .arch x64 ; sete al ; setnp cl ; and al, cl),
            Cc::Ne => dynasm!(ops ; .arch x64 ; setne al ; setp cl ; or al, cl),
            _ => return self.set_bool(cond, v),
        }
        let to = self.target(v, RAX);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; movzx Rd(to), al);
        self.write_gpr(to, v);
    }

    fn can_convert(&self, rm: Rm) -> bool {
        rm == Rm::Rtz || rm != Rm::Rmm && (rm == self.region.rm || self.features.sse4)
    }

    fn float_to_integer(&mut self, v: Value, inst: &Inst, rm: Rm) {
        let double = self.ty(inst.args[0]) == Ty::F64;
        let wide = inst.ty == Ty::I64;
        let signed = inst.op == Op::FToS;
        let stub = self.stub(v, Slow::Soft);
        let mut a = self.xmm(inst.args[0], 0);
        if !signed {
            self.check_unsigned_range(a, double, wide, stub.entry);
        }
        let truncate = rm != self.region.rm || rm == Rm::Rtz;
        if truncate && rm != Rm::Rtz {
            // Out of range first: rounding would raise inexact where only invalid belongs.
            let field = round_field(rm).unwrap_or(3);
            if signed {
                self.check_signed_range(a, double, wide, stub.entry);
            }
            let ops = &mut self.ops;
            by_width!(ops, double, roundsd | roundss xmm0, Rx(a), field);
            a = 0;
        }
        // Unsigned words are converted as signed double words.
        let wide_form = wide || !signed;
        let ops = &mut self.ops;
        match (truncate, double, wide_form) {
            (true, true, true) => dynasm!(ops ; .arch x64 ; cvttsd2si rax, Rx(a)),
            (true, true, false) => dynasm!(ops ; .arch x64 ; cvttsd2si eax, Rx(a)),
            (true, false, true) => dynasm!(ops ; .arch x64 ; cvttss2si rax, Rx(a)),
            (true, false, false) => dynasm!(ops ; .arch x64 ; cvttss2si eax, Rx(a)),
            (false, true, true) => dynasm!(ops ; .arch x64 ; cvtsd2si rax, Rx(a)),
            (false, true, false) => dynasm!(ops ; .arch x64 ; cvtsd2si eax, Rx(a)),
            (false, false, true) => dynasm!(ops ; .arch x64 ; cvtss2si rax, Rx(a)),
            (false, false, false) => dynasm!(ops ; .arch x64 ; cvtss2si eax, Rx(a)),
        }
        if signed {
            // The indefinite value is the only one from which 1 cannot be taken.
            let (slow, ops) = (stub.entry, &mut self.ops);
            if wide {
                dynasm!(ops ; .arch x64 ; cmp rax, 1 ; jo =>slow);
            } else {
                dynasm!(ops ; .arch x64 ; cmp eax, 1 ; jo =>slow);
            }
        }
        self.write_gpr(RAX, v);
        self.ops.dynamic_label(stub.resume);
    }

    /// Goes to `slow` unless 0 <= a <= the largest value that any rounding keeps in range.
    fn check_unsigned_range(&mut self, a: u8, double: bool, wide: bool, slow: DynamicLabel) {
        let limit: f64 = if wide { 9.2e18 } else { 4_294_967_295.0 };
        // Singles near the word limit have no fraction; the next one below it is in range.
        let limit_bits = if double {
            limit.to_bits()
        } else {
            u64::from(if wide { (9.2e18f32).to_bits() } else { 4_294_967_040f32.to_bits() })
        };
        self.constant_to_gpr(limit_bits, RCX);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; movq xmm1, rcx);
        by_width!(ops, double, ucomisd | ucomiss xmm1, Rx(a));
        dynasm!(ops ; .arch x64 ; jb =>slow ; xorps xmm1, xmm1);
        by_width!(ops, double, ucomisd | ucomiss Rx(a), xmm1);
        dynasm!(ops ; .arch x64 ; jb =>slow);
    }

    /// Goes to `slow` unless the magnitude is safely in the range of the integer type.
    fn check_signed_range(&mut self, a: u8, double: bool, wide: bool, slow: DynamicLabel) {
        let limit: f32 = if wide { 9.2e18 } else { 2_147_483_520.0 };
        let bits = if double { f64::from(limit).to_bits() } else { u64::from(limit.to_bits()) };
        for (bits, upper) in [(bits, true), (bits | 1 << if double { 63 } else { 31 }, false)] {
            self.constant_to_gpr(bits, RCX);
            let ops = &mut self.ops;
            dynasm!(ops ; .arch x64 ; movq xmm1, rcx);
            if upper {
                by_width!(ops, double, ucomisd | ucomiss xmm1, Rx(a));
            } else {
                by_width!(ops, double, ucomisd | ucomiss Rx(a), xmm1);
            }
            dynasm!(ops ; .arch x64 ; jb =>slow);
        }
    }

    fn integer_to_float(&mut self, v: Value, inst: &Inst) {
        let double = inst.ty == Ty::F64;
        let wide = self.ty(inst.args[0]) == Ty::I64;
        let signed = inst.op == Op::SToF;
        let stub = self.stub(v, Slow::Soft);
        let a = self.gpr(inst.args[0], RAX);
        let (slow, ops) = (stub.entry, &mut self.ops);
        dynasm!(ops ; .arch x64 ; xorps xmm0, xmm0);
        match (signed, wide) {
            (true, false) => by_width!(ops, double, cvtsi2sd | cvtsi2ss xmm0, Rd(a)),
            (false, true) => {
                dynasm!(ops ; .arch x64 ; test Rq(a), Rq(a) ; js =>slow);
                by_width!(ops, double, cvtsi2sd | cvtsi2ss xmm0, Rq(a));
            }
            _ => by_width!(ops, double, cvtsi2sd | cvtsi2ss xmm0, Rq(a)),
        }
        self.write_xmm(0, v);
        self.ops.dynamic_label(stub.resume);
    }

    fn round(&mut self, v: Value, inst: &Inst, rm: Rm) {
        let double = inst.ty == Ty::F64;
        let exact = inst.imm & 1 << 8 != 0;
        let field = round_field(rm).unwrap_or(0) | if exact { 0 } else { 8 };
        let a = self.xmm(inst.args[0], 1);
        let ops = &mut self.ops;
        by_width!(ops, double, roundsd | roundss xmm0, Rx(a), field);
        self.finish(v, 0, inst, false);
    }
}

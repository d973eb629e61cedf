//! Arithmetic, comparisons and shifts on lanes of integers.

use super::compile::Emit;
use super::moves::{RAX, RCX};
use super::vector::{X0, X1, X2, sse};
use crate::ir::{Inst, Op, Value};
use crate::sem::splat_bits;
use crate::ty::Ty;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// Emits the form of an instruction for lanes of 8, 16, 32 or 64 bits.
macro_rules! by_lane {
    ($emit:expr, $ty:expr, $b:ident $w:ident $d:ident $q:ident $($operand:tt)*) => {
        match $ty.lane_bits() {
            8 => sse!($emit, $b $($operand)*),
            16 => sse!($emit, $w $($operand)*),
            32 => sse!($emit, $d $($operand)*),
            _ => sse!($emit, $q $($operand)*),
        }
    };
}

/// The highest bit of every lane.
fn sign_bits(ty: Ty) -> u128 {
    splat_bits(ty, 1 << (ty.lane_bits() - 1))
}

/// Whether SSE2 has all that the emitter of `inst` uses.
fn is_baseline(inst: &Inst) -> bool {
    let (bits, op) = (inst.ty.lane_bits(), inst.op);
    match op {
        Op::Add | Op::Sub | Op::AvgU => true,
        Op::AddSatS | Op::AddSatU | Op::SubSatS | Op::SubSatU => bits <= 16,
        Op::Mul => bits != 32,
        Op::MulHU | Op::MulHS => bits <= 16,
        Op::Eq | Op::LtS | Op::LtU => bits <= 32,
        Op::MinS | Op::MaxS => bits == 16,
        Op::MinU | Op::MaxU => bits == 8,
        _ => false,
    }
}

fn pand(s: &mut Emit<'_>, to: u8, k: DynamicLabel) {
    sse!(s, pand to, =k);
}

fn pxor(s: &mut Emit<'_>, to: u8, k: DynamicLabel) {
    sse!(s, pxor to, =k);
}

impl Emit<'_> {
    /// An operation on lanes of integers.
    pub fn integer_lanes(&mut self, v: Value, inst: &Inst) {
        let (op, ty) = (inst.op, inst.ty);
        let (wide, bits) = (ty == Ty::I64x2, ty.lane_bits());
        if matches!(op, Op::Shl | Op::ShrU | Op::ShrS) {
            return self.shift_lanes(v, inst);
        }
        if !self.features.sse4 && !is_baseline(inst) {
            return self.soft_lanes(v, inst);
        }
        match op {
            Op::Mul if bits == 8 => self.multiply_bytes(v, inst),
            Op::Mul if wide => self.multiply_doublewords(v, inst),
            Op::MulHU | Op::MulHS if bits == 8 => self.multiply_high_bytes(v, inst),
            Op::MulHU | Op::MulHS if bits == 32 => self.multiply_high_words(v, inst),
            Op::MulHU | Op::MulHS if wide => self.soft_lanes(v, inst),
            Op::LtS => {
                let [a, b, _] = inst.args;
                let (to, from) = self.two(v, &Inst { args: [b, a, a], ..*inst }, false);
                by_lane!(self, ty, pcmpgtb pcmpgtw pcmpgtd pcmpgtq to, from);
                self.write_xmm(to, v);
            }
            Op::LtU => {
                self.above(ty, inst.args[1], inst.args[0]);
                self.write_xmm(X0, v);
            }
            Op::MinS | Op::MaxS | Op::MinU | Op::MaxU if wide => self.min_max_doublewords(v, inst),
            Op::AddSatS | Op::SubSatS if bits >= 32 => self.saturate_signed(v, inst),
            Op::AddSatU | Op::SubSatU if bits >= 32 => self.saturate_unsigned(v, inst),
            Op::AvgU if bits >= 32 => self.average(v, inst),
            Op::Abs => self.absolute(v, inst),
            Op::Popcnt => self.count_bits(v, inst),
            Op::Clz if bits >= 32 && self.features.lzcnt => self.leading_zeros(v, inst),
            Op::Clz => self.soft_lanes(v, inst),
            _ => self.one_instruction(v, inst),
        }
    }

    /// The operations that are one instruction.
    fn one_instruction(&mut self, v: Value, inst: &Inst) {
        let (op, ty) = (inst.op, inst.ty);
        let bits = ty.lane_bits();
        let ordered = matches!(op, Op::Sub | Op::SubSatS | Op::SubSatU);
        let (to, b) = self.two(v, inst, !ordered);
        match op {
            Op::Add => by_lane!(self, ty, paddb paddw paddd paddq to, b),
            Op::Sub => by_lane!(self, ty, psubb psubw psubd psubq to, b),
            Op::Eq => by_lane!(self, ty, pcmpeqb pcmpeqw pcmpeqd pcmpeqq to, b),
            Op::Mul if bits == 16 => sse!(self, pmullw to, b),
            Op::Mul => sse!(self, pmulld to, b),
            Op::MulHU => sse!(self, pmulhuw to, b),
            Op::MulHS => sse!(self, pmulhw to, b),
            Op::AddSatS if bits == 8 => sse!(self, paddsb to, b),
            Op::AddSatS => sse!(self, paddsw to, b),
            Op::AddSatU if bits == 8 => sse!(self, paddusb to, b),
            Op::AddSatU => sse!(self, paddusw to, b),
            Op::SubSatS if bits == 8 => sse!(self, psubsb to, b),
            Op::SubSatS => sse!(self, psubsw to, b),
            Op::SubSatU if bits == 8 => sse!(self, psubusb to, b),
            Op::SubSatU => sse!(self, psubusw to, b),
            Op::MinS => by_lane!(self, ty, pminsb pminsw pminsd pminsd to, b),
            Op::MaxS => by_lane!(self, ty, pmaxsb pmaxsw pmaxsd pmaxsd to, b),
            Op::MinU => by_lane!(self, ty, pminub pminuw pminud pminud to, b),
            Op::MaxU => by_lane!(self, ty, pmaxub pmaxuw pmaxud pmaxud to, b),
            Op::AvgU if bits == 8 => sse!(self, pavgb to, b),
            Op::AvgU => sse!(self, pavgw to, b),
            _ => unreachable!("{} is no operation on lanes of integers", op.name()),
        }
        self.write_xmm(to, v);
    }

    fn multiply_bytes(&mut self, v: Value, inst: &Inst) {
        let [a, b, _] = inst.args;
        // Even bytes.
        let right = self.xmm(b, X1);
        self.read_xmm(a, X0);
        sse!(self, pmullw X0, right);
        self.with_constant(X0, splat_bits(Ty::I16x8, 0x00ff), pand);
        // Odd ones.
        self.read_xmm(b, X2);
        sse!(self, psrlw X2, #8);
        self.read_xmm(a, X1);
        self.with_constant(X1, splat_bits(Ty::I16x8, 0xff00), pand);
        sse!(self, pmullw X2, X1);
        sse!(self, por X0, X2);
        self.write_xmm(X0, v);
    }

    fn multiply_doublewords(&mut self, v: Value, inst: &Inst) {
        let [a, b, _] = inst.args;
        // Upper times lower, both ways.
        let right = self.xmm(b, X1);
        self.read_xmm(a, X0);
        sse!(self, psrlq X0, #32);
        sse!(self, pmuludq X0, right);
        self.read_xmm(b, X2);
        sse!(self, psrlq X2, #32);
        let left = self.xmm(a, X1);
        sse!(self, pmuludq X2, left);
        sse!(self, paddq X0, X2);
        sse!(self, psllq X0, #32);
        let right = self.xmm(b, X1);
        self.read_xmm(a, X2);
        sse!(self, pmuludq X2, right);
        sse!(self, paddq X0, X2);
        self.write_xmm(X0, v);
    }

    fn multiply_high_bytes(&mut self, v: Value, inst: &Inst) {
        let [a, b, _] = inst.args;
        let signed = inst.op == Op::MulHS;
        for (to, arg) in [(X0, a), (X1, b)] {
            self.read_xmm(arg, to);
            if signed {
                sse!(self, psllw to, #8);
                sse!(self, psraw to, #8);
            } else {
                self.with_constant(to, splat_bits(Ty::I16x8, 0x00ff), pand);
            }
        }
        sse!(self, pmullw X0, X1);
        sse!(self, psrlw X0, #8);
        for (to, arg) in [(X2, a), (X1, b)] {
            self.read_xmm(arg, to);
            if signed {
                sse!(self, psraw to, #8);
            } else {
                sse!(self, psrlw to, #8);
            }
        }
        sse!(self, pmullw X2, X1);
        self.with_constant(X2, splat_bits(Ty::I16x8, 0xff00), pand);
        sse!(self, por X0, X2);
        self.write_xmm(X0, v);
    }

    fn multiply_high_words(&mut self, v: Value, inst: &Inst) {
        let [a, b, _] = inst.args;
        let signed = inst.op == Op::MulHS;
        let multiply = |s: &mut Self, to: u8, by: u8| {
            if signed { sse!(s, pmuldq to, by) } else { sse!(s, pmuludq to, by) }
        };
        let right = self.xmm(b, X1);
        self.read_xmm(a, X0);
        multiply(self, X0, right);
        sse!(self, psrlq X0, #32);
        self.read_xmm(a, X2);
        sse!(self, psrlq X2, #32);
        self.read_xmm(b, X1);
        sse!(self, psrlq X1, #32);
        multiply(self, X2, X1);
        sse!(self, pblendw X0, X2, 0xccu8 as i8);
        self.write_xmm(X0, v);
    }

    /// xmm0 becomes lanes of ones where `a` is above `b`, unsigned. Uses xmm1.
    fn above(&mut self, ty: Ty, a: Value, b: Value) {
        for (to, arg) in [(X0, a), (X1, b)] {
            self.read_xmm(arg, to);
            self.with_constant(to, sign_bits(ty), pxor);
        }
        by_lane!(self, ty, pcmpgtb pcmpgtw pcmpgtd pcmpgtq X0, X1);
    }

    fn min_max_doublewords(&mut self, v: Value, inst: &Inst) {
        let [a, b, _] = inst.args;
        if matches!(inst.op, Op::MinU | Op::MaxU) {
            self.above(inst.ty, a, b);
        } else {
            let right = self.xmm(b, X1);
            self.read_xmm(a, X0);
            sse!(self, pcmpgtq X0, right);
        }
        // Where the first is greater, the other one or itself.
        let (plain, greater) = if matches!(inst.op, Op::MinS | Op::MinU) { (a, b) } else { (b, a) };
        self.read_xmm(plain, X2);
        let greater = self.xmm(greater, X1);
        sse!(self, pblendvb X2, greater);
        self.write_xmm(X2, v);
    }

    fn saturate_signed(&mut self, v: Value, inst: &Inst) {
        let [a, b, _] = inst.args;
        let (ty, wide, adds) = (inst.ty, inst.ty == Ty::I64x2, inst.op == Op::AddSatS);
        let right = self.xmm(b, X1);
        self.read_xmm(a, X2);
        match (adds, wide) {
            (true, true) => sse!(self, paddq X2, right),
            (true, false) => sse!(self, paddd X2, right),
            (false, true) => sse!(self, psubq X2, right),
            (false, false) => sse!(self, psubd X2, right),
        }
        // The sign of xmm0: the operands' signs are such that the result's is wrong.
        self.read_xmm(a, X0);
        self.read_xmm(b, X1);
        if adds {
            sse!(self, pxor X1, X2);
        } else {
            sse!(self, pxor X1, X0);
        }
        sse!(self, pxor X0, X2);
        sse!(self, pand X0, X1);
        // The largest where the result came out negative, else the least.
        if wide {
            sse!(self, pshufd X1, X2, 0xf5u8 as i8);
        } else {
            sse!(self, movaps X1, X2);
        }
        sse!(self, psrad X1, #31);
        self.with_constant(X1, sign_bits(ty), pxor);
        if wide {
            sse!(self, blendvpd X2, X1);
        } else {
            sse!(self, blendvps X2, X1);
        }
        self.write_xmm(X2, v);
    }

    fn saturate_unsigned(&mut self, v: Value, inst: &Inst) {
        let [a, b, _] = inst.args;
        let adds = inst.op == Op::AddSatU;
        if inst.ty == Ty::I32x4 {
            let right = self.xmm(b, X1);
            self.read_xmm(a, X0);
            if adds {
                // No more than there is room for.
                sse!(self, pcmpeqd X2, X2);
                sse!(self, pxor X2, X0);
                sse!(self, pminud X2, right);
                sse!(self, paddd X0, X2);
            } else {
                sse!(self, pmaxud X0, right);
                sse!(self, psubd X0, right);
            }
            return self.write_xmm(X0, v);
        }
        if adds {
            let right = self.xmm(b, X1);
            self.read_xmm(a, X2);
            sse!(self, paddq X2, right);
            self.read_xmm(a, X0);
            self.with_constant(X0, sign_bits(Ty::I64x2), pxor);
            sse!(self, movaps X1, X2);
            self.with_constant(X1, sign_bits(Ty::I64x2), pxor);
            sse!(self, pcmpgtq X0, X1);
            sse!(self, por X0, X2);
        } else {
            self.above(Ty::I64x2, b, a);
            let right = self.xmm(b, X1);
            self.read_xmm(a, X2);
            sse!(self, psubq X2, right);
            sse!(self, pandn X0, X2);
        }
        self.write_xmm(X0, v);
    }

    fn average(&mut self, v: Value, inst: &Inst) {
        let [a, b, _] = inst.args;
        let right = self.xmm(b, X1);
        self.read_xmm(a, X0);
        self.read_xmm(a, X2);
        sse!(self, por X0, right);
        sse!(self, pxor X2, right);
        if inst.ty == Ty::I64x2 {
            sse!(self, psrlq X2, #1);
            sse!(self, psubq X0, X2);
        } else {
            sse!(self, psrld X2, #1);
            sse!(self, psubd X0, X2);
        }
        self.write_xmm(X0, v);
    }

    fn absolute(&mut self, v: Value, inst: &Inst) {
        if inst.ty == Ty::I64x2 {
            self.read_xmm(inst.args[0], X2);
            sse!(self, pxor X0, X0);
            sse!(self, pcmpgtq X0, X2);
            sse!(self, pxor X2, X0);
            sse!(self, psubq X2, X0);
            return self.write_xmm(X2, v);
        }
        let (a, to) = (self.xmm(inst.args[0], X1), self.target_xmm(v, X0));
        by_lane!(self, inst.ty, pabsb pabsw pabsd pabsd to, a);
        self.write_xmm(to, v);
    }

    fn count_bits(&mut self, v: Value, inst: &Inst) {
        // How many there are in numbers of four bits.
        const COUNTS: u128 = 0x0403_0302_0302_0201_0302_0201_0201_0100;
        let low = u128::from_le_bytes([0x0f; 16]);
        self.read_xmm(inst.args[0], X0);
        sse!(self, movaps X1, X0);
        self.with_constant(X0, low, pand);
        sse!(self, psrlw X1, #4);
        self.with_constant(X1, low, pand);
        self.constant_to_xmm(COUNTS, X2);
        sse!(self, pshufb X2, X0);
        self.constant_to_xmm(COUNTS, X0);
        sse!(self, pshufb X0, X1);
        sse!(self, paddb X0, X2);
        if inst.ty == Ty::I64x2 {
            sse!(self, pxor X1, X1);
            sse!(self, psadbw X0, X1);
            return self.write_xmm(X0, v);
        }
        if inst.ty != Ty::I8x16 {
            self.with_constant(X0, u128::from_le_bytes([1; 16]), |s, to, k| sse!(s, pmaddubsw to, =k));
        }
        if inst.ty == Ty::I32x4 {
            self.with_constant(X0, splat_bits(Ty::I16x8, 1), |s, to, k| sse!(s, pmaddwd to, =k));
        }
        self.write_xmm(X0, v);
    }

    fn leading_zeros(&mut self, v: Value, inst: &Inst) {
        let a = self.xmm(inst.args[0], X2);
        if inst.ty == Ty::I64x2 {
            self.upper_to_gpr(a, RCX);
            let ops = &mut self.ops;
            dynasm!(ops ; .arch x64 ; movq rax, Rx(a) ; lzcnt rax, rax ; lzcnt rcx, rcx);
            self.join_gprs();
        } else {
            for n in 0..4 {
                let ops = &mut self.ops;
                dynasm!(ops
                    ; .arch x64
                    ; pextrd Rd(RAX), Rx(a), n
                    ; lzcnt eax, eax
                    ; pinsrd xmm0, Rd(RAX), n
                );
            }
        }
        self.write_xmm(X0, v);
    }

    fn shift_lanes(&mut self, v: Value, inst: &Inst) {
        let [_, by, _] = inst.args;
        let ty = inst.ty;
        let bits = ty.lane_bits();
        let constant = self.region.constant_vector(by).map(|k| (k, k as u64 & ty.mask()));
        if let Some((k, first)) = constant
            && k == splat_bits(ty, first)
        {
            return self.shift_by_constant(v, inst, first.min(bits.into()) as u8);
        }
        let source = self.region.inst(by);
        let uniform = source.op == Op::Splat && source.ty == ty;
        match (uniform && bits > 8 && self.features.sse4, self.features.avx2, bits) {
            (true, ..) => self.shift_by_scalar(v, inst),
            (_, true, 32 | 64) => self.shift_each(v, inst),
            (_, true, 16) => self.shift_each_halfword(v, inst),
            _ => self.soft_lanes(v, inst),
        }
    }

    fn shift_by_constant(&mut self, v: Value, inst: &Inst, by: u8) {
        let (op, ty) = (inst.op, inst.ty);
        let bits = ty.lane_bits() as u8;
        if by >= bits && op != Op::ShrS {
            let to = self.target_xmm(v, X0);
            sse!(self, pxor to, to);
            return self.write_xmm(to, v);
        }
        let by = by.min(bits - 1);
        let to = self.one(v, inst);
        let k = by as i8;
        match (op, bits) {
            (Op::Shl, 8 | 16) => sse!(self, psllw to, #k),
            (Op::Shl, 32) => sse!(self, pslld to, #k),
            (Op::Shl, _) => sse!(self, psllq to, #k),
            (Op::ShrS, 16) => sse!(self, psraw to, #k),
            (Op::ShrS, 32) => sse!(self, psrad to, #k),
            (_, 8 | 16) => sse!(self, psrlw to, #k),
            (_, 32) => sse!(self, psrld to, #k),
            _ => sse!(self, psrlq to, #k),
        }
        if bits == 8 {
            // What came over from the neighbour goes.
            let kept = if op == Op::Shl { 0xff << by } else { 0xff >> by };
            self.with_constant(to, splat_bits(ty, kept), pand);
        }
        if op == Op::ShrS && matches!(bits, 8 | 64) {
            // The sign, which is now at a lower place, is copied upwards.
            let sign = splat_bits(ty, 1 << (bits - 1 - by));
            self.with_constant(to, sign, pxor);
            if bits == 8 {
                self.with_constant(to, sign, |s, to, k| sse!(s, psubb to, =k));
            } else {
                self.with_constant(to, sign, |s, to, k| sse!(s, psubq to, =k));
            }
        }
        self.write_xmm(to, v);
    }

    /// By the first lane of the second operand, which all are equal to.
    fn shift_by_scalar(&mut self, v: Value, inst: &Inst) {
        let [a, by, _] = inst.args;
        let mut count = self.xmm(by, X1);
        match inst.ty {
            Ty::I16x8 => sse!(self, pmovzxwq X1, count),
            Ty::I32x4 => sse!(self, pmovzxdq X1, count),
            _ => {}
        }
        if inst.ty != Ty::I64x2 {
            count = X1;
        }
        if (inst.op, inst.ty) == (Op::ShrS, Ty::I64x2) {
            self.read_xmm(a, X2);
            self.shift_complemented(|s| sse!(s, psrlq X2, count));
            return self.write_xmm(X2, v);
        }
        self.read_xmm(a, X0);
        match (inst.op, inst.ty) {
            (Op::Shl, Ty::I16x8) => sse!(self, psllw X0, count),
            (Op::Shl, Ty::I32x4) => sse!(self, pslld X0, count),
            (Op::Shl, _) => sse!(self, psllq X0, count),
            (Op::ShrU, Ty::I16x8) => sse!(self, psrlw X0, count),
            (Op::ShrU, Ty::I32x4) => sse!(self, psrld X0, count),
            (Op::ShrU, _) => sse!(self, psrlq X0, count),
            (_, Ty::I16x8) => sse!(self, psraw X0, count),
            _ => sse!(self, psrad X0, count),
        }
        self.write_xmm(X0, v);
    }

    /// An arithmetic shift of the doublewords in xmm2 by means of a logical one: of the complement where they are
    /// negative. Uses xmm0.
    fn shift_complemented(&mut self, shift: impl FnOnce(&mut Self)) {
        sse!(self, pxor X0, X0);
        sse!(self, pcmpgtq X0, X2);
        sse!(self, pxor X2, X0);
        shift(self);
        sse!(self, pxor X2, X0);
    }

    fn shift_each(&mut self, v: Value, inst: &Inst) {
        let [a, by, _] = inst.args;
        if (inst.op, inst.ty) == (Op::ShrS, Ty::I64x2) {
            let count = self.xmm(by, X1);
            self.read_xmm(a, X2);
            self.shift_complemented(|s| {
                let ops = &mut s.ops;
                dynasm!(ops ; .arch x64 ; vpsrlvq xmm2, xmm2, Rx(count));
            });
            return self.write_xmm(X2, v);
        }
        let (a, count) = (self.xmm(a, X0), self.xmm(by, X1));
        let to = self.target_xmm(v, X0);
        let ops = &mut self.ops;
        match (inst.op, inst.ty) {
            (Op::Shl, Ty::I32x4) => dynasm!(ops ; .arch x64 ; vpsllvd Rx(to), Rx(a), Rx(count)),
            (Op::Shl, _) => dynasm!(ops ; .arch x64 ; vpsllvq Rx(to), Rx(a), Rx(count)),
            (Op::ShrU, Ty::I32x4) => dynasm!(ops ; .arch x64 ; vpsrlvd Rx(to), Rx(a), Rx(count)),
            (Op::ShrU, _) => dynasm!(ops ; .arch x64 ; vpsrlvq Rx(to), Rx(a), Rx(count)),
            _ => dynasm!(ops ; .arch x64 ; vpsravd Rx(to), Rx(a), Rx(count)),
        }
        self.write_xmm(to, v);
    }

    /// Halfwords as words of registers of 256 bits, and back.
    fn shift_each_halfword(&mut self, v: Value, inst: &Inst) {
        let [a, by, _] = inst.args;
        let (a, count) = (self.xmm(a, X0), self.xmm(by, X1));
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; vpmovzxwd ymm1, Rx(count));
        match inst.op {
            Op::Shl => {
                dynasm!(ops ; .arch x64 ; vpmovzxwd ymm0, Rx(a) ; vpsllvd ymm0, ymm0, ymm1);
            }
            Op::ShrU => {
                dynasm!(ops ; .arch x64 ; vpmovzxwd ymm0, Rx(a) ; vpsrlvd ymm0, ymm0, ymm1);
            }
            _ => dynasm!(ops ; .arch x64 ; vpmovsxwd ymm0, Rx(a) ; vpsravd ymm0, ymm0, ymm1),
        }
        dynasm!(ops
            ; .arch x64
            ; vpslld ymm0, ymm0, 16
            ; vpsrad ymm0, ymm0, 16
            ; vextracti128 xmm1, ymm0, 1
            ; vzeroupper
            ; packssdw xmm0, xmm1
        );
        self.write_xmm(X0, v);
    }
}

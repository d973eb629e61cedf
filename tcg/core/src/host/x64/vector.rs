//! Operations on the lanes of vectors, on SSE registers: which emitter an operation has, and moves of lanes.
//!
//! An operation without an emitter for this CPU goes to software. Operands can be read from their places again as long
//! as the result has not been written: emitters that may still go to a stub, or that need an operand twice, work in the
//! three scratch registers.

use super::compile::Emit;
use super::integer::Cond;
use super::moves::{RAX, RCX};
use crate::ir::{Inst, Op, Value};
use crate::sem::{Aes, Lane, Narrow, Sha256, widen};
use crate::ty::Ty;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// Emits one instruction on two float registers, and perhaps an immediate; or on a register and a constant (`=` its
/// label) or an immediate (`#`).
macro_rules! sse {
    ($emit:expr, $name:ident $to:expr, =$label:expr) => {{
        let ops = &mut $emit.ops;
        dynasm!(ops ; .arch x64 ; $name Rx($to), [=>$label])
    }};
    ($emit:expr, $name:ident $to:expr, #$imm:expr) => {{
        let ops = &mut $emit.ops;
        dynasm!(ops ; .arch x64 ; $name Rx($to), $imm)
    }};
    ($emit:expr, $name:ident $to:expr, $from:expr) => {{
        let ops = &mut $emit.ops;
        dynasm!(ops ; .arch x64 ; $name Rx($to), Rx($from))
    }};
    ($emit:expr, $name:ident $to:expr, $from:expr, $imm:expr) => {{
        let ops = &mut $emit.ops;
        dynasm!(ops ; .arch x64 ; $name Rx($to), Rx($from), $imm)
    }};
}
pub(super) use sse;

/// The emitters' own float registers.
pub const X0: u8 = 0;
pub const X1: u8 = 1;
pub const X2: u8 = 2;

/// The control of PSHUFD that brings the upper half down.
pub const UPPER: i8 = 0xeeu8 as i8;

impl Emit<'_> {
    /// An operation on lanes.
    pub fn lanes(&mut self, v: Value, inst: &Inst) {
        match inst.op {
            Op::And | Op::Or | Op::Xor | Op::AndNot | Op::BitSelect => self.bitwise(v, inst),
            Op::Splat => self.splat(v, inst),
            Op::Insert => self.insert(v, inst),
            Op::Extract => self.extract(v, inst),
            Op::AnyBit => self.any_bit(v, inst),
            Op::ByteSigns => {
                let (a, to) = (self.xmm(inst.args[0], X1), self.target(v, RAX));
                let ops = &mut self.ops;
                dynasm!(ops ; .arch x64 ; pmovmskb Rd(to), Rx(a));
                self.write_gpr(to, v);
            }
            Op::Shuffle => self.shuffle(v, inst),
            Op::Table if self.features.sse4 => self.table(v, inst),
            Op::Widen if self.features.sse4 => self.widen(v, inst),
            Op::Narrow if self.features.sse4 => self.narrow(v, inst),
            Op::ClmulWide if self.features.clmul => {
                let (to, b) = self.two(v, inst, false);
                let halves = (inst.imm & 1 | (inst.imm & 2) << 3) as i8;
                sse!(self, pclmulqdq to, b, halves);
                self.write_xmm(to, v);
            }
            Op::Aes if self.features.aes => self.aes(v, inst),
            Op::Sha256 if self.features.sha => self.sha256(v, inst),
            Op::Table | Op::Widen | Op::Narrow | Op::ClmulWide | Op::Aes | Op::Sha256 => {
                self.soft_lanes(v, inst);
            }
            op if op.effect() == crate::ir::Effect::Flags => self.float_lanes(v, inst),
            _ => self.integer_lanes(v, inst),
        }
    }

    /// The first operand in a register that may be changed, which [`Self::write_xmm`] has to be given, and the second
    /// in another. If the operation is `commutative`, they may have changed places.
    pub fn two(&mut self, v: Value, inst: &Inst, commutative: bool) -> (u8, u8) {
        let [mut a, mut b, _] = inst.args;
        let own = self.target_xmm(v, X0);
        if commutative && self.target_xmm(b, X1) == own {
            (a, b) = (b, a);
        }
        let right = self.xmm(b, X1);
        let to = if right == own { X0 } else { own };
        self.read_xmm(a, to);
        (to, right)
    }

    /// The first operand in a register that may be changed, which [`Self::write_xmm`] has to be given.
    pub fn one(&mut self, v: Value, inst: &Inst) -> u8 {
        let to = self.target_xmm(v, X0);
        self.read_xmm(inst.args[0], to);
        to
    }

    /// Applies constant `value` to register `to` by the instruction that `emit` makes.
    pub fn with_constant(&mut self, to: u8, value: u128, emit: fn(&mut Self, u8, DynamicLabel)) {
        let label = self.pooled(value);
        emit(self, to, label);
    }

    fn bitwise(&mut self, v: Value, inst: &Inst) {
        let [a, b, c] = inst.args;
        match inst.op {
            Op::AndNot => {
                // PANDN complements its first operand.
                let swapped = Inst { args: [b, a, c], ..*inst };
                let (to, from) = self.two(v, &swapped, false);
                sse!(self, pandn to, from);
                self.write_xmm(to, v);
            }
            Op::BitSelect => {
                let (mask, no) = (self.xmm(a, X1), self.xmm(c, X2));
                self.read_xmm(b, X0);
                sse!(self, pxor X0, no);
                sse!(self, pand X0, mask);
                sse!(self, pxor X0, no);
                self.write_xmm(X0, v);
            }
            op => {
                let (to, from) = self.two(v, inst, true);
                match op {
                    Op::And => sse!(self, pand to, from),
                    Op::Or => sse!(self, por to, from),
                    _ => sse!(self, pxor to, from),
                }
                self.write_xmm(to, v);
            }
        }
    }

    fn splat(&mut self, v: Value, inst: &Inst) {
        let to = self.target_xmm(v, X0);
        match inst.ty {
            Ty::F32x4 => {
                let a = self.xmm(inst.args[0], X1);
                sse!(self, pshufd to, a, 0);
            }
            Ty::F64x2 => {
                let a = self.xmm(inst.args[0], X1);
                sse!(self, pshufd to, a, 0x44);
            }
            ty => {
                let a = self.gpr(inst.args[0], RAX);
                let ops = &mut self.ops;
                dynasm!(ops ; .arch x64 ; movq Rx(to), Rq(a));
                match ty {
                    Ty::I8x16 => {
                        sse!(self, punpcklbw to, to);
                        sse!(self, pshuflw to, to, 0);
                        sse!(self, punpcklqdq to, to);
                    }
                    Ty::I16x8 => {
                        sse!(self, pshuflw to, to, 0);
                        sse!(self, punpcklqdq to, to);
                    }
                    Ty::I32x4 => sse!(self, pshufd to, to, 0),
                    _ => sse!(self, punpcklqdq to, to),
                }
            }
        }
        self.write_xmm(to, v);
    }

    fn insert(&mut self, v: Value, inst: &Inst) {
        let [a, b, _] = inst.args;
        let index = inst.imm as i8;
        let onto_zero = index == 0 && self.region.constant_vector(a) == Some(0);
        match inst.ty {
            Ty::F64x2 if onto_zero => {
                let (from, to) = (self.xmm(b, X1), self.target_xmm(v, X0));
                sse!(self, movq to, from);
                self.write_xmm(to, v);
            }
            Ty::F64x2 => {
                let (to, from) = self.two(v, inst, false);
                if index == 0 {
                    sse!(self, movsd to, from);
                } else {
                    sse!(self, punpcklqdq to, from);
                }
                self.write_xmm(to, v);
            }
            Ty::F32x4 if self.features.sse4 => {
                let (to, from) = self.two(v, inst, false);
                sse!(self, insertps to, from, index << 4);
                self.write_xmm(to, v);
            }
            Ty::I32x4 | Ty::I64x2 if onto_zero => {
                let (from, to) = (self.gpr(b, RAX), self.target_xmm(v, X0));
                let ops = &mut self.ops;
                if inst.ty == Ty::I64x2 {
                    dynasm!(ops ; .arch x64 ; movq Rx(to), Rq(from));
                } else {
                    dynasm!(ops ; .arch x64 ; movd Rx(to), Rd(from));
                }
                self.write_xmm(to, v);
            }
            ty if ty == Ty::I16x8 || (self.features.sse4 && ty != Ty::F32x4) => {
                let to = self.one(v, inst);
                let from = self.gpr(b, RAX);
                let ops = &mut self.ops;
                match ty {
                    Ty::I8x16 => dynasm!(ops ; .arch x64 ; pinsrb Rx(to), Rd(from), index),
                    Ty::I16x8 => dynasm!(ops ; .arch x64 ; pinsrw Rx(to), Rd(from), index),
                    Ty::I32x4 => dynasm!(ops ; .arch x64 ; pinsrd Rx(to), Rd(from), index),
                    _ => dynasm!(ops ; .arch x64 ; pinsrq Rx(to), Rq(from), index),
                }
                self.write_xmm(to, v);
            }
            _ => self.soft_lanes(v, inst),
        }
    }

    fn extract(&mut self, v: Value, inst: &Inst) {
        let Lane { size, signed, index } = Lane::unpack(inst.imm);
        let index = index as i8;
        if inst.ty.is_float() {
            let (a, to) = (self.xmm(inst.args[0], X1), self.target_xmm(v, X0));
            match (index, size) {
                (0, _) if a == to => {}
                (0, _) => sse!(self, movaps to, a),
                (_, 2) => sse!(self, pshufd to, a, index),
                _ => sse!(self, pshufd to, a, UPPER),
            }
            return self.write_xmm(to, v);
        }
        if size == 0 && !self.features.sse4 {
            return self.soft_lanes(v, inst);
        }
        let mut a = self.xmm(inst.args[0], X1);
        let to = self.target(v, RAX);
        if size >= 2 && index != 0 {
            let control = if size == 3 { UPPER } else { index };
            sse!(self, pshufd X0, a, control);
            a = X0;
        }
        let wide = inst.ty == Ty::I64;
        let ops = &mut self.ops;
        match (size, signed) {
            (0, _) => dynasm!(ops ; .arch x64 ; pextrb Rd(to), Rx(a), index),
            (1, _) => dynasm!(ops ; .arch x64 ; pextrw Rd(to), Rx(a), index),
            (2, _) => dynasm!(ops ; .arch x64 ; movd Rd(to), Rx(a)),
            _ => dynasm!(ops ; .arch x64 ; movq Rq(to), Rx(a)),
        }
        match (size, signed, wide) {
            (0, true, true) => dynasm!(ops ; .arch x64 ; movsx Rq(to), Rb(to)),
            (0, true, false) => dynasm!(ops ; .arch x64 ; movsx Rd(to), Rb(to)),
            (1, true, true) => dynasm!(ops ; .arch x64 ; movsx Rq(to), Rw(to)),
            (1, true, false) => dynasm!(ops ; .arch x64 ; movsx Rd(to), Rw(to)),
            (2, true, true) => dynasm!(ops ; .arch x64 ; movsxd Rq(to), Rd(to)),
            _ => {}
        }
        self.write_gpr(to, v);
    }

    fn any_bit(&mut self, v: Value, inst: &Inst) {
        let a = self.xmm(inst.args[0], X1);
        if self.features.sse4 {
            sse!(self, ptest a, a);
        } else {
            sse!(self, pxor X0, X0);
            sse!(self, pcmpeqb X0, a);
            let ops = &mut self.ops;
            dynasm!(ops ; .arch x64 ; pmovmskb eax, xmm0 ; cmp eax, 0xffff);
        }
        self.set_bool(Cond::Ne, v);
    }

    fn table(&mut self, v: Value, inst: &Inst) {
        let [table, bytes, _] = inst.args;
        // Numbers from 16 on get their highest bit set, which makes PSHUFB give zero.
        self.read_xmm(bytes, X0);
        self.with_constant(X0, u128::from_le_bytes([0x70; 16]), |s, to, k| sse!(s, paddusb to, =k));
        self.read_xmm(table, X1);
        sse!(self, pshufb X1, X0);
        self.write_xmm(X1, v);
    }

    fn widen(&mut self, v: Value, inst: &Inst) {
        let mut a = self.xmm(inst.args[0], X1);
        if inst.imm & widen::HIGH != 0 {
            sse!(self, pshufd X0, a, UPPER);
            a = X0;
        }
        let to = self.target_xmm(v, X0);
        match (inst.ty, inst.imm & widen::SIGNED != 0) {
            (Ty::I16x8, true) => sse!(self, pmovsxbw to, a),
            (Ty::I16x8, false) => sse!(self, pmovzxbw to, a),
            (Ty::I32x4, true) => sse!(self, pmovsxwd to, a),
            (Ty::I32x4, false) => sse!(self, pmovzxwd to, a),
            (_, true) => sse!(self, pmovsxdq to, a),
            (_, false) => sse!(self, pmovzxdq to, a),
        }
        self.write_xmm(to, v);
    }

    fn narrow(&mut self, v: Value, inst: &Inst) {
        let bytes = inst.ty == Ty::I8x16;
        let kind = Narrow::unpack(inst.imm);
        if inst.ty == Ty::I32x4 {
            if kind != Narrow::Truncate {
                return self.soft_lanes(v, inst);
            }
            let (to, b) = self.two(v, inst, false);
            sse!(self, shufps to, b, 0x88u8 as i8);
            return self.write_xmm(to, v);
        }
        if matches!(kind, Narrow::SignedToSigned | Narrow::SignedToUnsigned) {
            let (to, b) = self.two(v, inst, false);
            match (bytes, kind) {
                (true, Narrow::SignedToSigned) => sse!(self, packsswb to, b),
                (true, _) => sse!(self, packuswb to, b),
                (false, Narrow::SignedToSigned) => sse!(self, packssdw to, b),
                (false, _) => sse!(self, packusdw to, b),
            }
            return self.write_xmm(to, v);
        }
        // Made to fit before the signed pack looks at them.
        let limit = if bytes { u128::MAX / 0xffff * 0xff } else { u128::MAX / 0xffff_ffff * 0xffff };
        for (to, arg) in [(X0, inst.args[0]), (X1, inst.args[1])] {
            self.read_xmm(arg, to);
            match (kind, bytes) {
                (Narrow::Truncate, _) => self.with_constant(to, limit, |s, to, k| sse!(s, pand to, =k)),
                (_, true) => self.with_constant(to, limit, |s, to, k| sse!(s, pminuw to, =k)),
                (_, false) => self.with_constant(to, limit, |s, to, k| sse!(s, pminud to, =k)),
            }
        }
        if bytes {
            sse!(self, packuswb X0, X1);
        } else {
            sse!(self, packusdw X0, X1);
        }
        self.write_xmm(X0, v);
    }

    fn aes(&mut self, v: Value, inst: &Inst) {
        sse!(self, pxor X2, X2);
        let to = self.one(v, inst);
        match Aes::unpack(inst.imm) {
            Aes::Sub => sse!(self, aesenclast to, X2),
            Aes::InvSub => sse!(self, aesdeclast to, X2),
            Aes::Mix => {
                // The steps that a whole round has besides are undone first.
                sse!(self, aesdeclast to, X2);
                sse!(self, aesenc to, X2);
            }
            Aes::InvMix => sse!(self, aesimc to, to),
        }
        self.write_xmm(to, v);
    }

    fn sha256(&mut self, v: Value, inst: &Inst) {
        let [a, b, c] = inst.args;
        let other = self.xmm(b, X2);
        self.read_xmm(a, X1);
        match Sha256::unpack(inst.imm) {
            Sha256::Rounds => {
                // The instruction takes the words from xmm0.
                self.read_xmm(c, X0);
                sse!(self, sha256rnds2 X1, other);
            }
            Sha256::Schedule0 => sse!(self, sha256msg1 X1, other),
            Sha256::Schedule1 => sse!(self, sha256msg2 X1, other),
        }
        self.write_xmm(X1, v);
    }

    /// Lanes of 32 bits that are all ones or zeros in `mask`: goes to `slow` if there are ones.
    pub fn jump_if_any(&mut self, mask: u8, slow: DynamicLabel) {
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; movmskps eax, Rx(mask) ; test eax, eax ; jnz =>slow);
    }

    /// Puts the upper doubleword of `from` into general register `to`. Uses xmm1.
    pub fn upper_to_gpr(&mut self, from: u8, to: u8) {
        sse!(self, pshufd X1, from, UPPER);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; movq Rq(to), xmm1);
    }

    /// Joins the doublewords in rax and rcx, the latter the upper, in xmm0. Uses xmm1.
    pub fn join_gprs(&mut self) {
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; movq xmm0, Rq(RAX) ; movq xmm1, Rq(RCX) ; punpcklqdq xmm0, xmm1);
    }
}

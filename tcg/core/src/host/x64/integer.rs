//! Integer operations.

use super::compile::{Emit, scaled};
use super::moves::{RAX, RCX, RDX};
use super::short::{short, with};
use crate::ir::{Inst, Op, Value};
use crate::sem::Cc;
use crate::ty::Ty;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

/// Emits an instruction in its 64- or 32-bit form: `alu!(self, wide, mov a, b)`.
macro_rules! sized {
    ($ops:expr, $wide:expr, $name:ident $a:expr, $b:expr) => {
        if $wide {
            dynasm!($ops ; .arch x64 ; $name Rq($a), Rq($b))
        } else {
            dynasm!($ops ; .arch x64 ; $name Rd($a), Rd($b))
        }
    };
    ($ops:expr, $wide:expr, $name:ident $a:expr) => {
        if $wide {
            dynasm!($ops ; .arch x64 ; $name Rq($a))
        } else {
            dynasm!($ops ; .arch x64 ; $name Rd($a))
        }
    };
}

pub(super) use sized;

/// Conditions of jumps and selections, by their numbers in opcodes (Intel SDM volume 2, appendix B.1.4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cond {
    /// Overflow.
    O = 0,
    /// No overflow.
    No = 1,
    /// Unsigned below.
    B = 2,
    /// Unsigned above or equal.
    Ae = 3,
    /// Equal, zero.
    E = 4,
    /// Not equal, not zero.
    Ne = 5,
    /// Unsigned below or equal.
    Be = 6,
    /// Unsigned above.
    A = 7,
    /// Negative.
    S = 8,
    /// Not negative.
    Ns = 9,
    /// Parity even: unordered.
    P = 10,
    /// Parity odd.
    Np = 11,
    /// Signed less.
    L = 12,
    /// Signed greater or equal.
    Ge = 13,
    /// Signed less or equal.
    Le = 14,
    /// Signed greater.
    G = 15,
}

impl Cond {
    /// The condition that holds when the operands change sides, if there is one.
    fn swapped(self) -> Option<Self> {
        Some(match self {
            Self::B => Self::A,
            Self::A => Self::B,
            Self::Ae => Self::Be,
            Self::Be => Self::Ae,
            Self::L => Self::G,
            Self::G => Self::L,
            Self::Ge => Self::Le,
            Self::Le => Self::Ge,
            Self::E | Self::Ne => self,
            _ => return None,
        })
    }

    /// The condition that holds when this one does not.
    pub fn negated(self) -> Self {
        match self {
            Self::O => Self::No,
            Self::No => Self::O,
            Self::B => Self::Ae,
            Self::Ae => Self::B,
            Self::E => Self::Ne,
            Self::Ne => Self::E,
            Self::Be => Self::A,
            Self::A => Self::Be,
            Self::S => Self::Ns,
            Self::Ns => Self::S,
            Self::P => Self::Np,
            Self::Np => Self::P,
            Self::L => Self::Ge,
            Self::Ge => Self::L,
            Self::Le => Self::G,
            Self::G => Self::Le,
        }
    }

    /// The condition on the host's flags after a subtraction.
    pub fn of_difference(cc: Cc) -> Self {
        match cc {
            Cc::Eq => Self::E,
            Cc::Ne => Self::Ne,
            Cc::CarrySet => Self::Ae,
            Cc::CarryClear => Self::B,
            Cc::Minus => Self::S,
            Cc::Plus => Self::Ns,
            Cc::Overflow => Self::O,
            Cc::NoOverflow => Self::No,
            Cc::Above => Self::A,
            Cc::NotAbove => Self::Be,
            Cc::Ge => Self::Ge,
            Cc::Lt => Self::L,
            Cc::Gt => Self::G,
            Cc::Le => Self::Le,
        }
    }
}

impl Emit<'_> {
    /// An operation on integers.
    pub fn integer(&mut self, v: Value, inst: &Inst) {
        let wide = inst.ty == Ty::I64;
        match inst.op {
            Op::Add => self.add(v, inst, wide),
            Op::Sub | Op::And | Op::Or | Op::Xor | Op::Mul => self.two_address(v, inst, wide),
            Op::Shl | Op::ShrU | Op::ShrS | Op::Rotr => self.shift(v, inst, wide),
            Op::MulHU | Op::MulHS => self.multiply_high(v, inst, wide),
            Op::DivU | Op::DivS | Op::RemU | Op::RemS => self.divide(v, inst, wide),
            Op::Clmul | Op::ClmulH if wide && self.features.clmul => self.carryless(v, inst),
            Op::Clz | Op::Ctz => self.count_zeros(v, inst, wide),
            Op::Popcnt if self.features.popcnt => {
                let a = self.gpr(inst.args[0], RAX);
                let to = self.target(v, RAX);
                let ops = &mut self.ops;
                sized!(ops, wide, popcnt to, a);
                self.write_gpr(to, v);
            }
            Op::Bswap => {
                self.read_gpr(inst.args[0], RAX);
                let ops = &mut self.ops;
                sized!(ops, wide, bswap RAX);
                self.write_gpr(RAX, v);
            }
            Op::Sext => self.sign_extend(v, inst, wide),
            Op::SextW => {
                let a = self.gpr(inst.args[0], RAX);
                let to = self.target(v, RAX);
                let ops = &mut self.ops;
                dynasm!(ops ; .arch x64 ; movsxd Rq(to), Rd(a));
                self.write_gpr(to, v);
            }
            Op::Trunc => {
                let a = self.gpr(inst.args[0], RAX);
                let to = self.target(v, RAX);
                let ops = &mut self.ops;
                dynasm!(ops ; .arch x64 ; mov Rd(to), Rd(a));
                self.write_gpr(to, v);
            }
            Op::Zext => {
                // Already zero above.
                let a = self.gpr(inst.args[0], RAX);
                self.write_gpr(a, v);
            }
            Op::Box => self.nan_box(v, inst),
            Op::Unbox => self.nan_unbox(v, inst),
            Op::Bitcast => self.bitcast(v, inst),
            Op::FlagsAdd | Op::FlagsSub | Op::FlagsAdc | Op::FlagsLogic => self.pack_flags(v, inst),
            Op::FlagsOf => self.flags_of(v, inst),
            Op::Eq | Op::Ne | Op::LtU | Op::LtS | Op::Cond | Op::CondSub => {
                let cond = self.compare(inst);
                self.set_bool(cond, v);
            }
            Op::Select => self.select(v, inst),
            _ => self.soft(v, inst),
        }
    }

    fn add(&mut self, v: Value, inst: &Inst, wide: bool) {
        let to = self.target(v, RAX);
        let fused = |(shift, _): &(Value, Value)| self.uses.is_fused(*shift);
        if let Some((shift, other)) = scaled(self.region, inst).filter(fused) {
            let [index, by, _] = self.region.inst(shift).args;
            let (a, b, by) = (self.gpr(other, RAX), self.gpr(index, RCX), self.constant(by));
            let ops = &mut self.ops;
            match (wide, by) {
                (true, Some(1)) => dynasm!(ops ; .arch x64 ; lea Rq(to), [Rq(a) + Rq(b) * 2]),
                (true, Some(2)) => dynasm!(ops ; .arch x64 ; lea Rq(to), [Rq(a) + Rq(b) * 4]),
                (true, _) => dynasm!(ops ; .arch x64 ; lea Rq(to), [Rq(a) + Rq(b) * 8]),
                (false, Some(1)) => dynasm!(ops ; .arch x64 ; lea Rd(to), [Rq(a) + Rq(b) * 2]),
                (false, Some(2)) => dynasm!(ops ; .arch x64 ; lea Rd(to), [Rq(a) + Rq(b) * 4]),
                (false, _) => dynasm!(ops ; .arch x64 ; lea Rd(to), [Rq(a) + Rq(b) * 8]),
            }
            return self.write_gpr(to, v);
        }
        if let Some(k) = self.immediate(inst.args[1], inst.ty) {
            let a = self.gpr(inst.args[0], RAX);
            let ops = &mut self.ops;
            match (wide, a == to) {
                (true, true) => with!(ops, k, add Rq(to)),
                (true, false) => short!(ops, k, (lea Rq(to),) [Rq(a)] ()),
                (false, true) => with!(ops, k, add Rd(to)),
                (false, false) => short!(ops, k, (lea Rd(to),) [Rq(a)] ()),
            }
        } else {
            let a = self.gpr(inst.args[0], RAX);
            if let Some(at) = self.slot(inst.args[1]).filter(|_| a == to) {
                let ops = &mut self.ops;
                match wide {
                    true => short!(ops, at, (add Rq(to),) [rsp] ()),
                    false => short!(ops, at, (add Rd(to),) [rsp] ()),
                }
                return self.write_gpr(to, v);
            }
            let b = self.gpr(inst.args[1], RCX);
            let ops = &mut self.ops;
            if a == to {
                sized!(ops, wide, add to, b);
            } else if b == to {
                sized!(ops, wide, add to, a);
            } else if wide {
                dynasm!(ops ; .arch x64 ; lea Rq(to), [Rq(a) + Rq(b)]);
            } else {
                dynasm!(ops ; .arch x64 ; lea Rd(to), [Rq(a) + Rq(b)]);
            }
        }
        self.write_gpr(to, v);
    }

    fn two_address(&mut self, v: Value, inst: &Inst, wide: bool) {
        let [mut a, mut b, _] = inst.args;
        if let (Op::And, Some(k @ (0xff | 0xffff | 0xffff_ffff))) = (inst.op, self.constant(b)) {
            return self.extend_zeros(v, a, k);
        }
        let own = self.target(v, RAX);
        if let Some(k) = self.immediate(b, inst.ty) {
            self.read_gpr(a, own);
            let ops = &mut self.ops;
            match (inst.op, wide) {
                (Op::Sub, true) => with!(ops, k, sub Rq(own)),
                (Op::Sub, false) => with!(ops, k, sub Rd(own)),
                (Op::And, true) => with!(ops, k, and Rq(own)),
                (Op::And, false) => with!(ops, k, and Rd(own)),
                (Op::Or, true) => with!(ops, k, or Rq(own)),
                (Op::Or, false) => with!(ops, k, or Rd(own)),
                (Op::Xor, true) => with!(ops, k, xor Rq(own)),
                (Op::Xor, false) => with!(ops, k, xor Rd(own)),
                (_, true) => with!(ops, k, imul Rq(own), Rq(own)),
                (_, false) => with!(ops, k, imul Rd(own), Rd(own)),
            }
            return self.write_gpr(own, v);
        }
        // The result's register may be that of the second operand, whose life ends here.
        if inst.op != Op::Sub && self.is_in(b, own) {
            (a, b) = (b, a);
        }
        if let Some(at) = self.slot(b) {
            self.read_gpr(a, own);
            let ops = &mut self.ops;
            match (inst.op, wide) {
                (Op::Sub, true) => short!(ops, at, (sub Rq(own),) [rsp] ()),
                (Op::Sub, false) => short!(ops, at, (sub Rd(own),) [rsp] ()),
                (Op::And, true) => short!(ops, at, (and Rq(own),) [rsp] ()),
                (Op::And, false) => short!(ops, at, (and Rd(own),) [rsp] ()),
                (Op::Or, true) => short!(ops, at, (or Rq(own),) [rsp] ()),
                (Op::Or, false) => short!(ops, at, (or Rd(own),) [rsp] ()),
                (Op::Xor, true) => short!(ops, at, (xor Rq(own),) [rsp] ()),
                (Op::Xor, false) => short!(ops, at, (xor Rd(own),) [rsp] ()),
                (_, true) => short!(ops, at, (imul Rq(own),) [rsp] ()),
                (_, false) => short!(ops, at, (imul Rd(own),) [rsp] ()),
            }
            return self.write_gpr(own, v);
        }
        let right = self.gpr(b, RCX);
        let to = if right == own { RAX } else { own };
        self.read_gpr(a, to);
        let ops = &mut self.ops;
        match inst.op {
            Op::Sub => sized!(ops, wide, sub to, right),
            Op::And => sized!(ops, wide, and to, right),
            Op::Or => sized!(ops, wide, or to, right),
            Op::Xor => sized!(ops, wide, xor to, right),
            _ => sized!(ops, wide, imul to, right),
        }
        self.write_gpr(to, v);
    }

    /// The 8, 16 or 32 low bits of `a` that are in the mask `k`, with zeros above.
    fn extend_zeros(&mut self, v: Value, a: Value, k: u64) {
        let to = self.target(v, RAX);
        if let Some(at) = self.slot(a) {
            let ops = &mut self.ops;
            match k {
                0xff => short!(ops, at, (movzx Rd(to), BYTE) [rsp] ()),
                0xffff => short!(ops, at, (movzx Rd(to), WORD) [rsp] ()),
                _ => short!(ops, at, (mov Rd(to),) [rsp] ()),
            }
            return self.write_gpr(to, v);
        }
        let from = self.gpr(a, RAX);
        let ops = &mut self.ops;
        match k {
            0xff => dynasm!(ops ; .arch x64 ; movzx Rd(to), Rb(from)),
            0xffff => dynasm!(ops ; .arch x64 ; movzx Rd(to), Rw(from)),
            _ => dynasm!(ops ; .arch x64 ; mov Rd(to), Rd(from)),
        }
        self.write_gpr(to, v);
    }

    fn shift(&mut self, v: Value, inst: &Inst, wide: bool) {
        let [a, b, _] = inst.args;
        let own = self.target(v, RAX);
        if let Some(k) = self.constant(b) {
            let k = (k & u64::from(inst.ty.bits() - 1)) as i8;
            let from = self.gpr(a, own);
            if self.features.bmi && inst.op == Op::Rotr && from != own {
                let ops = &mut self.ops;
                if wide {
                    dynasm!(ops ; .arch x64 ; rorx Rq(own), Rq(from), k);
                } else {
                    dynasm!(ops ; .arch x64 ; rorx Rd(own), Rd(from), k);
                }
                return self.write_gpr(own, v);
            }
            self.read_gpr(a, own);
            let ops = &mut self.ops;
            match (inst.op, wide) {
                (Op::Shl, true) => dynasm!(ops ; .arch x64 ; shl Rq(own), k),
                (Op::Shl, false) => dynasm!(ops ; .arch x64 ; shl Rd(own), k),
                (Op::ShrU, true) => dynasm!(ops ; .arch x64 ; shr Rq(own), k),
                (Op::ShrU, false) => dynasm!(ops ; .arch x64 ; shr Rd(own), k),
                (Op::ShrS, true) => dynasm!(ops ; .arch x64 ; sar Rq(own), k),
                (Op::ShrS, false) => dynasm!(ops ; .arch x64 ; sar Rd(own), k),
                (_, true) => dynasm!(ops ; .arch x64 ; ror Rq(own), k),
                (_, false) => dynasm!(ops ; .arch x64 ; ror Rd(own), k),
            }
            return self.write_gpr(own, v);
        }
        if self.features.bmi && inst.op != Op::Rotr {
            let (value, count) = (self.gpr(a, RAX), self.gpr(b, RCX));
            let ops = &mut self.ops;
            match (inst.op, wide) {
                (Op::Shl, true) => dynasm!(ops ; .arch x64 ; shlx Rq(own), Rq(value), Rq(count)),
                (Op::Shl, false) => dynasm!(ops ; .arch x64 ; shlx Rd(own), Rd(value), Rd(count)),
                (Op::ShrU, true) => dynasm!(ops ; .arch x64 ; shrx Rq(own), Rq(value), Rq(count)),
                (Op::ShrU, false) => dynasm!(ops ; .arch x64 ; shrx Rd(own), Rd(value), Rd(count)),
                (_, true) => dynasm!(ops ; .arch x64 ; sarx Rq(own), Rq(value), Rq(count)),
                (_, false) => dynasm!(ops ; .arch x64 ; sarx Rd(own), Rd(value), Rd(count)),
            }
            return self.write_gpr(own, v);
        }
        self.read_gpr(b, RCX);
        self.read_gpr(a, RAX);
        let ops = &mut self.ops;
        match (inst.op, wide) {
            (Op::Shl, true) => dynasm!(ops ; .arch x64 ; shl rax, cl),
            (Op::Shl, false) => dynasm!(ops ; .arch x64 ; shl eax, cl),
            (Op::ShrU, true) => dynasm!(ops ; .arch x64 ; shr rax, cl),
            (Op::ShrU, false) => dynasm!(ops ; .arch x64 ; shr eax, cl),
            (Op::ShrS, true) => dynasm!(ops ; .arch x64 ; sar rax, cl),
            (Op::ShrS, false) => dynasm!(ops ; .arch x64 ; sar eax, cl),
            (_, true) => dynasm!(ops ; .arch x64 ; ror rax, cl),
            (_, false) => dynasm!(ops ; .arch x64 ; ror eax, cl),
        }
        self.write_gpr(RAX, v);
    }

    fn multiply_high(&mut self, v: Value, inst: &Inst, wide: bool) {
        self.read_gpr(inst.args[0], RAX);
        let b = self.gpr(inst.args[1], RCX);
        let ops = &mut self.ops;
        if inst.op == Op::MulHU {
            sized!(ops, wide, mul b);
        } else {
            sized!(ops, wide, imul b);
        }
        self.write_gpr(RDX, v);
    }

    fn divide(&mut self, v: Value, inst: &Inst, wide: bool) {
        let signed = matches!(inst.op, Op::DivS | Op::RemS);
        let quotient = matches!(inst.op, Op::DivU | Op::DivS);
        self.read_gpr(inst.args[0], RAX);
        self.read_gpr(inst.args[1], RCX);
        let ops = &mut self.ops;
        sized!(ops, wide, test RCX, RCX);
        dynasm!(ops ; .arch x64 ; jz >zero);
        if signed {
            // The divisor -1 would trap on the least dividend.
            if wide {
                dynasm!(ops ; .arch x64 ; cmp rcx, -1 ; je >minus ; cqo ; idiv rcx ; jmp >done);
            } else {
                dynasm!(ops ; .arch x64 ; cmp ecx, -1 ; je >minus ; cdq ; idiv ecx ; jmp >done);
            }
            dynasm!(ops ; .arch x64 ; minus:);
            sized!(ops, wide, neg RAX);
            dynasm!(ops ; .arch x64 ; xor edx, edx ; jmp >done);
        } else if wide {
            dynasm!(ops ; .arch x64 ; xor edx, edx ; div rcx ; jmp >done);
        } else {
            dynasm!(ops ; .arch x64 ; xor edx, edx ; div ecx ; jmp >done);
        }
        dynasm!(ops ; .arch x64 ; zero:);
        sized!(ops, wide, mov RDX, RAX);
        if wide {
            dynasm!(ops ; .arch x64 ; mov rax, DWORD -1);
        } else {
            dynasm!(ops ; .arch x64 ; mov eax, -1);
        }
        dynasm!(ops ; .arch x64 ; done:);
        self.write_gpr(if quotient { RAX } else { RDX }, v);
    }

    fn carryless(&mut self, v: Value, inst: &Inst) {
        let (a, b) = (self.gpr(inst.args[0], RAX), self.gpr(inst.args[1], RCX));
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; movq xmm0, Rq(a) ; movq xmm1, Rq(b) ; pclmulqdq xmm0, xmm1, 0);
        if inst.op == Op::ClmulH {
            dynasm!(ops ; .arch x64 ; psrldq xmm0, 8);
        }
        dynasm!(ops ; .arch x64 ; movq rax, xmm0);
        self.write_gpr(RAX, v);
    }

    fn count_zeros(&mut self, v: Value, inst: &Inst, wide: bool) {
        let leading = inst.op == Op::Clz;
        let a = self.gpr(inst.args[0], RAX);
        let ops = &mut self.ops;
        match (self.features.lzcnt, leading) {
            (true, true) => sized!(ops, wide, lzcnt RAX, a),
            (true, false) => sized!(ops, wide, tzcnt RAX, a),
            (false, true) => {
                // The place of the highest bit, or one that gives the width for zero.
                dynasm!(ops ; .arch x64 ; mov ecx, if wide { 127 } else { 63 });
                sized!(ops, wide, bsr RAX, a);
                dynasm!(ops ; .arch x64 ; cmovz eax, ecx ; xor eax, if wide { 63 } else { 31 });
            }
            (false, false) => {
                dynasm!(ops ; .arch x64 ; mov ecx, if wide { 64 } else { 32 });
                sized!(ops, wide, bsf RAX, a);
                dynasm!(ops ; .arch x64 ; cmovz eax, ecx);
            }
        }
        self.write_gpr(RAX, v);
    }

    fn sign_extend(&mut self, v: Value, inst: &Inst, wide: bool) {
        let (from, to) = (self.gpr(inst.args[0], RAX), self.target(v, RAX));
        let ops = &mut self.ops;
        match (inst.imm, wide) {
            (8, true) => dynasm!(ops ; .arch x64 ; movsx Rq(to), Rb(from)),
            (8, false) => dynasm!(ops ; .arch x64 ; movsx Rd(to), Rb(from)),
            (16, true) => dynasm!(ops ; .arch x64 ; movsx Rq(to), Rw(from)),
            (16, false) => dynasm!(ops ; .arch x64 ; movsx Rd(to), Rw(from)),
            (_, true) => dynasm!(ops ; .arch x64 ; movsxd Rq(to), Rd(from)),
            (_, false) => dynasm!(ops ; .arch x64 ; mov Rd(to), Rd(from)),
        }
        self.write_gpr(to, v);
    }

    fn bitcast(&mut self, v: Value, inst: &Inst) {
        if inst.ty.in_float_register() {
            let from = inst.args[0];
            if self.ty(from).in_float_register() {
                let x = self.xmm(from, 0);
                return self.write_xmm(x, v);
            }
            let a = self.gpr(from, RAX);
            self.write_gpr(a, v);
        } else {
            let to = self.target(v, RAX);
            self.read_gpr(inst.args[0], to);
            if inst.ty == Ty::F16 && self.ty(inst.args[0]) != Ty::F16 {
                let ops = &mut self.ops;
                dynasm!(ops ; .arch x64 ; movzx Rd(to), Rw(to));
            }
            self.write_gpr(to, v);
        }
    }

    /// Sets the flags by a comparison; gives the condition that stands for it.
    pub fn compare(&mut self, inst: &Inst) -> Cond {
        let wide = inst.ty == Ty::I64;
        let mut cond = match inst.op {
            Op::Eq => Cond::E,
            Op::Ne => Cond::Ne,
            Op::LtU => Cond::B,
            Op::LtS => Cond::L,
            Op::CondSub => Cond::of_difference(Cc::from_bits(inst.imm)),
            Op::Cond => return self.test_packed(inst),
            _ => return self.compare_floats(inst),
        };
        let [mut a, mut b, _] = inst.args;
        if self.constant(a).is_some()
            && self.constant(b).is_none()
            && let Some(swapped) = cond.swapped()
        {
            (a, b) = (b, a);
            cond = swapped;
        }
        let left = self.gpr(a, RAX);
        if let Some(k) = self.immediate(b, inst.ty) {
            self.compare_with(left, k, wide);
            return cond;
        }
        if let Some(at) = self.slot(b) {
            let ops = &mut self.ops;
            match wide {
                true => short!(ops, at, (cmp Rq(left),) [rsp] ()),
                false => short!(ops, at, (cmp Rd(left),) [rsp] ()),
            }
            return cond;
        }
        let right = self.gpr(b, RCX);
        let ops = &mut self.ops;
        sized!(ops, wide, cmp left, right);
        cond
    }

    /// Sets the flags by a comparison of a register with a constant.
    pub fn compare_with(&mut self, left: u8, k: i32, wide: bool) {
        let ops = &mut self.ops;
        if k == 0 {
            return sized!(ops, wide, test left, left);
        }
        if let Ok(k) = i8::try_from(k) {
            // CMP with an immediate byte, which the assembler has no name for.
            return ops.extend([0x40 | u8::from(wide) << 3 | left >> 3, 0x83, 0xf8 | left & 7, k as u8]);
        }
        if wide {
            dynasm!(ops ; .arch x64 ; cmp Rq(left), k);
        } else {
            dynasm!(ops ; .arch x64 ; cmp Rd(left), k);
        }
    }

    /// Makes a Bool of the flags.
    pub fn set_bool(&mut self, cond: Cond, v: Value) {
        // SETcc al.
        self.ops.extend([0x0f, 0x90 + cond as u8, 0xc0]);
        let to = self.target(v, RAX);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; movzx Rd(to), al);
        self.write_gpr(to, v);
    }

    /// Sets the flags for truth value `v`, by the comparison itself if it was left to its user.
    pub fn test(&mut self, v: Value) -> Cond {
        if self.uses.is_fused(v) {
            let inst = *self.region.inst(v);
            return self.compare(&inst);
        }
        let a = self.gpr(v, RAX);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; test Rd(a), Rd(a));
        Cond::Ne
    }

    fn select(&mut self, v: Value, inst: &Inst) {
        let [cond, yes, no] = inst.args;
        if inst.ty == Ty::V128 {
            return self.select_vector(v, inst);
        }
        if inst.ty.is_float() {
            return self.select_float(v, inst);
        }
        let mut cond = self.test(cond);
        let (mut taken, mut kept, own) = (yes, no, self.target(v, RAX));
        if self.is_in(taken, own) {
            (taken, kept, cond) = (no, yes, cond.negated());
        }
        // Moves leave the flags alone.
        self.read_gpr(kept, own);
        let taken = self.gpr(taken, RCX);
        // CMOVcc own, taken.
        self.ops.extend([
            0x48 | own >> 3 << 2 | taken >> 3,
            0x0f,
            0x40 + cond as u8,
            0xc0 | (own & 7) << 3 | taken & 7,
        ]);
        self.write_gpr(own, v);
    }

    fn select_float(&mut self, v: Value, inst: &Inst) {
        let [cond, yes, no] = inst.args;
        let over = self.ops.new_dynamic_label();
        let cond = self.test(cond);
        self.read_gpr(yes, RDX);
        self.jump_if(cond, over);
        self.read_gpr(no, RDX);
        self.ops.dynamic_label(over);
        self.write_gpr(RDX, v);
    }

    fn select_vector(&mut self, v: Value, inst: &Inst) {
        let [cond, yes, no] = inst.args;
        let over = self.ops.new_dynamic_label();
        let cond = self.test(cond);
        // Moves leave the flags alone.
        self.read_xmm(yes, 0);
        self.jump_if(cond, over);
        self.read_xmm(no, 0);
        self.ops.dynamic_label(over);
        self.write_xmm(0, v);
    }
}

//! Packed condition flags ([`crate::sem::packed`]): the layout of LAHF with the overflow flag of SETO below, so that they are
//! made and taken apart by a few instructions.

use super::compile::Emit;
use super::integer::{Cond, sized};
use super::moves::{RAX, RCX, RDX};
use crate::ir::{Inst, Op, Value};
use crate::sem::{Cc, FlagsKind, packed};
use crate::ty::Ty;
use dynasmrt::{DynasmApi, dynasm};

impl Emit<'_> {
    /// The flags of a sum, a difference or a value.
    pub fn pack_flags(&mut self, v: Value, inst: &Inst) {
        let wide = inst.ty == Ty::I64;
        let [a, b, carry] = inst.args;
        match inst.op {
            Op::FlagsSub => {
                let left = self.gpr(a, RAX);
                if let Some(k) = self.immediate(b, inst.ty) {
                    self.compare_with(left, k, wide);
                } else {
                    let right = self.gpr(b, RCX);
                    let ops = &mut self.ops;
                    sized!(ops, wide, cmp left, right);
                }
                let ops = &mut self.ops;
                dynasm!(ops ; .arch x64 ; cmc);
            }
            Op::FlagsLogic => {
                let a = self.gpr(a, RAX);
                let ops = &mut self.ops;
                sized!(ops, wide, test a, a);
            }
            op => {
                self.read_gpr(a, RCX);
                let b = self.gpr(b, RDX);
                if op == Op::FlagsAdc {
                    self.read_gpr(carry, RAX);
                    let ops = &mut self.ops;
                    // The carry flag becomes the truth value.
                    dynasm!(ops ; .arch x64 ; add al, -1);
                    sized!(ops, wide, adc RCX, b);
                } else {
                    let ops = &mut self.ops;
                    sized!(ops, wide, add RCX, b);
                }
            }
        }
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; lahf ; seto al ; and eax, packed::ALL as i32);
        self.write_gpr(RAX, v);
    }

    /// Flags of a kind that is mostly known.
    pub fn flags_of(&mut self, v: Value, inst: &Inst) {
        let Some(kind) = self.constant(inst.args[2]) else { return self.soft(v, inst) };
        if let Some((op, ty)) = FlagsKind::from_bits(kind).made_by() {
            return self.pack_flags(v, &Inst { op, ty, ..*inst });
        }
        let packed = self.gpr(inst.args[0], RAX);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; mov eax, Rd(packed));
        self.write_gpr(RAX, v);
    }

    /// Sets the host's flags for [`Op::Cond`].
    pub fn test_packed(&mut self, inst: &Inst) -> Cond {
        let cc = Cc::from_bits(inst.imm);
        let one_bit = match cc {
            Cc::Eq | Cc::Ne => packed::Z,
            Cc::CarrySet | Cc::CarryClear => packed::C,
            Cc::Minus | Cc::Plus => packed::N,
            Cc::Overflow | Cc::NoOverflow => packed::V,
            _ => 0,
        };
        if one_bit != 0 {
            let flags = self.gpr(inst.args[0], RAX);
            let ops = &mut self.ops;
            dynasm!(ops ; .arch x64 ; test Rd(flags), one_bit as i32);
            return if cc as u8 & 1 == 0 { Cond::Ne } else { Cond::E };
        }
        self.read_gpr(inst.args[0], RAX);
        let ops = &mut self.ops;
        if matches!(cc, Cc::Above | Cc::NotAbove) {
            dynasm!(ops ; .arch x64 ; sahf ; cmc);
        } else {
            // 0x7f + 1 overflows; SAHF leaves that alone.
            dynasm!(ops ; .arch x64 ; and eax, packed::ALL as i32 ; add al, 0x7f ; sahf);
        }
        Cond::of_difference(cc)
    }
}

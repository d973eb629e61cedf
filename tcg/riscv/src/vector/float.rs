//! Floating point, 31.13, and its reductions, 31.14: elements of binary16, binary32 and binary64.

use super::{Done, Stop, Unit, float_approx};
use crate::csr::bits::mstatus;
use crate::features::Ext;
use tcg_core::eval::{float1, float2};
use tcg_core::fp;
use tcg_core::ir::Op;
use tcg_core::sem::{FloatMode, Rm, flags};
use tcg_core::ty::Ty;

fn sign_bit(ty: Ty) -> u64 {
    1 << (ty.bits() - 1)
}

/// Product and sum with the signs of both as asked for.
fn fused(ty: Ty, [a, b, c]: [u64; 3], (product, addend): (bool, bool), rm: Rm, raised: &mut u32) -> u64 {
    let flip = |v: u64, flip: bool| if flip { v ^ sign_bit(ty) } else { v };
    fp::fmuladd(ty, [flip(a, product), b, flip(c, addend)], rm.into(), raised)
}

/// Which of the multiply-add family `f6` is: (product negated, addend negated).
fn signs(f6: u32) -> (bool, bool) {
    match f6 & 3 {
        0 => (false, false),
        1 => (true, true),
        2 => (false, true),
        _ => (true, false),
    }
}

/// The class of `a`, as `fclass` has it.
fn classify(ty: Ty, a: u64) -> u64 {
    let negative = a & sign_bit(ty) != 0;
    let size = a & (sign_bit(ty) - 1);
    let bit = if fp::is_nan(ty, a) {
        return if fp::is_snan(ty, a) { 1 << 8 } else { 1 << 9 };
    } else if size == fp::infinity(ty) {
        0
    } else if size == 0 {
        3
    } else if fp::is_subnormal(ty, a) {
        2
    } else {
        1
    };
    1 << if negative { bit } else { 7 - bit }
}

impl Unit<'_> {
    /// The float type of elements of `1 << eew` bytes.
    fn float_type(&self, eew: u32) -> Result<Ty, Stop> {
        let (ty, ext) = match eew {
            1 => (Ty::F16, Ext::Zvfh),
            2 => (Ty::F32, Ext::Zve32f),
            3 => (Ty::F64, Ext::Zve64d),
            _ => return Err(Stop::Illegal),
        };
        if self.hart.csr.features.has(ext) { Ok(ty) } else { Err(Stop::Illegal) }
    }

    /// Raises flags.
    fn raise(&mut self, raised: u32) {
        self.hart.head.fp_flags |= raised;
    }

    /// The scalar operand: `f[rs1]`, the canonical NaN if it holds no float of that type.
    fn scalar_float(&self, ty: Ty) -> u64 {
        let bits = self.hart.f[self.f.first()];
        match ty {
            Ty::F32 if bits >> 32 != 0xffff_ffff => fp::canonical_nan(ty),
            Ty::F16 if bits >> 16 != 0xffff_ffff_ffff => fp::canonical_nan(ty),
            _ => bits & ty.mask(),
        }
    }

    fn float_operand(&self, i: usize, eew: u32, ty: Ty) -> u64 {
        if self.is_vector() { self.get(self.f.first(), i, eew) } else { self.scalar_float(ty) }
    }

    /// OPFVV, OPFVF.
    pub(super) fn float(&mut self) -> Done {
        let Some(rm) = Rm::from_bits(self.hart.csr.frm) else { return Err(Stop::Illegal) };
        if self.hart.csr.mstatus & mstatus::FS == 0 {
            return Err(Stop::Illegal);
        }
        let f6 = self.f.funct6();
        let done = match f6 {
            0x12 => self.convert(rm),
            0x10 if self.is_vector() => self.float_to_scalar(),
            0x01 | 0x03 | 0x05 | 0x07 => self.reduce_float(rm),
            0x31 | 0x33 => self.reduce_float_wide(rm),
            0x30..=0x3f => self.widen_float(rm),
            _ => {
                let ty = self.float_type(self.sew)?;
                match f6 {
                    0x0e | 0x0f => {
                        let value = self.scalar_float(ty);
                        self.slide_one(value)
                    }
                    0x10 => {
                        let value = self.scalar_float(ty);
                        self.set_first(value)
                    }
                    0x13 => self.unary_float(ty, rm),
                    0x17 => self.merge_float(ty),
                    0x18..=0x1f => self.compare_float(ty),
                    _ => self.arithmetic(ty, rm),
                }
            }
        };
        self.hart.csr.mstatus |= mstatus::FS;
        done
    }

    fn arithmetic(&mut self, ty: Ty, rm: Rm) -> Done {
        let (vd, vs2, sew, f6) = (self.f.vd(), self.f.vs2(), self.sew, self.f.funct6());
        let to = self.destination(sew)?;
        self.source(vs2, sew, to)?;
        if self.is_vector() {
            self.source(self.f.first(), sew, to)?;
        }
        let mode: FloatMode = rm.into();
        self.body(|u, i| {
            let (a, b, d) = (u.get(vs2, i, sew), u.float_operand(i, sew, ty), u.get(vd, i, sew));
            let (size, sign) = (a & (sign_bit(ty) - 1), b & sign_bit(ty));
            let mut raised = 0;
            let r = &mut raised;
            let value = match f6 {
                0x00 => fp::add(ty, a, b, mode, r),
                0x02 => fp::sub(ty, a, b, mode, r),
                0x04 => float2(Op::FMin, ty, 0, [a, b], r),
                0x06 => float2(Op::FMax, ty, 0, [a, b], r),
                0x08 => size | sign,
                0x09 => size | sign ^ sign_bit(ty),
                0x0a => a ^ sign,
                0x20 => fp::div(ty, a, b, mode, r),
                0x21 => fp::div(ty, b, a, mode, r),
                0x24 => fp::mul(ty, a, b, mode, r),
                0x27 => fp::sub(ty, b, a, mode, r),
                0x28..=0x2b => fused(ty, [d, b, a], signs(f6), rm, r),
                _ => fused(ty, [a, b, d], signs(f6), rm, r),
            };
            u.raise(raised);
            u.set(vd, i, sew, value);
        });
        Ok(())
    }

    fn widen_float(&mut self, rm: Rm) -> Done {
        let (vd, vs2, sew, f6) = (self.f.vd(), self.f.vs2(), self.sew, self.f.funct6());
        let narrow = self.float_type(sew)?;
        let ty = self.float_type(sew + 1)?;
        let to = self.destination(sew + 1)?;
        let wide_source = matches!(f6, 0x34 | 0x36);
        let first = self.source(vs2, if wide_source { sew + 1 } else { sew }, to)?;
        if self.is_vector() {
            let second = self.source(self.f.first(), sew, to)?;
            self.check_widths(first, second)?;
            if matches!(f6, 0x3c..=0x3f) {
                self.check_widths(to, second)?;
            }
        }
        if matches!(f6, 0x3c..=0x3f) {
            self.check_widths(to, first)?;
        }
        let mode: FloatMode = rm.into();
        self.body(|u, i| {
            let mut raised = 0;
            let r = &mut raised;
            let widen = |a: u64, r: &mut u32| fp::convert((narrow, ty), a, mode, r);
            let a = if wide_source { u.get(vs2, i, sew + 1) } else { widen(u.get(vs2, i, sew), r) };
            let b = widen(u.float_operand(i, sew, narrow), r);
            let d = u.get(vd, i, sew + 1);
            let value = match f6 {
                0x30 | 0x34 => fp::add(ty, a, b, mode, r),
                0x32 | 0x36 => fp::sub(ty, a, b, mode, r),
                0x38 => fp::mul(ty, a, b, mode, r),
                _ => fused(ty, [a, b, d], signs(f6), rm, r),
            };
            u.raise(raised);
            u.set(vd, i, sew + 1, value);
        });
        Ok(())
    }

    fn unary_float(&mut self, ty: Ty, rm: Rm) -> Done {
        let (vd, vs2, sew, form) = (self.f.vd(), self.f.vs2(), self.sew, self.f.first());
        let to = self.destination(sew)?;
        self.source(vs2, sew, to)?;
        self.body(|u, i| {
            let (a, mut raised) = (u.get(vs2, i, sew), 0);
            let value = match form {
                0 => fp::sqrt(ty, a, rm.into(), &mut raised),
                4 => float_approx::rsqrt7(ty, a, &mut raised),
                5 => float_approx::rec7(ty, a, rm, &mut raised),
                _ => classify(ty, a),
            };
            u.raise(raised);
            u.set(vd, i, sew, value);
        });
        Ok(())
    }

    fn merge_float(&mut self, ty: Ty) -> Done {
        let (vd, vs2, sew) = (self.f.vd(), self.f.vs2(), self.sew);
        let to = self.destination(sew)?;
        if self.f.masked() {
            self.source(vs2, sew, to)?;
        }
        let scalar = self.scalar_float(ty);
        for i in self.vstart..self.vl {
            let value = if self.active(i) { scalar } else { self.get(vs2, i, sew) };
            self.set(vd, i, sew, value);
        }
        Ok(())
    }

    fn compare_float(&mut self, ty: Ty) -> Done {
        let (vd, vs2, sew, f6) = (self.f.vd(), self.f.vs2(), self.sew, self.f.funct6());
        let mut sources = vec![vs2];
        sources.extend(self.is_vector().then_some(self.f.first()));
        self.mask_destination(&sources)?;
        self.body(|u, i| {
            let (a, b) = (u.get(vs2, i, sew), u.float_operand(i, sew, ty));
            let mut raised = 0;
            let holds = match f6 {
                0x18 => float2(Op::FEq, ty, 0, [a, b], &mut raised) != 0,
                0x19 => float2(Op::FLe, ty, 0, [a, b], &mut raised) != 0,
                0x1b => float2(Op::FLt, ty, 0, [a, b], &mut raised) != 0,
                0x1c => float2(Op::FEq, ty, 0, [a, b], &mut raised) == 0,
                0x1d => float2(Op::FLt, ty, 0, [b, a], &mut raised) != 0,
                _ => float2(Op::FLe, ty, 0, [b, a], &mut raised) != 0,
            };
            u.raise(raised);
            u.set_bit(vd, i, holds);
        });
        Ok(())
    }

    fn float_to_scalar(&mut self) -> Done {
        let ty = self.float_type(self.sew)?;
        let value = self.get(self.f.vs2(), 0, self.sew);
        self.hart.f[self.f.vd()] = value | !ty.mask();
        Ok(())
    }

    fn reduce_float(&mut self, rm: Rm) -> Done {
        let (f6, sew) = (self.f.funct6(), self.sew);
        let ty = self.float_type(sew)?;
        self.fold((sew, sew), |u, a, b| {
            let mut raised = 0;
            let value = match f6 {
                0x05 => float2(Op::FMin, ty, 0, [a, b], &mut raised),
                0x07 => float2(Op::FMax, ty, 0, [a, b], &mut raised),
                _ => fp::add(ty, a, b, rm.into(), &mut raised),
            };
            u.raise(raised);
            value
        })
    }

    fn reduce_float_wide(&mut self, rm: Rm) -> Done {
        let sew = self.sew;
        let narrow = self.float_type(sew)?;
        let ty = self.float_type(sew + 1)?;
        self.fold((sew, sew + 1), |u, a, b| {
            let mut raised = 0;
            let b = fp::convert((narrow, ty), b, rm.into(), &mut raised);
            let value = fp::add(ty, a, b, rm.into(), &mut raised);
            u.raise(raised);
            value
        })
    }

    /// `vfcvt`, `vfwcvt`, `vfncvt`.
    fn convert(&mut self, rm: Rm) -> Done {
        let (vd, vs2, sew, form) = (self.f.vd(), self.f.vs2(), self.sew, self.f.first() as u32);
        let (from, to) = match form >> 3 {
            0 => (sew, sew),
            1 => (sew, sew + 1),
            _ => (sew + 1, sew),
        };
        let group = self.destination(to)?;
        self.source(vs2, from, group)?;
        let rm = if form & 6 == 6 { Rm::Rtz } else { rm };
        // From float, to float.
        let (reads, gives) = match form & 7 {
            0 | 1 | 6 | 7 => (true, false),
            2 | 3 => (false, true),
            _ => (true, true),
        };
        let halves = form & 7 == 4 && self.hart.csr.features.has(Ext::Zvfhmin);
        let float_type = |eew| if halves && eew == 1 { Ok(Ty::F16) } else { self.float_type(eew) };
        let source = if reads { Some(float_type(from)?) } else { None };
        let result = if gives { Some(float_type(to)?) } else { None };
        let (signed, odd) = (form & 1 != 0, form & 7 == 5);
        self.body(|u, i| {
            let (a, mut raised) = (u.get(vs2, i, from), 0);
            let value = match (source, result) {
                (Some(source), Some(result)) if odd => to_odd((source, result), a, &mut raised),
                (Some(source), Some(result)) => fp::convert((source, result), a, rm.into(), &mut raised),
                (Some(source), None) => to_integer(source, to, signed, a, (rm, &mut raised)),
                (None, result) => {
                    let wide = if signed { super::sign(a, from) as u64 } else { a };
                    let op = if signed { Op::SToF } else { Op::UToF };
                    float1(op, (Ty::I64, result.unwrap_or(Ty::F64)), rm as u64, wide, &mut raised)
                }
            };
            u.raise(raised);
            u.set(vd, i, to, value);
        });
        Ok(())
    }
}

/// Narrowed with rounding to odd: truncated, and the last bit set if that lost anything.
fn to_odd(types: (Ty, Ty), a: u64, raised: &mut u32) -> u64 {
    let mut own = 0;
    let value = fp::convert(types, a, Rm::Rtz.into(), &mut own);
    *raised |= own;
    if own & flags::NX != 0 { value | 1 } else { value }
}

/// To an integer of `1 << eew` bytes, saturating.
fn to_integer(from: Ty, eew: u32, signed: bool, a: u64, (rm, raised): (Rm, &mut u32)) -> u64 {
    let op = if signed { Op::FToS } else { Op::FToU };
    if eew >= 2 {
        let to = if eew == 3 { Ty::I64 } else { Ty::I32 };
        return float1(op, (from, to), rm as u64, a, raised);
    }
    let mut own = 0;
    let wide = float1(op, (from, Ty::I64), rm as u64, a, &mut own);
    let bits = 8 << eew;
    let fits = if signed {
        (wide as i64).clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1) as u64
    } else {
        wide.min((1 << bits) - 1)
    };
    *raised |= if fits == wide { own } else { flags::NV };
    fits
}

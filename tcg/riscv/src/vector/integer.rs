//! Integer arithmetic, 31.11; the saturating and averaging operations of 31.12 have its forms.

use super::{Done, Fields, Stop, Unit, fixed, sign};

/// The operands of one element: vs2's, the other one's, and what the destination holds.
#[derive(Clone, Copy)]
pub(super) struct Element {
    pub a: u64,
    pub b: u64,
    pub d: u64,
}

impl Fields {
    /// The constant of OPIVI: unsigned for shifts.
    fn constant(self) -> u64 {
        match self.funct6() {
            0x14 | 0x15 => ((self.funct6() & 1) as usize * 32 + self.first()) as u64,
            0x25 | 0x28..=0x2f | 0x35 => self.first() as u64,
            _ => self.simm(),
        }
    }
}

impl Unit<'_> {
    /// The second operand of element `i`, of `1 << eew` bytes.
    pub(super) fn operand(&self, i: usize, eew: u32) -> u64 {
        match self.f.funct3() {
            0b000 | 0b010 => self.get(self.f.first(), i, eew),
            0b011 => self.f.constant() & Self::mask_of(eew),
            _ => self.x(self.f.first()) & Self::mask_of(eew),
        }
    }

    /// Whether the second operand is a vector.
    pub(super) fn is_vector(&self) -> bool {
        matches!(self.f.funct3(), 0b000..=0b010)
    }

    /// Operations whose elements all have one width.
    pub(super) fn integer(&mut self) -> Done {
        let (vd, vs2, eew) = (self.f.vd(), self.f.vs2(), self.sew);
        let to = self.destination(eew)?;
        self.source(vs2, eew, to)?;
        let unary = self.f.funct3() == 0b010 && self.f.funct6() == 0x12;
        if self.is_vector() && !unary {
            self.source(self.f.first(), eew, to)?;
        }
        let multiply = matches!(self.f.funct3(), 0b010 | 0b110);
        let (f6, form) = (self.f.funct6(), self.f.first());
        self.body(|u, i| {
            let b = if unary { 0 } else { u.operand(i, eew) };
            let e = Element { a: u.get(vs2, i, eew), b, d: u.get(vd, i, eew) };
            let value = match (multiply, f6) {
                (false, 0x20..=0x23 | 0x27 | 0x2a | 0x2b) | (true, 0x08..=0x0b) => {
                    let v = &mut u.hart.csr.vector;
                    fixed::element(multiply, f6, e, eew, v)
                }
                (false, 0x14) if u.f.funct3() == 0b011 => rotated(e.a, e.b, eew),
                (false, 0x15) if u.f.funct3() == 0b011 => rotated(e.a, e.b, eew),
                (false, _) => simple(f6, e, eew),
                (true, 0x12) => bits_of(form, e.a, eew),
                (true, _) => product(f6, e, eew),
            };
            u.set(vd, i, eew, value);
        });
        Ok(())
    }

    /// Operations with a result, and perhaps a first source, of twice SEW.
    pub(super) fn widening(&mut self) -> Done {
        let (vd, vs2, sew, f6) = (self.f.vd(), self.f.vs2(), self.sew, self.f.funct6());
        let to = self.destination(sew + 1)?;
        // The integer class has one row here, `vwsll`.
        let shifts = matches!(self.f.funct3(), 0b000 | 0b011 | 0b100);
        let wide_source = !shifts && matches!(f6, 0x34..=0x37);
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
        self.body(|u, i| {
            let (a, b) = (u.get(vs2, i, sew), u.operand(i, sew));
            let (sa, sb) = (sign(a, sew) as u64, sign(b, sew) as u64);
            let (wide, d) = (if wide_source { u.get(vs2, i, sew + 1) } else { 0 }, u.get(vd, i, sew + 1));
            let value = match f6 {
                _ if shifts => a << (b as u32 & ((16 << sew) - 1)),
                0x30 => a.wrapping_add(b),
                0x31 => sa.wrapping_add(sb),
                0x32 => a.wrapping_sub(b),
                0x33 => sa.wrapping_sub(sb),
                0x34 => wide.wrapping_add(b),
                0x35 => wide.wrapping_add(sb),
                0x36 => wide.wrapping_sub(b),
                0x37 => wide.wrapping_sub(sb),
                0x38 => a.wrapping_mul(b),
                0x3a => sa.wrapping_mul(b),
                0x3b => sa.wrapping_mul(sb),
                0x3c => a.wrapping_mul(b).wrapping_add(d),
                0x3d => sa.wrapping_mul(sb).wrapping_add(d),
                0x3e => sa.wrapping_mul(b).wrapping_add(d),
                _ => a.wrapping_mul(sb).wrapping_add(d),
            };
            u.set(vd, i, sew + 1, value);
        });
        Ok(())
    }

    /// Shifts and clips of elements of twice SEW.
    pub(super) fn narrow(&mut self) -> Done {
        let (vd, vs2, sew, f6) = (self.f.vd(), self.f.vs2(), self.sew, self.f.funct6());
        let to = self.destination(sew)?;
        let first = self.source(vs2, sew + 1, to)?;
        if self.is_vector() {
            let second = self.source(self.f.first(), sew, to)?;
            self.check_widths(first, second)?;
        }
        self.body(|u, i| {
            let (a, by) = (u.get(vs2, i, sew + 1), u.operand(i, sew) as u32 & ((16 << sew) - 1));
            let value = match f6 {
                0x2c => a >> by,
                0x2d => (sign(a, sew + 1) >> by) as u64,
                _ => fixed::clip(f6 == 0x2f, a, by, sew, &mut u.hart.csr.vector),
            };
            u.set(vd, i, sew, value);
        });
        Ok(())
    }

    /// `vzext`, `vsext`.
    pub(super) fn extend(&mut self) -> Done {
        let (vd, vs2, sew, form) = (self.f.vd(), self.f.vs2(), self.sew, self.f.first());
        let from = sew.checked_sub(4 - form as u32 / 2).ok_or(Stop::Illegal)?;
        let to = self.destination(sew)?;
        self.source(vs2, from, to)?;
        self.body(|u, i| {
            let value = if form & 1 != 0 { u.get_signed(vs2, i, from) as u64 } else { u.get(vs2, i, from) };
            u.set(vd, i, sew, value);
        });
        Ok(())
    }

    /// `vadc`, `vsbc` and the carries alone.
    pub(super) fn carry(&mut self) -> Done {
        let (vd, vs2, sew, f6) = (self.f.vd(), self.f.vs2(), self.sew, self.f.funct6());
        let with_mask = self.f.masked();
        let (borrow, to_mask) = (f6 & 2 != 0, f6 & 1 != 0);
        let mut sources = vec![vs2];
        sources.extend(self.is_vector().then_some(self.f.first()));
        if to_mask {
            self.mask_destination(&sources)?;
        } else {
            self.destination(sew)?;
            sources.iter().try_for_each(|reg| self.any_group(*reg, sew).map(|_| ()))?;
        }
        for i in self.vstart..self.vl {
            let (a, b) = (u128::from(self.get(vs2, i, sew)), u128::from(self.operand(i, sew)));
            let carry = u128::from(with_mask && self.bit(0, i));
            let value = if borrow { a.wrapping_sub(b).wrapping_sub(carry) } else { a + b + carry };
            if to_mask {
                self.set_bit(vd, i, value >> (8 << sew) & 1 != 0);
            } else {
                self.set(vd, i, sew, value as u64);
            }
        }
        Ok(())
    }

    /// `vmerge`, `vmv.v`.
    pub(super) fn merge(&mut self) -> Done {
        let (vd, vs2, sew) = (self.f.vd(), self.f.vs2(), self.sew);
        let to = self.destination(sew)?;
        if self.f.masked() {
            self.source(vs2, sew, to)?;
        }
        if self.is_vector() {
            self.source(self.f.first(), sew, to)?;
        }
        for i in self.vstart..self.vl {
            let value = if self.active(i) { self.operand(i, sew) } else { self.get(vs2, i, sew) };
            self.set(vd, i, sew, value);
        }
        Ok(())
    }

    /// Comparisons, which give a mask.
    pub(super) fn compare(&mut self) -> Done {
        let (vd, vs2, sew, f6) = (self.f.vd(), self.f.vs2(), self.sew, self.f.funct6());
        let mut sources = vec![vs2];
        sources.extend(self.is_vector().then_some(self.f.first()));
        self.mask_destination(&sources)?;
        self.body(|u, i| {
            let (a, b) = (u.get(vs2, i, sew), u.operand(i, sew));
            let (sa, sb) = (sign(a, sew), sign(b, sew));
            let holds = match f6 {
                0x18 => a == b,
                0x19 => a != b,
                0x1a => a < b,
                0x1b => sa < sb,
                0x1c => a <= b,
                0x1d => sa <= sb,
                0x1e => a > b,
                _ => sa > sb,
            };
            u.set_bit(vd, i, holds);
        });
        Ok(())
    }
}

/// `a` of `1 << eew` bytes rotated right by the low bits of `by`.
fn rotated(a: u64, by: u64, eew: u32) -> u64 {
    let bits = 8 << eew;
    let by = by as u32 & (bits - 1);
    if by == 0 { a } else { a >> by | a << (bits - by) }
}

/// The operations of Zvbb and Zvkb that have one operand.
fn bits_of(form: usize, a: u64, eew: u32) -> u64 {
    let (bits, unused) = (8u32 << eew, 64 - (8 << eew));
    match form {
        0x08 => u64::from_le_bytes(a.to_le_bytes().map(u8::reverse_bits)),
        0x09 => a.swap_bytes() >> unused,
        0x0a => a.reverse_bits() >> unused,
        0x0c => u64::from(a.leading_zeros() - unused),
        0x0d => u64::from(a.trailing_zeros().min(bits)),
        _ => a.count_ones().into(),
    }
}

/// OPI operations on one element.
fn simple(f6: u32, Element { a, b, .. }: Element, eew: u32) -> u64 {
    let (sa, sb) = (sign(a, eew), sign(b, eew));
    let by = b as u32 & ((8 << eew) - 1);
    match f6 {
        0x00 => a.wrapping_add(b),
        0x01 => a & !b,
        0x02 => a.wrapping_sub(b),
        0x03 => b.wrapping_sub(a),
        0x04 => a.min(b),
        0x05 => sa.min(sb) as u64,
        0x06 => a.max(b),
        0x07 => sa.max(sb) as u64,
        0x09 => a & b,
        0x0a => a | b,
        0x0b => a ^ b,
        0x14 => rotated(a, b, eew),
        0x15 => rotated(a, b.wrapping_neg(), eew),
        0x25 => a << by,
        0x28 => a >> by,
        _ => (sa >> by) as u64,
    }
}

/// The carry-less product.
fn carryless(a: u64, b: u64) -> u128 {
    (0..64).filter(|bit| b >> bit & 1 != 0).fold(0, |product, bit| product ^ u128::from(a) << bit)
}

/// OPM operations on one element.
fn product(f6: u32, Element { a, b, d }: Element, eew: u32) -> u64 {
    let (sa, sb) = (sign(a, eew), sign(b, eew));
    let high = |p: i128| (p >> (8 << eew)) as u64;
    match f6 {
        0x0c => carryless(a, b) as u64,
        0x0d => (carryless(a, b) >> 64) as u64,
        0x20 => a.checked_div(b).unwrap_or(u64::MAX),
        0x21 if b == 0 => u64::MAX,
        0x21 => sa.wrapping_div(sb) as u64,
        0x22 => a.checked_rem(b).unwrap_or(a),
        0x23 if b == 0 => a,
        0x23 => sa.wrapping_rem(sb) as u64,
        0x24 => ((u128::from(a) * u128::from(b)) >> (8 << eew)) as u64,
        0x25 => a.wrapping_mul(b),
        0x26 => high(i128::from(sa).wrapping_mul(i128::from(b))),
        0x27 => high(i128::from(sa) * i128::from(sb)),
        0x29 => d.wrapping_mul(b).wrapping_add(a),
        0x2b => a.wrapping_sub(d.wrapping_mul(b)),
        0x2d => a.wrapping_mul(b).wrapping_add(d),
        _ => d.wrapping_sub(a.wrapping_mul(b)),
    }
}

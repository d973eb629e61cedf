//! Operations on masks, 31.15, and moves between masks or elements 0 and scalar registers.

use super::{Done, Group, Stop, Unit};

impl Unit<'_> {
    /// Logic between mask registers.
    pub(super) fn mask_logic(&mut self) -> Done {
        let (vd, vs1, vs2, f6) = (self.f.vd(), self.f.first(), self.f.vs2(), self.f.funct6());
        for i in self.vstart..self.vl {
            let (a, b) = (self.bit(vs2, i), self.bit(vs1, i));
            let value = match f6 {
                0x18 => a && !b,
                0x19 => a && b,
                0x1a => a || b,
                0x1b => a != b,
                0x1c => a || !b,
                0x1d => !(a && b),
                0x1e => !(a || b),
                _ => a == b,
            };
            self.set_bit(vd, i, value);
        }
        Ok(())
    }

    /// `vmv.x.s`, `vcpop.m`, `vfirst.m`.
    pub(super) fn scalar_result(&mut self) -> Done {
        let (rd, vs2) = (self.f.vd(), self.f.vs2());
        let form = self.f.first();
        if form != 0 && self.vstart != 0 {
            return Err(Stop::Illegal);
        }
        let set = |u: &Self, i: &usize| u.active(*i) && u.bit(vs2, *i);
        let value = match form {
            0 => self.get_signed(vs2, 0, self.sew) as u64,
            0x10 => (0..self.vl).filter(|i| set(self, i)).count() as u64,
            _ => (0..self.vl).find(|i| set(self, i)).map_or(u64::MAX, |i| i as u64),
        };
        if rd != 0 {
            self.hart.x[rd] = value;
        }
        Ok(())
    }

    /// `vmv.s.x`, `vfmv.s.f`.
    pub(super) fn set_first(&mut self, value: u64) -> Done {
        if self.vstart < self.vl {
            self.set(self.f.vd(), 0, self.sew, value);
        }
        Ok(())
    }

    /// `vmsbf.m`, `vmsof.m`, `vmsif.m`, `viota.m`, `vid.v`.
    pub(super) fn mask_unary(&mut self) -> Done {
        let (vd, vs2, sew, form) = (self.f.vd(), self.f.vs2(), self.sew, self.f.first());
        if form == 0x11 {
            self.destination(sew)?;
            self.body(|u, i| u.set(vd, i, sew, i as u64));
            return Ok(());
        }
        if self.vstart != 0 {
            return Err(Stop::Illegal);
        }
        let mask = Group { reg: vs2, eew: 0, emul: 0 };
        if form == 0x10 {
            let to = self.destination(sew)?;
            if to.overlaps(mask) {
                return Err(Stop::Illegal);
            }
            let mut count = 0;
            self.body(|u, i| {
                u.set(vd, i, sew, count);
                count += u64::from(u.bit(vs2, i));
            });
            return Ok(());
        }
        if vd == vs2 || self.f.masked() && vd == 0 {
            return Err(Stop::Illegal);
        }
        let mut found = false;
        self.body(|u, i| {
            let here = u.bit(vs2, i);
            let value = match form {
                1 => !found && !here,
                2 => !found && here,
                _ => !found,
            };
            found |= here;
            u.set_bit(vd, i, value);
        });
        Ok(())
    }
}

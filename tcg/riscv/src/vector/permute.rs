//! Permutations, 31.16.

use super::{Done, Group, Stop, Unit, vlmax};

/// `vcompress.vm` on 128 bits: elements of `1 << sew` bytes, the mask in the low bits, the destination.
pub fn compressed(sew: u32, [from, mask, old]: [u128; 3]) -> u128 {
    let (size, from, mut to) = (1usize << sew, from.to_le_bytes(), old.to_le_bytes());
    let chosen = (0..16 >> sew).filter(|i| mask >> i & 1 != 0);
    for (place, i) in chosen.enumerate() {
        to[place * size..][..size].copy_from_slice(&from[i * size..][..size]);
    }
    u128::from_le_bytes(to)
}

impl Unit<'_> {
    fn vlmax(&self) -> usize {
        vlmax(self.hart.csr.vector.vtype, &self.hart.csr.features) as usize
    }

    /// The distance of a slide, or the index of a gather.
    fn scalar(&self) -> u64 {
        if self.f.funct3() == 0b011 { self.f.first() as u64 } else { self.x(self.f.first()) }
    }

    fn apart(&self, to: Group, source: Group) -> Done {
        if to.overlaps(source) { Err(Stop::Illegal) } else { Ok(()) }
    }

    /// `vrgather`, whose vector of indices has elements of `1 << index` bytes.
    pub(super) fn gather(&mut self, index: u32) -> Done {
        let (vd, vs1, vs2, sew, max) = (self.f.vd(), self.f.first(), self.f.vs2(), self.sew, self.vlmax());
        let to = self.destination(sew)?;
        let table = self.group(vs2, sew)?;
        self.apart(to, table)?;
        let vector = self.f.funct3() == 0;
        if vector {
            let indices = self.group(vs1, index)?;
            self.apart(to, indices)?;
            self.check_widths(table, indices)?;
        }
        let scalar = self.scalar();
        self.body(|u, i| {
            let from = if vector { u.get(vs1, i, index) } else { scalar };
            let value = match usize::try_from(from) {
                Ok(from) if from < max => u.get(vs2, from, sew),
                _ => 0,
            };
            u.set(vd, i, sew, value);
        });
        Ok(())
    }

    pub(super) fn slide_up(&mut self) -> Done {
        let (vd, vs2, sew, by) = (self.f.vd(), self.f.vs2(), self.sew, self.scalar());
        let to = self.destination(sew)?;
        self.apart(to, self.group(vs2, sew)?)?;
        self.body(|u, i| {
            if let Some(from) = (i as u64).checked_sub(by) {
                let value = u.get(vs2, from as usize, sew);
                u.set(vd, i, sew, value);
            }
        });
        Ok(())
    }

    pub(super) fn slide_down(&mut self) -> Done {
        let (vd, vs2, sew, by) = (self.f.vd(), self.f.vs2(), self.sew, self.scalar());
        let max = self.vlmax() as u64;
        let to = self.destination(sew)?;
        self.source(vs2, sew, to)?;
        self.body(|u, i| {
            let value = match by.checked_add(i as u64) {
                Some(from) if from < max => u.get(vs2, from as usize, sew),
                _ => 0,
            };
            u.set(vd, i, sew, value);
        });
        Ok(())
    }

    /// `vslide1up`, `vslide1down` and the like for floats.
    pub(super) fn slide_one(&mut self, value: u64) -> Done {
        let (vd, vs2, sew, vl) = (self.f.vd(), self.f.vs2(), self.sew, self.vl);
        let up = self.f.funct6() == 0x0e;
        let to = self.destination(sew)?;
        let from = self.group(vs2, sew)?;
        if up {
            self.apart(to, from)?;
        }
        self.body(|u, i| {
            let element = match (up, i) {
                (true, 0) => value,
                (true, _) => u.get(vs2, i - 1, sew),
                (false, _) if i + 1 == vl => value,
                (false, _) => u.get(vs2, i + 1, sew),
            };
            u.set(vd, i, sew, element);
        });
        Ok(())
    }

    pub(super) fn compress(&mut self) -> Done {
        let (vd, vs1, vs2, sew) = (self.f.vd(), self.f.first(), self.f.vs2(), self.sew);
        let to = self.group(vd, sew)?;
        let (from, mask) = (self.group(vs2, sew)?, Group { reg: vs1, eew: 0, emul: 0 });
        self.apart(to, from)?;
        self.apart(to, mask)?;
        if self.vstart != 0 {
            return Err(Stop::Illegal);
        }
        let mut at = 0;
        for i in 0..self.vl {
            if self.bit(vs1, i) {
                let value = self.get(vs2, i, sew);
                self.set(vd, at, sew, value);
                at += 1;
            }
        }
        Ok(())
    }

    pub(super) fn moves_whole_registers(&self) -> bool {
        self.f.at(0, 7) == 0x57 && self.f.funct3() == 0b011 && self.f.funct6() == 0x27
    }

    /// `vmv<n>r.v`.
    pub(super) fn move_whole(&mut self) -> Done {
        let (vd, vs2, count) = (self.f.vd(), self.f.vs2(), self.f.first() + 1);
        if !vd.is_multiple_of(count) || !vs2.is_multiple_of(count) {
            return Err(Stop::Illegal);
        }
        let bytes = count * self.vlenb;
        let first = (self.vstart << self.sew.min(3)).min(bytes);
        let from = vs2 * self.vlenb;
        self.hart.v.bytes_mut().copy_within(from + first..from + bytes, vd * self.vlenb + first);
        Ok(())
    }
}

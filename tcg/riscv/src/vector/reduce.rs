//! Reductions of integers, 31.14.

use super::{Done, Stop, Unit, sign};

impl Unit<'_> {
    /// Folds the active elements of vs2, `1 << from` bytes wide, into element 0 of vs1, `1 << to` bytes wide, and puts
    /// that into element 0 of vd.
    pub(super) fn fold(
        &mut self,
        (from, to): (u32, u32),
        mut step: impl FnMut(&mut Self, u64, u64) -> u64,
    ) -> Done {
        let (vd, vs1, vs2) = (self.f.vd(), self.f.first(), self.f.vs2());
        self.any_group(vs2, from)?;
        if to > 3 || self.vstart != 0 {
            return Err(Stop::Illegal);
        }
        if self.vl == 0 {
            return Ok(());
        }
        let mut sum = self.get(vs1, 0, to);
        self.body(|u, i| {
            let element = u.get(vs2, i, from);
            sum = step(u, sum, element);
        });
        self.set(vd, 0, to, sum);
        Ok(())
    }

    pub(super) fn reduce(&mut self) -> Done {
        let (f6, sew) = (self.f.funct6(), self.sew);
        self.fold((sew, sew), |_, a, b| {
            let (sa, sb) = (sign(a, sew), sign(b, sew));
            match f6 {
                0 => a.wrapping_add(b),
                1 => a & b,
                2 => a | b,
                3 => a ^ b,
                4 => a.min(b),
                5 => sa.min(sb) as u64,
                6 => a.max(b),
                _ => sa.max(sb) as u64,
            }
        })
    }

    pub(super) fn reduce_wide(&mut self) -> Done {
        let (signed, sew) = (self.f.funct6() == 0x31, self.sew);
        self.fold((sew, sew + 1), |_, a, b| a.wrapping_add(if signed { sign(b, sew) as u64 } else { b }))
    }
}

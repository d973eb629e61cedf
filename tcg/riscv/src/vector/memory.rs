//! Loads and stores, 31.7. An element that faults leaves its number in `vstart`, those before it done.

use super::{Done, Group, Stop, Unit};
use crate::Riscv;
use crate::cpu::Hart;
use base::PAGE_SHIFT;
use tcg_core::cpu::exit;
use tcg_core::guest::{self, Trap};
use tcg_core::interp;
use tcg_core::run::{Fault, with_mmu};
use tcg_core::sem::MemOp;
use tcg_core::ty::Ty;

/// Where an element's fields are.
enum Places {
    /// This far apart.
    Stride(u64),
    /// At offsets in a group of registers.
    Index(Group),
}

impl Unit<'_> {
    fn is_store(&self) -> bool {
        self.f.at(0, 7) == 0x27
    }

    /// One element between memory and register.
    fn transfer(&mut self, addr: u64, (reg, i, eew): (usize, usize, u32)) -> Result<(), Trap> {
        let op = MemOp::new(eew as u8);
        if !self.is_store() {
            let value =
                with_mmu::<Riscv, _>(self.hart, |hart, mmu| mmu.load::<Riscv>(hart, addr, op, Ty::I64));
            match value {
                Some(Ok(value)) => self.set(reg, i, eew, value),
                Some(Err(Fault::Trap(trap))) => return Err(trap),
                Some(Err(Fault::Again)) | None => {}
            }
            return Ok(());
        }
        let value = self.get(reg, i, eew);
        loop {
            match with_mmu::<Riscv, _>(self.hart, |hart, mmu| mmu.store::<Riscv>(hart, addr, value, op)) {
                Some(Err(Fault::Trap(trap))) => return Err(trap),
                // What was translated from there is gone: once more.
                Some(Err(Fault::Again)) => {}
                Some(Ok(())) | None => return Ok(()),
            }
        }
    }

    pub(super) fn memory(&mut self, vill: bool) -> Done {
        let fields = self.f.at(29, 3) as usize + 1;
        let eew = match self.f.funct3() {
            0 => 0,
            n => n - 4,
        };
        let base = self.x(self.f.first());
        let (mop, kind) = (self.f.at(26, 2), self.f.vs2());
        if (mop, kind) == (0, 8) {
            return self.whole(base, fields);
        }
        if vill {
            return Err(Stop::Illegal);
        }
        if (mop, kind) == (0, 11) {
            self.vl = self.vl.div_ceil(8);
            return self.elements(base, Places::Stride(1), (1, 0, 0), false);
        }
        // Indexed: EEW is that of the indices.
        let (places, data) = match mop {
            0 => (Places::Stride((fields << eew) as u64), eew),
            2 => (Places::Stride(self.x(kind)), eew),
            _ => (Places::Index(self.group(kind, eew)?), self.sew),
        };
        let vd = self.f.vd();
        let may_be_mask = self.is_store() && matches!(places, Places::Stride(_));
        let group = if may_be_mask { self.any_group(vd, data)? } else { self.group(vd, data)? };
        let registers = group.registers() * fields;
        let in_the_way = match places {
            Places::Index(index) if !self.is_store() => {
                let touched = group.reg..group.reg + registers;
                let overlaps = touched.start < index.reg + index.registers() && index.reg < touched.end;
                if fields > 1 { overlaps } else { self.check_overlap(group, index).is_err() }
            }
            Places::Index(index) => index.eew != group.eew && index.overlaps(group),
            _ => false,
        };
        if registers > 8 || group.reg + registers > 32 || in_the_way {
            return Err(Stop::Illegal);
        }
        let first_only = mop == 0 && kind == 16;
        self.elements(base, places, (fields, data, group.registers()), first_only)
    }

    /// Consecutive elements of a process, up to eight bytes at a time as far as nothing faults; what is left follows one by
    /// one.
    fn chunks(&mut self, base: u64, eew: u32) {
        let process = with_mmu::<Riscv, _>(self.hart, |_, mmu| mmu.is_process());
        if process != Some(true) {
            return;
        }
        let vd = self.f.vd();
        for size in (eew..=3).rev() {
            while self.vl.saturating_sub(self.vstart) << eew >= 1 << size {
                let at = self.vstart << eew;
                if self.chunk(base.wrapping_add(at as u64), (vd, at, size)).is_err() {
                    return;
                }
                self.vstart += 1 << size >> eew;
            }
        }
    }

    /// `1 << size` bytes of the group that begins at `reg`, `at` bytes into it.
    fn chunk(&mut self, addr: u64, (reg, at, size): (usize, usize, u32)) -> Result<(), Fault> {
        let (op, from) = (MemOp::new(size as u8), reg * self.vlenb + at);
        let place = from..from + (1 << size);
        let mut word = [0; 8];
        if self.is_store() {
            word[..1 << size].copy_from_slice(&self.hart.v.bytes()[place]);
            let value = u64::from_le_bytes(word);
            let done = with_mmu::<Riscv, _>(self.hart, |hart, mmu| mmu.store::<Riscv>(hart, addr, value, op));
            return done.unwrap_or(Ok(()));
        }
        let value = with_mmu::<Riscv, _>(self.hart, |hart, mmu| mmu.load::<Riscv>(hart, addr, op, Ty::I64));
        if let Some(value) = value.transpose()? {
            self.hart.v.bytes_mut()[place].copy_from_slice(&value.to_le_bytes()[..1 << size]);
        }
        Ok(())
    }

    /// All active elements: (fields, log2 of an element's bytes, registers a field).
    fn elements(
        &mut self,
        base: u64,
        places: Places,
        (fields, eew, registers): (usize, u32, usize),
        first_only: bool,
    ) -> Done {
        let vd = self.f.vd();
        if let (Places::Stride(stride), 1, false) = (&places, fields, self.f.masked())
            && *stride == 1 << eew
        {
            self.chunks(base, eew);
        }
        let mask_transfer = self.f.vs2() == 11 && self.f.at(26, 2) == 0;
        for i in self.vstart..self.vl {
            if !mask_transfer && !self.active(i) {
                continue;
            }
            let offset = match &places {
                Places::Stride(stride) => stride.wrapping_mul(i as u64),
                Places::Index(index) => self.get(index.reg, i, index.eew),
            };
            for field in 0..fields {
                let addr = base.wrapping_add(offset).wrapping_add((field << eew) as u64);
                match self.transfer(addr, (vd + field * registers, i, eew)) {
                    Ok(()) => {}
                    Err(trap) if first_only && i > 0 && trap.code != Trap::DEBUG => {
                        self.hart.csr.vector.vl = i as u64;
                        return Ok(());
                    }
                    Err(trap) => {
                        self.hart.csr.vector.vstart = i as u64;
                        return Err(Stop::Trap(trap));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whole registers, whatever `vtype` says.
    fn whole(&mut self, base: u64, count: usize) -> Done {
        if !count.is_power_of_two() || !self.f.vd().is_multiple_of(count) || self.f.masked() {
            return Err(Stop::Illegal);
        }
        let eew = if self.is_store() { 0 } else { self.f.funct3().saturating_sub(4) };
        self.vl = (count * self.vlenb) >> eew;
        self.elements(base, Places::Stride(1 << eew), (1, eew, count), false)
    }
}

/// Has `vl` be no more than what the fault-only-first load `bits` at `base` of `vl` consecutive elements, none of which is
/// masked off, can load; leaves the translation if it changes. The first element is the load's own affair.
pub fn trim(hart: &mut Hart, base: u64, (bits, vl): (u32, u64)) -> Result<u64, interp::Stop> {
    let size = 1u64 << (bits >> 12 & 3);
    let mut page = base >> PAGE_SHIFT;
    for i in 1..vl {
        let last = base.wrapping_add(i * size + size - 1);
        if last >> PAGE_SHIFT == page {
            continue;
        }
        page = last >> PAGE_SHIFT;
        let there =
            with_mmu::<Riscv, _>(hart, |hart, mmu| mmu.probe::<Riscv>(hart, last, guest::Access::Read));
        if matches!(there, Some(Err(_))) {
            hart.csr.vector.vl = i;
            return Err(interp::Stop::Leave(exit::RETRY));
        }
    }
    Ok(0)
}

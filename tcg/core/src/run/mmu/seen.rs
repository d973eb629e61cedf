//! Accesses to memory that observers see: those of the interpreter and of helpers. Generated code has its own
//! ([`crate::build`]), and takes the slow paths unseen.

use super::vector::MemoryLane;
use super::{Fault, Mmu};
use crate::guest::Guest;
use crate::observe::{Place, When};
use crate::sem::MemOp;
use crate::ty::Ty;
use base::PAGE_SIZE;

impl Mmu {
    /// Loads; the value is extended to `ty` as `op` says.
    pub fn load<G: Guest>(&mut self, cpu: &mut G::Cpu, addr: u64, op: MemOp, ty: Ty) -> Result<u64, Fault> {
        let value = self.load_unseen::<G>(cpu, addr, op, ty)?;
        self.loaded::<G>(cpu, addr, op);
        Ok(value)
    }

    /// Stores the low bytes of `value`.
    pub fn store<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        value: u64,
        op: MemOp,
    ) -> Result<(), Fault> {
        self.store_unseen::<G>(cpu, addr, value, op)?;
        self.stored::<G>(cpu, addr, op);
        Ok(())
    }

    /// Atomic read-modify-write; `imm` packs kind and size. Gives the old value, extended to `ty`.
    pub fn rmw<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        operand: u64,
        imm: u64,
        ty: Ty,
    ) -> Result<u64, Fault> {
        let old = self.rmw_unseen::<G>(cpu, addr, operand, imm, ty)?;
        self.updated::<G>(cpu, addr, MemOp::unpack(imm));
        Ok(old)
    }

    /// Atomic compare and swap; gives the old value, extended to `ty`.
    pub fn cas<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        values: [u64; 2],
        op: MemOp,
        ty: Ty,
    ) -> Result<u64, Fault> {
        let old = self.cas_unseen::<G>(cpu, addr, values, op, ty)?;
        self.updated::<G>(cpu, addr, op);
        Ok(old)
    }

    /// Atomic compare and swap of 16 aligned bytes; gives the old value.
    pub fn cas_128<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        values: [u128; 2],
    ) -> Result<u128, Fault> {
        let old = self.cas_128_unseen::<G>(cpu, addr, values)?;
        self.updated::<G>(cpu, addr, MemOp::new(4));
        Ok(old)
    }

    /// Loads 16 bytes.
    pub fn load_vector<G: Guest>(&mut self, cpu: &mut G::Cpu, addr: u64, op: MemOp) -> Result<u128, Fault> {
        let value = self.load_vector_unseen::<G>(cpu, addr, op)?;
        self.loaded::<G>(cpu, addr, op);
        Ok(value)
    }

    /// Stores 16 bytes; memory is not touched before both pages are known to take it.
    pub fn store_vector<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        value: u128,
        op: MemOp,
    ) -> Result<(), Fault> {
        self.store_vector_unseen::<G>(cpu, addr, value, op)?;
        self.stored::<G>(cpu, addr, op);
        Ok(())
    }

    /// Loads the lanes of 16 bytes that `mask` has bits of, and of these those bits.
    pub fn load_lanes<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        mask: u128,
        op: MemOp,
    ) -> Result<u128, Fault> {
        let value = self.load_lanes_unseen::<G>(cpu, addr, mask, op)?;
        for lane in MemoryLane::all(op).filter(|lane| lane.bits(mask) != 0) {
            self.loaded::<G>(cpu, addr.wrapping_add(lane.offset), op);
        }
        Ok(value)
    }

    /// Stores the lanes of the first vector whose highest bit the second has. Of one that faults, those before are stored.
    pub fn store_lanes<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        lanes: [u128; 2],
        op: MemOp,
    ) -> Result<(), Fault> {
        self.store_lanes_unseen::<G>(cpu, addr, lanes, op)?;
        for lane in MemoryLane::all(op).filter(|lane| lane.is_negative(lanes[1])) {
            self.stored::<G>(cpu, addr.wrapping_add(lane.offset), op);
        }
        Ok(())
    }

    #[inline]
    fn loaded<G: Guest>(&mut self, cpu: &mut G::Cpu, addr: u64, op: MemOp) {
        if self.observing.is_some() {
            self.accessed::<G>(cpu, addr, When::Load { size: op.size });
        }
    }

    #[inline]
    fn stored<G: Guest>(&mut self, cpu: &mut G::Cpu, addr: u64, op: MemOp) {
        if self.observing.is_some() {
            self.accessed::<G>(cpu, addr, When::Store { size: op.size });
        }
    }

    fn updated<G: Guest>(&mut self, cpu: &mut G::Cpu, addr: u64, op: MemOp) {
        self.loaded::<G>(cpu, addr, op);
        self.stored::<G>(cpu, addr, op);
    }

    fn accessed<G: Guest>(&mut self, cpu: &mut G::Cpu, addr: u64, when: When) {
        let place = Place { space: &self.space, phys: self.phys_of(addr, when) };
        if let Some(observing) = &self.observing {
            observing.access(cpu.as_mut(), place, when, addr);
        }
    }

    /// The guest-physical address of the access at `addr` that was made just now; `None` in a process.
    pub(in crate::run) fn phys_of(&self, addr: u64, when: When) -> Option<u64> {
        let write = match when {
            When::Load { .. } => false,
            When::Store { .. } => true,
            When::Before | When::After | When::Helper => return None,
        };
        if self.direct.is_some() {
            return None;
        }
        Some(self.contexts.lookup(addr, write)?.phys | addr & (PAGE_SIZE - 1))
    }
}

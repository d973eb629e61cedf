//! Accesses of 16 bytes: two of eight where the address is a multiple of eight, else byte by byte.

use super::{Fault, Mmu, Place, float, read_host, write_host};
use crate::guest::{Access, Guest};
use crate::sem::MemOp;
use crate::ty::Ty;
use base::Width;

/// A vector's size in bytes.
const BYTES: u64 = 16;

impl Mmu {
    /// [`Self::load_vector`], unseen.
    pub(in crate::run) fn load_vector_unseen<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        op: MemOp,
    ) -> Result<u128, Fault> {
        let in_words = self.is_in_words::<G>(cpu, addr, op, Access::Read)?;
        self.ask::<G>(cpu, addr, BYTES, Access::Read)?;
        if let Some(direct) = &mut self.direct {
            let part = MemOp::new(3);
            let low = direct.load::<G>(addr, part, Ty::I64)?;
            let high = direct.load::<G>(addr.wrapping_add(8), part, Ty::I64)?;
            return Ok(u128::from(high) << 64 | u128::from(low));
        }
        if !in_words {
            return self.load_bytes::<G>(cpu, addr, BYTES);
        }
        let mut value = 0;
        for offset in [0, 8] {
            let at = addr.wrapping_add(offset);
            let part = match self.place::<G>(cpu, at, Access::Read)? {
                // SAFETY: `place` gives an address with the whole aligned part inside one page of guest memory.
                Place::Host { host, .. } => unsafe { read_host(host, 3) },
                Place::Bus { .. } if self.leaves_devices => return Err(Fault::Again),
                Place::Bus { phys } => {
                    let read = float::with_host_mode(cpu.as_ref(), || self.space.read(phys, Width::B8));
                    read.ok_or_else(|| G::bus_fault(at, Access::Read))?
                }
            };
            value |= u128::from(part) << (8 * offset);
        }
        Ok(value)
    }

    /// [`Self::store_vector`], unseen.
    pub(in crate::run) fn store_vector_unseen<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        value: u128,
        op: MemOp,
    ) -> Result<(), Fault> {
        let in_words = self.is_in_words::<G>(cpu, addr, op, Access::Write)?;
        self.ask::<G>(cpu, addr, BYTES, Access::Write)?;
        if let Some(direct) = &mut self.direct {
            direct.probe::<G>(addr, Access::Write)?;
            direct.probe::<G>(addr.wrapping_add(BYTES - 1), Access::Write)?;
            let part = MemOp::new(3);
            direct.store::<G>(addr, value as u64, part)?;
            return direct.store::<G>(addr.wrapping_add(8), (value >> 64) as u64, part);
        }
        if !in_words {
            return self.store_bytes::<G>(cpu, addr, value, BYTES);
        }
        let words = [(addr, value as u64), (addr.wrapping_add(8), (value >> 64) as u64)];
        let mut places = [const { None }; 2];
        for ((at, _), known) in words.iter().zip(&mut places) {
            let place = self.place::<G>(cpu, *at, Access::Write)?;
            match place {
                Place::Host { phys, watched, .. } => self.check_code(phys, 8, watched)?,
                Place::Bus { .. } if self.leaves_devices => return Err(Fault::Again),
                Place::Bus { .. } => {}
            }
            *known = Some(place);
        }
        for ((at, word), place) in words.into_iter().zip(places.into_iter().flatten()) {
            match place {
                // SAFETY: an aligned part of RAM that `place` found; nothing was unmapped since (RAM never is).
                Place::Host { host, .. } => unsafe { write_host(host, word, 3) },
                Place::Bus { phys } => {
                    if !float::with_host_mode(cpu.as_ref(), || self.space.write(phys, Width::B8, word)) {
                        return Err(G::bus_fault(at, Access::Write).into());
                    }
                }
            }
        }
        Ok(())
    }

    /// [`Self::load_lanes`], unseen.
    pub(in crate::run) fn load_lanes_unseen<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        mask: u128,
        op: MemOp,
    ) -> Result<u128, Fault> {
        let mut value = 0;
        for lane in MemoryLane::all(op).filter(|lane| lane.bits(mask) != 0) {
            let loaded = self.load_unseen::<G>(cpu, addr.wrapping_add(lane.offset), op, Ty::I64)?;
            value |= u128::from(loaded & lane.bits(mask)) << (8 * lane.offset);
        }
        Ok(value)
    }

    /// [`Self::store_lanes`], unseen.
    pub(in crate::run) fn store_lanes_unseen<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        [value, mask]: [u128; 2],
        op: MemOp,
    ) -> Result<(), Fault> {
        for lane in MemoryLane::all(op).filter(|lane| lane.is_negative(mask)) {
            self.store_unseen::<G>(cpu, addr.wrapping_add(lane.offset), lane.bits(value), op)?;
        }
        Ok(())
    }

    /// Whether an access at `addr` is one of two aligned words.
    fn is_in_words<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        op: MemOp,
        access: Access,
    ) -> Result<bool, Fault> {
        if addr.is_multiple_of(BYTES) {
            return Ok(true);
        }
        let strict = match self.direct {
            Some(_) => op.aligned,
            None => self.must_align::<G>(cpu, addr, op, access)?,
        };
        if strict {
            return Err(G::misaligned(addr, access).into());
        }
        Ok(addr.is_multiple_of(8))
    }
}

/// A lane of a vector in memory.
#[derive(Clone, Copy)]
pub(super) struct MemoryLane {
    /// Its first byte.
    pub offset: u64,
    /// Its bits.
    width: u32,
}

impl MemoryLane {
    /// All those of the size of `op`, from the first one on.
    pub fn all(op: MemOp) -> impl Iterator<Item = Self> {
        (0..BYTES).step_by(1 << op.size).map(move |offset| Self { offset, width: 8 << op.size })
    }

    /// The lane's bits of `vector`.
    pub fn bits(self, vector: u128) -> u64 {
        (vector >> (8 * self.offset)) as u64 & u64::MAX >> (64 - self.width)
    }

    /// Whether its highest bit is set.
    pub fn is_negative(self, vector: u128) -> bool {
        self.bits(vector) >> (self.width - 1) != 0
    }
}

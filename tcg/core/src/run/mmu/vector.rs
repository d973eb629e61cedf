//! Accesses of 16 bytes: two of eight where the address is a multiple of eight, else sixteen of one.

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
        let size = self.part_size::<G>(cpu, addr, op, Access::Read)?;
        self.ask::<G>(cpu, addr, BYTES, Access::Read)?;
        if let Some(direct) = &mut self.direct {
            let part = MemOp::new(3);
            let low = direct.load::<G>(addr, part, Ty::I64)?;
            let high = direct.load::<G>(addr.wrapping_add(8), part, Ty::I64)?;
            return Ok(u128::from(high) << 64 | u128::from(low));
        }
        let mut value = 0;
        for offset in (0..BYTES).step_by(1 << size) {
            let at = addr.wrapping_add(offset);
            let part = match self.place::<G>(cpu, at, Access::Read)? {
                // SAFETY: `place` gives an address with the whole aligned part inside one page of guest memory.
                Place::Host { host, .. } => unsafe { read_host(host, size) },
                Place::Bus { .. } if self.leaves_devices => return Err(Fault::Again),
                Place::Bus { phys } if size == 3 => {
                    let read = float::with_host_mode(cpu.as_ref(), || self.space.read(phys, Width::B8));
                    read.ok_or_else(|| G::bus_fault(at, Access::Read))?
                }
                // Devices take no unaligned accesses.
                Place::Bus { .. } => return Err(G::bus_fault(addr, Access::Read).into()),
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
        let size = self.part_size::<G>(cpu, addr, op, Access::Write)?;
        self.ask::<G>(cpu, addr, BYTES, Access::Write)?;
        if let Some(direct) = &mut self.direct {
            direct.probe::<G>(addr, Access::Write)?;
            direct.probe::<G>(addr.wrapping_add(BYTES - 1), Access::Write)?;
            let part = MemOp::new(3);
            direct.store::<G>(addr, value as u64, part)?;
            return direct.store::<G>(addr.wrapping_add(8), (value >> 64) as u64, part);
        }
        let mut places = [const { None }; BYTES as usize];
        for (n, offset) in (0..BYTES).step_by(1 << size).enumerate() {
            let place = self.place::<G>(cpu, addr.wrapping_add(offset), Access::Write)?;
            match place {
                Place::Host { phys, watched, .. } => self.check_code(phys, 1 << size, watched)?,
                Place::Bus { .. } if self.leaves_devices => return Err(Fault::Again),
                Place::Bus { .. } if size == 3 => {}
                Place::Bus { .. } => return Err(G::bus_fault(addr, Access::Write).into()),
            }
            places[n] = Some(place);
        }
        for (n, place) in places.iter().flatten().enumerate() {
            let part = (value >> (n << (3 + size))) as u64;
            match *place {
                // SAFETY: an aligned part of RAM that `place` found; nothing was unmapped since (RAM never is).
                Place::Host { host, .. } => unsafe { write_host(host, part, size) },
                Place::Bus { phys } => {
                    if !float::with_host_mode(cpu.as_ref(), || self.space.write(phys, Width::B8, part)) {
                        return Err(G::bus_fault(addr.wrapping_add((n as u64) << size), Access::Write).into());
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

    /// log2 of the size of the parts that an access at `addr` is made of.
    fn part_size<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        op: MemOp,
        access: Access,
    ) -> Result<u8, Fault> {
        if addr.is_multiple_of(BYTES) {
            return Ok(3);
        }
        let strict = match self.direct {
            Some(_) => op.aligned,
            None => self.must_align::<G>(cpu, addr, op, access)?,
        };
        if strict {
            return Err(G::misaligned(addr, access).into());
        }
        Ok(if addr.is_multiple_of(8) { 3 } else { 0 })
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

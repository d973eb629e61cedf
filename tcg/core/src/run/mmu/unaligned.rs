//! Accesses that are not aligned: byte by byte, in one page or in two, of which each is looked up once.

use super::{Fault, Mmu, Place, read_host, write_host};
use crate::guest::{Access, Guest};
use base::PAGE_SIZE;
use std::ptr;

/// The bytes of an access that are in one page.
#[derive(Clone, Copy)]
struct Part {
    host: *mut u8,
    len: u64,
}

impl Part {
    /// Where its bytes are.
    fn bytes(self) -> impl Iterator<Item = *mut u8> {
        (0..self.len as usize).map(move |n| self.host.wrapping_add(n))
    }
}

impl Mmu {
    /// Loads `bytes` bytes, at most 16, with zeros above them.
    pub(super) fn load_bytes<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        bytes: u64,
    ) -> Result<u128, Fault> {
        let [first, second] = self.parts::<G>(cpu, addr, bytes, Access::Read)?;
        let mut value = [0; 16];
        let (low, high) = value.split_at_mut(first.len as usize);
        for (part, to) in [(first, low), (second, high)] {
            for (host, byte) in part.bytes().zip(to) {
                // SAFETY: a byte of guest memory that `part` found; nothing was unmapped since.
                *byte = unsafe { read_host(host, 0) } as u8;
            }
        }
        Ok(u128::from_le_bytes(value))
    }

    /// Stores the low `bytes` bytes of `value`, at most 16. Both pages are checked before a byte is written.
    pub(super) fn store_bytes<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        value: u128,
        bytes: u64,
    ) -> Result<(), Fault> {
        let [first, second] = self.parts::<G>(cpu, addr, bytes, Access::Write)?;
        let value = value.to_le_bytes();
        let (low, high) = value.split_at(first.len as usize);
        for (part, from) in [(first, low), (second, high)] {
            for (host, byte) in part.bytes().zip(from) {
                // SAFETY: a byte of RAM that `part` found; RAM is never unmapped.
                unsafe { write_host(host, (*byte).into(), 0) };
            }
        }
        Ok(())
    }

    /// The bytes up to the end of a page, and those behind it.
    fn parts<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        bytes: u64,
        access: Access,
    ) -> Result<[Part; 2], Fault> {
        let first = bytes.min(PAGE_SIZE - addr % PAGE_SIZE);
        let second = (addr.wrapping_add(first), bytes - first);
        Ok([self.part::<G>(cpu, (addr, first), access)?, self.part::<G>(cpu, second, access)?])
    }

    fn part<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        (addr, len): (u64, u64),
        access: Access,
    ) -> Result<Part, Fault> {
        if len == 0 {
            return Ok(Part { host: ptr::null_mut(), len });
        }
        // As a rule it is known, and memory: then all of the page is.
        if let Some(hit) = self.contexts.lookup(addr, access == Access::Write).filter(|hit| !hit.slow) {
            return Ok(Part { host: addr.wrapping_add(hit.addend) as *mut u8, len });
        }
        let first = self.place::<G>(cpu, addr, access)?;
        let last = self.place::<G>(cpu, addr.wrapping_add(len - 1), access)?;
        match (first, last) {
            (Place::Host { host, phys, watched }, Place::Host { host: end, .. })
                if host.wrapping_add(len as usize - 1) == end =>
            {
                self.check_code(phys, len, watched)?;
                Ok(Part { host, len })
            }
            // Devices take no unaligned accesses.
            _ => Err(G::bus_fault(addr, access).into()),
        }
    }
}

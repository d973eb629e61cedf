//! Guest code as those see it who make translations: a vCPU, where its own mapping leads; others, pages that it has named.

use crate::guest::{Fetch, Guest, PhysMem, Trap};
use crate::run::mmu::{Phys, VcpuFetch};
use base::{AddressSpace, PAGE_SIZE};

/// A place of guest code.
#[derive(Clone, Copy)]
pub struct At {
    /// Its address for the guest.
    pub pc: u64,
    /// Its physical address.
    pub phys: u64,
    /// The mode that it runs in.
    pub mode: u64,
}

/// Guest code, and where it is.
pub trait View: Fetch {
    /// The physical address of the code at `pc`.
    fn phys(&mut self, pc: u64) -> Result<u64, Trap>;
}

impl<G: Guest> View for VcpuFetch<'_, G> {
    fn phys(&mut self, pc: u64) -> Result<u64, Trap> {
        self.mmu.fetch_phys::<G>(self.cpu, pc)
    }
}

/// The page around a place, and others. Elsewhere nothing can be read, as if it were not mapped.
pub struct PagesView<'a> {
    pub space: &'a AddressSpace,
    pub at: At,
    /// Addresses of other pages, ascending, and their physical ones.
    pub beside: &'a [(u64, u64)],
}

impl Fetch for PagesView<'_> {
    fn u16(&mut self, addr: u64) -> Result<u16, Trap> {
        let phys = self.phys(addr)?;
        let word = Phys(self.space).read_u64(phys & !7).ok_or(Trap { code: 0, value: addr })?;
        Ok((word >> (phys % 8 * 8)) as u16)
    }
}

impl View for PagesView<'_> {
    fn phys(&mut self, pc: u64) -> Result<u64, Trap> {
        let At { pc: known, phys, .. } = self.at;
        if (pc ^ known) < PAGE_SIZE {
            return Ok(phys.wrapping_add(pc.wrapping_sub(known)));
        }
        let offset = pc % PAGE_SIZE;
        let page = self.beside.binary_search_by_key(&(pc - offset), |(page, _)| *page);
        page.map(|n| self.beside[n].1 + offset).map_err(|_| Trap { code: 0, value: pc })
    }
}

//! Guest code as those see it who make translations: a vCPU, where its own mapping leads; others, a single page.

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

/// The page around a place. Elsewhere nothing can be read, as if it were not mapped.
pub struct PageView<'a> {
    pub space: &'a AddressSpace,
    pub at: At,
}

impl Fetch for PageView<'_> {
    fn u16(&mut self, addr: u64) -> Result<u16, Trap> {
        let phys = self.phys(addr)?;
        let word = Phys(self.space).read_u64(phys & !7).ok_or(Trap { code: 0, value: addr })?;
        Ok((word >> (phys % 8 * 8)) as u16)
    }
}

impl View for PageView<'_> {
    fn phys(&mut self, pc: u64) -> Result<u64, Trap> {
        let At { pc: known, phys, .. } = self.at;
        let same_page = (pc ^ known) < PAGE_SIZE;
        same_page.then(|| phys.wrapping_add(pc.wrapping_sub(known))).ok_or(Trap { code: 0, value: pc })
    }
}

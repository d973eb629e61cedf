//! Points: guest-virtual addresses before which a vCPU asks what to do, as debug units have them (breakpoints and
//! watchpoints in hardware).
//!
//! Which points there are is state like any other: [`Guest::points`] gives them, [`Mmu::sync`] notices a change, and
//! [`Guest::reached`] decides at the moment of the access, when it knows privilege and everything else. Without points
//! nothing is different. With them, generated code still knows nothing of them: data pages with a point are entered
//! into the TLB as slow, and code pages with a point are interpreted, since the jump cache never gets an entry for them
//! and translations only jump straight within their page. All else runs at full speed, and vCPUs with different
//! points share their translations.

use super::mmu::Mmu;
use crate::guest::{Access, Guest, Point, Trap};
use base::PAGE_SIZE;

/// The points of one vCPU.
#[derive(Default)]
pub struct Points(Vec<Point>);

impl Points {
    fn any(&self, first: u64, bytes: u64, wanted: impl Fn(&Point) -> bool) -> bool {
        let last = first.saturating_add(bytes - 1);
        self.0.iter().any(|point| point.first <= last && first <= point.last && wanted(point))
    }

    /// Whether a load or store anywhere in the page of `addr` may reach one.
    pub(super) fn in_data_page(&self, addr: u64) -> bool {
        self.any(addr & !(PAGE_SIZE - 1), PAGE_SIZE, |point| point.read || point.write)
    }

    /// Whether an instruction that begins in the page of `addr` may be one.
    pub(super) fn in_code_page(&self, addr: u64) -> bool {
        self.any(addr & !(PAGE_SIZE - 1), PAGE_SIZE, |point| point.fetch)
    }
}

impl Mmu {
    /// Takes the points that `cpu` has now.
    pub(super) fn sync_points<G: Guest>(&mut self, cpu: &G::Cpu) {
        let points = G::points(cpu);
        if self.points.0 != points {
            self.points.0 = points.to_vec();
            self.contexts.flush(None, |_| true);
        }
    }

    /// Asks the guest before an access to `bytes` bytes at `addr`, or before the instruction at `addr`; the error is
    /// the trap that is taken instead.
    #[inline]
    pub(crate) fn ask<G: Guest>(
        &self,
        cpu: &mut G::Cpu,
        addr: u64,
        bytes: u64,
        access: Access,
    ) -> Result<(), Trap> {
        if self.points.0.is_empty() {
            return Ok(());
        }
        let wanted = |point: &Point| match access {
            Access::Read => point.read,
            Access::Write => point.write,
            Access::Fetch => point.fetch,
        };
        let bytes = if access == Access::Fetch { 1 } else { bytes };
        let reached = self.points.any(addr, bytes, wanted);
        reached.then(|| G::reached(cpu, addr, bytes, access)).flatten().map_or(Ok(()), Err)
    }
}

//! Points: guest-virtual addresses before which a vCPU asks what to do, as debug units and debuggers have them
//! (breakpoints and watchpoints).
//!
//! Which points there are is state like any other: [`Guest::points`] gives those of the guest's own debug unit,
//! [`Mmu::sync`] notices a change, and [`Guest::reached`] decides at the moment of the access, when it knows privilege and
//! everything else. A debugger's are set by [`super::Vcpu::set_points`]; the guest can not see them. Without points
//! nothing is different. With them, generated code still knows nothing of them: data pages with a point are entered
//! into the TLB as slow, and code pages with a point are interpreted, since the jump cache never gets an entry for them
//! and translations only jump straight within their page. All else runs at full speed, and vCPUs with different
//! points share their translations.
//!
//! A process has no TLB, and its translations jump anywhere. While a debugger watches data there, they are made with the
//! accesses of a machine, whose TLB never answers ([`super::CodeCache`]); those of pages with breakpoints are dropped.
//!
//! At a debugger's point the access is not made, and the trap [`Trap::DEBUG`] takes the vCPU out of guest code, as any trap would.
//! The run loop then stops in front of the instruction: at a breakpoint, or before an access that is watched (as gdb expects of
//! the guests that there are; it removes the watchpoint, steps, and looks at what was changed).

use super::mmu::Mmu;
use crate::debug::{Stop, WatchKind};
use crate::guest::{Access, Guest, Point, Trap};
use base::PAGE_SIZE;

/// The points of one vCPU.
#[derive(Default)]
pub struct Points {
    /// Those of the guest's debug unit.
    guest: Vec<Point>,
    /// Those of the debugger.
    debugger: Vec<Point>,
    /// Instructions at the debugger's breakpoints are run.
    pub(super) pass_breakpoints: bool,
    /// The debugger has no points for now.
    pub(super) pass_all: bool,
    /// The debugger's point that was reached last.
    pub(super) reached: Option<Stop>,
}

fn find(points: &[Point], first: u64, bytes: u64, wanted: impl Fn(&Point) -> bool) -> Option<&Point> {
    let last = first.saturating_add(bytes - 1);
    points.iter().find(|point| point.first <= last && first <= point.last && wanted(point))
}

impl Points {
    fn in_page(&self, addr: u64, wanted: impl Fn(&Point) -> bool) -> bool {
        let page = addr & !(PAGE_SIZE - 1);
        [&self.guest, &self.debugger].iter().any(|points| find(points, page, PAGE_SIZE, &wanted).is_some())
    }

    /// Whether a load or store anywhere in the page of `addr` may reach one.
    pub(super) fn in_data_page(&self, addr: u64) -> bool {
        self.in_page(addr, |point| point.read || point.write)
    }

    /// Whether an instruction that begins in the page of `addr` may be one.
    pub(super) fn in_code_page(&self, addr: u64) -> bool {
        self.in_page(addr, |point| point.fetch)
    }

    /// Whether the debugger has a breakpoint at `pc`.
    pub(super) fn breaks_at(&self, pc: u64) -> bool {
        find(&self.debugger, pc, 1, |point| point.fetch).is_some()
    }

    /// Those of the debugger.
    pub(super) fn debugger(&self) -> &[Point] {
        &self.debugger
    }

    fn ask_debugger(&mut self, addr: u64, bytes: u64, access: Access) -> Result<(), Trap> {
        if self.pass_all || access == Access::Fetch && self.pass_breakpoints {
            return Ok(());
        }
        let Some(point) = find(&self.debugger, addr, bytes, |point| wants(point, access)) else {
            return Ok(());
        };
        let kind = match (point.read, point.write) {
            (true, true) => WatchKind::Access,
            (true, false) => WatchKind::Read,
            _ => WatchKind::Write,
        };
        self.reached = Some(match access {
            Access::Fetch => Stop::Breakpoint,
            Access::Read | Access::Write => Stop::Watchpoint { addr: addr.max(point.first), kind },
        });
        Err(Trap { code: Trap::DEBUG, value: 0 })
    }
}

fn wants(point: &Point, access: Access) -> bool {
    match access {
        Access::Read => point.read,
        Access::Write => point.write,
        Access::Fetch => point.fetch,
    }
}

impl Mmu {
    /// Takes the points that `cpu` has now.
    pub(super) fn sync_points<G: Guest>(&mut self, cpu: &G::Cpu) {
        let points = G::points(cpu);
        if self.points.guest != points {
            self.points.guest = points.to_vec();
            self.contexts.flush(None, |_| true);
        }
    }

    /// Takes the debugger's points.
    pub(super) fn set_debug_points(&mut self, points: &[Point]) {
        let old = std::mem::replace(&mut self.points.debugger, points.to_vec());
        // Nothing is forgotten, so that a machine under a debugger does what it does without one.
        let changed = |one: &[Point], two: &[Point]| -> Vec<Point> {
            one.iter().filter(|point| !two.contains(point)).copied().collect()
        };
        for point in changed(&old, points).iter().chain(&changed(points, &old)) {
            self.contexts.slow_down(point.first, point.last);
        }
    }

    /// Asks the guest and the debugger before an access to `bytes` bytes at `addr`, or before the instruction at `addr`;
    /// the error is the trap that is taken instead.
    #[inline]
    pub(crate) fn ask<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        bytes: u64,
        access: Access,
    ) -> Result<(), Trap> {
        if self.points.guest.is_empty() && self.points.debugger.is_empty() {
            return Ok(());
        }
        let bytes = if access == Access::Fetch { 1 } else { bytes };
        let own = find(&self.points.guest, addr, bytes, |point| wants(point, access)).is_some();
        if let Some(trap) = own.then(|| G::reached(cpu, addr, bytes, access)).flatten() {
            return Err(trap);
        }
        self.points.ask_debugger(addr, bytes, access)
    }
}

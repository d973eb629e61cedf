//! Looking at translations as debuggers do: nothing changes, nothing faults.

use super::{Request, Who, find};
use crate::sysreg::System;
use tcg_core::guest::{Access, PhysMem};

/// Memory that keeps its contents: what hardware would update in descriptors is not.
struct Untouched<'a>(&'a dyn PhysMem);

impl PhysMem for Untouched<'_> {
    fn read_u64(&self, phys: u64) -> Option<u64> {
        self.0.read_u64(phys)
    }

    fn cas_u64(&self, phys: u64, _: u64, _: u64) -> Option<bool> {
        self.0.read_u64(phys).map(|_| true)
    }
}

/// The bus address of `addr`, whatever access is allowed there.
pub fn translate(system: &System, mem: &dyn PhysMem, addr: u64) -> Option<u64> {
    let who = Who { user: false, pan: false, ..Who::fetch(system) };
    let request = Request { addr, access: Access::Read, who };
    find(system, &Untouched(mem), request).ok().map(|walk| walk.place(system).0)
}

/// The list of mappings that a monitor shows. QEMU has none for this architecture.
pub fn mappings(_: &System, _: &dyn PhysMem) -> String {
    String::new()
}

//! Guest memory as a vCPU of a guest process sees it: accesses are made at once, and the host's faults are the guest's.

use super::mmu::{CodeWatch, Fault, is_astray};
use super::user_space::UserSpace;
use crate::eval;
use crate::guest::{Access, Guest, Trap};
use crate::host::{self, Outcome};
use crate::sem::{MemOp, Rmw};
use crate::ty::Ty;
use base::PAGE_SIZE;
use std::sync::Arc;

/// What the host said of an access that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFault {
    /// `SIGSEGV` or `SIGBUS`.
    pub signal: i32,
    /// `si_code`: `SEGV_MAPERR` and its like.
    pub code: i32,
    /// The first byte that could not be accessed.
    pub addr: u64,
}

/// `SEGV_MAPERR`: nothing is mapped.
const MAPERR: i32 = 1;
/// `SEGV_ACCERR`: what is mapped does not allow it.
const ACCERR: i32 = 2;

/// Direct access to the memory of a guest process.
pub struct Direct {
    space: Arc<UserSpace>,
    watch: Arc<dyn CodeWatch>,
    /// Page last fetched from, and [`UserSpace::changes`] when that was allowed.
    fetched: (u64, u64),
    /// [`Guest::granule`].
    pub granule: u64,
    /// The last failure; the trap that it made tells only the kind of the access.
    pub fault: HostFault,
}

impl Direct {
    /// Access to `space` that tells `watch` of stores to translated code.
    pub fn new(space: Arc<UserSpace>, watch: Arc<dyn CodeWatch>) -> Self {
        let fault = HostFault { signal: 0, code: 0, addr: 0 };
        Self { space, watch, fetched: (u64::MAX, 0), granule: 1, fault }
    }

    /// The value of an access to `len` bytes at `addr`, or the trap that its fault makes.
    fn outcome<G: Guest>(&mut self, done: Outcome, addr: u64, access: Access) -> Result<u64, Fault> {
        if done.fault == 0 {
            return Ok(done.value);
        }
        let at = done.value;
        let (signal, code) = host::unpack_fault(done.fault);
        let refused = (signal, code) == (libc::SIGSEGV, ACCERR);
        if access == Access::Write && refused && self.space.may_write(at) {
            // The page is watched, or was when the store was made: another thread may have ended that meanwhile.
            self.watch.code_written(at & !(PAGE_SIZE - 1), PAGE_SIZE);
            return Err(Fault::Again);
        }
        self.fault = HostFault { signal, code, addr: at };
        Err(G::bus_fault(addr, access).into())
    }

    /// Keeps accesses out of the emulator's part of the address space.
    fn check<G: Guest>(&mut self, addr: u64, len: u64, access: Access) -> Result<(), Trap> {
        if addr.checked_add(len).is_some_and(|end| end <= self.space.range().end) {
            return Ok(());
        }
        self.fault = HostFault { signal: libc::SIGSEGV, code: MAPERR, addr };
        Err(G::bus_fault(addr, access))
    }

    /// Loads; the value is extended to `ty` as `op` says.
    pub fn load<G: Guest>(&mut self, addr: u64, op: MemOp, ty: Ty) -> Result<u64, Fault> {
        if op.aligned && is_astray(self.granule, addr, op.bytes()) {
            return Err(G::misaligned(addr, Access::Read).into());
        }
        self.check::<G>(addr, op.bytes(), Access::Read)?;
        // SAFETY: a process that has direct memory handles its faults; guest memory is anybody's.
        let done = unsafe { host::load(addr, op.size) };
        Ok(eval::extend(op, ty, self.outcome::<G>(done, addr, Access::Read)?))
    }

    /// Stores the low bytes of `value`.
    pub fn store<G: Guest>(&mut self, addr: u64, value: u64, op: MemOp) -> Result<(), Fault> {
        if op.aligned && is_astray(self.granule, addr, op.bytes()) {
            return Err(G::misaligned(addr, Access::Write).into());
        }
        self.check::<G>(addr, op.bytes(), Access::Write)?;
        // SAFETY: as in `load`.
        let done = unsafe { host::store(addr, value, op.size) };
        self.outcome::<G>(done, addr, Access::Write).map(drop)
    }

    /// Replaces `old` by `new`; gives what was there.
    fn swap<G: Guest>(&mut self, addr: u64, [old, new]: [u64; 2], op: MemOp) -> Result<u64, Fault> {
        if is_astray(self.granule, addr, op.bytes()) {
            return Err(G::misaligned(addr, Access::Write).into());
        }
        self.check::<G>(addr, op.bytes(), Access::Write)?;
        let mask = u64::MAX >> (64 - (8 << op.size));
        // SAFETY: as in `load`.
        let done = unsafe { host::cas(addr, old & mask, new & mask, op.size) };
        self.outcome::<G>(done, addr, Access::Write)
    }

    /// Atomic read-modify-write; `imm` packs kind and size. Gives the old value, extended to `ty`.
    pub fn rmw<G: Guest>(&mut self, addr: u64, operand: u64, imm: u64, ty: Ty) -> Result<u64, Fault> {
        let (op, kind) = (MemOp::unpack(imm), Rmw::unpack(imm));
        // Whatever is there: the first exchange tells.
        let mut old = 0;
        loop {
            let new = eval::rmw(kind, 8 << op.size, old, operand);
            let found = self.swap::<G>(addr, [old, new], op)?;
            if found == old {
                return Ok(eval::extend(op, ty, old));
            }
            old = found;
        }
    }

    /// Atomic compare and swap; gives the old value, extended to `ty`.
    pub fn cas<G: Guest>(&mut self, addr: u64, values: [u64; 2], op: MemOp, ty: Ty) -> Result<u64, Fault> {
        Ok(eval::extend(op, ty, self.swap::<G>(addr, values, op)?))
    }

    /// Atomic compare and swap of 16 aligned bytes; gives the old value.
    pub fn cas_128<G: Guest>(&mut self, addr: u64, [mut old, new]: [u128; 2]) -> Result<u128, Fault> {
        if addr & 15 != 0 {
            return Err(G::misaligned(addr, Access::Write).into());
        }
        self.check::<G>(addr, 16, Access::Write)?;
        // SAFETY: as in `load`.
        let done = unsafe { host::cas_128(addr, &mut old, new) };
        self.outcome::<G>(done, addr, Access::Write).map(|_| old)
    }

    /// The code at `addr` may have changed by a store through another mapping.
    pub fn code_changed(&self, addr: u64, len: u64) {
        self.watch.code_written(addr, len);
    }

    /// Whether the byte at `addr` may be accessed; nothing is.
    pub fn probe<G: Guest>(&mut self, addr: u64, access: Access) -> Result<(), Trap> {
        let needed = match access {
            Access::Read => libc::PROT_READ,
            Access::Write => libc::PROT_WRITE,
            Access::Fetch => libc::PROT_EXEC,
        };
        let code = match self.space.find(addr) {
            Some(pages) if pages.prot & needed != 0 => return Ok(()),
            Some(_) => ACCERR,
            None => MAPERR,
        };
        self.fault = HostFault { signal: libc::SIGSEGV, code, addr };
        Err(G::bus_fault(addr, access))
    }

    /// Whether code at `pc` may be executed.
    pub fn check_fetch<G: Guest>(&mut self, pc: u64) -> Result<(), Trap> {
        let seen = (pc & !(PAGE_SIZE - 1), self.space.changes());
        if seen == self.fetched {
            return Ok(());
        }
        self.probe::<G>(pc, Access::Fetch)?;
        self.fetched = seen;
        Ok(())
    }

    /// The 16 bits of code at `pc`.
    pub fn fetch<G: Guest>(&mut self, pc: u64) -> Result<u16, Trap> {
        self.check_fetch::<G>(pc)?;
        // SAFETY: as in `load`.
        let done = unsafe { host::load(pc, 1) };
        match self.outcome::<G>(done, pc, Access::Fetch) {
            Ok(value) => Ok(value as u16),
            Err(Fault::Trap(trap)) => Err(trap),
            Err(Fault::Again) => Err(G::bus_fault(pc, Access::Fetch)),
        }
    }
}

/// Copies guest memory at `from` to `to`.
pub fn copy_in(to: &mut [u8], from: u64) -> Result<(), HostFault> {
    // SAFETY: `to` is ours, guest memory is anybody's, and a process that has it handles its faults.
    told(unsafe { host::copy(to.as_mut_ptr() as u64, from, to.len() as u64) })
}

/// Copies `from` to guest memory at `to`. A page that is watched faults.
pub fn copy_out(to: u64, from: &[u8]) -> Result<(), HostFault> {
    // SAFETY: as in `copy_in`.
    told(unsafe { host::copy(to, from.as_ptr() as u64, from.len() as u64) })
}

fn told(done: Outcome) -> Result<(), HostFault> {
    if done.fault == 0 {
        return Ok(());
    }
    let (signal, code) = host::unpack_fault(done.fault);
    Err(HostFault { signal, code, addr: done.value })
}

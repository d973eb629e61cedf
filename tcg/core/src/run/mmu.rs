//! Guest memory as a vCPU sees it: the slow paths behind the software TLB, for data and for fetches.
//!
//! An access that the TLB does not answer is translated by the guest's page walk. RAM pages are entered so that the
//! next access hits in generated code; device pages and pages that hold translated code are entered as slow, and come
//! here each time.

mod seen;
mod unaligned;
mod vector;

use super::direct::Direct;
use super::float;
use super::log;
use super::points::Points;
use super::tlb::{Contexts, Hit, Tables};
use super::user_space::UserSpace;
use crate::cpu::CpuHeader;
use crate::eval;
use crate::guest::{Access, Fetch, Guest, Page, PhysMem, Trap};
use crate::host;
use crate::observe::Observing;
use crate::sem::{MemOp, Rmw};
use crate::ty::Ty;
use base::{AddressSpace, GuestRam, PAGE_SHIFT, PAGE_SIZE, Target, Width};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

/// How a memory access can end other than well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The guest takes a trap.
    Trap(Trap),
    /// The instruction is to be run again from its start, by the interpreter: the store would change translated code, whose
    /// translations were dropped just now, or the access is left to the interpreter ([`Mmu::leaves_devices`]).
    Again,
}

impl From<Trap> for Fault {
    fn from(trap: Trap) -> Self {
        Self::Trap(trap)
    }
}

/// Drops translations made from guest-physical bytes; true if there were any.
pub trait CodeWatch: Send + Sync {
    /// Bytes `phys .. phys + len` are about to change.
    fn code_written(&self, phys: u64, len: u64) -> bool;
}

/// The memory view of one vCPU.
pub struct Mmu {
    space: Arc<AddressSpace>,
    watch: Arc<dyn CodeWatch>,
    pub(super) points: Points,
    /// Contexts of the TLB and of the jump cache.
    pub contexts: Contexts,
    /// All data accesses must be aligned ([`Guest::aligned`]).
    aligned: bool,
    /// [`Guest::granule`].
    granule: u64,
    /// The access is generated code's, which leaves those to devices to the interpreter: where time is counted in
    /// instructions, a device may ask for it, and may end the turn behind the instruction.
    pub(super) leaves_devices: bool,
    /// Memory of a guest process, which is reached without TLB.
    pub direct: Option<Direct>,
    /// Who watches what is executed.
    pub(super) observing: Option<Box<Observing>>,
}

/// Where one page's worth of an access goes.
enum Place {
    /// RAM or ROM at a host address; stores must tell `watched`.
    Host { host: *mut u8, phys: u64, watched: bool },
    /// Through the bus.
    Bus { phys: u64 },
}

impl Mmu {
    /// A view of `space` with `tlb_entries` entries a context, that tells `watch` of stores to translated code.
    pub fn new(space: Arc<AddressSpace>, watch: Arc<dyn CodeWatch>, tables: Arc<Tables>) -> Self {
        Self {
            space,
            watch,
            points: Points::default(),
            contexts: Contexts::new(tables),
            aligned: false,
            granule: 1,
            leaves_devices: false,
            direct: None,
            observing: None,
        }
    }

    /// The view of the memory of a guest process.
    pub fn with_process(mut self, process: Arc<UserSpace>) -> Self {
        self.direct = Some(Direct::new(process, self.watch.clone()));
        self
    }

    /// The guest-physical address space.
    pub fn space(&self) -> &Arc<AddressSpace> {
        &self.space
    }

    /// Points `cpu`'s header at the tables of its present context. Must follow every change of the state that
    /// [`Guest::context`] and [`Guest::points`] read.
    pub fn sync<G: Guest>(&mut self, cpu: &mut G::Cpu) {
        self.sync_points::<G>(cpu);
        let context = G::context(cpu);
        (self.aligned, self.granule) = (G::aligned(context.mode), G::granule(cpu));
        if let Some(direct) = &mut self.direct {
            direct.granule = self.granule;
        }
        let tlb = self.contexts.use_data(context.data);
        let jumps = self.contexts.use_code(context.code, context.mode);
        let head: &mut CpuHeader = cpu.as_mut();
        (head.tlb, head.jumps) = (tlb, jumps);
        float::set_rounding(head, G::rounding(context.mode));
    }

    /// Guest-physical memory, for page walks outside of [`Guest::walk`].
    pub fn phys(&self) -> impl PhysMem + use<> {
        OwnedPhys(self.space.clone())
    }

    /// Has `access` made in data context `during`; the vCPU goes on in the one that it is in.
    pub fn with_data_context<G: Guest, T>(
        &mut self,
        cpu: &mut G::Cpu,
        during: u128,
        access: impl FnOnce(&mut G::Cpu, &mut Self) -> T,
    ) -> T {
        let after = self.contexts.data_context();
        self.contexts.use_data(during);
        let result = access(cpu, self);
        if let Some(after) = after {
            cpu.as_mut().tlb = self.contexts.use_data(after);
        }
        result
    }

    /// Whether an unaligned access to `addr` is forbidden.
    fn must_align<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        op: MemOp,
        access: Access,
    ) -> Result<bool, Trap> {
        if self.aligned || op.aligned && is_astray(self.granule, addr, op.bytes()) {
            return Ok(true);
        }
        if self.contexts.lookup(addr, access == Access::Write).is_some_and(|hit| !hit.slow) {
            return Ok(false);
        }
        Ok(G::walk(cpu, &Phys(&self.space), addr, access)?.aligned)
    }

    /// Finds the place of an access that stays within one page, filling the TLB.
    fn place<G: Guest>(&mut self, cpu: &mut G::Cpu, addr: u64, access: Access) -> Result<Place, Trap> {
        let write = access == Access::Write;
        let known = self.contexts.lookup(addr, write).or_else(|| self.recall(addr, write));
        if let Some(hit) = known {
            let phys = hit.phys | addr & (PAGE_SIZE - 1);
            if !hit.slow {
                return Ok(Place::Host {
                    host: addr.wrapping_add(hit.addend) as *mut u8,
                    phys,
                    watched: false,
                });
            }
            return Ok(self.slow_place(phys, write));
        }
        let page = G::walk(cpu, &Phys(&self.space), addr, access)?;
        if page.size_log2 < PAGE_SHIFT {
            return Ok(self.slow_place(page.phys, write));
        }
        Ok(self.fill(addr, page, write))
    }

    /// Enters a page into the TLB that another has taken the entry of.
    fn recall(&mut self, addr: u64, write: bool) -> Option<Hit> {
        let (rights, hit, slow_stores) = self.contexts.recall(addr, write)?;
        self.contexts.insert(addr, rights, hit, slow_stores);
        // Asked afterwards, as when it was entered first.
        if !slow_stores && !hit.slow && is_watched(self.space.ram(), hit.phys) {
            self.contexts.insert(addr, rights, hit, true);
        }
        self.contexts.lookup(addr, write)
    }

    /// Enters a walked page into the TLB.
    fn fill(&mut self, addr: u64, page: Page, write: bool) -> Place {
        let phys = page.phys;
        let mut hit = Hit { addend: 0, phys: phys & !(PAGE_SIZE - 1), slow: true };
        // Memory of a device that may answer reads itself the next moment is asked for each time.
        let (host, writable, direct) = match self.space.lookup(phys) {
            Target::Ram { host, .. } => (host, true, true),
            Target::Rom { host, constant, .. } => (host.cast_mut(), false, constant),
            Target::Device(..) | Target::Nothing => {
                self.contexts.insert(addr, (page.read, page.write), hit, true);
                return Place::Bus { phys };
            }
        };
        (hit.addend, hit.slow) =
            ((host as u64).wrapping_sub(addr), !direct || page.aligned || self.points.in_data_page(addr));
        if page.size_log2 > PAGE_SHIFT {
            self.contexts.note_large(addr, page.size_log2);
        }
        // Entered before the watch is asked: whoever starts watching now sees the entry and slows it down.
        self.contexts.insert(addr, (page.read, page.write), hit, !writable);
        let watched = writable && is_watched(self.space.ram(), phys);
        if watched {
            self.contexts.insert(addr, (page.read, page.write), hit, true);
        }
        if writable { Place::Host { host, phys, watched } } else { self.slow_place(phys, write) }
    }

    /// The place of an access that the TLB alone does not decide.
    fn slow_place(&self, phys: u64, write: bool) -> Place {
        match self.space.lookup(phys) {
            Target::Ram { host, .. } => {
                Place::Host { host, phys, watched: write && is_watched(self.space.ram(), phys) }
            }
            Target::Rom { host, .. } if !write => Place::Host { host: host.cast_mut(), phys, watched: false },
            _ => Place::Bus { phys },
        }
    }

    /// Whether memory is a process', where an access may be of any width: there are no devices.
    pub fn is_process(&self) -> bool {
        self.direct.is_some()
    }

    /// Whether the byte at `addr` may be accessed; nothing is.
    pub fn probe<G: Guest>(&mut self, cpu: &mut G::Cpu, addr: u64, access: Access) -> Result<(), Trap> {
        if let Some(direct) = &mut self.direct {
            return direct.probe::<G>(addr, access);
        }
        match self.place::<G>(cpu, addr, access)? {
            Place::Bus { phys } if matches!(self.space.lookup(phys), Target::Nothing) => {
                Err(G::bus_fault(addr, access))
            }
            _ => Ok(()),
        }
    }

    /// [`Self::load`], unseen.
    pub(super) fn load_unseen<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        op: MemOp,
        ty: Ty,
    ) -> Result<u64, Fault> {
        let bytes = op.bytes();
        self.ask::<G>(cpu, addr, bytes, Access::Read)?;
        if let Some(direct) = &mut self.direct {
            return direct.load::<G>(addr, op, ty);
        }
        let value = if addr & (bytes - 1) == 0 {
            match self.place::<G>(cpu, addr, Access::Read)? {
                // SAFETY: `place` gives an address with the whole aligned access inside one page of guest memory.
                Place::Host { host, .. } => unsafe { read_host(host, op.size) },
                Place::Bus { .. } if self.leaves_devices => return Err(Fault::Again),
                Place::Bus { phys } => {
                    let width = Width::from_bytes(bytes as usize).expect("sizes are 1, 2, 4 or 8");
                    let read = float::with_host_mode(cpu.as_ref(), || self.space.read(phys, width));
                    read.ok_or_else(|| {
                        log::invalid_access("read", phys, bytes);
                        G::bus_fault(addr, Access::Read)
                    })?
                }
            }
        } else if self.must_align::<G>(cpu, addr, op, Access::Read)? {
            return Err(G::misaligned(addr, Access::Read).into());
        } else {
            self.load_bytes::<G>(cpu, addr, bytes)? as u64
        };
        Ok(eval::extend(op, ty, value))
    }

    /// [`Self::store`], unseen.
    pub(super) fn store_unseen<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        value: u64,
        op: MemOp,
    ) -> Result<(), Fault> {
        let bytes = op.bytes();
        self.ask::<G>(cpu, addr, bytes, Access::Write)?;
        if let Some(direct) = &mut self.direct {
            return direct.store::<G>(addr, value, op);
        }
        if addr & (bytes - 1) == 0 {
            match self.place::<G>(cpu, addr, Access::Write)? {
                Place::Host { host, phys, watched } => {
                    self.check_code(phys, bytes, watched)?;
                    // SAFETY: `place` gives an address with the whole aligned access inside one page of RAM.
                    unsafe { write_host(host, value, op.size) };
                }
                Place::Bus { .. } if self.leaves_devices => return Err(Fault::Again),
                Place::Bus { phys } => {
                    let width = Width::from_bytes(bytes as usize).expect("sizes are 1, 2, 4 or 8");
                    let value = value & width.mask();
                    if !float::with_host_mode(cpu.as_ref(), || self.space.write(phys, width, value)) {
                        log::invalid_access("write", phys, bytes);
                        return Err(G::bus_fault(addr, Access::Write).into());
                    }
                }
            }
            return Ok(());
        }
        if self.must_align::<G>(cpu, addr, op, Access::Write)? {
            return Err(G::misaligned(addr, Access::Write).into());
        }
        self.store_bytes::<G>(cpu, addr, value.into(), bytes)
    }

    /// Drops translations made from the bytes; an error if there were any, so that the instruction runs again.
    fn check_code(&self, phys: u64, len: u64, watched: bool) -> Result<(), Fault> {
        if watched && self.watch.code_written(phys, len) { Err(Fault::Again) } else { Ok(()) }
    }

    /// Asks before an atomic access.
    fn ask_atomic<G: Guest>(&mut self, cpu: &mut G::Cpu, addr: u64, op: MemOp) -> Result<(), Trap> {
        self.ask::<G>(cpu, addr, op.bytes(), Access::Read)?;
        self.ask::<G>(cpu, addr, op.bytes(), Access::Write)
    }

    /// The host address of an atomic access, which is in one page.
    fn atomic_place<G: Guest>(&mut self, cpu: &mut G::Cpu, addr: u64, op: MemOp) -> Result<*mut u8, Fault> {
        if is_astray(self.granule, addr, op.bytes()) {
            return Err(G::misaligned(addr, Access::Write).into());
        }
        match self.place::<G>(cpu, addr, Access::Write)? {
            Place::Host { host, phys, watched } => {
                self.check_code(phys, op.bytes(), watched)?;
                Ok(host)
            }
            Place::Bus { .. } => Err(G::bus_fault(addr, Access::Write).into()),
        }
    }

    /// [`Self::rmw`], unseen.
    pub(super) fn rmw_unseen<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        operand: u64,
        imm: u64,
        ty: Ty,
    ) -> Result<u64, Fault> {
        let (op, kind) = (MemOp::unpack(imm), Rmw::unpack(imm));
        self.ask_atomic::<G>(cpu, addr, op)?;
        if let Some(direct) = &mut self.direct {
            return direct.rmw::<G>(addr, operand, imm, ty);
        }
        let host = self.atomic_place::<G>(cpu, addr, op)?;
        // Whatever is there: the first exchange tells.
        let mut old = 0;
        loop {
            let new = eval::rmw(kind, 8 << op.size, old, operand);
            // SAFETY: RAM, see `atomic_place`.
            let found = unsafe { swap_host(host, [old, new], op.size) };
            if found == old {
                return Ok(eval::extend(op, ty, old));
            }
            old = found;
        }
    }

    /// [`Self::cas`], unseen.
    pub(super) fn cas_unseen<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        [expected, new]: [u64; 2],
        op: MemOp,
        ty: Ty,
    ) -> Result<u64, Fault> {
        self.ask_atomic::<G>(cpu, addr, op)?;
        if let Some(direct) = &mut self.direct {
            return direct.cas::<G>(addr, [expected, new], op, ty);
        }
        let host = self.atomic_place::<G>(cpu, addr, op)?;
        let mask = u64::MAX >> (64 - (8 << op.size));
        // SAFETY: RAM, see `atomic_place`.
        let old = unsafe { swap_host(host, [expected & mask, new & mask], op.size) };
        Ok(eval::extend(op, ty, old))
    }

    /// [`Self::cas_128`], unseen.
    fn cas_128_unseen<G: Guest>(
        &mut self,
        cpu: &mut G::Cpu,
        addr: u64,
        [expected, new]: [u128; 2],
    ) -> Result<u128, Fault> {
        self.ask_atomic::<G>(cpu, addr, MemOp::new(4))?;
        if let Some(direct) = &mut self.direct {
            return direct.cas_128::<G>(addr, [expected, new]);
        }
        let host = self.atomic_place::<G>(cpu, addr, MemOp::new(4))?;
        // SAFETY: aligned RAM, see `atomic_place`.
        Ok(unsafe { cas_host_128(host.cast(), expected, new) })
    }

    /// The guest says that the code at `addr` may have changed. Stores are noticed by themselves, but for those of a process
    /// through another mapping.
    pub fn code_changed(&self, addr: u64, len: u64) {
        if let Some(direct) = &self.direct {
            direct.code_changed(addr, len);
        }
    }

    /// The guest-physical address of the code at `pc`.
    pub fn fetch_phys<G: Guest>(&mut self, cpu: &mut G::Cpu, pc: u64) -> Result<u64, Trap> {
        if let Some(direct) = &mut self.direct {
            return direct.check_fetch::<G>(pc).map(|()| pc);
        }
        if let Some(page) = self.contexts.lookup_fetch(pc) {
            return Ok(page | pc & (PAGE_SIZE - 1));
        }
        let page = G::walk(cpu, &Phys(&self.space), pc, Access::Fetch)?;
        // Which context such code is of may only be known now.
        let context = G::context(cpu);
        cpu.as_mut().jumps = self.contexts.use_code(context.code, context.mode);
        if page.size_log2 >= PAGE_SHIFT {
            self.contexts.insert_fetch(pc, page.phys, page.size_log2);
        }
        Ok(page.phys)
    }

    /// The 16 bits of code at `pc`.
    pub fn fetch<G: Guest>(&mut self, cpu: &mut G::Cpu, pc: u64) -> Result<u16, Trap> {
        if let Some(direct) = &mut self.direct {
            return direct.fetch::<G>(pc);
        }
        let phys = self.fetch_phys::<G>(cpu, pc)?;
        match self.space.lookup(phys) {
            // SAFETY: a 2-aligned address inside a page of guest memory.
            Target::Ram { host, .. } => Ok(unsafe { read_host(host, 1) } as u16),
            // SAFETY: as above.
            Target::Rom { host, .. } => Ok(unsafe { read_host(host.cast_mut(), 1) } as u16),
            // Code is not run from devices: reading one twice, as tiers do, would be seen.
            Target::Device(..) | Target::Nothing => Err(G::bus_fault(pc, Access::Fetch)),
        }
    }

    /// Appends `len` bytes (even) of code at `phys` to `to`, which lie in one page; `None` if code is not run from there.
    pub fn read_code(space: &AddressSpace, phys: u64, len: u64, to: &mut Vec<u8>) -> Option<()> {
        let host = match space.lookup(phys) {
            Target::Ram { host, .. } => host.cast_const(),
            Target::Rom { host, .. } => host,
            Target::Device(..) | Target::Nothing => return None,
        };
        let halves = (0..len as usize).step_by(2);
        // SAFETY: a 2-aligned address inside a page of guest memory.
        to.extend(halves.flat_map(|at| (unsafe { read_host(host.add(at), 1) } as u16).to_le_bytes()));
        Some(())
    }

    /// Starts watching the page at `phys` for stores, if it is RAM: other memory does not change by a store.
    pub fn watch_page<'a>(space: &AddressSpace, phys: u64, tables: impl Iterator<Item = &'a Tables>) {
        let Some((region, offset)) = ram_region(space.ram(), phys) else { return };
        if region.get_mmap().bitmap().watch(offset) {
            let page = phys & !(PAGE_SIZE - 1);
            tables.for_each(|t| t.slow_down_stores(page));
        }
    }

    /// Stops watching the RAM page at `phys`.
    pub fn unwatch_page(space: &AddressSpace, phys: u64) {
        if let Some((region, offset)) = ram_region(space.ram(), phys) {
            region.get_mmap().bitmap().unwatch(offset);
        }
    }
}

fn ram_region(ram: &GuestRam, phys: u64) -> Option<(&base::RamRegion, u64)> {
    let region = ram.find_region(GuestAddress(phys))?;
    Some((region, phys - region.start_addr().0))
}

fn is_watched(ram: &GuestRam, phys: u64) -> bool {
    ram_region(ram, phys).is_some_and(|(region, offset)| region.get_mmap().bitmap().is_watched(offset))
}

/// Fetches through a vCPU's own translation.
pub struct VcpuFetch<'a, G: Guest> {
    /// The memory view.
    pub mmu: &'a mut Mmu,
    /// The vCPU.
    pub cpu: &'a mut G::Cpu,
}

impl<G: Guest> Fetch for VcpuFetch<'_, G> {
    fn u16(&mut self, addr: u64) -> Result<u16, Trap> {
        self.mmu.fetch::<G>(self.cpu, addr)
    }
}

/// Guest-physical memory for page walks.
pub(crate) struct Phys<'a>(pub &'a AddressSpace);

/// The same, owned.
struct OwnedPhys(Arc<AddressSpace>);

impl PhysMem for OwnedPhys {
    fn read_u64(&self, phys: u64) -> Option<u64> {
        Phys(&self.0).read_u64(phys)
    }

    fn cas_u64(&self, phys: u64, old: u64, new: u64) -> Option<bool> {
        Phys(&self.0).cas_u64(phys, old, new)
    }
}

impl PhysMem for Phys<'_> {
    fn read_u64(&self, phys: u64) -> Option<u64> {
        match self.0.lookup(phys) {
            // SAFETY: walks read aligned words, which lie inside one page of RAM.
            Target::Ram { host, .. } => Some(unsafe { read_host(host, 3) }),
            // SAFETY: as above.
            Target::Rom { host, .. } => Some(unsafe { read_host(host.cast_mut(), 3) }),
            Target::Device(..) | Target::Nothing => None,
        }
    }

    fn cas_u64(&self, phys: u64, old: u64, new: u64) -> Option<bool> {
        match self.0.lookup(phys) {
            // SAFETY: as in `read_u64`; RAM is writable.
            Target::Ram { host, .. } => Some(unsafe { swap_host(host, [old, new], 3) } == old),
            _ => None,
        }
    }
}

/// # Safety
/// `host` is valid for reads of `1 << size` bytes and aligned for them.
unsafe fn read_host(host: *const u8, size: u8) -> u64 {
    // SAFETY: the caller's promise. Atomic because other vCPUs write the same memory.
    unsafe {
        match size {
            0 => (*host.cast::<AtomicU8>()).load(Ordering::Relaxed).into(),
            1 => u16::from_le((*host.cast::<AtomicU16>()).load(Ordering::Relaxed)).into(),
            2 => u32::from_le((*host.cast::<AtomicU32>()).load(Ordering::Relaxed)).into(),
            _ => u64::from_le((*host.cast::<AtomicU64>()).load(Ordering::Relaxed)),
        }
    }
}

/// # Safety
/// `host` is valid for writes of `1 << size` bytes and aligned for them.
unsafe fn write_host(host: *mut u8, value: u64, size: u8) {
    // SAFETY: the caller's promise. Release, so that the interpreter's stores are ordered as generated code's are.
    unsafe {
        match size {
            0 => (*host.cast::<AtomicU8>()).store(value as u8, Ordering::Release),
            1 => (*host.cast::<AtomicU16>()).store((value as u16).to_le(), Ordering::Release),
            2 => (*host.cast::<AtomicU32>()).store((value as u32).to_le(), Ordering::Release),
            _ => (*host.cast::<AtomicU64>()).store(value.to_le(), Ordering::Release),
        }
    }
}

/// Whether an access of `bytes` bytes is not aligned, and not within a block of `granule` bytes either.
pub(super) fn is_astray(granule: u64, addr: u64, bytes: u64) -> bool {
    addr & (bytes - 1) != 0 && (addr & (granule - 1)) + bytes > granule
}

/// Puts `new` where `old` is, at once; gives what was there. The host does so at any address.
///
/// # Safety
/// `host` is valid for reads and writes of `1 << size` bytes of RAM, which do not cross a line of its cache.
unsafe fn swap_host(host: *mut u8, [old, new]: [u64; 2], size: u8) -> u64 {
    let mask = u64::MAX >> (64 - (8 << size));
    // SAFETY: the caller's promise; RAM never faults.
    unsafe { host::cas(host as u64, old & mask, new & mask, size) }.value & mask
}

/// Gives the value that was there, which is replaced if it is `expected`.
///
/// # Safety
/// `host` is valid for reads and writes of 16 bytes and aligned for them.
#[cfg(target_arch = "x86_64")]
unsafe fn cas_host_128(host: *mut u128, expected: u128, new: u128) -> u128 {
    let (low, high): (u64, u64);
    // SAFETY: the caller's promise. Every x86-64 CPU but the very first has the instruction. rbx, which the compiler keeps for
    // itself, is put back.
    unsafe {
        std::arch::asm!(
            "xchg rsi, rbx",
            "lock cmpxchg16b [rdi]",
            "mov rbx, rsi",
            in("rdi") host,
            inout("rsi") new as u64 => _,
            in("rcx") (new >> 64) as u64,
            inout("rax") expected as u64 => low,
            inout("rdx") (expected >> 64) as u64 => high,
            options(nostack),
        );
    }
    u128::from(low) | u128::from(high) << 64
}

/// Runs `f` with the memory view of the vCPU whose state `cpu` is; `None` if the state belongs to no vCPU yet.
///
/// For a guest's helpers and CSR writes, which get the state and need the TLB behind it.
pub fn with_mmu<G: Guest, T>(cpu: &mut G::Cpu, f: impl FnOnce(&mut G::Cpu, &mut Mmu) -> T) -> Option<T> {
    let mmu = cpu.as_mut().mmu;
    // SAFETY: `mmu` is null or was set by `Vcpu::new` to an allocation that lives as long as the vCPU; whoever holds
    // the state runs on the vCPU's thread, and the run loop holds no borrow of the MMU while it calls the guest.
    let mmu = unsafe { mmu.as_mut()? };
    Some(f(cpu, mmu))
}

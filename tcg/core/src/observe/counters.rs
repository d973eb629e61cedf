//! The counters of one vCPU: a table that generated code adds to.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters with a meaning of their own.
pub mod slot {
    /// What has no counter any more.
    pub const OTHERS: u32 = 0;
    /// Instructions that took the trap that they are for.
    pub const TRAPPED: u32 = 1;
    /// Loads.
    pub const LOADS: u32 = 2;
    /// Stores.
    pub const STORES: u32 = 3;
    /// The first that is given away.
    pub const FIRST: u32 = 4;
}

/// Counters of a vCPU. Only those in use take memory.
pub const SLOTS: usize = 1 << 21;

/// The counters of one vCPU. It alone adds; others read.
#[derive(Debug)]
pub struct Counters {
    words: *mut AtomicU64,
    /// [`crate::cpu::CpuHeader::insns`].
    insns: *const AtomicU64,
}

// SAFETY: both pointers lead to atomics; the record lets go of them before the vCPU is no more.
unsafe impl Send for Counters {}
// SAFETY: as above.
unsafe impl Sync for Counters {}

impl Counters {
    /// Counters that are zero, for the vCPU that counts its instructions at `insns`.
    ///
    /// # Panics
    /// If the host has no address space for them.
    pub(super) fn new(insns: *const u64) -> Self {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at =
            unsafe { libc::mmap(ptr::null_mut(), SLOTS * 8, protection, flags | libc::MAP_NORESERVE, -1, 0) };
        assert_ne!(at, libc::MAP_FAILED, "no address space for a vCPU's counters");
        Self { words: at.cast(), insns: insns.cast() }
    }

    /// The first, for generated code.
    pub fn words(&self) -> *mut u64 {
        self.words.cast()
    }

    /// One counter; 0 where there is none.
    pub fn get(&self, slot: u32) -> u64 {
        self.at(slot).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Adds one: for the vCPU's own thread.
    pub(crate) fn add(&self, slot: u32) {
        if let Some(word) = self.at(slot) {
            word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    fn at(&self, slot: u32) -> Option<&AtomicU64> {
        // SAFETY: inside the mapping, which lasts as long as `self`; zeros are valid.
        ((slot as usize) < SLOTS).then(|| unsafe { &*self.words.add(slot as usize) })
    }

    /// Instructions executed so far. Lags while the vCPU is in generated code.
    pub fn insns(&self) -> u64 {
        // SAFETY: the vCPU's header, which lasts until the record is told to let go.
        let carried_out = unsafe { &*self.insns }.load(Ordering::Relaxed);
        carried_out.wrapping_add(self.get(slot::TRAPPED))
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`; nobody has a reference to it any more.
        unsafe { libc::munmap(self.words.cast(), SLOTS * 8) };
    }
}

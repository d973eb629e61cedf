//! How often ways back and computed jumps were taken: generated code counts down at each such exit, and comes back with
//! [`crate::cpu::exit::HOT`] or [`crate::cpu::exit::WENT`] at the end of the count.

use std::sync::atomic::{AtomicU32, Ordering};

/// Counts, a power of two of them. An exit has the one of its number; some share one, which only makes them seem hotter.
pub const SLOTS: usize = 1 << 14;

/// The counts of a code cache, shared by its vCPUs; a count lost between two of them does not matter.
pub struct Heat {
    slots: Box<[AtomicU32]>,
    start: u32,
}

impl Heat {
    /// Counts that end after `start` times.
    pub fn new(start: u32) -> Self {
        // SAFETY: zeros are valid atomics.
        let slots = unsafe { Box::new_zeroed_slice(SLOTS).assume_init() };
        Self { slots, start: start.min(i32::MAX as u32) }
    }

    /// What generated code is given: the first count.
    pub fn counts(&self) -> *const AtomicU32 {
        self.slots.as_ptr()
    }

    /// Counts anew for exit `number`.
    pub fn start(&self, number: u32) {
        self.start_part(number, (1, 1));
    }

    /// Counts for exit `number` up to `part` (numerator and denominator) of what is usual.
    pub fn start_part(&self, number: u32, part: (u32, u32)) {
        let count = u64::from(self.start) * u64::from(part.0) / u64::from(part.1);
        self.slots[number as usize % SLOTS].store(count.min(i32::MAX as u64) as u32, Ordering::Relaxed);
    }

    /// Exit `number` has had its turn, and gets none again for long.
    pub fn rest(&self, number: u32) {
        self.slots[number as usize % SLOTS].store(i32::MAX as u32, Ordering::Relaxed);
    }
}

//! What the guest's limits keep it from: mappings that are too many, and a stack that grows too far.

use super::{Backing, Memory, Placing, Result, STACK_GAP, pages_up};
use crate::limits::Limits;
use crate::sys;
use base::PAGE_SIZE;
use std::ops::Range;
use tcg_core::run::Pages;

/// Smallest stack.
const LEAST_STACK: u64 = 256 << 10;

/// Largest stack where it is not limited.
const MOST_STACK: u64 = 1 << 30;

/// Bytes of stack that a kernel counts when a program begins. It counts more as they are used; here all are mapped from the
/// beginning.
const FIRST_STACK: u64 = 132 << 10;

/// Bytes of stack under `limits`.
pub fn stack_size(limits: &Limits) -> u64 {
    pages_up(limits.stack().unwrap_or(MOST_STACK).max(LEAST_STACK))
}

/// Whether `RLIMIT_DATA` counts such pages.
fn is_data(pages: Pages) -> bool {
    !pages.shared && pages.prot & libc::PROT_WRITE != 0
}

/// Bytes that both have.
fn common(one: &Range<u64>, other: &Range<u64>) -> u64 {
    one.end.min(other.end).saturating_sub(one.start.max(other.start))
}

/// The first page of `range` that there is something in.
fn first_present(range: &Range<u64>) -> Option<u64> {
    let len = range.end - range.start;
    let mut present = vec![0u8; (len / PAGE_SIZE) as usize];
    let args = [range.start, len, present.as_mut_ptr() as u64, 0, 0, 0];
    // SAFETY: asks about pages; the kernel writes a byte for each.
    unsafe { sys::call(libc::SYS_mincore, args) };
    let page = present.iter().position(|page| page & 1 != 0)?;
    Some(range.start + page as u64 * PAGE_SIZE)
}

impl Memory {
    /// Refuses `more` bytes of `pages`, if that were too many when what is at `over` makes way.
    pub(super) fn check_limits(
        &self,
        placing: &Placing,
        more: u64,
        pages: Pages,
        over: &Range<u64>,
    ) -> Result<()> {
        if placing.limits.are_none() {
            return Ok(());
        }
        let mut gone = 0;
        self.space.each(|range, _| {
            gone += common(&range, over);
            range.start < over.end
        });
        let more = more.saturating_sub(gone);
        let [all, data] = self.used(placing);
        let allowed = placing.limits.allow(all + more, if is_data(pages) { data + more } else { 0 });
        if allowed { Ok(()) } else { Err(libc::ENOMEM) }
    }

    /// Refuses that pages of `range` become writable, if that were too many.
    pub(super) fn check_made_writable(&self, placing: &Placing, range: &Range<u64>) -> Result<()> {
        if placing.limits.are_none() {
            return Ok(());
        }
        let mut more = 0;
        self.space.each(|part, pages| {
            more += if pages.shared || is_data(pages) { 0 } else { common(&part, range) };
            part.start < range.end
        });
        let [_, data] = self.used(placing);
        let allowed = more == 0 || placing.limits.allow(0, data + more);
        if allowed { Ok(()) } else { Err(libc::ENOMEM) }
    }

    /// Bytes of all mappings, and of private ones that are written to, as a kernel counts them.
    fn used(&self, placing: &Placing) -> [u64; 2] {
        let (mut all, mut data) = (FIRST_STACK, 0);
        self.space.each(|range, pages| {
            if !placing.stack.contains(&range.start) {
                let len = range.end - range.start;
                all += len;
                data += if is_data(pages) { len } else { 0 };
            }
            true
        });
        [all, data]
    }

    /// The guest's limits.
    pub fn limits(&self) -> Limits {
        self.placing().limits
    }

    /// Sets them.
    pub fn set_limits(&self, limits: Limits) {
        self.placing().limits = limits;
        // As much as there is room for.
        let _ = self.fit_stack();
    }

    /// Where the stack of the first thread is.
    pub fn stack(&self) -> Range<u64> {
        self.placing().stack.clone()
    }

    /// Has the stack be as large as the limit allows it to become.
    pub fn fit_stack(&self) -> Result<()> {
        let mut placing = self.placing();
        let stack = placing.stack.clone();
        let start = stack.end.saturating_sub(stack_size(&placing.limits)).max(self.mmap_top + STACK_GAP);
        if start < stack.start {
            let more = start..stack.start;
            if !self.space.is_free(&more) {
                return Err(libc::ENOMEM);
            }
            let flags = Backing::ZERO.flags | libc::MAP_NORESERVE | libc::MAP_STACK;
            self.map_at(more, libc::PROT_READ | libc::PROT_WRITE, Backing { flags, ..Backing::ZERO })?;
            placing.stack.start = start;
        } else {
            // What was used stays.
            let start = first_present(&(stack.start..start)).unwrap_or(start);
            if start > stack.start {
                self.unmap_at(stack.start..start)?;
            }
            placing.stack.start = start;
        }
        Ok(())
    }
}

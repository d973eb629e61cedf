//! Dropping translations: when their code changes, a debugger sets points, or the room is used up.

use super::CodeCache;
use super::table::State;
use crate::guest::Point;
use crate::run::mmu::CodeWatch;
use base::{PAGE_SIZE, WriteWatcher};
use std::sync::atomic::Ordering;
use vm_memory::GuestMemoryBackend;

impl CodeCache {
    /// Empties the cache, with every vCPU out of generated code.
    pub(super) fn empty(&self) {
        self.alone(|| self.empty_alone());
    }

    pub(super) fn empty_alone(&self) {
        self.clear(&mut self.state.lock());
    }

    pub(super) fn clear(&self, state: &mut State) {
        state.first_site += state.sites.len() as u32;
        state.sites.clear();
        state.blocks.clear();
        state.by_key.clear();
        state.buffer.reset();
        state.epoch += 1;
        state.stats.emptied += 1;
        self.generation.fetch_add(1, Ordering::Relaxed);
        for (page, _) in state.by_page.drain() {
            self.unwatch(page);
        }
        self.members.read().iter().for_each(|m| m.tables.forget_jumps());
    }

    /// The debugger's points of a process are these from now on. A machine needs no such call: its pages with data points are
    /// slow in the TLB, and its translations jump straight only within a page.
    pub(in crate::run) fn follow_points(&self, points: &[Point]) {
        if self.process.is_none() {
            return;
        }
        for point in points.iter().filter(|point| point.fetch) {
            self.code_written(point.first & !(PAGE_SIZE - 1), PAGE_SIZE);
        }
        let watches = points.iter().any(|point| point.read || point.write);
        if self.data_points.swap(watches, Ordering::Relaxed) != watches {
            self.empty();
        }
    }

    /// Drops what was made from memory that is no RAM: such memory changes without a store.
    pub(super) fn map_changed(&self) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.epoch += 1;
        let is_ram = |page: &u64| self.space.ram().find_region(vm_memory::GuestAddress(*page)).is_some();
        let pages: Vec<u64> = state.by_page.keys().copied().filter(|page| !is_ram(page)).collect();
        for page in pages {
            self.drop_range(state, page, PAGE_SIZE);
        }
    }

    /// Drops the blocks of one page that were made from bytes `phys .. phys + len`; true if there were any.
    fn drop_range(&self, state: &mut State, phys: u64, len: u64) -> bool {
        let page = phys & !(PAGE_SIZE - 1);
        let Some(indices) = state.by_page.get(&page) else {
            // Watched for a translation that was not made after all: in a process no store to it would ever be carried out.
            if let Some(process) = &self.process {
                process.unwatch(page);
            }
            return false;
        };
        let doomed: Vec<u32> = indices
            .iter()
            .copied()
            .filter(|i| state.blocks[*i as usize].source.overlaps(phys, len))
            .collect();
        for &index in &doomed {
            self.drop_block(state, index);
        }
        !doomed.is_empty()
    }

    pub(super) fn drop_block(&self, state: &mut State, index: u32) {
        let block = &mut state.blocks[index as usize];
        block.valid = false;
        state.stats.dropped += 1;
        let incoming = std::mem::take(&mut block.incoming);
        let (key, pages, entry, hot) =
            (block.source.key, block.source.pages(), block.entry, block.source.hot);
        for number in incoming {
            if let Some(site) = number.checked_sub(state.first_site) {
                state.buffer.unlink(&state.sites[site as usize].site);
            }
            if hot {
                // The loop may come round often again.
                self.heat.start(number);
            }
        }
        // Its own exits stay linked, for a vCPU that is inside; nobody enters it again.
        if state.by_key.get(&key).is_some_and(|known| known.index == index) {
            state.by_key.remove(&key);
        }
        for page in pages {
            if let Some(list) = state.by_page.get_mut(&page) {
                list.retain(|i| *i != index);
                if list.is_empty() {
                    state.by_page.remove(&page);
                    // What is being made may count on it.
                    state.epoch += 1;
                    self.unwatch(page);
                }
            }
        }
        let code = state.buffer.entry_address(entry) as u64;
        self.members.read().iter().for_each(|m| m.tables.forget_jump(key.phys, code));
    }
}

impl CodeWatch for CodeCache {
    fn code_written(&self, phys: u64, len: u64) -> bool {
        let mut state = self.state.lock();
        state.epoch += 1;
        let mut any = false;
        if len / PAGE_SIZE > state.by_page.len() as u64 {
            let pages: Vec<u64> =
                state.by_page.keys().copied().filter(|page| (phys..phys + len).contains(page)).collect();
            for page in pages {
                any |= self.drop_range(&mut state, page, PAGE_SIZE);
            }
            return any;
        }
        let mut at = phys;
        while at < phys + len {
            let end = ((at | (PAGE_SIZE - 1)) + 1).min(phys + len);
            any |= self.drop_range(&mut state, at, end - at);
            at = end;
        }
        any
    }
}

impl WriteWatcher for CodeCache {
    fn written(&self, addr: u64, len: u64) {
        self.code_written(addr, len);
    }
}

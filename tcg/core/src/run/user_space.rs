//! The address space of a guest process: the lower part of the host process' own, where a guest address is a host address.
//!
//! Here stands what the guest may do with each page. The host allows the same, but never to execute, and not to write to
//! pages that translations were made from: those are watched, and a store to one faults.

use super::lock::RwLock;
use base::PAGE_SIZE;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What the guest may do with a range of pages, as the bits of `mmap`'s `prot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// `PROT_READ`, `PROT_WRITE`, `PROT_EXEC`.
    pub prot: i32,
    /// The memory may be mapped elsewhere as well, and change without a store here.
    pub shared: bool,
}

impl Pages {
    /// What the host is asked for.
    fn host_prot(self) -> i32 {
        let read = if self.prot & libc::PROT_EXEC != 0 { libc::PROT_READ } else { 0 };
        self.prot & (libc::PROT_READ | libc::PROT_WRITE) | read
    }
}

/// What the host is asked for when the guest asks for `prot`.
pub fn host_prot(prot: i32) -> i32 {
    Pages { prot, shared: false }.host_prot()
}

#[derive(Default)]
struct Map {
    /// By start: end and rights. Ranges do not overlap.
    ranges: BTreeMap<u64, (u64, Pages)>,
    watched: FxHashSet<u64>,
}

impl Map {
    fn find(&self, addr: u64) -> Option<Pages> {
        let (_, (end, pages)) = self.ranges.range(..=addr).next_back()?;
        (addr < *end).then_some(*pages)
    }

    /// Parts ranges, so that none crosses `addr`.
    fn split(&mut self, addr: u64) {
        if let Some((_, (end, pages))) = self.ranges.range_mut(..addr).next_back()
            && *end > addr
        {
            let rest = (*end, *pages);
            *end = addr;
            self.ranges.insert(addr, rest);
        }
    }

    fn remove(&mut self, range: &Range<u64>) {
        self.split(range.start);
        self.split(range.end);
        let starts: Vec<u64> = self.ranges.range(range.clone()).map(|(start, _)| *start).collect();
        for start in starts {
            self.ranges.remove(&start);
        }
    }

    fn insert(&mut self, mut range: Range<u64>, pages: Pages) {
        self.remove(&range);
        // Neighbours that are alike become one.
        if let Some((start, (end, before))) = self.ranges.range(..range.start).next_back()
            && (*end, *before) == (range.start, pages)
        {
            range.start = *start;
        }
        if let Some((end, after)) = self.ranges.get(&range.end).copied()
            && after == pages
        {
            self.ranges.remove(&range.end);
            range.end = end;
        }
        self.ranges.insert(range.start, (range.end, pages));
    }

    fn watched_in(&self, range: &Range<u64>) -> Vec<u64> {
        let pages = (range.end - range.start) / PAGE_SIZE;
        if pages < self.watched.len() as u64 {
            return range.clone().step_by(PAGE_SIZE as usize).filter(|p| self.watched.contains(p)).collect();
        }
        self.watched.iter().copied().filter(|page| range.contains(page)).collect()
    }

    fn writable(&self, page: u64) -> bool {
        self.find(page).is_some_and(|pages| pages.prot & libc::PROT_WRITE != 0)
    }
}

/// The guest's part of the address space.
pub struct UserSpace {
    range: Range<u64>,
    map: RwLock<Map>,
    changes: AtomicU64,
    /// Watched pages that the guest may write to.
    withheld: AtomicUsize,
}

/// Asks the host for `prot` in `range` of the guest's pages, which may be empty.
fn change(range: Range<u64>, prot: i32) -> io::Result<()> {
    let len = (range.end - range.start) as usize;
    // SAFETY: pages of the guest's, which nothing of the emulator lies in.
    if len != 0 && unsafe { libc::mprotect(range.start as *mut _, len, prot) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn protect(page: u64, prot: i32) {
    // It may be gone, which is no fault.
    let _ = change(page..page + PAGE_SIZE, prot);
}

impl UserSpace {
    /// The addresses `range`, in which nothing is mapped yet.
    pub fn new(range: Range<u64>) -> Self {
        Self { range, map: RwLock::default(), changes: AtomicU64::new(0), withheld: AtomicUsize::new(0) }
    }

    /// Addresses that the guest can have.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Raised by every change of rights.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What the guest may do at `addr`; `None` if nothing is mapped there.
    pub fn find(&self, addr: u64) -> Option<Pages> {
        self.map.read().find(addr)
    }

    /// Calls `see` for each range, in ascending order, until it gives false.
    pub fn each(&self, mut see: impl FnMut(Range<u64>, Pages) -> bool) {
        let map = self.map.read();
        let _ = map.ranges.iter().all(|(start, (end, pages))| see(*start..*end, *pages));
    }

    /// Whether nothing is mapped in `range`.
    pub fn is_free(&self, range: &Range<u64>) -> bool {
        let map = self.map.read();
        map.ranges.range(..range.end).next_back().is_none_or(|(_, (end, _))| *end <= range.start)
    }

    /// Whether all of `range` is mapped.
    pub fn is_mapped(&self, range: &Range<u64>) -> bool {
        let map = self.map.read();
        let mut at = range.start;
        while at < range.end {
            match map.ranges.range(..=at).next_back() {
                Some((_, (end, _))) if *end > at => at = *end,
                _ => return false,
            }
        }
        true
    }

    /// The highest free place for `len` bytes below `below`, whole pages.
    pub fn free_below(&self, len: u64, below: u64) -> Option<u64> {
        let map = self.map.read();
        let mut top = below.min(self.range.end);
        for (start, (end, _)) in map.ranges.range(..top).rev() {
            if *end < top && top - *end >= len {
                return Some(top - len);
            }
            top = top.min(*start);
        }
        top.checked_sub(len).filter(|at| *at >= self.range.start)
    }

    /// Changes what the host has mapped in `range` by `host`, and notes that the guest now sees `pages` there, or
    /// nothing. Translations of the range are the caller's to drop, afterwards.
    pub fn replace<T>(
        &self,
        range: Range<u64>,
        pages: Option<Pages>,
        host: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut map = self.map.write();
        let done = host()?;
        for page in map.watched_in(&range) {
            self.forget(&mut map, page);
        }
        match pages {
            Some(pages) => map.insert(range, pages),
            None => map.remove(&range),
        }
        self.changes.fetch_add(1, Ordering::Release);
        Ok(done)
    }

    /// Changes the rights in `range`, all of which is mapped. Watched pages stay watched.
    pub fn protect(&self, range: Range<u64>, prot: i32) -> io::Result<()> {
        let mut map = self.map.write();
        let host = host_prot(prot);
        let mut watched = map.watched_in(&range);
        watched.sort_unstable();
        // Not for a moment may another thread store to a watched page unseen. Of shared ones the host has to say whether they can
        // be written to at all; and they change unseen anyway.
        let shared = |page: &u64| map.find(*page).is_some_and(|pages| pages.shared);
        let mut at = range.start;
        for page in watched.iter().copied().filter(|page| !shared(page)) {
            change(at..page, host)?;
            change(page..page + PAGE_SIZE, host & !libc::PROT_WRITE)?;
            at = page + PAGE_SIZE;
        }
        change(at..range.end, host)?;
        let old: usize = watched.iter().filter(|page| map.writable(**page)).count();
        map.split(range.start);
        map.split(range.end);
        let parts: Vec<_> = map.ranges.range(range.clone()).map(|(s, (e, p))| (*s..*e, *p)).collect();
        for (part, pages) in parts {
            map.insert(part, Pages { prot, ..pages });
        }
        self.withheld.fetch_sub(old, Ordering::Relaxed);
        if prot & libc::PROT_WRITE != 0 {
            self.withheld.fetch_add(watched.len(), Ordering::Relaxed);
            watched.iter().for_each(|page| protect(*page, host & !libc::PROT_WRITE));
        }
        self.changes.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Takes a page off the watch list; true if the guest may write to it.
    fn forget(&self, map: &mut Map, page: u64) -> bool {
        let withheld = map.watched.remove(&page) && map.writable(page);
        if withheld {
            self.withheld.fetch_sub(1, Ordering::Relaxed);
        }
        withheld
    }

    /// Has stores to the page around `addr` fault from now on.
    pub(super) fn watch(&self, addr: u64) {
        let page = addr & !(PAGE_SIZE - 1);
        if self.map.read().watched.contains(&page) {
            return;
        }
        let mut map = self.map.write();
        let Some(pages) = map.find(page) else { return };
        if map.watched.insert(page) && pages.prot & libc::PROT_WRITE != 0 {
            self.withheld.fetch_add(1, Ordering::Relaxed);
            protect(page, pages.host_prot() & !libc::PROT_WRITE);
        }
    }

    /// Allows stores to the page at `page` again, if the guest may make them.
    pub(super) fn unwatch(&self, page: u64) {
        let mut map = self.map.write();
        if self.forget(&mut map, page)
            && let Some(pages) = map.find(page)
        {
            protect(page, pages.host_prot());
        }
    }

    /// Whether the guest may store at `addr`: then a store only faults while the page is watched.
    pub fn may_write(&self, addr: u64) -> bool {
        self.map.read().writable(addr & !(PAGE_SIZE - 1))
    }

    /// Pages of `range` to which stores only fault because they are watched.
    pub fn withheld_in(&self, range: Range<u64>) -> Vec<u64> {
        if self.withheld.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let map = self.map.read();
        let range = range.start & !(PAGE_SIZE - 1)..range.end;
        map.watched_in(&range).into_iter().filter(|page| map.writable(*page)).collect()
    }

    /// Keeps everybody else out while `f` runs.
    pub(super) fn alone<T>(&self, f: impl FnOnce() -> T) -> T {
        let _map = self.map.write();
        f()
    }
}

#[cfg(test)]
mod tests;

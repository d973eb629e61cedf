//! The software TLB and the jump cache of a vCPU: one pair a context, so that a switch of address space or privilege
//! changes two pointers and flushes nothing.
//!
//! Generated code reads both tables without locks. The owner fills them; any thread may make entries slower (set
//! [`SLOW`] in a write tag) or empty (clear a jump entry), which is always safe to do under a reader.

use crate::cpu::{JUMP_ASIDE, JUMP_ENTRIES, JUMP_SHIFT, JumpEntry, TLB_ALIGN, TlbWord, jump_index, tlb_bits};
use base::{PAGE_SHIFT, PAGE_SIZE};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// In a tag: the page is known but the slow path must be asked.
const SLOW: u64 = 1 << 11;
/// In a tag: there is no page.
const EMPTY: u64 = 1 << 10;
/// Generated code takes what an address and a tag differ in for the place in the page, so no address that is looked up in an entry may
/// differ from a tag with [`SLOW`] or [`EMPTY`] in the lowest bits alone: such tags have this bit of an index of the entry beside.
const BESIDE: u64 = PAGE_SIZE;

/// The least size of a table: the entry beside is not where a page is put aside.
const LEAST_ENTRIES: usize = 4;

/// The tag of `page` for accesses that ask the slow path.
fn slow(page: u64) -> u64 {
    page ^ BESIDE | SLOW
}

/// The tag of entry number `index` without a page.
fn empty(index: usize) -> u64 {
    (index as u64) << PAGE_SHIFT ^ BESIDE | EMPTY
}

/// The page of a tag, and whether the slow path must be asked.
fn page_of(tag: u64) -> Option<(u64, bool)> {
    match (tag & EMPTY != 0, tag & SLOW != 0) {
        (true, _) => None,
        (_, true) => Some((tag ^ BESIDE ^ SLOW, true)),
        _ => Some((tag, false)),
    }
}

/// How many data and how many code contexts a vCPU of a machine keeps.
const CONTEXTS: usize = 32;
/// How many one of a process does: it has one address space, and as many modes as its floats and vectors are set to.
const PROCESS_CONTEXTS: usize = 16;

/// More pages than these have all jumps forgotten at once.
const MOST_PAGES: u64 = 64;

/// In which parts of a table something was entered since it was last cleared: a bit for each of 64.
struct Used(AtomicU64);

impl Used {
    /// How many of `entries` are one part.
    fn part(entries: usize) -> usize {
        entries.div_ceil(u64::BITS as usize)
    }

    /// Something is to be entered at `index`.
    fn note(&self, index: usize, entries: usize) {
        let bit = 1 << (index / Self::part(entries));
        if self.0.load(Ordering::Relaxed) & bit == 0 {
            self.0.fetch_or(bit, Ordering::SeqCst);
        }
    }

    fn is_any(&self) -> bool {
        self.0.load(Ordering::SeqCst) != 0
    }

    /// Where something was entered; nothing is there from now on.
    fn take(&self, entries: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let (used, part) = (self.0.swap(0, Ordering::SeqCst), Self::part(entries));
        let parts = (0..u64::BITS as usize).filter(move |n| used >> n & 1 != 0);
        parts.map(move |n| n * part..((n + 1) * part).min(entries))
    }
}

/// One direct-mapped table of translations.
struct Table {
    /// All words, behind what aligns them.
    words: Box<[AtomicU64]>,
    /// Where the first one is.
    start: usize,
    /// How many entries there are.
    len: usize,
    /// A bit for each page, by physical address, and for others that look like it: there may be an entry by which stores reach it unseen.
    /// Whoever begins to watch a page need not look through tables that have none.
    stored: Box<[AtomicU64]>,
    used: Used,
}

const READ: usize = TlbWord::Read as usize;
const WRITE: usize = TlbWord::Write as usize;
const ADDEND: usize = TlbWord::Addend as usize;
const PHYS: usize = TlbWord::Phys as usize;

/// The words of one entry.
type Entry<'a> = [&'a AtomicU64; TlbWord::COUNT];

/// How many bits a table has for physical pages for each entry.
const STORED_BITS: usize = 8;

/// `count` times zeros; those that are never used take no memory.
fn zeroed<const N: usize>(count: usize) -> Box<[[AtomicU64; N]]> {
    // SAFETY: zeros are valid atomics.
    unsafe { Box::new_zeroed_slice(count).assume_init() }
}

impl Table {
    fn new(entries: usize) -> Self {
        assert!(entries.is_power_of_two() && entries >= LEAST_ENTRIES);
        let words = (entries * STORED_BITS).div_ceil(u64::BITS as usize);
        let stored = (0..words).map(|_| AtomicU64::new(0)).collect();
        let count = entries * TlbWord::COUNT + TLB_ALIGN / size_of::<AtomicU64>();
        // SAFETY: zeros are valid atomics. Memory that is never used is not touched.
        let all: Box<[AtomicU64]> = unsafe { Box::new_zeroed_slice(count).assume_init() };
        let start = all.as_ptr().align_offset(TLB_ALIGN);
        let table = Self { words: all, start, len: entries, stored, used: Used(AtomicU64::new(0)) };
        // Page zero is only looked for in the first entry: zero is no page in the others.
        let entry = table.at(0);
        [entry[READ], entry[WRITE]].iter().for_each(|tag| tag.store(empty(0), Ordering::Relaxed));
        table
    }

    /// All entries' words of one kind.
    fn column(&self, word: usize) -> &[AtomicU64] {
        &self.words[self.start + word * self.len..][..self.len]
    }

    /// Entry number `index`.
    fn at(&self, index: usize) -> Entry<'_> {
        std::array::from_fn(|word| &self.column(word)[index])
    }

    fn clear(&self) {
        if !self.used.is_any() {
            return;
        }
        for part in self.used.take(self.len) {
            for (n, tag) in
                [READ, WRITE].iter().flat_map(|word| part.clone().zip(&self.column(*word)[part.clone()]))
            {
                tag.store(empty(n), Ordering::Relaxed);
            }
        }
        // After the entries: a page without a bit has none.
        self.stored.iter().for_each(|word| word.store(0, Ordering::Release));
    }

    fn index(&self, addr: u64) -> usize {
        (addr >> PAGE_SHIFT) as usize & (self.len - 1)
    }

    fn entry(&self, addr: u64) -> Entry<'_> {
        self.at(self.index(addr))
    }

    /// Where the page at `addr` is put when another takes its entry. Generated code does not look there.
    fn aside(&self, addr: u64) -> usize {
        self.index(addr) ^ (self.len / 2)
    }

    /// Has accesses to `page` by entry number `n` ask the slow path, if that is what is in `tag`.
    fn slow_down(&self, n: usize, tag: &AtomicU64, page: u64) {
        // An entry that was never used has page zero, and not where that is looked for.
        if [self.index(page), self.aside(page)].contains(&n) {
            // Lost races only make an entry emptier or slower than need be.
            let _ = tag.compare_exchange(page, slow(page), Ordering::SeqCst, Ordering::Relaxed);
        }
    }

    /// Puts what is in the entry of `addr` aside if that is its place and it is another page.
    fn put_aside(&self, addr: u64) {
        let (entry, page) = (self.entry(addr), addr & !(PAGE_SIZE - 1));
        let tags = [READ, WRITE].map(|n| entry[n].load(Ordering::Relaxed));
        let pages = tags.map(|tag| page_of(tag).map_or(0, |(page, _)| page));
        let old = pages[0].max(pages[1]);
        if old == 0 || old == page || self.index(old) != self.index(addr) {
            return;
        }
        let at = self.aside(addr);
        self.used.note(at, self.len);
        let to = self.at(at);
        to[READ].store(empty(at), Ordering::Relaxed);
        to[WRITE].store(empty(at), Ordering::Relaxed);
        for n in [ADDEND, PHYS] {
            to[n].store(entry[n].load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let put = |tag: u64| if page_of(tag).is_some() { tag } else { empty(at) };
        to[READ].store(put(tags[0]), Ordering::Release);
        // Perhaps stores have become slow meanwhile: whoever recalls it asks.
        to[WRITE].store(put(tags[1]), Ordering::Release);
    }

    /// The bit of the physical page at `phys`.
    fn stored(&self, phys: u64) -> (&AtomicU64, u64) {
        let page = phys >> PAGE_SHIFT;
        let word = (page / u64::from(u64::BITS)) as usize % self.stored.len();
        (&self.stored[word], 1 << (page % u64::from(u64::BITS)))
    }

    /// Stores may reach the page at `phys` unseen from now on.
    fn note_stored(&self, phys: u64) {
        let (word, bit) = self.stored(phys);
        let old = word.load(Ordering::Relaxed);
        if old & bit == 0 {
            word.store(old | bit, Ordering::SeqCst);
        }
    }

    fn may_be_stored(&self, phys: u64) -> bool {
        let (word, bit) = self.stored(phys);
        word.load(Ordering::SeqCst) & bit != 0
    }
}

/// How many entries the jumps into a page have.
const PAGE_PLACES: usize = PAGE_SIZE as usize >> JUMP_SHIFT;

struct Jumps {
    entries: Box<[[AtomicU64; 2]]>,
    used: Used,
}

/// A key that no address has that is looked up in entry `index`: it belongs to the neighbour.
fn no_key(index: usize) -> u64 {
    (index as u64 ^ 1) << JUMP_SHIFT
}

impl Jumps {
    fn new() -> Self {
        let entries = zeroed(JUMP_ENTRIES);
        // Only in the entries of zero is zero looked up, so it is no key in the others; memory of those that are never used
        // is not touched.
        for n in [0, JUMP_ASIDE] {
            entries[n][0].store(no_key(n), Ordering::Relaxed);
        }
        Self { entries, used: Used(AtomicU64::new(0)) }
    }

    fn clear(&self) {
        if !self.used.is_any() {
            return;
        }
        for n in self.used.take(self.entries.len()).flatten() {
            self.entries[n][0].store(no_key(n), Ordering::Relaxed);
        }
        // One for all, since one each takes most of the time.
        fence(Ordering::SeqCst);
    }

    /// Clears the entries of addresses in the page at `page`, which stand side by side.
    fn clear_page(&self, page: u64) {
        for (i, entry) in self.entries.iter().enumerate().skip(jump_index(page)).take(PAGE_PLACES) {
            if entry[0].load(Ordering::Relaxed) & !(PAGE_SIZE - 1) == page {
                entry[0].store(no_key(i), Ordering::Relaxed);
            }
        }
    }

    /// Enters that `pc` is at `code`. Only the owner does.
    fn insert(&self, pc: u64, code: u64) {
        let index = jump_index(pc);
        let [key, known] = &self.entries[index];
        let (old, old_code) = (key.load(Ordering::Relaxed), known.load(Ordering::Relaxed));
        if old != pc && jump_index(old) == index {
            self.put(index ^ JUMP_ASIDE, old, old_code);
        }
        self.put(index, pc, code);
    }

    fn put(&self, index: usize, pc: u64, code: u64) {
        self.used.note(index, JUMP_ENTRIES);
        let entry = &self.entries[index];
        entry[0].store(no_key(index), Ordering::Relaxed);
        entry[1].store(code, Ordering::Release);
        entry[0].store(pc, Ordering::Release);
    }

    fn get(&self, pc: u64) -> Option<u64> {
        let index = jump_index(pc);
        let entries = [index, index ^ JUMP_ASIDE].map(|n| &self.entries[n]);
        let entry = entries.into_iter().find(|entry| entry[0].load(Ordering::Acquire) == pc)?;
        Some(entry[1].load(Ordering::Relaxed))
    }
}

/// The tables of one vCPU, shared with whoever invalidates translations.
pub struct Tables {
    data: Vec<Table>,
    code: Vec<Jumps>,
}

/// What a TLB entry says about one page.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    /// Host address minus guest-virtual address; meaningless if `slow` and the page is no RAM.
    pub addend: u64,
    /// Guest-physical address of the page.
    pub phys: u64,
    /// The access must be checked further: a device, nothing, or a page with translated code.
    pub slow: bool,
}

impl Tables {
    /// Tables with `tlb_entries` (a power of two from 4 to [`crate::cpu::MOST_TLB_ENTRIES`]) translations a context.
    pub fn new(tlb_entries: usize) -> Self {
        Self {
            data: (0..CONTEXTS).map(|_| Table::new(tlb_entries)).collect(),
            code: (0..CONTEXTS).map(|_| Jumps::new()).collect(),
        }
    }

    /// Tables for a process, whose memory needs no TLB.
    pub fn for_process() -> Self {
        Self {
            data: vec![Table::new(LEAST_ENTRIES)],
            code: (0..PROCESS_CONTEXTS).map(|_| Jumps::new()).collect(),
        }
    }

    /// How many translations a context has.
    pub fn tlb_entries(&self) -> usize {
        self.data[0].len
    }

    /// Every store to the page at `phys` asks the slow path from now on.
    pub fn slow_down_stores(&self, phys: u64) {
        for table in self.data.iter().filter(|table| table.may_be_stored(phys)) {
            for (n, (page, tag)) in table.column(PHYS).iter().zip(table.column(WRITE)).enumerate() {
                if page.load(Ordering::Relaxed) == phys
                    && let Some((page, false)) = page_of(tag.load(Ordering::Relaxed))
                {
                    table.slow_down(n, tag, page);
                }
            }
        }
    }

    /// Forgets the translation at host address `code` of the guest code at `phys`, in every context and at every address
    /// that the page may have there.
    pub fn forget_jump(&self, phys: u64, code: u64) {
        let in_page = jump_index(phys & (PAGE_SIZE - 1));
        let pages = (0..JUMP_ENTRIES).step_by(PAGE_PLACES);
        let places = pages.flat_map(|page| [page + in_page, (page + in_page) ^ JUMP_ASIDE]);
        for jumps in self.code.iter().filter(|jumps| jumps.used.is_any()) {
            for at in places.clone() {
                let entry = &jumps.entries[at];
                if entry[1].load(Ordering::Relaxed) == code {
                    entry[0].store(no_key(at), Ordering::SeqCst);
                }
            }
        }
    }

    /// Forgets every jump.
    pub fn forget_jumps(&self) {
        self.code.iter().for_each(Jumps::clear);
    }
}

/// Which context has which slot. Of those that are not known the one takes over what was used longest ago.
struct Slots {
    keys: Vec<Option<(u128, u64)>>,
    /// All slots, the one in use first, then by when they last were.
    order: Vec<usize>,
}

impl Slots {
    fn new(count: usize) -> Self {
        Self { keys: vec![None; count], order: (0..count).collect() }
    }

    /// The slot in use.
    fn active(&self) -> usize {
        self.order[0]
    }

    /// The slot of `key`, which is in use from now on, and whether it was just taken over for it.
    fn find(&mut self, key: (u128, u64)) -> (usize, bool) {
        let known = self.order.iter().position(|slot| self.keys[*slot] == Some(key));
        let at = known.unwrap_or(self.order.len() - 1);
        self.order[..=at].rotate_right(1);
        let slot = self.active();
        self.keys[slot] = Some(key);
        (slot, known.is_none())
    }
}

/// Where large pages were seen in a context: naturally aligned ranges that cover them all. Changing one part of a large page changes
/// all of it, so a flush inside a range drops everything. There are a few, because a kernel's image is far from its map of all memory,
/// and what it maps by small pages lies between.
#[derive(Clone, Copy)]
struct Large([Option<Aligned>; 4]);

/// A naturally aligned range.
#[derive(Clone, Copy, PartialEq)]
struct Aligned {
    base: u64,
    mask: u64,
}

impl Aligned {
    fn contains(self, addr: u64) -> bool {
        (addr ^ self.base) & self.mask == 0
    }

    /// The smallest that covers both.
    fn with(self, other: Self) -> Self {
        let mask = self.mask & other.mask;
        let differ = (self.base ^ other.base) & mask;
        let mask = mask & u64::MAX.checked_shl(u64::BITS - differ.leading_zeros()).unwrap_or(0);
        Self { base: self.base & mask, mask }
    }
}

impl Large {
    const NONE: Self = Self([None; 4]);

    /// Adds the page of `1 << size_log2` bytes around `addr`: to the range that it widens least, unless it is far from all and there is
    /// room for one more.
    fn add(&mut self, addr: u64, size_log2: u32) {
        let mask = u64::MAX.checked_shl(size_log2).unwrap_or(0);
        let page = Aligned { base: addr & mask, mask };
        // As a rule it is known: this is asked at each miss.
        if self.0.iter().flatten().any(|range| range.with(page) == *range) {
            return;
        }
        let widened = |n: usize| self.0[n].map_or(page, |range| range.with(page));
        let size = |n: &usize| widened(*n).mask.trailing_zeros();
        let mut best = (0..self.0.len()).filter(|n| self.0[*n].is_some()).min_by_key(size);
        if best.is_none_or(|n| size(&n) > NEAR) {
            best = self.0.iter().position(Option::is_none).or(best);
        }
        let Some(n) = best else { return };
        self.0[n] = Some(widened(n));
    }

    fn contains(&self, addr: u64) -> bool {
        self.0.iter().flatten().any(|range| range.contains(addr))
    }
}

/// log2 of how far large pages of one range are apart, as long as there is room for another.
const NEAR: u32 = 30;

const FETCH_ENTRIES: usize = 256;
/// Bits that remember something of pages, by page number.
const PAGE_BITS: usize = 1 << 14;

const _: () = assert!(JUMP_ENTRIES as u64 >= PAGE_SIZE / 2, "the entries of a page stand side by side");

/// Some pages, and others of the same number modulo [`PAGE_BITS`].
#[derive(Clone)]
struct PageSet([u64; PAGE_BITS / 64]);

impl PageSet {
    const EMPTY: Self = Self([0; PAGE_BITS / 64]);

    fn add(&mut self, addr: u64) {
        let bit = (addr >> PAGE_SHIFT) as usize % PAGE_BITS;
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn may_have(&self, addr: u64) -> bool {
        let bit = (addr >> PAGE_SHIFT) as usize % PAGE_BITS;
        self.0[bit / 64] & 1 << (bit % 64) != 0
    }
}

/// Where code pages of one context are; only the owner looks here.
#[derive(Clone)]
struct FetchTable {
    /// (page, its physical address), direct-mapped by page number.
    pages: [(u64, u64); FETCH_ENTRIES],
    /// Pages with jump entries.
    executed: PageSet,
    /// Pages that translations in the jump cache count on beside the one they begin in.
    beside: PageSet,
    large: Large,
}

impl FetchTable {
    const fn new() -> Self {
        Self {
            pages: [(EMPTY, 0); FETCH_ENTRIES],
            executed: PageSet::EMPTY,
            beside: PageSet::EMPTY,
            large: Large::NONE,
        }
    }

    fn entry(&mut self, addr: u64) -> &mut (u64, u64) {
        &mut self.pages[(addr >> PAGE_SHIFT) as usize % FETCH_ENTRIES]
    }
}

/// The owner's side of [`Tables`]: which contexts there are, and which is in use.
pub struct Contexts {
    tables: std::sync::Arc<Tables>,
    data: Slots,
    large: Vec<Large>,
    code: Slots,
    fetch: Vec<FetchTable>,
}

impl Contexts {
    /// Contexts over `tables`.
    pub fn new(tables: std::sync::Arc<Tables>) -> Self {
        let (data, code) = (tables.data.len(), tables.code.len());
        let (large, fetch) = (vec![Large::NONE; data], vec![FetchTable::new(); code]);
        Self { tables, data: Slots::new(data), large, code: Slots::new(code), fetch }
    }

    /// The shared tables.
    pub fn tables(&self) -> &std::sync::Arc<Tables> {
        &self.tables
    }

    /// Switches to the data context `key`; gives the table's address for the CPU header.
    pub fn use_data(&mut self, key: u128) -> *const u8 {
        let (slot, new) = self.data.find((key, 0));
        let table = &self.tables.data[slot];
        if new {
            table.clear();
            self.large[slot] = Large::NONE;
        }
        table.words[table.start..].as_ptr().wrapping_byte_add(tlb_bits(table.len) as usize).cast()
    }

    /// The data context in use; `None` if there was none yet.
    pub fn data_context(&self) -> Option<u128> {
        self.data.keys[self.data.active()].map(|(key, _)| key)
    }

    /// Switches to the code context (`key`, `mode`); gives the jump cache's address.
    pub fn use_code(&mut self, key: u128, mode: u64) -> *const JumpEntry {
        let (slot, new) = self.code.find((key, mode));
        let jumps = &self.tables.code[slot];
        if new {
            jumps.clear();
            self.fetch[slot] = FetchTable::new();
        }
        jumps.entries.as_ptr().cast()
    }

    /// Looks a data access up in the context in use.
    pub fn lookup(&self, addr: u64, write: bool) -> Option<Hit> {
        let entry = self.tables.data[self.data.active()].entry(addr);
        let tag = entry[if write { WRITE } else { READ }].load(Ordering::Acquire);
        let (_, slow) = page_of(tag).filter(|(page, _)| *page == addr & !(PAGE_SIZE - 1))?;
        let (addend, phys) = (entry[ADDEND].load(Ordering::Relaxed), entry[PHYS].load(Ordering::Relaxed));
        Some(Hit { addend, phys, slow })
    }

    /// What was known of the page at `addr` in the context in use before another took its entry, if the access is allowed: to be
    /// entered again, like what a walk gives. Reads and writes that are allowed, the page, and whether stores are slow.
    pub fn recall(&self, addr: u64, write: bool) -> Option<((bool, bool), Hit, bool)> {
        let table = &self.tables.data[self.data.active()];
        let entry = table.at(table.aside(addr));
        let page = addr & !(PAGE_SIZE - 1);
        let [read_tag, write_tag] = [READ, WRITE].map(|n| entry[n].load(Ordering::Acquire));
        let allowed = [read_tag, write_tag].map(|tag| page_of(tag).is_some_and(|(known, _)| known == page));
        // Entries that were never used look like those of page zero.
        if page == 0 || !allowed[usize::from(write)] {
            return None;
        }
        let (addend, phys) = (entry[ADDEND].load(Ordering::Relaxed), entry[PHYS].load(Ordering::Relaxed));
        let slow = if allowed[0] { read_tag } else { write_tag } & SLOW != 0;
        Some(((allowed[0], allowed[1]), Hit { addend, phys, slow }, write_tag & SLOW != 0))
    }

    /// Enters a page into the context in use. `read` and `write` say whether the access is allowed; with `hit.slow`
    /// both ask the slow path, with `slow_stores` only stores do. They do so, too, where reads are not allowed.
    pub fn insert(&mut self, addr: u64, (read, write): (bool, bool), hit: Hit, slow_stores: bool) {
        let page = addr & !(PAGE_SIZE - 1);
        let table = &self.tables.data[self.data.active()];
        table.used.note(table.index(addr), table.len);
        if write && !hit.slow && !slow_stores {
            table.note_stored(hit.phys);
        }
        table.put_aside(addr);
        let (entry, none) = (table.entry(addr), empty(table.index(addr)));
        let tag = |allowed: bool, is_slow: bool| match (allowed, is_slow) {
            (false, _) => none,
            (true, true) => slow(page),
            (true, false) => page,
        };
        entry[READ].store(none, Ordering::Relaxed);
        entry[WRITE].store(none, Ordering::Relaxed);
        entry[ADDEND].store(hit.addend, Ordering::Relaxed);
        entry[PHYS].store(hit.phys, Ordering::Relaxed);
        entry[READ].store(tag(read, hit.slow), Ordering::Release);
        entry[WRITE].store(tag(write, hit.slow || slow_stores || !read), Ordering::SeqCst);
    }

    /// Remembers that the data page at `addr` is part of a larger one of `1 << size_log2` bytes.
    pub fn note_large(&mut self, addr: u64, size_log2: u32) {
        self.large[self.data.active()].add(addr, size_log2);
    }

    /// The physical address of the code page around `addr`, if the code context in use knows it.
    pub fn lookup_fetch(&mut self, addr: u64) -> Option<u64> {
        let (page, phys) = *self.fetch[self.code.active()].entry(addr);
        (page == addr & !(PAGE_SIZE - 1)).then_some(phys)
    }

    /// Remembers where the code page around `addr` is; it is part of a mapping of `1 << size_log2` bytes.
    pub fn insert_fetch(&mut self, addr: u64, phys: u64, size_log2: u32) {
        let page = addr & !(PAGE_SIZE - 1);
        let table = &mut self.fetch[self.code.active()];
        let entry = table.entry(addr);
        *entry = (page, phys & !(PAGE_SIZE - 1));
        if size_log2 > PAGE_SHIFT {
            table.large.add(addr, size_log2);
        }
    }

    /// The code pages that the code context in use knows: ascending addresses, and physical ones.
    pub fn code_pages(&self) -> Vec<(u64, u64)> {
        let pages = &self.fetch[self.code.active()].pages;
        let mut pages: Vec<_> = pages.iter().copied().filter(|(page, _)| *page != EMPTY).collect();
        pages.sort_unstable();
        pages
    }

    /// Enters where the translation of `pc` is into the code context in use. It counts on pages `beside` that of `pc`:
    /// distances of an address in each, and physical ones.
    pub fn insert_jump(&mut self, pc: u64, code: u64, beside: &[(u64, u64)]) {
        let table = &mut self.fetch[self.code.active()];
        beside.iter().for_each(|(distance, _)| table.beside.add(pc.wrapping_add(*distance)));
        table.executed.add(pc);
        self.tables.code[self.code.active()].insert(pc, code);
    }

    /// Where the translation of `pc` is, if the code context in use knows.
    pub fn lookup_jump(&self, pc: u64) -> Option<u64> {
        self.tables.code[self.code.active()].get(pc)
    }

    /// Has accesses to the pages of `first` to `last` take the slow path, and jumps into them look for their code, in every
    /// context. Nothing is forgotten of where the pages are.
    pub fn slow_down(&self, first: u64, last: u64) {
        let (first, last) = (first & !(PAGE_SIZE - 1), last & !(PAGE_SIZE - 1));
        for table in &self.tables.data {
            for (n, tag) in [READ, WRITE].iter().flat_map(|word| table.column(*word).iter().enumerate()) {
                if let Some((page, false)) = page_of(tag.load(Ordering::Relaxed))
                    && (first..=last).contains(&page)
                {
                    table.slow_down(n, tag, page);
                }
            }
        }
        // An instruction that begins in the page before may end in this one.
        let pages = (last - first) / PAGE_SIZE + 2;
        for (jumps, table) in self.tables.code.iter().zip(&self.fetch) {
            let beside = |n| table.beside.may_have(last.wrapping_sub(n * PAGE_SIZE));
            if pages > MOST_PAGES || (0..pages - 1).any(beside) {
                jumps.clear();
                continue;
            }
            (0..pages).for_each(|n| jumps.clear_page(last.wrapping_sub(n * PAGE_SIZE)));
        }
    }

    /// Forgets translations in the contexts whose key `matches` (data and code keys alike): all of them, or those of
    /// the page at `addr`.
    pub fn flush(&mut self, addr: Option<u64>, matches: impl Fn(u128) -> bool) {
        for slot in 0..self.data.keys.len() {
            if self.data.keys[slot].is_some_and(|(key, _)| matches(key)) {
                self.flush_data(slot, addr);
            }
        }
        for slot in 0..self.code.keys.len() {
            if self.code.keys[slot].is_some_and(|(key, _)| matches(key)) {
                self.flush_code(slot, addr);
            }
        }
    }

    fn flush_code(&mut self, slot: usize, addr: Option<u64>) {
        let (table, jumps) = (&mut self.fetch[slot], &self.tables.code[slot]);
        match addr {
            Some(addr) if !table.large.contains(addr) => {
                let page = addr & !(PAGE_SIZE - 1);
                let entry = table.entry(addr);
                if entry.0 == page {
                    entry.0 = EMPTY;
                }
                if table.beside.may_have(page) {
                    table.beside = PageSet::EMPTY;
                    return jumps.clear();
                }
                // An instruction that begins in the page before may end in this one.
                for page in [page, page.wrapping_sub(PAGE_SIZE)] {
                    if table.executed.may_have(page) {
                        jumps.clear_page(page);
                    }
                }
            }
            _ => {
                *table = FetchTable::new();
                jumps.clear();
            }
        }
    }

    fn flush_data(&mut self, slot: usize, addr: Option<u64>) {
        let table = &self.tables.data[slot];
        match (addr, self.large[slot]) {
            (Some(addr), large) if !large.contains(addr) => {
                let page = addr & !(PAGE_SIZE - 1);
                for at in [table.index(addr), table.aside(addr)] {
                    for tag in [READ, WRITE].map(|word| &table.column(word)[at]) {
                        if page_of(tag.load(Ordering::Relaxed)).is_some_and(|(known, _)| known == page) {
                            tag.store(empty(at), Ordering::Relaxed);
                        }
                    }
                }
            }
            _ => {
                table.clear();
                self.large[slot] = Large::NONE;
            }
        }
    }
}

#[cfg(test)]
mod tests;

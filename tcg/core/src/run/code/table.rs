//! What the cache knows of its translations: by key, by page of their code, and who jumps straight to whom.

use super::CodeStats;
use super::targets::Targets;
use crate::host::{self, CodeBuffer};
use base::PAGE_SIZE;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub phys: u64,
    pub mode: u64,
    /// The virtual page that it serves, if that matters ([`crate::observe`]); else 0.
    pub page: u64,
}

impl Hash for Key {
    /// Keys of one page and mode have places side by side in a table: who looks for one of them looks for others soon, and what is
    /// near it is in the host's cache by then.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (page, offset) = (self.phys / PAGE_SIZE, self.phys % PAGE_SIZE);
        let spread = FxBuildHasher.hash_one((page, self.mode, self.page));
        let place = spread.wrapping_mul(PLACES) + offset / (PAGE_SIZE / PLACES);
        let told_apart = offset.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        state.write_u64((place & CHOOSE_PLACE) | (told_apart & !CHOOSE_PLACE));
    }
}

/// How many places side by side the keys of one page have.
const PLACES: u64 = 64;
/// The bits of a hash that choose a place in a table; by the others those in one place are told apart.
const CHOOSE_PLACE: u64 = u64::MAX >> 7;

/// Takes what [`Key`] says for its hash.
#[derive(Default)]
pub struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys write one word");
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

/// What a translation was made from.
pub struct Source {
    pub key: Key,
    /// Physical addresses and lengths in bytes, no part crossing into another page.
    pub parts: Vec<(u64, u64)>,
    /// The other pages that the code is in: the distance from its address to one in the page, and the physical page.
    pub beside: Vec<(u64, u64)>,
    pub insns: u64,
    /// It is the region of a hot loop.
    pub hot: bool,
}

impl Source {
    /// Physical pages that it is in.
    pub fn pages(&self) -> Vec<u64> {
        let mut pages: Vec<u64> = self.parts.iter().map(|(phys, _)| phys & !(PAGE_SIZE - 1)).collect();
        pages.sort_unstable();
        pages.dedup();
        pages
    }

    pub fn overlaps(&self, phys: u64, len: u64) -> bool {
        self.parts.iter().any(|(start, bytes)| *start < phys + len && phys < start + bytes)
    }
}

/// Which block is the translation of a key, and what a jump to it needs to know: a lookup misses the host's caches as it is.
#[derive(Clone, Copy)]
pub struct Known {
    pub index: u32,
    pub entry: u32,
    /// Its code is in other pages too ([`Source::beside`]).
    pub crosses: bool,
}

pub struct Block {
    pub source: Source,
    pub entry: u32,
    /// Where those enter who know no more than that they go to its address.
    pub link_entry: u32,
    /// Exits of other blocks that jump straight here, to `link_entry`.
    pub incoming: Vec<u32>,
    pub valid: bool,
}

pub struct Site {
    pub site: host::Site,
    /// The block it leaves.
    pub from: u32,
}

pub struct State {
    pub buffer: CodeBuffer,
    pub blocks: Vec<Block>,
    pub by_key: HashMap<Key, Known, BuildHasherDefault<AsItIs>>,
    pub by_page: FxHashMap<u64, Vec<u32>>,
    pub sites: Vec<Site>,
    /// Raised whenever watched code changes: a translation made meanwhile may be of the old code.
    pub epoch: u64,
    /// Number of the first of `sites`; numbers are never used twice.
    pub first_site: u32,
    /// Where computed jumps go.
    pub targets: Targets,
    pub stats: CodeStats,
}

impl State {
    /// Number that the next exit gets.
    pub fn next_site(&self) -> u32 {
        self.first_site + self.sites.len() as u32
    }

    pub fn get(&self, key: &Key) -> Option<&Block> {
        Some(&self.blocks[self.by_key.get(key)?.index as usize])
    }
}

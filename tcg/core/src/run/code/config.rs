//! How translations are made and kept, and what is counted of them.

use crate::build;
use crate::observe::Record;
use crate::run::listener::Listener;
use crate::run::store::Store;
use base::InstructionClock;
use std::sync::Arc;

/// How translations reach each other without the run loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chaining {
    /// In every way there is.
    #[default]
    All,
    /// Within a page only: computed jumps and jumps to other pages come back to the run loop.
    Links,
    /// Not at all: the run loop sees every block.
    None,
}

/// How translations are made and kept.
#[derive(Clone, Debug)]
pub struct CodeConfig {
    /// Size of the code memory in bytes.
    pub code_bytes: usize,
    /// Longest run of guest instructions in one translation.
    pub max_insns: usize,
    /// Choose registers at random but legally, from this seed (tests).
    pub random_registers: Option<u64>,
    /// How translations reach each other.
    pub chaining: Chaining,
    /// How often a way back is taken before the loop becomes a region of its own; `u32::MAX`: it never does.
    pub hot_after: u32,
    /// Who watches what is executed.
    pub record: Option<Arc<Record>>,
    /// Who wants to know of each translation.
    pub listener: Listener,
    /// Where translations are taken from, and remembered.
    pub store: Option<Arc<Store>>,
    /// Translations are made on a thread of their own while vCPUs go on: not in a process, whose `fork` it would not survive.
    pub background: bool,
    /// The vCPUs run by turns, on one thread, and this clock counts their instructions ([`crate::run::Vcpu::take_turn`]).
    pub turns: Option<Arc<InstructionClock>>,
}

impl CodeConfig {
    /// Whether hot loops may become regions.
    pub(super) fn has_regions(&self) -> bool {
        let blocks = self.record.as_ref().is_some_and(|record| record.wants().blocks);
        self.hot_after != u32::MAX && !blocks
    }
}

impl Default for CodeConfig {
    fn default() -> Self {
        Self {
            code_bytes: 64 << 20,
            max_insns: build::MAX_INSNS,
            random_registers: None,
            chaining: Chaining::All,
            hot_after: 8000,
            record: None,
            listener: Listener::default(),
            store: None,
            background: false,
            turns: None,
        }
    }
}

/// Counters for people who tune.
#[derive(Clone, Copy, Debug, Default)]
pub struct CodeStats {
    /// Translations made.
    pub translations: u64,
    /// Those of them that are hot regions.
    pub regions: u64,
    /// Those of them that were made in the background.
    pub in_background: u64,
    /// Guest instructions in them.
    pub guest_insns: u64,
    /// Bytes of host code made.
    pub host_bytes: u64,
    /// Translations dropped because guest code changed.
    pub dropped: u64,
    /// Times the cache was emptied because it was full.
    pub emptied: u64,
    /// Translations that there are now.
    pub live: u64,
    /// Bytes of code memory in use.
    pub used_bytes: u64,
    /// Bytes of code memory.
    pub room_bytes: u64,
}

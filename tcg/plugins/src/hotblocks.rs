//! `hotblocks`: the blocks that were executed most often, with how often each was translated, its instructions, and how often it was
//! entered.
//!
//! Options: `limit=N` blocks are shown (default 20); `inline=` is taken and changes nothing.

use crate::arguments::{Arguments, PluginError};
use crate::{Setting, say};
use std::cmp::Reverse;
use std::fmt::Write;
use tcg_core::observe::{Observer, Record, Wants};

struct HotBlocks {
    limit: usize,
}

pub fn make(arguments: &mut Arguments<'_>, _: &Setting) -> Result<Box<dyn Observer>, PluginError> {
    arguments.flag("inline")?;
    let limit = arguments.number("limit")?.unwrap_or(20);
    Ok(Box::new(HotBlocks { limit: usize::try_from(limit).unwrap_or(usize::MAX) }))
}

impl Observer for HotBlocks {
    fn wants(&self) -> Wants {
        Wants { blocks: true, ..Wants::default() }
    }

    fn finish(&self, record: &Record) {
        let mut blocks = record.blocks();
        let mut text =
            format!("collected {} entries in the hash table\npc, tcount, icount, ecount\n", blocks.len());
        blocks.sort_by_key(|block| (Reverse(block.count), block.pc, block.bytes));
        for block in blocks.iter().take(self.limit).filter(|block| block.count > 0) {
            writeln!(text, "{:#016x}, {}, {}, {}", block.pc, block.translations, block.insns, block.count)
                .expect("a string takes everything");
        }
        say(&text);
    }
}

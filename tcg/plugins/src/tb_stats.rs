//! `-d tb_stats`: where translated code spends its time, as a table that a person can read.
//!
//! A row is a guest address: its symbol, whether it is a block or the region of a hot loop, how many translations were made,
//! guest instructions and bytes of host code of the last, how often it was entered, and what part of all instructions that
//! translations have executed were its own. The parts stand for time as far as instructions take equally long.

use crate::symbols::Symbols;
use std::cmp::Reverse;
use std::fmt::Write;
use tcg_core::observe::{Observer, Record, TranslationCount, Wants};

/// Rows at the end of a run.
const ROWS: usize = 32;

/// Counts what translations do, and shows it at the end.
pub struct TbStats;

impl Observer for TbStats {
    fn wants(&self) -> Wants {
        Wants { translations: true, ..Wants::default() }
    }

    fn finish(&self, record: &Record) {
        tracing::trace!(target: "tb_stats", "{}", table(record, ROWS).trim_end_matches('\n'));
    }
}

/// The table of what `record` has counted: the `rows` that executed most.
pub fn table(record: &Record, rows: usize) -> String {
    let symbols = Symbols::of(&record.images());
    let mut counts = record.translations();
    let total: u64 = counts.iter().map(|count| count.executed).sum();
    counts.sort_by_key(|count| (Reverse(count.executed), count.pc, count.hot));
    let mut text = format!(
        "{} translated addresses, {total} guest instructions executed in translations\n\
         {:<18} {:<6} {:>5} {:>6} {:>6} {:>12} {:>14} {:>6}  symbol\n",
        counts.len(),
        "guest address",
        "tier",
        "made",
        "insns",
        "bytes",
        "entered",
        "executed",
        "share"
    );
    for count in counts.into_iter().take(rows) {
        let TranslationCount { pc, hot, made, insns, host_bytes, entered, executed } = count;
        let tier = if hot { "region" } else { "block" };
        // In tenths of a percent, without floating point.
        let share = (u128::from(executed) * 1000).checked_div(total.into()).unwrap_or(0);
        let share = format!("{}.{}%", share / 10, share % 10);
        let symbol = symbols.show(pc);
        writeln!(
            text,
            "{pc:#018x} {tier:<6} {made:>5} {insns:>6} {host_bytes:>6} {entered:>12} {executed:>14} {share:>6}  {symbol}"
        )
        .expect("a string takes everything");
    }
    text
}

//! `insn`: how many instructions each CPU has executed.
//!
//! Options: `sizes=on` tells how many there were of each length; `match=TEXT` shows each time that an instruction whose listing
//! begins so was executed; `inline=` is taken and changes nothing.

use crate::arguments::{Arguments, PluginError};
use crate::{Setting, say};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use tcg_core::observe::{Calls, Insn as Instruction, Observer, Record, Seen, Wants};

/// An instruction that is looked for.
struct Found {
    pc: u64,
    text: String,
    /// Which of the texts its listing begins with.
    wanted: usize,
    hits: u64,
}

/// What is known of one text.
#[derive(Clone, Copy, Default)]
struct Match {
    hits: u64,
    /// Instructions that were executed when it was hit last, and in all until then.
    last: u64,
}

#[derive(Default)]
struct State {
    by_code: HashMap<(u64, u32), u32>,
    found: Vec<Found>,
    /// By CPU and text.
    matches: HashMap<(u32, usize), Match>,
}

struct Insn {
    sizes: bool,
    texts: Vec<String>,
    state: Mutex<State>,
}

pub fn make(arguments: &mut Arguments<'_>, _: &Setting) -> Result<Box<dyn Observer>, PluginError> {
    arguments.flag("inline")?;
    let sizes = arguments.flag("sizes")?.unwrap_or(false);
    let texts = arguments.texts("match").into_iter().map(String::from).collect();
    Ok(Box::new(Insn { sizes, texts, state: Mutex::default() }))
}

impl Observer for Insn {
    fn wants(&self) -> Wants {
        Wants { insns: self.sizes, calls: !self.texts.is_empty(), ..Wants::default() }
    }

    fn calls(&self, insn: &Instruction<'_>) -> Calls {
        if self.texts.is_empty() {
            return Calls::default();
        }
        let text = (insn.text)();
        let Some(wanted) = self.texts.iter().position(|wanted| text.starts_with(wanted)) else {
            return Calls::default();
        };
        let State { by_code, found, .. } = &mut *self.state.lock();
        let id = *by_code.entry((insn.pc, insn.code)).or_insert_with(|| {
            found.push(Found { pc: insn.pc, text, wanted, hits: 0 });
            found.len() as u32 - 1
        });
        Calls { id, after: true, ..Calls::default() }
    }

    fn after(&self, seen: &mut Seen<'_>, id: u32) {
        let State { found, matches, .. } = &mut *self.state.lock();
        let (now, found) = (seen.insns(), &mut found[id as usize]);
        let of_text = matches.entry((seen.cpu(), found.wanted)).or_default();
        found.hits += 1;
        of_text.hits += 1;
        let since = now - of_text.last;
        of_text.last = now;
        say(&format!(
            "{:#x}, '{}', {} hits, {} match hits, Δ+{since} since last match, {} avg insns/match",
            found.pc,
            found.text,
            found.hits,
            of_text.hits,
            now / of_text.hits
        ));
    }

    fn finish(&self, record: &Record) {
        let (cpus, mut text) = (record.cpus(), String::new());
        if self.sizes {
            let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
            record.insns().iter().for_each(|insn| *sizes.entry(insn.len).or_default() += insn.count);
            for (len, count) in sizes {
                writeln!(text, "len {len} bytes: {count} insns").expect("a string takes everything");
            }
        }
        for cpu in &cpus {
            writeln!(text, "cpu {} insns: {}", cpu.cpu, cpu.insns).expect("a string takes everything");
        }
        let total: u64 = cpus.iter().map(|cpu| cpu.insns).sum();
        say(&format!("{text}total insns: {total}"));
    }
}

//! `bb`: how many blocks and instructions were executed.
//!
//! Options: `inline=` is taken and changes nothing, since counters are always additions in generated code; `idle=on` shows the
//! counts each time a CPU begins to wait.

use crate::arguments::{Arguments, PluginError};
use crate::{Setting, say};
use tcg_core::observe::{Observer, Record, Wants};

struct Bb {
    idle: bool,
}

pub fn make(arguments: &mut Arguments<'_>, _: &Setting) -> Result<Box<dyn Observer>, PluginError> {
    arguments.flag("inline")?;
    Ok(Box::new(Bb { idle: arguments.flag("idle")?.unwrap_or(false) }))
}

fn show(record: &Record) {
    let blocks: u64 = record.blocks().iter().map(|block| block.count).sum();
    let insns: u64 = record.cpus().iter().map(|cpu| cpu.insns).sum();
    say(&format!("bb's: {blocks}, insns: {insns}"));
}

impl Observer for Bb {
    fn wants(&self) -> Wants {
        Wants { blocks: true, ..Wants::default() }
    }

    fn idle(&self, record: &Record) {
        if self.idle {
            show(record);
        }
    }

    fn finish(&self, record: &Record) {
        show(record);
    }
}

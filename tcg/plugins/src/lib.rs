//! What QEMU loads as plugins, built in under the same names: `-plugin [file=]NAME[,option=value]`.
//!
//! Names, options and output are those of QEMU's documentation ("TCG Plugins"); a path counts by its last part, so that
//! `contrib/plugins/libhotblocks.so` is `hotblocks`. Each is an [`Observer`]: most only report what the [`Record`] has counted.
//! Output is the log item `plugin`. Left out: plugins as files, whose interface is that of another program.

mod arguments;
mod bb;
mod coverage;
mod drcov;
mod execlog;
mod hotblocks;
mod howvec;
pub mod image;
mod insn;
mod mem;
pub mod perf;
mod stoptrigger;
mod symbols;
pub mod tb_stats;

pub use arguments::PluginError;
pub use coverage::Coverage;

use arguments::Arguments;
use std::fs::OpenOptions;
use std::sync::Arc;
use tcg_core::observe::Observer;

/// A plugin as the command line names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugin {
    /// Its name or the path of QEMU's file.
    pub file: String,
    /// Its options.
    pub options: Vec<(String, String)>,
}

/// Ends the run with an exit status.
pub type End = Arc<dyn Fn(u8) + Send + Sync>;

/// What plugins know of the run.
#[derive(Clone)]
pub struct Setting {
    /// Name of the guest architecture.
    pub guest: &'static str,
    /// Ends the run; in a machine, soon.
    pub end: End,
}

type Make = fn(&mut Arguments<'_>, &Setting) -> Result<Box<dyn Observer>, PluginError>;

/// Every plugin: name, what it shows, how it is made.
static PLUGINS: &[(&str, &str, Make)] = &[
    ("bb", "how many blocks and instructions were executed", bb::make),
    ("drcov", "which blocks were executed, as a coverage file of DynamoRIO", drcov::make),
    ("execlog", "each instruction, with its accesses to memory", execlog::make),
    ("hotblocks", "the blocks that were executed most often", hotblocks::make),
    ("howvec", "how often each class of instructions was executed", howvec::make),
    ("insn", "how many instructions each CPU has executed", insn::make),
    ("mem", "how many accesses to memory were made", mem::make),
    ("stoptrigger", "ends the run at an address, or after so many instructions", stoptrigger::make),
];

/// Names of the plugins and what they show.
pub fn list() -> impl Iterator<Item = (&'static str, &'static str)> {
    PLUGINS.iter().map(|(name, about, _)| (*name, *about))
}

/// The name in the last part of a path, without what makes it a library's.
fn name_of(file: &str) -> &str {
    let last = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = [".so", ".dylib", ".dll"].iter().find_map(|end| last.strip_suffix(end));
    match stem {
        Some(stem) => stem.strip_prefix("lib").unwrap_or(stem),
        None => last,
    }
}

/// Makes the observer that `plugin` names.
pub fn make(plugin: &Plugin, setting: &Setting) -> Result<Box<dyn Observer>, PluginError> {
    let name = name_of(&plugin.file);
    let Some((_, _, make)) = PLUGINS.iter().find(|(known, _, _)| *known == name) else {
        let names: Vec<&str> = PLUGINS.iter().map(|(name, _, _)| *name).collect();
        return Err(PluginError::Unknown { file: plugin.file.clone(), known: names.join(", ") });
    };
    let mut arguments = Arguments::new(name, &plugin.options);
    let made = make(&mut arguments, setting)?;
    arguments.finish()?;
    Ok(made)
}

/// Finds out before the run whether `file` can be written after it; what is there stays until then.
fn check_writable(file: &str) -> Result<(), String> {
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened.map(drop).map_err(|error| format!("cannot write '{file}': {error}"))
}

/// Shows lines to whoever wants the output of plugins.
fn say(text: &str) {
    tracing::trace!(target: "plugin", "{}", text.trim_end_matches('\n'));
}

#[cfg(test)]
mod tests;

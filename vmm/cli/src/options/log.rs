//! `-d`, `-D` and `-dfilter`: what is logged, where to, and for which code.

use std::ops::RangeInclusive;

use tcg_user::Log;

use super::error::Fault;
use super::value;

/// A log item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogItem {
    OutAsm,
    InAsm,
    Op,
    OpOpt,
    Int,
    Exec,
    Cpu,
    Fpu,
    Mmu,
    CpuReset,
    Unimp,
    GuestErrors,
    Nochain,
    InvalidMem,
    Plugin,
    TbStats,
    Icount,
    Page,
    Vpu,
    Tid,
}

/// The items, in the order of `-d help`: name, item, what is logged.
pub static ITEMS: &[(&str, LogItem, &str)] = &[
    ("out_asm", LogItem::OutAsm, "host code of each translated block"),
    ("in_asm", LogItem::InAsm, "guest code of each translated block"),
    ("op", LogItem::Op, "intermediate code of each translated block"),
    ("op_opt", LogItem::OpOpt, "intermediate code after optimisation"),
    ("int", LogItem::Int, "interrupts and exceptions"),
    ("exec", LogItem::Exec, "each block that is run (a lot)"),
    ("cpu", LogItem::Cpu, "CPU registers before each block (a lot)"),
    ("fpu", LogItem::Fpu, "floating-point registers too, with 'cpu'"),
    ("vpu", LogItem::Vpu, "vector registers too, with 'cpu'"),
    ("mmu", LogItem::Mmu, "work of the memory management unit"),
    ("cpu_reset", LogItem::CpuReset, "CPU registers before a reset"),
    ("unimp", LogItem::Unimp, "use of what is not modelled"),
    ("guest_errors", LogItem::GuestErrors, "what the guest does that makes no sense"),
    ("nochain", LogItem::Nochain, "do not link blocks, so that 'exec' and 'cpu' miss none"),
    ("invalid_mem", LogItem::InvalidMem, "accesses to memory that is not there"),
    ("plugin", LogItem::Plugin, "output of plugins"),
    ("tb_stats", LogItem::TbStats, "where translated code spends its time, at the end of the run"),
    ("page", LogItem::Page, "layout of a process' memory, at its start and as it changes"),
    ("tid", LogItem::Tid, "each thread's lines in a file of its own; %d in -D is its number"),
    ("icount", LogItem::Icount, "with -icount: input, and count and trace hash at the end"),
];

/// Items that QEMU has and Mimic does not.
static OTHER_ITEMS: &[&str] = &["op_ind", "op_plugin", "pcall", "strace"];

/// `-d`, `-D`, `-dfilter`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// What is logged.
    pub items: Vec<LogItem>,
    /// The file, stderr when there is none; `%d` stands for the process id, or for the thread's with [`LogItem::Tid`].
    pub file: Option<String>,
    /// Log only code at these addresses; empty for all.
    pub ranges: Vec<RangeInclusive<u64>>,
}

impl LogOptions {
    /// Where the lines go.
    pub fn place(&self) -> Log {
        match &self.file {
            None => Log::Stderr,
            Some(name) if self.items.contains(&LogItem::Tid) => Log::OfThreads(name.clone()),
            Some(name) => Log::File(name.replace("%d", &std::process::id().to_string()).into()),
        }
    }

    /// Refuses files for each thread that would all be one.
    pub fn check(&self) -> Result<(), Fault> {
        let is_one =
            self.items.contains(&LogItem::Tid) && !self.file.as_ref().is_some_and(|name| name.contains("%d"));
        if is_one {
            Err(Fault::new("needs -D, with %d in the file's name for the thread's number"))
        } else {
            Ok(())
        }
    }
}

/// Reads `-d`'s argument; `None` asks for the list.
pub fn items(argument: &str) -> Result<Option<Vec<LogItem>>, Fault> {
    let mut chosen = Vec::new();
    for word in argument.split(',') {
        match word {
            "help" | "?" => return Ok(None),
            "all" => {
                chosen.extend(ITEMS.iter().map(|(_, item, _)| *item).filter(|item| *item != LogItem::Tid))
            }
            _ if OTHER_ITEMS.contains(&word) || word.starts_with("trace:") => {
                return Err(Fault::not_available(&format!("log item '{word}'")));
            }
            _ => {
                let found = ITEMS.iter().find(|(name, _, _)| *name == word);
                let (_, item, _) = found.ok_or_else(|| {
                    let names = ITEMS.iter().map(|(name, _, _)| *name);
                    Fault::unknown(format!("there is no log item '{word}'"), word, names)
                })?;
                chosen.push(*item);
            }
        }
    }
    Ok(Some(chosen))
}

/// Reads `-D`'s argument: the name of a file, in which one `%d` may stand for a number.
pub fn file(argument: &str) -> Result<String, Fault> {
    let mut places = argument.match_indices('%');
    match (places.next(), places.next()) {
        (None, _) => Ok(argument.into()),
        (Some((at, _)), None) if argument[at..].starts_with("%d") => Ok(argument.into()),
        _ => Err(Fault::new("of '%' it may hold one %d, for the process id")),
    }
}

/// Reads `-dfilter`'s argument: `START..END`, `START+SIZE`, `START-SIZE`, several parted by commas.
pub fn ranges(argument: &str) -> Result<Vec<RangeInclusive<u64>>, Fault> {
    argument.split(',').map(range).collect()
}

fn range(text: &str) -> Result<RangeInclusive<u64>, Fault> {
    let fault = || Fault::new(format!("'{text}' is no range; say START..END, START+SIZE or START-SIZE"));
    let number = |text| value::unsigned(text).map_err(|_| fault());
    let sized = |text| number(text).and_then(|size| size.checked_sub(1).ok_or_else(fault));
    let (start, end) = if let Some((start, end)) = text.split_once("..") {
        (number(start)?, number(end)?)
    } else if let Some((start, size)) = text.split_once('+') {
        let start = number(start)?;
        (start, start.checked_add(sized(size)?).ok_or_else(fault)?)
    } else if let Some((end, size)) = text.split_once('-') {
        let end = number(end)?;
        (end.checked_sub(sized(size)?).ok_or_else(fault)?, end)
    } else {
        return Err(fault());
    };
    if start > end { Err(fault()) } else { Ok(start..=end) }
}

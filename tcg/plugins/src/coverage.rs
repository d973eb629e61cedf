//! Coverage of source lines: which lines of the programs that the guest was started with were executed, and how often, as a trace
//! file of lcov (`geninfo(1)`, "FILES").
//!
//! A line's instructions are found by the DWARF line table of the program's file. Its count is that of its instruction that was executed
//! most often, as gcov's is of its blocks; a function's is that of its first instruction. Nothing is put into the program, and
//! nothing in it has to be built for this but with `-g`.

use crate::say;
use addr2line::Context;
use gimli::{Dwarf, EndianSlice, RunTimeEndian};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use tcg_core::observe::{Image, InsnCount, Observer, Record, Wants};

/// Writes a trace file at the end of the run.
pub struct Coverage {
    file: String,
}

impl Coverage {
    /// Coverage that is written to `file`.
    ///
    /// # Errors
    /// Where the file can not be written.
    pub fn new(file: impl Into<String>) -> Result<Self, String> {
        let file = file.into();
        crate::check_writable(&file)?;
        Ok(Self { file })
    }
}

impl Observer for Coverage {
    fn wants(&self) -> Wants {
        Wants { insns: true, ..Wants::default() }
    }

    fn finish(&self, record: &Record) {
        let mut files = BTreeMap::new();
        let (images, insns) = (record.images(), record.insns());
        for image in &images {
            if let Err(what) = add(&mut files, image, &insns) {
                tracing::warn!("coverage of '{}': {what}", image.path);
            }
        }
        if files.is_empty() {
            tracing::warn!(
                "coverage: no program with debug information was run: '{}' has no lines",
                self.file
            );
        }
        match fs::write(&self.file, trace(&files)) {
            Ok(()) => say(&format!("coverage: wrote {}", self.file)),
            Err(error) => tracing::error!("coverage: cannot write '{}': {error}", self.file),
        }
    }
}

/// One source file.
#[derive(Default)]
struct Source {
    /// Counts by line.
    lines: BTreeMap<u32, u64>,
    /// By line and name: calls.
    functions: BTreeMap<(u32, String), u64>,
}

type Sources = BTreeMap<String, Source>;

/// Adds what was executed of `image` to `sources`.
fn add(sources: &mut Sources, image: &Image, insns: &[InsnCount]) -> Result<(), String> {
    let bytes = fs::read(&image.path).map_err(|error| error.to_string())?;
    let file = object::File::parse(&*bytes).map_err(|error| error.to_string())?;
    let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let sections: BTreeMap<&str, std::borrow::Cow<'_, [u8]>> = file
        .sections()
        .filter_map(|section| Some((section.name().ok()?, section)))
        .filter(|(name, _)| name.starts_with(".debug"))
        .filter_map(|(_, section)| Some((section.name().ok()?, section.uncompressed_data().ok()?)))
        .collect();
    let slice = |name: &str| sections.get(name).map_or(&[][..], |data| &data[..]);
    let load = |id: gimli::SectionId| Ok::<_, gimli::Error>(EndianSlice::new(slice(id.name()), endian));
    let dwarf = Dwarf::load(load).map_err(|error| error.to_string())?;
    let context = Context::from_dwarf(dwarf).map_err(|error| error.to_string())?;
    let count = |from: u64, to: u64| {
        let first = insns.partition_point(|insn| insn.pc < from.wrapping_add(image.bias));
        let inside = insns[first..].iter().take_while(|insn| insn.pc < to.wrapping_add(image.bias));
        inside.map(|insn| insn.count).max().unwrap_or(0)
    };
    let (low, high) = (image.base.wrapping_sub(image.bias), image.end.wrapping_sub(image.bias));
    let ranges = context.find_location_range(low, high).map_err(|error| error.to_string())?;
    let mut any = false;
    for (from, bytes, location) in ranges {
        let (Some(name), Some(line)) = (location.file, location.line) else { continue };
        if line == 0 || !(low..high).contains(&from) {
            continue;
        }
        any = true;
        let hits = sources.entry(name.into()).or_default().lines.entry(line).or_default();
        *hits = (*hits).max(count(from, from.wrapping_add(bytes)));
    }
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition())
    {
        let (Ok(name), address) = (symbol.name(), symbol.address()) else { continue };
        let Ok(Some(location)) = context.find_location(address) else { continue };
        let (Some(path), Some(line)) = (location.file, location.line.filter(|line| *line != 0)) else {
            continue;
        };
        if symbol.size() == 0 || name.is_empty() {
            continue;
        }
        let calls = insns.partition_point(|insn| insn.pc < address.wrapping_add(image.bias));
        let first = insns[calls..].iter().take_while(|insn| insn.pc == address.wrapping_add(image.bias));
        let calls: u64 = first.map(|insn| insn.count).sum();
        *sources.entry(path.into()).or_default().functions.entry((line, name.into())).or_default() += calls;
    }
    if any { Ok(()) } else { Err("it has no debug information (build it with -g)".into()) }
}

/// The trace file.
fn trace(sources: &Sources) -> String {
    let mut text = String::new();
    for (name, Source { lines, functions }) in sources {
        let hit = |counts: &mut dyn Iterator<Item = &u64>| counts.filter(|count| **count > 0).count();
        let mut put = |line: String| writeln!(text, "{line}").expect("a string takes everything");
        put("TN:".into());
        put(format!("SF:{name}"));
        functions.keys().for_each(|(line, name)| put(format!("FN:{line},{name}")));
        functions.iter().for_each(|((_, name), calls)| put(format!("FNDA:{calls},{name}")));
        put(format!("FNF:{}", functions.len()));
        put(format!("FNH:{}", hit(&mut functions.values())));
        lines.iter().for_each(|(line, hits)| put(format!("DA:{line},{hits}")));
        put(format!("LF:{}", lines.len()));
        put(format!("LH:{}", hit(&mut lines.values())));
        put("end_of_record".into());
    }
    text
}

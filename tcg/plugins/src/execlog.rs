//! `execlog`: each instruction that was executed, with its accesses to memory.
//!
//! Options: `ifilter=TEXT` shows instructions whose listing begins so, `afilter=ADDRESS` those at an address; `reg=PATTERN` shows
//! registers (debugger's names, `*` and `?` stand for anything) that have changed, `rdisas=on` only looks at those that the listing names.

use crate::arguments::{Arguments, PluginError};
use crate::{Setting, say};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt::Write;
use tcg_core::observe::{Accessed, Calls, Insn, Observer, Seen, Verdict, Wants};

/// An instruction that is shown.
struct Shown {
    /// As it begins.
    line: String,
    /// Registers to look at, of [`State::names`].
    registers: Vec<usize>,
}

/// One CPU.
#[derive(Default)]
struct Cpu {
    /// What the present instruction has accessed.
    accesses: String,
    /// Last values of [`State::names`].
    values: Vec<Option<Vec<u8>>>,
}

#[derive(Default)]
struct State {
    by_code: HashMap<(u64, u32), u32>,
    shown: Vec<Shown>,
    /// Registers that the options name, with their numbers.
    names: Vec<(String, u32)>,
    cpus: HashMap<u32, Cpu>,
}

struct ExecLog {
    listings: Vec<String>,
    addresses: Vec<u64>,
    patterns: Vec<String>,
    named_only: bool,
    state: Mutex<State>,
}

pub fn make(arguments: &mut Arguments<'_>, _: &Setting) -> Result<Box<dyn Observer>, PluginError> {
    let owned = |texts: Vec<&str>| texts.into_iter().map(String::from).collect();
    Ok(Box::new(ExecLog {
        listings: owned(arguments.texts("ifilter")),
        addresses: arguments.numbers("afilter")?,
        patterns: owned(arguments.texts("reg")),
        named_only: arguments.flag("rdisas")?.unwrap_or(false),
        state: Mutex::default(),
    }))
}

/// Whether `text` is what `pattern` says, in which `*` stands for any characters and `?` for one.
fn glob(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    match first {
        '*' => text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| glob(rest, &text[at..])),
        _ => text
            .chars()
            .next()
            .is_some_and(|c| (first == '?' || first == c) && glob(rest, &text[c.len_utf8()..])),
    }
}

/// Whether `word` stands in `text` as a word.
fn names(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|part| part == word)
}

impl ExecLog {
    fn is_shown(&self, pc: u64, text: &str) -> bool {
        let no_filter = self.listings.is_empty() && self.addresses.is_empty();
        no_filter || self.listings.iter().any(|begin| text.starts_with(begin)) || self.addresses.contains(&pc)
    }
}

impl Observer for ExecLog {
    fn wants(&self) -> Wants {
        Wants { calls: true, ..Wants::default() }
    }

    fn registers(&self, all: &[(String, u32)]) {
        let wanted = |name: &str| self.patterns.iter().any(|pattern| glob(pattern, name));
        let mut state = self.state.lock();
        if state.names.is_empty() {
            state.names = all.iter().filter(|(name, _)| wanted(name)).cloned().collect();
        }
    }

    fn calls(&self, insn: &Insn<'_>) -> Calls {
        let text = (insn.text)();
        if !self.is_shown(insn.pc, &text) {
            return Calls::default();
        }
        let State { by_code, shown, names: registers, .. } = &mut *self.state.lock();
        let id = *by_code.entry((insn.pc, insn.code)).or_insert_with(|| {
            let line = format!("{:#x}, {:#x}, \"{text}\"", insn.pc, insn.code);
            let looked_at = |n: &usize| !self.named_only || names(&text, &registers[*n].0);
            shown.push(Shown { line, registers: (0..registers.len()).filter(looked_at).collect() });
            shown.len() as u32 - 1
        });
        Calls { id, before: true, after: true, accesses: true }
    }

    fn before(&self, seen: &mut Seen<'_>, _: u32) -> Verdict {
        let State { names, cpus, .. } = &mut *self.state.lock();
        let cpu = cpus.entry(seen.cpu()).or_default();
        // What it did before it had to begin again does not count.
        cpu.accesses.clear();
        if cpu.values.len() != names.len() {
            cpu.values = names.iter().map(|(_, number)| seen.register(*number)).collect();
        }
        Verdict::GoOn
    }

    fn accessed(&self, seen: &mut Seen<'_>, _: u32, access: Accessed) {
        let kind = if access.store { "store" } else { "load" };
        let place = match seen.phys() {
            Some(phys) => format!(", {kind}, {phys:#010x}, {}", seen.device()),
            None => format!(", {kind}, {:#010x}", access.addr),
        };
        self.state.lock().cpus.entry(seen.cpu()).or_default().accesses.push_str(&place);
    }

    fn after(&self, seen: &mut Seen<'_>, id: u32) {
        let State { shown, names, cpus, .. } = &mut *self.state.lock();
        let (shown, cpu) = (&shown[id as usize], cpus.entry(seen.cpu()).or_default());
        let mut line = format!("{}, {}{}", seen.cpu(), shown.line, cpu.accesses);
        cpu.accesses.clear();
        for &n in &shown.registers {
            let (name, number) = &names[n];
            let value = seen.register(*number);
            let Some(known) = cpu.values.get_mut(n).filter(|known| **known != value) else { continue };
            let digits = value.iter().flatten().rev().map(|byte| format!("{byte:02x}")).collect::<String>();
            write!(line, ", {name} -> 0x{digits}").expect("a string takes everything");
            *known = value;
        }
        say(&line);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn patterns_are_those_of_the_shell() {
        assert!(super::glob("*_el2", "far_el2") && super::glob("x?", "x3") && super::glob("*", ""));
        assert!(
            !super::glob("x?", "x13") && !super::glob("sp", "sp_el0") && !super::glob("*_el1", "far_el2")
        );
    }
}

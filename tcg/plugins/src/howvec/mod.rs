//! `howvec`: how often each class of instructions was executed.
//!
//! Options: `count=CLASS` breaks a class down into its instructions, `count=!CLASS` leaves it out, by the short names in the tables;
//! `verbose=on` also shows classes of which there was none; `inline=` is taken and changes nothing.

mod aarch64;
mod riscv64;

use crate::arguments::{Arguments, PluginError};
use crate::{Setting, say};
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write;
use tcg_core::observe::{Calls, Insn, Observer, Record, Wants};

/// How a class is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counting {
    No,
    Together,
    Each,
}

/// A class: the instructions of which the bits of `mask` are `value`, and that are in no class before it.
struct Class {
    /// The name; two blanks in front of a part of the class that is named below.
    name: &'static str,
    /// What options call it.
    short: &'static str,
    mask: u32,
    value: u32,
    counting: Counting,
}

const fn class(name: &'static str, short: &'static str, mask: u32, value: u32) -> Class {
    Class { name, short, mask, value, counting: Counting::Together }
}

const fn uncounted(name: &'static str, short: &'static str, mask: u32, value: u32) -> Class {
    Class { counting: Counting::No, ..class(name, short, mask, value) }
}

/// What there are no classes for.
static OTHERS: [Class; 1] = [class("Unclassified", "unclassified", 0, 0)];

/// Individual instructions that are shown.
const SHOWN: usize = 50;

struct HowVec {
    classes: &'static [Class],
    counting: Vec<Counting>,
    verbose: bool,
    /// Of instructions in classes that are broken down.
    listings: Mutex<HashMap<u32, String>>,
}

pub fn make(arguments: &mut Arguments<'_>, setting: &Setting) -> Result<Box<dyn Observer>, PluginError> {
    let classes: &'static [Class] = match setting.guest {
        "aarch64" => &aarch64::CLASSES,
        "riscv64" => &riscv64::CLASSES,
        _ => &OTHERS,
    };
    let mut counting: Vec<Counting> = classes.iter().map(|class| class.counting).collect();
    for choice in arguments.texts("count") {
        let (name, how) = match choice.strip_prefix('!') {
            Some(name) => (name, Counting::No),
            None => (choice, Counting::Each),
        };
        let known = classes.iter().position(|class| class.short == name);
        let at =
            known.ok_or_else(|| arguments.fault("count", choice, "there is no class of this short name"))?;
        counting[at] = how;
    }
    arguments.flag("inline")?;
    let verbose = arguments.flag("verbose")?.unwrap_or(false);
    Ok(Box::new(HowVec { classes, counting, verbose, listings: Mutex::default() }))
}

impl HowVec {
    fn class_of(&self, code: u32) -> Option<usize> {
        self.classes.iter().position(|class| code & class.mask == class.value)
    }
}

impl Observer for HowVec {
    fn wants(&self) -> Wants {
        Wants { insns: true, ..Wants::default() }
    }

    fn calls(&self, insn: &Insn<'_>) -> Calls {
        if self.class_of(insn.code).is_some_and(|class| self.counting[class] == Counting::Each) {
            self.listings.lock().entry(insn.code).or_insert_with(|| (insn.text)());
        }
        Calls::default()
    }

    fn finish(&self, record: &Record) {
        let mut hits = vec![0; self.classes.len()];
        let mut each: HashMap<(u32, usize), u64> = HashMap::new();
        for insn in record.insns() {
            let Some(class) = self.class_of(insn.code) else { continue };
            hits[class] += insn.count;
            if self.counting[class] == Counting::Each {
                *each.entry((insn.code, class)).or_default() += insn.count;
            }
        }
        let mut text = String::from("Instruction Classes:\n");
        for ((class, counting), hits) in self.classes.iter().zip(&self.counting).zip(hits) {
            let what = match counting {
                Counting::No => "not counted".into(),
                Counting::Each => "counted individually".into(),
                Counting::Together if hits == 0 && !self.verbose => continue,
                Counting::Together => format!("({hits} hits)"),
            };
            writeln!(text, "Class: {:<24} {what}", class.name).expect("a string takes everything");
        }
        let mut each: Vec<_> = each.into_iter().collect();
        each.sort_by_key(|((code, _), hits)| (Reverse(*hits), *code));
        if !each.is_empty() {
            text += "Individual Instructions:\n";
        }
        let listings = self.listings.lock();
        for ((code, class), hits) in each.into_iter().take(SHOWN) {
            let listing = listings.get(&code).map_or("", String::as_str);
            let hits = format!("({hits} hits)");
            writeln!(text, "Instr: {listing:<24} {hits:<16}(op={code:#x}/{})", self.classes[class].name)
                .expect("a string takes everything");
        }
        say(&text);
    }
}

//! Golden code: what every row becomes, kept in `golden/`, a file a family. A slowdown is a difference here.
//!
//! An entry is the listing of the instruction, how much host code it takes, and side by side its IR after the optimiser and
//! the way through its host code. After a change that is meant, `MIMIC_BLESS=1 cargo test -p tcg-aarch64 --test golden`
//! writes the files anew; the difference goes into the commit.
#![cfg(target_arch = "x86_64")]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use tcg_aarch64::Aarch64;
use tcg_aarch64::decode;
use tcg_aarch64::features::Features;
use tcg_aarch64::isa::{ROWS, Row};
use tcg_core::testing::golden;

const BLESS: &str = "MIMIC_BLESS=1 cargo test --release -p tcg-aarch64 --test golden";

/// The row's instruction with the same operands wherever it can have them; `None` for what needs others.
fn canonical(row: &Row, mode: u64) -> Option<u32> {
    let with = |size: u32| {
        row.operands.iter().fold(row.value, |word, (operand, _)| {
            let bits = match *operand {
                "rd" | "rt" => 0,
                "rn" => 1,
                "rm" | "rt2" => 2,
                "ra" | "rs" => 4,
                "sf" | "q" | "n" | "sz" | "ftype" | "opc" => 1,
                "size" => size,
                "option" | "len" | "shift" | "sh" | "s" | "w" | "m" | "l" | "h" | "a" | "op" | "hw" | "r" => {
                    0
                }
                "imms" => 7,
                "immr" => 0,
                "imm5" => 8,
                "scale" => 40,
                "opcode" => 0b0111,
                "imm" if row.name.ends_with("/v") && row.has("q") => 0b10_1000,
                "imm" => 16,
                "reg" => 1 << 14 | 3 << 11 | 4 << 7 | 2 << 3,
                _ => 1,
            };
            row.with(word, operand, bits)
        })
    };
    let fits = |word: &u32| {
        let name = decode::decode(*word, mode).op.map(|op| op.row().name);
        row.encode(*word) == Some(*word) && name == Some(row.name)
    };
    [3, 2, 1, 0].map(with).into_iter().find(fits)
}

/// The files: name of the family, text.
fn files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mode = support::mode(Features::max(), 0);
    for row in ROWS {
        let family = format!("{:?}", row.extensions[0]).to_lowercase();
        let head = || {
            format!(
                "# Extension {}: instruction; IR after the optimiser | host code. Written by\n# {BLESS}\n",
                row.extensions[0].name()
            )
        };
        let Some(word) = canonical(row, mode) else { continue };
        let entry = golden::entry::<Aarch64>(&word.to_le_bytes(), mode);
        let text = files.entry(family).or_insert_with(head);
        *text += &format!("\n{entry}");
    }
    files
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The first line in which two texts differ.
fn difference(old: &str, new: &str) -> Option<String> {
    let (mut old, mut new) = (old.lines(), new.lines());
    let mut entry = "";
    for number in 1.. {
        let pair = (old.next(), new.next());
        match pair {
            (None, None) => return None,
            (a, b) if a == b => {
                let line = a.unwrap_or("");
                if !line.starts_with(' ') && !line.is_empty() {
                    entry = line;
                }
            }
            (a, b) => {
                let show = |line: Option<&str>| line.unwrap_or("(end)").to_owned();
                return Some(format!("line {number}, in {entry}\n  was {}\n  is  {}", show(a), show(b)));
            }
        }
    }
    None
}

#[test]
fn host_code_is_as_it_was() {
    let files = files();
    if std::env::var_os("MIMIC_BLESS").is_some() {
        std::fs::create_dir_all(folder()).expect("our own folder");
        for old in std::fs::read_dir(folder()).expect("our own folder") {
            std::fs::remove_file(old.expect("readable").path()).expect("our own file");
        }
        for (family, text) in &files {
            std::fs::write(folder().join(format!("{family}.txt")), text).expect("our own folder");
        }
        return;
    }
    let mut differences = Vec::new();
    for (family, text) in &files {
        let path = folder().join(format!("{family}.txt"));
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        differences.extend(difference(&old, text).map(|what| format!("{family}.txt, {what}")));
    }
    let kept = std::fs::read_dir(folder()).expect("our own folder").count();
    assert!(
        differences.is_empty() && kept == files.len(),
        "{} of {} files differ, {kept} are kept:\n{}\nIf that is meant: {BLESS}",
        differences.len(),
        files.len(),
        differences.join("\n"),
    );
}

//! Golden code: what every row becomes, kept in `golden/`, a file a family. A slowdown is a difference here.
//!
//! An entry is the listing of the instruction, how much host code it takes, and side by side its IR after the optimiser and
//! the way through its host code. After a change that is meant, `MIMIC_BLESS=1 cargo test -p tcg-aarch64 --test golden`
//! writes the files anew; the difference goes into the commit.
#![cfg(target_arch = "x86_64")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
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

#[test]
fn host_code_is_as_it_was() {
    golden::check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), &files(), BLESS);
}

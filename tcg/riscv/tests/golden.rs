//! Golden code: what every row becomes, kept in `golden/`, a file a family. A slowdown is a difference here.
//!
//! An entry is the listing of the instruction, how much host code it takes, and side by side its IR after the optimiser and
//! the way through its host code. After a change that is meant, `MIMIC_BLESS=1 cargo test -p tcg-riscv --test golden`
//! writes the files anew; the difference goes into the commit.
#![cfg(target_arch = "x86_64")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use tcg_core::testing::golden;
use tcg_riscv::Riscv;
use tcg_riscv::features::Features;
use tcg_riscv::isa::{ROWS, Row};

const BLESS: &str = "MIMIC_BLESS=1 cargo test --release -p tcg-riscv --test golden";

/// The row's instruction with the same operands wherever it can have them.
fn canonical(row: &Row) -> u32 {
    let operands = |word: u32, operand: &str| {
        // Three bits name the registers from s0 to a5.
        let short = row.operands.iter().any(|(name, segments)| {
            *name == operand && segments.iter().map(|(_, _, len)| len).sum::<u32>() == 3
        });
        let register = |n: u32| if short { n - 8 } else { n };
        let bits = match operand {
            "rd" => register(10),
            "rs1" => register(11),
            "rs2" => register(12),
            "rs3" => register(13),
            "csr" => 0x340,
            "rm" => 7,
            "imm" if row.name.ends_with("lui") || row.name == "auipc" => 0x1_2000,
            "imm" => 16,
            "nf" => u32::from(row.name.contains("whole")),
            "pred" | "succ" => 3,
            "aqrl" | "fm" => 0,
            _ => 5,
        };
        row.with(word, operand, bits)
    };
    let word = row.operands.iter().fold(row.value, |word, (operand, _)| operands(word, operand));
    assert_eq!(row.encode(word), Some(word), "{}: these operands are another row's", row.name);
    word
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
        let bytes = canonical(row).to_le_bytes();
        let entry = golden::entry::<Riscv>(&bytes[..row.width as usize / 8], mode);
        let text = files.entry(family).or_insert_with(head);
        // What a row is short for stands in the listing.
        let name = row.expands.map_or_else(String::new, |_| format!("{}: ", row.name));
        *text += &format!("\n{name}{entry}");
    }
    files
}

#[test]
fn host_code_is_as_it_was() {
    golden::check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), &files(), BLESS);
}

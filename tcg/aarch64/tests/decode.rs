//! Decoding and printing: every row against a linear scan of the rows, and random words against binutils.

mod support;

use std::fmt::Write;
use std::process::Command;
use tcg_aarch64::decode::{self, Insn};
use tcg_aarch64::features::{Ext, Features};
use tcg_aarch64::isa::{self, ROWS, Row};
use tcg_core::testing::Rng;

/// The row that a word has by definition: the first that fits, in table order.
fn scan(word: u32, on: impl Fn(Ext) -> bool) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.encode(word) == Some(word) && row.extensions.iter().all(|ext| on(*ext)))
}

#[test]
fn every_row_decodes_to_itself() {
    let mut rng = Rng::new(1);
    for row in ROWS {
        let mut itself = 0;
        for _ in 0..1000 {
            let Some(word) = row.encode(rng.bits() as u32) else { continue };
            let wanted = scan(word, |_| true).expect("at least this row fits");
            itself += u32::from(std::ptr::eq(wanted, row));
            let decoded = isa::decode32(word, |_| true).map(|op| op.row().name);
            assert_eq!(decoded, Some(wanted.name), "{word:#x} of {}", row.name);
        }
        assert!(itself > 100, "{} is hidden by other rows", row.name);
    }
}

#[test]
fn without_its_extension_a_row_does_not_exist() {
    let mut rng = Rng::new(2);
    for row in ROWS.iter().filter(|row| row.extensions != [Ext::Base]) {
        let off = |ext: &Ext| !row.extensions.contains(ext);
        for word in (0..100).filter_map(|_| row.encode(rng.bits() as u32)) {
            let wanted = scan(word, |ext| off(&ext)).map(|row| row.name);
            let decoded = isa::decode32(word, |ext| off(&ext)).map(|op| op.row().name);
            assert_eq!(decoded, wanted, "{word:#x} of {}", row.name);
        }
    }
}

/// Listings by binutils, one a word; `None` where it is not installed.
fn objdump(words: &[u32]) -> Option<Vec<String>> {
    let dir = support::scratch("objdump");
    let (source, object) = (dir.join("words.s"), dir.join("words.o"));
    let mut text = String::from("d:\n");
    for word in words {
        writeln!(text, ".inst {word:#010x}").expect("a string takes everything");
    }
    std::fs::write(&source, text).expect("a scratch file");
    let assembler = Command::new("aarch64-linux-gnu-as")
        .arg("-march=armv9-a")
        .arg("-o")
        .args([&object, &source])
        .output()
        .ok()?;
    assert!(assembler.status.success(), "{}", String::from_utf8_lossy(&assembler.stderr));
    let listing = Command::new("aarch64-linux-gnu-objdump")
        .args(["-d", "-z", "-M", "no-aliases"])
        .arg(&object)
        .output()
        .ok()?;
    let listing = String::from_utf8(listing.stdout).expect("objdump writes text");
    let lines = listing
        .lines()
        .filter_map(|line| line.split_once(":\t"))
        .filter_map(|(_, rest)| rest.split_once('\t'));
    let lines: Vec<_> = lines.map(|(_, text)| text.to_owned()).collect();
    assert_eq!(lines.len(), words.len(), "one line a word");
    Some(lines)
}

/// A listing without what is a matter of taste: comments, names of addresses, hexadecimal or not, spaces.
fn plain(text: &str) -> String {
    let text = text.split("//").next().unwrap_or(text).split('<').next().unwrap_or(text).trim();
    let (name, operands) = text.split_once(['\t', ' ']).unwrap_or((text, ""));
    let operands: Vec<String> = operands.split(',').map(|operand| number(operand.trim())).collect();
    format!("{name} {}", operands.join(","))
}

/// Numbers in decimal.
fn number(text: &str) -> String {
    let (hash, digits) = text.strip_prefix('#').map_or(("", text), |digits| ("#", digits));
    // Addresses: only their listings have no hash.
    if hash.is_empty()
        && let Some(address) = digits.strip_prefix("0x")
    {
        return address.to_string();
    }
    if let Some(value) = digits.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
        return format!("{hash}{}", value as i64);
    }
    if hash == "#"
        && let Ok(value) = digits.parse::<f64>()
    {
        return format!("#{value}");
    }
    text.to_string()
}

/// Rows whose listings name what binutils writes otherwise: system registers and instructions, hints, barriers.
fn is_spelled_otherwise(row: &Row) -> bool {
    const NAMES: [&str; 20] = [
        "nop/hint",
        "movi/v",
        "yield/hint",
        "wfe",
        "wfi",
        "sev",
        "sevl",
        "mrs",
        "msr",
        "msr/imm",
        "sys",
        "sysl",
        "hint",
        "dsb",
        "dmb",
        "isb",
        "clrex",
        "sb",
        "cfinv",
        "drps",
    ];
    // Of a `nv` condition and of prefetches that do not exist, and where branches go, nothing is to be learnt.
    // Hints that are instructions of an extension stand as numbers there.
    let hint = row.value & 0xffff_f01f == 0xd503_201f;
    NAMES.contains(&row.name) || row.name.starts_with("prf") || hint
}

#[test]
fn listings_are_those_of_binutils() {
    let mut rng = Rng::new(4);
    let mode = support::mode(Features::max(), 0);
    let mut words = Vec::new();
    for row in ROWS.iter().filter(|row| !is_spelled_otherwise(row)) {
        words.extend((0..40).filter_map(|_| row.encode(rng.bits() as u32)));
    }
    let Some(theirs) = objdump(&words) else {
        eprintln!("skipped: aarch64-linux-gnu-as is not installed");
        return;
    };
    let mut wrong = String::new();
    let mut count = 0;
    let mut shown = std::collections::BTreeMap::new();
    for (n, (word, theirs)) in words.iter().zip(&theirs).enumerate() {
        let insn = decode::decode(*word, mode);
        let skipped = insn.op.is_some_and(|op| is_spelled_otherwise(op.row()));
        if !skipped && !same(insn, theirs, 4 * n as u64) {
            count += 1;
            let times: &mut u32 = shown.entry(insn.op.map(|op| op.row().name)).or_default();
            *times += 1;
            if *times < 4 {
                let ours = tcg_aarch64::print(insn, 4 * n as u64);
                writeln!(wrong, "{word:08x}: `{}` here, `{}` there", plain(&ours), plain(theirs))
                    .expect("a string");
            }
        }
    }
    assert!(count == 0, "{count} of {}:\n{wrong}", words.len());
}

fn same(insn: Insn, theirs: &str, pc: u64) -> bool {
    let undefined = theirs.contains("undefined") || theirs.starts_with(".inst");
    if insn.op.is_none() || undefined {
        return insn.op.is_none() == undefined || is_unpredictable(insn);
    }
    plain(&tcg_aarch64::print(insn, pc)) == plain(theirs)
}

/// Loads of a pair into one register, or with a base that is also loaded: binutils refuses some of what is unpredictable.
fn is_unpredictable(insn: Insn) -> bool {
    let [rt, rn, rt2] = [0, 5, 10].map(|at| insn.bits >> at & 31);
    let pair = insn.op.is_some_and(|op| op.row().has("rt2"));
    pair && (rt == rt2 || rt == rn || rt2 == rn)
}

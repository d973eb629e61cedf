//! Decoding and printing: every row against a linear scan of the rows, and random words against binutils.

mod support;

use std::fmt::Write;
use std::process::Command;
use tcg_core::testing::Rng;
use tcg_riscv::decode::{self, Insn};
use tcg_riscv::features::{Ext, Features};
use tcg_riscv::isa::{self, ROWS, Row};

/// M-mode with the float unit dirty.
fn mode(features: Features) -> u64 {
    support::mode(features, 0)
}

/// The row that a word has by definition: the first that fits, in table order.
fn scan(word: u32, width: u32, on: impl Fn(Ext) -> bool) -> Option<&'static Row> {
    ROWS.iter().find(|row| {
        row.width == width && row.encode(word) == Some(word) && row.extensions.iter().all(|ext| on(*ext))
    })
}

fn meaning(row: &Row) -> &'static str {
    row.expands.unwrap_or(row.name)
}

fn decoded(insn: Insn) -> Option<&'static str> {
    insn.op.map(|op| op.row().name)
}

#[test]
fn every_row_decodes_to_itself() {
    let mut rng = Rng::new(1);
    let mode = mode(Features::max());
    for row in ROWS {
        let mut itself = 0;
        for _ in 0..1000 {
            let Some(word) = row.encode(rng.bits() as u32) else { continue };
            let wanted = scan(word, row.width, |_| true).expect("at least this row fits");
            itself += u32::from(std::ptr::eq(wanted, row));
            assert_eq!(
                decoded(decode::decode(word, mode)),
                Some(meaning(wanted)),
                "{word:#x} of {}",
                row.name
            );
        }
        assert!(itself > 100, "{} is hidden by other rows", row.name);
    }
}

#[test]
fn every_halfword_decodes_as_its_row_says() {
    let mode = mode(Features::rv64());
    for word in (0..1 << 16).filter(|word| word & 3 != 3) {
        let wanted = scan(word, 16, |ext| Features::rv64().has(ext));
        assert_eq!(decoded(decode::decode(word, mode)), wanted.map(meaning), "{word:#06x}");
    }
}

#[test]
fn without_its_extension_a_row_does_not_exist() {
    let mut rng = Rng::new(2);
    for row in ROWS.iter().filter(|row| row.extensions != [Ext::I]) {
        let off = |ext: &Ext| !row.extensions.contains(ext);
        for _ in 0..100 {
            let Some(word) = row.encode(rng.bits() as u32) else { continue };
            let decode = if row.width == 32 {
                isa::decode32(word, |e| off(&e))
            } else {
                isa::decode16(word, |e| off(&e))
            };
            let wanted = scan(word, row.width, |ext| off(&ext)).map(meaning);
            assert_eq!(decode.map(|op| op.row().name), wanted, "{word:#x} of {}", row.name);
        }
    }
}

#[test]
fn float_instructions_are_illegal_while_the_unit_is_off() {
    let mut rng = Rng::new(3);
    let float = [Ext::F, Ext::D, Ext::Zfa, Ext::Zfh, Ext::Zfhmin, Ext::Zcd];
    let off = support::mode_with_fs(Features::max(), 0, 0);
    for row in ROWS.iter().filter(|row| row.extensions.iter().any(|ext| float.contains(ext))) {
        for word in (0..100).filter_map(|_| row.encode(rng.bits() as u32)) {
            assert_eq!(decode::decode(word, off), Insn { op: None, bits: word }, "{}", row.name);
        }
    }
}

/// What binutils 2.40 does not know.
const UNKNOWN_TO_BINUTILS: &str = "max,zicond=off,zfa=off,zihintntl=off,zimop=off,zcb=off,zabha=off,zvbb=off,zvkb=off,zvbc=off,zvkg=off,\
     zvkned=off,zvknha=off,zvknhb=off,zvksed=off,zvksh=off";
const MARCH: &str = "-march=rv64gcv_zicsr_zifencei_zba_zbb_zbc_zbs_zicbom_zicboz_zicbop_zawrs_zfh_zbkb_zbkc_zbkx_zk_zks_svinval_zihintpause";

/// Listings by binutils, one a word; `None` where it is not installed.
fn objdump(words: &[u32]) -> Option<Vec<String>> {
    let dir = support::scratch("objdump");
    let (source, object) = (dir.join("words.s"), dir.join("words.o"));
    let mut text = String::new();
    for word in words {
        let bytes = if word & 3 == 3 { 4 } else { 2 };
        writeln!(text, ".insn {bytes}, {word:#x}").expect("a string takes everything");
    }
    std::fs::write(&source, text).expect("a scratch file");
    let assembler =
        Command::new("riscv64-linux-gnu-as").arg(MARCH).arg("-o").args([&object, &source]).output().ok()?;
    assert!(assembler.status.success(), "{}", String::from_utf8_lossy(&assembler.stderr));
    let listing = Command::new("riscv64-linux-gnu-objdump")
        .args(["-d", "-z", "-M", "no-aliases"])
        .arg(&object)
        .output()
        .ok()?;
    let listing = String::from_utf8(listing.stdout).expect("objdump writes text");
    let lines = listing
        .lines()
        .filter_map(|line| line.split_once(":\t"))
        .filter_map(|(_, rest)| rest.split_once('\t'));
    let lines: Vec<_> =
        lines.map(|(_, text)| text.split(" #").next().unwrap_or(text).trim().to_owned()).collect();
    assert_eq!(lines.len(), words.len(), "one line a word");
    Some(lines)
}

/// Our listing in the spelling of binutils.
fn spelled(insn: Insn, pc: u64) -> String {
    let text = tcg_riscv::print(insn, pc);
    let text = text.replacen(' ', "\t", 1).replace(", ", ",");
    let is_jump =
        insn.op.is_some_and(|op| matches!(op.row().name.as_bytes()[0], b'b' | b'j') && op.row().has("imm"));
    // Addresses stand without 0x there.
    if is_jump { text.replace(",0x", ",") } else { text }
}

/// Legality and text of words that are near rows, or far from any.
#[test]
fn agrees_with_binutils() {
    let features = Features::parse(UNKNOWN_TO_BINUTILS).expect("known names");
    let mode = mode(features);
    let mut rng = Rng::new(4);
    let mut words: Vec<u32> = Vec::new();
    for row in ROWS.iter().filter(|row| row.width == 32) {
        let exact: Vec<u32> = (0..60).filter_map(|_| row.encode(rng.bits() as u32)).collect();
        let near: Vec<u32> = exact.iter().map(|word| word ^ 1 << (2 + rng.bits() % 30)).collect();
        words.extend(exact.into_iter().chain(near));
    }
    words.extend((0..20_000).map(|_| rng.bits() as u32 | 3));
    words.retain(|word| word & 0x1f != 0x1f);
    let Some(lines) = objdump(&words) else {
        eprintln!("skipped: binutils for riscv64 are not installed");
        return;
    };
    let mut different = Vec::new();
    for (n, (word, line)) in words.iter().zip(&lines).enumerate() {
        let insn = decode::decode(*word, mode);
        let ours = spelled(insn, 4 * n as u64);
        let theirs = line.split(" <").next().unwrap_or(line);
        if !same(&ours, theirs, insn) {
            different.push(format!("{word:08x}  {ours:40} {theirs}"));
        }
    }
    assert!(different.is_empty(), "{} of {}:\n{}", different.len(), words.len(), different.join("\n"));
}

/// Instructions of drafts that binutils still knows.
const WITHDRAWN: [&str; 3] = ["uret", "hret", "sfence.vm"];
/// Conversions that are always exact: binutils wants their rounding mode to be zero and does not print it.
const EXACT: [&str; 5] = ["fcvt.d.w\t", "fcvt.d.wu\t", "fcvt.d.s\t", "fcvt.d.h\t", "fcvt.s.h\t"];
/// Fields that hardware is to ignore; binutils wants them to be zero.
const LENIENT: [&str; 3] = ["fence\t", "fence.tso", "fence.i"];

fn same(ours: &str, theirs: &str, insn: Insn) -> bool {
    let starts = |text: &str, with: &[&str]| with.iter().any(|name| text.starts_with(name));
    match (insn.op.is_some(), !theirs.starts_with('.')) {
        // Rounds that there are not are reserved.
        (false, true) => WITHDRAWN.contains(&theirs) || theirs.starts_with("aes64ks1i"),
        (true, false) => starts(ours, &EXACT) || starts(ours, &LENIENT),
        (false, false) => true,
        // CSRs that are not there stand as numbers.
        (true, true) if ours.starts_with("csrr") && ours.contains(",0x") => true,
        (true, true) if starts(ours, &EXACT) => ours.strip_suffix(",rne") == Some(theirs),
        (true, true) => ours == theirs,
    }
}

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
        .arg("-march=armv9-a+sha3+sm4")
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
    // Binutils 2.40 does not know it.
    let unknown = row.extensions.contains(&Ext::Rcpc3);
    unknown || NAMES.contains(&row.name) || row.name.starts_with("prf") || hint
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

/// What binutils knows and there is not here: the crate's head says why. Mnemonics, or how they begin.
const LEFT_OUT: [&str; 27] = [
    // Memory tagging.
    "addg", "subg", "subp", "irg", "gmi", "ldg", "stg", "stz", "st2g", "setg",
    // 64-byte accesses, transactions.
    "ld64b", "st64b", "tstart", "tcommit", "ttest", "tcancel",
    // Common short sequences: QEMU 10 does not have them, either.
    "abs", "cnt", "ctz", "smax", "smin", "umax", "umin",
    // Debug state, and system registers and instructions, which have tables of their own.
    "dcps", "msr", "mrs", "sys",
];

/// Instructions with fields that should be ones: binutils does not ask for it, but QEMU does.
const SHOULD_BE_ONES: [&str; 5] = ["smulh", "umulh", "stlr", "stllr", "ldlar"];

/// Every instruction that binutils knows decodes here, and no other: random words of all groups but those of SVE and SME.
#[test]
fn what_binutils_knows_is_here() {
    let mut rng = Rng::new(5);
    let mode = support::mode(Features::max(), 0);
    let group = |word: u32| word >> 25 & 15;
    let mut words: Vec<u32> =
        (0..150_000).map(|_| rng.bits() as u32).filter(|word| group(*word) > 3).collect();
    // Most of what there is lies among Advanced SIMD instructions.
    words.extend((0..150_000).map(|_| rng.bits() as u32 | 7 << 25));
    let Some(theirs) = objdump(&words) else {
        eprintln!("skipped: aarch64-linux-gnu-as is not installed");
        return;
    };
    let mut wrong = String::new();
    for (word, theirs) in words.iter().zip(&theirs) {
        let insn = decode::decode(*word, mode);
        let undefined = theirs.contains("undefined") || theirs.starts_with(".inst");
        let left_out = group(*word) & 7 != 7 && LEFT_OUT.iter().any(|name| theirs.starts_with(name));
        let skipped = left_out || insn.op.is_some_and(|op| is_spelled_otherwise(op.row()));
        let lenient = insn.op.is_none()
            && (is_wrong_there(*word) || SHOULD_BE_ONES.iter().any(|n| theirs.starts_with(n)));
        if insn.op.is_none() != undefined && !skipped && !lenient && !is_unpredictable(insn) {
            writeln!(wrong, "{word:08x}: `{theirs}` there").expect("a string");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Binutils 2.40 takes FMLAL and its kind for more than they are: bit 22 is clear in all of them.
fn is_wrong_there(word: u32) -> bool {
    word & 0x9f60_dc00 == 0x0e60_cc00
}

/// What binutils 2.40 does not know, as the assembler of LLVM has it.
#[test]
fn release_consistent_accesses_of_the_third_kind() {
    let mode = support::mode(Features::max(), 0);
    for (word, text) in [
        (0x9900_0a18, "stilp w24, w0, [x16, #-8]!"),
        (0xd901_0a39, "stilp x25, x1, [x17, #-16]!"),
        (0xd903_1bfb, "stilp x27, x3, [sp]"),
        (0x9944_0a9c, "ldiapp w28, w4, [x20], #8"),
        (0xd947_1aff, "ldiapp xzr, x7, [x23]"),
        (0xd980_0be3, "stlr x3, [sp, #-8]!"),
        (0x99c0_0be3, "ldapr w3, [sp], #4"),
        (0x1d1f_f9e3, "stlur b3, [x15, #-1]"),
        (0xdd00_4be3, "stlur d3, [sp, #4]"),
        (0x1d9f_b9e3, "stlur q3, [x15, #-5]"),
        (0x5d5f_99e3, "ldapur h3, [x15, #-7]"),
        (0x1dc0_abe3, "ldapur q3, [sp, #10]"),
        (0x4d01_87e3, "stl1 {v3.d}[1], [sp]"),
        (0x0d41_87e3, "ldap1 {v3.d}[0], [sp]"),
    ] {
        assert_eq!(tcg_aarch64::print(decode::decode(word, mode), 0), text);
    }
}

/// Loads of a pair into one register, or with a base that is also loaded: binutils refuses some of what is unpredictable.
fn is_unpredictable(insn: Insn) -> bool {
    let [rt, rn, rt2] = [0, 5, 10].map(|at| insn.bits >> at & 31);
    let pair = insn.op.is_some_and(|op| op.row().has("rt2"));
    pair && (rt == rt2 || rt == rn || rt2 == rn)
}

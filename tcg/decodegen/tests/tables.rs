//! Small tables: `ok_*.decode` are taken, `err_*.decode` are refused with the line and sentence in their first line.

use std::path::PathBuf;
use tcg_decodegen::{Source, generate};

fn tables(prefix: &str) -> Vec<(String, String)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tables");
    let entries = std::fs::read_dir(dir).expect("the tables are there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_name().expect("a file").to_string_lossy().into_owned();
    let chosen = paths.iter().filter(|path| name(path).starts_with(prefix));
    chosen.map(|path| (name(path), std::fs::read_to_string(path).expect("readable"))).collect()
}

#[test]
fn good_tables_are_taken() {
    let tables = tables("ok_");
    assert!(tables.len() >= 4);
    for (name, text) in tables {
        if let Err(e) = generate(&[Source { name: &name, text: &text }]) {
            panic!("{e}");
        }
    }
}

#[test]
fn bad_tables_are_refused_with_their_line() {
    let tables = tables("err_");
    assert!(tables.len() >= 20);
    for (name, text) in tables {
        let wanted =
            text.lines().next().and_then(|line| line.strip_prefix("# line ")).expect("what is wrong");
        let got = generate(&[Source { name: &name, text: &text }]).expect_err(&name).to_string();
        assert_eq!(got, format!("{name}:{wanted}"));
    }
}

#[test]
fn tables_share_formats_and_rows() {
    let formats = Source { name: "formats", text: "format A rd:u4 rs:u4\nwidth 16\nextension X" };
    let rows = Source { name: "rows", text: "a A 0000 0000 rs rd" };
    assert!(generate(&[formats, rows]).is_ok());
    let again = Source { name: "again", text: "b A 0000 ---- rs rd" };
    let refused = generate(&[formats, rows, again]).expect_err("an overlap");
    assert_eq!(refused.to_string(), "again:1: b overlaps a of rows:1");
}

#[test]
fn generated_code_reads_like_the_table() {
    let text =
        "width 16\nextension X+Y\nformat I rd:u4 imm:s8 \"{rd:x}, {imm}\"\nadd.i I 0001 imm[3:0|7:4] rd";
    let rust = generate(&[Source { name: "t", text }]).expect("a good table");
    for wanted in [
        "pub struct I {\n    pub rd: u8,\n    pub imm: i32,\n}",
        "Op::AddI(a) => sem::add_i(s, cx, a),",
        "Op::AddI(a) => format!(\"add.i {}, {}\", show::x(a.rd.into(), pc), a.imm),",
        "on(Ext::X) && on(Ext::Y)",
        "imm: ((word >> 8 & 0xf | (word >> 4 & 0xf) << 4) << 24) as i32 >> 24",
    ] {
        assert!(rust.contains(wanted), "{wanted}\nis not in\n{rust}");
    }
}

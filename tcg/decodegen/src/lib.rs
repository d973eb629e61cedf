//! Turns instruction tables into Rust at build time: decoder, dispatcher, printer, and the rows themselves for tests.
//!
//! A table has one row an instruction, with the bit pattern as the manual prints it. A line is one of
//!
//! ```text
//! # a comment
//! width 32                                  what follows is 16 or 32 bits wide
//! extension Zba                             the rows that follow need Zba; with A+B, both
//! format R rd:u5 rs1:u5 rs2:u5 "{rd:x}, {rs1:x}, {rs2:x}"
//! format Load = I "{rd:x}, {imm}({rs1:x})"  the operands of I, printed otherwise
//! add   R     0000000 rs2 rs1 000 rd 0110011
//! jal   J     imm[20|10:1|11|19:12] rd 1101111
//! c.lw  CL    010 imm[5:3] rs1 imm[2|6] rd 00  -> lw(rd, rs1, imm)
//! c.li  CI    010 imm[5] rd imm[4:0] 01 if rd!=0  -> addi(rd, 0, imm)
//! {                                         rows that may overlap: the first that fits wins
//! }
//! ```
//!
//! An operand is `uN` or `sN`, N bits without or with sign; `u3+8` adds 8 to what the bits say. A pattern lists the bits
//! from the highest down: `0`, `1`, `-` (ignored), an operand, or pieces of one. Low bits of an operand that no piece
//! gives are zero. A row with `->` has no meaning of its own: it decodes to the row it names, with these operands. The
//! last column says how operands are printed, by functions named after the colon; `+` in front continues the name.
//! A function may be given several operands: `{rd,sf:r}`. Rows of one mnemonic are told apart behind a slash, which is not
//! printed: `add/imm`, `add/shifted`.
//!
//! The generated code calls what the module that includes it has in scope: `Sem`, `Flow`, `Cx`, the enum `Ext` of
//! extensions, the module `sem` with one function a row, named as the row with `_` for `.` and `/`, and the module `show`
//! with `fn(value: i64, pc: u64) -> impl Display`, or more values in front of the last. So a row without a meaning, or the reverse, does not compile.

mod check;
mod emit;
mod parse;
mod table;
mod tree;

use std::path::Path;

/// The text of one table.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// For messages.
    pub name: &'a str,
    /// Its lines.
    pub text: &'a str,
}

/// What is wrong with a table, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct Error {
    /// The table's name.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// One sentence.
    pub what: String,
}

/// Rust source for the tables, taken together in this order.
pub fn generate(sources: &[Source]) -> Result<String, Error> {
    let table = parse::tables(sources)?;
    check::table(&table)?;
    Ok(emit::rust(&table))
}

/// For build scripts: generates `out` from every `*.decode` file of `dir`, in the order of their names.
///
/// # Errors
/// A sentence with file and line, or naming the file that could not be read or written.
pub fn build(dir: &Path, out: &Path) -> Result<(), String> {
    let failed = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
    println!("cargo::rerun-if-changed={}", dir.display());
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<_, _>>())
        .map_err(|e| failed(dir, e))?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "decode"));
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|e| failed(&path, e))?;
        texts.push((path.display().to_string(), text));
    }
    let sources: Vec<_> = texts.iter().map(|(name, text)| Source { name, text }).collect();
    let rust = generate(&sources).map_err(|e| e.to_string())?;
    std::fs::write(out, rust).map_err(|e| failed(out, e))
}

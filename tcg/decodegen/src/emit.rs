//! [`Table`] to Rust source.

use crate::parse::placeholders;
use crate::table::{Arg, Format, Operand, Row, Segment, Table};
use crate::tree::{self, Node};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The source of the module that a guest includes.
pub fn rust(table: &Table) -> String {
    let mut out = String::from(HEAD);
    let meanings: Vec<&Row> = table.rows.iter().filter(|row| row.expansion.is_none()).collect();
    let shapes: BTreeMap<&str, &Format> =
        meanings.iter().map(|row| (row.format.shape.as_str(), &row.format)).collect();
    for (name, format) in shapes {
        shape(&mut out, name, format);
    }
    operations(&mut out, table, &meanings);
    for width in table.widths() {
        decoder(&mut out, table, width);
    }
    dispatcher(&mut out, &meanings);
    printer(&mut out, &meanings);
    rows(&mut out, table);
    out
}

/// `write!` to a string, which cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { writeln!($out, $($arg)*).expect("a string takes everything") };
}

/// What every table's module starts with.
const HEAD: &str = r#"
/// One row of the instruction tables.
#[derive(Debug)]
pub struct Row {
    /// The manual's name.
    pub name: &'static str,
    /// Extensions that it needs, all of them.
    pub extensions: &'static [Ext],
    /// Bits of an instruction word: 16 or 32.
    pub width: u32,
    /// Bits that are fixed.
    pub mask: u32,
    /// What they are.
    pub value: u32,
    /// (mask, value) pairs of which none may hold.
    pub excluded: &'static [(u32, u32)],
    /// Operands, each with its (bit of the word, bit of the operand, length) segments.
    pub operands: &'static [(&'static str, &'static [(u32, u32, u32)])],
    /// The row whose meaning it has, if it has none of its own.
    pub expands: Option<&'static str>,
}

impl Row {
    /// The word of this row with its open bits as in `fill`; `None` if the row excludes it.
    pub fn encode(&self, fill: u32) -> Option<u32> {
        let word = (fill & !self.mask | self.value) & (u32::MAX >> (32 - self.width));
        self.excluded.iter().all(|(mask, value)| word & mask != *value).then_some(word)
    }

    /// `word` with the bits of `operand` replaced by those of `bits`; as it is if there is no such operand.
    pub fn with(&self, word: u32, operand: &str, bits: u32) -> u32 {
        let segments = self.operands.iter().find(|(name, _)| *name == operand).map_or(&[][..], |(_, s)| *s);
        segments.iter().fold(word, |word, &(at, to, len)| {
            let ones = u32::MAX >> (32 - len);
            word & !(ones << at) | (bits >> to & ones) << at
        })
    }

    /// Whether it has an operand of this name.
    pub fn has(&self, operand: &str) -> bool {
        self.operands.iter().any(|(name, _)| *name == operand)
    }
}
"#;

fn shape(out: &mut String, name: &str, format: &Format) {
    put!(out, "/// Operands of format {name}.");
    put!(out, "#[derive(Clone, Copy, Debug, PartialEq, Eq)]");
    put!(out, "#[expect(missing_docs, reason = \"the names are the manual's\")]");
    if format.operands.is_empty() {
        out.truncate(out.rfind("#[expect").expect("written just now"));
    }
    put!(out, "pub struct {name} {{");
    for operand in &format.operands {
        put!(out, "    pub {}: {},", operand.name, operand.rust_type());
    }
    put!(out, "}}");
}

fn operations(out: &mut String, table: &Table, meanings: &[&Row]) {
    put!(out, "/// An instruction with its operands.");
    put!(out, "#[derive(Clone, Copy, Debug, PartialEq, Eq)]");
    put!(out, "pub enum Op {{");
    for row in meanings {
        put!(out, "    /// `{}`.", row.name);
        put!(out, "    {}({}),", row.variant(), row.format.shape);
    }
    put!(out, "}}");
    put!(out, "impl Op {{");
    put!(out, "    /// Its row.");
    put!(out, "    pub fn row(self) -> &'static Row {{");
    put!(out, "        &ROWS[match self {{");
    for (n, row) in table.rows.iter().enumerate().filter(|(_, row)| row.expansion.is_none()) {
        put!(out, "            Self::{}(_) => {n},", row.variant());
    }
    put!(out, "        }}]");
    put!(out, "    }}");
    put!(out, "}}");
}

/// The value of an operand whose bits are at `segments` of `word`, as its Rust type.
fn extract(operand: &Operand, segments: &[Segment]) -> String {
    let parts: Vec<String> = segments.iter().map(|s| part(*s)).collect();
    let raw = parts.join(" | ");
    let (ty, unused) = (operand.rust_type(), 32 - operand.bits);
    let value = match (operand.signed, unused) {
        (true, 0) => format!("({raw}) as i32"),
        (true, _) => format!("(({raw}) << {unused}) as i32 >> {unused}"),
        (false, _) => format!("({raw}) as {ty}"),
    };
    if operand.plus == 0 { value } else { format!("({value}) + {}", operand.plus) }
}

fn part(s: Segment) -> String {
    let ones = (1u64 << s.len) - 1;
    let field = if s.at == 0 { format!("word & {ones:#x}") } else { format!("word >> {} & {ones:#x}", s.at) };
    if s.to == 0 { field } else { format!("({field}) << {}", s.to) }
}

/// The expression that makes a row's decoded form out of `word`.
fn decoded(table: &Table, row: &Row) -> String {
    let value = |n: usize| extract(&row.format.operands[n], &row.segments[n]);
    let (target, values): (&Row, Vec<String>) = match &row.expansion {
        None => (row, (0..row.segments.len()).map(value).collect()),
        Some(expansion) => {
            let target = table.row(&expansion.target).expect("checked");
            let arg = |(arg, wanted): (&Arg, &Operand)| match arg {
                Arg::Constant(constant) => constant.to_string(),
                Arg::Operand(n) => format!("({}) as {}", value(*n), wanted.rust_type()),
            };
            (target, expansion.args.iter().zip(&target.format.operands).map(arg).collect())
        }
    };
    let names = target.format.operands.iter().map(|o| &o.name);
    let fields: Vec<_> = names.zip(values).map(|(name, value)| format!("{name}: {value}")).collect();
    format!("Op::{}({} {{ {} }})", target.variant(), target.format.shape, fields.join(", "))
}

fn decoder(out: &mut String, table: &Table, width: u32) {
    put!(out, "/// Decodes {width} bits; rows that need an extension that is not `on` do not exist.");
    put!(out, "#[rustfmt::skip]");
    put!(out, "pub fn decode{width}(word: u32, on: impl Fn(Ext) -> bool) -> Option<Op> {{");
    let rows: Vec<&Row> = table.rows.iter().filter(|row| row.width == width).collect();
    for node in tree::build(&rows) {
        step(out, table, &node, 1);
    }
    put!(out, "    None");
    put!(out, "}}");
}

fn step(out: &mut String, table: &Table, node: &Node, depth: usize) {
    let pad = "    ".repeat(depth);
    match node {
        Node::Test(row, rest) => {
            let mut conditions = Vec::new();
            if rest.mask != 0 {
                conditions.push(format!("word & {:#x} == {:#x}", rest.mask, rest.value));
            }
            conditions.extend(row.excluded.iter().map(|e| format!("word & {:#x} != {:#x}", e.mask, e.value)));
            conditions.extend(row.extensions.iter().map(|name| format!("on(Ext::{name})")));
            put!(out, "{pad}if {} {{ return Some({}); }}", conditions.join(" && "), decoded(table, row));
        }
        Node::Switch { shift, len, arms, other } => {
            put!(out, "{pad}match word >> {shift} & {:#x} {{", (1u64 << len) - 1);
            for (value, nodes) in arms {
                put!(out, "{pad}    {value:#x} => {{");
                nodes.iter().for_each(|node| step(out, table, node, depth + 2));
                put!(out, "{pad}    }}");
            }
            put!(out, "{pad}    _ => {{");
            other.iter().for_each(|node| step(out, table, node, depth + 2));
            put!(out, "{pad}    }}");
            put!(out, "{pad}}}");
        }
    }
}

fn dispatcher(out: &mut String, meanings: &[&Row]) {
    put!(out, "/// The meaning of an instruction.");
    put!(out, "pub fn exec<S: Sem>(s: &mut S, cx: &Cx, op: Op) -> Flow<S> {{");
    put!(out, "    match op {{");
    for row in meanings {
        put!(out, "        Op::{}(a) => sem::{}(s, cx, a),", row.variant(), row.function());
    }
    put!(out, "    }}");
    put!(out, "}}");
}

fn printer(out: &mut String, meanings: &[&Row]) {
    put!(out, "/// The listing of an instruction that stands at `pc`.");
    put!(out, "pub fn print(op: Op, pc: u64) -> String {{");
    put!(out, "    match op {{");
    for row in meanings {
        let print = &row.format.print;
        let (gap, form) = match print.strip_prefix('+') {
            Some(form) => ("", form),
            None if print.is_empty() => ("", ""),
            None => (" ", print.as_str()),
        };
        let mut text = form.to_owned();
        let mut args = String::new();
        for (name, function) in placeholders(form) {
            let (from, arg) = match function {
                "" => (format!("{{{name}}}"), format!(", a.{name}")),
                _ => {
                    let values: String = name.split(',').map(|name| format!("a.{name}.into(), ")).collect();
                    (format!("{{{name}:{function}}}"), format!(", show::{function}({values}pc)"))
                }
            };
            text = text.replacen(&from, "\0", 1);
            args.push_str(&arg);
        }
        let text = text.replace('\0', "{}");
        let binding = if args.is_empty() { "_" } else { "a" };
        put!(
            out,
            "        Op::{}({binding}) => format!(\"{}{gap}{text}\"{args}),",
            row.variant(),
            row.mnemonic()
        );
    }
    put!(out, "    }}");
    put!(out, "}}");
}

fn rows(out: &mut String, table: &Table) {
    put!(out, "/// Every row, in the order of the tables.");
    put!(out, "pub static ROWS: &[Row] = &[");
    for row in &table.rows {
        let extensions: Vec<_> = row.extensions.iter().map(|name| format!("Ext::{name}")).collect();
        let excluded: Vec<_> = row.excluded.iter().map(|e| (e.mask, e.value)).collect();
        let operands: Vec<_> = row.format.operands.iter().zip(&row.segments).map(operand_row).collect();
        put!(
            out,
            "    Row {{ name: {:?}, extensions: &[{}], width: {}, mask: {:#x}, value: {:#x}, excluded: &{excluded:?}, \
             operands: &[{}], expands: {:?} }},",
            row.name,
            extensions.join(", "),
            row.width,
            row.fixed.mask,
            row.fixed.value,
            operands.join(", "),
            row.expansion.as_ref().map(|e| &e.target),
        );
    }
    put!(out, "];");
}

fn operand_row((operand, segments): (&Operand, &Vec<Segment>)) -> String {
    let segments: Vec<_> = segments.iter().map(|s| (s.at, s.to, s.len)).collect();
    format!("({:?}, &{segments:?})", operand.name)
}

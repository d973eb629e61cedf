//! A table in memory.

use crate::Error;

/// Where something stands, for messages.
#[derive(Clone, Debug)]
pub struct Place {
    pub file: String,
    pub line: usize,
}

impl Place {
    /// An error here.
    pub fn error<T>(&self, what: String) -> Result<T, Error> {
        Err(Error { file: self.file.clone(), line: self.line, what })
    }
}

/// An operand of a format.
#[derive(Clone, Debug)]
pub struct Operand {
    pub name: String,
    pub bits: u32,
    pub signed: bool,
    /// Added to what the bits say.
    pub plus: u32,
}

impl Operand {
    /// Smallest and largest value.
    pub fn range(&self) -> (i64, i64) {
        let plus = i64::from(self.plus);
        if self.signed {
            let half = 1i64 << (self.bits - 1);
            (plus - half, plus + half - 1)
        } else {
            (plus, plus + (1i64 << self.bits) - 1)
        }
    }

    /// The Rust type that holds it.
    pub fn rust_type(&self) -> &'static str {
        match self.bits {
            _ if self.signed => "i32",
            0..=8 => "u8",
            9..=16 => "u16",
            _ => "u32",
        }
    }
}

/// Named operands, and how they are printed.
#[derive(Clone, Debug)]
pub struct Format {
    pub name: String,
    /// Name of the struct that holds the operands: `name`, or that of the format it was made from.
    pub shape: String,
    pub operands: Vec<Operand>,
    pub print: String,
}

/// `len` bits of an operand: from bit `at` of the instruction to bit `to` of the operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub at: u32,
    pub to: u32,
    pub len: u32,
}

/// Fixed bits: those of `mask` are as in `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    pub mask: u32,
    pub value: u32,
}

impl Bits {
    /// Whether some word has both.
    pub fn meets(self, other: Self) -> bool {
        (self.value ^ other.value) & self.mask & other.mask == 0
    }

    /// Whether every word that has `self` has `other`.
    pub fn implies(self, other: Self) -> bool {
        other.mask & !self.mask == 0 && self.meets(other)
    }
}

/// An argument of an expansion.
#[derive(Clone, Debug)]
pub enum Arg {
    /// The operand of this index.
    Operand(usize),
    Constant(i64),
}

/// What a row without a meaning of its own decodes to.
#[derive(Clone, Debug)]
pub struct Expansion {
    pub target: String,
    pub args: Vec<Arg>,
}

/// One instruction.
#[derive(Clone, Debug)]
pub struct Row {
    pub place: Place,
    pub name: String,
    pub format: Format,
    pub width: u32,
    pub extensions: Vec<String>,
    pub fixed: Bits,
    /// For each operand of the format, where its bits are.
    pub segments: Vec<Vec<Segment>>,
    /// What it must not be.
    pub excluded: Vec<Bits>,
    pub expansion: Option<Expansion>,
    /// Rows of one group may overlap.
    pub group: Option<usize>,
}

impl Row {
    /// Name of its semantics function.
    pub fn function(&self) -> String {
        self.name.replace(['.', '/'], "_")
    }

    /// The name in listings: without what tells rows of one mnemonic apart.
    pub fn mnemonic(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Name of its variant.
    pub fn variant(&self) -> String {
        let words = self.name.split(['.', '_', '/']);
        words.flat_map(|w| w[..1].to_uppercase().chars().chain(w[1..].chars()).collect::<Vec<_>>()).collect()
    }
}

/// All rows, in order.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub rows: Vec<Row>,
}

impl Table {
    /// The row of this name.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// The widths that occur, ascending.
    pub fn widths(&self) -> Vec<u32> {
        let mut widths: Vec<_> = self.rows.iter().map(|row| row.width).collect();
        widths.sort_unstable();
        widths.dedup();
        widths
    }
}

//! Random programs for the oracle: cases that load all registers, run a few random instructions, and store all registers
//! again; at the end the program writes its data to standard output.

use super::Rng;
use std::ops::Range;

/// Where a program stands, and the sizes of its parts in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The first instruction; page-aligned.
    pub base: u64,
    /// Room for code; the data follows.
    pub code: u64,
    /// The data of one case.
    pub case: u64,
}

impl Layout {
    /// Address of the data of case `n`.
    pub const fn data(&self, n: usize) -> u64 {
        self.base + self.code + n as u64 * self.case
    }
}

/// A program and where its cases stand.
pub struct Program {
    /// Its layout.
    pub layout: Layout,
    /// Code and data, from the base.
    pub image: Vec<u8>,
    /// The random instructions of each case, as offsets in the image.
    pub cases: Vec<Range<usize>>,
    /// Rows that occur.
    pub rows: Vec<&'static str>,
}

impl Program {
    /// Addresses of the bytes that the program writes: its data.
    pub fn output(&self) -> Range<u64> {
        self.layout.data(0)..self.layout.data(self.cases.len())
    }
}

/// Makes programs for one guest, by appending to its code.
pub trait Maker {
    /// Where they stand.
    const LAYOUT: Layout;

    /// Random numbers.
    fn rng(&mut self) -> &mut Rng;
    /// Bytes of code so far.
    fn code_len(&self) -> usize;
    /// Loads all registers from the data at `at`.
    fn load_state(&mut self, at: u64);
    /// One random instruction, or a few that belong together.
    fn insn(&mut self);
    /// Stores all registers to the data at `at`.
    fn store_state(&mut self, at: u64);
    /// The initial data of the case at `at`.
    fn data(&mut self, at: u64) -> Vec<u8>;
    /// Writes the first `bytes` bytes of data to standard output and exits; the code, and the rows that occur.
    fn finish(self, bytes: u64) -> (Vec<u8>, Vec<&'static str>);
}

/// A program of `cases` cases of up to `insns` random instructions each.
///
/// # Panics
/// If that needs more code than the layout has room for.
pub fn random<M: Maker>(mut maker: M, cases: usize, insns: u64) -> Program {
    let layout = M::LAYOUT;
    let (mut data, mut ranges) = (Vec::new(), Vec::new());
    for n in 0..cases {
        let at = layout.data(n);
        maker.load_state(at);
        let start = maker.code_len();
        for _ in 0..1 + maker.rng().below(insns) {
            maker.insn();
        }
        ranges.push(start..maker.code_len());
        maker.store_state(at);
        data.extend(maker.data(at));
    }
    let (mut image, rows) = maker.finish(data.len() as u64);
    assert!(image.len() as u64 <= layout.code, "the code fits");
    image.resize(layout.code as usize, 0);
    image.extend(data);
    Program { layout, image, cases: ranges, rows }
}

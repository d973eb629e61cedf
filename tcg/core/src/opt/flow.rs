//! What a pass wants to know about a region's blocks before it walks them: which lead where, and for guest registers
//! which are read before they are written and which are out of date in the state.

use crate::cpu::{Helper, RegId};
use crate::ir::{Block, BlockId, Op, Region};

/// A set of guest registers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegBits(Vec<u64>);

impl RegBits {
    fn new(regs: usize) -> Self {
        Self(vec![0; regs.div_ceil(64)])
    }

    fn insert(&mut self, reg: u64) {
        self.0[reg as usize / 64] |= 1 << (reg % 64);
    }

    /// Whether `reg` is in it.
    pub fn contains(&self, reg: RegId) -> bool {
        self.0[reg.0 as usize / 64] >> (reg.0 % 64) & 1 != 0
    }

    /// Adds what is in `other` and not in `without`; true if that was something new.
    fn add(&mut self, other: &Self, without: Option<&Self>) -> bool {
        let mut new = false;
        for (n, word) in self.0.iter_mut().enumerate() {
            let more = other.0[n] & !without.map_or(0, |w| w.0[n]);
            new |= more & !*word != 0;
            *word |= more;
        }
        new
    }

    /// What is in it, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = RegId> + '_ {
        let bits = |(n, word): (usize, &u64)| {
            let word = *word;
            (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| RegId((64 * n + bit) as u16))
        };
        self.0.iter().enumerate().flat_map(bits)
    }
}

/// What one block does to guest registers.
struct Own {
    /// Read before it is written here.
    read: RegBits,
    /// Written, and not behind the last call that has the state up to date.
    written: RegBits,
    /// A call has the whole state up to date and may change all of it.
    clobbers: bool,
}

impl Own {
    fn of(block: &Block, region: &Region, regs: usize, helpers: &[Helper]) -> Self {
        let mut own = Self { read: RegBits::new(regs), written: RegBits::new(regs), clobbers: false };
        for &v in &block.insts {
            let inst = region.inst(v);
            match inst.op {
                Op::Get if !own.clobbers && !own.written.contains(RegId(inst.imm as u16)) => {
                    own.read.insert(inst.imm);
                }
                Op::Set => own.written.insert(inst.imm),
                Op::Call if !helpers[inst.imm as usize].touches_regs => {}
                Op::Call | Op::Observe => {
                    own.clobbers = true;
                    own.written = RegBits::new(regs);
                }
                _ => {}
            }
        }
        own
    }
}

/// How a block is come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Not from another block.
    Entry,
    /// From one block, which has a lower number.
    From(BlockId),
    /// From several, or around a loop.
    Join,
}

/// What reaches each block of a region.
#[derive(Default)]
pub struct Flow {
    /// How each block is come to.
    pub ways: Vec<Way>,
    /// Registers that each block, or one after it, reads before it is written, or that are out of date in the state there.
    /// Empty if no ways meet anywhere, as the next.
    pub carried: Vec<RegBits>,
    /// Registers that may be out of date in the state at the start of each block.
    pub dirty: Vec<RegBits>,
}

/// The blocks that lead to each block, one entry for each edge.
pub fn predecessors(region: &Region) -> Vec<Vec<BlockId>> {
    let mut preds = vec![Vec::new(); region.blocks.len()];
    for (n, block) in region.blocks.iter().enumerate() {
        block.term.edges().for_each(|edge| preds[edge.to.0 as usize].push(BlockId(n as u32)));
    }
    preds
}

impl Flow {
    /// Looks at `region`, made for a guest with `regs` registers.
    pub fn look_at(&mut self, region: &Region, regs: usize, helpers: &[Helper]) {
        self.ways.clear();
        self.ways.resize(region.blocks.len(), Way::Entry);
        for (n, block) in region.blocks.iter().enumerate() {
            for edge in block.term.edges() {
                let way = &mut self.ways[edge.to.0 as usize];
                let first = *way == Way::Entry && (n as u32) < edge.to.0;
                *way = if first { Way::From(BlockId(n as u32)) } else { Way::Join };
            }
        }
        if self.has_joins() {
            let own: Vec<_> =
                region.blocks.iter().map(|block| Own::of(block, region, regs, helpers)).collect();
            let empty = vec![RegBits::new(regs); region.blocks.len()];
            (self.carried, self.dirty) = (empty.clone(), empty);
            self.reach(region, &own);
        }
    }

    /// Whether ways meet anywhere.
    pub fn has_joins(&self) -> bool {
        self.ways.contains(&Way::Join)
    }

    fn reach(&mut self, region: &Region, own: &[Own]) {
        let count = region.blocks.len();
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for (n, own) in own.iter().enumerate() {
                for edge in region.blocks[n].term.edges() {
                    let to = edge.to.0 as usize;
                    changed |= self.dirty[to].add(&own.written, None);
                    if !own.clobbers && n != to {
                        let from = std::mem::take(&mut self.dirty[n]);
                        changed |= self.dirty[to].add(&from, None);
                        self.dirty[n] = from;
                    }
                }
            }
        }
        for (n, own) in own.iter().enumerate() {
            self.carried[n].add(&own.read, None);
        }
        changed = true;
        while std::mem::take(&mut changed) {
            for n in (0..count).rev().filter(|n| !own[*n].clobbers) {
                for edge in region.blocks[n].term.edges().filter(|edge| edge.to.0 as usize != n) {
                    let from = std::mem::take(&mut self.carried[edge.to.0 as usize]);
                    changed |= self.carried[n].add(&from, Some(&own[n].written));
                    self.carried[edge.to.0 as usize] = from;
                }
            }
        }
        for n in 0..count {
            self.carried[n].add(&self.dirty[n], None);
        }
    }
}

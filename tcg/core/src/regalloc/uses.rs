//! Where values are used, for the choice of one that does without a register.

use crate::ir::{Region, Term, Value};

/// How often something in a block that is in `depth` loops is carried out, as a guess.
fn weight(depth: u32) -> u32 {
    1 << (4 * depth.min(6))
}

/// All uses of all values in a region, but those by snapshots.
#[derive(Default)]
pub struct UseList {
    /// What each value's making weighs.
    made: Vec<u32>,
    /// Where each value's uses begin in `uses`; one more than there are values.
    begin: Vec<u32>,
    /// Position and weight, each value's in ascending order.
    uses: Vec<(u32, u32)>,
}

impl UseList {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.begin.clear();
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.begin.is_empty()
    }

    /// Finds the uses in `region`, whose blocks begin at the positions `start` and are in `depth` loops. Values that are
    /// `fused` are used by way of their users.
    pub fn fill(&mut self, region: &Region, fused: &[bool], depth: &[u32], start: &[u32]) {
        let n = region.insts.len();
        self.made.clear();
        self.made.resize(n, 0);
        self.begin.clear();
        self.begin.resize(n + 2, 0);
        // Counted two places on: then each value's place moves to where the next one's begins.
        let begin = &mut self.begin;
        each_use(region, fused, &mut |v, _, _| begin[v.0 as usize + 2] += 1);
        (2..n + 2).for_each(|v| begin[v] += begin[v - 1]);
        self.uses.clear();
        self.uses.resize(begin[n + 1] as usize, (0, 0));
        let uses = &mut self.uses;
        each_use(region, fused, &mut |v, block, nth| {
            let place = &mut begin[v.0 as usize + 1];
            uses[*place as usize] = (start[block] + nth, weight(depth[block]));
            *place += 1;
        });
        for (block, depth) in region.blocks.iter().zip(depth) {
            let made = block.params.iter().chain(&block.insts);
            made.for_each(|v| self.made[v.0 as usize] = weight(*depth));
        }
    }

    /// What the making of `v` weighs.
    pub fn made(&self, v: Value) -> u64 {
        self.made[v.0 as usize].into()
    }

    /// What the uses of `v` at position `from` and behind it weigh.
    pub fn since(&self, v: Value, from: u32) -> u64 {
        let all = &self.uses[self.begin[v.0 as usize] as usize..self.begin[v.0 as usize + 1] as usize];
        all.iter().filter(|(at, _)| *at >= from).map(|(_, weight)| u64::from(*weight)).sum()
    }
}

/// Hands over each use: the value, the block, and which position of the block it is at.
fn each_use(region: &Region, fused: &[bool], then: &mut impl FnMut(Value, usize, u32)) {
    fn used(
        region: &Region,
        fused: &[bool],
        v: Value,
        (block, nth): (usize, u32),
        then: &mut impl FnMut(Value, usize, u32),
    ) {
        if fused[v.0 as usize] {
            region.inst(v).args().iter().for_each(|arg| used(region, fused, *arg, (block, nth), then));
        } else {
            then(v, block, nth);
        }
    }
    for (n, block) in region.blocks.iter().enumerate() {
        for (nth, &v) in (1..).zip(&block.insts) {
            if !fused[v.0 as usize] {
                region.inst(v).args().iter().for_each(|arg| used(region, fused, *arg, (n, nth), then));
            }
        }
        let end = block.insts.len() as u32 + 1;
        let target = match &block.term {
            Term::Branch { cond, .. } => Some(cond),
            Term::Indirect { target, .. } => Some(target),
            _ => None,
        };
        let args = block.term.edges().flat_map(|edge| &edge.args);
        args.chain(target).for_each(|v| used(region, fused, *v, (n, end), then));
    }
}

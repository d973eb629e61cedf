//! Which blocks are on every way to a block (Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm).

use super::{BlockId, Region};

/// The dominators of a region's blocks.
#[derive(Debug, Default)]
pub struct Dominators {
    /// The nearest one of each block that can be reached; the entry's is itself.
    idom: Vec<Option<u32>>,
}

impl Dominators {
    /// Finds those of `region`.
    pub fn of(region: &Region) -> Self {
        let count = region.blocks.len();
        let mut preds = vec![Vec::new(); count];
        let mut order = Vec::new();
        let mut seen = vec![false; count];
        let mut stack = vec![(0u32, false)];
        while let Some((block, done)) = stack.pop() {
            if done {
                order.push(block);
            } else if !std::mem::replace(&mut seen[block as usize], true) {
                stack.push((block, true));
                for edge in region.blocks[block as usize].term.edges() {
                    preds[edge.to.0 as usize].push(block);
                    stack.push((edge.to.0, false));
                }
            }
        }
        let mut rank = vec![0; count];
        order.iter().enumerate().for_each(|(i, block)| rank[*block as usize] = i);
        let mut idom: Vec<Option<u32>> = vec![None; count];
        idom[0] = Some(0);
        let meet = |idom: &[Option<u32>], mut a: u32, mut b: u32| {
            while a != b {
                let low = if rank[a as usize] < rank[b as usize] { &mut a } else { &mut b };
                *low = idom[*low as usize].expect("only blocks that have one are compared");
            }
            a
        };
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for &block in order.iter().rev().filter(|b| **b != 0) {
                let known = preds[block as usize].iter().copied().filter(|p| idom[*p as usize].is_some());
                let new = known.reduce(|a, b| meet(&idom, a, b));
                changed |= new != idom[block as usize];
                idom[block as usize] = new;
            }
        }
        Self { idom }
    }

    /// Whether block `a` is on every way to `b`.
    pub fn on_every_way(&self, a: BlockId, b: BlockId) -> bool {
        let (a, mut b) = (a.0, b.0);
        while a != b {
            match self.idom[b as usize] {
                Some(up) if up != b => b = up,
                // Nothing leads there, so anything holds.
                None => return true,
                Some(_) => return false,
            }
        }
        true
    }
}

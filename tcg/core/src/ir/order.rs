//! The order of a region's blocks.
//!
//! Passes and the register allocator walk blocks by number and expect definitions before uses, and the blocks of a loop side
//! by side, so that lives are short.

use super::{BlockId, Region};

/// Numbers the blocks of `region` anew: each behind those that dominate it, exits at once, what else leaves a loop behind the
/// loop. Drops blocks that nothing leads to.
pub fn order_blocks(region: &mut Region) {
    let order = Order::of(region);
    let mut number = vec![None; region.blocks.len()];
    order.iter().enumerate().for_each(|(n, block)| number[block.0 as usize] = Some(BlockId(n as u32)));
    let mut blocks: Vec<_> = std::mem::take(&mut region.blocks).into_iter().map(Some).collect();
    for block in order {
        let mut block = blocks[block.0 as usize].take().expect("each block is in the order once");
        for edge in block.term.edges_mut() {
            edge.to = number[edge.to.0 as usize].expect("it is reached from here");
        }
        region.blocks.push(block);
    }
}

struct Order<'a> {
    region: &'a Region,
}

impl<'a> Order<'a> {
    /// The blocks in reverse post-order: of two ways, the one that is walked first comes last.
    fn of(region: &'a Region) -> Vec<BlockId> {
        let order = Self { region };
        let mut seen = vec![false; region.blocks.len()];
        let mut done = Vec::new();
        let mut stack = vec![(BlockId(0), false)];
        while let Some((block, finished)) = stack.pop() {
            if finished {
                done.push(block);
            } else if !std::mem::replace(&mut seen[block.0 as usize], true) {
                stack.push((block, true));
                stack.extend(order.ways(block).into_iter().rev().map(|to| (to, false)));
            }
        }
        done.reverse();
        done
    }

    /// Where `block` leads, in the order to walk: out of the loop first, the longer way round next, exits last.
    fn ways(&self, block: BlockId) -> Vec<BlockId> {
        let ways = |block: BlockId| self.region.blocks[block.0 as usize].term.edges().map(|edge| edge.to);
        let mut all: Vec<_> = ways(block).collect();
        if all.len() > 1 {
            all.sort_by_cached_key(|to| match (ways(*to).next(), self.distance(*to, block)) {
                (None, _) => 0,
                (_, Some(distance)) => 1 + distance,
                (_, None) => usize::MAX,
            });
            all.reverse();
        }
        all
    }

    /// How many blocks there are on the way from one block to another, if there is one.
    fn distance(&self, from: BlockId, to: BlockId) -> Option<usize> {
        let mut seen = vec![false; self.region.blocks.len()];
        let mut here = vec![from];
        for distance in 0.. {
            if here.is_empty() || here.contains(&to) {
                return here.contains(&to).then_some(distance);
            }
            here.iter().for_each(|block| seen[block.0 as usize] = true);
            let ways = here.iter().flat_map(|block| self.region.blocks[block.0 as usize].term.edges());
            let mut next: Vec<_> = ways.map(|edge| edge.to).filter(|to| !seen[to.0 as usize]).collect();
            next.sort_unstable();
            next.dedup();
            here = next;
        }
        None
    }
}

//! Which polls stay.

use super::thin;
use crate::guest::Guest;
use crate::ir::{BlockId, Names, Op};
use crate::testing::toy::Toy;

/// The blocks that still have a poll.
fn thinned(blocks: &str) -> Vec<u32> {
    let names = Names { regs: Toy::regs(), helpers: Toy::helpers() };
    let mut region = names.parse(&format!("region 0x1000 rne\n{blocks}")).expect(blocks);
    let polls: Vec<_> = (0..region.blocks.len())
        .filter_map(|n| {
            let poll = |v: &&_| region.inst(**v).op == Op::Poll;
            Some((BlockId(n as u32), *region.blocks[n].insts.iter().find(poll)?))
        })
        .collect();
    thin(&mut region, &polls);
    let stays = |(block, poll): &(BlockId, _)| region.blocks[block.0 as usize].insts.contains(poll);
    polls.iter().filter(|one| stays(one)).map(|(block, _)| block.0).collect()
}

#[test]
fn each_way_round_has_a_poll() {
    let start = "b0:
  v0 = get.i64 x0
  v1 = get.i64 x1
  v2 = eq.i64 v0, v1
  jump b1
";
    // Two ways back into one loop: whatever comes to b1 goes on to b2. The same for a loop in another.
    let two = "b1:
  poll @ 0x1000
  jump b2
b2:
  poll @ 0x1004
  branch v2, b1, b3
b3:
  branch v2, b2, b4
b4:
  goto 0x2000
";
    assert_eq!(thinned(&[start, two].concat()), [2]);
    // The loop inside may be left out.
    let around = "b1:
  poll @ 0x1000
  branch v2, b2, b3
b2:
  poll @ 0x1004
  branch v2, b2, b3
b3:
  branch v2, b1, b4
b4:
  goto 0x2000
";
    assert_eq!(thinned(&[start, around].concat()), [1, 2]);
    // One loop behind another.
    let row = "b1:
  poll @ 0x1000
  branch v2, b1, b2
b2:
  poll @ 0x1004
  branch v2, b2, b3
b3:
  goto 0x2000
";
    assert_eq!(thinned(&[start, row].concat()), [1, 2]);
}

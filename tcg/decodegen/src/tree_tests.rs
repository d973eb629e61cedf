use super::{Node, build};
use crate::table::Row;
use crate::{Source, parse};

/// The row that a decoder made of `nodes` finds.
fn walk<'a>(nodes: &[Node<'a>], word: u32) -> Option<&'a Row> {
    nodes.iter().find_map(|node| match node {
        Node::Test(row, rest) => {
            let excluded = row.excluded.iter().any(|e| word & e.mask == e.value);
            (word & rest.mask == rest.value && !excluded).then_some(*row)
        }
        Node::Switch { shift, len, arms, other } => {
            let value = word >> shift & ((1 << len) - 1);
            let arm = arms.iter().find(|(v, _)| *v == value).map_or(other, |(_, nodes)| nodes);
            walk(arm, word)
        }
    })
}

fn scan<'a>(rows: &[&'a Row], word: u32) -> Option<&'a Row> {
    let excluded = |row: &Row| row.excluded.iter().any(|e| word & e.mask == e.value);
    rows.iter().copied().find(|row| word & row.fixed.mask == row.fixed.value && !excluded(row))
}

/// Most nodes that any word meets.
fn steps(nodes: &[Node]) -> usize {
    let below = |node: &Node| match node {
        Node::Test(..) => 1,
        Node::Switch { arms, other, .. } => {
            1 + arms.iter().map(|(_, nodes)| steps(nodes)).chain([steps(other)]).max().unwrap_or(0)
        }
    };
    nodes.iter().map(below).sum()
}

/// All 16-bit words, with a table whose rows fix few bits in common and overlap in groups.
#[test]
fn agrees_with_a_linear_scan() {
    let mut text = String::from("width 16\nextension X\nformat A a:u4 b:u4\n");
    for n in 0..8 {
        text += &format!("r{n} A 0{n:03b} a 0101 b\ns{n} A 0{n:03b} a b 0110 if b!=5\n");
    }
    text += "{\nt A 1000 0000 a b\nu A 1000 a 0000 b\nv A 1--- a b ---1\nw A 1-0- a -1-- b\n}\n";
    let table = parse::tables(&[Source { name: "t", text: &text }]).expect("a good table");
    let rows: Vec<&Row> = table.rows.iter().collect();
    let tree = build(&rows);
    for word in 0..1 << 16 {
        let (walked, scanned) = (walk(&tree, word), scan(&rows, word));
        assert_eq!(walked.map(|row| &row.name), scanned.map(|row| &row.name), "{word:#06x}");
    }
    assert!(steps(&tree) <= 8, "{} steps for {} rows", steps(&tree), rows.len());
}

//! Orders the tests of a decoder: a tree of switches on runs of bits, so that a word is looked at a few times however
//! many rows there are.

use crate::table::{Bits, Row};
use std::collections::BTreeSet;

/// A step of the decoder. After the last step of a list there is no instruction.
#[derive(Debug)]
pub enum Node<'a> {
    /// The row, if these of its fixed bits, not yet looked at, are right.
    Test(&'a Row, Bits),
    /// Goes on by the value of `len` bits from `shift`.
    Switch { shift: u32, len: u32, arms: Vec<(u32, Vec<Node<'a>>)>, other: Vec<Node<'a>> },
}

/// Longest run of bits that one switch looks at.
const MAX_RUN: u32 = 10;
/// This few rows are tested one after the other.
const FEW: usize = 2;

/// The steps that tell `rows`, earlier ones first where they overlap, apart.
pub fn build<'a>(rows: &[&'a Row]) -> Vec<Node<'a>> {
    steps(rows, 0)
}

fn steps<'a>(rows: &[&'a Row], decided: u32) -> Vec<Node<'a>> {
    let Some((shift, len)) = best_run(rows, decided).filter(|_| rows.len() > FEW) else {
        let rest = |row: &Row| Bits { mask: row.fixed.mask & !decided, value: row.fixed.value & !decided };
        return rows.iter().map(|row| Node::Test(row, rest(row))).collect();
    };
    let run = ((1u32 << len) - 1) << shift;
    let fixes_run = |row: &&Row| row.fixed.mask & run == run;
    let values: BTreeSet<u32> =
        rows.iter().copied().filter(fixes_run).map(|row| row.fixed.value & run).collect();
    let with = |value: u32| {
        let fits = |row: &&Row| row.fixed.meets(Bits { mask: run, value });
        let rows: Vec<_> = rows.iter().copied().filter(fits).collect();
        steps(&rows, decided | run)
    };
    let arms = values.iter().map(|value| (value >> shift, with(*value))).collect();
    // Rows that leave bits of the run open keep their tests of the others.
    let open: Vec<_> = rows.iter().copied().filter(|row| !fixes_run(row)).collect();
    vec![Node::Switch { shift, len, arms, other: steps(&open, decided) }]
}

/// The run of undecided bits that the most rows fix, the same rows all of its bits; the longest of these, the highest
/// of those. `None` if no two rows fix the same bit.
fn best_run(rows: &[&Row], decided: u32) -> Option<(u32, u32)> {
    let mut best = None;
    let mut before = Vec::new();
    let mut len = 0;
    for bit in 0..32 {
        let open = decided >> bit & 1 == 0;
        let fixing: Vec<usize> =
            (0..rows.len()).filter(|n| open && rows[*n].fixed.mask >> bit & 1 != 0).collect();
        len = if fixing == before && len < MAX_RUN { len + 1 } else { 1 };
        let rank = (fixing.len(), len);
        if fixing.len() > 1 && best.is_none_or(|(highest, _)| rank >= highest) {
            best = Some((rank, bit + 1 - len));
        }
        before = fixing;
    }
    best.map(|((_, len), shift)| (shift, len))
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;

//! Where computed jumps go: samples of those that blocks make often.
//!
//! The jump at the end of a block counts down, as ways back do. At the end of the count its target is noted, and soon again, until
//! there are enough samples; when it has been made often once more, its block becomes a region. Whatever makes a region asks here.

use super::table::Key;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;

/// How many samples are taken of a jump.
const SAMPLES: usize = 16;
/// A target that has less than this part of the samples is not worth a comparison.
const LEAST_PART: usize = 4;
/// Most jumps that there are samples of.
const MOST_JUMPS: usize = 1 << 14;

/// What comes of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// More are wanted.
    More,
    /// It was the last.
    Last,
    /// There were enough before.
    Enough,
}

/// The samples. Jumps are told apart by their last byte; targets are distances from there, since code may be at several addresses.
#[derive(Default)]
pub struct Targets(FxHashMap<Key, Vec<u64>>);

impl Targets {
    /// Notes that `jump` went `distance` bytes on.
    pub fn note(&mut self, jump: Key, distance: u64) -> Noted {
        if self.0.len() >= MOST_JUMPS && !self.0.contains_key(&jump) {
            self.0.clear();
        }
        let samples = self.0.entry(jump).or_default();
        if samples.len() == SAMPLES {
            return Noted::Enough;
        }
        samples.push(distance);
        if samples.len() == SAMPLES { Noted::Last } else { Noted::More }
    }

    /// How far `jump` mostly goes: the most frequent first.
    pub fn of(&self, jump: &Key) -> Vec<u64> {
        let Some(samples) = self.0.get(jump) else { return Vec::new() };
        let count = |distance: &u64| samples.iter().filter(|other| *other == distance).count();
        let mut distances = samples.clone();
        distances.sort_unstable();
        distances.dedup();
        distances.retain(|distance| count(distance) * LEAST_PART >= samples.len());
        distances.sort_by_key(|distance| Reverse(count(distance)));
        distances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_targets_come_first_and_seldom_ones_not_at_all() {
        let mut targets = Targets::default();
        let jump = Key { phys: 0x1003, mode: 0, page: 0 };
        // Of each distance this many.
        for (distance, count) in [(8, 3), (16, 6), (u64::MAX, 5), (40, 1)] {
            (0..count).for_each(|_| assert_eq!(targets.note(jump, distance), Noted::More));
        }
        assert_eq!(targets.note(jump, 16), Noted::Last);
        assert_eq!(targets.note(jump, 8), Noted::Enough);
        assert_eq!(targets.of(&jump), [16, u64::MAX]);
        assert!(targets.of(&Key { mode: 1, ..jump }).is_empty());
    }
}

//! Inputs made from seeds by a repeatable generator, for runs without a fuzzer.

use tcg_core::testing::Rng;

/// Longest input that is made.
const LONGEST: usize = 16 << 10;

/// An endless series of inputs, the same for the same seeds and number.
pub struct Mutations<'a> {
    seeds: &'a [Vec<u8>],
    rng: Rng,
}

impl<'a> Mutations<'a> {
    /// Series `number` from `seeds`, which may be none.
    pub fn new(seeds: &'a [Vec<u8>], number: u64) -> Self {
        Self { seeds, rng: Rng::new(number) }
    }

    fn seed(&mut self) -> Vec<u8> {
        match self.seeds.len() as u64 {
            0 => Vec::new(),
            n => self.seeds[self.rng.below(n) as usize].clone(),
        }
    }

    fn random(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| self.rng.bits() as u8).collect()
    }

    /// Any place in `bytes`, its end included.
    fn place(&mut self, bytes: &[u8]) -> usize {
        self.rng.below(bytes.len() as u64 + 1) as usize
    }

    /// Any piece of `bytes`.
    fn piece(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let (a, b) = (self.place(bytes), self.place(bytes));
        let longest = 1 + self.rng.below(64) as usize;
        a.min(b)..a.max(b).min(a.min(b) + longest)
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let at = self.place(bytes);
        match self.rng.below(7) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.rng.below(8);
                }
            }
            1 => {
                let number = self.rng.value(tcg_core::ty::Ty::I64).to_le_bytes();
                let width = self.rng.pick(&[1, 2, 4, 8]);
                let mut number = number[..width].to_vec();
                if self.rng.chance(30) {
                    number.reverse();
                }
                let end = bytes.len().min(at + width);
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            2 => {
                let piece = self.piece(bytes);
                bytes.drain(piece);
            }
            3 => {
                let piece = self.piece(bytes);
                let copy = bytes[piece].to_vec();
                bytes.splice(at..at, copy);
            }
            4 => {
                let other = self.seed();
                let piece = self.piece(&other);
                bytes.splice(at..at, other[piece].iter().copied());
            }
            5 => {
                let other = self.seed();
                bytes.truncate(at);
                bytes.extend(&other[self.place(&other)..]);
            }
            _ => {
                let len = 1 + self.rng.below(32);
                let random = self.random(len);
                bytes.splice(at..at, random);
            }
        }
        bytes.truncate(LONGEST);
    }
}

impl Iterator for Mutations<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes = self.seed();
        if bytes.is_empty() || self.rng.chance(5) {
            let len = self.rng.below(512);
            bytes = self.random(len);
        }
        for _ in 0..=self.rng.below(8) {
            self.mutate(&mut bytes);
        }
        Some(bytes)
    }
}

//! Vector cryptography, chapter 33 (Zvkg, Zvkned, Zvknha, Zvknhb, Zvksed, Zvksh): instructions on groups of four or eight
//! elements, none of which is masked off.

use super::{Done, Group, Stop, Unit};
use crate::features::Ext;
use tcg_core::crypto::aes::substituted;
use tcg_core::crypto::rounds::{Round, round};
use tcg_core::crypto::{ghash, of_words, sha, sm3, sm4, words};

/// The constants of the key schedule of AES.
const AES_CONSTANTS: [u32; 10] = [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36];

/// One operand or result of a group of 128 bits.
fn aes(kind: u32, state: u128, key: u128) -> u128 {
    match kind {
        0 => round(Round::DecryptMiddle, state, key),
        1 => round(Round::DecryptLast, state, key),
        2 => round(Round::EncryptMiddle, state, key),
        3 => round(Round::EncryptLast, state, key),
        _ => state ^ key,
    }
}

/// The words of a key schedule that follow: each the sum of the one before and the one four (or eight) before.
fn chain(first: u32, older: [u32; 4]) -> u128 {
    let mut word = first;
    of_words(older.map(|old| {
        word ^= old;
        word
    }))
}

/// `vaeskf1.vi`: the next key of a schedule of 128 bits.
fn aes_key_128(round: u32, key: u128) -> u128 {
    let round = if matches!(round, 1..=10) { round } else { round ^ 8 };
    let key = words(key);
    chain(substituted(key[3]).rotate_right(8) ^ AES_CONSTANTS[round as usize - 1], key)
}

/// `vaeskf2.vi`: the next of 256 bits.
fn aes_key_256(round: u32, before: u128, key: u128) -> u128 {
    let round = if matches!(round, 2..=14) { round } else { round ^ 8 };
    let last = substituted(words(key)[3]);
    let first =
        if round & 1 != 0 { last } else { last.rotate_right(8) ^ AES_CONSTANTS[round as usize / 2 - 1] };
    chain(first, words(before))
}

/// `vsm4k.vi`: the next four keys.
fn sm4_keys(round: u32, keys: u128) -> u128 {
    // Byte j of constant i, the highest first, is (4 i + j) * 7.
    let constant = |i: u32| u32::from_be_bytes(std::array::from_fn(|j| ((4 * i + j as u32) * 7) as u8));
    sm4::keys([keys, of_words(std::array::from_fn(|n| constant(4 * (round & 7) + n as u32))), 0], 0)
}

/// Bits of every byte in reverse order.
fn brev8(v: u128) -> u128 {
    u128::from_le_bytes(v.to_le_bytes().map(u8::reverse_bits))
}

/// The product of two elements of GCM's field as memory has them.
fn ghash(a: u128, b: u128) -> u128 {
    brev8(ghash::times(brev8(a), brev8(b)))
}

macro_rules! sha2 {
    ($schedule:ident $rounds:ident $word:ty, $choose:path, $majority:path, $sum0:expr, $sum1:expr, $sig0:expr, $sig1:expr) => {
        /// Four words of the message schedule: from those 16 before, parts of those 12 to 5 before, and the last four.
        fn $schedule(old: [$word; 4], middle: [$word; 4], last: [$word; 4]) -> [$word; 4] {
            let mut new = [0; 4];
            let next = [old[1], old[2], old[3], middle[0]];
            for n in 0..4 {
                let two_before = if n < 2 { last[n + 2] } else { new[n - 2] };
                let seven_before = if n < 3 { middle[n + 1] } else { last[0] };
                new[n] = rotations(two_before.into(), <$word>::BITS, $sig1) as $word;
                new[n] = new[n].wrapping_add(seven_before).wrapping_add(old[n]);
                new[n] = new[n].wrapping_add(rotations(next[n].into(), <$word>::BITS, $sig0) as $word);
            }
            new
        }

        /// Two rounds: from f, e, b, a and h, g, d, c and the sums of words and constants to f, e, b, a.
        fn $rounds([f, e, b, a]: [$word; 4], [h, g, d, c]: [$word; 4], w: [$word; 2]) -> [$word; 4] {
            let (mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h) = (a, b, c, d, e, f, g, h);
            for w in w {
                let t1 = h
                    .wrapping_add(rotations(e.into(), <$word>::BITS, $sum1) as $word)
                    .wrapping_add($choose(e, f, g))
                    .wrapping_add(w);
                let t2 =
                    (rotations(a.into(), <$word>::BITS, $sum0) as $word).wrapping_add($majority(a, b, c));
                (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(t1), c, b, a, t1.wrapping_add(t2));
            }
            [f, e, b, a]
        }
    };
}

/// The sum of two rotations and, as the third says, one more or a shift of a word of `bits`: FIPS 180-4, 4.1.
fn rotations(v: u64, bits: u32, (a, b, (c, shifts)): (u32, u32, (u32, bool))) -> u64 {
    let right = |by: u32| v >> by | v << (bits - by);
    right(a) ^ right(b) ^ if shifts { v >> c } else { right(c) }
}

sha2!(schedule_256 rounds_256 u32, sha::choose, sha::majority,
    (2, 13, (22, false)), (6, 11, (25, false)), (7, 18, (3, true)), (17, 19, (10, true)));
sha2!(schedule_512 rounds_512 u64, sha::choose_64, sha::majority_64,
    (28, 34, (39, false)), (14, 18, (41, false)), (1, 8, (7, true)), (19, 61, (6, true)));

/// `vsm3me.vv`: eight words of the message schedule from the sixteen before.
fn sm3_schedule(first: [u32; 8], second: [u32; 8]) -> [u32; 8] {
    let mut w = [0; 24];
    for n in 0..8 {
        (w[n], w[n + 8]) = (first[n].swap_bytes(), second[n].swap_bytes());
    }
    for n in 16..24 {
        let sum = w[n - 16] ^ w[n - 9] ^ w[n - 3].rotate_left(15);
        w[n] = sm3::p1(sum) ^ w[n - 13].rotate_left(7) ^ w[n - 6];
    }
    std::array::from_fn(|n| w[n + 16].swap_bytes())
}

/// A function of three words, bit by bit.
type Boolean = fn(u32, u32, u32) -> u32;

/// `vsm3c.vi`: two rounds of compression.
fn sm3_rounds(pair: u32, state: [u32; 8], message: [u32; 8]) -> [u32; 8] {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state.map(u32::swap_bytes);
    let w = message.map(u32::swap_bytes);
    for n in 0..2 {
        let j = 2 * pair + n;
        let constant: u32 = if j < 16 { 0x79cc_4519 } else { 0x7a87_9d8a };
        let (ff, gg): (Boolean, Boolean) =
            if j < 16 { (sm3::parity, sm3::parity) } else { (sm3::majority, sm3::choose) };
        let turned = a.rotate_left(12);
        let ss1 = turned.wrapping_add(e).wrapping_add(constant.rotate_left(j % 32)).rotate_left(7);
        let (now, later) = (w[n as usize], w[n as usize + 4]);
        let tt1 = ff(a, b, c).wrapping_add(d).wrapping_add(ss1 ^ turned).wrapping_add(now ^ later);
        let tt2 = gg(e, f, g).wrapping_add(h).wrapping_add(ss1).wrapping_add(now);
        (d, c, b, a) = (c, b.rotate_left(9), a, tt1);
        (h, g, f, e) = (g, f.rotate_left(19), e, sm3::p0(tt2));
    }
    [a, b, c, d, e, f, g, h].map(u32::swap_bytes)
}

impl Unit<'_> {
    /// All of the opcode OP-VE.
    pub(super) fn crypto(&mut self) -> Done {
        let (f6, form) = (self.f.funct6(), self.f.first() as u32);
        match f6 {
            // AES, SM4 and GCM: a key for every group, or one for all.
            0x28 | 0x29 => {
                let one_key = f6 == 0x29;
                self.blocks(one_key, |_, [state, key, _]| match form {
                    0x10 => sm4::rounds([state, key, 0], 0),
                    0x11 => ghash(state, key),
                    kind => aes(kind, state, key),
                })
            }
            0x21 => self.blocks(false, |_, [_, key, _]| sm4_keys(form, key)),
            0x22 => self.blocks(false, |_, [_, key, _]| aes_key_128(form & 15, key)),
            0x2a => self.blocks(false, |_, [before, key, _]| aes_key_256(form & 15, before, key)),
            0x2c => self.blocks(false, |_, [hash, key, text]| ghash(hash ^ text, key)),
            0x20 | 0x2b => self.sm3(),
            _ => self.sha2(),
        }
    }

    /// Checks what all have in common, for groups of `count` elements of `1 << sew` bytes; gives the numbers of groups.
    fn element_groups(&self, count: usize, sew: u32) -> Result<std::ops::Range<usize>, Stop> {
        let to = self.destination(self.sew)?;
        let room = self.vlenb << (to.emul + 3) >> 3;
        let whole = self.vl.is_multiple_of(count) && self.vstart.is_multiple_of(count);
        if self.sew != sew || room < count << sew || !whole {
            return Err(Stop::Illegal);
        }
        Ok(self.vstart / count..self.vl / count)
    }

    fn block(&self, reg: usize, group: usize) -> u128 {
        let at = reg * self.vlenb + 16 * group;
        u128::from_le_bytes(self.hart.v.bytes()[at..at + 16].try_into().expect("sixteen bytes"))
    }

    /// Groups of 128 bits: the destination becomes what `f` makes of itself, vs2 and vs1.
    fn blocks(&mut self, one_key: bool, f: impl Fn(&mut Self, [u128; 3]) -> u128) -> Done {
        let (vd, vs2, vs1) = (self.f.vd(), self.f.vs2(), self.f.first());
        let groups = self.element_groups(4, 2)?;
        let to = self.destination(2)?;
        if one_key {
            if to.overlaps(Group { reg: vs2, eew: 2, emul: 0 }) {
                return Err(Stop::Illegal);
            }
        } else {
            self.group(vs2, 2)?;
        }
        let three = self.f.funct6() == 0x2c;
        if three {
            self.group(vs1, 2)?;
        }
        for n in groups {
            let key = self.block(vs2, if one_key { 0 } else { n });
            let text = if three { self.block(vs1, n) } else { 0 };
            let value = f(self, [self.block(vd, n), key, text]);
            let at = vd * self.vlenb + 16 * n;
            self.hart.v.bytes_mut()[at..at + 16].copy_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }

    /// Elements from number `first` on.
    fn elements_from<const N: usize>(&self, reg: usize, first: usize) -> [u64; N] {
        std::array::from_fn(|n| self.get(reg, first + n, self.sew))
    }

    fn set_elements(&mut self, first: usize, values: impl IntoIterator<Item = u64>) {
        let (vd, sew) = (self.f.vd(), self.sew);
        values.into_iter().enumerate().for_each(|(n, value)| self.set(vd, first + n, sew, value));
    }

    /// That the destination is none of the sources.
    fn apart_from(&self, sources: &[usize]) -> Done {
        let to = self.destination(self.sew)?;
        for reg in sources {
            if to.overlaps(self.group(*reg, self.sew)?) {
                return Err(Stop::Illegal);
            }
        }
        Ok(())
    }

    fn sha2(&mut self) -> Done {
        let (vd, vs2, vs1, f6) = (self.f.vd(), self.f.vs2(), self.f.first(), self.f.funct6());
        let features = &self.hart.csr.features;
        let there = match self.sew {
            2 => features.has(Ext::ZvknhaOrZvknhb),
            3 => features.has(Ext::Zvknhb),
            _ => false,
        };
        if !there {
            return Err(Stop::Illegal);
        }
        let groups = self.element_groups(4, self.sew)?;
        self.apart_from(&[vs2, vs1])?;
        for n in groups {
            let at = 4 * n;
            let [d, a, b] = [vd, vs2, vs1].map(|reg| self.elements_from::<4>(reg, at));
            let w = if f6 == 0x2e { [b[2], b[3]] } else { [b[0], b[1]] };
            let narrow = |v: [u64; 4]| v.map(|word| word as u32);
            let value = match (f6, self.sew) {
                (0x2d, 2) => schedule_256(narrow(d), narrow(a), narrow(b)).map(u64::from),
                (0x2d, _) => schedule_512(d, a, b),
                (_, 2) => rounds_256(narrow(a), narrow(d), w.map(|word| word as u32)).map(u64::from),
                _ => rounds_512(a, d, w),
            };
            self.set_elements(at, value);
        }
        Ok(())
    }

    fn sm3(&mut self) -> Done {
        let (vd, vs2, vs1) = (self.f.vd(), self.f.vs2(), self.f.first());
        let groups = self.element_groups(8, 2)?;
        let compresses = self.f.funct6() == 0x2b;
        self.apart_from(&[vs2])?;
        if !compresses {
            self.group(vs1, 2)?;
        }
        for n in groups {
            let at = 8 * n;
            let words = |reg| self.elements_from::<8>(reg, at).map(|word| word as u32);
            let value = if compresses {
                sm3_rounds(vs1 as u32, words(vd), words(vs2))
            } else {
                sm3_schedule(words(vs1), words(vs2))
            };
            self.set_elements(at, value.map(u64::from));
        }
        Ok(())
    }
}

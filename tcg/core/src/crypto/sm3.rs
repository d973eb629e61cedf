//! SM3: GB/T 32905-2016, as the instructions of the manual divide it.

use super::{of_words, words};

/// SM3SS1: only the highest word is not zero. Destination unused: operands n, m, a.
pub fn rotate([n, m, a]: [u128; 3], _: u32) -> u128 {
    let [n, m, a] = [n, m, a].map(|v| words(v)[3]);
    of_words([0, 0, 0, n.rotate_left(12).wrapping_add(m).wrapping_add(a).rotate_left(7)])
}

/// FF and GG of the first sixteen rounds.
pub fn parity(x: u32, y: u32, z: u32) -> u32 {
    x ^ y ^ z
}

/// FF of the others.
pub fn majority(x: u32, y: u32, z: u32) -> u32 {
    x & y | x & z | y & z
}

/// GG of the others.
pub fn choose(x: u32, y: u32, z: u32) -> u32 {
    x & y | !x & z
}

fn tt1([d, n, m]: [u128; 3], index: u32, f: fn(u32, u32, u32) -> u32) -> u128 {
    let (d, n, w) = (words(d), words(n), words(m)[index as usize]);
    let ss2 = n[3] ^ d[3].rotate_left(12);
    let tt = f(d[1], d[3], d[2]).wrapping_add(d[0]).wrapping_add(ss2).wrapping_add(w);
    of_words([d[1], d[2].rotate_left(9), d[3], tt])
}

fn tt2([d, n, m]: [u128; 3], index: u32, f: fn(u32, u32, u32) -> u32) -> u128 {
    let (d, n, w) = (words(d), words(n), words(m)[index as usize]);
    let tt = f(d[3], d[2], d[1]).wrapping_add(d[0]).wrapping_add(n[3]).wrapping_add(w);
    of_words([d[1], d[2].rotate_left(19), d[3], p0(tt)])
}

/// The step that A64 calls SM3TT1A.
pub fn tt1a(args: [u128; 3], index: u32) -> u128 {
    tt1(args, index, parity)
}

/// The step that A64 calls SM3TT1B.
pub fn tt1b(args: [u128; 3], index: u32) -> u128 {
    tt1(args, index, majority)
}

/// The step that A64 calls SM3TT2A.
pub fn tt2a(args: [u128; 3], index: u32) -> u128 {
    tt2(args, index, parity)
}

/// The step that A64 calls SM3TT2B.
pub fn tt2b(args: [u128; 3], index: u32) -> u128 {
    tt2(args, index, choose)
}

/// The permutation P0.
pub fn p0(x: u32) -> u32 {
    x ^ x.rotate_left(9) ^ x.rotate_left(17)
}

/// The permutation P1.
pub fn p1(x: u32) -> u32 {
    x ^ x.rotate_left(15) ^ x.rotate_left(23)
}

/// The step that A64 calls SM3PARTW1.
pub fn part_1([d, n, m]: [u128; 3], _: u32) -> u128 {
    let (d, n, m) = (words(d), words(n), words(m));
    let mut w: [u32; 4] = std::array::from_fn(|i| match i {
        0..3 => d[i] ^ n[i] ^ m[i + 1].rotate_left(15),
        _ => d[i] ^ n[i],
    });
    for i in 0..4 {
        if i == 3 {
            w[3] ^= w[0].rotate_left(15);
        }
        w[i] = p1(w[i]);
    }
    of_words(w)
}

/// The step that A64 calls SM3PARTW2.
pub fn part_2([d, n, m]: [u128; 3], _: u32) -> u128 {
    let (d, n, m) = (words(d), words(n), words(m));
    let temp: [u32; 4] = std::array::from_fn(|i| n[i] ^ m[i].rotate_left(7));
    let mut w: [u32; 4] = std::array::from_fn(|i| d[i] ^ temp[i]);
    w[3] ^= p1(temp[0].rotate_left(15));
    of_words(w)
}

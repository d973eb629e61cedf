//! SHA-1, SHA-256 and SHA-512: FIPS 180-4, 4.1 and 6.

use super::{of_words, words};

/// Ch of SHA-256.
pub fn choose(x: u32, y: u32, z: u32) -> u32 {
    x & y ^ !x & z
}

/// Maj of SHA-256.
pub fn majority(x: u32, y: u32, z: u32) -> u32 {
    x & y ^ x & z ^ y & z
}

/// Four rounds of SHA-1: a to d, e, and words to which the constant has been added.
fn sha1_rounds([abcd, e, wk]: [u128; 3], f: fn(u32, u32, u32) -> u32) -> u128 {
    let ([mut a, mut b, mut c, mut d], mut e) = (words(abcd), e as u32);
    for w in words(wk) {
        let t = a.rotate_left(5).wrapping_add(f(b, c, d)).wrapping_add(e).wrapping_add(w);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, t);
    }
    of_words([a, b, c, d])
}

/// The step that A64 calls SHA1C.
pub fn sha1_choose(args: [u128; 3], _: u32) -> u128 {
    sha1_rounds(args, choose)
}

/// The step that A64 calls SHA1P.
pub fn sha1_parity(args: [u128; 3], _: u32) -> u128 {
    sha1_rounds(args, |x, y, z| x ^ y ^ z)
}

/// The step that A64 calls SHA1M.
pub fn sha1_majority(args: [u128; 3], _: u32) -> u128 {
    sha1_rounds(args, majority)
}

/// The step that A64 calls SHA1SU0.
pub fn sha1_schedule_0([d, n, m]: [u128; 3], _: u32) -> u128 {
    (n << 64 | d >> 64) ^ d ^ m
}

/// The step that A64 calls SHA1SU1.
pub fn sha1_schedule_1([d, n, _]: [u128; 3], _: u32) -> u128 {
    let [t0, t1, t2, t3] = words(d ^ n >> 32);
    of_words([t0.rotate_left(1), t1.rotate_left(1), t2.rotate_left(1), t3.rotate_left(1) ^ t0.rotate_left(2)])
}

/// A round of SHA-256 on a to d and e to h.
fn sha256_round([a, b, c, d]: [u32; 4], [e, f, g, h]: [u32; 4], w: u32) -> ([u32; 4], [u32; 4]) {
    let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
    let t1 = h.wrapping_add(s1).wrapping_add(choose(e, f, g)).wrapping_add(w);
    let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
    let t2 = s0.wrapping_add(majority(a, b, c));
    ([t1.wrapping_add(t2), a, b, c], [d.wrapping_add(t1), e, f, g])
}

/// Four rounds of SHA-256: both halves of the state afterwards.
fn sha256_rounds(abcd: u128, efgh: u128, wk: u128) -> (u128, u128) {
    let start = (words(abcd), words(efgh));
    let (abcd, efgh) = words(wk).into_iter().fold(start, |(abcd, efgh), w| sha256_round(abcd, efgh, w));
    (of_words(abcd), of_words(efgh))
}

/// The step that A64 calls SHA256H.
pub fn sha256_hash([abcd, efgh, wk]: [u128; 3], _: u32) -> u128 {
    sha256_rounds(abcd, efgh, wk).0
}

/// The step that A64 calls SHA256H2.
pub fn sha256_hash_2([efgh, abcd, wk]: [u128; 3], _: u32) -> u128 {
    sha256_rounds(abcd, efgh, wk).1
}

/// The step that A64 calls SHA256SU0.
pub fn sha256_schedule_0([d, n, _]: [u128; 3], _: u32) -> u128 {
    let [w0, w1, w2, w3] = words(d);
    let s0 = |x: u32| x.rotate_right(7) ^ x.rotate_right(18) ^ x >> 3;
    of_words([
        w0.wrapping_add(s0(w1)),
        w1.wrapping_add(s0(w2)),
        w2.wrapping_add(s0(w3)),
        w3.wrapping_add(s0(n as u32)),
    ])
}

/// The step that A64 calls SHA256SU1.
pub fn sha256_schedule_1([d, n, m]: [u128; 3], _: u32) -> u128 {
    let s1 = |x: u32| x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10;
    let (w, next, last) = (words(d), words(m << 96 | n >> 32), words(m));
    let r0 = w[0].wrapping_add(next[0]).wrapping_add(s1(last[2]));
    let r1 = w[1].wrapping_add(next[1]).wrapping_add(s1(last[3]));
    let r2 = w[2].wrapping_add(next[2]).wrapping_add(s1(r0));
    let r3 = w[3].wrapping_add(next[3]).wrapping_add(s1(r1));
    of_words([r0, r1, r2, r3])
}

/// Two rounds of SHA-256: [`crate::sem::Sha256::Rounds`].
pub fn sha256_two_rounds([hgdc, feba, wk]: [u128; 3]) -> u128 {
    let ([h, g, d, c], [f, e, b, a], [first, second, ..]) = (words(hgdc), words(feba), words(wk));
    let (abcd, efgh) = sha256_round([a, b, c, d], [e, f, g, h], first);
    let ([a, b, ..], [e, f, ..]) = sha256_round(abcd, efgh, second);
    of_words([f, e, b, a])
}

/// To each word sigma 1 of the word two before it is added: [`crate::sem::Sha256::Schedule1`].
pub fn sha256_schedule_2([d, last, _]: [u128; 3]) -> u128 {
    let s1 = |x: u32| x.rotate_right(17) ^ x.rotate_right(19) ^ x >> 10;
    let (w, last) = (words(d), words(last));
    let (r0, r1) = (w[0].wrapping_add(s1(last[2])), w[1].wrapping_add(s1(last[3])));
    of_words([r0, r1, w[2].wrapping_add(s1(r0)), w[3].wrapping_add(s1(r1))])
}

/// Ch of SHA-512.
pub fn choose_64(x: u64, y: u64, z: u64) -> u64 {
    x & y ^ !x & z
}

/// Maj of SHA-512.
pub fn majority_64(x: u64, y: u64, z: u64) -> u64 {
    x & y ^ x & z ^ y & z
}

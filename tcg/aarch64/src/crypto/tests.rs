//! Examples of the standards, by the instructions.

use super::*;
use tcg_core::crypto::{of_words, words};

fn run(op: Crypto, args: [u128; 3]) -> u128 {
    super::run(op.pack(0), args)
}

/// The message "abc", padded, as words of the first block.
const ABC: [u32; 16] = [0x6162_6380, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24];

fn four(w: &[u32]) -> u128 {
    of_words([w[0], w[1], w[2], w[3]])
}

/// FIPS 180-4, the fractional parts of cube roots of the first 64 primes.
fn sha256_constants() -> Vec<u32> {
    let primes = (2u64..).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0));
    let cube_root = |p: u64| {
        // The greatest number whose cube is at most p times 2^96.
        let fits = |x: u128| x * x * x <= u128::from(p) << 96;
        (0..36).rev().fold(0u128, |x, bit| if fits(x | 1 << bit) { x | 1 << bit } else { x })
    };
    primes.take(64).map(|p| cube_root(p) as u32).collect()
}

#[test]
fn sha256_of_abc() {
    let start = [
        0x6a09_e667u32,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    let (mut abcd, mut efgh) = (four(&start[..4]), four(&start[4..]));
    let mut w: Vec<u128> = ABC.chunks(4).map(four).collect();
    let k = sha256_constants();
    for n in 0..16 {
        let keyed = of_words(std::array::from_fn(|i| words(w[n])[i].wrapping_add(k[4 * n + i])));
        let next = run(Crypto::Sha256Hash, [abcd, efgh, keyed]);
        efgh = run(Crypto::Sha256Hash2, [efgh, abcd, keyed]);
        abcd = next;
        let partly = run(Crypto::Sha256Schedule0, [w[n], w[n + 1], 0]);
        w.push(run(Crypto::Sha256Schedule1, [partly, w[n + 2], w[n + 3]]));
    }
    let result: Vec<u32> = words(abcd)
        .into_iter()
        .chain(words(efgh))
        .zip(start)
        .map(|(word, start)| word.wrapping_add(start))
        .collect();
    assert_eq!(
        result,
        [
            0xba78_16bf,
            0x8f01_cfea,
            0x4141_40de,
            0x5dae_2223,
            0xb003_61a3,
            0x9617_7a9c,
            0xb410_ff61,
            0xf200_15ad
        ]
    );
}

#[test]
fn sm4_of_the_standard() {
    let text = [0x0123_4567, 0x89ab_cdef, 0xfedc_ba98, 0x7654_3210];
    let fk = [0xa3b1_bac6, 0x56aa_3350, 0x677d_9197, 0xb270_22dc];
    let ck = |i: u32| (0..4).fold(0, |word, j| word << 8 | ((4 * i + j) * 7 % 256));
    let mut keys = of_words(std::array::from_fn(|i| text[i] ^ fk[i]));
    let mut state = of_words(text);
    for n in 0..8 {
        let constants = of_words(std::array::from_fn(|i| ck(4 * n + i as u32)));
        keys = run(Crypto::Sm4Keys, [keys, constants, 0]);
        state = run(Crypto::Sm4Rounds, [state, keys, 0]);
    }
    let mut cipher = words(state);
    cipher.reverse();
    assert_eq!(cipher, [0x681e_df34, 0xd206_965e, 0x86b3_e94f, 0x536e_4246]);
}

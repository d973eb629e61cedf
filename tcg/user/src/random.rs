//! Random bytes that a program starts with: nobody guesses them, but with `-seed` they are the same in every run.

use std::sync::Mutex;
use std::sync::PoisonError;

/// State of the generator; `None` while the host's is asked.
static SEEDED: Mutex<Option<u64>> = Mutex::new(None);

/// Has bytes come from `seed`, if there is one.
pub fn begin(seed: Option<u64>) {
    *SEEDED.lock().unwrap_or_else(PoisonError::into_inner) = seed;
}

/// Sixteen bytes.
pub fn bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    match &mut *SEEDED.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(state) => {
            bytes.chunks_exact_mut(8).for_each(|half| half.copy_from_slice(&next(state).to_le_bytes()))
        }
        None => {
            // SAFETY: writes the local buffer. If it fails the bytes are only less random.
            unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        }
    }
    bytes
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)] {
        mixed = (mixed ^ mixed >> shift).wrapping_mul(factor);
    }
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        let mut state = 1_234_567;
        assert_eq!(next(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(next(&mut state), 3_203_168_211_198_807_973);
    }
}

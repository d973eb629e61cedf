//! Whole rounds of AES, FIPS 197, 5.1 and 5.3: by the host's instructions where it has them.

use super::aes::step;
use crate::sem::Aes;

/// A round, the key added as RISC-V's `vaesdm`, `vaesdf`, `vaesem`, `vaesef` do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// InvShiftRows, InvSubBytes, AddRoundKey, InvMixColumns.
    DecryptMiddle,
    /// InvShiftRows, InvSubBytes, AddRoundKey.
    DecryptLast,
    /// SubBytes, ShiftRows, MixColumns, AddRoundKey.
    EncryptMiddle,
    /// SubBytes, ShiftRows, AddRoundKey.
    EncryptLast,
}

/// Carries out a round.
pub fn round(kind: Round, state: u128, key: u128) -> u128 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("aes") {
        // SAFETY: the CPU has the instructions.
        return unsafe { on_host(kind, state, key) };
    }
    in_software(kind, state, key)
}

fn in_software(kind: Round, state: u128, key: u128) -> u128 {
    let run = |kind, state: u128| step(kind, state.to_le_bytes());
    match kind {
        Round::DecryptMiddle => run(Aes::InvMix, run(Aes::InvSub, state) ^ key),
        Round::DecryptLast => run(Aes::InvSub, state) ^ key,
        Round::EncryptMiddle => run(Aes::Mix, run(Aes::Sub, state)) ^ key,
        Round::EncryptLast => run(Aes::Sub, state) ^ key,
    }
}

/// # Safety
/// The CPU has AES-NI.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "aes")]
unsafe fn on_host(kind: Round, state: u128, key: u128) -> u128 {
    use std::arch::x86_64::{
        __m128i, _mm_aesdeclast_si128, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_aesimc_si128,
    };
    // SAFETY: both are 128 bits of any value.
    let vector = |bits: u128| unsafe { std::mem::transmute::<u128, __m128i>(bits) };
    let (state, key) = (vector(state), vector(key));
    let result = match kind {
        Round::DecryptMiddle => _mm_aesimc_si128(_mm_aesdeclast_si128(state, key)),
        Round::DecryptLast => _mm_aesdeclast_si128(state, key),
        Round::EncryptMiddle => _mm_aesenc_si128(state, key),
        Round::EncryptLast => _mm_aesenclast_si128(state, key),
    };
    // SAFETY: as above.
    unsafe { std::mem::transmute::<__m128i, u128>(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_agrees_with_the_software() {
        let mut state = 0x0123_4567_89ab_cdef_u128;
        for n in 0..1000u128 {
            state = state.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(n | 1);
            let key = state.rotate_left(61) ^ n;
            for kind in [Round::DecryptMiddle, Round::DecryptLast, Round::EncryptMiddle, Round::EncryptLast] {
                assert_eq!(round(kind, state, key), in_software(kind, state, key), "{kind:?}");
            }
        }
    }
}

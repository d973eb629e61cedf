//! Steps of hash functions and ciphers on 128 bits, lane 0 the lowest.

use tcg_core::crypto::{sha, sm3, sm4};

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $f:path;)*) => {
        /// A step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Crypto { $($(#[$doc])* $name,)* }

        impl Crypto {
            const ALL: &[fn([u128; 3], u32) -> u128] = &[$($f,)*];
        }
    };
}

operations! {
    /// SHA1C.
    Sha1Choose = sha::sha1_choose;
    /// SHA1P.
    Sha1Parity = sha::sha1_parity;
    /// SHA1M.
    Sha1Majority = sha::sha1_majority;
    /// SHA1SU0.
    Sha1Schedule0 = sha::sha1_schedule_0;
    /// SHA1SU1.
    Sha1Schedule1 = sha::sha1_schedule_1;
    /// SHA256H.
    Sha256Hash = sha::sha256_hash;
    /// SHA256H2.
    Sha256Hash2 = sha::sha256_hash_2;
    /// SHA256SU0.
    Sha256Schedule0 = sha::sha256_schedule_0;
    /// SHA256SU1.
    Sha256Schedule1 = sha::sha256_schedule_1;
    /// SM3SS1.
    Sm3Rotate = sm3::rotate;
    /// SM3TT1A.
    Sm3Tt1a = sm3::tt1a;
    /// SM3TT1B.
    Sm3Tt1b = sm3::tt1b;
    /// SM3TT2A.
    Sm3Tt2a = sm3::tt2a;
    /// SM3TT2B.
    Sm3Tt2b = sm3::tt2b;
    /// SM3PARTW1.
    Sm3Part1 = sm3::part_1;
    /// SM3PARTW2.
    Sm3Part2 = sm3::part_2;
    /// SM4E.
    Sm4Rounds = sm4::rounds;
    /// SM4EKEY.
    Sm4Keys = sm4::keys;
}

impl Crypto {
    /// As the parameter of the helper, with the number of a lane or zero.
    pub fn pack(self, index: u8) -> u64 {
        self as u64 | u64::from(index) << 8
    }
}

/// Carries out what [`Crypto::pack`] made, of the destination and the operands in their order.
pub fn run(param: u64, args: [u128; 3]) -> u128 {
    Crypto::ALL[(param & 0xff) as usize % Crypto::ALL.len()](args, (param >> 8 & 3) as u32)
}

#[cfg(test)]
mod tests;

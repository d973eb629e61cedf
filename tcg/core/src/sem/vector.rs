//! What operations on vectors do with lanes, as their immediates.

use crate::ty::Ty;

/// Which lane of a vector, and how it becomes a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// log2 of the lane's bytes: 0..=3.
    pub size: u8,
    /// Extend with the sign, not with zeros.
    pub signed: bool,
    /// Number of the lane; 0 is the lowest.
    pub index: u8,
}

impl Lane {
    /// Lane `index` of those that are `1 << size` bytes wide, extended with zeros.
    pub const fn new(size: u8, index: u8) -> Self {
        Self { size, signed: false, index }
    }

    /// The same with sign extension.
    pub const fn signed(self) -> Self {
        Self { signed: true, ..self }
    }

    /// Packed into an instruction's immediate.
    pub const fn pack(self) -> u64 {
        self.size as u64 | (self.signed as u64) << 2 | (self.index as u64) << 8
    }

    /// From an immediate.
    pub const fn unpack(imm: u64) -> Self {
        Self { size: (imm & 3) as u8, signed: imm & 4 != 0, index: (imm >> 8 & 15) as u8 }
    }
}

/// How [`Op::Narrow`] makes a lane fit half its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Narrow {
    /// The upper half is dropped.
    Truncate,
    /// Signed to signed, saturating.
    SignedToSigned,
    /// Signed to unsigned, saturating.
    SignedToUnsigned,
    /// Unsigned to unsigned, saturating.
    UnsignedToUnsigned,
}

impl Narrow {
    /// Every kind, in number order.
    pub const ALL: [Narrow; 4] =
        [Narrow::Truncate, Narrow::SignedToSigned, Narrow::SignedToUnsigned, Narrow::UnsignedToUnsigned];

    /// From an immediate.
    pub fn unpack(imm: u64) -> Self {
        Self::ALL[(imm & 3) as usize]
    }
}

/// What [`Op::Widen`] widens, as its immediate.
pub mod widen {
    /// Extend with the sign, not with zeros.
    pub const SIGNED: u64 = 1;
    /// The upper half of the lanes, not the lower.
    pub const HIGH: u64 = 2;
}

/// Steps of the AES rounds (FIPS 197, 5.1 and 5.3) on a state whose byte 0 is the lowest, as [`Op::Aes`]'s immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Aes {
    /// SubBytes and ShiftRows.
    Sub,
    /// InvSubBytes and InvShiftRows.
    InvSub,
    /// MixColumns.
    Mix,
    /// InvMixColumns.
    InvMix,
}

impl Aes {
    /// Every step, in number order.
    pub const ALL: [Aes; 4] = [Aes::Sub, Aes::InvSub, Aes::Mix, Aes::InvMix];

    /// From an immediate.
    pub fn unpack(imm: u64) -> Self {
        Self::ALL[(imm & 3) as usize]
    }
}

/// Steps of SHA-256 (FIPS 180-4, 6.2.2), word 0 the lowest, as [`Op::Sha256`]'s immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Sha256 {
    /// Two rounds: of (h, g, d, c) and (f, e, b, a) the new (f, e, b, a). The lower two words of the third argument are those
    /// of the message, constants added.
    Rounds,
    /// To each of four words of the message schedule sigma 0 of the next is added; the last one's next is the lowest word of the
    /// second argument.
    Schedule0,
    /// To each of four words sigma 1 of the word of the schedule two before it is added; the second argument has the four
    /// words before the first.
    Schedule1,
}

impl Sha256 {
    /// Every step, in number order.
    pub const ALL: [Sha256; 3] = [Sha256::Rounds, Sha256::Schedule0, Sha256::Schedule1];

    /// From an immediate.
    pub fn unpack(imm: u64) -> Self {
        Self::ALL[imm as usize % Self::ALL.len()]
    }
}

/// A vector whose lanes of `ty` all are the low bits of `value`.
pub fn splat_bits(ty: Ty, value: u64) -> u128 {
    let bits = ty.lane_bits();
    (0..ty.lanes()).fold(0, |all, i| all | u128::from(value & ty.mask()) << (i * bits))
}

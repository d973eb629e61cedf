//! How float operations round and what they raise.

/// Rounding modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Rm {
    /// To nearest, ties to even.
    Rne = 0,
    /// Towards zero.
    Rtz = 1,
    /// Down.
    Rdn = 2,
    /// Up.
    Rup = 3,
    /// To nearest, ties away from zero.
    Rmm = 4,
}

impl Rm {
    /// The mode of number `n` (0..=4).
    pub fn from_bits(n: u64) -> Option<Self> {
        Some(match n {
            0 => Self::Rne,
            1 => Self::Rtz,
            2 => Self::Rdn,
            3 => Self::Rup,
            4 => Self::Rmm,
            _ => return None,
        })
    }
}

/// How a float operation rounds, and what it makes of NaNs and subnormal numbers. Bits 0..=7 of an immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloatMode(u8);

impl FloatMode {
    const NANS: u8 = 1 << 3;
    const BEFORE: u8 = 1 << 4;
    const FLUSH: u8 = 1 << 5;
    /// Words of the text form for the bits above the rounding mode.
    pub const WORDS: [(&'static str, u64); 3] =
        [("nans", Self::NANS as u64), ("before", Self::BEFORE as u64), ("flush", Self::FLUSH as u64)];

    /// Results that are not numbers are the canonical NaN, tininess is detected after rounding.
    pub const fn new(rm: Rm) -> Self {
        Self(rm as u8)
    }

    /// A result that comes of a NaN operand is the first signalling one, or else the first, made quiet.
    pub const fn propagating_nans(self) -> Self {
        Self(self.0 | Self::NANS)
    }

    /// The opposite of [`Self::propagating_nans`].
    pub const fn canonical_nans(self) -> Self {
        Self(self.0 & !Self::NANS)
    }

    /// Tininess is detected before rounding.
    pub const fn tiny_before(self) -> Self {
        Self(self.0 | Self::BEFORE)
    }

    /// Subnormal operands count as zero and raise [`flags::ID`]; results that are tiny before rounding become zero and
    /// raise underflow alone.
    pub const fn flushing(self) -> Self {
        Self(self.0 | Self::FLUSH)
    }

    /// The opposite of [`Self::flushing`].
    pub const fn keeping_subnormals(self) -> Self {
        Self(self.0 & !Self::FLUSH)
    }

    /// The rounding mode.
    pub fn rm(self) -> Rm {
        Rm::from_bits((self.0 & 7).into()).unwrap_or(Rm::Rne)
    }

    /// See [`Self::propagating_nans`].
    pub const fn propagates_nans(self) -> bool {
        self.0 & Self::NANS != 0
    }

    /// See [`Self::tiny_before`].
    pub const fn is_tiny_before(self) -> bool {
        self.0 & Self::BEFORE != 0
    }

    /// See [`Self::flushing`].
    pub const fn flushes(self) -> bool {
        self.0 & Self::FLUSH != 0
    }

    /// As an instruction's immediate.
    pub const fn bits(self) -> u64 {
        self.0 as u64
    }

    /// From an instruction's immediate.
    pub const fn from_bits(imm: u64) -> Self {
        Self(imm as u8)
    }
}

impl From<Rm> for FloatMode {
    fn from(rm: Rm) -> Self {
        Self::new(rm)
    }
}

/// Sticky float flags.
pub mod flags {
    /// Inexact.
    pub const NX: u32 = 1;
    /// Underflow.
    pub const UF: u32 = 2;
    /// Overflow.
    pub const OF: u32 = 4;
    /// Division by zero.
    pub const DZ: u32 = 8;
    /// Invalid operation.
    pub const NV: u32 = 16;
    /// A subnormal operand counted as zero.
    pub const ID: u32 = 32;
    /// An integer operation saturated.
    pub const SAT: u32 = 64;
}

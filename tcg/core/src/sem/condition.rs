//! Packed condition flags, and conditions on them.

use crate::ir::Op;
use crate::ty::Ty;

/// The layout of packed condition flags: the host's own on x86-64 (LAHF and SETO), so that they cost little there.
pub mod packed {
    /// Negative.
    pub const N: u64 = 1 << 15;
    /// Zero.
    pub const Z: u64 = 1 << 14;
    /// Carry out; of a difference: nothing was borrowed.
    pub const C: u64 = 1 << 8;
    /// Signed overflow.
    pub const V: u64 = 1;
    /// All of them.
    pub const ALL: u64 = N | Z | C | V;
}

/// What flags can be made of, for [`crate::ir::Op::FlagsOf`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FlagsKind {
    /// They are in the low half of the first value.
    Packed,
    /// Of the difference of both values.
    Sub64,
    /// Of the difference of their low halves.
    Sub32,
    /// Of the sum of both values.
    Add64,
    /// Of the sum of their low halves.
    Add32,
    /// Of the first value, neither carry nor overflow.
    Logic64,
    /// Of its low half.
    Logic32,
}

impl FlagsKind {
    const ALL: [Self; 7] =
        [Self::Packed, Self::Sub64, Self::Sub32, Self::Add64, Self::Add32, Self::Logic64, Self::Logic32];

    /// The kind that `bits` stand for; numbers that are none are taken for packed flags.
    pub fn from_bits(bits: u64) -> Self {
        Self::ALL.get(bits as usize).copied().unwrap_or(Self::Packed)
    }

    /// The operation and type that make such flags; `None` if they are made.
    pub fn made_by(self) -> Option<(Op, Ty)> {
        match self {
            Self::Packed => None,
            Self::Sub64 => Some((Op::FlagsSub, Ty::I64)),
            Self::Sub32 => Some((Op::FlagsSub, Ty::I32)),
            Self::Add64 => Some((Op::FlagsAdd, Ty::I64)),
            Self::Add32 => Some((Op::FlagsAdd, Ty::I32)),
            Self::Logic64 => Some((Op::FlagsLogic, Ty::I64)),
            Self::Logic32 => Some((Op::FlagsLogic, Ty::I32)),
        }
    }

    /// What `op` with type `ty` makes.
    pub fn of(op: Op, ty: Ty) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.made_by() == Some((op, ty)))
    }
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident $text:literal;)*) => {
        /// A condition on packed flags. Odd ones are the opposite of the one before.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Cc { $($(#[$doc])* $name,)* }

        impl Cc {
            /// Every condition with its name in the text form.
            pub const NAMES: [(&'static str, Cc); 14] = [$(($text, Cc::$name)),*];
        }
    };
}

conditions! {
    /// Zero.
    Eq "eq";
    /// Not zero.
    Ne "ne";
    /// Carry; after a difference: unsigned greater or equal.
    CarrySet "cs";
    /// No carry; after a difference: unsigned less.
    CarryClear "cc";
    /// Negative.
    Minus "mi";
    /// Not negative.
    Plus "pl";
    /// Overflow.
    Overflow "vs";
    /// No overflow.
    NoOverflow "vc";
    /// Carry and not zero: unsigned greater.
    Above "hi";
    /// Unsigned less or equal.
    NotAbove "ls";
    /// Negative is overflow: signed greater or equal.
    Ge "ge";
    /// Signed less.
    Lt "lt";
    /// Signed greater.
    Gt "gt";
    /// Signed less or equal.
    Le "le";
}

impl Cc {
    /// The condition of number `n` (0..=13; higher ones are taken modulo 14).
    pub fn from_bits(n: u64) -> Self {
        Self::NAMES[(n % 14) as usize].1
    }

    /// The opposite.
    pub fn negated(self) -> Self {
        Self::from_bits(self as u64 ^ 1)
    }

    /// Whether it holds in `flags`, which are [`packed`].
    pub fn holds(self, flags: u64) -> bool {
        let [n, z, c, v] = [packed::N, packed::Z, packed::C, packed::V].map(|bit| flags & bit != 0);
        let base = match self as u8 & !1 {
            0 => z,
            2 => c,
            4 => n,
            6 => v,
            8 => c && !z,
            10 => n == v,
            _ => !z && n == v,
        };
        base != (self as u8 & 1 != 0)
    }
}

//! Value types, once as IR data ([`Ty`]) and once as Rust markers that keep semantics functions type-checked.

/// The type of an IR value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ty {
    /// No value: the result type of a store.
    None,
    /// A truth value, 0 or 1.
    Bool,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// IEEE 754 binary16: computed with in software alone, and kept in general registers.
    F16,
}

impl Ty {
    /// Width in bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Bool => 1,
            Self::F16 => 16,
            Self::I32 | Self::F32 => 32,
            Self::I64 | Self::F64 => 64,
        }
    }

    /// All bits that a value of this type can have set.
    pub const fn mask(self) -> u64 {
        match self.bits() {
            0 => 0,
            n => u64::MAX >> (64 - n),
        }
    }

    /// Whether the value lives in a host float register.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// The name in the text form.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bool => "bool",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::F16 => "f16",
        }
    }
}

/// A marker type that stands for a [`Ty`].
pub trait Scalar: Copy + 'static {
    /// The type it stands for.
    const TY: Ty;
}

/// Integer markers.
pub trait Int: Scalar {}
/// Float markers.
pub trait Float: Scalar {
    /// The integer that holds its bits: of the same width, and for binary16 the low half of an I32.
    type Bits: Int;
}

macro_rules! markers {
    ($($(#[$doc:meta])* $name:ident: $($class:ident)?;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl Scalar for $name { const TY: Ty = Ty::$name; }
        $(impl $class for $name {})?
    )* };
}

markers! {
    /// Marks a truth value.
    Bool:;
    /// Marks a 32-bit integer.
    I32: Int;
    /// Marks a 64-bit integer.
    I64: Int;
    /// Marks an IEEE binary32.
    F32:;
    /// Marks an IEEE binary64.
    F64:;
    /// Marks an IEEE binary16.
    F16:;
}

impl Float for F32 {
    type Bits = I32;
}
impl Float for F64 {
    type Bits = I64;
}
impl Float for F16 {
    type Bits = I32;
}

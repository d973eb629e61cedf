//! Value types, once as IR data ([`Ty`]) and once as Rust markers that keep semantics functions type-checked.

/// The type of an IR value, or, beyond [`Ty::V128`], what an operation takes a vector's lanes for.
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
    /// 128 bits; the only type that a vector value has.
    V128,
    /// An operation on sixteen bytes; lane 0 is the lowest.
    I8x16,
    /// An operation on eight halfwords.
    I16x8,
    /// An operation on four words.
    I32x4,
    /// An operation on two doublewords.
    I64x2,
    /// An operation on four IEEE 754 binary32.
    F32x4,
    /// An operation on two IEEE 754 binary64.
    F64x2,
    /// An operation on eight IEEE 754 binary16: in software alone.
    F16x8,
}

impl Ty {
    /// Every type, in order.
    pub const ALL: [Ty; 15] = [
        Ty::None,
        Ty::Bool,
        Ty::I32,
        Ty::I64,
        Ty::F32,
        Ty::F64,
        Ty::F16,
        Ty::V128,
        Ty::I8x16,
        Ty::I16x8,
        Ty::I32x4,
        Ty::I64x2,
        Ty::F32x4,
        Ty::F64x2,
        Ty::F16x8,
    ];

    /// Width in bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Bool => 1,
            Self::F16 => 16,
            Self::I32 | Self::F32 => 32,
            Self::I64 | Self::F64 => 64,
            Self::V128 | Self::I8x16 | Self::I16x8 | Self::I32x4 | Self::I64x2 => 128,
            Self::F16x8 | Self::F32x4 | Self::F64x2 => 128,
        }
    }

    /// All bits that a value of this type, or one of its lanes, can have set.
    pub const fn mask(self) -> u64 {
        match self.lane_bits() {
            0 => 0,
            n => u64::MAX >> (64 - n),
        }
    }

    /// Whether the value is a scalar float.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// Whether it is [`Ty::V128`] or stands for its lanes.
    pub const fn is_vector(self) -> bool {
        self.bits() == 128
    }

    /// Whether the value lives in a host float register.
    pub const fn in_float_register(self) -> bool {
        self.is_float() || self.is_vector()
    }

    /// The type of the value that an operation of this type works on: lanes have no type of their own.
    pub const fn value(self) -> Self {
        if self.is_vector() { Self::V128 } else { self }
    }

    /// Width of a lane in bits, 64 for [`Ty::V128`]; of a scalar, its own width.
    pub const fn lane_bits(self) -> u32 {
        match self {
            Self::I8x16 => 8,
            Self::I16x8 | Self::F16x8 => 16,
            Self::I32x4 | Self::F32x4 => 32,
            Self::V128 | Self::I64x2 | Self::F64x2 => 64,
            _ => self.bits(),
        }
    }

    /// How many lanes there are.
    pub const fn lanes(self) -> u32 {
        if self.is_vector() { 128 / self.lane_bits() } else { 1 }
    }

    /// The lanes of integers that are `1 << size` bytes wide, `size` 0 to 3.
    pub const fn int_lanes(size: u8) -> Self {
        match size {
            0 => Self::I8x16,
            1 => Self::I16x8,
            2 => Self::I32x4,
            _ => Self::I64x2,
        }
    }

    /// The float type of the width of a lane: binary64 where lanes are 64 bits wide, binary16 where they are 16, else
    /// binary32.
    pub const fn float_lane(self) -> Self {
        match self.lane_bits() {
            64 => Self::F64,
            16 => Self::F16,
            _ => Self::F32,
        }
    }

    /// The integer type that holds a lane: I64 where lanes are 64 bits wide, else I32.
    pub const fn int_lane(self) -> Self {
        if self.lane_bits() == 64 { Self::I64 } else { Self::I32 }
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
            Self::V128 => "v128",
            Self::I8x16 => "i8x16",
            Self::I16x8 => "i16x8",
            Self::I32x4 => "i32x4",
            Self::I64x2 => "i64x2",
            Self::F32x4 => "f32x4",
            Self::F64x2 => "f64x2",
            Self::F16x8 => "f16x8",
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

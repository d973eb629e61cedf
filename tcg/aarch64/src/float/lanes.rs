//! Float operations on the lanes of vectors, carried out in software.

use super::{bf16, estimate};
use tcg_core::eval::{from_lanes, lane};
use tcg_core::fp;
use tcg_core::sem::FloatMode;
use tcg_core::ty::Ty;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// What is done to each lane.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum FloatSoft { $($(#[$doc])* $name,)* }

        impl FloatSoft {
            const ALL: &[FloatSoft] = &[$(FloatSoft::$name,)*];
        }
    };
}

operations! {
    /// FMULX.
    MultiplyExtended;
    /// FRECPS.
    ReciprocalStep;
    /// FRSQRTS.
    ReciprocalRootStep;
    /// FRECPE.
    Reciprocal;
    /// FRSQRTE.
    ReciprocalRoot;
    /// FRECPX.
    ReciprocalExponent;
    /// FRINT32Z and so on; more: the bits.
    RoundWithin;
    /// To signed fixed point; more: bits behind the point.
    ToSignedFixed;
    /// To unsigned fixed point.
    ToUnsignedFixed;
    /// From signed fixed point.
    OfSignedFixed;
    /// From unsigned fixed point.
    OfUnsignedFixed;
    /// The lower half's lanes, of the alternative half-precision format, to singles.
    OfHalves;
    /// Singles to that, in the lower half.
    ToHalves;
    /// Doubles to singles, rounded to odd, in the lower half.
    NarrowToOdd;
    /// FMLAL: the lower halves of two operands, and singles; more: subnormal halves are zero.
    AddLongProduct;
    /// Singles to BFloat16, in the lower half.
    ToBfloat;
    /// BFDOT: pairs of BFloat16, and singles; more: with the extended behaviour.
    BfloatPairs;
}

/// An operation and what it depends on, as the parameter of its helper.
#[derive(Clone, Copy, Debug)]
pub struct FloatParam {
    /// What is done.
    pub op: FloatSoft,
    /// log2 of the bytes of a lane: of the result where it is narrower than the operands, else of the operands.
    pub size: u8,
    /// Lanes that count, from the lowest.
    pub lanes: u8,
    /// Rounding and so on.
    pub mode: FloatMode,
    /// What the operation says.
    pub more: u8,
}

impl FloatParam {
    /// As the parameter of the helper.
    pub fn pack(self) -> u64 {
        self.op as u64
            | u64::from(self.size) << 8
            | u64::from(self.lanes) << 16
            | self.mode.bits() << 24
            | u64::from(self.more) << 32
    }

    fn unpack(param: u64) -> Self {
        Self {
            op: FloatSoft::ALL[(param & 0xff) as usize % FloatSoft::ALL.len()],
            size: (param >> 8 & 3) as u8,
            lanes: (param >> 16 & 15) as u8,
            mode: FloatMode::from_bits(param >> 24 & 0xff),
            more: (param >> 32 & 0xff) as u8,
        }
    }
}

/// Carries out what [`FloatParam::pack`] made; lanes that do not count are zero.
pub fn run(param: u64, args: [u128; 3], raised: &mut u32) -> u128 {
    let param = FloatParam::unpack(param);
    let (bits, from_bits) = match param.op {
        FloatSoft::OfHalves | FloatSoft::AddLongProduct => (32, 16),
        FloatSoft::ToHalves | FloatSoft::ToBfloat => (16, 32),
        FloatSoft::NarrowToOdd => (32, 64),
        _ => (8 << param.size, 8 << param.size),
    };
    from_lanes(bits, |n| {
        if n >= param.lanes.into() {
            return 0;
        }
        let [a, b, c] = args;
        let c = lane(c, bits, n);
        each(param, [lane(a, from_bits, n), lane(b, from_bits, n), c], raised)
    })
}

fn each(FloatParam { op, size, mode, more, .. }: FloatParam, [a, b, c]: [u64; 3], raised: &mut u32) -> u64 {
    let ty = [Ty::F16, Ty::F16, Ty::F32, Ty::F64][usize::from(size & 3)];
    let fixed = |signed| fp::Fixed { fraction_bits: more.into(), signed };
    match op {
        FloatSoft::MultiplyExtended => super::multiply_extended(ty, [a, b], mode, raised),
        FloatSoft::ReciprocalStep => super::reciprocal_step(ty, [a, b], mode, raised),
        FloatSoft::ReciprocalRootStep => super::reciprocal_root_step(ty, [a, b], mode, raised),
        FloatSoft::Reciprocal => estimate::reciprocal(ty, a, mode, raised),
        FloatSoft::ReciprocalRoot => estimate::reciprocal_root(ty, a, mode, raised),
        FloatSoft::ReciprocalExponent => estimate::reciprocal_exponent(ty, a, mode, raised),
        FloatSoft::RoundWithin => super::round_within(ty, a, more.into(), mode, raised),
        FloatSoft::ToSignedFixed => to_fixed(ty, a, fixed(true), mode, raised),
        FloatSoft::ToUnsignedFixed => to_fixed(ty, a, fixed(false), mode, raised),
        FloatSoft::OfSignedFixed => of_fixed(ty, a, fixed(true), mode, raised),
        FloatSoft::OfUnsignedFixed => of_fixed(ty, a, fixed(false), mode, raised),
        FloatSoft::OfHalves => fp::convert_alternative((Ty::F16, Ty::F32), a, mode, raised),
        FloatSoft::ToHalves => fp::convert_alternative((Ty::F32, Ty::F16), a, mode, raised),
        FloatSoft::NarrowToOdd => super::narrow_to_odd(a, mode, raised),
        FloatSoft::AddLongProduct => super::add_long_product([a, b, c], more != 0, mode, raised),
        FloatSoft::ToBfloat => bf16::narrow(a, mode, raised),
        FloatSoft::BfloatPairs if more != 0 => bf16::add_products_extended(c, a, b, mode),
        FloatSoft::BfloatPairs => bf16::add_products(c, a, b),
    }
}

/// An integer as wide as a float of type `ty`, or the word that holds it.
fn integer(ty: Ty) -> Ty {
    if ty == Ty::F64 { Ty::I64 } else { Ty::I32 }
}

fn to_fixed(ty: Ty, a: u64, fixed: fp::Fixed, mode: FloatMode, raised: &mut u32) -> u64 {
    if ty != Ty::F16 {
        return fp::to_fixed((ty, integer(ty)), a, fixed, mode, raised);
    }
    fp::halfword(fixed.signed, raised, |own| fp::to_fixed((ty, Ty::I32), a, fixed, mode, own))
}

fn of_fixed(ty: Ty, a: u64, fixed: fp::Fixed, mode: FloatMode, raised: &mut u32) -> u64 {
    let a = if ty == Ty::F16 && fixed.signed { a as u16 as i16 as u32 as u64 } else { a };
    fp::from_fixed((integer(ty), ty), a, fixed, mode, raised)
}

//! What an operation takes: the classes of its type and operands, and what its immediate means.
//!
//! One row an operation; the text form, the verifier and the generator of random regions read it.

use super::Op;
use crate::sem::FloatMode;
use crate::ty::Ty;

/// A set of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Exactly this one.
    Is(Ty),
    /// I32 or I64.
    Int,
    /// F16, F32 or F64.
    Float,
    /// I32, I64, F32, F64 or V128: what memory and registers hold.
    Plain,
    /// An integer or a float.
    Number,
    /// Any that a value can have.
    Any,
    /// Lanes of integers.
    IntLanes,
    /// Lanes of integers or floats that scalars go into.
    Lanes,
    /// One of these.
    OneOf(&'static [Ty]),
}

impl Class {
    /// Whether `ty` belongs to it.
    pub fn contains(self, ty: Ty) -> bool {
        match self {
            Self::Is(only) => ty == only,
            Self::Int => matches!(ty, Ty::I32 | Ty::I64),
            Self::Float => FLOATS.contains(&ty),
            Self::Plain => matches!(ty, Ty::I32 | Ty::I64 | Ty::F32 | Ty::F64 | Ty::V128),
            Self::Number => Self::Int.contains(ty) || Self::Float.contains(ty),
            Self::Any => matches!(ty, Ty::Bool | Ty::F16) || Self::Plain.contains(ty),
            Self::IntLanes => matches!(ty, Ty::I8x16 | Ty::I16x8 | Ty::I32x4 | Ty::I64x2),
            Self::Lanes => ty.is_vector() && !matches!(ty, Ty::V128 | Ty::F16x8),
            Self::OneOf(types) => types.contains(&ty),
        }
    }
}

/// What an operand has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// The type of the instruction; a vector if that is one of lanes.
    Same,
    /// One of these.
    In(Class),
    /// A Bool or an integer narrower than the type of the instruction.
    Narrower,
    /// A plain type of the width of the instruction's type; F16 goes with I32.
    SameWidth,
    /// Another float type; for lanes, a vector.
    OtherFloat,
    /// An integer; for lanes, a vector.
    Int,
    /// A float; for lanes, a vector.
    Float,
    /// A scalar that has at least the bits of a lane: a float for lanes of floats.
    Lane,
}

impl Arg {
    /// Whether an operand of type `arg` fits an instruction of type `ty`.
    pub fn accepts(self, ty: Ty, arg: Ty) -> bool {
        match self {
            Self::Same => arg == ty.value(),
            Self::In(class) => class.contains(arg),
            Self::Narrower => arg == Ty::Bool || (arg == Ty::I32 && ty == Ty::I64),
            Self::SameWidth if ty == Ty::F16 || arg == Ty::F16 => {
                matches!((ty, arg), (Ty::F16 | Ty::I32, Ty::F16) | (Ty::F16, Ty::I32))
            }
            Self::SameWidth => Class::Plain.contains(arg) && arg.bits() == ty.bits(),
            Self::OtherFloat | Self::Int | Self::Float if ty.is_vector() => arg == Ty::V128,
            Self::OtherFloat => Class::Float.contains(arg) && arg != ty,
            Self::Int => Class::Int.contains(arg),
            Self::Float => Class::Float.contains(arg),
            Self::Lane if FLOAT.contains(ty) => arg == ty.float_lane(),
            Self::Lane => Class::Int.contains(arg) && arg.bits() >= ty.lane_bits(),
        }
    }
}

/// What [`crate::ir::Inst::imm`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imm {
    /// Nothing; zero.
    None,
    /// A constant of the instruction's type.
    Const,
    /// A guest register.
    Reg,
    /// How many low bits: 8, 16, 32.
    Bits,
    /// A [`crate::sem::MemOp`].
    Mem,
    /// A [`crate::sem::MemOp`] of a lane of integers.
    LaneMem,
    /// A [`crate::sem::MemOp`] and a [`crate::sem::Rmw`].
    Rmw,
    /// A [`crate::sem::Order`].
    Order,
    /// A number of guest instructions.
    Insns,
    /// A counter of the vCPU, and above it what is added.
    Counter,
    /// An event of [`crate::observe`].
    Event,
    /// A guest's helper.
    Helper,
    /// A [`crate::sem::FloatMode`].
    Rounding,
    /// The same, and in bit 8 whether inexact is raised.
    Round,
    /// The same, and in bits 8 and 9 which minimum or maximum.
    MinMax,
    /// The same, and in bit 8 whether NaN becomes zero.
    ToInt,
    /// The same with nothing to round.
    Compare,
    /// The same, and in bit 8 whether quiet NaNs signal.
    Signal,
    /// A condition.
    Cond,
    /// A condition above a float mode with nothing to round.
    CondFloat,
    /// The number of a lane of the instruction's type.
    Index,
    /// A [`crate::sem::Lane`].
    Lane,
    /// A vector constant of the region.
    Vector,
    /// Bits of [`crate::sem::widen`].
    Widen,
    /// A [`crate::sem::Narrow`].
    Narrow,
    /// Bits 0 and 1: the upper doubleword of the first and of the second argument.
    Halves,
    /// A [`crate::sem::Aes`].
    Aes,
    /// A [`crate::sem::Sha256`].
    Sha256,
    /// A guest's vector helper, and above 16 bits its parameter.
    VectorHelper,
}

impl Imm {
    /// Words of the text form for bits of a float operation's immediate above its rounding mode.
    pub fn words(self) -> &'static [(&'static str, u64)] {
        const MODE: [(&str, u64); 3] = FloatMode::WORDS;
        const fn with<const N: usize>(more: [(&'static str, u64); 2]) -> [(&'static str, u64); N] {
            let mut all = [("", 0); N];
            let mut n = 0;
            while n < N {
                all[n] = if n < 3 { MODE[n] } else { more[n - 3] };
                n += 1;
            }
            all
        }
        match self {
            Self::Rounding | Self::Compare | Self::CondFloat => &MODE,
            Self::Round => const { &with::<4>([("exact", 1 << 8), ("", 0)]) },
            Self::MinMax => const { &with::<5>([("num", 1 << 8), ("nan", 1 << 9)]) },
            Self::ToInt => const { &with::<4>([("nanzero", 1 << 8), ("", 0)]) },
            Self::Signal => const { &with::<4>([("signal", 1 << 8), ("", 0)]) },
            _ => &[],
        }
    }

    /// Whether the low bits are a rounding mode that is written down.
    pub fn rounds(self) -> bool {
        matches!(self, Self::Rounding | Self::Round | Self::MinMax | Self::ToInt)
    }
}

/// What an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Types that the instruction can have.
    pub ty: Class,
    /// Its operands.
    pub args: &'static [Arg],
    /// Its immediate.
    pub imm: Imm,
}

const NO_TY: Class = Class::Is(Ty::None);
const BOOL: Arg = Arg::In(Class::Is(Ty::Bool));
const I32: Arg = Arg::In(Class::Is(Ty::I32));
const I64: Arg = Arg::In(Class::Is(Ty::I64));
const V128: Arg = Arg::In(VECTOR);
const VECTOR: Class = Class::Is(Ty::V128);
/// I32, I64 or lanes of integers.
const INTS: Class = Class::OneOf(&[Ty::I32, Ty::I64, Ty::I8x16, Ty::I16x8, Ty::I32x4, Ty::I64x2]);
/// What has bits but no lanes.
const BITS: Class = Class::OneOf(&[Ty::I32, Ty::I64, Ty::V128]);
/// Integers that floats become.
const WORDS: Class = Class::OneOf(&[Ty::I32, Ty::I64, Ty::I16x8, Ty::I32x4, Ty::I64x2]);
const FLOATS: [Ty; 3] = [Ty::F16, Ty::F32, Ty::F64];
/// Floats or lanes of them.
const FLOAT: Class = Class::OneOf(&[Ty::F16, Ty::F32, Ty::F64, Ty::F16x8, Ty::F32x4, Ty::F64x2]);
/// The same without lanes that no conversion to or from others has.
const CONVERTED: Class = Class::OneOf(&[Ty::F16, Ty::F32, Ty::F64, Ty::F32x4, Ty::F64x2]);

impl Op {
    /// What the operation takes.
    pub const fn shape(self) -> Shape {
        const fn row(ty: Class, args: &'static [Arg], imm: Imm) -> Shape {
            Shape { ty, args, imm }
        }
        use Arg::Same;
        match self {
            Op::Nop | Op::Mark | Op::Poll => row(NO_TY, &[], Imm::None),
            Op::Count | Op::Quota => row(NO_TY, &[], Imm::Insns),
            Op::Tally => row(NO_TY, &[], Imm::Counter),
            Op::Observe => row(NO_TY, &[I64], Imm::Event),
            Op::Fence => row(NO_TY, &[], Imm::Order),
            Op::Param => row(Class::Any, &[], Imm::None),
            Op::Const => row(Class::Any, &[], Imm::Const),
            Op::CodeAddr => row(Class::Is(Ty::I64), &[], Imm::Const),
            Op::Get => row(Class::Plain, &[], Imm::Reg),
            Op::Set => row(Class::Plain, &[Same], Imm::Reg),
            Op::Add | Op::Sub | Op::Mul | Op::MulHU | Op::MulHS => row(INTS, &[Same, Same], Imm::None),
            Op::DivU | Op::DivS | Op::RemU | Op::RemS => row(Class::Int, &[Same, Same], Imm::None),
            Op::And | Op::Or | Op::Xor => row(BITS, &[Same, Same], Imm::None),
            Op::Clmul | Op::ClmulH => row(Class::Int, &[Same, Same], Imm::None),
            Op::Shl | Op::ShrU | Op::ShrS => row(INTS, &[Same, Same], Imm::None),
            Op::Rotr => row(Class::Int, &[Same, Same], Imm::None),
            Op::Eq | Op::LtU | Op::LtS => row(INTS, &[Same, Same], Imm::None),
            Op::Ne => row(Class::Int, &[Same, Same], Imm::None),
            Op::Clz | Op::Popcnt => row(INTS, &[Same], Imm::None),
            Op::Ctz | Op::Bswap => row(Class::Int, &[Same], Imm::None),
            Op::Sext => row(Class::Int, &[Same], Imm::Bits),
            Op::Trunc => row(Class::Is(Ty::I32), &[I64], Imm::None),
            Op::Zext => row(Class::Int, &[Arg::Narrower], Imm::None),
            Op::SextW => row(Class::Is(Ty::I64), &[I32], Imm::None),
            Op::Box => row(Class::Is(Ty::F64), &[Arg::In(Class::Is(Ty::F32))], Imm::None),
            Op::Unbox => row(Class::Is(Ty::F32), &[Arg::In(Class::Is(Ty::F64))], Imm::None),
            Op::Bitcast => row(Class::Number, &[Arg::SameWidth], Imm::None),
            Op::FlagsAdd | Op::FlagsSub => row(Class::Int, &[Same, Same], Imm::None),
            Op::FlagsAdc => row(Class::Int, &[Same, Same, BOOL], Imm::None),
            Op::FlagsLogic => row(Class::Int, &[Same], Imm::None),
            Op::FlagsOf => row(Class::Is(Ty::I64), &[Same, Same, I32], Imm::None),
            Op::Cond => row(Class::Is(Ty::I32), &[Same], Imm::Cond),
            Op::CondSub => row(Class::Int, &[Same, Same], Imm::Cond),
            Op::Select => row(Class::Any, &[BOOL, Same, Same], Imm::None),
            Op::Load => row(Class::Plain, &[I64], Imm::Mem),
            Op::Store => row(Class::Plain, &[I64, Same], Imm::Mem),
            Op::LoadLanes => row(VECTOR, &[I64, Same], Imm::LaneMem),
            Op::StoreLanes => row(VECTOR, &[I64, Same, Same], Imm::LaneMem),
            Op::AtomicRmw => row(Class::Int, &[I64, Same], Imm::Rmw),
            Op::AtomicCas => row(Class::Int, &[I64, Same, Same], Imm::Mem),
            Op::Call => row(Class::Is(Ty::I64), &[I64, I64, I64], Imm::Helper),
            Op::FAdd | Op::FSub | Op::FMul | Op::FDiv => row(FLOAT, &[Same, Same], Imm::Rounding),
            Op::FMin | Op::FMax => row(FLOAT, &[Same, Same], Imm::MinMax),
            Op::FSqrt => row(FLOAT, &[Same], Imm::Rounding),
            Op::FMulAdd => row(FLOAT, &[Same, Same, Same], Imm::Rounding),
            Op::FEq | Op::FLt | Op::FLe | Op::FLtQ | Op::FLeQ => row(FLOAT, &[Same, Same], Imm::Compare),
            Op::FlagsFloat => row(Class::Float, &[Same, Same], Imm::Signal),
            Op::CondFloat => row(Class::Float, &[Same, Same], Imm::CondFloat),
            Op::FToF => row(CONVERTED, &[Arg::OtherFloat], Imm::Rounding),
            Op::FOfHalves => row(Class::Is(Ty::F32x4), &[Same], Imm::Rounding),
            Op::FToHalves => row(Class::Is(Ty::F16x8), &[Same], Imm::Rounding),
            Op::FToS | Op::FToU => row(WORDS, &[Arg::Float], Imm::ToInt),
            Op::SToF | Op::UToF => row(FLOAT, &[Arg::Int], Imm::Rounding),
            Op::FRound => row(FLOAT, &[Same], Imm::Round),
            Op::Splat => row(Class::Lanes, &[Arg::Lane], Imm::None),
            Op::Insert => row(Class::Lanes, &[Same, Arg::Lane], Imm::Index),
            Op::Extract => row(Class::OneOf(&[Ty::I32, Ty::I64, Ty::F32, Ty::F64]), &[V128], Imm::Lane),
            Op::AnyBit => row(VECTOR, &[Same], Imm::None),
            Op::ByteSigns => row(Class::Is(Ty::I32), &[V128], Imm::None),
            Op::Shuffle => row(VECTOR, &[Same, Same], Imm::Vector),
            Op::Table | Op::AndNot => row(VECTOR, &[Same, Same], Imm::None),
            Op::BitSelect => row(VECTOR, &[Same, Same, Same], Imm::None),
            Op::Abs => row(Class::IntLanes, &[Same], Imm::None),
            Op::AddSatS | Op::AddSatU | Op::SubSatS | Op::SubSatU => {
                row(Class::IntLanes, &[Same, Same], Imm::None)
            }
            Op::MinS | Op::MaxS | Op::MinU | Op::MaxU => row(Class::IntLanes, &[Same, Same], Imm::None),
            Op::AvgU => row(Class::IntLanes, &[Same, Same], Imm::None),
            Op::Widen => row(Class::OneOf(&[Ty::I16x8, Ty::I32x4, Ty::I64x2]), &[Same], Imm::Widen),
            Op::Narrow => row(Class::OneOf(&[Ty::I8x16, Ty::I16x8, Ty::I32x4]), &[Same, Same], Imm::Narrow),
            Op::ClmulWide => row(VECTOR, &[Same, Same], Imm::Halves),
            Op::Aes => row(VECTOR, &[Same], Imm::Aes),
            Op::Sha256 => row(VECTOR, &[Same, Same, Same], Imm::Sha256),
            Op::CallVector => row(VECTOR, &[Same, Same, Same], Imm::VectorHelper),
        }
    }

    /// Whether an instruction leaves through a snapshot, or marks one.
    pub const fn has_snapshot(self) -> bool {
        matches!(
            self,
            Op::Mark
                | Op::Load
                | Op::Store
                | Op::LoadLanes
                | Op::StoreLanes
                | Op::AtomicRmw
                | Op::AtomicCas
                | Op::Call
                | Op::Observe
                | Op::Poll
                | Op::Quota
        )
    }
}

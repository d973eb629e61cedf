//! The operations of the IR: one row each.
//!
//! An operation is polymorphic over the type of its instruction ([`crate::ir::Inst::ty`]): the type of the result,
//! or, where there is none or it is a truth value, of the operands. With a type of lanes ([`crate::ty::Ty::I8x16`] and
//! so on) it works on each lane of vectors; comparisons then give lanes of ones or zeros. Integer arithmetic wraps. What
//! a row leaves open, `eval.rs` says: it is the reference.

/// What an operation does besides giving a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: may be removed, repeated or moved.
    Pure,
    /// Raises sticky floating-point flags: may be repeated, may not be removed.
    Flags,
    /// Reads or writes guest registers.
    State,
    /// Touches guest memory or calls a helper, and may leave the region through its snapshot.
    Memory,
    /// Structure only.
    Mark,
}

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident $text:literal $args:literal $effect:ident;)*) => {
        /// An IR operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Op { $($(#[$doc])* $name,)* }

        impl Op {
            /// Every operation, in table order.
            pub const ALL: &[Op] = &[$(Op::$name,)*];

            /// The name in the text form.
            pub const fn name(self) -> &'static str {
                match self { $(Op::$name => $text,)* }
            }

            /// How many of [`crate::ir::Inst::args`] are in use.
            pub const fn arg_count(self) -> usize {
                match self { $(Op::$name => $args,)* }
            }

            /// What it does besides giving a value.
            pub const fn effect(self) -> Effect {
                match self { $(Op::$name => Effect::$effect,)* }
            }
        }
    };
}

ops! {
    /// Removed; left in place by passes.
    Nop "nop" 0 Pure;
    /// A parameter of its block.
    Param "param" 0 Pure;
    /// The constant `imm`.
    Const "const" 0 Pure;
    /// The address `imm` of guest code, if the region's page is where the region says; it moves with that page.
    CodeAddr "codeaddr" 0 Pure;
    /// A guest instruction begins here: its address is in the snapshot `snap`.
    Mark "mark" 0 Mark;
    /// `imm` more guest instructions have been carried out ([`crate::cpu::CpuHeader::insns`]).
    Count "count" 0 State;
    /// Adds `imm >> 32` to the vCPU's counter `imm` (low half, [`crate::observe`]).
    Tally "tally" 0 State;
    /// The value of guest register `imm`.
    Get "get" 0 State;
    /// Guest register `imm` becomes the argument.
    Set "set" 1 State;

    /// Sum.
    Add "add" 2 Pure;
    /// Difference.
    Sub "sub" 2 Pure;
    /// Low half of the product.
    Mul "mul" 2 Pure;
    /// High half of the unsigned product.
    MulHU "mulhu" 2 Pure;
    /// High half of the signed product.
    MulHS "mulhs" 2 Pure;
    /// Unsigned quotient; all ones when the divisor is zero.
    DivU "divu" 2 Pure;
    /// Signed quotient towards zero; all ones when the divisor is zero, the dividend on overflow.
    DivS "divs" 2 Pure;
    /// Unsigned remainder; the dividend when the divisor is zero.
    RemU "remu" 2 Pure;
    /// Signed remainder; the dividend when the divisor is zero, zero on overflow.
    RemS "rems" 2 Pure;
    /// Bitwise and.
    And "and" 2 Pure;
    /// Bitwise or.
    Or "or" 2 Pure;
    /// Bitwise exclusive or.
    Xor "xor" 2 Pure;
    /// Shift left by the second argument modulo the width. Lanes of vectors: by the lane of the second argument as an
    /// unsigned number, and a shift by the width or more shifts everything out. So for the other two.
    Shl "shl" 2 Pure;
    /// Logical shift right by the second argument modulo the width.
    ShrU "shru" 2 Pure;
    /// Arithmetic shift right by the second argument modulo the width.
    ShrS "shrs" 2 Pure;
    /// Rotate right by the second argument modulo the width.
    Rotr "rotr" 2 Pure;
    /// Low half of the carry-less product.
    Clmul "clmul" 2 Pure;
    /// High half of the carry-less product.
    ClmulH "clmulh" 2 Pure;

    /// Leading zeros; the width for zero.
    Clz "clz" 1 Pure;
    /// Trailing zeros; the width for zero.
    Ctz "ctz" 1 Pure;
    /// Set bits.
    Popcnt "popcnt" 1 Pure;
    /// Bytes in reverse order.
    Bswap "bswap" 1 Pure;
    /// Sign extension of the low `imm` bits (8, 16 or 32) within the type.
    Sext "sext" 1 Pure;

    /// I64 to I32: the low half.
    Trunc "trunc" 1 Pure;
    /// Bool or I32 to a wider integer, with zeros (`ty` is the result's).
    Zext "zext" 1 Pure;
    /// I32 to I64 with copies of the sign.
    SextW "sextw" 1 Pure;
    /// F32 to F64: its bits with ones above, as registers of F64 hold an F32 (NaN boxing).
    Box "box" 1 Pure;
    /// F64 to F32: what is boxed there; the canonical NaN if nothing is.
    Unbox "unbox" 1 Pure;
    /// The same bits as another type of the same width.
    Bitcast "bitcast" 1 Pure;

    /// Equal; gives a Bool, as do all comparisons of scalars. `ty` is that of the operands.
    Eq "eq" 2 Pure;
    /// Not equal.
    Ne "ne" 2 Pure;
    /// Unsigned less.
    LtU "ltu" 2 Pure;
    /// Signed less.
    LtS "lts" 2 Pure;
    /// The second argument if the first (a Bool) holds, else the third.
    Select "select" 3 Pure;

    /// The flags of a sum, as [`crate::sem::packed`] has them: an I32. `ty` of the flag operations is that of the
    /// operands.
    FlagsAdd "flagsadd" 2 Pure;
    /// The flags of a difference; carry says that nothing was borrowed.
    FlagsSub "flagssub" 2 Pure;
    /// The flags of the sum of both arguments and the third (a Bool).
    FlagsAdc "flagsadc" 3 Pure;
    /// Negative and zero of the argument; neither carry nor overflow.
    FlagsLogic "flagslogic" 1 Pure;
    /// The flags that are made of the first two arguments as the third, a [`crate::sem::FlagsKind`], says.
    FlagsOf "flagsof" 3 Pure;
    /// Whether condition `imm` ([`crate::sem::Cc`]) holds in packed flags; gives a Bool, as do the next two.
    Cond "cond" 1 Pure;
    /// Whether condition `imm` holds in the flags of a difference.
    CondSub "condsub" 2 Pure;

    /// Guest memory at the argument; `imm` is a packed [`crate::sem::MemOp`].
    Load "load" 1 Memory;
    /// Stores the second argument at the first.
    Store "store" 2 Memory;
    /// Lanes of 16 bytes of guest memory at the first argument: the bits that the second, a vector, has; `imm` is the packed
    /// [`crate::sem::MemOp`] of one lane. Lanes of which it has no bit are not accessed.
    LoadLanes "loadlanes" 2 Memory;
    /// Stores the lanes of the second argument, a vector, at the first whose highest bit the third has; lanes as above.
    StoreLanes "storelanes" 3 Memory;
    /// Atomic read-modify-write at the first argument with the second; `imm` also packs the [`crate::sem::Rmw`].
    /// Gives the old value.
    AtomicRmw "rmw" 2 Memory;
    /// Atomic compare with the second argument and swap with the third at the first; gives the old value.
    AtomicCas "cas" 3 Memory;
    /// Memory barrier; `imm` is a packed [`crate::sem::Order`].
    Fence "fence" 0 Memory;
    /// Helper `imm` with up to three arguments (missing ones are any value).
    Call "call" 3 Memory;

    /// Calls an observer ([`crate::observe`]) with the argument; `imm` says which, and for what. The state is up to date then.
    Observe "observe" 1 Memory;

    /// Leaves with [`crate::cpu::exit::REQUEST`] if somebody wants attention: where a loop comes round.
    Poll "poll" 0 Memory;
    /// Leaves with [`crate::cpu::exit::TURN`] if the vCPU's turn has fewer than `imm` instructions left.
    Quota "quota" 0 Memory;

    /// Float sum. `imm` of float operations is a [`crate::sem::FloatMode`] and, above it, what the operation's row says.
    FAdd "fadd" 2 Flags;
    /// Float difference.
    FSub "fsub" 2 Flags;
    /// Float product.
    FMul "fmul" 2 Flags;
    /// Float quotient.
    FDiv "fdiv" 2 Flags;
    /// Float square root.
    FSqrt "fsqrt" 1 Flags;
    /// First times second plus third, rounded once.
    FMulAdd "fmuladd" 3 Flags;
    /// IEEE 754-2019 minimumNumber, -0 below +0; with bit 8 of `imm` IEEE 754-2008 minNum, with bit 9 minimum (not a
    /// number if one is not).
    FMin "fmin" 2 Flags;
    /// IEEE 754-2019 maximumNumber, -0 below +0; likewise maxNum and maximum.
    FMax "fmax" 2 Flags;
    /// Quiet equality.
    FEq "feq" 2 Flags;
    /// Less, signalling on any NaN.
    FLt "flt" 2 Flags;
    /// Less or equal, signalling on any NaN.
    FLe "fle" 2 Flags;
    /// Quiet less.
    FLtQ "fltq" 2 Flags;
    /// Quiet less or equal.
    FLeQ "fleq" 2 Flags;
    /// The flags of a float comparison: less is negative, equal is zero and carry, greater is carry, unordered is carry
    /// and overflow. Bit 8 of `imm` set: signalling on any NaN.
    FlagsFloat "flagsfloat" 2 Flags;
    /// Whether condition `imm >> 8` holds in the flags of a quiet float comparison.
    CondFloat "condfloat" 2 Flags;
    /// Between float types. F64x2 takes the lower two lanes of singles; F32x4 gives two lanes and zeros above.
    FToF "ftof" 1 Flags;
    /// Float to signed integer, saturating, NaN to the largest or, with bit 8 of `imm`, to zero.
    FToS "ftos" 1 Flags;
    /// Float to unsigned integer, likewise.
    FToU "ftou" 1 Flags;
    /// Signed integer to float.
    SToF "stof" 1 Flags;
    /// Unsigned integer to float.
    UToF "utof" 1 Flags;
    /// To an integral value in the float type; bit 8 of `imm` set: raise inexact.
    FRound "fround" 1 Flags;

    /// A vector whose every lane is the low bits of the argument.
    Splat "splat" 1 Pure;
    /// The first argument with lane `imm` replaced by the low bits of the second.
    Insert "insert" 2 Pure;
    /// The lane that `imm` ([`crate::sem::Lane`]) names, as a scalar of type `ty`.
    Extract "extract" 1 Pure;
    /// Whether any bit is set, as a Bool.
    AnyBit "any" 1 Pure;
    /// Bit i of the I32 is the highest bit of byte i.
    ByteSigns "bytesigns" 1 Pure;
    /// Byte i of the result is the byte of the arguments, one after the other, that byte i of constant `imm` names;
    /// zero where that is 32 or more.
    Shuffle "shuffle" 2 Pure;
    /// Byte i of the result is the byte of the first argument that byte i of the second names; zero where that is 16 or
    /// more.
    Table "table" 2 Pure;
    /// The first argument without the bits of the second.
    AndNot "andnot" 2 Pure;
    /// Bits of the second argument where the first has ones, else of the third.
    BitSelect "bitselect" 3 Pure;
    /// Absolute value; that of the least number is itself.
    Abs "abs" 1 Pure;
    /// Signed sum, saturating.
    AddSatS "addsats" 2 Pure;
    /// Unsigned sum, saturating.
    AddSatU "addsatu" 2 Pure;
    /// Signed difference, saturating.
    SubSatS "subsats" 2 Pure;
    /// Unsigned difference, saturating.
    SubSatU "subsatu" 2 Pure;
    /// Signed minimum.
    MinS "mins" 2 Pure;
    /// Signed maximum.
    MaxS "maxs" 2 Pure;
    /// Unsigned minimum.
    MinU "minu" 2 Pure;
    /// Unsigned maximum.
    MaxU "maxu" 2 Pure;
    /// Unsigned mean, halves rounded up.
    AvgU "avgu" 2 Pure;
    /// Lanes of half the width of `ty` widened; `imm` is of [`crate::sem::widen`].
    Widen "widen" 1 Pure;
    /// Lanes of twice the width of `ty`, those of the first argument below those of the second, made to fit as `imm`
    /// ([`crate::sem::Narrow`]) says.
    Narrow "narrow" 2 Pure;
    /// Carry-less product of a doubleword of each argument: `imm` bits 0 and 1 choose the upper ones.
    ClmulWide "clmulwide" 2 Pure;
    /// The step `imm` ([`crate::sem::Aes`]) of an AES round.
    Aes "aes" 1 Pure;
    /// The step `imm` ([`crate::sem::Sha256`]) of SHA-256.
    Sha256 "sha256" 3 Pure;
    /// Vector helper `imm` (low 16 bits) with parameter `imm >> 16` and up to three arguments (missing ones are like the
    /// first). It may raise float flags, and touches no other state.
    CallVector "callvector" 3 Flags;
    /// The lower half's lanes of binary16 to binary32; the type is F32x4.
    FOfHalves "fofhalves" 1 Flags;
    /// Lanes of binary32 to binary16 in the lower half, zeros above; the type is F16x8. Subnormal results stay.
    FToHalves "ftohalves" 1 Flags;
}

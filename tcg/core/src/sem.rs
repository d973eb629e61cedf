//! The semantics trait: what an instruction's meaning is written in.
//!
//! A semantics function is generic over [`Sem`] and gives its control flow back. Rust's `if` decides when the
//! instruction is translated and sees only the instruction and the mode; [`Sem::when`] decides when it runs. One rule
//! keeps traps precise: a function calls [`Sem::set`] only after its last operation that can fault.

mod condition;
mod float;
mod memory;
mod vector;

pub use condition::{Cc, FlagsKind, packed};
pub use float::{FloatMode, Rm, flags};
pub use memory::{MemOp, Order, Rmw};
pub use vector::{Aes, Lane, Narrow, Sha256, splat_bits, widen};

use crate::cpu::{HelperId, RegId};
use crate::guest::Trap;
use crate::ir::Op;
use crate::ty::{Bool, F32, F64, Float, I32, I64, Int, Scalar, Ty};
use std::marker::PhantomData;

/// A value of type `T` in a reading whose values are represented by `R`.
#[derive(Debug)]
pub struct Val<R, T> {
    /// The representation.
    pub raw: R,
    ty: PhantomData<T>,
}

impl<R: Copy, T> Clone for Val<R, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R: Copy, T> Copy for Val<R, T> {}

impl<R, T> Val<R, T> {
    /// Marks a representation with its type.
    pub fn new(raw: R) -> Self {
        Self { raw, ty: PhantomData }
    }
}

/// A value of type `T` in reading `S`.
pub type V<S, T> = Val<<S as Sem>::R, T>;

/// What is known about an indirect jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Nothing.
    Jump,
    /// It ends a function, and goes to its caller.
    Return,
    /// A jump to an address that is known, at or before the jump: a way round.
    Back,
    /// No jump at all: the instruction changed what translations depend on, and has seen to the tables of the new state.
    Resync,
    /// What translations depend on may have changed since the translation began, and nobody has seen to the tables.
    Sync,
}

/// Where the guest goes after an instruction.
#[derive(Clone, Copy, Debug)]
pub enum Next<R: Copy> {
    /// To the instruction that follows.
    Fall,
    /// To a known address.
    Jump(u64),
    /// To one of two addresses.
    Branch {
        /// The condition.
        cond: Val<R, Bool>,
        /// If it holds.
        taken: u64,
        /// If not.
        not: u64,
    },
    /// To a computed address.
    Indirect(Val<R, I64>, Hint),
    /// Into a trap at this instruction.
    Trap(Trap),
    /// To the instruction that follows, for which the mode is another: the state says so already. The mode that translations
    /// round and count by stays the same.
    Mode(u64),
    /// To the instruction that follows, after the run loop has looked at `code` (one of [`crate::cpu::exit`]).
    Exit(u32),
}

/// What a semantics function gives back.
pub type Flow<S> = Result<Next<<S as Sem>::R>, <S as Sem>::Stop>;

/// One reading of the semantics.
///
/// Implementations provide the short first part; functions are written in the second.
pub trait Sem: Sized {
    /// Representation of a value.
    type R: Copy;
    /// Representation of a vector of 128 bits.
    type W: Copy;
    /// How a fault leaves a semantics function: a trap in the interpreter, never in the builder.
    type Stop;

    /// The constant `value`, cut to the width of `T`.
    fn k<T: Scalar>(&mut self, value: u64) -> V<Self, T>;
    /// The address `addr` of guest code at a fixed distance from the instruction: it moves with the page that the code is
    /// in, so that one translation serves wherever the page is mapped.
    fn code_addr(&mut self, addr: u64) -> V<Self, I64>;
    /// The value of guest register `reg`.
    fn get<T: Scalar>(&mut self, reg: RegId) -> V<Self, T>;
    /// Guest register `reg` becomes `value`.
    fn set<T: Scalar>(&mut self, reg: RegId, value: V<Self, T>);
    /// An integer or float operation of one argument and result `U`; `imm` as the operation's row says.
    fn op1<T: Scalar, U: Scalar>(&mut self, op: Op, imm: u64, a: V<Self, T>) -> V<Self, U>;
    /// An operation of two arguments of one type.
    fn op2<T: Scalar, U: Scalar>(&mut self, op: Op, imm: u64, a: V<Self, T>, b: V<Self, T>) -> V<Self, U>;
    /// `a` times `b` plus `c`, rounded once.
    fn fmuladd<T: Float>(
        &mut self,
        a: V<Self, T>,
        b: V<Self, T>,
        c: V<Self, T>,
        mode: impl Into<FloatMode>,
    ) -> V<Self, T>;
    /// Packed flags of the sum of `a`, `b` and `carry`.
    fn flags_adc<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>, carry: V<Self, Bool>) -> V<Self, I32>;
    /// `a` if `cond` holds, else `b`.
    fn select<T: Scalar>(&mut self, cond: V<Self, Bool>, a: V<Self, T>, b: V<Self, T>) -> V<Self, T>;
    /// Loads from guest memory and extends to `T`.
    fn load<T: Scalar>(&mut self, addr: V<Self, I64>, op: MemOp) -> Result<V<Self, T>, Self::Stop>;
    /// Stores the low bytes of `value`.
    fn store<T: Scalar>(
        &mut self,
        addr: V<Self, I64>,
        value: V<Self, T>,
        op: MemOp,
    ) -> Result<(), Self::Stop>;
    /// Atomic read-modify-write; gives the old value, extended as `op` says. Sequentially consistent.
    fn rmw<T: Int>(
        &mut self,
        kind: Rmw,
        addr: V<Self, I64>,
        operand: V<Self, T>,
        op: MemOp,
    ) -> Result<V<Self, T>, Self::Stop>;
    /// Atomic compare and swap; gives the old value, extended as `op` says. Sequentially consistent.
    fn cas<T: Int>(
        &mut self,
        addr: V<Self, I64>,
        expected: V<Self, T>,
        new: V<Self, T>,
        op: MemOp,
    ) -> Result<V<Self, T>, Self::Stop>;
    /// Memory barrier.
    fn fence(&mut self, order: Order);
    /// Calls helper `id`.
    fn call(&mut self, id: HelperId, args: &[V<Self, I64>]) -> Result<V<Self, I64>, Self::Stop>;
    /// `value` if `cond` holds, as it nearly always does; else what helper `id` gives, or does, which translations leave to the
    /// interpreter. Comes before the instruction has done anything.
    fn usually(
        &mut self,
        cond: V<Self, Bool>,
        value: V<Self, I64>,
        id: HelperId,
        args: &[V<Self, I64>],
    ) -> Result<V<Self, I64>, Self::Stop>;
    /// Runs `body` if `cond` holds when the instruction is executed. Values made inside must not be used outside;
    /// results leave through guest registers.
    fn when(
        &mut self,
        cond: V<Self, Bool>,
        body: impl FnOnce(&mut Self) -> Result<(), Self::Stop>,
    ) -> Result<(), Self::Stop>;

    /// The vector constant `value`.
    fn vector(&mut self, value: u128) -> Self::W;
    /// The value of vector register `reg`.
    fn get_vector(&mut self, reg: RegId) -> Self::W;
    /// Vector register `reg` becomes `value`.
    fn set_vector(&mut self, reg: RegId, value: Self::W);
    /// Loads 16 bytes; `op` has size 4.
    fn load_vector(&mut self, addr: V<Self, I64>, op: MemOp) -> Result<Self::W, Self::Stop>;
    /// Stores 16 bytes; `op` has size 4.
    fn store_vector(&mut self, addr: V<Self, I64>, value: Self::W, op: MemOp) -> Result<(), Self::Stop>;
    /// Loads of 16 bytes the lanes, of the size of `op`, of which `mask` has a bit, and of these the bits that it has; see
    /// [`Op::LoadLanes`].
    fn load_lanes(&mut self, addr: V<Self, I64>, mask: Self::W, op: MemOp) -> Result<Self::W, Self::Stop>;
    /// Stores the lanes of the first vector whose highest bit the second has; see [`Op::StoreLanes`].
    fn store_lanes(&mut self, addr: V<Self, I64>, lanes: [Self::W; 2], op: MemOp) -> Result<(), Self::Stop>;
    /// An operation on the lanes `ty` of up to three vectors; `imm` as the operation's row says.
    fn lanes(&mut self, op: Op, ty: Ty, imm: u64, args: &[Self::W]) -> Self::W;
    /// A vector with `value` in every lane of `ty`; see [`Op::Splat`].
    fn splat<T: Scalar>(&mut self, ty: Ty, value: V<Self, T>) -> Self::W;
    /// `a` with lane `index` of `ty` replaced; see [`Op::Insert`].
    fn insert<T: Scalar>(&mut self, ty: Ty, index: u32, a: Self::W, value: V<Self, T>) -> Self::W;
    /// The lane that `lane` names, as a scalar.
    fn extract<T: Scalar>(&mut self, lane: Lane, a: Self::W) -> V<Self, T>;
    /// Whether any bit of `a` is set.
    fn any(&mut self, a: Self::W) -> V<Self, Bool>;
    /// The highest bit of every byte of `a`, those of the lowest byte lowest.
    fn byte_signs(&mut self, a: Self::W) -> V<Self, I32>;
    /// `a` if `cond` holds, else `b`.
    fn select_vector(&mut self, cond: V<Self, Bool>, a: Self::W, b: Self::W) -> Self::W;
    /// Bytes chosen at translation time; see [`Op::Shuffle`].
    fn shuffle(&mut self, a: Self::W, b: Self::W, bytes: [u8; 16]) -> Self::W;
    /// Calls the vector helper `id` with `param` (48 bits) and up to three vectors; see [`Op::CallVector`].
    fn call_vector(&mut self, id: HelperId, param: u64, args: &[Self::W]) -> Self::W;

    /// An operation on the lanes of one vector, without immediate.
    fn v1(&mut self, op: Op, ty: Ty, a: Self::W) -> Self::W {
        self.lanes(op, ty, 0, &[a])
    }
    /// An operation on the lanes of two vectors, without immediate.
    fn v2(&mut self, op: Op, ty: Ty, a: Self::W, b: Self::W) -> Self::W {
        self.lanes(op, ty, 0, &[a, b])
    }
    /// All bits the other way round.
    fn vnot(&mut self, a: Self::W) -> Self::W {
        let ones = self.vector(u128::MAX);
        self.v2(Op::Xor, Ty::V128, a, ones)
    }
    /// Bits of `a` where `mask` has ones, else of `b`.
    fn bitselect(&mut self, mask: Self::W, a: Self::W, b: Self::W) -> Self::W {
        self.lanes(Op::BitSelect, Ty::V128, 0, &[mask, a, b])
    }
    /// A shift ([`Op::Shl`], [`Op::ShrS`], [`Op::ShrU`]) of every lane by the same number of bits.
    fn shift_lanes(&mut self, op: Op, ty: Ty, a: Self::W, bits: u32) -> Self::W {
        let by = self.vector(splat_bits(ty, bits.into()));
        self.v2(op, ty, a, by)
    }

    /// Sum.
    fn add<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::Add, 0, a, b)
    }
    /// Sum with a constant.
    fn add_imm(&mut self, a: V<Self, I64>, imm: i64) -> V<Self, I64> {
        let k = self.k(imm as u64);
        self.add(a, k)
    }
    /// Difference.
    fn sub<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::Sub, 0, a, b)
    }
    /// Low half of the product.
    fn mul<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::Mul, 0, a, b)
    }
    /// High half of the unsigned product.
    fn mulhu<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::MulHU, 0, a, b)
    }
    /// High half of the signed product.
    fn mulhs<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::MulHS, 0, a, b)
    }
    /// Unsigned quotient, see [`Op::DivU`].
    fn divu<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::DivU, 0, a, b)
    }
    /// Signed quotient, see [`Op::DivS`].
    fn divs<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::DivS, 0, a, b)
    }
    /// Unsigned remainder, see [`Op::RemU`].
    fn remu<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::RemU, 0, a, b)
    }
    /// Signed remainder, see [`Op::RemS`].
    fn rems<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::RemS, 0, a, b)
    }
    /// Bitwise and.
    fn and<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::And, 0, a, b)
    }
    /// Bitwise or.
    fn or<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::Or, 0, a, b)
    }
    /// Bitwise exclusive or.
    fn xor<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::Xor, 0, a, b)
    }
    /// Bitwise complement.
    fn not<T: Int>(&mut self, a: V<Self, T>) -> V<Self, T> {
        let ones = self.k(u64::MAX);
        self.xor(a, ones)
    }
    /// Zero minus `a`.
    fn neg<T: Int>(&mut self, a: V<Self, T>) -> V<Self, T> {
        let zero = self.k(0);
        self.sub(zero, a)
    }
    /// Shift left by `b` modulo the width.
    fn shl<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::Shl, 0, a, b)
    }
    /// Logical shift right by `b` modulo the width.
    fn shru<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::ShrU, 0, a, b)
    }
    /// Arithmetic shift right by `b` modulo the width.
    fn shrs<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::ShrS, 0, a, b)
    }
    /// Rotate right by `b` modulo the width.
    fn rotr<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::Rotr, 0, a, b)
    }
    /// Low half of the carry-less product.
    fn clmul<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::Clmul, 0, a, b)
    }
    /// High half of the carry-less product.
    fn clmulh<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        self.op2(Op::ClmulH, 0, a, b)
    }
    /// Leading zeros.
    fn clz<T: Int>(&mut self, a: V<Self, T>) -> V<Self, T> {
        self.op1(Op::Clz, 0, a)
    }
    /// Trailing zeros.
    fn ctz<T: Int>(&mut self, a: V<Self, T>) -> V<Self, T> {
        self.op1(Op::Ctz, 0, a)
    }
    /// Set bits.
    fn popcnt<T: Int>(&mut self, a: V<Self, T>) -> V<Self, T> {
        self.op1(Op::Popcnt, 0, a)
    }
    /// Bytes in reverse order.
    fn bswap<T: Int>(&mut self, a: V<Self, T>) -> V<Self, T> {
        self.op1(Op::Bswap, 0, a)
    }
    /// Sign extension of the low `bits` (8, 16, 32).
    fn sext<T: Int>(&mut self, a: V<Self, T>, bits: u32) -> V<Self, T> {
        self.op1(Op::Sext, bits.into(), a)
    }
    /// Zero extension of the low `bits` (1..64).
    fn zext<T: Int>(&mut self, a: V<Self, T>, bits: u32) -> V<Self, T> {
        let mask = self.k(u64::MAX >> (64 - bits));
        self.and(a, mask)
    }
    /// The low half.
    fn trunc(&mut self, a: V<Self, I64>) -> V<Self, I32> {
        self.op1(Op::Trunc, 0, a)
    }
    /// Widened with zeros.
    fn zextw(&mut self, a: V<Self, I32>) -> V<Self, I64> {
        self.op1(Op::Zext, 0, a)
    }
    /// Widened with copies of the sign.
    fn sextw(&mut self, a: V<Self, I32>) -> V<Self, I64> {
        self.op1(Op::SextW, 0, a)
    }
    /// 0 or 1 as an integer.
    fn bool_to_int<T: Int>(&mut self, a: V<Self, Bool>) -> V<Self, T> {
        self.op1(Op::Zext, 0, a)
    }
    /// The bits of a float.
    fn float_to_bits<T: Float>(&mut self, a: V<Self, T>) -> V<Self, T::Bits> {
        self.op1(Op::Bitcast, 0, a)
    }
    /// A single as registers of doubles hold it: ones above.
    fn nan_box(&mut self, a: V<Self, F32>) -> V<Self, F64> {
        self.op1(Op::Box, 0, a)
    }
    /// The single that is boxed in a double; the canonical NaN if none is.
    fn nan_unbox(&mut self, a: V<Self, F64>) -> V<Self, F32> {
        self.op1(Op::Unbox, 0, a)
    }
    /// The float of these bits.
    fn bits_to_float<T: Float>(&mut self, a: V<Self, T::Bits>) -> V<Self, T> {
        self.op1(Op::Bitcast, 0, a)
    }
    /// Equal.
    fn eq<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, Bool> {
        self.op2(Op::Eq, 0, a, b)
    }
    /// Not equal.
    fn ne<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, Bool> {
        self.op2(Op::Ne, 0, a, b)
    }
    /// Unsigned less.
    fn ltu<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, Bool> {
        self.op2(Op::LtU, 0, a, b)
    }
    /// Signed less.
    fn lts<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, Bool> {
        self.op2(Op::LtS, 0, a, b)
    }
    /// Packed flags of the sum.
    fn flags_add<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, I32> {
        self.op2(Op::FlagsAdd, 0, a, b)
    }
    /// Packed flags of the difference.
    fn flags_sub<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>) -> V<Self, I32> {
        self.op2(Op::FlagsSub, 0, a, b)
    }
    /// Packed flags of a value that neither carried nor overflowed.
    fn flags_logic<T: Int>(&mut self, a: V<Self, T>) -> V<Self, I32> {
        self.op1(Op::FlagsLogic, 0, a)
    }
    /// Whether `cc` holds in packed flags.
    fn cond(&mut self, cc: Cc, flags: V<Self, I32>) -> V<Self, Bool> {
        self.op1(Op::Cond, cc as u64, flags)
    }
    /// A float operation of two arguments ([`Op::FAdd`] to [`Op::FDiv`], [`Op::FMin`], [`Op::FMax`]).
    fn float2<T: Float>(
        &mut self,
        op: Op,
        a: V<Self, T>,
        b: V<Self, T>,
        mode: impl Into<FloatMode>,
    ) -> V<Self, T> {
        self.op2(op, mode.into().bits(), a, b)
    }
    /// Square root.
    fn fsqrt<T: Float>(&mut self, a: V<Self, T>, mode: impl Into<FloatMode>) -> V<Self, T> {
        self.op1(Op::FSqrt, mode.into().bits(), a)
    }
    /// A float comparison ([`Op::FEq`] to [`Op::FLeQ`]).
    fn fcmp<T: Float>(&mut self, op: Op, a: V<Self, T>, b: V<Self, T>) -> V<Self, Bool> {
        self.op2(op, 0, a, b)
    }
    /// binary32 to binary64.
    fn fwiden(&mut self, a: V<Self, F32>) -> V<Self, F64> {
        self.op1(Op::FToF, 0, a)
    }
    /// binary64 to binary32.
    fn fnarrow(&mut self, a: V<Self, F64>, rm: Rm) -> V<Self, F32> {
        self.op1(Op::FToF, rm as u64, a)
    }
    /// Float to integer; `signed` chooses [`Op::FToS`] or [`Op::FToU`].
    fn ftoi<T: Float, U: Int>(&mut self, a: V<Self, T>, signed: bool, rm: Rm) -> V<Self, U> {
        self.op1(if signed { Op::FToS } else { Op::FToU }, rm as u64, a)
    }
    /// Integer to float.
    fn itof<T: Int, U: Float>(&mut self, a: V<Self, T>, signed: bool, rm: Rm) -> V<Self, U> {
        self.op1(if signed { Op::SToF } else { Op::UToF }, rm as u64, a)
    }
    /// To an integral value; `exact` raises inexact when the value changes.
    fn fround<T: Float>(&mut self, a: V<Self, T>, rm: Rm, exact: bool) -> V<Self, T> {
        self.op1(Op::FRound, rm as u64 | u64::from(exact) << 8, a)
    }
}

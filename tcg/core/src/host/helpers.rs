//! The helpers that every guest's generated code uses: memory slow paths, and operations done in software.

use crate::cpu::{CpuHeader, HelperFn, HelperResult};
use crate::eval;
use crate::fp;
use crate::ir::{Effect, Inst, Op};
use crate::sem::FloatMode;
use crate::ty::Ty;

/// The guest's memory slow paths, and its observers.
#[derive(Clone, Copy)]
pub struct MemoryHelpers {
    /// (address, packed [`crate::sem::MemOp`]): the value, extended to 64 bits.
    pub load: HelperFn,
    /// (address, value, packed operation).
    pub store: HelperFn,
    /// (address, operand, packed operation and kind): the old value, extended.
    pub rmw: HelperFn,
    /// (address, expected, new, packed operation): the old value, extended.
    pub cas: HelperFn,
    /// (address, packed operation): the value in [`CpuHeader::vectors`].
    pub load_vector: HelperFn,
    /// (address, packed operation), of the value in [`CpuHeader::vectors`].
    pub store_vector: HelperFn,
    /// (address, packed operation), masked by the vector in [`CpuHeader::vectors`], where the value is put.
    pub load_lanes: HelperFn,
    /// (address, packed operation), of the first vector in [`CpuHeader::vectors`], masked by the second.
    pub store_lanes: HelperFn,
    /// (argument, packed event): calls an observer.
    pub observe: HelperFn,
}

/// Position of a helper in the table; the guest's follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum CoreHelper {
    Load,
    Store,
    Rmw,
    Cas,
    LoadVector,
    StoreVector,
    LoadLanes,
    StoreLanes,
    Soft,
    SoftVector,
    Leave,
    Access,
    Observe,
}

/// Number of [`CoreHelper`]s.
pub(super) const CORE_HELPERS: u16 = 13;

/// The first helpers of every table, in [`CoreHelper`] order.
pub fn core_helpers(memory: MemoryHelpers) -> [HelperFn; CORE_HELPERS as usize] {
    [
        memory.load,
        memory.store,
        memory.rmw,
        memory.cas,
        memory.load_vector,
        memory.store_vector,
        memory.load_lanes,
        memory.store_lanes,
        soft,
        soft_vector,
        super::x64::leave,
        super::x64::access,
        memory.observe,
    ]
}

/// Names an operation for [`CoreHelper::Soft`]: operation, its type, the type of its first argument, immediate.
pub(super) fn pack_soft(inst: &Inst, from: Ty) -> u64 {
    inst.op as u64 | (inst.ty as u64) << 8 | (from as u64) << 16 | inst.imm << 24
}

fn unpack_ty(n: u64) -> Ty {
    Ty::ALL[(n & 0xff) as usize % Ty::ALL.len()]
}

/// Carries out an operation in software: (first argument, second, packed operation, third).
unsafe extern "C" fn soft(head: *mut CpuHeader, a: u64, b: u64, packed: u64, c: u64) -> HelperResult {
    // SAFETY: generated code passes its own header, and holds no borrow of it.
    let raised = unsafe { &mut (*head).fp_flags };
    let op = Op::ALL[(packed & 0xff) as usize % Op::ALL.len()];
    let (ty, from, imm) = (unpack_ty(packed >> 8), unpack_ty(packed >> 16), packed >> 24);
    HelperResult::ok(match (op.effect(), op.arg_count()) {
        (Effect::Flags, 3) => fp::fmuladd(ty, [a, b, c], FloatMode::from_bits(imm), raised),
        (Effect::Flags, 2) => eval::float2(op, ty, imm, [a, b], raised),
        (Effect::Flags, _) => eval::float1(op, (from, ty), imm, a, raised),
        (_, 3) => eval::int3(op, ty, [a, b, c]),
        (_, 2) => eval::int2(op, ty, imm, [a, b]),
        _ => eval::int1(op, from, ty, imm, a),
    })
}

/// Carries out an operation on lanes in software: (packed operation without its immediate, immediate), of the arguments
/// in [`CpuHeader::vectors`] to the first of them.
unsafe extern "C" fn soft_vector(
    head: *mut CpuHeader,
    packed: u64,
    imm: u64,
    _: u64,
    _: u64,
) -> HelperResult {
    // SAFETY: generated code passes its own header, and holds no borrow of it.
    let head = unsafe { &mut *head };
    let op = Op::ALL[(packed & 0xff) as usize % Op::ALL.len()];
    let value = eval::vector(op, unpack_ty(packed >> 8), imm, head.vectors, &mut head.fp_flags);
    head.vectors[0] = value;
    HelperResult::ok(value as u64)
}

//! Memory accesses, atomic ones and fences, as immediates of operations.

use std::sync::atomic::{Ordering, fence};

/// Size and manner of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemOp {
    /// log2 of the bytes: 0..=3, and 4 for vectors.
    pub size: u8,
    /// Loads: extend with the sign, not with zeros.
    pub signed: bool,
    /// An unaligned address faults.
    pub aligned: bool,
}

impl MemOp {
    /// A plain access of `1 << size` bytes.
    pub const fn new(size: u8) -> Self {
        Self { size, signed: false, aligned: false }
    }

    /// The same with sign extension.
    pub const fn signed(self) -> Self {
        Self { signed: true, ..self }
    }

    /// The same with an alignment check.
    pub const fn aligned(self) -> Self {
        Self { aligned: true, ..self }
    }

    /// Bytes accessed.
    pub const fn bytes(self) -> u64 {
        1 << self.size
    }

    /// Packed into an instruction's immediate.
    pub const fn pack(self) -> u64 {
        self.size as u64 | (self.signed as u64) << 3 | (self.aligned as u64) << 4
    }

    /// From the low bits of an immediate; higher ones are ignored.
    pub const fn unpack(imm: u64) -> Self {
        Self { size: (imm & 7) as u8, signed: imm & 8 != 0, aligned: imm & 16 != 0 }
    }

    /// Bits that [`Self::pack`] uses.
    pub const PACKED_BITS: u32 = 5;
}

/// Which earlier accesses a fence orders before which later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Loads before the fence.
    pub loads: bool,
    /// Stores before the fence.
    pub stores: bool,
    /// Loads after it.
    pub later_loads: bool,
    /// Stores after it.
    pub later_stores: bool,
}

impl Order {
    /// Everything before everything.
    pub const FULL: Self = Self { loads: true, stores: true, later_loads: true, later_stores: true };
    /// Loads before everything.
    pub const ACQUIRE: Self = Self { stores: false, ..Self::FULL };

    /// Packed into an instruction's immediate.
    pub const fn pack(self) -> u64 {
        self.loads as u64
            | (self.stores as u64) << 1
            | (self.later_loads as u64) << 2
            | (self.later_stores as u64) << 3
    }

    /// From an immediate; bits from 4 up are ignored.
    pub const fn unpack(imm: u64) -> Self {
        Self {
            loads: imm & 1 != 0,
            stores: imm & 2 != 0,
            later_loads: imm & 4 != 0,
            later_stores: imm & 8 != 0,
        }
    }

    /// Whether it orders stores before later loads: the only order that a host with total store order lacks.
    pub const fn store_load(self) -> bool {
        self.stores && self.later_loads
    }

    /// Has the calling thread's accesses in this order.
    pub fn fence(self) {
        fence(if self.store_load() { Ordering::SeqCst } else { Ordering::AcqRel });
    }
}

/// What an atomic read-modify-write does with the old value and its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Rmw {
    /// The operand alone.
    Swap,
    /// Sum.
    Add,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// Signed minimum.
    MinS,
    /// Signed maximum.
    MaxS,
    /// Unsigned minimum.
    MinU,
    /// Unsigned maximum.
    MaxU,
}

impl Rmw {
    /// Every kind, in number order.
    pub const ALL: [Rmw; 9] =
        [Rmw::Swap, Rmw::Add, Rmw::And, Rmw::Or, Rmw::Xor, Rmw::MinS, Rmw::MaxS, Rmw::MinU, Rmw::MaxU];

    /// Packed with `op` into an instruction's immediate.
    pub const fn pack(self, op: MemOp) -> u64 {
        op.pack() | (self as u64) << MemOp::PACKED_BITS
    }

    /// From an immediate.
    pub fn unpack(imm: u64) -> Self {
        Self::ALL[(imm >> MemOp::PACKED_BITS) as usize % Self::ALL.len()]
    }
}

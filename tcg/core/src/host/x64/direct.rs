//! Guest memory that is reached directly: a guest address is a host address, and nothing is checked.
//!
//! What may fault is noted ([`super::faults`]) with a record by which the guest's state is put back to where the
//! instruction begins, and the code left with [`exit::RETRY`](crate::cpu::exit::RETRY). The run loop interprets the instruction
//! and so finds the fault again, with its address and kind.

use super::compile::Emit;
use super::faults::Fault;
use super::moves::{RAX, RDX};
use super::short::short;
use crate::ir::{Inst, SnapId, Value};
use crate::regalloc::Loc;
use crate::sem::MemOp;
use crate::ty::Ty;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// A place in the host's memory: `at` bytes behind what register `base` holds, and rcx behind that if it is `indexed`.
#[derive(Clone, Copy)]
pub struct Place {
    pub base: u8,
    pub indexed: bool,
    pub at: i32,
}

/// An instruction whose memory operand is a [`Place`]: `reach!(ops, place, (mov rax,) ())`.
macro_rules! reach {
    ($ops:expr, $place:expr, ($($before:tt)*) ($($after:tt)*)) => {{
        let Place { base, indexed, at } = $place;
        match indexed {
            true => short!($ops, at, ($($before)*) [Rq(base) + rcx] ($($after)*)),
            false => short!($ops, at, ($($before)*) [Rq(base)] ($($after)*)),
        }
    }};
}

/// Host code of one access.
#[derive(Clone, Copy)]
pub struct Access {
    start: u32,
    end: u32,
    snap: SnapId,
    /// The position.
    at: u32,
}

impl Emit<'_> {
    /// Emits an instruction by `emit`, whose accesses to guest memory may fault.
    pub fn may_fault(&mut self, snap: SnapId, emit: impl FnOnce(&mut Self)) {
        let start = self.here();
        emit(self);
        let end = self.here();
        self.accesses.push(Access { start, end, snap, at: self.at });
    }

    /// The part of [`Self::probe`] that remains: a misaligned address enters the stub. The address stays in rax.
    pub fn direct_probe(&mut self, op: MemOp, miss: DynamicLabel) {
        let last = op.bytes() as i8 - 1;
        if op.aligned && last != 0 {
            let ops = &mut self.ops;
            dynasm!(ops ; .arch x64 ; test al, last ; jnz =>miss);
        }
    }

    /// The place of a guest address.
    fn direct_address(&mut self, v: Value) -> Place {
        let (base, at) = self.base_and_offset(v);
        Place { base, indexed: false, at }
    }

    /// A load without alignment check.
    pub fn direct_load(&mut self, v: Value, inst: &Inst) {
        let place = self.direct_address(inst.args[0]);
        self.load_from(v, inst, place);
    }

    /// A store without alignment check.
    pub fn direct_store(&mut self, inst: &Inst) {
        let place = self.direct_address(inst.args[0]);
        self.store_to(inst, place);
    }

    /// Loads from `place`.
    pub fn load_from(&mut self, v: Value, inst: &Inst, place: Place) {
        let op = MemOp::unpack(inst.imm);
        if let Loc::Xmm(n) = self.loc(v) {
            let ops = &mut self.ops;
            return match op.size {
                2 => reach!(ops, place, (movss Rx(n),) ()),
                4 => reach!(ops, place, (movups Rx(n),) ()),
                _ => reach!(ops, place, (movsd Rx(n),) ()),
            };
        }
        if op.size == 4 {
            let ops = &mut self.ops;
            reach!(ops, place, (movups xmm0,) ());
            return self.write_xmm(0, v);
        }
        let to = self.target(v, RAX);
        let ops = &mut self.ops;
        match (op.size, op.signed, inst.ty == Ty::I64) {
            (0, false, _) => reach!(ops, place, (movzx Rd(to), BYTE) ()),
            (1, false, _) => reach!(ops, place, (movzx Rd(to), WORD) ()),
            (0, true, true) => reach!(ops, place, (movsx Rq(to), BYTE) ()),
            (1, true, true) => reach!(ops, place, (movsx Rq(to), WORD) ()),
            (0, true, false) => reach!(ops, place, (movsx Rd(to), BYTE) ()),
            (1, true, false) => reach!(ops, place, (movsx Rd(to), WORD) ()),
            (2, true, true) => reach!(ops, place, (movsxd Rq(to), DWORD) ()),
            (2, ..) => reach!(ops, place, (mov Rd(to),) ()),
            _ => reach!(ops, place, (mov Rq(to),) ()),
        }
        self.write_gpr(to, v);
    }

    /// Stores to `place`; uses rdx.
    pub fn store_to(&mut self, inst: &Inst, place: Place) {
        let op = MemOp::unpack(inst.imm);
        let value = inst.args[1];
        if let (Loc::Xmm(n), 2 | 3) = (self.loc(value), op.size) {
            let ops = &mut self.ops;
            return match op.size {
                2 => reach!(ops, place, (movss) (, Rx(n))),
                _ => reach!(ops, place, (movsd) (, Rx(n))),
            };
        }
        if op.size == 4 {
            let from = self.xmm(value, 0);
            let ops = &mut self.ops;
            return reach!(ops, place, (movups) (, Rx(from)));
        }
        let from = self.gpr(value, RDX);
        let ops = &mut self.ops;
        match op.size {
            0 => reach!(ops, place, (mov) (, Rb(from))),
            1 => reach!(ops, place, (mov) (, Rw(from))),
            2 => reach!(ops, place, (mov) (, Rd(from))),
            _ => reach!(ops, place, (mov) (, Rq(from))),
        }
    }

    /// Notes where all accesses are, in the order of their code, and makes their records.
    pub fn note_faults(&mut self) {
        for n in 0..self.accesses.len() {
            let Access { start, end, snap, at } = self.accesses[n];
            self.at = at;
            let record = self.state_record(snap);
            self.piece.faults.push(Fault { start, end, record });
        }
        self.piece.faults.sort_by_key(|fault| fault.start);
    }
}

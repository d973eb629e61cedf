//! Guest memory that is reached directly: a guest address is a host address, and nothing is checked.
//!
//! What may fault is noted ([`super::faults`]) with a record by which the guest's state is put back to where the
//! instruction begins, and the code left with [`exit::RETRY`](crate::cpu::exit::RETRY). The run loop interprets the instruction
//! and so finds the fault again, with its address and kind.

use super::compile::Emit;
use super::faults::Fault;
use super::moves::{RAX, RCX};
use super::short::short;
use crate::ir::{Inst, SnapId, Value};
use crate::regalloc::Loc;
use crate::sem::MemOp;
use crate::ty::Ty;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

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

    /// The register and displacement of an address.
    fn direct_address(&mut self, v: Value) -> (u8, i32) {
        if !self.uses.is_fused(v) {
            return (self.gpr(v, RAX), 0);
        }
        let inst = *self.region.inst(v);
        let offset = self.immediate(inst.args[1], Ty::I64).expect("only small offsets are fused");
        (self.gpr(inst.args[0], RAX), offset)
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

    /// Loads from [base + at].
    pub fn load_from(&mut self, v: Value, inst: &Inst, (base, at): (u8, i32)) {
        let op = MemOp::unpack(inst.imm);
        if let Loc::Xmm(n) = self.loc(v) {
            let ops = &mut self.ops;
            return match op.size {
                2 => short!(ops, at, (movss Rx(n),) [Rq(base)] ()),
                4 => short!(ops, at, (movups Rx(n),) [Rq(base)] ()),
                _ => short!(ops, at, (movsd Rx(n),) [Rq(base)] ()),
            };
        }
        if op.size == 4 {
            let ops = &mut self.ops;
            short!(ops, at, (movups xmm0,) [Rq(base)] ());
            return self.write_xmm(0, v);
        }
        let to = self.target(v, RAX);
        let ops = &mut self.ops;
        match (op.size, op.signed, inst.ty == Ty::I64) {
            (0, false, _) => short!(ops, at, (movzx Rd(to), BYTE) [Rq(base)] ()),
            (1, false, _) => short!(ops, at, (movzx Rd(to), WORD) [Rq(base)] ()),
            (0, true, true) => short!(ops, at, (movsx Rq(to), BYTE) [Rq(base)] ()),
            (1, true, true) => short!(ops, at, (movsx Rq(to), WORD) [Rq(base)] ()),
            (0, true, false) => short!(ops, at, (movsx Rd(to), BYTE) [Rq(base)] ()),
            (1, true, false) => short!(ops, at, (movsx Rd(to), WORD) [Rq(base)] ()),
            (2, true, true) => short!(ops, at, (movsxd Rq(to), DWORD) [Rq(base)] ()),
            (2, ..) => short!(ops, at, (mov Rd(to),) [Rq(base)] ()),
            _ => short!(ops, at, (mov Rq(to),) [Rq(base)] ()),
        }
        self.write_gpr(to, v);
    }

    /// Stores to [base + at]; uses rcx.
    pub fn store_to(&mut self, inst: &Inst, (base, at): (u8, i32)) {
        let op = MemOp::unpack(inst.imm);
        let value = inst.args[1];
        if let (Loc::Xmm(n), 2 | 3) = (self.loc(value), op.size) {
            let ops = &mut self.ops;
            return match op.size {
                2 => short!(ops, at, (movss) [Rq(base)] (, Rx(n))),
                _ => short!(ops, at, (movsd) [Rq(base)] (, Rx(n))),
            };
        }
        if op.size == 4 {
            let from = self.xmm(value, 0);
            let ops = &mut self.ops;
            return short!(ops, at, (movups) [Rq(base)] (, Rx(from)));
        }
        let from = self.gpr(value, RCX);
        let ops = &mut self.ops;
        match op.size {
            0 => short!(ops, at, (mov) [Rq(base)] (, Rb(from))),
            1 => short!(ops, at, (mov) [Rq(base)] (, Rw(from))),
            2 => short!(ops, at, (mov) [Rq(base)] (, Rd(from))),
            _ => short!(ops, at, (mov) [Rq(base)] (, Rq(from))),
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

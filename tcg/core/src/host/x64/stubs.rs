//! Code behind the region: slow paths, and calls of helpers.

use super::compile::{Emit, Frame, TLB};
use super::moves::{RAX, RCX, RDX};
use super::short::{BIAS, head, short};
use super::spans::Stretch;
use crate::host::helpers::{CORE_HELPERS, CoreHelper, pack_soft};
use crate::ir::{Inst, Op, SnapId, Value};
use crate::regalloc::RegSet;
use crate::ty::Ty;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use std::mem::size_of;

/// What a stub calls.
#[derive(Clone, Copy)]
pub enum Slow {
    /// A memory access.
    Memory(CoreHelper),
    /// The accesses of spans look for themselves.
    Stretch(Stretch),
    /// The operation in software.
    Soft,
    /// Leaves with this code.
    Leave(u32),
    /// The canonical NaN is the result.
    Nan,
}

/// Code that is reached rarely.
#[derive(Clone, Copy)]
pub struct Stub {
    /// Where the stub begins.
    pub entry: DynamicLabel,
    /// Where the region goes on.
    pub resume: DynamicLabel,
    /// The instruction it serves.
    pub value: Value,
    /// The position.
    pub at: u32,
    /// What it does.
    pub slow: Slow,
}

impl Emit<'_> {
    /// Announces a stub for instruction `value`.
    pub fn stub(&mut self, value: Value, slow: Slow) -> Stub {
        let (entry, resume) = (self.ops.new_dynamic_label(), self.ops.new_dynamic_label());
        let stub = Stub { entry, resume, value, at: self.at, slow };
        self.stubs.push(stub);
        stub
    }

    /// Emits all stubs that were announced.
    pub fn emit_stubs(&mut self) {
        let mut next = 0;
        // Stubs announce others.
        while let Some(stub) = self.stubs.get(next).copied() {
            next += 1;
            self.at = stub.at;
            self.ops.dynamic_label(stub.entry);
            let inst = *self.region.inst(stub.value);
            match stub.slow {
                Slow::Memory(helper) => self.memory_call(stub.value, &inst, helper),
                Slow::Stretch(Stretch { block, first, end }) => {
                    (self.at, self.apart) = (stub.at - 1, true);
                    self.instructions(block, first..end);
                    self.apart = false;
                }
                Slow::Soft if inst.on_lanes() => self.soft_lanes(stub.value, &inst),
                Slow::Soft => self.soft(stub.value, &inst),
                Slow::Leave(code) => {
                    self.leave_by(inst.snap, code);
                    continue;
                }
                Slow::Nan => {
                    self.constant_to_gpr(crate::fp::canonical_nan(inst.ty), RAX);
                    self.write_gpr(RAX, stub.value);
                }
            }
            let (resume, ops) = (stub.resume, &mut self.ops);
            dynasm!(ops ; .arch x64 ; jmp =>resume);
        }
    }

    /// The slow path of a memory access.
    fn memory_call(&mut self, v: Value, inst: &Inst, helper: CoreHelper) {
        self.address(inst.args[0]);
        let record = self.access_record(v, inst, helper);
        self.pass_record(record);
        self.call_to(self.shared.access);
    }

    /// Stores `v` to place `n` of [`CpuHeader::vectors`]; a scalar to the low bits. Uses rcx and xmm1.
    fn pass_vector(&mut self, n: usize, v: Value) {
        let at = Self::passed(n);
        if self.ty(v) == Ty::V128 {
            let from = self.xmm(v, 1);
            let ops = &mut self.ops;
            return dynasm!(ops ; .arch x64 ; movups [rbx + at], Rx(from));
        }
        let from = self.gpr(v, RCX);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; mov [rbx + at], Rq(from) ; mov QWORD [rbx + at + 8], 0);
    }

    fn passed(n: usize) -> i32 {
        head!(vectors) + 16 * n as i32
    }

    /// Puts the first of [`CpuHeader::vectors`] where `v` lives.
    fn take_vector(&mut self, v: Value) {
        let to = self.target_xmm(v, 0);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; movups Rx(to), [rbx + Self::passed(0)]);
        self.write_xmm(to, v);
    }

    /// A vector helper of the guest.
    pub fn call_vector(&mut self, v: Value, inst: &Inst) {
        let kept = self.kept(v, inst);
        self.save(kept);
        inst.args().iter().enumerate().for_each(|(n, arg)| self.pass_vector(n, *arg));
        self.constant_to_gpr(inst.imm >> 16, 6);
        self.call_helper(CORE_HELPERS + (inst.imm & 0xffff) as u16);
        self.restore(kept);
        self.take_vector(v);
    }

    /// The operation on lanes in software, here and now.
    pub fn soft_lanes(&mut self, v: Value, inst: &Inst) {
        let kept = self.kept(v, inst);
        self.save(kept);
        inst.args().iter().enumerate().for_each(|(n, arg)| self.pass_vector(n, *arg));
        if inst.op == Op::Shuffle {
            let control = self.pooled(self.region.vectors[inst.imm as usize]);
            let ops = &mut self.ops;
            dynasm!(ops ; .arch x64 ; movaps xmm1, [=>control] ; movups [rbx + Self::passed(2)], xmm1);
        }
        let operation = Inst { imm: 0, ..*inst };
        self.constant_to_gpr(pack_soft(&operation, Ty::None), 6);
        self.constant_to_gpr(inst.imm, RDX);
        self.call_helper(CoreHelper::SoftVector as u16);
        self.restore(kept);
        if inst.result() == Ty::V128 {
            self.take_vector(v);
        } else {
            self.write_gpr(RAX, v);
        }
    }

    /// A helper of the guest.
    pub fn call(&mut self, v: Value, inst: &Inst) {
        let kept = self.kept(v, inst);
        self.save(kept);
        let [a, b, c] = inst.args;
        self.read_gpr(b, RDX);
        self.read_gpr(c, RCX);
        self.read_gpr(a, RAX);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; mov rsi, rax);
        self.call_helper(CORE_HELPERS + inst.imm as u16);
        self.restore(kept);
        self.leave_on_status(inst.snap);
        self.write_gpr(RAX, v);
    }

    /// A call of an observer.
    pub fn observe(&mut self, v: Value, inst: &Inst) {
        let kept = self.kept(v, inst);
        self.save(kept);
        self.read_gpr(inst.args[0], RAX);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; mov rsi, rax);
        self.constant_to_gpr(inst.imm, RDX);
        self.call_helper(CoreHelper::Observe as u16);
        self.restore(kept);
        self.leave_on_status(inst.snap);
    }

    /// The operation in software, here and now.
    pub fn soft(&mut self, v: Value, inst: &Inst) {
        let kept = self.kept(v, inst);
        self.save(kept);
        let from = self.ty(inst.args[0]);
        let count = inst.args().len();
        if count > 1 {
            self.read_gpr(inst.args[1], RDX);
        }
        if count > 2 {
            self.read_gpr(inst.args[2], RCX);
        }
        self.read_gpr(inst.args[0], RAX);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; mov rsi, rax ; mov r8, rcx);
        self.constant_to_gpr(pack_soft(inst, from), RCX);
        self.call_helper(CoreHelper::Soft as u16);
        self.restore(kept);
        self.write_gpr(RAX, v);
    }

    /// Calls helper `n` with the header as first argument; result in rax, status in rdx.
    fn call_helper(&mut self, n: u16) {
        let table = head!(helpers);
        let at = i32::from(n) * size_of::<usize>() as i32;
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; lea rdi, [rbx - BIAS] ; mov rax, [rbx + table]);
        short!(ops, at, (call QWORD) [rax] ());
        if !self.env.direct {
            // The helper may have changed the context.
            short!(ops, head!(tlb), (mov Rq(TLB),) [rbx] ());
        }
    }

    fn save(&mut self, set: RegSet) {
        let ops = &mut self.ops;
        for n in (0..32u8).filter(|n| set >> n & 1 != 0) {
            if n < 16 {
                dynasm!(ops ; .arch x64 ; mov [rsp + Frame::save(n)], Rq(n));
            } else {
                dynasm!(ops ; .arch x64 ; movaps [rsp + Frame::save(n)], Rx(n - 16));
            }
        }
    }

    /// Leaves rax, rdx and the flags alone.
    fn restore(&mut self, set: RegSet) {
        let ops = &mut self.ops;
        for n in (0..32u8).filter(|n| set >> n & 1 != 0) {
            if n < 16 {
                dynasm!(ops ; .arch x64 ; mov Rq(n), [rsp + Frame::save(n)]);
            } else {
                dynasm!(ops ; .arch x64 ; movaps Rx(n - 16), [rsp + Frame::save(n)]);
            }
        }
    }

    /// Leaves the region through `snap` if the status in rdx is not zero.
    fn leave_on_status(&mut self, snap: SnapId) {
        let on = self.ops.new_dynamic_label();
        let record = self.state_record(snap);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; test edx, edx ; jz =>on);
        self.pass_record(record);
        self.jump_to(self.shared.leave);
        self.ops.dynamic_label(on);
    }

    /// Leaves the region through `snap` with `code`.
    fn leave_by(&mut self, snap: SnapId, code: u32) {
        let record = self.state_record(snap);
        self.pass_record(record);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; mov edx, code as i32);
        self.jump_to(self.shared.leave);
    }
}

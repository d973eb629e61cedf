//! Code behind the region: slow paths, and calls of helpers.

use super::compile::{Emit, Frame};
use super::moves::{RAX, RCX, RDX};
use crate::cpu::CpuHeader;
use crate::host::helpers::{CORE_HELPERS, CoreHelper, pack_soft};
use crate::ir::{Inst, SnapId, Value};
use crate::regalloc::RegSet;
use crate::ty::Ty;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use std::mem::{offset_of, size_of};

/// What a stub calls. rax holds the address of memory accesses when it is entered.
#[derive(Clone, Copy)]
pub enum Slow {
    /// A memory access.
    Memory(CoreHelper),
    /// The operation in software.
    Soft,
    /// The canonical NaN is the result.
    Nan,
    /// The result in xmm0 is near the smallest normal number or not finite: in software if it is the former or NaN, and
    /// as it is, at this label, if not.
    Tiny(DynamicLabel),
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
    /// What it does.
    pub slow: Slow,
}

impl Emit<'_> {
    /// Announces a stub for instruction `value`.
    pub fn stub(&mut self, value: Value, slow: Slow) -> Stub {
        let (entry, resume) = (self.ops.new_dynamic_label(), self.ops.new_dynamic_label());
        let stub = Stub { entry, resume, value, slow };
        self.stubs.push(stub);
        stub
    }

    /// Emits all stubs that were announced.
    pub fn emit_stubs(&mut self) {
        for stub in std::mem::take(&mut self.stubs) {
            self.ops.dynamic_label(stub.entry);
            let inst = *self.region.inst(stub.value);
            match stub.slow {
                Slow::Memory(helper) => self.memory_call(stub.value, &inst, helper),
                Slow::Soft => self.soft(stub.value, &inst),
                Slow::Tiny(fine) => {
                    self.look_closer(&inst, fine);
                    self.soft(stub.value, &inst);
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

    /// The slow path of a memory access whose address is in rax.
    fn memory_call(&mut self, v: Value, inst: &Inst, helper: CoreHelper) {
        let kept = self.kept(v, inst);
        self.save(kept);
        let [_, second, third] = inst.args;
        // Arguments go to rdx, rcx and r8 first: no value lives in the first two, and r8 comes when all are read.
        match helper {
            CoreHelper::Load => self.constant_to_gpr(inst.imm, RDX),
            CoreHelper::Store | CoreHelper::Rmw => {
                self.read_gpr(second, RDX);
                self.constant_to_gpr(inst.imm, RCX);
            }
            _ => {
                self.read_gpr(second, RDX);
                self.read_gpr(third, RCX);
                self.constant_to_gpr(inst.imm, 8);
            }
        }
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; mov rsi, rax);
        self.call_helper(helper as u16);
        self.restore(kept);
        self.leave_on_status(inst.snap);
        if inst.result() == Ty::I32 {
            let ops = &mut self.ops;
            dynasm!(ops ; .arch x64 ; mov eax, eax);
        }
        self.write_gpr(RAX, v);
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
        let table = offset_of!(CpuHeader, helpers) as i32;
        let at = i32::from(n) * size_of::<usize>() as i32;
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; mov rdi, rbx ; mov rax, [rbx + table] ; call QWORD [rax + at]);
    }

    fn save(&mut self, set: RegSet) {
        let ops = &mut self.ops;
        for n in (0..32u8).filter(|n| set >> n & 1 != 0) {
            if n < 16 {
                dynasm!(ops ; .arch x64 ; mov [rsp + Frame::save(n)], Rq(n));
            } else {
                dynasm!(ops ; .arch x64 ; movsd [rsp + Frame::save(n)], Rx(n - 16));
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
                dynasm!(ops ; .arch x64 ; movsd Rx(n - 16), [rsp + Frame::save(n)]);
            }
        }
    }

    /// Leaves the region through `snap` if the status in rdx is not zero.
    fn leave_on_status(&mut self, snap: SnapId) {
        let on = self.ops.new_dynamic_label();
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; test edx, edx ; jz =>on);
        let snap = &self.region.snaps[snap.0 as usize];
        for (reg, value) in &snap.regs {
            self.store_reg(*reg, *value);
        }
        self.count(snap.retired);
        self.code_addr_to_gpr(snap.pc, RAX);
        let pc = offset_of!(CpuHeader, pc) as i32;
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; mov [rbx + pc], rax ; mov eax, edx);
        self.jump_to(self.epilogue);
        self.ops.dynamic_label(on);
    }
}

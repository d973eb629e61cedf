//! Loads and stores of some lanes of a vector.
//!
//! A load takes all 16 bytes where they are in one page, which what the mask leaves out does not make another access of,
//! and masks them. A store writes what the mask has and nothing else: by the masked moves of AVX2, and bytes and halfwords in
//! pieces of powers of two if they are the first ones, as at the end of an array. All else is left to the helper.

use super::compile::Emit;
use super::stubs::{Slow, Stub};
use super::vector::{X0, X1, sse};
use crate::host::helpers::CoreHelper;
use crate::ir::{Inst, Value};
use crate::sem::MemOp;
use base::PAGE_SIZE;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

/// Bytes of a vector.
const BYTES: i32 = 16;

impl Emit<'_> {
    /// Makes the guest's address in rax the host's of 16 bytes, which are in one page; else the stub is entered.
    fn window(&mut self, write: bool, stub: Stub) {
        if !self.env.direct {
            return self.probe(MemOp::new(4), write, stub.entry);
        }
        if !write {
            let (across, ops) = (stub.entry, &mut self.ops);
            let (within, last) = (PAGE_SIZE as i32 - 1, PAGE_SIZE as i32 - BYTES);
            dynasm!(ops ; .arch x64 ; mov ecx, eax ; and ecx, within ; cmp ecx, last ; ja =>across);
        }
    }

    /// The lanes that a mask has bits of.
    pub fn load_lanes(&mut self, v: Value, inst: &Inst) {
        let stub = self.stub(v, Slow::Memory(CoreHelper::LoadLanes));
        let [addr, mask, _] = inst.args;
        if MemOp::unpack(inst.imm).aligned {
            return self.leave_to(addr, stub);
        }
        self.address(addr);
        self.window(false, stub);
        let mask = self.xmm(mask, X1);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; movups xmm0, [rax]);
        sse!(self, pand X0, mask);
        self.write_xmm(X0, v);
        self.ops.dynamic_label(stub.resume);
    }

    /// The lanes whose highest bit a mask has.
    pub fn store_lanes(&mut self, v: Value, inst: &Inst) {
        let stub = self.stub(v, Slow::Memory(CoreHelper::StoreLanes));
        let op = MemOp::unpack(inst.imm);
        let [addr, value, mask] = inst.args;
        let masked_moves = op.size >= 2 && self.features.avx2;
        let in_pieces = op.size < 2 && self.features.sse4;
        if op.aligned || !masked_moves && !in_pieces {
            return self.leave_to(addr, stub);
        }
        self.address(addr);
        let mask = self.xmm(mask, X1);
        if masked_moves {
            self.window(true, stub);
            let from = self.xmm(value, X0);
            let ops = &mut self.ops;
            if op.size == 3 {
                // Of doubles: the assembler takes VPMASKMOVQ for VPMASKMOVD.
                dynasm!(ops ; .arch x64 ; vmaskmovpd [rax], Rx(mask), Rx(from));
            } else {
                dynasm!(ops ; .arch x64 ; vpmaskmovd [rax], Rx(mask), Rx(from));
            }
        } else {
            self.first_bytes(value, (mask, op.size == 1), stub);
        }
        self.ops.dynamic_label(stub.resume);
    }

    /// Stores the first bytes of `value` at the guest's address in rax, those whose highest bit register `mask` has, in pieces; enters
    /// the stub if they are not the first ones, or not whole halfwords and `halfwords` are wanted.
    fn first_bytes(&mut self, value: Value, (mask, halfwords): (u8, bool), stub: Stub) {
        let slow = stub.entry;
        let [next8, next4, next2, next1, done] = std::array::from_fn(|_| self.ops.new_dynamic_label());
        let ops = &mut self.ops;
        dynasm!(ops
            ; .arch x64
            ; pmovmskb edx, Rx(mask)
            ; lea ecx, [rdx + 1]
            ; test ecx, edx
            ; jnz =>slow
        );
        if halfwords {
            // An even number of bits is what three times every other one is.
            dynasm!(ops
                ; .arch x64
                ; and edx, 0x5555
                ; lea edx, [rdx + rdx * 2]
                ; inc edx
                ; cmp edx, ecx
                ; jne =>slow
            );
        }
        self.window(true, stub);
        self.read_xmm(value, X0);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; pmovmskb ecx, Rx(mask) ; inc ecx ; bsf ecx, ecx);
        dynasm!(ops
            ; .arch x64
            ; test cl, 16
            ; jz =>next8
            ; movups [rax], xmm0
            ; jmp =>done
            ; =>next8
            ; test cl, 8
            ; jz =>next4
            ; movq [rax], xmm0
            ; psrldq xmm0, 8
            ; add rax, 8
            ; =>next4
            ; test cl, 4
            ; jz =>next2
            ; movd [rax], xmm0
            ; psrldq xmm0, 4
            ; add rax, 4
            ; =>next2
            ; test cl, 2
            ; jz =>next1
            ; pextrw [rax], xmm0, 0
            ; psrldq xmm0, 2
            ; add rax, 2
            ; =>next1
        );
        if !halfwords {
            dynasm!(ops ; .arch x64 ; test cl, 1 ; jz =>done ; pextrb [rax], xmm0, 0);
        }
        self.ops.dynamic_label(done);
    }

    /// Leaves an access at `addr` to its stub.
    fn leave_to(&mut self, addr: Value, stub: Stub) {
        self.address(addr);
        let (slow, ops) = (stub.entry, &mut self.ops);
        dynasm!(ops ; .arch x64 ; jmp =>slow);
        self.ops.dynamic_label(stub.resume);
    }
}

//! Guest memory: the TLB probe, loads, stores and atomic operations.

use super::compile::{Emit, TLB};
use super::direct::Place;
use super::integer::Cond;
use super::moves::{RAX, RCX, RDX};
use super::short::short;
use super::stubs::Slow;
use crate::cpu::TlbWord;
use crate::host::helpers::CoreHelper;
use crate::ir::{Inst, Op, Value};
use crate::sem::{MemOp, Order, Rmw};
use crate::ty::Ty;
use base::{PAGE_SHIFT, PAGE_SIZE};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

impl Emit<'_> {
    /// Puts a guest address into rax.
    pub fn address(&mut self, v: Value) {
        let from = self.address_register(v);
        let ops = &mut self.ops;
        if from != RAX {
            dynasm!(ops ; .arch x64 ; mov rax, Rq(from));
        }
    }

    /// A guest address as a register, which is rax if the base is in none, and what is added to it.
    pub fn base_and_offset(&mut self, v: Value) -> (u8, i32) {
        if !self.uses.is_fused(v) {
            return (self.gpr(v, RAX), 0);
        }
        let inst = *self.region.inst(v);
        let offset = self.immediate(inst.args[1], Ty::I64).expect("only small offsets are fused");
        (self.gpr(inst.args[0], RAX), offset)
    }

    /// The register of a guest address: its own, or rax.
    fn address_register(&mut self, v: Value) -> u8 {
        let (base, offset) = self.base_and_offset(v);
        if offset == 0 {
            return base;
        }
        let ops = &mut self.ops;
        short!(ops, offset, (lea rax,) [Rq(base)] ());
        RAX
    }

    /// Puts into rcx the number of the TLB's entry for the guest address in register `addr`.
    pub fn tlb_index(&mut self, addr: u8) {
        let (shift, mask) = (PAGE_SHIFT as i8, (self.env.tlb.entries - 1) as i32);
        let ops = &mut self.ops;
        if self.features.bmi {
            // Which bits it is, the TLB's address says.
            dynasm!(ops ; .arch x64 ; bextr ecx, Rd(addr), Rd(TLB));
        } else {
            dynasm!(ops ; .arch x64 ; mov ecx, Rd(addr) ; shr ecx, shift ; and ecx, mask);
        }
    }

    /// The displacement of a word of a TLB's entry, whose number is in rcx.
    pub fn tlb_word(&self, word: TlbWord) -> i32 {
        word.offset(self.env.tlb.entries)
    }

    /// Looks up the page of the `bytes` from `offset` behind what register `base` holds, for loads or, if there are `stores`, for both: on
    /// a hit rcx is what leads from there to the host's memory and rdx the place in the page, otherwise `miss` is entered.
    pub fn find_page(&mut self, (base, offset): (u8, i32), bytes: i32, stores: bool, miss: DynamicLabel) {
        let [read, write, addend] =
            [TlbWord::Read, TlbWord::Write, TlbWord::Addend].map(|word| self.tlb_word(word));
        if offset == 0 {
            self.tlb_index(base);
            let ops = &mut self.ops;
            dynasm!(ops ; .arch x64 ; mov rdx, Rq(base));
        } else {
            let ops = &mut self.ops;
            short!(ops, offset, (lea rdx,) [Rq(base)] ());
            self.tlb_index(RDX);
        }
        // What may be stored to without being asked may be loaded, too.
        let (tag, ops) = (if stores { write } else { read }, &mut self.ops);
        // Of another page the upper bits stay, and the last bytes of a page are too few.
        dynasm!(ops
            ; .arch x64
            ; xor rdx, [Rq(TLB) + rcx * 8 + tag]
            ; cmp rdx, PAGE_SIZE as i32 - bytes
            ; ja =>miss
            ; mov rcx, [Rq(TLB) + rcx * 8 + addend]
        );
    }

    /// The same for one access.
    fn look_up(&mut self, addr: (u8, i32), op: MemOp, write: bool, miss: DynamicLabel) {
        let bytes = op.bytes() as i32;
        self.find_page(addr, bytes, write, miss);
        if op.aligned && bytes > 1 {
            let ops = &mut self.ops;
            dynasm!(ops ; .arch x64 ; test edx, bytes - 1 ; jnz =>miss);
        }
    }

    /// Looks the address in rax up; on a hit rax is the host address, otherwise `miss` is entered with the guest's.
    pub fn probe(&mut self, op: MemOp, write: bool, miss: DynamicLabel) {
        if self.env.direct {
            return self.direct_probe(op, miss);
        }
        self.look_up((RAX, 0), op, write, miss);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; add rax, rcx);
    }

    /// Looks the address of `inst` up and gives its place in the host's memory. If the TLB does not have it, `miss` is entered.
    pub fn probe_place(&mut self, inst: &Inst, miss: DynamicLabel) -> Place {
        let (op, write) = (MemOp::unpack(inst.imm), inst.op == Op::Store);
        if self.env.direct {
            self.address(inst.args[0]);
            self.direct_probe(op, miss);
            return Place { base: RAX, indexed: false, at: 0 };
        }
        let (base, at) = self.base_and_offset(inst.args[0]);
        self.look_up((base, at), op, write, miss);
        Place { base, indexed: true, at }
    }

    /// A load.
    pub fn load(&mut self, v: Value, inst: &Inst) {
        let (place, resume) = self.access_place(v, inst, CoreHelper::Load);
        self.load_from(v, inst, place);
        resume.iter().for_each(|resume| self.ops.dynamic_label(*resume));
    }

    /// A store.
    pub fn store(&mut self, v: Value, inst: &Inst) {
        let (place, resume) = self.access_place(v, inst, CoreHelper::Store);
        self.store_to(inst, place);
        resume.iter().for_each(|resume| self.ops.dynamic_label(*resume));
    }

    /// The place of access `v` in the host's memory, and where it is behind the access if `helper` has made it.
    fn access_place(&mut self, v: Value, inst: &Inst, helper: CoreHelper) -> (Place, Option<DynamicLabel>) {
        if let Some(place) = self.span_place(v, inst) {
            return (place, None);
        }
        let stub = self.stub(v, Slow::Memory(helper));
        (self.probe_place(inst, stub.entry), Some(stub.resume))
    }

    /// A barrier. The host keeps every order but that of stores before later loads.
    pub fn fence(&mut self, order: Order) {
        if !order.store_load() {
            return;
        }
        let ops = &mut self.ops;
        // Cheaper than mfence, and orders the same for ordinary memory.
        dynasm!(ops ; .arch x64 ; lock or DWORD [rsp], 0);
    }

    /// Atomic operations on memory narrower than 32 bits are left to the helper.
    fn inline_atomic(op: MemOp) -> bool {
        op.size >= 2 && op.aligned
    }

    /// Extends the old value in rax of an atomic operation and puts it where it belongs.
    fn old_value(&mut self, v: Value, inst: &Inst, op: MemOp) {
        let ops = &mut self.ops;
        match (op.size, op.signed, inst.ty == Ty::I64) {
            (2, true, true) => dynasm!(ops ; .arch x64 ; movsxd rax, eax),
            (2, ..) => dynasm!(ops ; .arch x64 ; mov eax, eax),
            _ => {}
        }
        self.write_gpr(RAX, v);
    }

    /// Atomic read-modify-write.
    pub fn rmw(&mut self, v: Value, inst: &Inst) {
        let op = MemOp::unpack(inst.imm);
        let stub = self.stub(v, Slow::Memory(CoreHelper::Rmw));
        self.address(inst.args[0]);
        if !Self::inline_atomic(op) {
            let (slow, ops) = (stub.entry, &mut self.ops);
            dynasm!(ops ; .arch x64 ; jmp =>slow);
            return self.ops.dynamic_label(stub.resume);
        }
        self.probe(op, true, stub.entry);
        let wide = op.size == 3;
        match Rmw::unpack(inst.imm) {
            Rmw::Swap => {
                self.read_gpr(inst.args[1], RCX);
                let ops = &mut self.ops;
                if wide {
                    dynasm!(ops ; .arch x64 ; xchg [rax], rcx ; mov rax, rcx);
                } else {
                    dynasm!(ops ; .arch x64 ; xchg [rax], ecx ; mov eax, ecx);
                }
            }
            Rmw::Add => {
                self.read_gpr(inst.args[1], RCX);
                let ops = &mut self.ops;
                if wide {
                    dynasm!(ops ; .arch x64 ; lock xadd [rax], rcx ; mov rax, rcx);
                } else {
                    dynasm!(ops ; .arch x64 ; lock xadd [rax], ecx ; mov eax, ecx);
                }
            }
            kind => self.rmw_loop(inst, kind, wide),
        }
        self.old_value(v, inst, op);
        self.ops.dynamic_label(stub.resume);
    }

    /// The kinds that x86 has no instruction for: compute and swap until nobody interfered. Leaves the old value in rax.
    fn rmw_loop(&mut self, inst: &Inst, kind: Rmw, wide: bool) {
        // rdx is the address, rax the old value, rcx the new one.
        let operand = inst.args[1];
        let again = self.ops.new_dynamic_label();
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; mov rdx, rax);
        if wide {
            dynasm!(ops ; .arch x64 ; mov rax, [rdx]);
        } else {
            dynasm!(ops ; .arch x64 ; mov eax, [rdx]);
        }
        self.ops.dynamic_label(again);
        self.read_gpr(operand, RCX);
        let ops = &mut self.ops;
        macro_rules! both {
            ($name:ident) => {
                if wide {
                    dynasm!(ops ; .arch x64 ; $name rcx, rax)
                } else {
                    dynasm!(ops ; .arch x64 ; $name ecx, eax)
                }
            };
        }
        let keep_old = match kind {
            Rmw::And => {
                both!(and);
                None
            }
            Rmw::Or => {
                both!(or);
                None
            }
            Rmw::Xor => {
                both!(xor);
                None
            }
            Rmw::MinS => Some(Cond::G),
            Rmw::MaxS => Some(Cond::L),
            Rmw::MinU => Some(Cond::A),
            _ => Some(Cond::B),
        };
        if let Some(cond) = keep_old {
            both!(cmp);
            match cond {
                Cond::G => dynasm!(ops ; .arch x64 ; cmovg rcx, rax),
                Cond::L => dynasm!(ops ; .arch x64 ; cmovl rcx, rax),
                Cond::A => dynasm!(ops ; .arch x64 ; cmova rcx, rax),
                _ => dynasm!(ops ; .arch x64 ; cmovb rcx, rax),
            }
        }
        if wide {
            dynasm!(ops ; .arch x64 ; lock cmpxchg [rdx], rcx ; jne =>again);
        } else {
            dynasm!(ops ; .arch x64 ; lock cmpxchg [rdx], ecx ; jne =>again);
        }
    }

    /// Atomic compare and swap.
    pub fn cas(&mut self, v: Value, inst: &Inst) {
        let op = MemOp::unpack(inst.imm);
        let stub = self.stub(v, Slow::Memory(CoreHelper::Cas));
        self.address(inst.args[0]);
        if !Self::inline_atomic(op) {
            let (slow, ops) = (stub.entry, &mut self.ops);
            dynasm!(ops ; .arch x64 ; jmp =>slow);
            return self.ops.dynamic_label(stub.resume);
        }
        self.probe(op, true, stub.entry);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; mov rdx, rax);
        self.read_gpr(inst.args[1], RAX);
        self.read_gpr(inst.args[2], RCX);
        let ops = &mut self.ops;
        if op.size == 3 {
            dynasm!(ops ; .arch x64 ; lock cmpxchg [rdx], rcx);
        } else {
            dynasm!(ops ; .arch x64 ; lock cmpxchg [rdx], ecx);
        }
        self.old_value(v, inst, op);
        self.ops.dynamic_label(stub.resume);
    }
}

const _: () = assert!(Op::ALL.len() < 256, "operations fit the byte that names them to the software helper");

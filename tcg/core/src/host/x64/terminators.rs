//! How a region ends: jumps inside it, exits that can be linked, computed jumps, traps.

use super::compile::Emit;
use super::integer::Cond;
use super::moves::RAX;
use super::piece::Fixup;
use super::short::{head, short};
use super::stubs::Slow;
use crate::cpu::{JUMP_ENTRIES, JUMP_SHIFT, JumpEntry, exit};
use crate::host::{Patch, Site};
use crate::ir::{BlockId, Edge, Op, Term, Value};
use crate::sem::Hint;
use base::{PAGE_SHIFT, Ticks};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use std::mem::{offset_of, size_of};

impl Emit<'_> {
    /// The end of the block whose code is number `at` in order.
    pub fn terminator(&mut self, at: usize, term: &Term) {
        let next = self.order.get(at + 1).copied();
        match term {
            Term::Jump(edge) => self.jump(next, edge),
            Term::Branch { cond, then, other } => {
                let cond = self.test(*cond);
                self.branch(next, cond, then, other);
            }
            Term::Goto { pc, check } => self.goto(*pc, *check),
            Term::Indirect { target, hint: Hint::Sync } => {
                self.read_gpr(*target, RAX);
                self.jump_to(self.shared.resync);
            }
            // In a process an address means one thing, as long as the state does.
            Term::Indirect { target, hint } => {
                let known = self
                    .constant(*target)
                    .filter(|_| self.env.process && matches!(hint, Hint::Jump | Hint::Return));
                match known {
                    Some(pc) => self.goto(pc, true),
                    None => self.indirect(*target, *hint),
                }
            }
            Term::Trap { pc, code, value } => {
                let at = head!(trap_code);
                let ops = &mut self.ops;
                dynasm!(ops ; .arch x64 ; mov DWORD [rbx + at], *code as i32);
                self.constant_to_gpr(*value, RAX);
                let at = head!(trap_value);
                let ops = &mut self.ops;
                dynasm!(ops ; .arch x64 ; mov [rbx + at], rax);
                self.leave(*pc, exit::TRAP);
            }
            Term::Exit { pc, code } => self.leave(*pc, *code),
        }
    }

    /// Counts guest instructions that were carried out; touches the host's flags.
    pub fn count(&mut self, insns: u64) {
        let (at, ticks) = (head!(insns), head!(ticks));
        let insns = i32::try_from(insns).expect("the verifier's limit");
        let ops = &mut self.ops;
        short!(ops, at, (add QWORD) [rbx] (, insns));
        if self.env.turns {
            dynasm!(ops ; .arch x64 ; mov rcx, [rbx + ticks] ; add QWORD [rcx], insns);
        }
    }

    /// Adds to a counter of the vCPU; touches the host's flags.
    pub fn tally(&mut self, imm: u64) {
        let (table, at) = (head!(counters), imm as u32 as i32 * 8);
        let amount = i32::try_from(imm >> 32).expect("the verifier's limit");
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; mov rcx, [rbx + table] ; add QWORD [rcx + at], amount);
    }

    /// Leaves if the turn has fewer than `insns` instructions left.
    pub fn quota(&mut self, v: Value, insns: u64) {
        let stub = self.stub(v, Slow::Leave(exit::TURN));
        let insns = i32::try_from(insns).expect("the verifier's limit");
        let (ticks, limit) = (head!(ticks), Ticks::LIMIT as i32);
        let ops = &mut self.ops;
        dynasm!(ops
            ; .arch x64
            ; mov rcx, [rbx + ticks]
            ; mov rdx, [rcx]
            ; add rdx, insns
            ; cmp rdx, [rcx + limit]
            ; ja =>stub.entry
            ; =>stub.resume
        );
    }

    /// Goes to one of two blocks. A side without moves needs no code of its own.
    fn branch(&mut self, next: Option<BlockId>, cond: Cond, then: &Edge, other: &Edge) {
        let label = |emit: &Self, edge: &Edge| emit.labels[edge.to.0 as usize];
        let (then_moves, other_moves) = (self.has_moves(then), self.has_moves(other));
        if !other_moves && (then_moves || next == Some(then.to)) {
            self.jump_if(cond.negated(), label(self, other));
            return self.jump(next, then);
        }
        if !then_moves {
            self.jump_if(cond, label(self, then));
            return self.jump(next, other);
        }
        let to_then = self.ops.new_dynamic_label();
        self.jump_if(cond, to_then);
        self.edge_moves(other);
        let (target, ops) = (label(self, other), &mut self.ops);
        dynasm!(ops ; .arch x64 ; jmp =>target);
        self.ops.dynamic_label(to_then);
        self.jump(next, then);
    }

    /// Leaves if somebody wants attention.
    pub fn poll(&mut self, v: Value) {
        let stub = self.stub(v, Slow::Leave(exit::REQUEST));
        self.test_request();
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; jne =>stub.entry ; =>stub.resume);
    }

    fn jump(&mut self, next: Option<BlockId>, edge: &Edge) {
        self.edge_moves(edge);
        if next != Some(edge.to) {
            let target = self.labels[edge.to.0 as usize];
            let ops = &mut self.ops;
            dynasm!(ops ; .arch x64 ; jmp =>target);
        }
    }

    /// Jumps to `to` if `cond` holds.
    pub fn jump_if(&mut self, cond: Cond, to: DynamicLabel) {
        let ops = &mut self.ops;
        match cond {
            Cond::O => dynasm!(ops ; .arch x64 ; jo =>to),
            Cond::No => dynasm!(ops ; .arch x64 ; jno =>to),
            Cond::B => dynasm!(ops ; .arch x64 ; jb =>to),
            Cond::Ae => dynasm!(ops ; .arch x64 ; jae =>to),
            Cond::E => dynasm!(ops ; .arch x64 ; je =>to),
            Cond::Ne => dynasm!(ops ; .arch x64 ; jne =>to),
            Cond::Be => dynasm!(ops ; .arch x64 ; jbe =>to),
            Cond::A => dynasm!(ops ; .arch x64 ; ja =>to),
            Cond::S => dynasm!(ops ; .arch x64 ; js =>to),
            Cond::Ns => dynasm!(ops ; .arch x64 ; jns =>to),
            Cond::P => dynasm!(ops ; .arch x64 ; jp =>to),
            Cond::Np => dynasm!(ops ; .arch x64 ; jnp =>to),
            Cond::L => dynasm!(ops ; .arch x64 ; jl =>to),
            Cond::Ge => dynasm!(ops ; .arch x64 ; jge =>to),
            Cond::Le => dynasm!(ops ; .arch x64 ; jle =>to),
            Cond::G => dynasm!(ops ; .arch x64 ; jg =>to),
        }
    }

    /// Leaves with `code` at `pc`, by no exit that can be linked.
    fn leave(&mut self, pc: u64, code: u32) {
        self.leave_from(None, pc, code);
    }

    /// Compares the attention request with zero.
    fn test_request(&mut self) {
        let at = head!(request);
        let ops = &mut self.ops;
        short!(ops, at, (mov rcx,) [rbx] ());
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; cmp DWORD [rcx], BYTE 0);
    }

    fn goto(&mut self, pc: u64, check: bool) {
        let requested = check.then(|| self.ops.new_dynamic_label());
        if let Some(requested) = requested {
            self.test_request();
            let ops = &mut self.ops;
            dynasm!(ops ; .arch x64 ; jne =>requested);
        }
        let number = self.piece.sites.len() as u32;
        let hot = if check { self.count_down(number) } else { None };
        // The displacement is patched while others run the code: it must not straddle a word.
        while !(self.here() + 1).is_multiple_of(4) {
            self.ops.push(0x90);
        }
        let at = self.here() + 1;
        self.ops.push(0xe9);
        self.ops.push_i32(0);
        let stub = self.here();
        self.piece.sites.push(Site { pc: Some(pc), patch: Some(Patch { at, stub }) });
        self.leave_from(Some(number), pc, exit::LOOKUP);
        self.leave_hot(hot, number, pc);
        if let Some(requested) = requested {
            self.ops.dynamic_label(requested);
            self.leave(pc, exit::REQUEST);
        }
    }

    /// Counts exit `number` down, if anybody counts. Gives where to go on at the end of the count.
    fn count_down(&mut self, number: u32) -> Option<DynamicLabel> {
        if !self.env.heat {
            return None;
        }
        let hot = self.ops.new_dynamic_label();
        let heat = head!(heat);
        let ops = &mut self.ops;
        short!(ops, heat, (mov rcx,) [rbx] ());
        // sub DWORD [rcx + count], 1: with a displacement that can be adjusted.
        self.ops.extend(&[0x83, 0xa9]);
        self.piece.fixups.push(Fixup::heat(self.here()));
        self.ops.push_i32(number as i32);
        self.ops.push(1);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; js =>hot);
        Some(hot)
    }

    /// Where the count of exit `number`, which leads to `pc`, has ended.
    fn leave_hot(&mut self, hot: Option<DynamicLabel>, number: u32, pc: u64) {
        if let Some(hot) = hot {
            self.ops.dynamic_label(hot);
            self.leave_from(Some(number), pc, exit::HOT);
        }
    }

    /// Leaves with `code` at `pc`, saying that it was by exit `site`.
    fn leave_from(&mut self, site: Option<u32>, pc: u64, code: u32) {
        let record = self.exit_record(site, pc);
        self.pass_record(record);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; mov dl, code as i8);
        self.jump_to(if self.env.process { self.shared.exit } else { self.shared.exit_near });
    }

    fn indirect(&mut self, target: Value, hint: Hint) {
        self.read_gpr(target, RAX);
        let inst = self.region.inst(target);
        let known = (inst.op == Op::CodeAddr).then_some(inst.imm);
        let counted = match hint {
            Hint::Back => known.is_some(),
            Hint::Jump => known.is_none() && self.env.samples,
            _ => false,
        };
        if !counted {
            return self.go_to_rax();
        }
        let number = self.piece.sites.len() as u32;
        self.piece.sites.push(Site { pc: known, patch: None });
        let end = self.count_down(number);
        self.go_to_rax();
        match known {
            Some(pc) => self.leave_hot(end, number, pc),
            None => self.leave_computed(end, number),
        }
    }

    /// Where the count of computed jump `number` has ended; its target is in rax.
    fn leave_computed(&mut self, end: Option<DynamicLabel>, number: u32) {
        if let Some(end) = end {
            self.ops.dynamic_label(end);
            let record = self.exit_record(Some(number), self.region.pc);
            self.pass_record(record);
            self.jump_to(self.shared.went);
        }
    }

    /// What leads to a region of several pages by a link goes by the jump cache.
    pub fn way_in(&mut self) {
        self.code_addr_to_gpr(self.region.pc, RAX);
        self.go_to_rax();
        self.piece.entry = self.here();
    }

    /// Goes to the translation of the address in rax.
    fn go_to_rax(&mut self) {
        self.test_request();
        let jumps = head!(jumps);
        let (key, code) = (offset_of!(JumpEntry, key) as i32, offset_of!(JumpEntry, code) as i32);
        // As `jump_index` has it, times the size of an entry.
        let shift = (size_of::<JumpEntry>().trailing_zeros() - JUMP_SHIFT) as i8;
        let mask = ((JUMP_ENTRIES - 1) * size_of::<JumpEntry>()) as i32;
        let (page, in_page) = (head!(page), -(1i32 << PAGE_SHIFT));
        self.jump_if_not_equal_to(self.shared.request);
        let ops = &mut self.ops;
        if self.features.bmi {
            dynasm!(ops ; .arch x64 ; rorx ecx, eax, 32 - shift ; and ecx, mask);
        } else {
            dynasm!(ops ; .arch x64 ; mov ecx, eax ; shl ecx, shift ; and ecx, mask);
        }
        short!(ops, jumps, (add rcx,) [rbx] ());
        short!(ops, key, (cmp rax,) [rcx] ());
        self.jump_if_not_equal_to(self.shared.lookup);
        let ops = &mut self.ops;
        if !self.env.process {
            dynasm!(ops ; .arch x64 ; and rax, in_page);
            short!(ops, page, (mov) [rbx] (, rax));
        }
        short!(ops, code, (jmp QWORD) [rcx] ());
    }
}

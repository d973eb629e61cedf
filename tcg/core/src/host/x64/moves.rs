//! Moving values between registers, slots, constants and guest state.

use super::compile::{Emit, Frame};
use super::short::{head, in_cpu, short};
use crate::cpu::RegId;
use crate::ir::{Edge, Inst, Op, Value};
use crate::regalloc::Loc;
use crate::ty::Ty;
use base::PAGE_SIZE;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

/// rax, rcx, rdx.
pub const RAX: u8 = 0;
pub const RCX: u8 = 1;
pub const RDX: u8 = 2;

impl Emit<'_> {
    /// Whether `v` lives in general register `n`.
    pub fn is_in(&self, v: Value, n: u8) -> bool {
        self.loc(self.whole(v)) == Loc::Gpr(n)
    }

    /// Where in the frame the integer `v` is, if it lives there.
    pub fn slot(&self, v: Value) -> Option<i32> {
        match self.loc(self.whole(v)) {
            Loc::Slot(n) if self.constant(v).is_none() => Some(Frame::slot(n)),
            _ => None,
        }
    }

    /// The value whose low half is the operand `v`, if that is left to its user; else `v` itself.
    pub fn whole(&self, v: Value) -> Value {
        let inst = self.region.inst(v);
        if inst.op == Op::Trunc && self.uses.is_fused(v) { inst.args[0] } else { v }
    }

    /// The general register that holds `v`, which is put into `scratch` if it is in none. Where `v` is half of a value and left
    /// to its users, the other half is above it.
    pub fn gpr(&mut self, v: Value, scratch: u8) -> u8 {
        let v = self.whole(v);
        if let Loc::Gpr(n) = self.loc(v) {
            return n;
        }
        self.read_gpr(v, scratch);
        scratch
    }

    /// Puts the bits of `v` into general register `to`, as [`Self::gpr`] does. Leaves the flags alone.
    pub fn read_gpr(&mut self, v: Value, to: u8) {
        let v = self.whole(v);
        if let Some(k) = self.constant(v) {
            return self.constant_to_gpr(k, to);
        }
        let (loc, ops) = (self.loc(v), &mut self.ops);
        match loc {
            Loc::Gpr(n) if n == to => {}
            Loc::Gpr(n) => dynasm!(ops ; .arch x64 ; mov Rq(to), Rq(n)),
            Loc::Xmm(n) if self.region.inst(v).result() == Ty::F32 => {
                dynasm!(ops ; .arch x64 ; movd Rd(to), Rx(n));
            }
            Loc::Xmm(n) => dynasm!(ops ; .arch x64 ; movq Rq(to), Rx(n)),
            // What lies above a single in its slot is no part of it.
            Loc::Slot(n) if self.region.inst(v).result() == Ty::F32 => {
                short!(ops, Frame::slot(n), (mov Rd(to),) [rsp] ());
            }
            Loc::Slot(n) => short!(ops, Frame::slot(n), (mov Rq(to),) [rsp] ()),
            Loc::None => unreachable!("a value that is used has a place"),
        }
    }

    /// Puts a constant into general register `to`. Leaves the flags alone.
    pub fn constant_to_gpr(&mut self, k: u64, to: u8) {
        let ops = &mut self.ops;
        if u32::try_from(k).is_ok() {
            dynasm!(ops ; .arch x64 ; mov Rd(to), k as i32);
        } else if let Ok(small) = i32::try_from(k as i64) {
            dynasm!(ops ; .arch x64 ; mov Rq(to), DWORD small);
        } else {
            dynasm!(ops ; .arch x64 ; mov Rq(to), QWORD k as i64);
        }
    }

    /// Moves general register `from` to where `v` lives.
    pub fn write_gpr(&mut self, from: u8, v: Value) {
        let (loc, ops) = (self.loc(v), &mut self.ops);
        match loc {
            Loc::Gpr(n) if n == from => {}
            Loc::Gpr(n) => dynasm!(ops ; .arch x64 ; mov Rq(n), Rq(from)),
            Loc::Xmm(n) => dynasm!(ops ; .arch x64 ; movq Rx(n), Rq(from)),
            Loc::Slot(n) => short!(ops, Frame::slot(n), (mov) [rsp] (, Rq(from))),
            Loc::None => {}
        }
    }

    /// The general register to make `v` in: its own, or `scratch` (then [`Self::write_gpr`] stores it).
    pub fn target(&self, v: Value, scratch: u8) -> u8 {
        match self.loc(v) {
            Loc::Gpr(n) => n,
            _ => scratch,
        }
    }

    /// The float register that holds `v`, which is put into `scratch` if it is in none.
    pub fn xmm(&mut self, v: Value, scratch: u8) -> u8 {
        if let Loc::Xmm(n) = self.loc(v) {
            return n;
        }
        self.read_xmm(v, scratch);
        scratch
    }

    /// Puts float or vector `v` into register `to`; may use rax for a scalar constant.
    pub fn read_xmm(&mut self, v: Value, to: u8) {
        if let Some(value) = self.region.constant_vector(v) {
            return self.constant_to_xmm(value, to);
        }
        if let Some(k) = self.constant(v) {
            self.constant_to_gpr(k, RAX);
            let ops = &mut self.ops;
            return dynasm!(ops ; .arch x64 ; movq Rx(to), rax);
        }
        let (loc, ops) = (self.loc(v), &mut self.ops);
        match loc {
            Loc::Xmm(n) if n == to => {}
            Loc::Xmm(n) => dynasm!(ops ; .arch x64 ; movaps Rx(to), Rx(n)),
            Loc::Gpr(n) => dynasm!(ops ; .arch x64 ; movq Rx(to), Rq(n)),
            Loc::Slot(n) if self.region.inst(v).result() == Ty::V128 => {
                short!(ops, Frame::slot(n), (movaps Rx(to),) [rsp] ());
            }
            Loc::Slot(n) => short!(ops, Frame::slot(n), (movsd Rx(to),) [rsp] ()),
            Loc::None => unreachable!("a value that is used has a place"),
        }
    }

    /// Puts a vector constant into register `to`.
    pub fn constant_to_xmm(&mut self, value: u128, to: u8) {
        if value == 0 {
            let ops = &mut self.ops;
            return dynasm!(ops ; .arch x64 ; pxor Rx(to), Rx(to));
        }
        if value == u128::MAX {
            let ops = &mut self.ops;
            return dynasm!(ops ; .arch x64 ; pcmpeqd Rx(to), Rx(to));
        }
        let at = self.pooled(value);
        let ops = &mut self.ops;
        dynasm!(ops ; .arch x64 ; movaps Rx(to), [=>at]);
    }

    /// The float register to make `v` in: its own, or `scratch` (then [`Self::write_xmm`] stores it).
    pub fn target_xmm(&self, v: Value, scratch: u8) -> u8 {
        match self.loc(v) {
            Loc::Xmm(n) => n,
            _ => scratch,
        }
    }

    /// Moves float register `from` to where `v` lives.
    pub fn write_xmm(&mut self, from: u8, v: Value) {
        let (loc, ops) = (self.loc(v), &mut self.ops);
        match loc {
            Loc::Xmm(n) if n == from => {}
            Loc::Xmm(n) => dynasm!(ops ; .arch x64 ; movaps Rx(n), Rx(from)),
            Loc::Gpr(n) => dynasm!(ops ; .arch x64 ; movq Rq(n), Rx(from)),
            Loc::Slot(n) if self.region.inst(v).result() == Ty::V128 => {
                short!(ops, Frame::slot(n), (movaps) [rsp] (, Rx(from)));
            }
            Loc::Slot(n) => short!(ops, Frame::slot(n), (movsd) [rsp] (, Rx(from))),
            Loc::None => {}
        }
    }

    /// Puts the code address that `addr` is into general register `to`.
    pub fn code_addr_to_gpr(&mut self, addr: u64, to: u8) {
        if self.env.process {
            // Code of a process stays where it is.
            return self.constant_to_gpr(addr, to);
        }
        let at = head!(page);
        let distance = addr.wrapping_sub(self.region.pc & !(PAGE_SIZE - 1));
        let ops = &mut self.ops;
        match i32::try_from(distance as i64) {
            Ok(near) => {
                short!(ops, at, (mov Rq(to),) [rbx] ());
                short!(ops, near, (lea Rq(to),) [Rq(to)] ());
            }
            Err(_) => {
                self.constant_to_gpr(distance, to);
                let ops = &mut self.ops;
                short!(ops, at, (add Rq(to),) [rbx] ());
            }
        }
    }

    /// A code address as a value.
    pub fn code_addr(&mut self, v: Value, addr: u64) {
        let to = self.target(v, RAX);
        self.code_addr_to_gpr(addr, to);
        self.write_gpr(to, v);
    }

    /// Reads a guest register.
    pub fn get(&mut self, v: Value, inst: &Inst) {
        let at = in_cpu(self.env.regs[inst.imm as usize].offset as usize);
        let (loc, ops) = (self.loc(v), &mut self.ops);
        match (loc, inst.ty) {
            (_, Ty::V128) => {
                let to = self.target_xmm(v, 0);
                let ops = &mut self.ops;
                short!(ops, at, (movups Rx(to),) [rbx] ());
                self.write_xmm(to, v);
            }
            (Loc::Xmm(n), Ty::F32) => short!(ops, at, (movss Rx(n),) [rbx] ()),
            (Loc::Xmm(n), _) => short!(ops, at, (movsd Rx(n),) [rbx] ()),
            (_, ty) => {
                let to = self.target(v, RAX);
                let ops = &mut self.ops;
                match ty.bits() {
                    64 => short!(ops, at, (mov Rq(to),) [rbx] ()),
                    _ => short!(ops, at, (mov Rd(to),) [rbx] ()),
                }
                self.write_gpr(to, v);
            }
        }
    }

    /// Writes a guest register.
    pub fn set(&mut self, inst: &Inst) {
        self.store_reg(RegId(inst.imm as u16), inst.args[0]);
    }

    /// Makes the vector `v`, which is left to its users, in xmm0. Uses rax and xmm1.
    fn join_lowest(&mut self, v: Value) -> u8 {
        let inst = *self.region.inst(v);
        let [rest, low, _] = inst.args;
        let onto_zero = self.region.constant_vector(rest) == Some(0);
        match (self.ty(low), self.loc(low)) {
            (Ty::F64, Loc::Xmm(n)) if onto_zero => {
                let ops = &mut self.ops;
                dynasm!(ops ; .arch x64 ; movq xmm0, Rx(n));
            }
            (Ty::F64 | Ty::I32 | Ty::I64, _) if onto_zero => self.read_xmm(low, 0),
            (ty, _) => {
                let low = self.xmm(low, 1);
                self.read_xmm(rest, 0);
                let ops = &mut self.ops;
                if ty.bits() == 64 {
                    dynasm!(ops ; .arch x64 ; movsd xmm0, Rx(low));
                } else {
                    dynasm!(ops ; .arch x64 ; movss xmm0, Rx(low));
                }
            }
        }
        0
    }

    /// Writes the bits of `v`, with zeros above them, to a guest register. Uses rax and xmm0.
    pub fn store_reg(&mut self, reg: RegId, v: Value) {
        let at = in_cpu(self.env.regs[reg.0 as usize].offset as usize);
        let ty = self.ty(v);
        if ty == Ty::V128 {
            let from = if self.uses.is_fused(v) { self.join_lowest(v) } else { self.xmm(v, 0) };
            let ops = &mut self.ops;
            return short!(ops, at, (movups) [rbx] (, Rx(from)));
        }
        if let Some(k) = self.constant(v).and_then(|k| i32::try_from(k as i64).ok()) {
            let ops = &mut self.ops;
            return short!(ops, at, (mov QWORD) [rbx] (, k));
        }
        if let (Loc::Xmm(n), Ty::F64) = (self.loc(v), ty) {
            let ops = &mut self.ops;
            return short!(ops, at, (movsd) [rbx] (, Rx(n)));
        }
        let from = self.gpr(v, RAX);
        let ops = &mut self.ops;
        short!(ops, at, (mov) [rbx] (, Rq(from)));
    }

    /// What an edge has to move.
    fn moves(&self, edge: &Edge) -> impl Iterator<Item = Move> {
        let params = &self.region.blocks[edge.to.0 as usize].params;
        let start = self.allocation.start[edge.to.0 as usize];
        let moves = edge.args.iter().zip(params).map(move |(arg, param)| Move {
            from: self.source(*arg),
            to: self.allocation.place(*param, start),
            wide: self.ty(*param) == Ty::V128,
        });
        moves.filter(|m| m.to != Loc::None && m.from != Source::At(m.to))
    }

    /// Whether an edge has anything to move.
    pub fn has_moves(&self, edge: &Edge) -> bool {
        self.moves(edge).next().is_some()
    }

    /// Moves the arguments of an edge to the parameters of its block, as if all at once.
    pub fn edge_moves(&mut self, edge: &Edge) {
        let mut pending: Vec<Move> = self.moves(edge).collect();
        while !pending.is_empty() {
            let blocked = |to: Loc| pending.iter().any(|m| m.from == Source::At(to));
            match pending.iter().position(|m| !blocked(m.to)) {
                Some(at) => {
                    let ready = pending.swap_remove(at);
                    self.place(ready);
                }
                None => {
                    // A cycle: one of its sources goes aside.
                    let Move { from, wide, .. } = pending[0];
                    let aside = match from {
                        Source::At(Loc::Xmm(_)) => Loc::Xmm(1),
                        _ if wide => Loc::Xmm(1),
                        _ => Loc::Gpr(RDX),
                    };
                    self.place(Move { from, to: aside, wide });
                    for waiting in &mut pending {
                        if waiting.from == from {
                            waiting.from = Source::At(aside);
                        }
                    }
                }
            }
        }
    }

    /// Puts `v` into another place as well.
    pub fn copy(&mut self, v: Value, to: Loc) {
        self.place(Move { from: self.source(v), to, wide: self.ty(v) == Ty::V128 });
    }

    fn source(&self, v: Value) -> Source {
        match (self.constant(v), self.region.constant_vector(v)) {
            (Some(k), _) => Source::Constant(k),
            (None, Some(value)) => Source::Vector(value),
            (None, None) => Source::At(self.loc(v)),
        }
    }

    /// One move between places; uses rax or xmm0 where both are in memory.
    fn place(&mut self, Move { from, to, wide }: Move) {
        let small = |k: u64| i32::try_from(k as i64).ok();
        let from = match (from, to) {
            (Source::Constant(k), Loc::Gpr(n)) => return self.constant_to_gpr(k, n),
            (Source::Constant(k), Loc::Slot(n)) if let Some(k) = small(k) => {
                let ops = &mut self.ops;
                return short!(ops, Frame::slot(n), (mov QWORD) [rsp] (, k));
            }
            (Source::Constant(k), _) => {
                self.constant_to_gpr(k, RAX);
                Loc::Gpr(RAX)
            }
            (Source::Vector(value), Loc::Xmm(n)) => return self.constant_to_xmm(value, n),
            (Source::Vector(value), _) => {
                self.constant_to_xmm(value, 0);
                Loc::Xmm(0)
            }
            (Source::At(loc), _) => loc,
        };
        let ops = &mut self.ops;
        match (from, to) {
            (Loc::Gpr(a), Loc::Gpr(b)) => dynasm!(ops ; .arch x64 ; mov Rq(b), Rq(a)),
            (Loc::Gpr(a), Loc::Xmm(b)) => dynasm!(ops ; .arch x64 ; movq Rx(b), Rq(a)),
            (Loc::Gpr(a), Loc::Slot(b)) => short!(ops, Frame::slot(b), (mov) [rsp] (, Rq(a))),
            (Loc::Xmm(a), Loc::Gpr(b)) => dynasm!(ops ; .arch x64 ; movq Rq(b), Rx(a)),
            (Loc::Xmm(a), Loc::Xmm(b)) => dynasm!(ops ; .arch x64 ; movaps Rx(b), Rx(a)),
            (Loc::Xmm(a), Loc::Slot(b)) if wide => {
                short!(ops, Frame::slot(b), (movaps) [rsp] (, Rx(a)));
            }
            (Loc::Xmm(a), Loc::Slot(b)) => short!(ops, Frame::slot(b), (movsd) [rsp] (, Rx(a))),
            (Loc::Slot(a), Loc::Gpr(b)) => short!(ops, Frame::slot(a), (mov Rq(b),) [rsp] ()),
            (Loc::Slot(a), Loc::Xmm(b)) if wide => {
                short!(ops, Frame::slot(a), (movaps Rx(b),) [rsp] ());
            }
            (Loc::Slot(a), Loc::Xmm(b)) => short!(ops, Frame::slot(a), (movsd Rx(b),) [rsp] ()),
            (Loc::Slot(a), Loc::Slot(b)) if wide => {
                short!(ops, Frame::slot(a), (movaps xmm0,) [rsp] ());
                short!(ops, Frame::slot(b), (movaps) [rsp] (, xmm0));
            }
            (Loc::Slot(a), Loc::Slot(b)) => {
                short!(ops, Frame::slot(a), (mov rax,) [rsp] ());
                short!(ops, Frame::slot(b), (mov) [rsp] (, rax));
            }
            (Loc::None, _) | (_, Loc::None) => {}
        }
    }
}

/// A move between places, of 16 bytes if `wide`.
#[derive(Clone, Copy)]
struct Move {
    from: Source,
    to: Loc,
    wide: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Constant(u64),
    Vector(u128),
    At(Loc),
}

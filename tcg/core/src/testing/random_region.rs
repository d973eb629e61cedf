//! Random regions that [`crate::ir::verify`] accepts and that always come to an end.
//!
//! Control flow is made of straight runs, conditions with two sides that meet again, exits to the side, and loops that
//! count down, at their end and in their middle, where an inner loop may still go on; so definitions dominate uses by
//! construction. Numbers are given in text order, so that the text form brings back an equal region.

use super::Rng;
use crate::cpu::{RegId, exit};
use crate::guest::Guest;
use crate::ir::{Arg, BlockId, Class, Edge, Imm, Inst, Op, Region, SnapId, Term, Value};
use crate::sem::{Hint, Lane, MemOp, Rm, Rmw, splat_bits};
use crate::ty::Ty;
use std::ops::Range;

/// Types of values.
const TYPES: [Ty; 7] = [Ty::Bool, Ty::I32, Ty::I64, Ty::F32, Ty::F64, Ty::F16, Ty::V128];
/// Of vectors of which only the lowest lane is used.
const LOWEST: usize = TYPES.len();
/// Of addresses that others are near.
const BASES: usize = TYPES.len() + 1;
/// One list for each type, and the above.
const LISTS: usize = TYPES.len() + 2;
/// Deepest nesting of loops and conditions.
const MAX_DEPTH: usize = 3;
/// About how many instructions a region has.
const SIZE: u64 = 60;

/// A region for guest `G` that accesses memory mostly in `window` (guest-virtual addresses) and sometimes just
/// beside it.
pub fn random_region<G: Guest>(rng: &mut Rng, window: Range<u64>) -> Region {
    let pc = 0x1000 + 4 * rng.below(64);
    let rm = random_rounding(rng);
    let words = rng.chance(30);
    let budget = 1 + rng.below(SIZE);
    let mut maker = Maker::<'_, G> {
        rng,
        region: Region::new(pc, rm),
        block: BlockId(0),
        known: Default::default(),
        pc,
        snap: SnapId::NONE,
        window,
        words,
        budget,
        loops: Vec::new(),
        guest: std::marker::PhantomData,
    };
    maker.begin();
    maker.body(0);
    let term = maker.exit();
    maker.end(term);
    maker.region
}

/// A region that does just `op` with type `ty`, of registers and constants, into a register. The operation takes values
/// of types that registers of `G` have, and gives one of them or a Bool.
pub fn random_operation<G: Guest>(rng: &mut Rng, op: Op, ty: Ty) -> Region {
    let rm = random_rounding(rng);
    let mut maker = Maker::<'_, G> {
        rng,
        region: Region::new(0x1000, rm),
        block: BlockId(0),
        known: Default::default(),
        pc: 0x1000,
        snap: SnapId::NONE,
        window: 0..0,
        words: false,
        budget: 1,
        loops: Vec::new(),
        guest: std::marker::PhantomData,
    };
    for (n, desc) in G::regs().iter().enumerate() {
        maker.add(Op::Get, desc.ty, n as u64, &[]);
    }
    let shape = op.shape();
    let args: Vec<Value> = shape.args.iter().map(|arg| maker.arg(*arg, ty)).collect();
    let imm = maker.imm(op, ty, shape.imm);
    let mut result = maker.add(op, ty, imm, &args);
    if maker.region.inst(result).result() == Ty::Bool {
        result = maker.add(Op::Zext, Ty::I64, 0, &[result]);
    }
    let ty = maker.region.inst(result).result();
    let reg = G::regs().iter().position(|desc| desc.ty == ty).expect("there are registers of that type");
    maker.add(Op::Set, ty, reg as u64, &[result]);
    maker.end(Term::Goto { pc: 0x1004, check: false });
    maker.region
}

fn random_rounding(rng: &mut Rng) -> Rm {
    rng.pick(&[Rm::Rne, Rm::Rne, Rm::Rtz, Rm::Rdn, Rm::Rup, Rm::Rmm])
}

struct Maker<'a, G> {
    rng: &'a mut Rng,
    region: Region,
    block: BlockId,
    /// Values that may be used here, by type; vectors of which only state and the lowest lane may be taken; and bases of addresses.
    known: [Vec<Value>; LISTS],
    pc: u64,
    snap: SnapId,
    window: Range<u64>,
    /// Most lowest lanes are words.
    words: bool,
    /// How many more instructions there may be.
    budget: u64,
    /// The loops around, the innermost last.
    loops: Vec<Counted>,
    guest: std::marker::PhantomData<G>,
}

/// A loop that counts down.
#[derive(Clone)]
struct Counted {
    head: BlockId,
    /// The types of the head's parameters, but its last one, the counter.
    types: Vec<Ty>,
    counter: Value,
}

fn type_index(ty: Ty) -> usize {
    TYPES.iter().position(|t| *t == ty).expect("values have one of these types")
}

impl<G: Guest> Maker<'_, G> {
    /// Where to cut `known` when the blocks made from here on no longer dominate.
    fn scope(&self) -> [usize; LISTS] {
        std::array::from_fn(|i| self.known[i].len())
    }

    fn leave_scope(&mut self, scope: [usize; LISTS]) {
        self.known.iter_mut().zip(scope).for_each(|(list, len)| list.truncate(len));
    }

    fn add(&mut self, op: Op, ty: Ty, imm: u64, args: &[Value]) -> Value {
        let mut all = [Value::NONE; 3];
        all[..args.len()].copy_from_slice(args);
        let snap = if op == Op::Mark { self.snap } else { SnapId::NONE };
        let snap = if op.has_snapshot() && op != Op::Mark { self.snapshot() } else { snap };
        let inst = Inst { op, ty, args: all, imm, snap };
        let v = self.region.push(self.block, inst);
        if inst.result() != Ty::None {
            self.known[type_index(inst.result())].push(v);
        }
        v
    }

    /// Flags of sums, which nobody knows of but whoever asked for them.
    fn flags(&mut self) -> Value {
        let op = self.rng.pick(&[Op::FlagsAdd, Op::FlagsSub, Op::FlagsLogic]);
        let ty = self.rng.pick(&[Ty::I32, Ty::I64]);
        let mut args = [Value::NONE; 3];
        args[..op.arg_count()].fill_with(|| {
            let operands = [self.value(ty), self.value(ty), Value::NONE];
            self.push_unknown(Op::Add, ty, operands)
        });
        self.push_unknown(op, ty, args)
    }

    /// A scalar put into the lowest lane of a vector, mostly of zeros.
    fn lowest(&mut self) -> Value {
        let doubles = [Ty::F64x2, Ty::F64x2, Ty::I64x2];
        let lanes = if self.words { [Ty::F32x4, Ty::F32x4, Ty::I32x4] } else { doubles };
        let ty = if self.rng.chance(90) { self.rng.pick(&lanes) } else { Ty::F64x2 };
        let rest = match self.rng.below(8) {
            0 => self.value(Ty::V128),
            1 => self.lowest_known(),
            _ => {
                let zero = self.region.vector(0);
                self.push_unknown_with(Op::Const, Ty::V128, [Value::NONE; 3], zero)
            }
        };
        let lane = if matches!(ty, Ty::F32x4 | Ty::F64x2) { ty.float_lane() } else { ty.int_lane() };
        let low = self.value(lane);
        let v = self.push_unknown(Op::Insert, ty, [rest, low, Value::NONE]);
        self.known[LOWEST].push(v);
        v
    }

    /// One of the vectors of which only the lowest lane is used, if there are any.
    fn lowest_known(&mut self) -> Value {
        match &self.known[LOWEST][..] {
            [] => self.value(Ty::V128),
            known => self.rng.pick(known),
        }
    }

    /// Takes the lowest lane of a vector, or writes the vector to the state.
    fn use_lowest(&mut self) {
        let v = if self.rng.chance(40) { self.lowest() } else { self.lowest_known() };
        let regs = G::regs().iter().enumerate().filter(|(_, desc)| desc.ty == Ty::V128);
        let regs: Vec<_> = regs.map(|(n, _)| n as u64).collect();
        if self.rng.chance(30) && !regs.is_empty() {
            let reg = self.rng.pick(&regs);
            self.add(Op::Set, Ty::V128, reg, &[v]);
            return;
        }
        let types = if self.words { [Ty::F32, Ty::F32, Ty::I32] } else { [Ty::F64, Ty::F64, Ty::I64] };
        let ty = self.rng.pick(&types);
        self.add(Op::Extract, ty, Lane::new(if self.words { 2 } else { 3 }, 0).pack(), &[v]);
    }

    fn push_unknown(&mut self, op: Op, ty: Ty, args: [Value; 3]) -> Value {
        self.push_unknown_with(op, ty, args, 0)
    }

    fn push_unknown_with(&mut self, op: Op, ty: Ty, args: [Value; 3], imm: u64) -> Value {
        self.region.push(self.block, Inst { op, ty, args, imm, snap: SnapId::NONE })
    }

    /// A snapshot of the present instruction, now and then with values for registers.
    fn snapshot(&mut self) -> SnapId {
        let mut regs = Vec::new();
        while self.rng.chance(10) {
            let reg = RegId(self.rng.below(G::regs().len() as u64) as u16);
            let ty = G::regs()[reg.0 as usize].ty;
            if regs.iter().any(|(r, _)| *r == reg) {
                continue;
            }
            if ty == Ty::I32 && self.rng.chance(50) {
                regs.push((reg, self.flags()));
            } else if ty == Ty::V128 && self.rng.chance(60) {
                let v = if self.rng.chance(30) { self.lowest() } else { self.lowest_known() };
                regs.push((reg, v));
            } else if let known @ [_, ..] = &self.known[type_index(ty)][..] {
                regs.push((reg, self.rng.pick(known)));
            }
        }
        let retired = self.rng.below(4);
        self.region.intern_snapshot(self.pc, retired, &regs)
    }

    /// Starts a guest instruction.
    fn begin(&mut self) {
        self.pc += 4;
        self.snap = self.region.intern_snapshot(self.pc, 0, &[]);
        self.add(Op::Mark, Ty::None, 0, &[]);
    }

    fn end(&mut self, term: Term) {
        self.region.blocks[self.block.0 as usize].term = term;
    }

    fn next_block(&mut self) -> BlockId {
        self.block = self.region.add_block();
        self.block
    }

    fn constant(&mut self, ty: Ty) -> Value {
        let imm = self.constant_imm(ty);
        self.add(Op::Const, ty, imm, &[])
    }

    fn constant_imm(&mut self, ty: Ty) -> u64 {
        if ty == Ty::V128 {
            let value = if self.rng.chance(25) { self.shift_amounts() } else { self.rng.vector() };
            return self.region.vector(value);
        }
        self.rng.value(ty)
    }

    /// A vector with the same small number in every lane.
    fn shift_amounts(&mut self) -> u128 {
        let ty = Ty::int_lanes(self.rng.below(4) as u8);
        splat_bits(ty, self.rng.below(u64::from(ty.lane_bits()) + 4))
    }

    /// The control of a shuffle: bytes at random, whole lanes, or one lane everywhere.
    fn shuffle_control(&mut self) -> u128 {
        let size = self.rng.below(4) as u8;
        let (bytes, limit) = (1 << size, 32 >> size);
        let same = self.rng.chance(20).then(|| self.rng.below(limit));
        let (step, start) = (self.rng.pick(&[1, 1, 2]), self.rng.below(limit));
        let regular = self.rng.chance(50);
        let mut control = [0; 16];
        for (n, lane) in control.chunks_mut(bytes).enumerate() {
            let from = match same {
                Some(lane) => lane,
                None if regular => (start + step * n as u64) % limit,
                None => self.rng.below(limit + 1),
            };
            lane.iter_mut().enumerate().for_each(|(i, byte)| *byte = (from << size) as u8 + i as u8);
        }
        u128::from_le_bytes(control)
    }

    /// Some value of type `ty`.
    fn value(&mut self, ty: Ty) -> Value {
        let known = &self.known[type_index(ty)];
        if known.is_empty() || self.rng.chance(10) {
            return self.constant(ty);
        }
        // Mostly recent ones, so that long chains come up.
        let recent = known.len().saturating_sub(6);
        if self.rng.chance(60) { self.rng.pick(&known[recent..]) } else { self.rng.pick(known) }
    }

    fn class(&mut self, class: Class) -> Ty {
        let types: Vec<Ty> = Ty::ALL.into_iter().filter(|ty| class.contains(*ty)).collect();
        match class {
            Class::Is(ty) => ty,
            _ => self.rng.pick(&types),
        }
    }

    fn arg(&mut self, arg: Arg, ty: Ty) -> Value {
        let types: Vec<Ty> = TYPES.into_iter().filter(|t| arg.accepts(ty, *t)).collect();
        let ty = self.rng.pick(&types);
        self.value(ty)
    }

    /// An address: in the window, at its edges, or anywhere; or near another one.
    fn address(&mut self) -> Value {
        if let bases @ [_, ..] = &self.known[BASES][..]
            && self.rng.chance(40)
        {
            let base = self.rng.pick(&bases[bases.len().saturating_sub(2)..]);
            let distance = self.rng.below(64).wrapping_sub(16);
            let distance = self.add(Op::Const, Ty::I64, distance, &[]);
            return self.add(Op::Add, Ty::I64, 0, &[base, distance]);
        }
        let size = self.window.end - self.window.start;
        match self.rng.below(100) {
            0..40 => {
                let addr = self.window.start + self.rng.below(size / 8) * 8;
                self.add(Op::Const, Ty::I64, addr, &[])
            }
            40..55 => {
                let addr = self.window.start + self.rng.below(size - 8);
                self.add(Op::Const, Ty::I64, addr, &[])
            }
            55..95 => {
                let align = self.rng.pick(&[8, 8, 4, 1]);
                let (any, mask) = (self.value(Ty::I64), (size.next_power_of_two() / 2 - 1) & !(align - 1));
                let mask = self.add(Op::Const, Ty::I64, mask, &[]);
                let offset = self.add(Op::And, Ty::I64, 0, &[any, mask]);
                let start = self.add(Op::Const, Ty::I64, self.window.start, &[]);
                let base = self.add(Op::Add, Ty::I64, 0, &[offset, start]);
                self.known[BASES].push(base);
                base
            }
            95..98 => {
                let addr = self.window.end - 8 + self.rng.below(16);
                self.add(Op::Const, Ty::I64, addr, &[])
            }
            _ => self.value(Ty::I64),
        }
    }

    /// One random instruction.
    fn inst(&mut self) {
        self.budget = self.budget.saturating_sub(1);
        if self.rng.chance(8) {
            return self.use_lowest();
        }
        let op =
            if self.rng.chance(15) { self.rng.pick(&[Op::Load, Op::Store]) } else { self.rng.pick(Op::ALL) };
        let shape = op.shape();
        match op {
            // There are neither turns nor observers here.
            Op::Nop | Op::Param | Op::Tally | Op::Observe | Op::Quota => return,
            Op::Mark => return self.begin(),
            Op::Get | Op::Set => {
                let reg = self.rng.below(G::regs().len() as u64);
                let ty = self.same_width(G::regs()[reg as usize].ty);
                let args: Vec<Value> = shape.args.iter().map(|_| self.value(ty)).collect();
                self.add(op, ty, reg, &args);
                return;
            }
            _ => {}
        }
        let ty = self.class(shape.ty);
        let first = matches!(shape.imm, Imm::Mem | Imm::LaneMem | Imm::Rmw).then(|| self.address());
        let rest = &shape.args[first.iter().len()..];
        let mut args: Vec<Value> =
            first.into_iter().chain(rest.iter().map(|arg| self.arg(*arg, ty))).collect();
        if op == Op::FlagsOf {
            // A kind that there is, mostly.
            let kind = self.rng.below(8);
            let some = self.add(Op::Const, Ty::I32, kind, &[]);
            args[2] =
                if self.rng.chance(50) { some } else { self.add(Op::And, Ty::I32, 0, &[some, args[2]]) };
        }
        let imm = self.imm(op, ty, shape.imm);
        self.add(op, ty, imm, &args);
    }

    /// `ty`, or the other type of that width.
    fn same_width(&mut self, ty: Ty) -> Ty {
        let types: Vec<Ty> = TYPES.into_iter().filter(|t| t.bits() == ty.bits()).collect();
        if self.rng.chance(80) { ty } else { self.rng.pick(&types) }
    }

    fn imm(&mut self, op: Op, ty: Ty, imm: Imm) -> u64 {
        match imm {
            Imm::None | Imm::Reg => 0,
            Imm::Const => self.constant_imm(ty),
            Imm::Index => self.rng.below(ty.lanes().into()),
            Imm::Lane => self.lane(ty).pack(),
            Imm::Vector => {
                let control = self.shuffle_control();
                self.region.vector(control)
            }
            Imm::Widen | Imm::Narrow | Imm::Halves | Imm::Aes => self.rng.below(4),
            Imm::VectorHelper => self.helper(true) | self.rng.below(256) << 16,
            Imm::Bits => self.rng.pick(if ty == Ty::I64 { &[8, 16, 32] } else { &[8, 16] }),
            Imm::Mem if op == Op::AtomicCas => self.atomic(ty).pack(),
            Imm::Mem => self.access(op, ty).pack(),
            Imm::LaneMem => {
                let (size, aligned) = (self.rng.below(4) as u8, self.rng.chance(20));
                MemOp { size, signed: false, aligned }.pack()
            }
            Imm::Sha256 => self.rng.below(3),
            Imm::Rmw => self.rng.pick(&Rmw::ALL).pack(self.atomic(ty)),
            Imm::Order => self.rng.below(16),
            Imm::Insns => 1 + self.rng.below(100),
            Imm::Counter | Imm::Event => 0,
            Imm::Helper => self.helper(false),
            // What a helper-less unit cannot do has to come up, but not most of the time.
            Imm::Cond => self.rng.below(14),
            _ => {
                let same = self.rng.chance(60);
                let rm = if same { self.region.rm } else { random_rounding(self.rng) };
                let cc = if imm == Imm::CondFloat { self.rng.below(14) << 8 } else { 0 };
                let start = cc | if imm.rounds() { rm as u64 } else { 0 };
                let chance = if ty.is_vector() && self.rng.chance(60) { 0 } else { 30 };
                let words = imm.words().iter().filter(|_| self.rng.chance(chance));
                words.fold(start, |all, (_, bit)| all | bit)
            }
        }
    }

    /// One of the guest's helpers that are vector helpers or that are not.
    fn helper(&mut self, vectors: bool) -> u64 {
        let fits = |id: &u64| G::helpers()[*id as usize].vectors == vectors;
        let all: Vec<u64> = (0..G::helpers().len() as u64).filter(fits).collect();
        self.rng.pick(&all)
    }

    /// A lane that can become a scalar of type `ty`.
    fn lane(&mut self, ty: Ty) -> Lane {
        let whole = u64::from(ty.bits().trailing_zeros() - 3);
        let size = if ty.is_float() { whole } else { self.rng.below(whole + 1) };
        let lane = Lane::new(size as u8, self.rng.below(16 >> size) as u8);
        if !ty.is_float() && self.rng.chance(50) { lane.signed() } else { lane }
    }

    fn access(&mut self, op: Op, ty: Ty) -> MemOp {
        let whole = u64::from(ty.bits().trailing_zeros() - 3);
        let size = if ty.in_float_register() { whole } else { self.rng.below(whole + 1) };
        let signed = op == Op::Load && !ty.in_float_register() && self.rng.chance(50);
        MemOp { size: size as u8, signed, aligned: self.rng.chance(20) }
    }

    fn atomic(&mut self, ty: Ty) -> MemOp {
        let size = if ty == Ty::I64 { 2 + self.rng.below(2) } else { 2 };
        MemOp { size: size as u8, signed: self.rng.chance(50), aligned: true }
    }

    /// Instructions and control flow until the budget is used up, or chance ends it.
    fn body(&mut self, depth: usize) {
        while self.budget > 0 {
            for _ in 0..=self.rng.below(8) {
                self.inst();
            }
            match self.rng.below(12) {
                0..3 if depth < MAX_DEPTH => self.condition(depth),
                3..5 if depth < MAX_DEPTH => self.counted_loop(depth),
                5 => self.side_exit(),
                6 => self.straight(),
                7 if depth > 0 => return,
                8 if !self.loops.is_empty() => self.once_more(),
                _ => {}
            }
        }
    }

    /// Up to three new parameters' types.
    fn param_types(&mut self) -> Vec<Ty> {
        (0..self.rng.below(4)).map(|_| self.rng.pick(&TYPES)).collect()
    }

    fn args(&mut self, types: &[Ty]) -> Vec<Value> {
        let value = |ty: &Ty| match ty {
            Ty::V128 if self.rng.chance(60) => self.lowest(),
            Ty::V128 if self.rng.chance(60) => self.lowest_known(),
            ty => self.value(*ty),
        };
        types.iter().map(value).collect()
    }

    fn params(&mut self, types: &[Ty]) -> Vec<Value> {
        let block = self.block;
        let add = |ty: &Ty| {
            let v = self.region.add_param(block, *ty);
            let lowest = *ty == Ty::V128 && self.rng.chance(80);
            self.known[if lowest { LOWEST } else { type_index(*ty) }].push(v);
            v
        };
        types.iter().map(add).collect()
    }

    fn straight(&mut self) {
        let types = self.param_types();
        let args = self.args(&types);
        let from = self.block;
        let to = self.next_block();
        self.params(&types);
        self.region.blocks[from.0 as usize].term = Term::Jump(Edge { to, args });
    }

    fn side_exit(&mut self) {
        let (cond, from) = (self.value(Ty::Bool), self.block);
        let out = self.next_block();
        let scope = self.scope();
        let term = self.exit();
        self.end(term);
        self.leave_scope(scope);
        let on = self.next_block();
        let (mut then, mut other) = (Edge::to(out), Edge::to(on));
        if self.rng.chance(50) {
            std::mem::swap(&mut then, &mut other);
        }
        self.region.blocks[from.0 as usize].term = Term::Branch { cond, then, other };
    }

    fn condition(&mut self, depth: usize) {
        let (cond, from) = (self.value(Ty::Bool), self.block);
        let types = self.param_types();
        let straight_on = self.rng.chance(40).then(|| self.args(&types));
        let scope = self.scope();
        let then = Edge::to(self.next_block());
        let mut ends = vec![self.arm(depth, &types)];
        self.leave_scope(scope);
        let other = match straight_on {
            Some(args) => Edge { to: BlockId(self.region.blocks.len() as u32), args },
            None => {
                let other = Edge::to(self.next_block());
                ends.push(self.arm(depth, &types));
                self.leave_scope(scope);
                other
            }
        };
        self.region.blocks[from.0 as usize].term = Term::Branch { cond, then, other };
        let to = self.next_block();
        self.params(&types);
        for (block, args) in ends {
            self.region.blocks[block.0 as usize].term = Term::Jump(Edge { to, args });
        }
    }

    /// One side of a condition: the block it ends with, and the arguments for where the sides meet.
    fn arm(&mut self, depth: usize, types: &[Ty]) -> (BlockId, Vec<Value>) {
        self.body(depth + 1);
        let args = self.args(types);
        (self.block, args)
    }

    fn counted_loop(&mut self, depth: usize) {
        let mut types = self.param_types();
        let count = 1 + self.rng.below(4);
        let mut args = self.args(&types);
        args.push(self.add(Op::Const, Ty::I64, count, &[]));
        types.push(Ty::I64);
        let from = self.block;
        let head = self.next_block();
        let params = self.params(&types);
        self.region.blocks[from.0 as usize].term = Term::Jump(Edge { to: head, args });
        types.pop();
        let counter = *params.last().expect("the counter was added");
        self.loops.push(Counted { head, types, counter });
        self.body(depth + 1);
        let around = self.loops.pop().expect("the loop was added");
        self.count_down(&around);
    }

    /// Goes to the head of a loop around, by chance and as long as it counts.
    fn once_more(&mut self) {
        let (cond, from) = (self.value(Ty::Bool), self.block);
        let around = self.loops[self.rng.below(self.loops.len() as u64) as usize].clone();
        let scope = self.scope();
        let side = self.next_block();
        self.count_down(&around);
        self.leave_scope(scope);
        let (then, other) = (Edge::to(side), Edge::to(self.block));
        self.region.blocks[from.0 as usize].term = Term::Branch { cond, then, other };
    }

    /// Ends the block with a jump to the head of `around` if that has rounds left; what comes next is made next.
    fn count_down(&mut self, around: &Counted) {
        let mut args = self.args(&around.types);
        let one = self.add(Op::Const, Ty::I64, 1, &[]);
        let left = self.add(Op::Sub, Ty::I64, 0, &[around.counter, one]);
        let zero = self.add(Op::Const, Ty::I64, 0, &[]);
        let cond = self.add(Op::Ne, Ty::I64, 0, &[left, zero]);
        args.push(left);
        let latch = self.block;
        let on = self.next_block();
        self.region.blocks[latch.0 as usize].term =
            Term::Branch { cond, then: Edge { to: around.head, args }, other: Edge::to(on) };
    }

    fn exit(&mut self) -> Term {
        let pc = 0x1000 + 2 * self.rng.below(2048);
        match self.rng.below(8) {
            0 => Term::Trap { pc: self.pc, code: self.rng.below(16) as u32, value: self.rng.bits() },
            1 => Term::Exit { pc, code: self.rng.pick(&[exit::HALT, exit::YIELD]) },
            2 => {
                let hint = self.rng.pick(&[Hint::Jump, Hint::Return, Hint::Resync]);
                // The jump cache relies on even addresses.
                let even = self.add(Op::Const, Ty::I64, !1, &[]);
                let any = self.value(Ty::I64);
                Term::Indirect { target: self.add(Op::And, Ty::I64, 0, &[any, even]), hint }
            }
            _ => Term::Goto { pc, check: self.rng.chance(50) },
        }
    }
}

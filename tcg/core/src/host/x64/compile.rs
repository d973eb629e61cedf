//! One region: which values are fused into their users, allocation, and the walk that emits.

use super::direct::Access;
use super::features::HostFeatures;
use super::piece::{Fixup, Piece};
use super::spans::Spans;
use super::stubs::Stub;
use crate::host::{CompileError, Env};
use crate::ir::{BlockId, Effect, Inst, Op, Region, SnapId, Term, Value};
use crate::opt::lowest;
use crate::regalloc::{self, Allocation, Loc, Pool, RegSet, Scratch};
use crate::sem::{MemOp, Order};
use crate::ty::Ty;
use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, VecAssembler};
use std::collections::VecDeque;
use std::ops::Range;

/// The stack frame of generated code.
pub struct Frame;

impl Frame {
    /// Slots that values may have.
    pub const SLOTS: u16 = 200;
    /// Room to save caller-saved registers around calls: sixteen general, sixteen float.
    const SAVE: i32 = 16 * 8 + 16 * 16;
    /// Size; with six pushes and the return address it keeps the stack 16-aligned.
    pub const BYTES: i32 = Self::SLOTS as i32 * 8 + Self::SAVE + 8;

    /// Where register `n` (float registers from 16, 16-aligned) is saved.
    pub fn save(n: u8) -> i32 {
        let n = i32::from(n);
        Self::SLOTS as i32 * 8 + if n < 16 { n * 8 } else { 16 * 8 + (n - 16) * 16 }
    }

    /// Where slot `n` is.
    pub fn slot(n: u16) -> i32 {
        i32::from(n) * 8
    }
}

/// Registers for values: not rbx, rsp, and the emitters' own.
pub const GPR: [u8; 11] = [6, 7, 5, 8, 9, 10, 11, 12, 13, 14, 15];
/// The one of them that holds the TLB's address in code that has one ([`Env::direct`]).
pub const TLB: u8 = 15;
pub const XMM: [u8; 13] = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// Registers that calls do not preserve: rsi, rdi, r8-r11 and all float registers.
pub const CALLER_SAVED: RegSet = 0xffff_0fc0;

/// The assembler.
pub type Asm = VecAssembler<X64Relocation>;

/// Compiles one region after the other, with its buffers used again.
pub struct Compiler {
    features: HostFeatures,
    shared: Shared,
    /// All registers.
    pool: Pool,
    /// Those of code with a TLB.
    pool_beside_tlb: Pool,
    scratch: Scratch,
    allocation: Allocation,
    uses: Uses,
    spans: Spans,
    room: Room,
    piece: Piece,
}

/// Code that all regions share: offsets in the buffer.
#[derive(Clone, Copy)]
pub struct Shared {
    /// Goes to the guest address in rax, whose entry of the jump cache at rcx is another's, or leaves for it.
    pub lookup: u32,
    /// Leaves for the guest address in rax, since somebody wants attention.
    pub request: u32,
    /// Leaves for the guest address in rax, before which the state is to be looked at.
    pub resync: u32,
    /// Leaves for the guest address in rax by the exit record in ecx, whose own address is none.
    pub went: u32,
    /// Leaves with the code in dl by the exit record in ecx, which has the whole guest address.
    pub exit: u32,
    /// The same, with an address relative to [`crate::cpu::CpuHeader::page`].
    pub exit_near: u32,
    /// Leaves with the code in edx through the state record in ecx.
    pub leave: u32,
    /// Carries out the access record in ecx, at the address in rax. To be called.
    pub access: u32,
}

/// Lists of an [`Emit`] that are used again.
struct Room {
    ops: Asm,
    labels: Vec<DynamicLabel>,
    order: Vec<BlockId>,
    stubs: Vec<Stub>,
    pool: Vec<(u128, DynamicLabel)>,
    accesses: Vec<Access>,
    ways_apart: VecDeque<(Value, DynamicLabel)>,
}

impl Room {
    fn new() -> Self {
        Self {
            ops: VecAssembler::new(0),
            labels: Vec::new(),
            order: Vec::new(),
            stubs: Vec::new(),
            pool: Vec::new(),
            accesses: Vec::new(),
            ways_apart: VecDeque::new(),
        }
    }
}

/// What `inst` adds to its first operand, if that is all it does and a displacement can be it.
pub fn displacement(region: &Region, inst: &Inst) -> Option<i32> {
    if inst.op != Op::Add {
        return None;
    }
    let by = region.inst(inst.args[1]);
    i32::try_from(by.imm as i64).ok().filter(|_| by.op == Op::Const)
}

/// The operand of addition `inst` that is shifted left by 1 to 3 and can be an index of the host's addresses, and the other.
pub fn scaled(region: &Region, inst: &Inst) -> Option<(Value, Value)> {
    let [a, b, _] = inst.args;
    let fits = |v: Value| {
        let shift = region.inst(v);
        let by = region.inst(shift.args().get(1).copied()?);
        ((shift.op, shift.ty, by.op) == (Op::Shl, inst.ty, Op::Const) && (1..4).contains(&by.imm))
            .then_some(v)
    };
    if inst.ty.is_vector() { None } else { fits(b).map(|b| (b, a)).or_else(|| fits(a).map(|a| (a, b))) }
}

/// Whether the code for `user` takes of its operands no more than their low half: not where zeros must be above it.
fn reads_low_half(user: &Inst) -> bool {
    match user.op {
        Op::Add | Op::Sub | Op::And | Op::Or | Op::Xor | Op::Mul | Op::Shl | Op::ShrU | Op::ShrS => {
            user.ty == Ty::I32
        }
        Op::Eq | Op::Ne | Op::LtU | Op::LtS | Op::CondSub => user.ty == Ty::I32,
        Op::FlagsAdd | Op::FlagsSub | Op::FlagsLogic => user.ty == Ty::I32,
        Op::SextW => true,
        _ => false,
    }
}

/// How often values are used, and which are left to their users.
#[derive(Default)]
pub struct Uses {
    count: Vec<u32>,
    /// How many of the uses of a low half would do with the whole.
    low: Vec<u32>,
    /// How many of the uses are by snapshots.
    saved: Vec<u32>,
    /// How many are by [`Op::Set`].
    set: Vec<u32>,
    fused: Vec<bool>,
}

/// Whether `v` is a vector that its users can make of the lowest lane and the rest, which is known or comes from afar.
fn is_parted(region: &Region, v: Value) -> bool {
    lowest(region, v).is_some_and(|(rest, _)| matches!(region.inst(rest).op, Op::Const | Op::Param))
}

/// A comparison whose outcome is one condition on the host's flags.
fn is_compare(region: &Region, inst: &Inst) -> bool {
    match inst.op {
        _ if inst.ty.is_vector() => false,
        Op::Eq | Op::Ne | Op::LtU | Op::LtS | Op::Cond | Op::CondSub => true,
        Op::CondFloat => super::float::is_one_condition(inst, region),
        _ => false,
    }
}

impl Uses {
    /// Whether `v` is computed by its users.
    pub fn is_fused(&self, v: Value) -> bool {
        self.fused[v.0 as usize]
    }

    /// Counts uses and decides what is fused: a comparison into the branch or selection that alone uses it, an addition of a
    /// constant into the memory operations that alone use it as address, a small shift into the addition that alone uses it, and
    /// flags that only snapshots name into these: whoever leaves there makes them. So for vectors with a lowest lane of their own,
    /// which are also made where they are written to the state.
    fn find(&mut self, region: &Region) {
        let n = region.insts.len();
        self.count.clear();
        self.count.resize(n, 0);
        self.low.clear();
        self.low.resize(n, 0);
        self.saved.clear();
        self.saved.resize(n, 0);
        self.set.clear();
        self.set.resize(n, 0);
        self.fused.clear();
        self.fused.resize(n, false);
        for block in &region.blocks {
            for &v in &block.insts {
                let inst = region.inst(v);
                inst.args().iter().for_each(|a| self.count[a.0 as usize] += 1);
                if reads_low_half(inst) {
                    inst.args().iter().for_each(|a| self.low[a.0 as usize] += 1);
                }
                if inst.op == Op::Set {
                    self.set[inst.args[0].0 as usize] += 1;
                }
                if inst.snap != SnapId::NONE {
                    // A value in a snapshot must exist as such: counted as if used twice.
                    for (_, v) in region.outdated(inst.snap) {
                        self.count[v.0 as usize] += 2;
                        self.saved[v.0 as usize] += 2;
                    }
                }
            }
            match &block.term {
                Term::Branch { cond, .. } => self.count[cond.0 as usize] += 1,
                Term::Indirect { target, .. } => self.count[target.0 as usize] += 1,
                _ => {}
            }
            block.term.edges().flat_map(|e| &e.args).for_each(|v| self.count[v.0 as usize] += 1);
        }
        for block in &region.blocks {
            // Only within the block: the operands' registers are then still theirs.
            for (n, &v) in block.insts.iter().enumerate() {
                let inst = region.inst(v);
                match inst.op {
                    Op::Trunc => {
                        self.fused[v.0 as usize] = self.low[v.0 as usize] == self.count[v.0 as usize]
                    }
                    Op::FlagsAdd | Op::FlagsSub | Op::FlagsLogic | Op::FlagsOf => {
                        self.fused[v.0 as usize] = self.saved[v.0 as usize] == self.count[v.0 as usize]
                    }
                    Op::Insert if is_parted(region, v) => {
                        let written = self.saved[v.0 as usize] + self.set[v.0 as usize];
                        self.fused[v.0 as usize] = written == self.count[v.0 as usize];
                    }
                    Op::Add => self.try_scaled(region, inst),
                    Op::Select => self.try_compare(region, &block.insts[..n], inst.args[0]),
                    Op::Load | Op::Store | Op::LoadLanes | Op::StoreLanes => {
                        self.try_address(region, inst.args[0]);
                    }
                    _ => {}
                }
            }
            if let Term::Branch { cond, .. } = &block.term {
                self.try_compare(region, &block.insts, *cond);
            }
        }
    }

    /// Leaves comparison `v` to its only user, if it is among `before`: the block's instructions up to the user.
    fn try_compare(&mut self, region: &Region, before: &[Value], v: Value) {
        let inst = region.inst(v);
        if !is_compare(region, inst) || self.count[v.0 as usize] != 1 {
            return;
        }
        let Some(at) = before.iter().rposition(|other| *other == v) else { return };
        // Float flags are raised before anything that may leave.
        let leaves = |v: &Value| region.inst(*v).op.effect() == Effect::Memory;
        if inst.op != Op::CondFloat || !before[at..].iter().any(leaves) {
            self.fused[v.0 as usize] = true;
        }
    }

    fn try_scaled(&mut self, region: &Region, inst: &Inst) {
        if let Some((shift, other)) = scaled(region, inst)
            && self.count[shift.0 as usize] == 1
            && region.inst(other).op != Op::Const
        {
            self.fused[shift.0 as usize] = true;
        }
    }

    fn try_address(&mut self, region: &Region, v: Value) {
        if self.count[v.0 as usize] == 1 && displacement(region, region.inst(v)).is_some() {
            self.fused[v.0 as usize] = true;
        }
    }
}

impl Compiler {
    /// A compiler for a CPU with `features`, and a buffer with the code `shared`.
    pub fn new(features: HostFeatures, shared: Shared) -> Self {
        Self {
            features,
            shared,
            pool: Pool { gpr: GPR.to_vec(), xmm: XMM.to_vec() },
            pool_beside_tlb: Pool { gpr: GPR.into_iter().filter(|n| *n != TLB).collect(), xmm: XMM.to_vec() },
            scratch: Scratch::default(),
            allocation: Allocation::default(),
            uses: Uses::default(),
            spans: Spans::default(),
            room: Room::new(),
            piece: Piece::default(),
        }
    }

    /// Compiles `region`.
    ///
    /// # Errors
    /// [`CompileError::TooLarge`].
    pub fn compile(&mut self, region: &Region, env: &Env) -> Result<&Piece, CompileError> {
        self.uses.find(region);
        let all = if env.direct { &self.pool } else { &self.pool_beside_tlb };
        let random = env.random_registers.map(|seed| random_pool(all, seed));
        let pool = random.as_ref().unwrap_or(all);
        regalloc::allocate(region, pool, &self.uses.fused, &mut self.scratch, &mut self.allocation);
        if self.allocation.slots > Frame::SLOTS {
            return Err(CompileError::TooLarge);
        }
        self.spans.clear();
        if !env.direct {
            self.spans.find(region, &self.uses.fused, env.tlb.alone, Frame::SLOTS - self.allocation.slots);
        }
        self.piece.clear();
        let mut emit = Emit {
            region,
            env,
            features: env.random_registers.map_or(self.features, |seed| self.features.part(seed)),
            allocation: &self.allocation,
            uses: &self.uses,
            spans: &self.spans,
            ops: &mut self.room.ops,
            labels: &mut self.room.labels,
            order: &mut self.room.order,
            stubs: &mut self.room.stubs,
            pool: &mut self.room.pool,
            accesses: &mut self.room.accesses,
            ways_apart: &mut self.room.ways_apart,
            rejoins: None,
            apart: false,
            shared: self.shared,
            piece: &mut self.piece,
            last_state: None,
            at: 0,
        };
        emit.region();
        emit.note_faults();
        emit.emit_pool();
        self.piece.code.extend(self.room.ops.drain().expect("every label of a region is placed"));
        Ok(&self.piece)
    }
}

/// Some of the registers in random order, for tests.
fn random_pool(all: &Pool, mut seed: u64) -> Pool {
    let mut pool = all.clone();
    let mut shuffle = |list: &mut Vec<u8>, least: usize| {
        for i in (1..list.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            list.swap(i, (seed >> 33) as usize % (i + 1));
        }
        // Few registers make many spills.
        list.truncate(least + (seed >> 40) as usize % (list.len() - least + 1));
    };
    shuffle(&mut pool.gpr, 2);
    shuffle(&mut pool.xmm, 2);
    pool
}

/// A region being emitted.
pub struct Emit<'a> {
    pub region: &'a Region,
    pub env: &'a Env<'a>,
    pub features: HostFeatures,
    pub allocation: &'a Allocation,
    pub uses: &'a Uses,
    pub spans: &'a Spans,
    pub ops: &'a mut Asm,
    pub shared: Shared,
    /// What is made; its code is in `ops` as yet.
    pub piece: &'a mut Piece,
    /// The position whose code is emitted, by which values are found.
    pub at: u32,
    /// The state record that was made last, and for which position.
    pub last_state: Option<(SnapId, u32, u32)>,
    /// One for each block.
    pub labels: &'a mut Vec<DynamicLabel>,
    /// Blocks in the order of their code.
    pub order: &'a mut Vec<BlockId>,
    pub stubs: &'a mut Vec<Stub>,
    /// Vector constants that stand behind the code.
    pub pool: &'a mut Vec<(u128, DynamicLabel)>,
    /// Code that may fault.
    pub accesses: &'a mut Vec<Access>,
    /// Ways into copies of stretches, which are not emitted yet, by the access that is the first there.
    pub ways_apart: &'a mut VecDeque<(Value, DynamicLabel)>,
    /// Where the copy of the present stretch leads: before the instruction of this number.
    pub rejoins: Option<(usize, DynamicLabel)>,
    /// The copy of a stretch is emitted.
    pub apart: bool,
}

impl<'a> Emit<'a> {
    fn region(&mut self) {
        let region = self.region;
        self.labels.clear();
        self.labels.extend(region.blocks.iter().map(|_| self.ops.new_dynamic_label()));
        self.order.clear();
        self.order.extend((0..region.blocks.len() as u32).map(BlockId));
        self.stubs.clear();
        self.pool.clear();
        self.accesses.clear();
        self.ways_apart.clear();
        if self.env.several_pages {
            self.way_in();
        }
        // What leaves the region stands behind what goes on in it.
        self.order[1..].sort_by_key(|id| region.blocks[id.0 as usize].term.edges().next().is_none());
        for at in 0..self.order.len() {
            let id = self.order[at];
            let block = &region.blocks[id.0 as usize];
            self.ops.dynamic_label(self.labels[id.0 as usize]);
            self.at = self.allocation.start[id.0 as usize];
            block.params.iter().for_each(|v| self.keep_second(*v));
            self.instructions(id, 0..block.insts.len());
            self.at = self.allocation.end[id.0 as usize];
            self.terminator(at, &block.term);
        }
        self.emit_stubs();
    }

    /// Emits `part` of the instructions of `block`, from the position before them on.
    pub fn instructions(&mut self, block: BlockId, part: Range<usize>) {
        let (region, mut next) = (self.region, part.start);
        let insts = &region.blocks[block.0 as usize].insts[..part.end];
        while let Some(&v) = insts.get(next) {
            self.at += 1;
            if let Some((_, label)) = self.ways_apart.pop_front_if(|(first, _)| self.apart && *first == v) {
                self.ops.dynamic_label(label);
            }
            let accesses = matches!(region.inst(v).op, Op::Load | Op::Store);
            if let Some(count) = if accesses && !self.apart { self.run(v) } else { None } {
                (self.at, next) = (self.at + count as u32 - 1, next + count);
                continue;
            }
            next += 1;
            if !self.uses.is_fused(v) {
                self.instruction(v);
                self.keep_second(v);
            }
            if let Some((_, label)) = self.rejoins.take_if(|(end, _)| !self.apart && *end == next) {
                self.ops.dynamic_label(label);
            }
        }
    }

    /// Where vector constant `value` stands, 16-aligned.
    pub fn pooled(&mut self, value: u128) -> DynamicLabel {
        if let Some((_, label)) = self.pool.iter().find(|(known, _)| *known == value) {
            return *label;
        }
        let label = self.ops.new_dynamic_label();
        self.pool.push((value, label));
        label
    }

    fn emit_pool(&mut self) {
        if self.pool.is_empty() {
            return;
        }
        while !self.here().is_multiple_of(16) {
            self.ops.push(0x90);
        }
        for (value, label) in self.pool.iter() {
            self.ops.dynamic_label(*label);
            self.ops.extend(&value.to_le_bytes());
        }
    }

    pub fn instruction(&mut self, v: Value) {
        let inst = *self.region.inst(v);
        let accesses = matches!(
            inst.op,
            Op::Load | Op::Store | Op::LoadLanes | Op::StoreLanes | Op::AtomicRmw | Op::AtomicCas
        );
        if self.env.direct && accesses {
            return self.may_fault(inst.snap, |emit| emit.memory(v, &inst));
        }
        self.other(v, inst);
    }

    /// An access to memory that is reached directly.
    fn memory(&mut self, v: Value, inst: &Inst) {
        match inst.op {
            Op::Load if !MemOp::unpack(inst.imm).aligned => self.direct_load(v, inst),
            Op::Store if !MemOp::unpack(inst.imm).aligned => self.direct_store(inst),
            _ => self.other(v, *inst),
        }
    }

    fn other(&mut self, v: Value, inst: Inst) {
        match inst.op {
            Op::Nop | Op::Param | Op::Const | Op::Mark => {}
            Op::CodeAddr => self.code_addr(v, inst.imm),
            _ if inst.on_lanes() => self.lanes(v, &inst),
            Op::CallVector => self.call_vector(v, &inst),
            Op::Get => self.get(v, &inst),
            Op::Set => self.set(&inst),
            Op::Load => self.load(v, &inst),
            Op::Store => self.store(v, &inst),
            Op::LoadLanes => self.load_lanes(v, &inst),
            Op::StoreLanes => self.store_lanes(v, &inst),
            Op::AtomicRmw => self.rmw(v, &inst),
            Op::AtomicCas => self.cas(v, &inst),
            Op::Count => self.count(inst.imm),
            Op::Tally => self.tally(inst.imm),
            Op::Fence => self.fence(Order::unpack(inst.imm)),
            Op::Call => self.call(v, &inst),
            Op::Observe => self.observe(v, &inst),
            Op::Poll => self.poll(v),
            Op::Quota => self.quota(v, inst.imm),
            op if op.effect() == crate::ir::Effect::Flags => self.float(v, &inst),
            _ => self.integer(v, &inst),
        }
    }

    /// The place of a value.
    pub fn loc(&self, v: Value) -> Loc {
        self.allocation.place(v, self.at)
    }

    /// Puts a value that was just made where it is in the second part of its life, too.
    pub fn keep_second(&mut self, v: Value) {
        if let Some(slot) = self.allocation.second_place(v).filter(|slot| *slot != self.loc(v)) {
            self.copy(v, slot);
        }
    }

    /// The scalar constant that `v` is.
    pub fn constant(&self, v: Value) -> Option<u64> {
        let inst = self.region.inst(v);
        (inst.op == Op::Const && inst.ty != Ty::V128).then_some(inst.imm)
    }

    /// The constant that `v` is, if it is an immediate operand in an operation of type `ty`.
    pub fn immediate(&self, v: Value, ty: Ty) -> Option<i32> {
        let k = self.constant(v)?;
        if ty.bits() <= 32 { Some(k as u32 as i32) } else { i32::try_from(k as i64).ok() }
    }

    /// Registers that a call at instruction `v` must keep: what is needed afterwards, and what its snapshot names.
    pub fn kept(&self, v: Value, inst: &Inst) -> RegSet {
        let mut set = self.allocation.live_after[v.0 as usize];
        if inst.snap != crate::ir::SnapId::NONE {
            for (_, value) in self.region.outdated(inst.snap) {
                set |= self.registers_of(*value);
            }
        }
        set & CALLER_SAVED
    }

    /// The registers that `v` is in, or is made of.
    fn registers_of(&self, v: Value) -> RegSet {
        if !self.uses.is_fused(v) {
            return regalloc::bit(self.loc(v));
        }
        self.region.inst(v).args().iter().fold(0, |set, arg| set | self.registers_of(*arg))
    }

    /// The present offset in the region's code.
    pub fn here(&self) -> u32 {
        self.ops.offset().0 as u32
    }

    /// The displacement that leads to shared code from the end of the displacement.
    fn shared_displacement(&mut self, target: u32) {
        let at = self.here();
        self.piece.fixups.push(Fixup::shared(at));
        self.ops.push_i32(target.wrapping_sub(at + 4) as i32);
    }

    /// A jump to shared code.
    pub fn jump_to(&mut self, target: u32) {
        self.ops.push(0xe9);
        self.shared_displacement(target);
    }

    /// A conditional jump to shared code.
    pub fn jump_if_not_equal_to(&mut self, target: u32) {
        self.ops.extend(&[0x0f, 0x85]);
        self.shared_displacement(target);
    }

    /// A call of shared code.
    pub fn call_to(&mut self, target: u32) {
        self.ops.push(0xe8);
        self.shared_displacement(target);
    }

    /// Puts the number of a record into ecx.
    pub fn pass_record(&mut self, record: u32) {
        self.ops.push(0xb9);
        self.piece.fixups.push(Fixup::record(self.here()));
        self.ops.push_i32(record as i32);
    }

    /// The type of the value `v`.
    pub fn ty(&self, v: Value) -> Ty {
        self.region.inst(v).result()
    }
}

//! The intermediate representation: a region is a graph of blocks with parameters, in SSA form.
//!
//! A region is what one translation covers: a single guest basic block when it is cold, a loop nest or a trace when
//! it is hot. It is entered at block 0 only. Guest registers are [`Op::Get`] and [`Op::Set`] until promotion turns
//! them into values; whatever may leave the region in the middle carries a [`Snapshot`].

mod dominators;
mod evaluate;
mod op;
mod order;
mod parse;
mod shape;
mod text;
mod verify;

pub use dominators::Dominators;
pub use evaluate::{Left, Machine, evaluate};
pub use op::{Effect, Op};
pub use order::order_blocks;
pub use parse::ParseError;
pub use shape::{Arg, Class, Imm, Shape};
pub use text::Names;
pub use verify::{VerifyError, verify};

use crate::cpu::RegId;
use crate::sem::{Hint, Rm};
use crate::ty::Ty;

/// Names an instruction of a region, and the value that it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub u32);

impl Value {
    /// In an unused argument position.
    pub const NONE: Value = Value(u32::MAX);
}

/// Names a block of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub u32);

/// Names a snapshot of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SnapId(pub u32);

impl SnapId {
    /// For instructions that cannot leave the region.
    pub const NONE: SnapId = SnapId(u32::MAX);
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// The type it works on, see [`Op`].
    pub ty: Ty,
    /// Operands; the first [`Op::arg_count`] are in use.
    pub args: [Value; 3],
    /// Immediate, as the operation's row says; for vector constants an index into [`Region::vectors`].
    pub imm: u64,
    /// The guest state to leave with, for operations with [`Effect::Memory`], and for [`Op::Mark`].
    pub snap: SnapId,
}

impl Inst {
    /// The type of the value that the instruction gives.
    pub fn result(&self) -> Ty {
        match self.op {
            Op::Nop
            | Op::Mark
            | Op::Count
            | Op::Tally
            | Op::Set
            | Op::Store
            | Op::StoreLanes
            | Op::Fence
            | Op::Observe
            | Op::Poll
            | Op::Quota => Ty::None,
            Op::AnyBit => Ty::Bool,
            _ if self.ty.is_vector() => Ty::V128,
            Op::Eq | Op::Ne | Op::LtU | Op::LtS => Ty::Bool,
            Op::FEq | Op::FLt | Op::FLe | Op::FLtQ | Op::FLeQ => Ty::Bool,
            Op::Cond | Op::CondSub | Op::CondFloat => Ty::Bool,
            Op::FlagsAdd | Op::FlagsSub | Op::FlagsAdc | Op::FlagsLogic => Ty::I32,
            Op::FlagsOf | Op::FlagsFloat => Ty::I32,
            Op::Trunc => Ty::I32,
            Op::SextW => Ty::I64,
            _ => self.ty,
        }
    }

    /// Whether it is one that [`crate::eval::vector`] carries out.
    pub fn on_lanes(&self) -> bool {
        let structural = matches!(
            self.op,
            Op::Nop
                | Op::Param
                | Op::Const
                | Op::Mark
                | Op::Get
                | Op::Set
                | Op::Bitcast
                | Op::Select
                | Op::CallVector
        );
        let memory = matches!(self.op, Op::Load | Op::Store | Op::LoadLanes | Op::StoreLanes);
        (self.ty.is_vector() || matches!(self.op, Op::Extract | Op::ByteSigns)) && !structural && !memory
    }

    /// The operands in use.
    pub fn args(&self) -> &[Value] {
        &self.args[..self.op.arg_count()]
    }
}

/// The guest state at the start of one guest instruction: what a fault or a side exit leaves behind. Registers that are out
/// of date in the state stand in [`Region::outdated`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Address of the guest instruction.
    pub pc: u64,
    /// Guest instructions carried out before it that no [`Op::Count`] has counted yet.
    pub retired: u64,
    /// Which part of [`Region::saved`] is its own.
    first: u32,
    len: u32,
}

/// A jump to a block of the same region, with the values of its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The block.
    pub to: BlockId,
    /// One value a parameter.
    pub args: Vec<Value>,
}

impl Edge {
    /// An edge to a block without parameters.
    pub fn to(block: BlockId) -> Self {
        Self { to: block, args: Vec::new() }
    }
}

/// How a block ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// Another block of the region.
    Jump(Edge),
    /// One of two blocks, by a truth value.
    Branch {
        /// The truth value.
        cond: Value,
        /// Where to go if it holds.
        then: Edge,
        /// Where to go if not.
        other: Edge,
    },
    /// Leaves the region for a guest address known now. The exit can be linked to that address's translation. When
    /// `check` is set (a backward jump), attention requests are looked at.
    Goto {
        /// Guest address.
        pc: u64,
        /// Whether to look at requests on the way.
        check: bool,
    },
    /// Leaves the region for a computed guest address, through the jump cache; looks at requests.
    Indirect {
        /// Guest address (I64).
        target: Value,
        /// What kind of jump it is.
        hint: Hint,
    },
    /// Leaves the region with a guest trap at `pc`.
    Trap {
        /// Address of the instruction that traps.
        pc: u64,
        /// The guest's number for the cause.
        code: u32,
        /// The guest's extra value.
        value: u64,
    },
    /// Leaves the region to the run loop, which looks at why (the guest waits for an interrupt, say).
    Exit {
        /// Where the guest goes on.
        pc: u64,
        /// Why it leaves: one of [`crate::cpu::exit`].
        code: u32,
    },
}

impl Term {
    /// Edges to blocks of the same region.
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        let (a, b) = match self {
            Self::Jump(e) => (Some(e), None),
            Self::Branch { then, other, .. } => (Some(then), Some(other)),
            _ => (None, None),
        };
        a.into_iter().chain(b)
    }

    /// The same, to change.
    pub fn edges_mut(&mut self) -> impl Iterator<Item = &mut Edge> {
        let (a, b) = match self {
            Self::Jump(e) => (Some(e), None),
            Self::Branch { then, other, .. } => (Some(then), Some(other)),
            _ => (None, None),
        };
        a.into_iter().chain(b)
    }
}

/// A straight run of instructions with one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Parameters: instructions with [`Op::Param`].
    pub params: Vec<Value>,
    /// The instructions in order, parameters left out.
    pub insts: Vec<Value>,
    /// The end.
    pub term: Term,
}

/// One translation unit.
#[derive(Clone, Debug)]
pub struct Region {
    /// Guest address at which the region is entered.
    pub pc: u64,
    /// The rounding mode that the host's float unit is in when the region is entered.
    pub rm: Rm,
    /// Blocks; the first is the entry and has no parameters.
    pub blocks: Vec<Block>,
    /// All instructions, indexed by [`Value`].
    pub insts: Vec<Inst>,
    /// All snapshots, indexed by [`SnapId`].
    pub snaps: Vec<Snapshot>,
    /// What all snapshots say of registers.
    saved: Vec<(RegId, Value)>,
    /// Vector constants: the immediate of a constant of type V128 is an index.
    pub vectors: Vec<u128>,
    /// Memory of the lists of blocks that are no more.
    spare: Vec<Vec<Value>>,
}

impl Region {
    /// An empty region: one block without instructions, to be ended by the caller.
    pub fn new(pc: u64, rm: Rm) -> Self {
        let mut region = Self { pc, rm, ..Self::default() };
        region.add_block();
        region
    }

    /// Makes it an empty region again, as [`Self::new`] does, in the memory that it has.
    pub fn reset(&mut self, pc: u64, rm: Rm) {
        (self.pc, self.rm) = (pc, rm);
        for block in self.blocks.drain(..) {
            self.spare.push(block.insts);
        }
        self.insts.clear();
        self.snaps.clear();
        self.saved.clear();
        self.vectors.clear();
        self.add_block();
    }

    /// The guest registers whose value in the state is out of date at `snap`, and the value each has.
    pub fn outdated(&self, snap: SnapId) -> &[(RegId, Value)] {
        let Snapshot { first, len, .. } = self.snaps[snap.0 as usize];
        &self.saved[first as usize..(first + len) as usize]
    }

    /// What all snapshots say of registers, to change it.
    pub fn saved_mut(&mut self) -> &mut [(RegId, Value)] {
        &mut self.saved
    }

    /// Adds a snapshot of the state at `pc` with `regs` out of date.
    pub fn add_snapshot(
        &mut self,
        pc: u64,
        retired: u64,
        regs: impl IntoIterator<Item = (RegId, Value)>,
    ) -> SnapId {
        let first = self.saved.len();
        self.saved.extend(regs);
        let len = self.saved.len() - first;
        self.snaps.push(Snapshot { pc, retired, first: first as u32, len: len as u32 });
        SnapId(self.snaps.len() as u32 - 1)
    }

    /// The snapshot that says this; a new one if there is none.
    pub fn intern_snapshot(&mut self, pc: u64, retired: u64, regs: &[(RegId, Value)]) -> SnapId {
        let same = |id: &SnapId| {
            let snap = &self.snaps[id.0 as usize];
            (snap.pc, snap.retired) == (pc, retired) && self.outdated(*id) == regs
        };
        let known = (0..self.snaps.len() as u32).map(SnapId).find(same);
        known.unwrap_or_else(|| self.add_snapshot(pc, retired, regs.iter().copied()))
    }

    /// The instruction that gives `v`.
    pub fn inst(&self, v: Value) -> &Inst {
        &self.insts[v.0 as usize]
    }

    /// The same, to change.
    pub fn inst_mut(&mut self, v: Value) -> &mut Inst {
        &mut self.insts[v.0 as usize]
    }

    /// The immediate that stands for vector constant `value`.
    pub fn vector(&mut self, value: u128) -> u64 {
        let known = self.vectors.iter().position(|v| *v == value);
        known.unwrap_or_else(|| {
            self.vectors.push(value);
            self.vectors.len() - 1
        }) as u64
    }

    /// The vector constant that `v` is.
    pub fn constant_vector(&self, v: Value) -> Option<u128> {
        let inst = self.inst(v);
        (inst.op == Op::Const && inst.ty == Ty::V128).then(|| self.vectors[inst.imm as usize])
    }

    /// Adds `inst`, which stands in no block yet.
    pub fn add(&mut self, inst: Inst) -> Value {
        self.insts.push(inst);
        Value(self.insts.len() as u32 - 1)
    }

    /// A constant, which stands in the entry and is the same for all.
    pub fn constant_in_entry(&mut self, ty: Ty, imm: u64) -> Value {
        let same = |v: &&Value| {
            let inst = self.inst(**v);
            (inst.op, inst.ty, inst.imm) == (Op::Const, ty, imm)
        };
        if let Some(v) = self.blocks[0].insts.iter().find(same) {
            return *v;
        }
        let args = [Value::NONE; 3];
        self.push(BlockId(0), Inst { op: Op::Const, ty, args, imm, snap: SnapId::NONE })
    }

    /// What the edges to `block` give its parameter `param`: the block that each leaves, its number there, and the value.
    pub fn given_by_edges(&self, block: BlockId, param: Value) -> Vec<(BlockId, usize, Value)> {
        let params = &self.blocks[block.0 as usize].params;
        let at = params.iter().position(|other| *other == param).expect("it is a parameter of that block");
        let mut given = Vec::new();
        for (n, from) in self.blocks.iter().enumerate() {
            let edges = from.term.edges().enumerate().filter(|(_, edge)| edge.to == block);
            given.extend(edges.map(|(nth, edge)| (BlockId(n as u32), nth, edge.args[at])));
        }
        given
    }

    /// Gives edge number `nth` of block `from` more arguments.
    pub fn add_args(&mut self, from: BlockId, nth: usize, args: impl IntoIterator<Item = Value>) {
        let edge = self.blocks[from.0 as usize].term.edges_mut().nth(nth);
        edge.expect("the block has this edge").args.extend(args);
    }

    /// The block where `v` is made.
    pub fn home(&self, v: Value) -> Option<BlockId> {
        let makes = |block: &Block| block.insts.contains(&v) || block.params.contains(&v);
        self.blocks.iter().position(makes).map(|n| BlockId(n as u32))
    }

    /// All parameters with what an edge gives them, edge by edge.
    pub fn given(&self) -> impl Iterator<Item = (Value, Value)> {
        self.blocks.iter().flat_map(|block| block.term.edges()).flat_map(|edge| {
            let params = &self.blocks[edge.to.0 as usize].params;
            params.iter().copied().zip(edge.args.iter().copied())
        })
    }

    /// Appends `inst` to `block`.
    pub fn push(&mut self, block: BlockId, inst: Inst) -> Value {
        let v = self.add(inst);
        self.blocks[block.0 as usize].insts.push(v);
        v
    }

    /// Adds a block without instructions.
    pub fn add_block(&mut self) -> BlockId {
        let term = Term::Goto { pc: self.pc, check: true };
        let mut insts = self.spare.pop().unwrap_or_default();
        insts.clear();
        self.blocks.push(Block { params: Vec::new(), insts, term });
        BlockId(self.blocks.len() as u32 - 1)
    }

    /// Adds a parameter of type `ty` to `block`.
    pub fn add_param(&mut self, block: BlockId, ty: Ty) -> Value {
        let args = [Value::NONE; 3];
        let v = self.add(Inst { op: Op::Param, ty, args, imm: 0, snap: SnapId::NONE });
        self.blocks[block.0 as usize].params.push(v);
        v
    }
}

impl Default for Region {
    /// Room for a region, which [`Region::reset`] begins.
    fn default() -> Self {
        Self {
            pc: 0,
            rm: Rm::Rne,
            blocks: Vec::new(),
            insts: Vec::new(),
            snaps: Vec::new(),
            saved: Vec::new(),
            vectors: Vec::new(),
            spare: Vec::new(),
        }
    }
}

impl PartialEq for Region {
    fn eq(&self, other: &Self) -> bool {
        let code = |region: &Self| (region.pc, region.rm);
        code(self) == code(other)
            && self.blocks == other.blocks
            && self.insts == other.insts
            && (&self.snaps, &self.saved) == (&other.snaps, &other.saved)
            && self.vectors == other.vectors
    }
}

#[cfg(test)]
mod tests;

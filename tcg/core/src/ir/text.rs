//! The text form of a region: one line an instruction, everything by name.
//!
//! ```text
//! region 0x1000 rne
//! b0:
//!   v0 = get.i64 a0
//!   v1 = load.i64 s4 aligned [v0] @ 0x1000 {a1: v0}
//!   v2 = rmw.i64 add u8 [v0], v1 @ 0x1004
//!   store.i64 u8 [v0], v2 @ 0x1008
//!   v3 = ltu.i64 v1, v2
//!   branch v3, b1(v1), b2
//! b1(v4: i64):
//!   goto 0x1000 check
//! b2:
//!   exit 0x100c halt
//! ```
//!
//! Operations on vectors say what lanes they work on: `v3 = add.i8x16 v1, v2`, of values of type v128.
//! `s4` and `u4` are accesses of 4 bytes, the first sign-extending; `@` gives the snapshot: the guest pc and the
//! registers whose value in the state is out of date, and how many instructions are not counted yet. `fence s:l` orders
//! stores before later loads. [`super::parse`] reads the form back. Value numbers are kept;
//! instructions that stand in no block, and the numbers of snapshots, are not.

use super::{Block, BlockId, Edge, Imm, Inst, Op, Region, SnapId, Term, Value};
use crate::cpu::{Helper, RegDesc, RegId, exit};
use crate::sem::{Aes, Cc, FloatMode, Hint, Lane, MemOp, Narrow, Order, Rm, Rmw, Sha256, widen};
use crate::ty::Ty;
use std::fmt::{self, Display, Formatter};

/// The names that a region's numbers stand for.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The guest's registers.
    pub regs: &'a [RegDesc],
    /// The guest's helpers.
    pub helpers: &'a [Helper],
}

impl<'a> Names<'a> {
    /// The text form of `region`.
    pub fn print(&self, region: &Region) -> String {
        self.display(region).to_string()
    }

    /// The text form of `region`, made when it is written somewhere.
    pub fn display(self, region: &'a Region) -> impl Display {
        Printer { region, names: self }
    }
}

/// Names of rounding modes.
pub(super) const ROUNDING: [(&str, Rm); 5] =
    [("rne", Rm::Rne), ("rtz", Rm::Rtz), ("rdn", Rm::Rdn), ("rup", Rm::Rup), ("rmm", Rm::Rmm)];

/// Names of read-modify-write kinds.
pub(super) const RMW: [(&str, Rmw); 9] = [
    ("swap", Rmw::Swap),
    ("add", Rmw::Add),
    ("and", Rmw::And),
    ("or", Rmw::Or),
    ("xor", Rmw::Xor),
    ("mins", Rmw::MinS),
    ("maxs", Rmw::MaxS),
    ("minu", Rmw::MinU),
    ("maxu", Rmw::MaxU),
];

/// Names of [`exit`] codes.
pub(super) const EXITS: [(&str, u32); 7] = [
    ("trap", exit::TRAP),
    ("lookup", exit::LOOKUP),
    ("request", exit::REQUEST),
    ("halt", exit::HALT),
    ("resync", exit::RESYNC),
    ("retry", exit::RETRY),
    ("yield", exit::YIELD),
];

/// What stands on one side of a fence: loads, stores.
pub(super) const FENCE_SIDES: [(&str, (bool, bool)); 4] =
    [("none", (false, false)), ("l", (true, false)), ("s", (false, true)), ("ls", (true, true))];

fn order(imm: u64) -> String {
    let order = Order::unpack(imm);
    let side = |side| name_of(&FENCE_SIDES, side).expect("every side is in the table");
    let (before, after) = ((order.loads, order.stores), (order.later_loads, order.later_stores));
    format!("{}:{}", side(before), side(after))
}

/// Names of ways to narrow.
pub(super) const NARROW: [(&str, Narrow); 4] = [
    ("trunc", Narrow::Truncate),
    ("ss", Narrow::SignedToSigned),
    ("su", Narrow::SignedToUnsigned),
    ("uu", Narrow::UnsignedToUnsigned),
];

/// Names of steps of AES.
pub(super) const AES: [(&str, Aes); 4] =
    [("sub", Aes::Sub), ("invsub", Aes::InvSub), ("mix", Aes::Mix), ("invmix", Aes::InvMix)];

/// Names of steps of SHA-256.
pub(super) const SHA256: [(&str, Sha256); 3] =
    [("rounds", Sha256::Rounds), ("schedule0", Sha256::Schedule0), ("schedule1", Sha256::Schedule1)];

/// Names of halves of a vector.
pub(super) const HALVES: [(&str, bool); 2] = [("low", false), ("high", true)];

/// Names of kinds of extension.
pub(super) const SIGNS: [(&str, bool); 2] = [("u", false), ("s", true)];

/// Names of hints.
pub(super) const HINTS: [(&str, Hint); 5] = [
    ("jump", Hint::Jump),
    ("return", Hint::Return),
    ("back", Hint::Back),
    ("resync", Hint::Resync),
    ("sync", Hint::Sync),
];

/// Every type of an operation that has one.
pub(super) const TYPES: [Ty; 14] = {
    let [_, types @ ..] = Ty::ALL;
    types
};

/// Names of conditions.
pub(super) const CONDITIONS: [(&str, Cc); 14] = Cc::NAMES;

fn name_of<T: PartialEq + Copy>(table: &[(&'static str, T)], key: T) -> Option<&'static str> {
    table.iter().find(|(_, value)| *value == key).map(|(name, _)| *name)
}

/// The name of `key`, which has one.
fn name<T: PartialEq + Copy>(table: &[(&'static str, T)], key: T) -> &'static str {
    name_of(table, key).expect("every one is in the table")
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl Display for BlockId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

impl Display for Rm {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(name(&ROUNDING, *self))
    }
}

impl Display for Lane {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} {}", if self.signed { 's' } else { 'u' }, 1 << self.size, self.index)
    }
}

impl Display for MemOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = if self.signed { 's' } else { 'u' };
        write!(f, "{sign}{}{}", self.bytes(), if self.aligned { " aligned" } else { "" })
    }
}

/// Joins with `, `.
struct List<'a, T>(&'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Display for Edge {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to)?;
        if !self.args.is_empty() {
            write!(f, "({})", List(&self.args))?;
        }
        Ok(())
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jump(edge) => write!(f, "jump {edge}"),
            Self::Branch { cond, then, other } => write!(f, "branch {cond}, {then}, {other}"),
            Self::Goto { pc, check } => write!(f, "goto {pc:#x}{}", if *check { " check" } else { "" }),
            Self::Indirect { target, hint } => {
                write!(f, "indirect {target} {}", name(&HINTS, *hint))
            }
            Self::Trap { pc, code, value } => write!(f, "trap {pc:#x} code {code} value {value:#x}"),
            Self::Exit { pc, code } => match name_of(&EXITS, *code) {
                Some(name) => write!(f, "exit {pc:#x} {name}"),
                None => write!(f, "exit {pc:#x} {code}"),
            },
        }
    }
}

struct Printer<'a> {
    region: &'a Region,
    names: Names<'a>,
}

impl Display for Printer<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "region {:#x} {}", self.region.pc, self.region.rm)?;
        for (i, block) in self.region.blocks.iter().enumerate() {
            self.block(f, BlockId(i as u32), block)?;
        }
        Ok(())
    }
}

impl Printer<'_> {
    fn block(&self, f: &mut Formatter<'_>, id: BlockId, block: &Block) -> fmt::Result {
        write!(f, "{id}")?;
        if !block.params.is_empty() {
            let params: Vec<_> =
                block.params.iter().map(|v| format!("{v}: {}", self.region.inst(*v).ty.name())).collect();
            write!(f, "({})", List(&params))?;
        }
        writeln!(f, ":")?;
        for &v in &block.insts {
            self.inst(f, v, self.region.inst(v))?;
        }
        writeln!(f, "  {}", block.term)
    }

    fn inst(&self, f: &mut Formatter<'_>, v: Value, inst: &Inst) -> fmt::Result {
        f.write_str("  ")?;
        if inst.result() != Ty::None {
            write!(f, "{v} = ")?;
        }
        f.write_str(inst.op.name())?;
        let shape = inst.op.shape();
        if inst.ty != Ty::None && shape.imm != Imm::Helper {
            write!(f, ".{}", inst.ty.name())?;
        }
        let args = inst.args();
        match shape.imm {
            Imm::None => self.args(f, args)?,
            Imm::Const if inst.ty == Ty::V128 => write!(f, " {:#x}", self.vector(inst.imm))?,
            Imm::Const => write!(f, " {:#x}", inst.imm)?,
            Imm::Reg => {
                write!(f, " {}", self.reg(RegId(inst.imm as u16)))?;
                if let [value] = args {
                    write!(f, ", {value}")?;
                }
            }
            Imm::Order => write!(f, " {}", order(inst.imm))?,
            Imm::Insns | Imm::Counter | Imm::Event => write!(f, " {}", inst.imm)?,
            Imm::Bits => write!(f, " {} {}", inst.imm, List(args))?,
            Imm::Mem | Imm::LaneMem => self.access(f, inst)?,
            Imm::Rmw => {
                let kind = name(&RMW, Rmw::unpack(inst.imm));
                write!(f, " {kind}")?;
                self.access(f, inst)?;
            }
            Imm::Helper => write!(f, " {}({})", self.helper(inst.imm), List(args))?,
            Imm::Cond => write!(f, " {} {}", self.condition(inst.imm), List(args))?,
            Imm::CondFloat => {
                write!(f, " {}", self.condition(inst.imm >> 8))?;
                self.float(f, inst, shape.imm)?;
            }
            Imm::Rounding | Imm::Round | Imm::MinMax | Imm::ToInt | Imm::Compare | Imm::Signal => {
                self.float(f, inst, shape.imm)?;
            }
            Imm::Index => write!(f, " {} {}", inst.imm, List(args))?,
            Imm::Lane => write!(f, " {} {}", Lane::unpack(inst.imm), List(args))?,
            Imm::Vector => write!(f, " {:#x} {}", self.vector(inst.imm), List(args))?,
            Imm::Widen => {
                let (sign, half) = (inst.imm & widen::SIGNED != 0, inst.imm & widen::HIGH != 0);
                write!(f, " {} {} {}", name(&SIGNS, sign), name(&HALVES, half), List(args))?;
            }
            Imm::Narrow => write!(f, " {} {}", name(&NARROW, Narrow::unpack(inst.imm)), List(args))?,
            Imm::Halves => {
                let [a, b] = [inst.imm & 1 != 0, inst.imm & 2 != 0].map(|high| name(&HALVES, high));
                write!(f, " {a} {b} {}", List(args))?;
            }
            Imm::Aes => write!(f, " {} {}", name(&AES, Aes::unpack(inst.imm)), List(args))?,
            Imm::Sha256 => write!(f, " {} {}", name(&SHA256, Sha256::unpack(inst.imm)), List(args))?,
            Imm::VectorHelper => {
                let (helper, param) = (self.helper(inst.imm & 0xffff), inst.imm >> 16);
                write!(f, " {helper} {param:#x} {}", List(args))?;
            }
        }
        match inst.op {
            Op::Mark => {
                f.write_str(" ")?;
                self.snapshot(f, inst.snap)?;
            }
            op if op.has_snapshot() => {
                f.write_str(" @ ")?;
                self.snapshot(f, inst.snap)?;
            }
            _ => {}
        }
        writeln!(f)
    }

    fn condition(&self, cc: u64) -> &'static str {
        name_of(&CONDITIONS, Cc::from_bits(cc)).expect("every condition is in the table")
    }

    /// Rounding mode, words and operands of a float operation.
    fn float(&self, f: &mut Formatter<'_>, inst: &Inst, imm: Imm) -> fmt::Result {
        if imm.rounds() {
            write!(f, " {}", FloatMode::from_bits(inst.imm).rm())?;
        }
        for (word, bit) in imm.words() {
            if inst.imm & bit != 0 {
                write!(f, " {word}")?;
            }
        }
        write!(f, " {}", List(inst.args()))
    }

    fn args(&self, f: &mut Formatter<'_>, args: &[Value]) -> fmt::Result {
        if args.is_empty() { Ok(()) } else { write!(f, " {}", List(args)) }
    }

    fn access(&self, f: &mut Formatter<'_>, inst: &Inst) -> fmt::Result {
        write!(f, " {} [{}]", MemOp::unpack(inst.imm), inst.args[0])?;
        inst.args()[1..].iter().try_for_each(|v| write!(f, ", {v}"))
    }

    fn snapshot(&self, f: &mut Formatter<'_>, id: SnapId) -> fmt::Result {
        let Some(snap) = self.region.snaps.get(id.0 as usize) else { return f.write_str("none") };
        write!(f, "{:#x}", snap.pc)?;
        let regs = self.region.outdated(id);
        if !regs.is_empty() {
            let regs: Vec<_> = regs.iter().map(|(reg, v)| format!("{}: {v}", self.reg(*reg))).collect();
            write!(f, " {{{}}}", List(&regs))?;
        }
        if snap.retired != 0 {
            write!(f, " retired {}", snap.retired)?;
        }
        Ok(())
    }

    fn reg(&self, reg: RegId) -> String {
        self.names.regs.get(reg.0 as usize).map_or_else(|| format!("r{}?", reg.0), |r| r.name.to_string())
    }

    fn vector(&self, imm: u64) -> u128 {
        self.region.vectors.get(imm as usize).copied().unwrap_or_default()
    }

    fn helper(&self, id: u64) -> String {
        self.names.helpers.get(id as usize).map_or_else(|| format!("h{id}?"), |h| h.name.to_string())
    }
}

//! Reads the text form that [`super::text`] writes. `;` starts a comment, blank lines and indentation mean nothing.
//!
//! The result is well-formed enough to walk (every value and block that is named exists); whether it makes sense is
//! for [`super::verify`] to say.

use super::text::{
    AES, CONDITIONS, EXITS, FENCE_SIDES, HALVES, HINTS, NARROW, Names, RMW, ROUNDING, SHA256, SIGNS, TYPES,
};
use super::{BlockId, Edge, Imm, Inst, Op, Region, SnapId, Term, Value};
use crate::cpu::RegId;
use crate::sem::{Lane, MemOp, Order, Rm, widen};
use crate::ty::Ty;
use std::collections::HashMap;

/// Why a text is no region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What was wrong or expected.
    pub what: String,
}

type Result<T> = std::result::Result<T, ParseError>;

/// Highest value number that is read.
const MAX_VALUE: u64 = 1 << 20;

impl Names<'_> {
    /// The region that `text` describes.
    pub fn parse(&self, text: &str) -> Result<Region> {
        let mut parser = Parser {
            names: *self,
            region: Region::new(0, Rm::Rne),
            results: HashMap::new(),
            order: Vec::new(),
            uses: Vec::new(),
            targets: Vec::new(),
        };
        let mut end = 1;
        let mut state = Expect::Header;
        for (i, line) in text.lines().enumerate() {
            let code = line.split(';').next().unwrap_or_default();
            end = i + 1;
            if !code.trim().is_empty() {
                let mut cursor = Cursor { rest: code, whole: code, line: end };
                state = parser.line(&mut cursor, state)?;
                cursor.end()?;
            }
        }
        match state {
            Expect::Block => parser.finish(),
            _ => Err(ParseError { line: end, column: 1, what: "the region stops in the middle".into() }),
        }
    }
}

/// What the next line may be.
#[derive(Clone, Copy)]
enum Expect {
    /// `region ...`
    Header,
    /// A block's name, or the end.
    Block,
    /// An instruction or the block's end.
    Inst,
}

/// Where in the text something stands.
#[derive(Clone, Copy)]
struct Place {
    line: usize,
    column: usize,
}

impl Place {
    fn error<T>(self, what: impl Into<String>) -> Result<T> {
        Err(ParseError { line: self.line, column: self.column, what: what.into() })
    }
}

/// One line being read.
struct Cursor<'a> {
    rest: &'a str,
    whole: &'a str,
    line: usize,
}

impl<'a> Cursor<'a> {
    fn place(&mut self) -> Place {
        self.rest = self.rest.trim_start();
        let column = self.whole[..self.whole.len() - self.rest.len()].chars().count() + 1;
        Place { line: self.line, column }
    }

    /// Takes `punct` if it comes next.
    fn eat(&mut self, punct: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(punct) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, punct: &str) -> Result<()> {
        let place = self.place();
        if self.eat(punct) { Ok(()) } else { place.error(format!("`{punct}` expected")) }
    }

    /// Letters, digits and underscores, none if something else comes next.
    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let len = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(len);
        self.rest = rest;
        word
    }

    /// Takes `word` if it comes next as a whole word.
    fn eat_word(&mut self, word: &str) -> bool {
        let before = self.rest;
        let found = self.word() == word;
        if !found {
            self.rest = before;
        }
        found
    }

    fn number(&mut self) -> Result<u64> {
        let place = self.place();
        let word = self.word();
        let parsed = match word.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => word.parse(),
        };
        parsed.or_else(|_| place.error(format!("`{word}` is no number of 64 bits")))
    }

    fn wide_number(&mut self) -> Result<u128> {
        let place = self.place();
        let word = self.word();
        let parsed = match word.strip_prefix("0x") {
            Some(hex) => u128::from_str_radix(hex, 16),
            None => word.parse(),
        };
        parsed.or_else(|_| place.error(format!("`{word}` is no number of 128 bits")))
    }

    /// A word of a table.
    fn named<T: Copy>(&mut self, table: &[(&str, T)], kind: &str) -> Result<T> {
        let place = self.place();
        let word = self.word();
        match table.iter().find(|(name, _)| *name == word) {
            Some((_, value)) => Ok(*value),
            None => {
                let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
                place.error(format!("`{word}` is no {kind}; there are {}", names.join(", ")))
            }
        }
    }

    /// A number after a letter.
    fn numbered(&mut self, letter: &str, kind: &str) -> Result<u64> {
        let place = self.place();
        let word = self.word();
        let number = word.strip_prefix(letter).and_then(|n| n.parse::<u64>().ok());
        match number {
            Some(n) if n < MAX_VALUE => Ok(n),
            _ => place.error(format!("`{word}` is no {kind} ({letter}0 to {letter}{})", MAX_VALUE - 1)),
        }
    }

    fn ty(&mut self) -> Result<Ty> {
        self.named(&TYPES.map(|ty| (ty.name(), ty)), "type")
    }

    fn access(&mut self) -> Result<MemOp> {
        let place = self.place();
        let word = self.word();
        let size = match word.get(1..) {
            Some("1") => 0,
            Some("2") => 1,
            Some("4") => 2,
            Some("8") => 3,
            Some("16") => 4,
            _ => return place.error(format!("`{word}` is no access: s or u, then 1, 2, 4, 8 or 16")),
        };
        let op = match &word[..1] {
            "s" => MemOp::new(size).signed(),
            "u" => MemOp::new(size),
            _ => return place.error(format!("`{word}` is no access: s or u, then 1, 2, 4, 8 or 16")),
        };
        Ok(if self.eat_word("aligned") { op.aligned() } else { op })
    }

    /// One side of a fence.
    fn side(&mut self) -> Result<(bool, bool)> {
        self.named(&FENCE_SIDES, "side of a fence")
    }

    /// What a fence orders before, a colon, what after.
    fn order(&mut self) -> Result<Order> {
        let (loads, stores) = self.side()?;
        self.expect(":")?;
        let (later_loads, later_stores) = self.side()?;
        Ok(Order { loads, stores, later_loads, later_stores })
    }

    /// Says that nothing may follow.
    fn end(&mut self) -> Result<()> {
        let place = self.place();
        if self.rest.is_empty() {
            Ok(())
        } else {
            place.error(format!("`{}` is too much", self.rest.trim_end()))
        }
    }
}

struct Parser<'a> {
    names: Names<'a>,
    /// The instructions are kept in `results` and `order` until their numbers are known.
    region: Region,
    /// Instructions that give a value, by number.
    results: HashMap<u32, Inst>,
    /// Per block, what stands in it.
    order: Vec<Vec<Entry>>,
    uses: Vec<(Value, Place)>,
    targets: Vec<(BlockId, Place)>,
}

enum Entry {
    /// An instruction with a number.
    Named(u32),
    /// One without.
    Unnamed(Inst),
}

impl Parser<'_> {
    fn line(&mut self, c: &mut Cursor<'_>, state: Expect) -> Result<Expect> {
        match state {
            Expect::Header => {
                let place = c.place();
                if !c.eat_word("region") {
                    return place.error("`region` expected");
                }
                (self.region.pc, self.region.rm) = (c.number()?, c.named(&ROUNDING, "rounding mode")?);
                self.region.blocks.clear();
                Ok(Expect::Block)
            }
            Expect::Block => {
                self.block(c)?;
                Ok(Expect::Inst)
            }
            Expect::Inst => Ok(if self.inst_or_term(c)? { Expect::Inst } else { Expect::Block }),
        }
    }

    fn block(&mut self, c: &mut Cursor<'_>) -> Result<()> {
        let place = c.place();
        let (id, next) = (c.numbered("b", "block")?, self.region.blocks.len() as u64);
        if id != next {
            return place.error(format!("b{next} expected: blocks stand in the order of their numbers"));
        }
        let block = self.region.add_block();
        self.order.push(Vec::new());
        if c.eat("(") && !c.eat(")") {
            loop {
                let place = c.place();
                let v = c.numbered("v", "value")? as u32;
                c.expect(":")?;
                let ty = c.ty()?;
                let args = [Value::NONE; 3];
                self.define(v, Inst { op: Op::Param, ty, args, imm: 0, snap: SnapId::NONE }, place)?;
                self.region.blocks[block.0 as usize].params.push(Value(v));
                if !c.eat(",") {
                    c.expect(")")?;
                    break;
                }
            }
        }
        c.expect(":")
    }

    fn define(&mut self, v: u32, inst: Inst, place: Place) -> Result<()> {
        match self.results.insert(v, inst) {
            None => Ok(()),
            Some(_) => place.error(format!("v{v} is defined twice")),
        }
    }

    /// Reads an instruction (true) or the block's end (false).
    fn inst_or_term(&mut self, c: &mut Cursor<'_>) -> Result<bool> {
        let block = self.order.len() - 1;
        let (start, whole) = (c.place(), c.rest);
        let word = c.word();
        if let Some(term) = self.term(word, c)? {
            self.region.blocks[block].term = term;
            return Ok(false);
        }
        c.rest = whole;
        let result = if whole.contains('=') {
            let v = c.numbered("v", "value")?;
            c.expect("=")?;
            Some(v as u32)
        } else {
            None
        };
        let inst = self.inst(c)?;
        match (result, inst.result()) {
            (None, Ty::None) => self.order[block].push(Entry::Unnamed(inst)),
            (Some(v), ty) if ty != Ty::None => {
                self.define(v, inst, start)?;
                self.order[block].push(Entry::Named(v));
            }
            (None, _) => return start.error(format!("{} gives a value: name it", inst.op.name())),
            (Some(_), _) => return start.error(format!("{} gives no value", inst.op.name())),
        }
        Ok(true)
    }

    fn term(&mut self, word: &str, c: &mut Cursor<'_>) -> Result<Option<Term>> {
        Ok(Some(match word {
            "jump" => Term::Jump(self.edge(c)?),
            "branch" => {
                let cond = self.value(c)?;
                c.expect(",")?;
                let then = self.edge(c)?;
                c.expect(",")?;
                Term::Branch { cond, then, other: self.edge(c)? }
            }
            "goto" => Term::Goto { pc: c.number()?, check: c.eat_word("check") },
            "indirect" => Term::Indirect { target: self.value(c)?, hint: c.named(&HINTS, "hint")? },
            "trap" => {
                let pc = c.number()?;
                let code = self.labelled(c, "code")?;
                let value = self.labelled(c, "value")?;
                Term::Trap { pc, code: code as u32, value }
            }
            "exit" => {
                let pc = c.number()?;
                let digits = c.rest.trim_start().starts_with(|ch: char| ch.is_ascii_digit());
                let code = if digits { c.number()? as u32 } else { c.named(&EXITS, "exit code")? };
                Term::Exit { pc, code }
            }
            _ => return Ok(None),
        }))
    }

    fn labelled(&self, c: &mut Cursor<'_>, label: &str) -> Result<u64> {
        let place = c.place();
        if c.eat_word(label) { c.number() } else { place.error(format!("`{label}` expected")) }
    }

    fn edge(&mut self, c: &mut Cursor<'_>) -> Result<Edge> {
        let place = c.place();
        let to = BlockId(c.numbered("b", "block")? as u32);
        self.targets.push((to, place));
        let args = if c.eat("(") { self.values_to(c, ")")? } else { Vec::new() };
        Ok(Edge { to, args })
    }

    fn value(&mut self, c: &mut Cursor<'_>) -> Result<Value> {
        let place = c.place();
        let v = Value(c.numbered("v", "value")? as u32);
        self.uses.push((v, place));
        Ok(v)
    }

    fn values_to(&mut self, c: &mut Cursor<'_>, close: &str) -> Result<Vec<Value>> {
        let mut values = Vec::new();
        if c.eat(close) {
            return Ok(values);
        }
        loop {
            values.push(self.value(c)?);
            if !c.eat(",") {
                c.expect(close)?;
                return Ok(values);
            }
        }
    }

    fn inst(&mut self, c: &mut Cursor<'_>) -> Result<Inst> {
        let place = c.place();
        let word = c.word();
        let writable = |op: &&Op| op.name() == word && **op != Op::Param;
        let Some(&op) = Op::ALL.iter().find(writable) else {
            return place.error(format!("`{word}` is no operation"));
        };
        let shape = op.shape();
        let ty = match shape.ty {
            super::Class::Is(ty) if ty == Ty::None || shape.imm == Imm::Helper => ty,
            _ => {
                c.expect(".")?;
                c.ty()?
            }
        };
        let mut inst = Inst { op, ty, args: [Value::NONE; 3], imm: 0, snap: SnapId::NONE };
        let args = self.operands(c, shape.imm, &mut inst)?;
        if args.len() != op.arg_count() {
            return place.error(format!("{word} takes {} operands, not {}", op.arg_count(), args.len()));
        }
        inst.args[..args.len()].copy_from_slice(&args);
        if op.has_snapshot() {
            if op != Op::Mark {
                c.expect("@")?;
            }
            inst.snap = self.snapshot(c)?;
        }
        Ok(inst)
    }

    /// Reads what stands between the operation and the snapshot: immediate and operands.
    fn operands(&mut self, c: &mut Cursor<'_>, imm: Imm, inst: &mut Inst) -> Result<Vec<Value>> {
        match imm {
            Imm::None => {}
            Imm::Const if inst.ty == Ty::V128 => inst.imm = self.region.vector(c.wide_number()?),
            Imm::Const | Imm::Index => inst.imm = c.number()?,
            Imm::Reg => {
                inst.imm = self.reg(c)?.0.into();
                return if c.eat(",") { Ok(vec![self.value(c)?]) } else { Ok(Vec::new()) };
            }
            Imm::Bits => inst.imm = c.number()?,
            Imm::Mem | Imm::LaneMem => {
                inst.imm = c.access()?.pack();
                return self.address_and_rest(c);
            }
            Imm::Rmw => {
                let kind = c.named(&RMW, "read-modify-write")?;
                inst.imm = kind.pack(c.access()?);
                return self.address_and_rest(c);
            }
            Imm::Order => inst.imm = c.order()?.pack(),
            Imm::Insns | Imm::Counter | Imm::Event => inst.imm = c.number()?,
            Imm::Helper => {
                inst.imm = self.helper(c)?;
                c.expect("(")?;
                return self.values_to(c, ")");
            }
            Imm::Cond => inst.imm = c.named(&CONDITIONS, "condition")? as u64,
            Imm::Lane => {
                let access = c.access()?;
                let place = c.place();
                let index = c.number()?;
                let Ok(index) = u8::try_from(index) else { return place.error("there is no such lane") };
                inst.imm = Lane { size: access.size, signed: access.signed, index }.pack();
            }
            Imm::Vector => inst.imm = self.region.vector(c.wide_number()?),
            Imm::Widen => {
                let (signed, high) = (c.named(&SIGNS, "extension")?, c.named(&HALVES, "half")?);
                let bit = |set: bool, bit: u64| if set { bit } else { 0 };
                inst.imm = bit(signed, widen::SIGNED) | bit(high, widen::HIGH);
            }
            Imm::Narrow => inst.imm = c.named(&NARROW, "way to narrow")? as u64,
            Imm::Halves => {
                let (a, b) = (c.named(&HALVES, "half")?, c.named(&HALVES, "half")?);
                inst.imm = u64::from(a) | u64::from(b) << 1;
            }
            Imm::Aes => inst.imm = c.named(&AES, "step of AES")? as u64,
            Imm::Sha256 => inst.imm = c.named(&SHA256, "step of SHA-256")? as u64,
            Imm::VectorHelper => inst.imm = self.helper(c)? | c.number()? << 16,
            _ => {
                if imm == Imm::CondFloat {
                    inst.imm = (c.named(&CONDITIONS, "condition")? as u64) << 8;
                }
                if imm.rounds() {
                    inst.imm = c.named(&ROUNDING, "rounding mode")? as u64;
                }
                for (word, bit) in imm.words() {
                    if c.eat_word(word) {
                        inst.imm |= bit;
                    }
                }
            }
        }
        let mut args = Vec::new();
        if inst.op.arg_count() > 0 {
            args.push(self.value(c)?);
            while c.eat(",") {
                args.push(self.value(c)?);
            }
        }
        Ok(args)
    }

    fn helper(&self, c: &mut Cursor<'_>) -> Result<u64> {
        let place = c.place();
        let name = c.word();
        match self.names.helpers.iter().position(|h| h.name == name) {
            Some(id) => Ok(id as u64),
            None => place.error(format!("`{name}` is no helper")),
        }
    }

    fn address_and_rest(&mut self, c: &mut Cursor<'_>) -> Result<Vec<Value>> {
        c.expect("[")?;
        let mut args = vec![self.value(c)?];
        c.expect("]")?;
        while c.eat(",") {
            args.push(self.value(c)?);
        }
        Ok(args)
    }

    fn reg(&self, c: &mut Cursor<'_>) -> Result<RegId> {
        let place = c.place();
        let name = c.word();
        match self.names.regs.iter().position(|r| r.name == name) {
            Some(n) => Ok(RegId(n as u16)),
            None => place.error(format!("`{name}` is no register of the guest")),
        }
    }

    fn snapshot(&mut self, c: &mut Cursor<'_>) -> Result<SnapId> {
        let pc = c.number()?;
        let (mut regs, mut retired) = (Vec::new(), 0);
        if c.eat("{") && !c.eat("}") {
            loop {
                let reg = self.reg(c)?;
                c.expect(":")?;
                regs.push((reg, self.value(c)?));
                if !c.eat(",") {
                    c.expect("}")?;
                    break;
                }
            }
        }
        if c.eat_word("retired") {
            retired = c.number()?;
        }
        Ok(self.region.intern_snapshot(pc, retired, &regs))
    }

    /// Puts the instructions in their places. One without a number goes after the one before it if that place is
    /// free, so that a region numbered in order comes back as it was.
    fn finish(mut self) -> Result<Region> {
        for (v, place) in &self.uses {
            if !self.results.contains_key(&v.0) {
                return place.error(format!("{v} is not defined"));
            }
        }
        for (block, place) in &self.targets {
            if block.0 as usize >= self.region.blocks.len() {
                return place.error(format!("there is no block {block}"));
            }
        }
        if self.region.blocks.is_empty() {
            return Place { line: 1, column: 1 }.error("a region has at least one block");
        }
        let named = self.results.keys().max().map_or(0, |v| v + 1);
        let nop = Inst { op: Op::Nop, ty: Ty::None, args: [Value::NONE; 3], imm: 0, snap: SnapId::NONE };
        let mut insts = vec![nop; named as usize];
        for (v, inst) in &self.results {
            insts[*v as usize] = *inst;
        }
        let mut next = 0u32;
        for (block, entries) in self.region.blocks.iter_mut().zip(self.order) {
            next = block.params.last().map_or(next, |v| v.0 + 1);
            for entry in entries {
                let v = match entry {
                    Entry::Named(v) => v,
                    Entry::Unnamed(inst) => {
                        let free = !self.results.contains_key(&next) && next as usize <= insts.len();
                        let v = if free { next } else { insts.len() as u32 };
                        if v as usize == insts.len() {
                            insts.push(nop);
                        }
                        insts[v as usize] = inst;
                        self.results.insert(v, inst);
                        v
                    }
                };
                block.insts.push(Value(v));
                next = v + 1;
            }
        }
        self.region.insts = insts;
        Ok(self.region)
    }
}

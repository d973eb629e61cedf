//! Accesses that share one look into the TLB.
//!
//! A block often reaches several fields of one structure, or several places of one stack frame: addresses that are one base and
//! small constants. The first such access looks up the whole span from the lowest to the highest byte, and leaves in a slot where the
//! base's part of the host's memory is; the others use that. Where the span is not in one page that the TLB has, the slot holds
//! zero, and each access looks for itself.
//!
//! Often the accesses of a span follow one on the other, as those of an instruction do that loads or stores a pair, or of a function's
//! beginning. Such a *run* needs no slot: all that was looked up is in rcx until its last access is made, and where it was not found
//! a stub makes them all.
//!
//! The slot is good as long as nobody changes what the TLB said in between: a span ends where a helper is called or requests are
//! looked at. Stores are in one only where one vCPU is alone ([`TlbShape::alone`](crate::host::TlbShape::alone)), since other ones begin
//! to watch pages for stores at any time; what they forget of their TLBs they tell by requests.

use super::compile::{Emit, Frame, displacement};
use super::direct::Place;
use super::moves::RAX;
use super::short::short;
use super::stubs::Slow;
use crate::host::helpers::CoreHelper;
use crate::ir::{Block, BlockId, Effect, Inst, Op, Region, Value};
use crate::sem::MemOp;
use base::PAGE_SIZE;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// The longest span: of longer ones too many would cross pages.
const LONGEST: i64 = PAGE_SIZE as i64 / 8;
/// How many additions of a constant are looked through.
const DEPTH: usize = 4;

/// Addresses that are looked up together.
#[derive(Clone, Copy)]
struct Span {
    base: Value,
    /// The first byte, and the one behind the last, from the base.
    bytes: (i64, i64),
    /// Whether there are loads, stores.
    kinds: (bool, bool),
    /// The access that looks it up.
    first: Value,
    /// How many accesses there are.
    count: u32,
    /// Whether they are one run.
    run: bool,
    /// Number among the spans of the block.
    number: u16,
}

/// The spans of a region.
#[derive(Default)]
pub struct Spans {
    list: Vec<Span>,
    /// For each access in one, by its value: the value, which span, and its place from the base.
    accesses: Vec<(Value, u32, i64)>,
    open: Vec<u32>,
}

/// Accesses that follow one on the other: they begin in `block` with instruction number `first`.
#[derive(Clone, Copy)]
pub struct Run {
    block: BlockId,
    first: usize,
}

/// Whether an instruction may stand in a run: it has no code there, or such that leaves rcx alone, does nothing to be seen, and
/// may be in the stub as well.
fn goes_with_run(region: &Region, inst: &Inst) -> bool {
    match inst.op {
        Op::Nop | Op::Const | Op::Mark | Op::Get | Op::CodeAddr => true,
        _ => displacement(region, inst).is_some(),
    }
}

/// The address of an access as a base and a distance.
fn split(region: &Region, mut v: Value) -> (Value, i64) {
    let mut distance = 0i64;
    for _ in 0..DEPTH {
        let inst = region.inst(v);
        let Some(small) = displacement(region, inst) else { break };
        distance += i64::from(small);
        v = inst.args[0];
    }
    (v, distance)
}

impl Spans {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.list.clear();
        self.accesses.clear();
    }

    /// Finds those of `region`, with `stores` or without, into nothing that was found before; none if a block would need more than
    /// `room` slots. What is `fused` has no code of its own.
    pub fn find(&mut self, region: &Region, fused: &[bool], stores: bool, room: u16) {
        for block in &region.blocks {
            if self.find_in(region, block, fused, stores) > room {
                return self.clear();
            }
        }
        let list = &self.list;
        self.accesses.retain(|(_, span, _)| list[*span as usize].count > 1);
        self.accesses.sort_unstable_by_key(|(v, ..)| v.0);
    }

    /// Finds those of `block`; gives how many there are.
    fn find_in(&mut self, region: &Region, block: &Block, fused: &[bool], with_stores: bool) -> u16 {
        self.open.clear();
        let mut number = 0;
        // That of the access that the last code is of.
        let mut last = None;
        for &v in &block.insts {
            let inst = region.inst(v);
            let before = last;
            if !fused[v.0 as usize] && !goes_with_run(region, inst) {
                last = None;
            }
            if !matches!(inst.op, Op::Load | Op::Store) {
                let plain = matches!(inst.op, Op::LoadLanes | Op::StoreLanes | Op::Fence);
                if inst.op.effect() == Effect::Memory && !plain || inst.op == Op::CallVector {
                    self.open.clear();
                }
                continue;
            }
            let op = MemOp::unpack(inst.imm);
            if op.aligned || inst.op == Op::Store && !with_stores {
                continue;
            }
            let (base, place) = split(region, inst.args[0]);
            let (bytes, stores) = ((place, place + op.bytes() as i64), inst.op == Op::Store);
            let joins = |span: &Span| {
                let (low, high) = (span.bytes.0.min(bytes.0), span.bytes.1.max(bytes.1));
                span.base == base && high - low <= LONGEST
            };
            let span = match self.open.iter().find(|n| joins(&self.list[**n as usize])) {
                Some(n) => *n,
                None => {
                    let new =
                        Span { base, bytes, kinds: (false, false), first: v, count: 0, run: true, number };
                    self.list.push(new);
                    number += 1;
                    self.open.push(self.list.len() as u32 - 1);
                    self.list.len() as u32 - 1
                }
            };
            let known = &mut self.list[span as usize];
            known.bytes = (known.bytes.0.min(bytes.0), known.bytes.1.max(bytes.1));
            known.kinds = (known.kinds.0 || !stores, known.kinds.1 || stores);
            known.run &= known.count == 0 || before == Some(span);
            known.count += 1;
            last = Some(span);
            self.accesses.push((v, span, place));
        }
        number
    }

    fn of(&self, v: Value) -> Option<(Span, i64)> {
        let n = self.accesses.binary_search_by_key(&v.0, |(access, ..)| access.0).ok()?;
        let (_, span, place) = self.accesses[n];
        Some((self.list[span as usize], place))
    }

    /// Whether access `v` is in a run; if so, all are made with its first one.
    pub fn is_in_run(&self, v: Value) -> bool {
        self.of(v).is_some_and(|(span, _)| span.run)
    }
}

/// An access of a span that looks for itself.
#[derive(Clone, Copy)]
pub struct Apart {
    /// Where it goes if the TLB does not have it.
    miss: DynamicLabel,
    /// Where it goes if it does, with rax `distance` below the address.
    hit: DynamicLabel,
    distance: i32,
    /// The span's slot, if it is to be zero from now on.
    gives_up: Option<i32>,
}

impl Emit<'_> {
    /// The place in the host's memory of access `v`. If the TLB does not have it, `miss` is entered.
    pub fn host_place(&mut self, v: Value, inst: &Inst, miss: DynamicLabel) -> Place {
        let Some((span, place)) = self.spans.of(v) else {
            return self.probe_place(inst, miss);
        };
        let slot = Frame::slot(self.allocation.slots + span.number);
        let (hit, distance) = (self.ops.new_dynamic_label(), (place - span.bytes.0) as i32);
        let first = span.first == v;
        let apart = Apart { miss, hit, distance, gives_up: first.then_some(slot) };
        let stub = self.stub(v, Slow::Apart(apart));
        if first {
            self.look_span_up(inst.args[0], span, distance, stub.entry);
            let ops = &mut self.ops;
            short!(ops, slot, (mov) [rsp] (, rax));
        } else {
            let ops = &mut self.ops;
            short!(ops, slot, (mov rax,) [rsp] ());
            dynasm!(ops ; .arch x64 ; test rax, rax ; jz =>stub.entry);
        }
        self.ops.dynamic_label(hit);
        Place { base: RAX, indexed: false, at: distance }
    }

    /// Makes the accesses of the run that begins with instruction number `first` of `block`, if one does, and what stands between
    /// them. Gives how many instructions these are.
    pub fn run(&mut self, block: BlockId, first: usize) -> Option<usize> {
        let run = Run { block, first };
        let v = self.region.blocks[block.0 as usize].insts[first];
        let (span, place) = self.spans.of(v).filter(|(span, _)| span.run && span.first == v)?;
        let stub = self.stub(v, Slow::Run(run));
        let distance = (place - span.bytes.0) as i32;
        self.find_span(self.region.inst(v).args[0], span, distance, stub.entry);
        let count = self.accesses_of_run(run, true);
        self.ops.dynamic_label(stub.resume);
        Some(count)
    }

    /// The accesses of `run`: those of one that was `found`, or each after a look of its own; and what stands between them. Gives how
    /// many instructions these are.
    pub fn accesses_of_run(&mut self, run: Run, found: bool) -> usize {
        let (region, at) = (self.region, self.at);
        let insts = &region.blocks[run.block.0 as usize].insts[run.first..];
        let (mut left, mut n) = (self.spans.of(insts[0]).map_or(0, |(span, _)| span.count), 0);
        while left > 0 {
            let v = insts[n];
            self.at = at + n as u32;
            n += 1;
            if self.spans.is_in_run(v) {
                self.access_of_run(v, found);
                left -= 1;
            } else if !self.uses.is_fused(v) {
                self.instruction(v);
            } else {
                continue;
            }
            self.keep_second(v);
        }
        self.at = at;
        n
    }

    fn access_of_run(&mut self, v: Value, found: bool) {
        let inst = *self.region.inst(v);
        let resume = (!found).then(|| self.look_alone(v, &inst));
        let place = match resume {
            Some(_) => Place { base: RAX, indexed: false, at: 0 },
            None => {
                let (base, at) = self.base_and_offset(inst.args[0]);
                Place { base, indexed: true, at }
            }
        };
        match inst.op {
            Op::Load => self.load_from(v, &inst, place),
            _ => self.store_to(&inst, place),
        }
        resume.iter().for_each(|resume| self.ops.dynamic_label(*resume));
    }

    /// Puts where access `v` is in the host's memory into rax. Gives where its stub goes on if the TLB does not have it.
    fn look_alone(&mut self, v: Value, inst: &Inst) -> DynamicLabel {
        let write = inst.op == Op::Store;
        let stub = self.stub(v, Slow::Memory(if write { CoreHelper::Store } else { CoreHelper::Load }));
        self.address(inst.args[0]);
        self.probe(MemOp::unpack(inst.imm), write, stub.entry);
        stub.resume
    }

    /// Looks `span` up, whose first byte is `distance` before `addr`, and puts where that byte is in the host's memory into rax; `miss`
    /// is entered if the TLB does not have it all.
    fn look_span_up(&mut self, addr: Value, span: Span, distance: i32, miss: DynamicLabel) {
        let (base, offset) = self.find_span(addr, span, distance, miss);
        let ops = &mut self.ops;
        short!(ops, offset, (lea rax,) [Rq(base) + rcx] ());
    }

    /// Looks `span` up, whose first byte is `distance` before `addr`, and puts what leads from there to the host's memory into rcx; gives
    /// a register, and how far behind what it holds that byte is. `miss` is entered if the TLB does not have it all.
    fn find_span(&mut self, addr: Value, span: Span, distance: i32, miss: DynamicLabel) -> (u8, i32) {
        let (base, offset) = self.base_and_offset(addr);
        let first = (base, offset - distance);
        self.find_page(first, (span.bytes.1 - span.bytes.0) as i32, span.kinds, miss);
        first
    }

    /// An access of a span that is not in one page, or not in the TLB.
    pub fn access_apart(&mut self, inst: &Inst, apart: Apart) {
        if let Some(slot) = apart.gives_up {
            let ops = &mut self.ops;
            short!(ops, slot, (mov QWORD) [rsp] (, 0));
        }
        self.address(inst.args[0]);
        self.probe(MemOp::unpack(inst.imm), inst.op == Op::Store, apart.miss);
        let ops = &mut self.ops;
        if apart.distance != 0 {
            short!(ops, -apart.distance, (lea Rq(RAX),) [rax] ());
        }
        let hit = apart.hit;
        dynasm!(ops ; .arch x64 ; jmp =>hit);
    }
}

//! Accesses that share one look into the TLB.
//!
//! A block often reaches several fields of one structure, or several places of one stack frame: addresses that are one base and
//! small constants. The first such access looks up the whole span from the lowest to the highest byte, and leaves in a slot where it
//! is in the host's memory; the others use that. Where the span is not in one page that the TLB has, a copy of the code up to the span's
//! last access goes on in which each access looks for itself: that of a *stretch*, which is what spans cover that overlap.
//!
//! Often the accesses of a span follow one on the other, as those of an instruction do that loads or stores a pair, or of a function's
//! beginning. Such a *run* needs no slot: all that was looked up is in rcx until its last access is made.
//!
//! What was found is good as long as nobody changes what the TLB said in between: a span ends where a helper is called or requests are
//! looked at. Stores are in one only where one vCPU is alone ([`TlbShape::alone`](crate::host::TlbShape::alone)), since other ones begin
//! to watch pages for stores at any time; what they forget of their TLBs they tell by requests.

use super::compile::{Emit, Frame, displacement};
use super::direct::Place;
use super::moves::RAX;
use super::short::short;
use super::stubs::Slow;
use crate::ir::{Block, BlockId, Effect, Inst, Op, Region, Value};
use crate::sem::MemOp;
use base::PAGE_SIZE;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi};

/// The longest span: of longer ones too many would cross pages.
const LONGEST: i64 = PAGE_SIZE as i64 / 8;
/// How many instructions a stretch has at most: all its code is there twice.
const LONGEST_STRETCH: usize = 512;
/// How many additions of a constant are looked through.
const DEPTH: usize = 4;

/// Addresses that are looked up together.
#[derive(Clone, Copy)]
struct Span {
    base: Value,
    /// The first byte, and the one behind the last, from the base.
    bytes: (i64, i64),
    /// Whether there are stores.
    stores: bool,
    /// The access that looks it up.
    first: Value,
    /// How many accesses there are.
    count: u32,
    /// Whether they are one run.
    run: bool,
    /// Number among the spans of the block.
    number: u16,
    /// Numbers of its first access, and of what is behind its last one, in the block.
    at: (usize, usize),
    /// Number of its stretch.
    stretch: usize,
}

/// Instructions that are there once more, with accesses that look for themselves.
#[derive(Clone, Copy)]
pub struct Stretch {
    pub block: BlockId,
    /// Numbers of the first one, and of what is behind the last one, in the block.
    pub first: usize,
    pub end: usize,
}

/// The spans of a region.
#[derive(Default)]
pub struct Spans {
    list: Vec<Span>,
    stretches: Vec<Stretch>,
    /// For each access in one, by its value: the value, which span, and its place from the base.
    accesses: Vec<(Value, u32, i64)>,
    open: Vec<u32>,
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
        self.stretches.clear();
        self.accesses.clear();
    }

    /// Finds those of `region`, with `stores` or without, into nothing that was found before; none if a block would need more than
    /// `room` slots. What is `fused` has no code of its own.
    pub fn find(&mut self, region: &Region, fused: &[bool], stores: bool, room: u16) {
        for (n, block) in region.blocks.iter().enumerate() {
            let start = self.list.len();
            self.find_in(region, block, fused, stores);
            if self.list.len() - start > usize::from(room) {
                return self.clear();
            }
            self.find_stretches(BlockId(n as u32), start);
        }
        let list = &self.list;
        self.accesses.retain(|(_, span, _)| list[*span as usize].count > 1);
        self.accesses.sort_unstable_by_key(|(v, ..)| v.0);
    }

    /// Finds those of `block`.
    fn find_in(&mut self, region: &Region, block: &Block, fused: &[bool], with_stores: bool) {
        self.open.clear();
        let start = self.list.len();
        // That of the access that the last code is of.
        let mut last = None;
        for (n, &v) in block.insts.iter().enumerate() {
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
            // Spans that are open overlap those before them.
            let begun = self.open.first().map_or(n, |span| self.list[*span as usize].at.0);
            if n - begun >= LONGEST_STRETCH {
                self.open.clear();
            }
            let (base, place) = split(region, inst.args[0]);
            let (bytes, stores) = ((place, place + op.bytes() as i64), inst.op == Op::Store);
            let joins = |span: &Span| {
                let (low, high) = (span.bytes.0.min(bytes.0), span.bytes.1.max(bytes.1));
                span.base == base && high - low <= LONGEST
            };
            let known = self.open.iter().copied().find(|span| joins(&self.list[*span as usize]));
            let span = known.unwrap_or(self.list.len() as u32);
            if known.is_none() {
                let number = (self.list.len() - start) as u16;
                let (count, at) = (0, (n, n));
                let new = Span { base, bytes, stores, first: v, count, run: true, number, at, stretch: 0 };
                self.list.push(new);
                self.open.push(span);
            }
            let known = &mut self.list[span as usize];
            known.bytes = (known.bytes.0.min(bytes.0), known.bytes.1.max(bytes.1));
            known.stores |= stores;
            known.run &= known.count == 0 || before == Some(span);
            known.count += 1;
            known.at.1 = n + 1;
            last = Some(span);
            self.accesses.push((v, span, place));
        }
    }

    /// Finds the stretches of `block`, whose spans begin with number `start`: those that overlap share one, and each run has its own.
    fn find_stretches(&mut self, block: BlockId, start: usize) {
        let stretches = &mut self.stretches;
        let mut open: Option<usize> = None;
        for span in self.list[start..].iter_mut().filter(|span| span.count > 1) {
            let (first, end) = span.at;
            let shared = open.filter(|n| !span.run && first < stretches[*n].end);
            span.stretch = shared.unwrap_or(stretches.len());
            match shared {
                Some(n) => stretches[n].end = stretches[n].end.max(end),
                None => stretches.push(Stretch { block, first, end }),
            }
            if !span.run {
                open = Some(span.stretch);
            }
        }
    }

    fn of(&self, v: Value) -> Option<(Span, i64)> {
        let n = self.accesses.binary_search_by_key(&v.0, |(access, ..)| access.0).ok()?;
        let (_, span, place) = self.accesses[n];
        Some((self.list[span as usize], place))
    }
}

impl Emit<'_> {
    /// The place in the host's memory of access `v`, if it does not look for itself.
    pub fn span_place(&mut self, v: Value, inst: &Inst) -> Option<Place> {
        let (span, place) = self.spans.of(v).filter(|_| !self.apart)?;
        let slot = Frame::slot(self.allocation.slots + span.number);
        let distance = (place - span.bytes.0) as i32;
        if span.first == v {
            let miss = self.way_apart(v, self.spans.stretches[span.stretch]);
            self.look_span_up(inst.args[0], span, distance, miss);
            let ops = &mut self.ops;
            short!(ops, slot, (mov) [rsp] (, rax));
        } else {
            let ops = &mut self.ops;
            short!(ops, slot, (mov rax,) [rsp] ());
        }
        Some(Place { base: RAX, indexed: false, at: distance })
    }

    /// Where the copy of `stretch` begins with access `v`, which is the first of a span.
    fn way_apart(&mut self, v: Value, stretch: Stretch) -> DynamicLabel {
        if self.region.blocks[stretch.block.0 as usize].insts[stretch.first] != v {
            let label = self.ops.new_dynamic_label();
            self.ways_apart.push_back((v, label));
            return label;
        }
        let stub = self.stub(v, Slow::Stretch(stretch));
        self.rejoins = Some((stretch.end, stub.resume));
        stub.entry
    }

    /// Makes the accesses of the run that begins with instruction `v`, if one does, and what stands between them. Gives how many
    /// instructions these are.
    pub fn run(&mut self, v: Value) -> Option<usize> {
        let (span, place) = self.spans.of(v).filter(|(span, _)| span.run && span.first == v)?;
        let stretch = self.spans.stretches[span.stretch];
        let stub = self.stub(v, Slow::Stretch(stretch));
        let distance = (place - span.bytes.0) as i32;
        self.find_span(self.region.inst(v).args[0], span, distance, stub.entry);
        let (region, at) = (self.region, self.at);
        let insts = &region.blocks[stretch.block.0 as usize].insts[stretch.first..stretch.end];
        for (n, &v) in insts.iter().enumerate() {
            self.at = at + n as u32;
            if self.spans.of(v).is_some() {
                self.access_of_run(v);
            } else if !self.uses.is_fused(v) {
                self.instruction(v);
            } else {
                continue;
            }
            self.keep_second(v);
        }
        self.at = at;
        self.ops.dynamic_label(stub.resume);
        Some(insts.len())
    }

    fn access_of_run(&mut self, v: Value) {
        let inst = *self.region.inst(v);
        let (base, at) = self.base_and_offset(inst.args[0]);
        let place = Place { base, indexed: true, at };
        match inst.op {
            Op::Load => self.load_from(v, &inst, place),
            _ => self.store_to(&inst, place),
        }
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
        self.find_page(first, (span.bytes.1 - span.bytes.0) as i32, span.stores, miss);
        first
    }
}

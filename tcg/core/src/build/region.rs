//! Regions of hot code: the loops around one address, as one translation.
//!
//! A region is made of the code that is known to have run and that can be reached from its head by jumps whose target is
//! known. What runs rarely, and what a translation must not take for granted (another page), stays outside. Each
//! instruction is in it once; where a way comes round, attention requests are looked at.

use super::{Build, Links};
use crate::guest::{Ctx, Fetch, Guest, Trap};
use crate::ir::{BlockId, Edge, Op, Region, Term, order_blocks};
use crate::sem::Next;
use crate::ty::Ty;
use base::PAGE_SHIFT;
use std::collections::{BTreeMap, BTreeSet};

/// Most guest instructions in a region.
const MAX_INSNS: usize = 400;

/// The translation of a hot loop.
#[derive(Debug)]
pub struct GuestRegion {
    /// Its IR.
    pub region: Region,
    /// The guest code that it was made from: ascending addresses, and lengths in bytes.
    pub parts: Vec<(u64, u64)>,
    /// Guest instructions in it.
    pub insns: usize,
}

/// One instruction of the region.
struct Step {
    len: u64,
    /// Where it may go, if it does not just go on to the next.
    ways: Option<Vec<u64>>,
}

struct Scan<'a, F> {
    fetch: &'a mut F,
    head: u64,
    mode: u64,
    links: Links,
    warm: &'a dyn Fn(u64) -> bool,
    code: BTreeMap<u64, Step>,
    /// Where blocks begin.
    leaders: BTreeSet<u64>,
    /// Leaders that are jumped to from at or behind them.
    loops: BTreeSet<u64>,
}

/// Translates the loops around the code at `pc`, as far as `warm` says that it has run. `None`: there is no loop. The
/// error is the fault of fetching the first instruction.
pub fn guest_region<G: Guest>(
    fetch: &mut impl Fetch,
    pc: u64,
    mode: u64,
    links: Links,
    warm: &dyn Fn(u64) -> bool,
) -> Result<Option<GuestRegion>, Trap> {
    let (code, leaders, loops) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut scan = Scan { fetch, head: pc, mode, links, warm, code, leaders, loops };
    scan.all::<G>()?;
    if scan.loops.is_empty() {
        return Ok(None);
    }
    let region = scan.build::<G>()?;
    Ok(Some(GuestRegion { region, parts: parts(&scan.code), insns: scan.code.len() }))
}

/// Code without its gaps.
fn parts(code: &BTreeMap<u64, Step>) -> Vec<(u64, u64)> {
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for (at, step) in code {
        match parts.last_mut() {
            Some((start, len)) if *start + *len >= *at => *len = (*len).max(at + step.len - *start),
            _ => parts.push((*at, step.len)),
        }
    }
    parts
}

impl<F: Fetch> Scan<'_, F> {
    /// Finds all code of the region.
    fn all<G: Guest>(&mut self) -> Result<(), Trap> {
        // Only to learn where instructions lead.
        let mut scratch = Build::new(self.head, G::rounding(self.mode));
        let mut open = vec![self.head];
        self.leaders.insert(self.head);
        while let Some(start) = open.pop() {
            let mut at = start;
            while !self.code.contains_key(&at) && self.code.len() < MAX_INSNS {
                let (insn, len) = match G::decode(self.fetch, at, self.mode) {
                    Ok(decoded) => decoded,
                    Err(trap) if self.code.is_empty() => return Err(trap),
                    Err(_) => break,
                };
                if !self.stays(at.wrapping_add(len - 1)) {
                    break;
                }
                let cx = Ctx { pc: at, len, mode: self.mode };
                scratch.begin(at);
                let Ok(next) = G::exec(&mut scratch, &cx, insn);
                let ways = match next {
                    Next::Fall => None,
                    Next::Jump(to) => Some(vec![to]),
                    Next::Branch { taken, not, .. } => Some(vec![taken, not]),
                    Next::Indirect(..) | Next::Trap(_) | Next::Exit(_) => Some(Vec::new()),
                };
                let ends = ways.is_some();
                let inside: Vec<u64> = ways.iter().flatten().copied().filter(|to| self.takes(*to)).collect();
                self.loops.extend(inside.iter().filter(|to| **to <= at));
                self.leaders.extend(&inside);
                open.extend(inside);
                self.code.insert(at, Step { len, ways });
                if ends {
                    break;
                }
                at = cx.next_pc();
                if !self.stays(at) {
                    break;
                }
            }
            // What runs into code that is there already begins a block there.
            if at != start && self.code.contains_key(&at) && self.runs_into(at) {
                self.leaders.insert(at);
            }
        }
        self.leaders.retain(|at| self.code.contains_key(at));
        self.loops.retain(|at| self.code.contains_key(at));
        Ok(())
    }

    /// Whether the instruction before `at` goes on to `at`.
    fn runs_into(&self, at: u64) -> bool {
        let before = self.code.range(..at).next_back();
        before.is_some_and(|(pc, step)| step.ways.is_none() && pc + step.len == at)
    }

    /// Whether an address is one that the region may take for granted.
    fn stays(&self, addr: u64) -> bool {
        self.links == Links::Anywhere || (addr ^ self.head) >> PAGE_SHIFT == 0
    }

    /// Whether the region goes on at `to`.
    fn takes(&self, to: u64) -> bool {
        self.stays(to) && (self.code.contains_key(&to) || to == self.head || (self.warm)(to))
    }

    fn build<G: Guest>(&mut self) -> Result<Region, Trap> {
        let mut build = Build::new(self.head, G::rounding(self.mode));
        build.counts = G::counts(self.mode);
        build.links = self.links;
        for leader in &self.leaders {
            let block = build.region.add_block();
            build.inside.insert(*leader, block);
        }
        // The entry has no parameters, so the head cannot be it.
        build.end(Term::Jump(Edge::to(build.inside[&self.head])));
        let leaders: Vec<(u64, BlockId)> = build.inside.iter().map(|(at, block)| (*at, *block)).collect();
        for (leader, block) in leaders {
            build.block = block;
            self.block::<G>(&mut build, leader)?;
        }
        let mut region = build.into_region();
        order_blocks(&mut region);
        Ok(region)
    }

    /// The block that begins at `leader`.
    fn block<G: Guest>(&mut self, build: &mut Build, leader: u64) -> Result<(), Trap> {
        if self.loops.contains(&leader) {
            build.snapshot(leader);
            build.emit(Op::Poll, Ty::None, 0, &[]);
        }
        let mut at = leader;
        loop {
            let known = self.code.contains_key(&at);
            if at != leader && (!known || self.leaders.contains(&at)) {
                let end = build.leave(at, false);
                build.end(end);
                return Ok(());
            }
            let (insn, len) = G::decode(self.fetch, at, self.mode)?;
            let cx = Ctx { pc: at, len, mode: self.mode };
            build.begin(at);
            let Ok(next) = G::exec(build, &cx, insn);
            at = cx.next_pc();
            if let Some(term) = build.finish(&cx, next) {
                build.end(term);
                return Ok(());
            }
        }
    }
}

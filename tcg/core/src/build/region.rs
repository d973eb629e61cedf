//! Regions of hot code: the loops around one address, as one translation.
//!
//! A region is made of the code that is known to have run and that can be reached from its head by jumps whose target is
//! known, and by computed jumps to where they were seen to go. What runs rarely stays outside. Functions that
//! are called are in it once for each call, up to a depth; where one returns, a comparison makes sure that it returns to
//! its call, and is folded away if that is clear; others choose among the targets of a computed jump. Where a way comes
//! round, attention requests are looked at.

use super::{Build, Limits, Links, Tallies};
use crate::guest::{Ctx, Fetch, Guest, Trap};
use crate::ir::{BlockId, Edge, Op, Region, Term, Value, order_blocks};
use crate::sem::{Hint, Next};
use crate::ty::Ty;
use base::PAGE_SHIFT;
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// Most guest instructions in a region.
const MAX_INSNS: usize = 400;
/// A region that has this many goes into no more calls: code that is called is less often hot.
const ENOUGH_INSNS: usize = 100;
/// Most calls in a region.
const MAX_CALLS: usize = 24;
/// Deepest call in a call.
const MAX_DEPTH: usize = 3;
/// Most pages that a region is in where pages can move: whoever enters it has to know where they are.
const MAX_PAGES: usize = 8;

/// The translation of a hot loop.
#[derive(Debug)]
pub struct GuestRegion {
    /// Its IR.
    pub region: Region,
    /// The guest code that it was made from: ascending addresses, and lengths in bytes.
    pub parts: Vec<(u64, u64)>,
    /// Guest instructions in it.
    pub insns: usize,
    /// What the translation counts of itself.
    pub tallies: Tallies,
}

/// Code as it runs for one call: number 0 is no call.
struct Call {
    /// The call that this one is made in.
    outer: usize,
    /// Where it returns to.
    returns: u64,
    depth: usize,
}

/// An instruction of a call.
type Place = (usize, u64);

/// The mode that the way to a place leads there with: the first that was found; others leave the region.
type Modes = BTreeMap<Place, u64>;

/// One instruction of the region.
struct Step {
    len: u64,
    /// The mode that it is translated for.
    mode: u64,
    /// Where it may go inside the region, if it does not just go on to the next; of a computed jump the most likely first.
    ways: Option<Vec<Place>>,
}

/// What is known of how code runs. Both look at memory through what the code is fetched with.
pub struct Profile<'a, F> {
    /// Whether the code at an address has run.
    pub warm: &'a dyn Fn(&mut F, u64) -> bool,
    /// Where the computed jump went whose last byte is at an address: the most likely target first.
    pub targets: &'a dyn Fn(&mut F, u64) -> Vec<u64>,
}

struct Scan<'a, F> {
    fetch: &'a mut F,
    head: u64,
    mode: u64,
    limits: &'a Limits,
    profile: &'a Profile<'a, F>,
    /// Pages that it is in.
    pages: BTreeSet<u64>,
    calls: Vec<Call>,
    code: BTreeMap<Place, Step>,
    /// Modes of what was jumped to.
    modes: Modes,
    /// Where blocks begin.
    leaders: BTreeSet<Place>,
    /// Leaders that are jumped to from at or behind them.
    loops: BTreeSet<Place>,
    /// Computed jumps go on inside.
    chooses: bool,
}

/// Translates the loops around the code at `pc`, as far as `profile` says that it has run, and what they call. It is in
/// pages that can be fetched from. `None`: there is neither a loop nor a call. The error is the fault of fetching the first instruction.
pub fn guest_region<G: Guest, F: Fetch>(
    fetch: &mut F,
    pc: u64,
    mode: u64,
    limits: &Limits,
    profile: &Profile<'_, F>,
) -> Result<Option<GuestRegion>, Trap> {
    let scan = Scan::all::<G>(fetch, (pc, mode), limits, profile)?;
    if !scan.chooses || scan.code.len() < MAX_INSNS {
        return scan.region::<G>();
    }
    // Of what computed jumps lead to only a part fits: it would be left again all the time.
    let known_only = Profile { warm: profile.warm, targets: &|_, _| Vec::new() };
    Scan::all::<G>(scan.fetch, (pc, mode), limits, &known_only)?.region::<G>()
}

/// Code without its gaps.
fn parts(code: &BTreeMap<Place, Step>) -> Vec<(u64, u64)> {
    let mut parts: Vec<(u64, u64)> = Vec::new();
    let by_address: BTreeMap<u64, u64> = code.iter().map(|((_, at), step)| (*at, step.len)).collect();
    for (at, len) in by_address {
        match parts.last_mut() {
            Some((start, all)) if *start + *all >= at => *all = (*all).max(at + len - *start),
            _ => parts.push((at, len)),
        }
    }
    parts
}

impl<'a, F: Fetch> Scan<'a, F> {
    /// Finds all code of the region at `head`, an address and its mode.
    fn all<G: Guest>(
        fetch: &'a mut F,
        (head, mode): (u64, u64),
        limits: &'a Limits,
        profile: &'a Profile<'a, F>,
    ) -> Result<Self, Trap> {
        let mut scan = Self {
            fetch,
            head,
            mode,
            limits,
            profile,
            pages: BTreeSet::from([head >> PAGE_SHIFT]),
            calls: vec![Call { outer: 0, returns: 0, depth: 0 }],
            code: BTreeMap::new(),
            modes: Modes::from([((0, head), mode)]),
            leaders: BTreeSet::from([(0, head)]),
            loops: BTreeSet::new(),
            chooses: false,
        };
        scan.follow::<G>()?;
        Ok(scan)
    }

    /// The region; `None` if there is neither a loop nor a call.
    fn region<G: Guest>(mut self) -> Result<Option<GuestRegion>, Trap> {
        if self.loops.is_empty() && self.calls.len() == 1 {
            return Ok(None);
        }
        let (region, tallies) = self.build::<G>()?;
        Ok(Some(GuestRegion { region, parts: parts(&self.code), insns: self.code.len(), tallies }))
    }

    /// Finds the code that there is a way to.
    fn follow<G: Guest>(&mut self) -> Result<(), Trap> {
        // Only to learn where instructions lead.
        let mut scratch = Build::new(Region::new(self.head, G::rounding(self.mode)));
        scratch.links = self.limits.links;
        let mut open = vec![(0, self.head)];
        while let Some(start) = open.pop() {
            let (call, mut at) = start;
            let mut mode = self.mode_of(start, self.mode);
            let mut falls = false;
            while !self.code.contains_key(&(call, at)) && self.code.len() < MAX_INSNS {
                let (insn, len) = match G::decode(self.fetch, at, mode) {
                    Ok(decoded) => decoded,
                    Err(trap) if self.code.is_empty() => return Err(trap),
                    Err(_) => break,
                };
                if !self.has_room(at.wrapping_add(len - 1)) {
                    break;
                }
                let cx = Ctx { pc: at, len, mode };
                scratch.begin(at);
                let Ok(next) = G::exec(&mut scratch, &cx, insn);
                let step = self.step(call, &cx, next, &scratch);
                falls = step.ways.is_none();
                let inside = step.ways.clone().unwrap_or_default();
                self.code.insert((call, at), step);
                self.loops.extend(inside.iter().filter(|(to, pc)| *to == call && *pc <= at));
                self.leaders.extend(&inside);
                open.extend(inside);
                at = cx.next_pc();
                if let Next::Mode(next) = next {
                    mode = next;
                }
                if !falls || !self.has_room(at) {
                    break;
                }
            }
            // What runs into code that is there already begins a block there.
            if falls && self.code.get(&(call, at)).is_some_and(|step| step.mode == mode) {
                self.leaders.insert((call, at));
            }
        }
        self.leaders.retain(|place| self.code.contains_key(place));
        self.loops.retain(|place| self.code.contains_key(place));
        Ok(())
    }

    /// What an instruction that goes to `next` is in the region; `scratch` has just carried it out.
    fn step(&mut self, call: usize, cx: &Ctx, next: Next<Value>, scratch: &Build) -> Step {
        let mut ways = match next {
            Next::Fall | Next::Mode(_) => return Step { len: cx.len, mode: cx.mode, ways: None },
            Next::Jump(to) if scratch.links_to(cx.next_pc()) => self.call(call, to, cx.next_pc()),
            Next::Jump(to) => vec![(call, to)],
            Next::Branch { taken, not, .. } => vec![(call, taken), (call, not)],
            Next::Indirect(_, Hint::Return) if call != 0 => {
                vec![(self.calls[call].outer, self.calls[call].returns)]
            }
            Next::Indirect(_, Hint::Jump) => {
                let calls = scratch.links_to(cx.next_pc());
                let targets = (self.profile.targets)(self.fetch, cx.next_pc().wrapping_sub(1)).into_iter();
                let ways: Vec<_> = match calls {
                    true => targets.flat_map(|to| self.call(call, to, cx.next_pc())).collect(),
                    false => targets.map(|to| (call, to)).collect(),
                };
                self.chooses |= !ways.is_empty();
                ways
            }
            Next::Indirect(..) | Next::Trap(_) | Next::Exit(_) => Vec::new(),
        };
        ways.retain(|to| self.takes(*to));
        ways.retain(|to| self.mode_of(*to, cx.mode) == cx.mode);
        Step { len: cx.len, mode: cx.mode, ways: Some(ways) }
    }

    /// The mode of a place, which is led to with `mode`.
    fn mode_of(&mut self, to: Place, mode: u64) -> u64 {
        let known = self.code.get(&to).map(|step| step.mode);
        known.unwrap_or_else(|| *self.modes.entry(to).or_insert(mode))
    }

    /// The function at `to`, called from inside `outer`.
    fn call(&mut self, outer: usize, to: u64, returns: u64) -> Vec<Place> {
        let depth = self.calls[outer].depth + 1;
        let full = depth > MAX_DEPTH || self.calls.len() > MAX_CALLS || self.code.len() > ENOUGH_INSNS;
        if full || !self.takes((self.calls.len(), to)) {
            return Vec::new();
        }
        self.calls.push(Call { outer, returns, depth });
        vec![(self.calls.len() - 1, to)]
    }

    /// Whether there is room for the page of an address.
    fn has_room(&mut self, addr: u64) -> bool {
        let page = addr >> PAGE_SHIFT;
        if self.limits.links == Links::Anywhere || self.pages.contains(&page) {
            return true;
        }
        self.pages.len() < MAX_PAGES && self.pages.insert(page)
    }

    /// Whether the region goes on at `to`.
    fn takes(&mut self, to: Place) -> bool {
        let known = self.code.contains_key(&to) || to == (0, self.head);
        (known || (self.profile.warm)(self.fetch, to.1)) && self.has_room(to.1)
    }

    fn build<G: Guest>(&mut self) -> Result<(Region, Tallies), Trap> {
        let mut build = Build::new(Region::new(self.head, G::rounding(self.mode)));
        build.settle::<G>(self.mode, self.limits);
        build.enter_translation();
        let blocks: BTreeMap<Place, BlockId> =
            self.leaders.iter().map(|leader| (*leader, build.region.add_block())).collect();
        // The entry has no parameters, so the head cannot be it.
        build.end(Term::Jump(Edge::to(blocks[&(0, self.head)])));
        let mut polls = Vec::new();
        for (leader, block) in &blocks {
            build.block = *block;
            if self.loops.contains(leader) {
                build.snapshot(leader.1);
                polls.push((*block, build.emit(Op::Poll, Ty::None, 0, &[])));
            }
            self.block::<G>(&mut build, *leader, &blocks)?;
        }
        let tallies = build.tallies();
        let mut region = build.into_region();
        thin(&mut region, &polls);
        order_blocks(&mut region);
        Ok((region, tallies))
    }

    /// The block that begins at `leader`.
    fn block<G: Guest>(
        &mut self,
        build: &mut Build,
        leader: Place,
        blocks: &BTreeMap<Place, BlockId>,
    ) -> Result<(), Trap> {
        let (call, mut at) = leader;
        let Some(mut mode) = self.code.get(&leader).map(|step| step.mode) else { return Ok(()) };
        build.other_mode = mode != self.mode;
        build.quota = None;
        loop {
            let known = self.code.get(&(call, at)).filter(|step| step.mode == mode);
            let (Some(step), true) = (known, (call, at) == leader || !blocks.contains_key(&(call, at)))
            else {
                let block = blocks.get(&(call, at)).filter(|_| known.is_some());
                build.inside = block.map(|block| (at, *block)).into_iter().collect();
                let end = build.leave(at, false);
                build.end(end);
                return Ok(());
            };
            let (insn, len) = G::decode(self.fetch, at, mode)?;
            let cx = Ctx { pc: at, len, mode };
            let ways = step.ways.iter().flatten();
            let ways: Vec<_> = ways.filter_map(|to| Some((to.1, *blocks.get(to)?))).collect();
            build.inside = ways.iter().copied().collect();
            build.begin(at);
            build.watch::<G>(self.fetch, &cx, insn);
            let Ok(next) = G::exec(build, &cx, insn);
            at = cx.next_pc();
            if let Next::Mode(next) = next {
                mode = next;
                build.other_mode = mode != self.mode;
            }
            if let Some(term) = build.finish(&cx, next) {
                let term = build.choose(term, &ways);
                build.end(term);
                return Ok(());
            }
        }
    }
}

/// Takes away those of `polls` without which each way round still comes by one.
fn thin(region: &mut Region, polls: &[(BlockId, Value)]) {
    let mut looks = vec![false; region.blocks.len()];
    polls.iter().for_each(|(block, _)| looks[block.0 as usize] = true);
    for (block, poll) in polls {
        looks[block.0 as usize] = comes_round(region, *block, &looks);
        if !looks[block.0 as usize] {
            region.blocks[block.0 as usize].insts.retain(|inst| inst != poll);
        }
    }
}

/// Whether there is a way from `block` back to it by no other block of `looks`.
fn comes_round(region: &Region, block: BlockId, looks: &[bool]) -> bool {
    let mut seen = looks.to_vec();
    let mut open = vec![block];
    while let Some(from) = open.pop() {
        for edge in region.blocks[from.0 as usize].term.edges() {
            if edge.to == block {
                return true;
            }
            if !std::mem::replace(&mut seen[edge.to.0 as usize], true) {
                open.push(edge.to);
            }
        }
    }
    false
}

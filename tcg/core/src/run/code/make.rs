//! Making translations: of a block, or of a hot loop; here and now, or in the background.

use super::background::Task;
use super::stored::Memo;
use super::table::{Block, Key, Known, Site, Source, State};
use super::targets::Noted;
use super::view::{At, PagesView, View};
use super::{CodeCache, Room};
use crate::build::{self, GuestRegion, Limits, Links, Profile, Tallies};
use crate::guest::{Guest, Trap};
use crate::host::{CompileError, Compiled, Env, Piece};
use crate::ir::{Region, Value};
use crate::opt;
use crate::run::listener::Made;
use crate::run::log;
use crate::run::mmu::{Mmu, VcpuFetch};
use base::{PAGE_SHIFT, PAGE_SIZE};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The part of a loop's rounds that a computed jump is made before its target is looked at.
const FIRST_SAMPLE: (u32, u32) = (1, 4);
/// From one look to the next: the targets are known before loops around the jump become regions.
const NEXT_SAMPLE: (u32, u32) = (1, 32);
/// From the last look until its block becomes a region: later than loops do, since what it is part of may be no loop.
const ENOUGH_JUMPS: (u32, u32) = (4, 1);

/// What has become of code that is to be translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translated {
    /// There is a translation.
    Now,
    /// There will be one soon: interpret the code meanwhile.
    Soon,
    /// There cannot be one now (the code lies where stores cannot be watched or in a page with a point, or it changed
    /// meanwhile): interpret it.
    Not,
}

/// Whether a translation was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// It was, or there was one already.
    Yes,
    /// Watched code changed while it was made.
    Outdated,
    /// It did not fit (if that helps, the cache is empty now), or there is nothing to be gained.
    No,
}

/// Guest code that was read, as a region.
struct Read {
    source: Source,
    /// Addresses and lengths in bytes.
    parts: Vec<(u64, u64)>,
}

/// Gives the [`crate::ir::Op::Tally`] `tally` its counter.
fn give_counter(region: &mut Region, tally: Value, counter: u32) {
    let imm = &mut region.insts[tally.0 as usize].imm;
    *imm = *imm >> 32 << 32 | u64::from(counter);
}

impl CodeCache {
    /// Translates the block at `pc`. Do not hold the gate.
    pub fn translate<G: Guest>(
        self: &Arc<Self>,
        cpu: &mut G::Cpu,
        mmu: &mut Mmu,
        pc: u64,
        mode: u64,
    ) -> Result<Translated, Trap> {
        if mmu.points.in_code_page(pc) {
            return Ok(Translated::Not);
        }
        let at = At { pc, phys: mmu.fetch_phys::<G>(cpu, pc)?, mode };
        let epoch = self.state.lock().epoch;
        // By the vCPU's own thread: while there is one, it counts on that between two instructions.
        self.watch(at.phys);
        let task = Task { at, beside: Vec::new(), epoch, site: None };
        let Some(task) = self.hand_over::<G>(task) else { return Ok(Translated::Soon) };
        Ok(match self.carry_out::<G>(&mut VcpuFetch::<G> { mmu, cpu }, &task)? {
            Entered::Yes => Translated::Now,
            Entered::Outdated | Entered::No => Translated::Not,
        })
    }

    /// Makes a region of the loop at `pc`, whose way back, exit `site`, is hot. Do not hold the gate.
    pub fn promote<G: Guest>(
        self: &Arc<Self>,
        cpu: &mut G::Cpu,
        mmu: &mut Mmu,
        site: u32,
        pc: u64,
        mode: u64,
    ) -> Result<(), Trap> {
        self.heat.rest(site);
        if mmu.points.in_code_page(pc) {
            return Ok(());
        }
        let at = At { pc, phys: mmu.fetch_phys::<G>(cpu, pc)?, mode };
        let mut beside = mmu.contexts.code_pages();
        beside.retain(|(page, _)| !mmu.points.in_code_page(*page));
        let epoch = {
            let state = self.state.lock();
            if state.get(&self.key(at)).is_none_or(|block| block.source.hot) {
                return Ok(());
            }
            // What has translations is watched.
            beside.retain(|(_, phys)| state.by_page.contains_key(phys));
            state.epoch
        };
        let task = Task { at, beside, epoch, site: Some(site) };
        let Some(task) = self.hand_over::<G>(task) else { return Ok(()) };
        let entered = match self.process {
            Some(_) => self.carry_out::<G>(&mut VcpuFetch::<G> { mmu, cpu }, &task),
            None => {
                let view = &mut PagesView { space: &self.space, at, beside: &task.beside };
                self.carry_out::<G>(view, &task)
            }
        };
        entered.map(drop)
    }

    /// The computed jump of exit `site`, in a block of the page at `page`, goes to `pc`. Do not hold the gate.
    pub fn went<G: Guest>(self: &Arc<Self>, cpu: &mut G::Cpu, mmu: &mut Mmu, site: u32, page: u64, pc: u64) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let number = site.checked_sub(state.first_site);
        let Some(from) = number.and_then(|n| state.sites.get(n as usize)) else { return };
        let source = &state.blocks[from.from as usize].source;
        let &[(phys, len)] = &source.parts[..] else {
            // The jump crosses into another page.
            return self.heat.rest(site);
        };
        let addr = |phys| if self.process.is_some() { phys } else { page | (phys % PAGE_SIZE) };
        let (key, last) = (source.key, phys + len - 1);
        let noted = state.targets.note(Key { phys: last, ..key }, pc.wrapping_sub(addr(last)));
        drop(guard);
        match noted {
            Noted::More => self.heat.start_part(site, NEXT_SAMPLE),
            Noted::Last => self.heat.start_part(site, ENOUGH_JUMPS),
            // If the block is not mapped any more, it does not matter any more.
            Noted::Enough => drop(self.promote::<G>(cpu, mmu, site, addr(phys), key.mode)),
        }
    }

    /// Makes the translation that `task` says, of code that `view` reads, and enters it. On any thread.
    pub(super) fn carry_out<G: Guest>(&self, view: &mut impl View, task: &Task) -> Result<Entered, Trap> {
        let mut room = self.room();
        let read = match task.site {
            None => self.read_block::<G>(view, task.at, &mut room.region),
            Some(_) => self.read_loop::<G>(view, task.at, &mut room.region),
        };
        let entered = read.map(|read| match read {
            Some(Read { source, parts }) => {
                let memo = self.memo(view, task.at, &parts, &source);
                self.compile::<G>(source, &mut room, task.epoch, memo)
            }
            None => Entered::No,
        });
        self.rooms.lock().push(room);
        if let (Ok(Entered::Outdated), Some(site)) = (entered, task.site) {
            // It may come again.
            self.heat.start(site);
        }
        entered
    }

    /// Reads the block at `at`; `None` if it changes just now.
    fn read_block<G: Guest>(
        &self,
        view: &mut impl View,
        at: At,
        region: &mut Region,
    ) -> Result<Option<Read>, Trap> {
        let At { pc, mode, .. } = at;
        let limits = self.limits();
        let read = |view: &mut _, room| build::guest_block::<G>(view, pc, mode, &limits, room);
        let mut block = read(view, std::mem::take(region))?;
        let len = block.len;
        let last = pc.wrapping_add(len - 1);
        if (last ^ pc) >> PAGE_SHIFT != 0 {
            // Read again now that stores to the second page are seen as well.
            self.watch(view.phys(last)?);
            block = read(view, block.region)?;
            if block.len != len {
                return Ok(None);
            }
        }
        log::guest_code::<G>(view, pc, mode, block.insns);
        let parts = vec![(pc, len)];
        let source = self.source(view, at, &parts, block.insns as u64, false)?;
        *region = block.region;
        self.count_translation(region, &block.tallies, pc, false);
        if let (Some(record), Some(entered)) = (&self.config.record, block.entered) {
            let counter = record.block(pc, len, block.insns as u64, true);
            give_counter(region, entered, counter);
        }
        Ok(Some(Read { source, parts }))
    }

    /// Reads the loop at `at`; `None` if there is nothing to be gained.
    fn read_loop<G: Guest>(
        &self,
        view: &mut impl View,
        at: At,
        region: &mut Region,
    ) -> Result<Option<Read>, Trap> {
        let At { pc, mode, .. } = at;
        // What is translated has run, and its page is watched.
        let warm = |view: &mut _, to: u64| {
            let Ok(phys) = self.place(view, to) else { return false };
            self.state.lock().get(&self.key(At { pc: to, phys, mode })).is_some()
        };
        let targets = |view: &mut _, jump: u64| {
            let Ok(phys) = self.place(view, jump) else { return Vec::new() };
            let distances = self.state.lock().targets.of(&self.key(At { pc: jump, phys, mode }));
            distances.into_iter().map(|distance| jump.wrapping_add(distance)).collect()
        };
        let profile = Profile { warm: &warm, targets: &targets };
        let Some(read) = build::guest_region::<G, _>(view, pc, mode, &self.limits(), &profile)? else {
            return Ok(None);
        };
        let GuestRegion { region: made, parts, insns, tallies } = read;
        *region = made;
        let source = self.source(view, at, &parts, insns as u64, true)?;
        self.count_translation(region, &tallies, pc, true);
        Ok(Some(Read { source, parts }))
    }

    /// Where the code at `pc` is, in the terms of keys.
    fn place(&self, view: &mut impl View, pc: u64) -> Result<u64, Trap> {
        if self.process.is_some() { Ok(pc) } else { view.phys(pc) }
    }

    /// What a translation of `insns` instructions at `at` is made from: the code in `parts`, which are addresses and lengths in bytes.
    pub(super) fn source(
        &self,
        view: &mut impl View,
        at: At,
        parts: &[(u64, u64)],
        insns: u64,
        hot: bool,
    ) -> Result<Source, Trap> {
        let mut source = Source { key: self.key(at), parts: Vec::new(), beside: Vec::new(), insns, hot };
        for &(mut from, mut len) in parts {
            while len > 0 {
                let here = len.min(PAGE_SIZE - from % PAGE_SIZE);
                let phys = self.place(view, from)?;
                source.parts.push((phys, here));
                let known = |distance: u64| at.pc.wrapping_add(distance) ^ from < PAGE_SIZE;
                let distances = [0].into_iter().chain(source.beside.iter().map(|(distance, _)| *distance));
                if self.process.is_none() && !distances.into_iter().any(known) {
                    source.beside.push((from.wrapping_sub(at.pc), phys & !(PAGE_SIZE - 1)));
                }
                (from, len) = (from.wrapping_add(here), len - here);
            }
        }
        Ok(source)
    }

    /// Memory for a translation.
    fn room(&self) -> Room {
        let known = self.rooms.lock().pop();
        known.unwrap_or_else(|| Room {
            region: Region::default(),
            scratch: opt::Scratch::default(),
            compiler: self.state.lock().buffer.compiler(),
        })
    }

    /// Gives a translation of `pc` the counters that it has room for.
    fn count_translation(&self, region: &mut Region, tallies: &Tallies, pc: u64, hot: bool) {
        let (Some(record), Some(entries)) = (&self.config.record, tallies.entries) else { return };
        let counters = record.translation(pc, hot);
        give_counter(region, entries, counters.entered);
        tallies.executed.iter().for_each(|tally| give_counter(region, *tally, counters.executed));
    }

    fn limits(&self) -> Limits {
        Limits {
            max_insns: if self.one_insn() { 1 } else { self.config.max_insns },
            links: if self.process.is_some() { Links::Anywhere } else { Links::WithinPage },
            record: self.config.record.clone(),
            turns: self.config.turns.is_some(),
        }
    }

    /// Optimises and compiles the region in `room`, and enters the translation.
    fn compile<G: Guest>(
        &self,
        source: Source,
        Room { region, scratch, compiler }: &mut Room,
        epoch: u64,
        memo: Option<Memo>,
    ) -> Entered {
        log::ir::<G>(region);
        opt::optimise(region, G::regs(), G::helpers(), scratch);
        log::optimised::<G>(region);
        let env = Env {
            regs: G::regs(),
            helpers: G::helpers(),
            random_registers: self.config.random_registers.map(|seed| seed ^ source.key.phys),
            process: self.process.is_some(),
            direct: self.process.is_some() && !self.data_points.load(Ordering::Relaxed),
            tlb: self.tlb(),
            turns: self.config.turns.is_some(),
            heat: self.has_regions(),
            samples: self.has_regions() && !source.hot,
            several_pages: source.hot && !source.beside.is_empty(),
        };
        match compiler.compile(region, &env) {
            Err(_) => Entered::No,
            Ok(piece) => self.enter(source, epoch, piece, |state, source, compiled| {
                let at = state.buffer.entry_address(compiled.link_entry) as u64;
                log::host_code(region.pc, state.buffer.code(compiled), at);
                if let Some(record) = &self.config.record {
                    record.translated(region.pc, source.hot, source.insns, compiled.len.into());
                }
                if let Some(listener) = &self.config.listener.0 {
                    let (insns, hot) = (source.insns, source.hot);
                    listener.made(&Made { pc: region.pc, at, code: state.buffer.code(compiled), insns, hot });
                }
                if let Some(memo) = memo {
                    self.remember(memo, source, piece);
                }
            }),
        }
    }

    /// Enters the translation `piece`, and has `told` of it.
    pub(super) fn enter(
        &self,
        source: Source,
        epoch: u64,
        piece: &Piece,
        told: impl FnOnce(&State, &Source, &Compiled),
    ) -> Entered {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if state.epoch != epoch {
            return Entered::Outdated;
        }
        let known = state.get(&source.key).map(|block| &block.source);
        if known.is_some_and(|known| known.beside == source.beside && (known.hot || !source.hot)) {
            return Entered::Yes;
        }
        let first_site = state.next_site();
        let compiled = match state.buffer.place(piece, first_site) {
            Ok(compiled) => compiled,
            Err(CompileError::OutOfSpace) => {
                drop(guard);
                self.empty();
                return Entered::No;
            }
            Err(CompileError::TooLarge) => return Entered::No,
        };
        told(state, &source, &compiled);
        state.stats.translations += 1;
        state.stats.regions += u64::from(source.hot);
        state.stats.guest_insns += source.insns;
        state.stats.host_bytes += u64::from(compiled.len);
        if self.has_regions() {
            for (number, site) in (first_site..).zip(&compiled.sites) {
                self.heat.start_part(number, if site.pc.is_some() { (1, 1) } else { FIRST_SAMPLE });
            }
        }
        let index = state.blocks.len() as u32;
        state.sites.extend(compiled.sites.iter().map(|site| Site { site: *site, from: index }));
        for page in source.pages() {
            state.by_page.entry(page).or_default().push(index);
        }
        let (entry, link_entry) = (compiled.entry, compiled.link_entry);
        let incoming = if source.hot { self.replace(state, &source.key, link_entry) } else { Vec::new() };
        // Any other is of pages that were elsewhere.
        if let Some(Known { index: old, .. }) = state.by_key.get(&source.key).copied() {
            self.drop_block(state, old);
        }
        let crosses = !source.beside.is_empty();
        state.by_key.insert(source.key, Known { index, entry, crosses });
        state.blocks.push(Block { source, entry, link_entry, incoming, valid: true });
        Entered::Yes
    }

    /// Has what leads to the translation of `key` lead to `entry`; drops that translation. Gives the exits that do.
    fn replace(&self, state: &mut State, key: &Key, entry: u32) -> Vec<u32> {
        let Some(Known { index: old, .. }) = state.by_key.get(key).copied() else { return Vec::new() };
        let incoming = std::mem::take(&mut state.blocks[old as usize].incoming);
        for site in &incoming {
            if let Some(site) = site.checked_sub(state.first_site) {
                state.buffer.link(&state.sites[site as usize].site, entry);
            }
        }
        self.drop_block(state, old);
        incoming
    }
}

//! The translation cache of a machine: finding, making and linking translations; `drops` takes them out again.
//!
//! One cache serves all vCPUs. A translation is keyed by what its code depends on: guest-physical address and mode. It
//! serves wherever its page is mapped, in every process that shares it. A vCPU holds [`CodeCache::gate`] for reading while it runs generated code; only whoever empties the
//! cache holds it for writing, so code memory is never reused under a running vCPU.
//!
//! Lock order: gate, then state. Neither is held while a device or a clock is called.

use super::heat::Heat;
use super::listener::Made;
use super::lock::{Mutex, RwLock};
use super::log;
use super::mmu::{Mmu, VcpuFetch};
use super::store::New;
use super::tlb::Tables;
use super::user_space::UserSpace;
use crate::build::{self, GuestBlock, GuestRegion, Limits, Links, Tallies};
use crate::cpu::CpuHeader;
use crate::guest::{Guest, Trap};
use crate::host::{CodeBuffer, CompileError, Compiled, Env, Piece, Runner};
use crate::ir::{Region, Value};
use crate::observe::{Image, Record};
use crate::opt;
use base::{AddressSpace, CpuLines, InstructionClock, PAGE_SHIFT, PAGE_SIZE, WriteWatcher};
use rustc_hash::FxHashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, RwLockReadGuard, Weak};
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};

mod config;
mod drops;
mod stored;
mod table;

pub use config::{Chaining, CodeConfig, CodeStats};
use stored::{At, Memo};
use table::{Block, Key, Site, Source, State};

/// Gives the [`crate::ir::Op::Tally`] `tally` its counter.
fn give_counter(region: &mut Region, tally: Value, counter: u32) {
    let imm = &mut region.insts[tally.0 as usize].imm;
    *imm = *imm >> 32 << 32 | u64::from(counter);
}

/// Most bytes of code that are copied for a new process, which often soon becomes another program.
const KEPT_BY_FORK: usize = 2 << 20;

/// Memory for making one translation, used again for the next.
#[derive(Default)]
struct Room {
    region: Region,
    scratch: opt::Scratch,
}

/// A vCPU as the cache sees it.
struct Member {
    tables: Arc<Tables>,
    lines: Arc<CpuLines>,
}

/// The translation cache.
pub struct CodeCache {
    gate: RwLock<()>,
    /// Held by whoever waits for the gate to be free, so that nobody slips in before.
    queue: Mutex<()>,
    wanted: AtomicBool,
    runner: Runner,
    state: Mutex<State>,
    members: RwLock<Vec<Member>>,
    space: Arc<AddressSpace>,
    /// Where code is if it is that of a process.
    process: Option<Arc<UserSpace>>,
    config: CodeConfig,
    /// One for each translation that is being made.
    rooms: Mutex<Vec<Room>>,
    heat: Heat,
    generation: AtomicU64,
    /// A debugger watches data of the process: accesses ask for it.
    data_points: AtomicBool,
    /// Each instruction is a translation of its own.
    one_insn: AtomicBool,
    /// A [`Chaining`].
    chaining: AtomicU8,
}

/// A translation found: where to enter it.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Host address.
    pub code: u64,
    index: u32,
}

impl CodeCache {
    /// An empty cache for the code in `space`.
    pub fn new(space: Arc<AddressSpace>, config: CodeConfig) -> io::Result<Arc<Self>> {
        Self::make(space, None, config)
    }

    /// An empty cache for the code of a guest process.
    pub fn for_process(process: Arc<UserSpace>, config: CodeConfig) -> io::Result<Arc<Self>> {
        Self::make(Arc::new(AddressSpace::new(base::GuestRam::new())), Some(process), config)
    }

    fn make(
        space: Arc<AddressSpace>,
        process: Option<Arc<UserSpace>>,
        config: CodeConfig,
    ) -> io::Result<Arc<Self>> {
        let mut buffer = CodeBuffer::new(config.code_bytes)?;
        if process.is_some() {
            buffer.note_faults()?;
        }
        let runner = buffer.runner();
        let state = State {
            buffer,
            blocks: Vec::new(),
            by_key: FxHashMap::default(),
            by_page: FxHashMap::default(),
            sites: Vec::new(),
            epoch: 0,
            first_site: 1,
            stats: CodeStats::default(),
        };
        let cache = Arc::new(Self {
            gate: RwLock::new(()),
            queue: Mutex::new(()),
            wanted: AtomicBool::new(false),
            runner,
            state: Mutex::new(state),
            members: RwLock::default(),
            space: space.clone(),
            process,
            rooms: Mutex::default(),
            heat: Heat::new(config.hot_after),
            one_insn: AtomicBool::new(config.max_insns == 1),
            chaining: AtomicU8::new(config.chaining as u8),
            config,
            generation: AtomicU64::new(0),
            data_points: AtomicBool::new(false),
        });
        for region in space.ram().iter() {
            let watcher: Weak<dyn WriteWatcher> = Arc::downgrade(&(cache.clone() as Arc<dyn WriteWatcher>));
            region.get_mmap().bitmap().connect(region.start_addr().0, watcher);
        }
        let weak = Arc::downgrade(&cache);
        space.on_change(move || {
            if let Some(cache) = weak.upgrade() {
                cache.map_changed();
            }
        });
        Ok(cache)
    }

    /// Who watches what is executed.
    pub fn record(&self) -> Option<&Arc<Record>> {
        self.config.record.as_ref()
    }

    /// A program that the guest was started with is in memory: tells those who want symbols.
    pub fn add_image(&self, image: &Image) {
        self.config.listener.0.iter().for_each(|listener| listener.image(image));
        self.config.record.iter().for_each(|record| record.add_image(image.clone()));
    }

    /// The key of the code at `phys`, which is at `pc` for the guest.
    fn key(&self, phys: u64, pc: u64, mode: u64) -> Key {
        let one_page = self.config.record.is_some() && self.process.is_none();
        let page = if one_page { pc & !(PAGE_SIZE - 1) } else { 0 };
        Key { phys, mode, page }
    }

    /// The guest-physical address space that code is read from.
    pub fn space(&self) -> &Arc<AddressSpace> {
        &self.space
    }

    /// The guest process whose code it is, if it is one's.
    pub fn process(&self) -> Option<&Arc<UserSpace>> {
        self.process.as_ref()
    }

    /// The clock of vCPUs that run by turns.
    pub fn turns(&self) -> Option<&InstructionClock> {
        self.config.turns.as_deref()
    }

    /// Takes a vCPU out.
    pub fn part(&self, lines: &Arc<CpuLines>) {
        self.members.write().retain(|member| !Arc::ptr_eq(&member.lines, lines));
    }

    /// Makes a process by `fork`, which gives 0 in the child, with no vCPU in generated code. The child keeps the
    /// vCPU whose lines are `own` and, if there are not many, the translations, in memory of its own.
    pub fn fork(&self, own: &Arc<CpuLines>, fork: &mut dyn FnMut() -> i64) -> io::Result<i64> {
        self.alone(|| self.fork_alone(own, fork))
    }

    fn fork_alone(&self, own: &Arc<CpuLines>, fork: &mut dyn FnMut() -> i64) -> io::Result<i64> {
        // All locks, or one that another thread holds would never be free in the child.
        let _rooms = self.rooms.lock();
        let mut state = self.state.lock();
        let mut members = self.members.write();
        let mut new = self.config.store.as_ref().map(|store| store.hold());
        let keeps = state.buffer.used() <= KEPT_BY_FORK;
        let copy = state.buffer.copy_memory(keeps)?;
        let pid = match &self.process {
            Some(process) => process.alone(fork),
            None => fork(),
        };
        if pid == 0 {
            state.buffer.use_copy(copy)?;
            members.retain(|member| Arc::ptr_eq(&member.lines, own));
            drop(members);
            if let Some(new) = &mut new {
                **new = New::default();
            }
            if !keeps {
                self.clear(&mut state);
            }
        }
        Ok(pid)
    }

    /// Adds a vCPU; gives its number.
    pub fn join(&self, tables: Arc<Tables>, lines: Arc<CpuLines>) -> usize {
        let mut members = self.members.write();
        members.push(Member { tables, lines });
        members.len() - 1
    }

    /// Whether there is one vCPU, whose TLB has more than one entry.
    pub(super) fn is_alone(&self) -> bool {
        let members = self.members.read();
        members.len() == 1 && members[0].tables.tlb_entries() > 1
    }

    /// Permission to run generated code, and to remember where it is.
    pub fn enter_gate(&self) -> RwLockReadGuard<'_, ()> {
        if self.wanted.load(Ordering::SeqCst) {
            drop(self.queue.lock());
        }
        self.gate.read()
    }

    /// Runs `f` with every vCPU out of generated code.
    fn alone<T>(&self, f: impl FnOnce() -> T) -> T {
        let _queue = self.queue.lock();
        self.wanted.store(true, Ordering::SeqCst);
        let _gate = loop {
            // Again and again: a vCPU may have been on its way in.
            self.members.read().iter().for_each(|m| m.lines.kick());
            match self.gate.try_write() {
                Some(gate) => break gate,
                None => std::thread::yield_now(),
            }
        };
        self.wanted.store(false, Ordering::SeqCst);
        f()
    }

    /// Runs generated code at host address `code` until it leaves; gives one of [`crate::cpu::exit`].
    ///
    /// # Safety
    /// `cpu` is the header of a vCPU of the guest the cache is used with, `code` comes from [`Self::find`] or
    /// [`Self::translate`], and the gate has been held since.
    pub unsafe fn run(&self, cpu: *mut CpuHeader, code: u64) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { self.runner.enter(cpu, code) }
    }

    /// Where generated code counts ways back.
    pub fn heat(&self) -> &Heat {
        &self.heat
    }

    /// How often the cache was emptied.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Whether each instruction is a translation of its own.
    pub fn one_insn(&self) -> bool {
        self.one_insn.load(Ordering::Relaxed)
    }

    /// Has each instruction be a translation of its own from now on, or not. Not from a vCPU's thread.
    pub fn set_one_insn(&self, one: bool) {
        if self.one_insn.swap(one, Ordering::Relaxed) != one {
            self.empty();
        }
    }

    /// How translations reach each other.
    pub fn chaining(&self) -> Chaining {
        const ALL: [Chaining; 3] = [Chaining::All, Chaining::Links, Chaining::None];
        ALL[self.chaining.load(Ordering::Relaxed) as usize % ALL.len()]
    }

    /// Has translations reach each other in this way from now on. Not from a vCPU's thread.
    pub fn set_chaining(&self, chaining: Chaining) {
        if self.chaining.swap(chaining as u8, Ordering::Relaxed) != chaining as u8 {
            self.empty();
        }
    }

    /// Whether hot loops become regions.
    fn has_regions(&self) -> bool {
        self.config.has_regions() && self.chaining() == Chaining::All && !self.one_insn()
    }

    /// Counters.
    pub fn stats(&self) -> CodeStats {
        let state = self.state.lock();
        let (live, used_bytes) = (state.by_key.len() as u64, state.buffer.used() as u64);
        CodeStats { live, used_bytes, room_bytes: self.config.code_bytes as u64, ..state.stats }
    }

    /// The translation of `pc` under `mode`, if there is one; the jump cache remembers it. Hold the gate.
    pub fn find<G: Guest>(
        &self,
        cpu: &mut G::Cpu,
        mmu: &mut Mmu,
        pc: u64,
        mode: u64,
    ) -> Result<Option<Found>, Trap> {
        if mmu.points.in_code_page(pc) {
            return Ok(None);
        }
        let phys = mmu.fetch_phys::<G>(cpu, pc)?;
        let key = self.key(phys, pc, mode);
        let mut state = self.state.lock();
        let Some(mut index) = state.by_key.get(&key).copied() else { return Ok(None) };
        let mut block = &state.blocks[index as usize];
        if let Some((last, second)) = block.source.second_page {
            // The walk may touch guest memory that is watched, so not under the lock.
            drop(state);
            let now = mmu.fetch_phys::<G>(cpu, pc.wrapping_add(last))? & !(PAGE_SIZE - 1);
            state = self.state.lock();
            index = match state.by_key.get(&key) {
                Some(index) => *index,
                None => return Ok(None),
            };
            block = &state.blocks[index as usize];
            if now != second || block.source.second_page != Some((last, second)) {
                return Ok(None);
            }
        }
        let code = state.buffer.entry_address(block.entry) as u64;
        // Under the lock: whoever drops the block afterwards finds the entry.
        if self.chaining() == Chaining::All {
            mmu.contexts.insert_jump(pc, code);
        }
        Ok(Some(Found { code, index }))
    }

    /// Links exit `site` to `target`, so that it need not come back here. Only within a page, but in a process:
    /// what another page's address means can change without the translation knowing.
    pub fn link(&self, site: u32, target: Found) {
        if self.chaining() == Chaining::None {
            return;
        }
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let Some(number) = site.checked_sub(state.first_site) else { return };
        let (Some(site), Some(to)) =
            (state.sites.get(number as usize), state.blocks.get(target.index as usize))
        else {
            return;
        };
        let valid = state.blocks[site.from as usize].valid && to.valid;
        let (from, to, entry) = (&state.blocks[site.from as usize].source, &to.source, to.entry);
        let same_mode = from.key.mode == to.key.mode && from.key.page == to.key.page;
        let linkable = match self.process {
            Some(_) => site.site.pc == to.key.phys,
            None => {
                let same_page = from.key.phys ^ to.key.phys < PAGE_SIZE && to.second_page.is_none();
                // Both are in one page, so the address is that of `to` if the offset is.
                same_page && (site.site.pc ^ to.key.phys).is_multiple_of(PAGE_SIZE)
            }
        };
        if linkable && same_mode && valid {
            state.buffer.link(site.site, entry);
            let number = state.first_site + number;
            state.blocks[target.index as usize].incoming.push(number);
        }
    }

    /// Translates the block at `pc`. False: the code cannot be translated now (it lies where stores cannot be
    /// watched or in a page with a point, or it changed meanwhile); interpret it. Do not hold the gate.
    pub fn translate<G: Guest>(
        &self,
        cpu: &mut G::Cpu,
        mmu: &mut Mmu,
        pc: u64,
        mode: u64,
    ) -> Result<bool, Trap> {
        if mmu.points.in_code_page(pc) {
            return Ok(false);
        }
        let mut room = self.rooms.lock().pop().unwrap_or_default();
        let made = self.translate_in::<G>(&mut room, cpu, mmu, (pc, mode));
        self.rooms.lock().push(room);
        made
    }

    fn translate_in<G: Guest>(
        &self,
        room: &mut Room,
        cpu: &mut G::Cpu,
        mmu: &mut Mmu,
        (pc, mode): (u64, u64),
    ) -> Result<bool, Trap> {
        let phys = mmu.fetch_phys::<G>(cpu, pc)?;
        let epoch = self.state.lock().epoch;
        self.watch(phys);
        let block = self.build::<G>(std::mem::take(&mut room.region), cpu, mmu, (pc, mode))?;
        let last = pc.wrapping_add(block.len - 1);
        let second_page = match (last ^ pc) >> PAGE_SHIFT {
            0 => None,
            _ => Some(mmu.fetch_phys::<G>(cpu, last)? & !(PAGE_SIZE - 1)),
        };
        let block = match second_page {
            None => block,
            Some(page) => {
                // Read again now that stores to the second page are seen as well.
                self.watch(page);
                let len = block.len;
                let again = self.build::<G>(block.region, cpu, mmu, (pc, mode))?;
                if again.len != len {
                    return Ok(false);
                }
                again
            }
        };
        log::guest_code::<G>(&mut VcpuFetch::<G> { mmu, cpu }, pc, mode, block.insns);
        let mut source = Source {
            key: self.key(phys, pc, mode),
            parts: Vec::new(),
            second_page: second_page.map(|page| (block.len - 1, page)),
            insns: block.insns as u64,
            hot: false,
        };
        match second_page {
            None => source.add(phys, block.len),
            Some(page) => {
                let first = PAGE_SIZE - phys % PAGE_SIZE;
                source.add(phys, first);
                source.add(page, block.len - first);
            }
        }
        room.region = block.region;
        self.count_translation(&mut room.region, &block.tallies, pc, false);
        if let (Some(record), Some(entered)) = (&self.config.record, block.entered) {
            let counter = record.block(pc, block.len, block.insns as u64, true);
            give_counter(&mut room.region, entered, counter);
        }
        let memo = self.memo::<G>(cpu, mmu, At { pc, phys, mode }, &[(pc, block.len)]);
        Ok(self.install::<G>(source, room, epoch, memo))
    }

    /// Makes a region of the loop at `pc`, whose way back, exit `site`, is hot. Do not hold the gate.
    pub fn promote<G: Guest>(
        &self,
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
        let phys = mmu.fetch_phys::<G>(cpu, pc)?;
        let place =
            |to: u64| if self.process.is_some() { to } else { phys.wrapping_add(to.wrapping_sub(pc)) };
        let epoch = {
            let state = self.state.lock();
            if state.get(&self.key(phys, pc, mode)).is_none_or(|block| block.source.hot) {
                return Ok(());
            }
            state.epoch
        };
        // What is translated has run, and its page is watched.
        let warm = |to: u64| {
            let state = self.state.lock();
            state.get(&self.key(place(to), to, mode)).is_some_and(|block| block.source.second_page.is_none())
        };
        let fetch = &mut VcpuFetch::<G> { mmu, cpu };
        let Some(GuestRegion { mut region, parts, insns, tallies }) =
            build::guest_region::<G>(fetch, pc, mode, &self.limits(), &warm)?
        else {
            return Ok(());
        };
        let key = self.key(phys, pc, mode);
        let (insns, hot) = (insns as u64, true);
        let mut source = Source { key, parts: Vec::new(), second_page: None, insns, hot };
        self.count_translation(&mut region, &tallies, pc, true);
        parts.iter().for_each(|(at, len)| source.add(place(*at), *len));
        let mut room = Room { region, ..Room::default() };
        let memo = self.memo::<G>(cpu, mmu, At { pc, phys, mode }, &parts);
        self.install::<G>(source, &mut room, epoch, memo);
        Ok(())
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

    fn build<G: Guest>(
        &self,
        region: Region,
        cpu: &mut G::Cpu,
        mmu: &mut Mmu,
        (pc, mode): (u64, u64),
    ) -> Result<GuestBlock, Trap> {
        build::guest_block::<G>(&mut VcpuFetch::<G> { mmu, cpu }, pc, mode, &self.limits(), region)
    }

    fn watch(&self, phys: u64) {
        if let Some(process) = &self.process {
            return process.watch(phys);
        }
        let members = self.members.read();
        Mmu::watch_page(&self.space, phys, members.iter().map(|m| &*m.tables));
    }

    fn unwatch(&self, page: u64) {
        match &self.process {
            Some(process) => process.unwatch(page),
            None => Mmu::unwatch_page(&self.space, page),
        }
    }

    /// Compiles and enters a translation; false if it did not fit, and the cache was emptied to make room.
    fn install<G: Guest>(
        &self,
        source: Source,
        Room { region, scratch }: &mut Room,
        epoch: u64,
        memo: Option<Memo>,
    ) -> bool {
        log::ir::<G>(region);
        opt::optimise(region, G::regs(), G::helpers(), scratch);
        log::optimised::<G>(region);
        let env = Env {
            regs: G::regs(),
            helpers: G::helpers(),
            random_registers: self.config.random_registers.map(|seed| seed ^ source.key.phys),
            process: self.process.is_some(),
            direct: self.process.is_some() && !self.data_points.load(Ordering::Relaxed),
            alone: self.is_alone(),
            turns: self.config.turns.is_some(),
            heat: self.has_regions(),
        };
        self.enter(source, epoch, |state, source| {
            let compiled = state.buffer.compile(region, &env, state.next_site())?;
            let at = state.buffer.entry_address(compiled.entry) as u64;
            log::host_code(region.pc, state.buffer.code(&compiled), at);
            if let Some(record) = &self.config.record {
                record.translated(region.pc, source.hot, source.insns, compiled.len.into());
            }
            if let Some(listener) = &self.config.listener.0 {
                let (insns, hot) = (source.insns, source.hot);
                listener.made(&Made { pc: region.pc, at, code: state.buffer.code(&compiled), insns, hot });
            }
            if let Some(memo) = memo {
                self.remember(memo, source, state.buffer.piece());
            }
            Ok(compiled)
        })
    }

    /// Enters a translation that was stored; false as of [`Self::install`].
    fn install_piece(&self, source: Source, piece: &Piece, epoch: u64) -> bool {
        self.enter(source, epoch, |state, _| state.buffer.place(piece, state.next_site()))
    }

    /// Enters the translation that `make` places; false if it did not fit, and the cache was emptied to make room.
    fn enter(
        &self,
        source: Source,
        epoch: u64,
        make: impl FnOnce(&mut State, &Source) -> Result<Compiled, CompileError>,
    ) -> bool {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if state.epoch != epoch {
            return false;
        }
        let known = state.get(&source.key).map(|block| &block.source);
        if known.is_some_and(|known| known.second_page == source.second_page && (known.hot || !source.hot)) {
            return true;
        }
        let first_site = state.next_site();
        let compiled = match make(state, &source) {
            Ok(compiled) => compiled,
            Err(CompileError::OutOfSpace) => {
                drop(guard);
                self.empty();
                return false;
            }
            Err(CompileError::TooLarge) => return false,
        };
        state.stats.translations += 1;
        state.stats.regions += u64::from(source.hot);
        state.stats.guest_insns += source.insns;
        state.stats.host_bytes += u64::from(compiled.len);
        if self.has_regions() {
            (first_site..).zip(&compiled.sites).for_each(|(number, _)| self.heat.start(number));
        }
        let index = state.blocks.len() as u32;
        state.sites.extend(compiled.sites.iter().map(|site| Site { site: *site, from: index }));
        let incoming = if source.hot { self.replace(state, &source.key, compiled.entry) } else { Vec::new() };
        for page in source.pages() {
            state.by_page.entry(page).or_default().push(index);
        }
        // A block that crosses pages replaces one whose second page was elsewhere.
        state.by_key.insert(source.key, index);
        state.blocks.push(Block { source, entry: compiled.entry, incoming, valid: true });
        true
    }

    /// Has what leads to the translation of `key` lead to `entry`; drops that translation. Gives the exits that do.
    fn replace(&self, state: &mut State, key: &Key, entry: u32) -> Vec<u32> {
        let Some(old) = state.by_key.get(key).copied() else { return Vec::new() };
        let incoming = std::mem::take(&mut state.blocks[old as usize].incoming);
        for site in &incoming {
            if let Some(site) = site.checked_sub(state.first_site) {
                state.buffer.link(state.sites[site as usize].site, entry);
            }
        }
        self.drop_block(state, old);
        incoming
    }
}

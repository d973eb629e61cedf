//! The translation cache of a machine: finding and linking translations; `make` makes them, `drops` takes them out again.
//!
//! One cache serves all vCPUs. A translation is keyed by what its code depends on: guest-physical address and mode. It
//! serves wherever its page is mapped, in every process that shares it. A vCPU holds [`CodeCache::gate`] for reading while it runs generated code; only whoever empties the
//! cache holds it for writing, so code memory is never reused under a running vCPU.
//!
//! Lock order: gate, then state. Neither is held while a device or a clock is called.

use super::heat::Heat;
use super::lock::{Mutex, RwLock};
use super::mmu::Mmu;
use super::store::New;
use super::tlb::Tables;
use super::user_space::UserSpace;
use crate::cpu::CpuHeader;
use crate::guest::{Guest, Trap};
use crate::host::{CodeBuffer, Compiler, Runner, TlbShape};
use crate::ir::Region;
use crate::observe::{Image, Record};
use crate::opt;
use base::{AddressSpace, CpuLines, InstructionClock, PAGE_SIZE, WriteWatcher};
use rustc_hash::FxHashMap;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, RwLockReadGuard, Weak};
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};

mod background;
mod config;
mod drops;
mod make;
mod stored;
mod table;
mod targets;
mod view;

use background::Background;
pub use config::{Chaining, CodeConfig, CodeStats};
pub use make::Translated;
use table::{Key, State};
use targets::Targets;
use view::At;

/// Most bytes of code that are copied for a new process, which often soon becomes another program.
const KEPT_BY_FORK: usize = 2 << 20;

/// Memory for making one translation, used again for the next.
struct Room {
    region: Region,
    scratch: opt::Scratch,
    compiler: Compiler,
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
    background: Option<Arc<Background>>,
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
        let is_process = process.is_some();
        if is_process {
            buffer.note_faults()?;
        }
        let runner = buffer.runner();
        let state = State {
            buffer,
            blocks: Vec::new(),
            by_key: HashMap::default(),
            by_page: FxHashMap::default(),
            sites: Vec::new(),
            epoch: 0,
            first_site: 1,
            targets: Targets::default(),
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
            background: (config.background && !is_process).then(Arc::default),
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

    /// The key of the code at `at`.
    fn key(&self, At { pc, phys, mode }: At) -> Key {
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

    /// The vCPUs' TLBs, which are alike.
    pub(super) fn tlb(&self) -> TlbShape {
        let members = self.members.read();
        let entries = members.first().map_or(1, |member| member.tables.tlb_entries());
        TlbShape { entries, alone: members.len() == 1 }
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

    /// Whether translations depend on how they are run: in steps, or by turns.
    fn is_stepped(&self) -> bool {
        self.chaining() != Chaining::All || self.one_insn() || self.config.turns.is_some()
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
        let key = self.key(At { pc, phys, mode });
        let mut state = self.state.lock();
        let Some(mut known) = state.by_key.get(&key).copied() else { return Ok(None) };
        let mut beside = Vec::new();
        if known.crosses {
            let source = &state.blocks[known.index as usize].source;
            let hot = source.hot;
            beside.clone_from(&source.beside);
            // The walk may touch guest memory that is watched, so not under the lock.
            drop(state);
            if !Self::lies_beside::<G>(cpu, mmu, pc, &beside, hot)? {
                return Ok(None);
            }
            state = self.state.lock();
            known = match state.by_key.get(&key) {
                Some(now) if now.index == known.index => *now,
                _ => return Ok(None),
            };
            if !hot {
                beside.clear();
            }
        }
        let code = state.buffer.entry_address(known.entry) as u64;
        // Under the lock: whoever drops the block afterwards finds the entry.
        if self.chaining() == Chaining::All {
            mmu.contexts.insert_jump(pc, code, &beside);
        }
        Ok(Some(Found { code, index: known.index }))
    }

    /// Whether the other pages of a translation of the code at `pc` are where they were. The error is the fault of fetching an instruction
    /// that ends in another page; a region has other ways to go on.
    fn lies_beside<G: Guest>(
        cpu: &mut G::Cpu,
        mmu: &mut Mmu,
        pc: u64,
        beside: &[(u64, u64)],
        hot: bool,
    ) -> Result<bool, Trap> {
        for (distance, page) in beside {
            let at = pc.wrapping_add(*distance);
            let lies = match mmu.fetch_phys::<G>(cpu, at) {
                Ok(phys) => phys & !(PAGE_SIZE - 1) == *page && !(hot && mmu.points.in_code_page(at)),
                Err(_) if hot => false,
                Err(trap) => return Err(trap),
            };
            if !lies {
                return Ok(false);
            }
        }
        Ok(true)
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
        let (from, to, entry) = (&state.blocks[site.from as usize].source, &to.source, to.link_entry);
        let same_mode = from.key.mode == to.key.mode && from.key.page == to.key.page;
        let linkable = match self.process {
            Some(_) => site.site.pc == Some(to.key.phys),
            None => {
                // An instruction that ends in another page is not looked at by who comes by a link, other than a region.
                let whole = to.beside.is_empty() || to.hot;
                let same_page = from.key.phys ^ to.key.phys < PAGE_SIZE && whole;
                // Both are in one page, so the address is that of `to` if the offset is.
                same_page && site.site.pc.is_some_and(|pc| (pc ^ to.key.phys).is_multiple_of(PAGE_SIZE))
            }
        };
        if linkable && same_mode && valid {
            state.buffer.link(&site.site, entry);
            let number = state.first_site + number;
            state.blocks[target.index as usize].incoming.push(number);
        }
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
}

impl Drop for CodeCache {
    fn drop(&mut self) {
        self.background.iter().for_each(|background| background.close());
    }
}

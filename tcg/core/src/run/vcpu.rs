//! One vCPU: the loop that interprets cold code, translates warm code, runs generated code and takes traps.

use super::code::{CodeCache, Found, Translated};
use super::direct::HostFault;
use super::float;
use super::log;
use super::mmu::{Fault, Mmu};
use super::tlb::Tables;
use super::turn::TurnState;
use crate::cpu::{CpuHeader, HelperFn, HelperResult, exit};
use crate::debug::Stop;
use crate::guest::{Guest, Point, Trap, Wait};
use crate::host;
use crate::interp::{self, Step};
use crate::saved::Saved;
use crate::sem::MemOp;
use crate::ty::Ty;
use base::{AddressSpace, CpuLines, Ns, PAGE_SHIFT, PAGE_SIZE};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// When code is translated.
#[derive(Clone, Copy, Debug)]
pub struct Tiers {
    /// How often a block is interpreted before it is translated; `u32::MAX`: it never is.
    pub translate_after: u32,
}

impl Default for Tiers {
    fn default() -> Self {
        Self { translate_after: 8 }
    }
}

/// How a vCPU is made.
#[derive(Clone, Copy, Debug)]
pub struct VcpuConfig {
    /// Thresholds.
    pub tiers: Tiers,
    /// Entries of the software TLB, a power of two.
    pub tlb_entries: usize,
}

impl Default for VcpuConfig {
    fn default() -> Self {
        Self { tiers: Tiers::default(), tlb_entries: 4096 }
    }
}

/// Why a process' vCPU came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Somebody wants attention.
    Attention,
    /// It has trapped, in front of the instruction.
    Trap(Trap),
    /// A debugger wants to know.
    Debug(Stop),
}

/// Sees every trap before the guest does; true if it has dealt with it (the CPU state then is where to go on).
pub type TrapHook<G> = Box<dyn FnMut(&mut Vcpu<G>, Trap) -> bool + Send>;

/// Something a vCPU's own thread is to do between two instructions.
type Work<G> = Box<dyn FnOnce(&mut Vcpu<G>) + Send>;

/// What waits at most for a vCPU that sleeps, before it is woken to do it.
const MOST_WAITING: usize = 64;

/// Work that was given to a vCPU.
pub struct Errand<G: Guest> {
    handle: Arc<Handle<G>>,
    done: Arc<AtomicBool>,
}

impl<G: Guest> Errand<G> {
    /// Whether it is done, or will be before the guest's next instruction: its vCPU sleeps.
    pub fn is_over(&self) -> bool {
        self.done.load(Ordering::SeqCst) || self.handle.asleep()
    }
}

/// What other threads hold of a vCPU.
pub struct Handle<G: Guest> {
    lines: Arc<CpuLines>,
    pub(super) work: Mutex<Vec<Work<G>>>,
    pub(super) stop: AtomicBool,
    pub(super) asleep: AtomicBool,
}

impl<G: Guest> Handle<G> {
    /// The interrupt inputs.
    pub fn lines(&self) -> &Arc<CpuLines> {
        &self.lines
    }

    /// Has the vCPU's thread run `work` between two guest instructions, soon.
    pub fn post(&self, work: impl FnOnce(&mut Vcpu<G>) + Send + 'static) {
        self.work.lock().push(Box::new(work));
        self.lines.kick();
    }

    /// Has the vCPU's thread run `work` between two guest instructions. A guest that waits for an interrupt goes on waiting.
    pub fn give(self: &Arc<Self>, work: impl FnOnce(&mut Vcpu<G>) + Send + 'static) -> Errand<G> {
        let done = Arc::new(AtomicBool::new(false));
        let errand = Errand { handle: self.clone(), done: done.clone() };
        let mut list = self.work.lock();
        list.push(Box::new(move |vcpu| {
            work(vcpu);
            done.store(true, Ordering::SeqCst);
        }));
        let much = list.len() > MOST_WAITING;
        drop(list);
        // In this order: who falls asleep says so, and then looks for a request.
        self.lines.request();
        if much || !self.asleep() {
            self.lines.kick();
        }
        errand
    }

    /// Whether the guest waits for an interrupt.
    pub fn asleep(&self) -> bool {
        self.asleep.load(Ordering::SeqCst)
    }

    /// Waits for an input to change, for at most so long: on the vCPU's thread.
    pub(super) fn sleep(&self, limit: Option<Ns>) {
        self.asleep.store(true, Ordering::SeqCst);
        self.lines.wait(limit);
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Makes [`Vcpu::run`] come back, now or when it is next called.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.lines.kick();
    }
}

/// One vCPU. Lives on one thread; others hold its [`Handle`].
pub struct Vcpu<G: Guest> {
    pub(super) cpu: *mut G::Cpu,
    pub(super) mmu: *mut Mmu,
    pub(super) code: Arc<CodeCache>,
    /// Which of the cache's vCPUs it is.
    number: usize,
    handle: Arc<Handle<G>>,
    config: VcpuConfig,
    /// What is known of cold code, by a hash of its address, since the cache was in `generation`.
    cold: Box<[Cold]>,
    generation: u64,
    trap_hook: Option<TrapHook<G>>,
    /// A trap of a process, which the caller of [`Vcpu::run_process`] deals with.
    trapped: Option<Trap>,
    /// A point of the debugger, which the caller of [`Vcpu::run`] deals with.
    pub(super) debug_stop: Option<Stop>,
    /// How its turn goes, if vCPUs run by turns.
    pub(super) turn: TurnState,
    /// What the header's `helpers` points to.
    helpers: Box<[HelperFn]>,
}

// SAFETY: `cpu` and `mmu` are owned allocations that only this vCPU, wherever it is moved, and helpers it calls use.
unsafe impl<G: Guest> Send for Vcpu<G> {}

const COLD_SLOTS: usize = 1 << 14;

/// What is known of the code of one hash.
#[derive(Clone, Copy, Default)]
struct Cold {
    /// How often such code was seen.
    seen: u32,
    /// Tells which code was looked for in the store last: that is not there.
    looked: u32,
}

/// Longest run of the interpreter between two looks at requests.
const MAX_COLD_RUN: usize = 256;

impl<G: Guest> Vcpu<G> {
    /// A vCPU with state `cpu` and input lines `lines`, running code of `code`.
    pub fn new(cpu: G::Cpu, lines: Arc<CpuLines>, code: &Arc<CodeCache>, config: VcpuConfig) -> Self {
        let tables = Arc::new(match code.process() {
            None => Tables::new(config.tlb_entries),
            Some(_) => Tables::for_process(),
        });
        let number = code.join(tables.clone(), lines.clone());
        let mut mmu = Mmu::new(code.space().clone(), code.clone(), tables);
        if let Some(process) = code.process() {
            mmu = mmu.with_process(process.clone());
        }
        let handle = Arc::new(Handle {
            lines,
            work: Mutex::default(),
            stop: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
        });
        let mut vcpu = Self {
            cpu: Box::into_raw(Box::new(cpu)),
            mmu: Box::into_raw(Box::new(mmu)),
            code: code.clone(),
            number,
            handle,
            config,
            cold: vec![Cold::default(); COLD_SLOTS].into(),
            generation: 0,
            trap_hook: None,
            trapped: None,
            debug_stop: None,
            turn: TurnState::default(),
            helpers: helper_table::<G>(),
        };
        let (mmu, request) = (vcpu.mmu, vcpu.handle.lines.request_word() as *const _);
        let (helpers, heat) = (vcpu.helpers.as_ptr(), code.heat().counts());
        vcpu.join_record();
        let head = vcpu.cpu_mut().as_mut();
        (head.mmu, head.request, head.helpers, head.heat) = (mmu, request, helpers, heat);
        head.ticks = code.turns().map_or(std::ptr::null(), |clock| clock.ticks());
        vcpu.handle.lines.kick();
        vcpu
    }

    /// What other threads may hold.
    pub fn handle(&self) -> &Arc<Handle<G>> {
        &self.handle
    }

    /// The guest's state.
    pub fn cpu(&self) -> &G::Cpu {
        // SAFETY: owned by `self`; no helper runs while the borrow lasts.
        unsafe { &*self.cpu }
    }

    /// The guest's state, to change; [`Vcpu::run`] looks at everything anew.
    pub fn cpu_mut(&mut self) -> &mut G::Cpu {
        // SAFETY: as in `cpu`.
        unsafe { &mut *self.cpu }
    }

    /// State and memory view together.
    pub fn parts(&mut self) -> (&mut G::Cpu, &mut Mmu) {
        // SAFETY: two allocations owned by `self`; no helper runs while the borrow lasts.
        unsafe { (&mut *self.cpu, &mut *self.mmu) }
    }

    /// Where its translations are.
    pub fn code(&self) -> &CodeCache {
        &self.code
    }

    /// The guest-physical address space.
    pub fn space(&self) -> &AddressSpace {
        self.code.space()
    }

    /// Has `hook` see every trap first.
    pub fn set_trap_hook(&mut self, hook: TrapHook<G>) {
        self.trap_hook = Some(hook);
    }

    /// Runs the guest until [`Handle::stop`], or until it reaches a point of the debugger.
    pub fn run(&mut self) -> Option<Stop> {
        self.sync();
        // An interrupt may have come together with the last stop.
        self.handle.lines.kick();
        loop {
            if self.handle.lines.take_request() && !self.attend() {
                return None;
            }
            self.advance();
            if let Some(stop) = self.debug_stop.take() {
                return Some(stop);
            }
        }
    }

    /// Runs a guest process until something comes up. The caller deals with that and calls again.
    pub fn run_process(&mut self) -> Left {
        self.sync();
        loop {
            if self.handle.lines.take_request() {
                self.do_posted_work();
                return Left::Attention;
            }
            self.advance();
            if let Some(trap) = self.trapped.take() {
                return Left::Trap(trap);
            }
            if let Some(stop) = self.debug_stop.take() {
                return Left::Debug(stop);
            }
        }
    }

    /// Runs one instruction of a guest process for a debugger, whether there is a breakpoint or not.
    pub fn step_process(&mut self) -> Left {
        self.sync();
        let stop = self.step_past_breakpoint();
        match self.trapped.take() {
            Some(trap) => Left::Trap(trap),
            None => Left::Debug(stop),
        }
    }

    /// What the host said of the access that trapped.
    pub fn host_fault(&mut self) -> Option<HostFault> {
        self.parts().1.direct.as_ref().map(|direct| direct.fault)
    }

    /// Runs one instruction, or takes one trap or interrupt instead.
    pub fn step(&mut self) {
        self.sync();
        G::settle_pc(self.cpu_mut());
        let levels = self.handle.lines.levels();
        if !G::take_interrupt(self.cpu_mut(), levels) {
            let mode = G::context(self.cpu()).mode;
            let step = self.interpret_one(mode);
            self.after_step(step);
        }
        self.sync();
    }

    /// Has the debugger's points be these.
    pub fn set_points(&mut self, points: &[Point]) {
        self.code.follow_points(points);
        self.parts().1.set_debug_points(points);
    }

    /// The debugger's points.
    pub fn points(&mut self) -> Vec<Point> {
        self.parts().1.points.debugger().to_vec()
    }

    /// Whether a breakpoint of the debugger is at the next instruction.
    pub fn at_breakpoint(&mut self) -> bool {
        let pc = self.cpu().as_ref().pc;
        self.parts().1.points.breaks_at(pc)
    }

    /// Runs one instruction for a debugger, with `interrupts` or without, or takes one trap instead. Never waits: a CPU
    /// that waits for another one makes no step.
    pub fn step_for_debugger(&mut self, interrupts: bool) -> Stop {
        // Work of others comes first. What waits there sees the stop, leaves, and is posted again.
        self.handle.stop.store(true, Ordering::SeqCst);
        self.do_posted_work();
        if self.handle.work.lock().is_empty() {
            self.sync();
            let levels = self.handle.lines.levels();
            if !interrupts || !G::take_interrupt(self.cpu_mut(), levels) {
                let reached = self.step_past_breakpoint();
                self.handle.stop.store(false, Ordering::SeqCst);
                return reached;
            }
        }
        self.handle.stop.store(false, Ordering::SeqCst);
        Stop::Step
    }

    /// One instruction, whether there is a breakpoint or not.
    fn step_past_breakpoint(&mut self) -> Stop {
        G::settle_pc(self.cpu_mut());
        self.parts().1.points.pass_breakpoints = true;
        let step = loop {
            let mode = G::context(self.cpu()).mode;
            match self.interpret_one(mode) {
                Step::Leave(exit::RETRY) => self.sync(),
                step => break step,
            }
        };
        self.parts().1.points.pass_breakpoints = false;
        match step {
            // It would sleep, or give its time away.
            Step::Leave(exit::HALT | exit::YIELD) => {}
            step => self.after_step(step),
        }
        self.sync();
        self.debug_stop.take().unwrap_or(Stop::Step)
    }

    /// Runs the instruction that a point of the debugger has stopped, as if there were no point.
    pub fn pass_point(&mut self) {
        self.sync();
        G::settle_pc(self.cpu_mut());
        self.parts().1.points.pass_all = true;
        let mode = G::context(self.cpu()).mode;
        let step = self.interpret_one(mode);
        self.after_step(step);
        self.parts().1.points.pass_all = false;
        self.sync();
    }

    /// Has breakpoints of the debugger let instructions pass, or stop them again.
    pub fn pass_breakpoints(&mut self, pass: bool) {
        self.parts().1.points.pass_breakpoints = pass;
    }

    /// Does what others posted; used by code that waits for another vCPU on this vCPU's thread.
    pub fn do_posted_work(&mut self) {
        self.turn.unpark();
        let work = std::mem::take(&mut *self.handle.work.lock());
        for item in work {
            item(self);
        }
    }

    /// Forgets what was worked out from memory and from the CPU's state, and what others still want of the state that goes: before
    /// another one is put into its place. Translations stay; memory tells of those that are out of date.
    pub fn forget(&mut self) {
        self.handle.work.lock().clear();
        self.parts().1.contexts.flush(None, |_| true);
        (self.trapped, self.debug_stop) = (None, None);
    }

    /// Empties the TLB and forgets where code is. What happens from here on does not depend on what was looked up before, if all vCPUs
    /// of the machine do the same at the same moment.
    pub fn forget_lookups(&mut self)
    where
        G: Saved,
    {
        G::forget_maintenance(self.cpu_mut());
        self.parts().1.contexts.flush(None, |_| true);
        self.sync();
    }

    /// Forgets a wish that [`Vcpu::run`] come back.
    pub fn take_stop(&mut self) {
        self.handle.stop.store(false, Ordering::SeqCst);
    }

    /// Whether somebody wants [`Vcpu::run`] to come back.
    pub fn stopping(&self) -> bool {
        self.handle.stop.load(Ordering::SeqCst)
    }

    /// Answers a request; false: come back from `run`.
    pub(super) fn attend(&mut self) -> bool {
        self.do_posted_work();
        if self.handle.stop.swap(false, Ordering::SeqCst) {
            return false;
        }
        G::settle_pc(self.cpu_mut());
        let levels = self.handle.lines.levels();
        if G::take_interrupt(self.cpu_mut(), levels) {
            self.turn.sleeps = false;
        }
        self.sync();
        true
    }

    /// Points the header at the tables of the present state.
    pub(super) fn sync(&mut self) {
        let (cpu, mmu) = self.parts();
        mmu.sync::<G>(cpu);
    }

    /// One trip: a piece of generated code or of interpretation.
    pub(super) fn advance(&mut self) {
        G::settle_pc(self.cpu_mut());
        let pc = self.cpu().as_ref().pc;
        let site = std::mem::take(&mut self.cpu_mut().as_mut().link_site);
        let code = self.code.clone();
        let gate = code.enter_gate();
        let known = match site {
            0 => self.parts().1.contexts.lookup_jump(pc),
            _ => None,
        };
        let entry = match known {
            Some(entry) => Ok(Some(entry)),
            None => self.find(pc).map(|found| {
                found.map(|found| {
                    code.link(site, found);
                    found.code
                })
            }),
        };
        match entry {
            Ok(Some(entry)) => {
                log::run::<G>(self.number, self.cpu(), entry);
                self.cpu_mut().as_mut().page = pc & !(PAGE_SIZE - 1);
                let head = self.cpu.cast::<CpuHeader>();
                // SAFETY: `entry` was found while the gate was held, as it still is.
                let why = float::with_guest_mode(head, || unsafe { code.run(head, entry) });
                drop(gate);
                self.after_exit(why);
            }
            Ok(None) => {
                drop(gate);
                self.cold(pc);
            }
            Err(trap) => {
                drop(gate);
                self.trap(trap);
            }
        }
    }

    fn find(&mut self, pc: u64) -> Result<Option<Found>, Trap> {
        let mode = G::context(self.cpu()).mode;
        let code = self.code.clone();
        let (cpu, mmu) = self.parts();
        code.find::<G>(cpu, mmu, pc, mode)
    }

    /// Code that has no translation.
    fn cold(&mut self, pc: u64) {
        let mode = G::context(self.cpu()).mode;
        if self.generation != self.code.generation() {
            // All must be warm again before it is translated again, or a small cache would do nothing else.
            self.generation = self.code.generation();
            self.cold.fill(Cold::default());
        }
        let slot = (pc >> 1 ^ pc >> 15) as usize % COLD_SLOTS;
        // The jump cache is the context's. Code that is taken for other code is made anew.
        let which = pc as u32 ^ (self.cpu().as_ref().jumps as usize >> 4) as u32 | 1;
        if std::mem::replace(&mut self.cold[slot].looked, which) != which && self.reuse(pc, mode) {
            return;
        }
        if self.cold[slot].seen < self.config.tiers.translate_after {
            self.cold[slot].seen += 1;
            return self.interpret(pc, mode);
        }
        if self.config.tiers.translate_after == u32::MAX {
            return self.interpret(pc, mode);
        }
        let code = self.code.clone();
        let (cpu, mmu) = self.parts();
        match code.translate::<G>(cpu, mmu, pc, mode) {
            Ok(Translated::Now) => {}
            Ok(Translated::Not) => self.interpret(pc, mode),
            Ok(Translated::Soon) => {
                // Until it would have been there twice.
                self.cold[slot].seen = 0;
                self.interpret(pc, mode);
            }
            Err(trap) => self.trap(trap),
        }
    }

    /// Takes a stored translation; false if there is none.
    fn reuse(&mut self, pc: u64, mode: u64) -> bool {
        let code = self.code.clone();
        let (cpu, mmu) = self.parts();
        // A trap comes again when the code is run.
        code.reuse::<G>(cpu, mmu, pc, mode).unwrap_or(false)
    }

    /// Interprets to the end of the basic block at `pc`.
    fn interpret(&mut self, pc: u64, mode: u64) {
        log::run::<G>(self.number, self.cpu(), 0);
        self.enter_block();
        for _ in 0..MAX_COLD_RUN {
            if self.turn_stops() {
                self.leave_block(pc);
                return;
            }
            let step = self.interpret_one(mode);
            if step != Step::Next {
                self.leave_block(pc);
                return self.after_step(step);
            }
            if (self.cpu().as_ref().pc ^ pc) >> PAGE_SHIFT != 0 {
                break;
            }
        }
        self.leave_block(pc);
    }

    /// Interprets one instruction.
    fn interpret_one(&mut self, mode: u64) -> Step {
        if self.code.record().is_some() {
            return self.interpret_watched(mode);
        }
        // SAFETY: both are ours.
        unsafe { interp::step::<G>(self.cpu, self.mmu, mode) }
    }

    fn after_step(&mut self, step: Step) {
        match step {
            Step::Next | Step::Jumped => {}
            Step::Trap(trap) => self.trap(trap),
            Step::Leave(code) => self.after_exit(code),
        }
    }

    fn after_exit(&mut self, code: u32) {
        match code {
            exit::TRAP => {
                let head = self.cpu().as_ref();
                let trap = Trap { code: head.trap_code, value: head.trap_value };
                // The mode may have changed on the way.
                self.sync();
                self.trap(trap);
            }
            exit::REQUEST => self.sync(),
            exit::HALT => {
                let levels = self.handle.lines.levels();
                if let Wait::Sleep(limit) = G::wait(self.cpu_mut(), levels) {
                    if let Some(record) = self.code.record() {
                        record.idle();
                    }
                    self.sleep(limit);
                }
            }
            exit::RESYNC => self.sync(),
            exit::RETRY => {
                // Under the mode that it has now. Interpreted: a translation of the instruction might change itself for ever.
                let mode = G::context(self.cpu()).mode;
                match self.interpret_one(mode) {
                    Step::Leave(exit::RETRY) => {}
                    step => self.after_step(step),
                }
                self.sync();
            }
            exit::YIELD if self.takes_turns() => self.turn.yields = true,
            exit::YIELD => std::thread::yield_now(),
            exit::STOP => self.handle.stop(),
            exit::TURN => {
                self.sync();
                let (pc, mode) = (self.cpu().as_ref().pc, G::context(self.cpu()).mode);
                self.interpret(pc, mode);
            }
            exit::HOT => self.promote(),
            exit::WENT => self.note_target(),
            _ => {}
        }
    }

    /// The loop that begins where the guest is has come round often.
    fn promote(&mut self) {
        let head = self.cpu_mut().as_mut();
        let (site, pc) = (std::mem::take(&mut head.link_site), head.pc);
        let mode = G::context(self.cpu()).mode;
        let code = self.code.clone();
        let (cpu, mmu) = self.parts();
        if let Err(trap) = code.promote::<G>(cpu, mmu, site, pc, mode) {
            self.trap(trap);
        }
    }

    /// A computed jump that is made often goes where the guest is.
    fn note_target(&mut self) {
        let head = self.cpu_mut().as_mut();
        let (site, page, pc) = (std::mem::take(&mut head.link_site), head.page, head.pc);
        let code = self.code.clone();
        let (cpu, mmu) = self.parts();
        code.went::<G>(cpu, mmu, site, page, pc);
    }

    fn trap(&mut self, trap: Trap) {
        if trap.code == Trap::DEBUG {
            self.debug_stop = self.parts().1.points.reached.take();
            return;
        }
        if self.code.process().is_some() {
            self.trapped = Some(trap);
            return;
        }
        if let Some(ticks) = self.cpu().as_ref().ticks() {
            ticks.add(1);
        }
        if let Some(mut hook) = self.trap_hook.take() {
            let handled = hook(self, trap);
            self.trap_hook = Some(hook);
            if handled {
                return self.sync();
            }
        }
        G::take_trap(self.cpu_mut(), trap);
        self.sync();
    }
}

impl<G: Guest> Drop for Vcpu<G> {
    fn drop(&mut self) {
        self.code.part(&self.handle.lines);
        self.part_record();
        // SAFETY: both were made by `Box::into_raw` in `new` and are not used afterwards.
        unsafe {
            drop(Box::from_raw(self.cpu));
            drop(Box::from_raw(self.mmu));
        }
    }
}

/// Takes a header apart into what helpers work on.
///
/// # Safety
/// `head` was handed to a helper of guest `G`; the borrows end with the helper.
pub unsafe fn parts<'a, G: Guest>(head: *mut CpuHeader) -> (&'a mut G::Cpu, &'a mut Mmu) {
    // SAFETY: the header is the first field of the vCPU's state, and its `mmu` was set by `Vcpu::new`; the run loop
    // and generated code hold no borrow of either while a helper runs.
    unsafe {
        let mmu = (*head).mmu;
        (&mut *head.cast::<G::Cpu>(), &mut *mmu)
    }
}

/// The helper functions of guest `G` in [`crate::cpu::HelperId`] order, the translator's own first.
pub(crate) fn helper_table<G: Guest>() -> Box<[HelperFn]> {
    let own = host::core_helpers(memory_helpers::<G>());
    own.into_iter().chain(G::helpers().iter().map(|h| h.func)).collect()
}

fn memory_helpers<G: Guest>() -> host::MemoryHelpers {
    host::MemoryHelpers {
        load: load::<G>,
        store: store::<G>,
        rmw: rmw::<G>,
        cas: cas::<G>,
        load_vector: load_vector::<G>,
        store_vector: store_vector::<G>,
        load_lanes: load_lanes::<G>,
        store_lanes: store_lanes::<G>,
        observe: super::observe::observe::<G>,
    }
}

fn result<G: Guest>(cpu: &mut G::Cpu, value: Result<u64, Fault>) -> HelperResult {
    match value {
        Ok(value) => HelperResult::ok(value),
        Err(Fault::Trap(trap)) => {
            let head = cpu.as_mut();
            (head.trap_code, head.trap_value) = (trap.code, trap.value);
            HelperResult::leave(exit::TRAP)
        }
        Err(Fault::Again) => HelperResult::leave(exit::RETRY),
    }
}

/// Helpers that access memory: what each does with its arguments.
macro_rules! memory_helpers {
    ($($name:ident: |$cpu:ident, $mmu:ident, $a:pat_param, $b:pat_param, $c:pat_param, $d:pat_param| $access:expr;)*) => {$(
        unsafe extern "C" fn $name<G: Guest>(
            head: *mut CpuHeader,
            $a: u64,
            $b: u64,
            $c: u64,
            $d: u64,
        ) -> HelperResult {
            // SAFETY: generated code passes its own header.
            let ($cpu, $mmu) = unsafe { parts::<G>(head) };
            $mmu.leaves_devices = $cpu.as_ref().ticks().is_some();
            let value = $access;
            $mmu.leaves_devices = false;
            result::<G>($cpu, value)
        }
    )*};
}

memory_helpers! {
    load: |cpu, mmu, addr, imm, _, _| mmu.load_unseen::<G>(cpu, addr, MemOp::unpack(imm), Ty::I64);
    store: |cpu, mmu, addr, value, imm, _| mmu.store_unseen::<G>(cpu, addr, value, MemOp::unpack(imm)).map(|()| 0);
    rmw: |cpu, mmu, addr, operand, imm, _| mmu.rmw_unseen::<G>(cpu, addr, operand, imm, Ty::I64);
    cas: |cpu, mmu, addr, expected, new, imm| {
        mmu.cas_unseen::<G>(cpu, addr, [expected, new], MemOp::unpack(imm), Ty::I64)
    };
    load_vector: |cpu, mmu, addr, imm, _, _| {
        mmu.load_vector_unseen::<G>(cpu, addr, MemOp::unpack(imm)).map(|value| {
            cpu.as_mut().vectors[0] = value;
            0
        })
    };
    store_vector: |cpu, mmu, addr, imm, _, _| {
        let value = cpu.as_ref().vectors[0];
        mmu.store_vector_unseen::<G>(cpu, addr, value, MemOp::unpack(imm)).map(|()| 0)
    };
    load_lanes: |cpu, mmu, addr, imm, _, _| {
        let mask = cpu.as_ref().vectors[0];
        mmu.load_lanes_unseen::<G>(cpu, addr, mask, MemOp::unpack(imm)).map(|value| {
            cpu.as_mut().vectors[0] = value;
            0
        })
    };
    store_lanes: |cpu, mmu, addr, imm, _, _| {
        let [value, mask, _] = cpu.as_ref().vectors;
        mmu.store_lanes_unseen::<G>(cpu, addr, [value, mask], MemOp::unpack(imm)).map(|()| 0)
    };
}

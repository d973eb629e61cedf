//! A debugger on the process: its threads stand still while it looks, and go on as it says.
//!
//! Whoever has something to tell (a thread at a breakpoint, or the watcher, when the debugger wants attention) has all
//! threads stand still, and talks with the debugger itself: no thread of the debugger's has to survive a `fork`. A thread
//! stands at the head of its loop; one that waits in a system call is left there, where its registers do not change, and
//! stands when the call is done. Only a debugger that sets its registers has it leave the call, which is then made again.
//!
//! What is said, and over which line, is the [`Debugger`]'s. This knows no protocol.

mod files;
mod fork;
mod thread;
mod view;
mod watcher;

pub use files::{Contents, Opened};
pub use fork::{Child, Forked, Link};

use crate::cpu::Cpu;
use crate::process::Process;
use crate::signal::host;
use crate::signal::{Actions, Info};
use crate::sys;
use crate::thread::Thread;
use std::collections::BTreeSet;
use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use tcg_core::debug::Stop;
use tcg_core::guest::Point;

/// What a debugger is told.
#[derive(Clone, Copy, Debug)]
pub enum Why {
    /// The program is about to run its first instruction.
    Start,
    /// There is something on its line.
    Wanted,
    /// The thread is at a point, or has made its step.
    Point(Stop),
    /// The thread is about to be given a signal.
    Signal(i32, Info),
    /// The thread is about to make a system call.
    Calls(u64),
    /// The thread has made a system call.
    Called(u64),
    /// The thread has made a process, which waits as well.
    Forked(Child),
    /// This process was made by one that the debugger has just left for it.
    Followed,
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// How a thread goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Motion {
    /// It runs.
    Run,
    /// It runs one instruction, and others as long as they are in this range; then the debugger is told.
    Step(Range<u64>),
    /// It stands still.
    Hold,
}

/// What a thread is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// How it goes on.
    pub motion: Motion,
    /// The signal that it is given first.
    pub signal: Option<i32>,
}

impl Order {
    /// It runs.
    pub const RUN: Self = Self { motion: Motion::Run, signal: None };
}

/// Which system calls a debugger wants to hear of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Calls {
    /// None.
    #[default]
    None,
    /// All.
    All,
    /// Those of these numbers.
    Some(BTreeSet<u64>),
}

/// Somebody who debugs the process. Called while all threads stand still, by one of them or by the watcher.
pub trait Debugger: Send {
    /// Tells what thread `tid` has come to, and waits until the debugger lets the process go on: what each thread does now,
    /// or `None` if it goes on as before. Threads that are not named run.
    fn talk(&mut self, tid: i32, why: Why) -> Option<Vec<(i32, Order)>>;
    /// The process ends.
    fn ended(&mut self, end: End);
    /// Something has arrived and was read already.
    fn has_input(&self) -> bool;
    /// Descriptors on which something may arrive while the process runs.
    fn descriptors(&self) -> Vec<RawFd>;
    /// Whether it wants to hear of [`Why::Forked`].
    fn follows_forks(&self) -> bool;
    /// The process is a copy that nobody debugs.
    fn abandon(&mut self);
    /// The process is about to become another program (or, if not `goes`, has not become one after all): what the emulator of
    /// that needs to know to go on with the conversation; `None` if that can not follow.
    fn hand_over(&mut self, goes: bool) -> Option<String>;
}

/// Makes a debugger of a process.
pub type Attach = Box<dyn FnOnce(Arc<Debug>) -> std::io::Result<Box<dyn Debugger>>>;

/// What a thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It runs, or is about to look whether it is to stand.
    Runs,
    /// It waits in the host's kernel.
    InCall,
    /// It stands.
    Stands,
}

/// A CPU that may be looked at while its thread is not [`State::Runs`].
struct CpuPtr(*mut dyn Cpu);

// SAFETY: used under the board's lock, and only while the CPU's thread waits for that or is in the kernel.
unsafe impl Send for CpuPtr {}

struct Slot {
    tid: i32,
    state: State,
    cpu: CpuPtr,
    request: *const AtomicU32,
    order: Order,
    /// It is to leave the call that it is in.
    out: bool,
    /// The points of its CPU are not those of the board: it began while they changed.
    behind: bool,
}

// SAFETY: the word lives as long as the thread's CPU, and the slot is taken away before that goes.
unsafe impl Send for Slot {}

#[derive(Default)]
struct Board {
    slots: Vec<Slot>,
    /// Somebody talks, or is about to.
    halted: bool,
    /// The process writes its core file, for which nobody may stand.
    dying: bool,
    points: Vec<Point>,
    calls: Calls,
    /// A child that waits for what the debugger decides.
    child: Option<fork::Waiting>,
}

impl Board {
    fn slot(&mut self, tid: i32) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.tid == tid)
    }
}

/// A process under a debugger.
pub struct Debug {
    board: Mutex<Board>,
    changed: Condvar,
    /// A debugger is connected.
    attached: AtomicBool,
    /// Signals that are given without telling it, one bit each.
    passed: AtomicU64,
    /// The process and what it does on signals, once it has begun.
    begun: OnceLock<(Weak<Process>, Arc<Actions>)>,
    debugger: Mutex<Option<Box<dyn Debugger>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Debug {
    /// For a process that begins.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            board: Mutex::default(),
            changed: Condvar::new(),
            attached: AtomicBool::new(false),
            passed: AtomicU64::new(0),
            begun: OnceLock::new(),
            debugger: Mutex::new(None),
        })
    }

    /// Has `attach` make the debugger of the process, whose first thread `thread` is, and tells it of the start.
    ///
    /// # Errors
    /// Those of `attach`, or the host has no thread left.
    pub fn begin(self: &Arc<Self>, thread: &mut Thread, attach: Attach) -> std::io::Result<()> {
        // It was not set before.
        let _ = self.begun.set((Arc::downgrade(&thread.process), thread.actions.clone()));
        *lock(&self.debugger) = Some(attach(self.clone())?);
        thread.tell(Why::Start);
        // Not before: it would hear what is meant for the conversation about the start.
        self.watch()
    }

    fn process(&self) -> Option<Arc<Process>> {
        self.begun.get().and_then(|(process, _)| process.upgrade())
    }

    /// Whether a debugger is connected.
    pub fn attached(&self) -> bool {
        self.attached.load(Ordering::Relaxed)
    }

    /// Says so. While one is, signals are caught that the host would carry out by itself otherwise.
    pub fn set_attached(&self, attached: bool) {
        self.attached.store(attached, Ordering::Relaxed);
        host::catch_all(attached);
        if let Some((_, actions)) = self.begun.get() {
            actions.refresh();
        }
        if !attached {
            self.passed.store(0, Ordering::Relaxed);
            lock(&self.board).calls = Calls::None;
        }
    }

    /// Signals of `mask` are given without telling the debugger.
    pub fn pass_signals(&self, mask: u64) {
        self.passed.store(mask, Ordering::Relaxed);
    }

    /// The debugger wants to hear of `calls`.
    pub fn catch_calls(&self, calls: Calls) {
        lock(&self.board).calls = calls;
    }

    /// Has all threads but `own` stand still, and says that somebody talks.
    fn halt(&self, own: Option<i32>) {
        let mut board = lock(&self.board);
        while board.halted {
            board = self.wait(board);
        }
        self.halt_others(board, own);
    }

    /// The same, where nobody talks.
    fn halt_others(&self, mut board: MutexGuard<'_, Board>, own: Option<i32>) {
        board.halted = true;
        for slot in &mut board.slots {
            if Some(slot.tid) != own && slot.state == State::Runs {
                // SAFETY: see `Slot`.
                unsafe { (*slot.request).store(1, Ordering::SeqCst) };
            }
        }
        while board.slots.iter().any(|slot| Some(slot.tid) != own && slot.state == State::Runs) {
            board = self.wait(board);
        }
    }

    fn wait<'a>(&self, board: MutexGuard<'a, Board>) -> MutexGuard<'a, Board> {
        self.changed.wait(board).unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the threads go on.
    fn release(&self, orders: Option<Vec<(i32, Order)>>) {
        let mut board = lock(&self.board);
        board.halted = false;
        if let Some(orders) = orders {
            for slot in &mut board.slots {
                let order = orders.iter().find(|(tid, _)| *tid == slot.tid);
                slot.order = order.map_or(Order::RUN, |(_, order)| order.clone());
            }
        }
        board.slots.iter_mut().for_each(|slot| slot.out = false);
        self.changed.notify_all();
    }

    /// Talks with the debugger, with all threads standing still.
    fn converse(&self, tid: i32, why: Why) -> Option<Vec<(i32, Order)>> {
        lock(&self.debugger).as_mut().and_then(|debugger| debugger.talk(tid, why))
    }

    /// The debugger wants attention: talks with it on the present thread, which is none of the guest's.
    pub fn attend(&self) {
        self.halt(None);
        let first = lock(&self.board).slots.first().map(|slot| slot.tid);
        let orders = self.converse(first.unwrap_or_else(sys::getpid), Why::Wanted);
        self.release(orders);
    }

    /// [`Debugger::hand_over`], if one is connected.
    pub fn hand_over(&self, goes: bool) -> Option<String> {
        if !self.attached() {
            return None;
        }
        lock(&self.debugger).as_mut().and_then(|debugger| debugger.hand_over(goes))
    }

    /// The process writes its core file: threads that stand go on, to where they lay their registers down.
    pub fn crash(&self) {
        lock(&self.board).dying = true;
        self.changed.notify_all();
    }

    /// Tells the debugger of the end.
    fn end(&self, own: Option<i32>, end: End) {
        self.halt(own);
        if let Some(debugger) = lock(&self.debugger).as_mut() {
            debugger.ended(end);
        }
        // Whoever else would talk waits for ever, which is not long.
    }
}

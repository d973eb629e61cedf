//! What is said of a program that a signal ends: a report under `-d guest_errors`, and its core file where the limits allow
//! one.
//!
//! For that all threads leave what they do, by the signal that takes them out of system calls, and lay their registers down.

use crate::core_file::{self, Crash, ThreadState};
use crate::signal::{self, ByDefault, Info, by_default, info_code};
use crate::sys;
use crate::thread::Thread;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::Level;

/// How long the other threads may take to lay their registers down.
const PATIENCE: Duration = Duration::from_secs(2);

/// A process that writes its core file.
#[derive(Default)]
pub struct Dying {
    begun: AtomicBool,
    board: Mutex<Board>,
    changed: Condvar,
}

#[derive(Default)]
struct Board {
    /// Numbers of the threads there are.
    threads: Vec<i32>,
    laid_down: Vec<ThreadState>,
}

impl Dying {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present thread begins to run.
    pub fn join(&self) {
        self.board().threads.push(sys::gettid());
    }

    /// The present thread ends.
    pub fn part(&self) {
        let own = sys::gettid();
        self.board().threads.retain(|tid| *tid != own);
    }

    /// The process is a new one, with the present thread alone.
    pub fn forked(&self) {
        self.board().threads = vec![sys::gettid()];
    }

    /// Keeps everybody else out while `f` runs.
    pub fn alone<T>(&self, f: impl FnOnce() -> T) -> T {
        let _board = self.board();
        f()
    }

    /// True for the first who asks.
    fn begin(&self) -> bool {
        !self.begun.swap(true, Ordering::SeqCst)
    }
}

impl Thread {
    /// Called before `signal` ends the process.
    pub fn tell_crash(&mut self, signal: i32, info: &Info) {
        if by_default(signal) != ByDefault::Core {
            return;
        }
        if tracing::enabled!(target: "guest_errors", Level::TRACE) {
            tracing::trace!(target: "guest_errors", "{}", self.report(signal, info));
        }
        let limit = core_limit();
        if limit == 0 {
            return;
        }
        let mut threads = vec![self.core_state()];
        // The threads that share memory with a child that borrows it are its parent's.
        if !self.is_vfork {
            if !self.process.dying.begin() {
                // Another thread was first.
                self.lay_down();
            }
            threads.extend(self.others_lay_down());
        }
        let crash = Crash { signal, info, threads };
        let dumped = core_file::write(&self.process, self.cpu.abi().machine, &crash, limit);
        let dumped = match dumped {
            Ok(()) => " - core dumped".into(),
            Err(error) => format!(" - no core file: {error}"),
        };
        eprintln!("mimic: uncaught target signal {signal} ({}){dumped}", name(signal));
    }

    fn core_state(&mut self) -> ThreadState {
        let (general, others) = self.cpu.core_registers();
        ThreadState { tid: sys::gettid(), mask: self.mask, general, others }
    }

    /// What the other threads lay down, if they do so in time.
    fn others_lay_down(&mut self) -> Vec<ThreadState> {
        if let Some(debug) = &self.debug {
            debug.crash();
        }
        let own = sys::gettid();
        let limit = Instant::now() + PATIENCE;
        let mut board = self.process.dying.board();
        while board.threads.len() > board.laid_down.len() + 1 && Instant::now() < limit {
            let missing = |tid: &&i32| **tid != own && board.laid_down.iter().all(|state| state.tid != **tid);
            board.threads.iter().filter(missing).for_each(|tid| signal::host::leave_call(*tid));
            let step = Duration::from_millis(10);
            let waited = self.process.dying.changed.wait_timeout(board, step);
            board = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut laid_down = std::mem::take(&mut board.laid_down);
        laid_down.sort_by_key(|state| state.tid);
        laid_down
    }

    /// Lays the registers down for the core file, if the process dies, and waits for the end.
    pub fn lay_down_if_dying(&mut self) {
        if self.process.dying.begun.load(Ordering::Relaxed) {
            self.lay_down();
        }
    }

    fn lay_down(&mut self) -> ! {
        let state = self.core_state();
        // For a debugger it is gone.
        self.part_debug();
        self.process.dying.board().laid_down.push(state);
        self.process.dying.changed.notify_all();
        loop {
            std::thread::park();
        }
    }

    fn report(&mut self, signal: i32, info: &Info) -> String {
        let (pc, sp) = (self.cpu.pc(), self.cpu.sp());
        let addr = u64::from_le_bytes(info[16..24].try_into().expect("eight bytes"));
        let mut text =
            format!("signal {signal} ({}) ends the program: code {}", name(signal), info_code(info));
        if info_code(info) > 0 {
            write!(text, ", address {addr:#x}").expect("a string takes everything");
        }
        let mappings = self.process.mappings();
        for (what, addr) in [("pc", pc), ("sp", sp)] {
            let place = mappings.iter().find(|mapping| mapping.range.contains(&addr));
            let place = match place {
                None => "nothing is mapped there".into(),
                Some(mapping) => {
                    let offset = addr - mapping.range.start + mapping.offset;
                    let name = if mapping.name.is_empty() { "memory without a name" } else { &mapping.name };
                    format!("{name}, offset {offset:#x}")
                }
            };
            write!(text, "\n{what} {addr:#018x}: {place}").expect("a string takes everything");
        }
        write!(text, "\n{}", self.cpu.show()).expect("a string takes everything");
        text
    }
}

/// `RLIMIT_CORE`.
fn core_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes the local structure.
    unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut limit) };
    limit.rlim_cur
}

/// What people call a signal.
fn name(signal: i32) -> String {
    // SAFETY: gives a string that lives until the next call on this thread.
    unsafe { std::ffi::CStr::from_ptr(libc::strsignal(signal)) }.to_string_lossy().into_owned()
}

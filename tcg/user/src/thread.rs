//! A thread of the guest: a host thread that runs a CPU, makes its system calls and gives it signals.

use crate::cpu::{Cpu, Stop};
use crate::debug::{Debug, End, Forked, Motion, Why};
use crate::process::Process;
use crate::signal::host::{self, Caught};
use crate::signal::{Actions, AltStack, Interrupted};
use crate::sys;
use crate::trace::Tracee;
use std::sync::Arc;

/// A thread of the guest.
pub struct Thread {
    /// What all threads share.
    pub process: Arc<Process>,
    /// Its CPU.
    pub cpu: Box<dyn Cpu>,
    /// What is to be done on signals; shared by the threads of a process.
    pub actions: Arc<Actions>,
    /// What the handler of host signals leaves for it.
    pub caught: Box<Caught>,
    /// Blocked signals.
    pub mask: u64,
    /// The mask that holds during a call like `sigsuspend`, until a handler is entered.
    pub suspended: Option<u64>,
    /// `sigaltstack`.
    pub alt_stack: AltStack,
    /// A call that a signal interrupted.
    pub interrupted: Option<Interrupted>,
    /// `set_tid_address`: cleared when the thread ends, 0 for nothing.
    pub clear_tid: u64,
    /// Set when the thread is to end.
    pub ends: Option<i32>,
    /// A debugger of the process.
    pub debug: Option<Arc<Debug>>,
    /// What a debugger is to hear of the process that was made just now.
    pub forked: Option<Forked>,
    /// What a tracer among the guest's programs and the thread tell each other.
    pub trace: Option<Tracee>,
    /// It shares memory with its parent, which waits for it: no process of its own yet.
    pub is_vfork: bool,
}

impl Thread {
    /// A thread that has not begun.
    pub fn new(process: Arc<Process>, cpu: Box<dyn Cpu>, actions: Arc<Actions>) -> Self {
        let caught = Caught::new(cpu.request_word());
        Self {
            process,
            cpu,
            actions,
            caught,
            mask: 0,
            suspended: None,
            alt_stack: AltStack::NONE,
            interrupted: None,
            clear_tid: 0,
            ends: None,
            debug: None,
            forked: None,
            trace: None,
            is_vfork: false,
        }
    }

    /// Takes over the present host thread, with `mask` blocked.
    pub fn enter(&mut self, mask: u64) {
        self.caught.use_here();
        self.mask = mask;
        self.caught.let_through(mask);
        if !self.is_vfork {
            self.process.dying.join();
        }
        self.join_debug();
    }

    /// Runs to the end of the thread; its status.
    pub fn run(&mut self) -> i32 {
        self.settle();
        loop {
            self.lay_down_if_dying();
            let steps = self.trace_steps();
            let stop = match self.stand() {
                Motion::Step(_) => self.cpu.step(),
                _ if steps => self.cpu.step(),
                _ => self.cpu.run(),
            };
            match stop {
                Stop::Attention => {}
                Stop::Call(number, args) => self.system_call(number, args),
                // A step that the loop's end tells of.
                Stop::Debug(tcg_core::debug::Stop::Step) => {}
                Stop::Debug(stop) => {
                    self.tell(Why::Point(stop));
                    continue;
                }
                Stop::Fault(fault) => {
                    self.fault(fault);
                    self.caught.let_through(self.mask);
                }
            }
            self.settle();
            if let Some(status) = self.ends {
                self.leave(status);
                return status;
            }
            if steps && self.trace_steps() {
                self.trace_stepped();
            }
            self.tell_step();
        }
    }

    /// Does what a system call or a signal has left to be done.
    pub fn settle(&mut self) {
        if self.trace.is_some() || self.caught.is_asked_to_stand() {
            self.trace_settle();
        }
        if self.caught.is_waiting(self.mask) || self.interrupted.is_some() || self.suspended.is_some() {
            self.deliver();
        }
    }

    /// What others wait for when a thread ends.
    fn leave(&mut self, status: i32) {
        host::block_all();
        if !self.is_vfork {
            self.process.dying.part();
            self.process.host_threads.end();
        }
        if self.part_debug() {
            // The watcher would keep the process alive.
            self.tell_end(End::Exited(status));
            end_process(status);
        }
        crate::observed::thread_ends();
        if self.clear_tid != 0 && self.process.memory.write(self.clear_tid, 0u32).is_ok() {
            let wake = [self.clear_tid, libc::FUTEX_WAKE as u64, i32::MAX as u64, 0, 0, 0];
            // SAFETY: wakes whoever waits at the guest's address.
            unsafe { sys::call(libc::SYS_futex, wake) };
        }
    }
}

/// Ends the process with all its threads.
pub fn end_process(status: i32) -> ! {
    crate::observed::finish();
    loop {
        // SAFETY: ends the process, as the guest wants; nothing of the emulator needs an orderly end.
        unsafe { sys::call(libc::SYS_exit_group, [status as u64, 0, 0, 0, 0, 0]) };
    }
}

/// Ends the host thread, and with the last one the process.
pub fn end_host_thread(status: i32) -> ! {
    loop {
        // SAFETY: the thread's stack is not used any more by anybody.
        unsafe { sys::call(libc::SYS_exit, [status as u64, 0, 0, 0, 0, 0]) };
    }
}

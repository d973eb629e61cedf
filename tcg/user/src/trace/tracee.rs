//! The side of who is traced: standing at the places where the guest's state is in order.

use super::{Block, Event, POKES, Request, Resume, STANDS, TRACED};
use crate::memory::Result;
use crate::signal::{Info, fault_info, host};
use crate::sys;
use crate::thread::Thread;
use base::PAGE_SIZE;
use object::elf::NT_PRSTATUS;
use std::os::unix::ffi::OsStrExt;

/// `TRAP_TRACE`: a step was made.
const TRAP_TRACE: i32 = 2;

/// A thread that is traced.
pub struct Tracee {
    block: Box<Block>,
    /// What it is to tell before it runs.
    first: Option<Event>,
    /// The auxiliary vector, for whoever looks at the process.
    auxv: Vec<u8>,
}

impl Tracee {
    /// One that tells of `first` before it runs.
    pub fn new(first: Option<Event>) -> Self {
        Self { block: Box::new(Block::EMPTY), first, auxv: Vec::new() }
    }

    /// Of a program whose emulator was told by the one before.
    pub fn inherited() -> Option<Self> {
        std::env::var_os(TRACED).map(|_| Self::new(Some(Event::Exec)))
    }

    /// What a child begins with: whether it is traced shows when it tells of it.
    pub fn child() -> Self {
        Self::new(Some(Event::Begin))
    }

    /// How it goes on.
    fn resume(&self) -> u32 {
        // SAFETY: a valid word, which the tracer writes while the thread stands.
        unsafe { (&raw const self.block.resume).read_volatile() }
    }

    fn is_told(&self, resume: Resume) -> bool {
        self.resume() == resume as u32
    }
}

impl Thread {
    /// The thread is traced from now on.
    pub fn begin_trace(&mut self, first: Option<Event>) {
        if self.trace.is_none() {
            self.trace = Some(Tracee::new(first));
        }
        self.expect_tracer();
    }

    /// Signals are caught that the host would carry out by itself otherwise.
    pub fn expect_tracer(&self) {
        if self.trace.is_some() && !host::catches_all() {
            host::catch_all(true);
            self.actions.refresh();
        }
    }

    /// Stands, and gives the signal to go on with, 0 for none. Without a tracer that is `signal`.
    fn trace_stop(&mut self, event: Event, signal: i32, info: Info) -> (i32, Info) {
        let Some(mut tracee) = self.trace.take() else { return (signal, info) };
        let (number, args) = self.cpu.call();
        tracee.auxv = self.process.auxv_bytes();
        let exe = self.process.exe.as_os_str().as_bytes();
        let (resume, poked, pokes) = (tracee.resume(), tracee.block.poked, tracee.block.pokes);
        let mut call = [number; 7];
        call[1..].copy_from_slice(&args);
        *tracee.block = Block {
            event: event as u32,
            signal,
            info,
            call,
            place: [self.cpu.pc(), self.cpu.sp()],
            auxv: [tracee.auxv.as_ptr() as u64, tracee.auxv.len() as u64],
            exe: [exe.as_ptr() as u64, exe.len() as u64],
            pid: sys::getpid(),
            machine: self.cpu.abi().machine.into(),
            resume,
            deliver: signal,
            poked,
            pokes,
            ..Block::EMPTY
        };
        let (registers, notes) = self.cpu.core_registers();
        tracee.block.add_set(NT_PRSTATUS.0, &registers);
        notes.iter().for_each(|note| tracee.block.add_set(note.kind, &note.contents));
        while tracee.block.heard == 0 {
            send_self(STANDS, ptr(&mut tracee.block));
            if self.caught.take_untraced() {
                return (signal, info);
            }
        }
        let block = &mut *tracee.block;
        if std::mem::take(&mut block.changed) != 0 {
            let sets: Vec<_> = block.each_set().collect();
            for (kind, place) in sets {
                self.cpu.set_core_registers(kind, &block.sets[place]);
            }
            // It goes on somewhere else, perhaps.
            self.interrupted = None;
        }
        let (deliver, info) = (block.deliver, block.info);
        let stays = !tracee.is_told(Resume::Detached);
        self.trace = Some(tracee);
        self.follow_pokes();
        if !stays {
            self.trace = None;
        }
        (deliver, info)
    }

    /// Drops translations of what a tracer has written to.
    fn follow_pokes(&mut self) {
        let Some(tracee) = &mut self.trace else { return };
        let block = &mut *tracee.block;
        let count = std::mem::take(&mut block.poked) as usize;
        if count > POKES {
            self.process.memory.drop_code(self.process.memory.space().range());
        } else {
            block.pokes[..count].iter().for_each(|at| {
                let page = at & !(PAGE_SIZE - 1);
                // A word may reach into the next page.
                self.process.memory.drop_code(page..page.saturating_add(2 * PAGE_SIZE));
            });
        }
    }

    /// What a tracer makes of `signal`, which the thread is about to be given.
    pub fn trace_signal(&mut self, signal: i32, info: Info) -> Option<(i32, Info)> {
        if self.trace.is_none() {
            return Some((signal, info));
        }
        let (deliver, info) = self.trace_stop(Event::Signal, signal, info);
        (deliver != 0).then_some((deliver, info))
    }

    /// Stands if it has just begun, or was asked to.
    pub fn trace_settle(&mut self) {
        let request = self.caught.take_stand();
        let asked = |reason: Request| request & reason as u32 != 0;
        if request != 0 {
            self.caught.take_leave();
        }
        if asked(Request::Written) {
            self.process.memory.drop_code(self.process.memory.space().range());
        }
        if request & !(Request::Written as u32) != 0 {
            self.begin_trace(asked(Request::Join).then_some(Event::Join));
        }
        self.follow_pokes();
        if let Some(first) = self.trace.as_mut().and_then(|tracee| tracee.first.take()) {
            self.expect_tracer();
            let (deliver, _) = self.trace_stop(first, 0, fault_info(0, 0, 0));
            deliver_to_self(deliver);
            if first == Event::Exec
                && self.trace.as_ref().is_some_and(|tracee| tracee.is_told(Resume::ToCall))
            {
                self.trace_stop(Event::Leave, 0, fault_info(0, 0, 0));
            }
        }
        if asked(Request::Stop) {
            let info = fault_info(libc::SIGSTOP, libc::SI_USER, 0);
            if let Some((signal, info)) = self.trace_signal(libc::SIGSTOP, info) {
                self.give(signal, info);
            }
        }
        if asked(Request::Interrupt) {
            let (deliver, _) = self.trace_stop(Event::Interrupt, 0, fault_info(0, 0, 0));
            deliver_to_self(deliver);
        }
    }

    /// Whether it runs a single instruction.
    pub fn trace_steps(&self) -> bool {
        self.trace.as_ref().is_some_and(|tracee| tracee.is_told(Resume::Step))
    }

    /// Tells of a step that was made.
    pub fn trace_stepped(&mut self) {
        let info = fault_info(libc::SIGTRAP, TRAP_TRACE, self.cpu.pc());
        if let Some((signal, info)) = self.trace_signal(libc::SIGTRAP, info) {
            self.give(signal, info);
        }
    }

    /// Makes a system call as a tracer wants to see it.
    pub fn traced_call(&mut self, mut number: u64, mut args: [u64; 6], make: fn(&mut Self, u64, [u64; 6])) {
        let told = |thread: &Self| {
            thread
                .trace
                .as_ref()
                .is_some_and(|tracee| tracee.first.is_none() && tracee.is_told(Resume::ToCall))
        };
        if told(self) {
            let (deliver, _) = self.trace_stop(Event::Enter, 0, fault_info(0, 0, 0));
            deliver_to_self(deliver);
            (number, args) = self.cpu.call();
        }
        make(self, number, args);
        if told(self) && self.ends.is_none() {
            let (deliver, _) = self.trace_stop(Event::Leave, 0, fault_info(0, 0, 0));
            deliver_to_self(deliver);
        }
    }

    /// Stops the process, as the default action of a signal does.
    pub fn stop_process(&mut self) {
        if let Some(tracee) = &mut self.trace {
            tracee.block.stops = 1;
        }
        // SAFETY: stops the process, as the guest is to be.
        unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
        if let Some(tracee) = &mut self.trace {
            tracee.block.stops = 0;
        }
    }

    /// `PTRACE_TRACEME`.
    pub(super) fn trace_me(&mut self) -> Result<u64> {
        // SAFETY: the parent traces the thread from now on, as the guest wants.
        super::tracer::result(unsafe {
            sys::call(libc::SYS_ptrace, [libc::PTRACE_TRACEME.into(), 0, 0, 0, 0, 0])
        })?;
        self.begin_trace(None);
        Ok(0)
    }
}

/// The address of a block, which the tracer reads and writes.
fn ptr(block: &mut Block) -> u64 {
    (&raw mut *block).expose_provenance() as u64
}

/// Sends the thread a SIGBUS that says `code`, with a value.
fn send_self(code: i32, value: u64) {
    let mut info = fault_info(libc::SIGBUS, code, 0);
    info[24..32].copy_from_slice(&value.to_le_bytes());
    let args = [sys::getpid() as u64, sys::gettid() as u64, libc::SIGBUS as u64, info.as_ptr() as u64, 0, 0];
    // SAFETY: queues a signal; the kernel reads the information.
    unsafe { sys::call(libc::SYS_rt_tgsigqueueinfo, args) };
}

/// Sends the thread a signal, 0 for none, which it is given as any other.
fn deliver_to_self(signal: i32) {
    if signal != 0 {
        let (pid, tid) = (sys::getpid() as u64, sys::gettid() as u64);
        // SAFETY: sends a signal.
        unsafe { sys::call(libc::SYS_tgkill, [pid, tid, signal as u64, 0, 0, 0]) };
    }
}

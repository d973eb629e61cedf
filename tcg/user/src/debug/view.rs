//! What a debugger sees of the process, and changes, while all threads stand still.

use super::{Debug, State, lock};
use crate::cpu::Cpu;
use crate::signal::host;
use crate::sys;
use base::PAGE_SIZE;
use std::time::{Duration, Instant};
use tcg_core::debug::Feature;
use tcg_core::guest::Point;

/// How long a thread may take to leave a call.
const PATIENCE: Duration = Duration::from_secs(2);

impl Debug {
    /// The process' number.
    pub fn pid(&self) -> i32 {
        sys::getpid()
    }

    /// The threads' numbers.
    pub fn threads(&self) -> Vec<i32> {
        lock(&self.board).slots.iter().map(|slot| slot.tid).collect()
    }

    /// The name of a thread.
    pub fn thread_name(&self, tid: i32) -> String {
        let name = std::fs::read_to_string(format!("/proc/self/task/{tid}/comm")).unwrap_or_default();
        name.trim_end().into()
    }

    /// Has `f` look at the CPU of a thread, or of the child that waits.
    fn with_cpu<T>(&self, tid: i32, f: impl FnOnce(&mut dyn Cpu) -> T) -> Option<T> {
        let mut board = lock(&self.board);
        if let Some(waiting) = board.child.as_mut().filter(|waiting| waiting.child.pid == tid) {
            return Some(f(&mut *waiting.cpu));
        }
        let slot = board.slot(tid).filter(|slot| slot.state != State::Runs)?;
        // SAFETY: the thread waits for the lock, or is in the kernel and will.
        Some(f(unsafe { &mut *slot.cpu.0 }))
    }

    /// gdb's name of the architecture, and the registers.
    pub fn description(&self) -> Option<(&'static str, Vec<Feature>)> {
        let first = *self.threads().first()?;
        self.with_cpu(first, |cpu| (cpu.architecture(), cpu.features()))
    }

    /// The value of a register.
    pub fn register(&self, tid: i32, number: u32) -> Option<Vec<u8>> {
        self.with_cpu(tid, |cpu| cpu.register(number)).flatten()
    }

    /// Sets a register; false where that is not possible.
    pub fn set_register(&self, tid: i32, number: u32, value: &[u8]) -> bool {
        self.take_out_of_call(tid);
        // The child's own registers are out of reach.
        let is_child = self.waiting_child().is_some_and(|child| child.pid == tid);
        !is_child && self.with_cpu(tid, |cpu| cpu.set_register(number, value)) == Some(true)
    }

    /// Has a thread that waits in a call leave it, and stand in front of it.
    fn take_out_of_call(&self, tid: i32) {
        let mut board = lock(&self.board);
        let Some(slot) = board.slot(tid).filter(|slot| slot.state == State::InCall) else { return };
        slot.out = true;
        self.changed.notify_all();
        let limit = Instant::now() + PATIENCE;
        while board.slot(tid).is_some_and(|slot| slot.state != State::Stands) && Instant::now() < limit {
            host::leave_call(tid);
            let step = Duration::from_millis(20);
            let waited = self.changed.wait_timeout(board, step);
            board = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Has the points of all threads be these. A thread that has just begun, and does not stand yet, looks at them when it does.
    pub fn set_points(&self, points: Vec<Point>) {
        let mut board = lock(&self.board);
        for slot in &mut board.slots {
            slot.behind = slot.state == State::Runs;
            if !slot.behind {
                // SAFETY: as in `with_cpu`.
                unsafe { (*slot.cpu.0).set_points(&points) };
            }
        }
        board.points = points;
    }

    /// Reads memory.
    pub fn read(&self, addr: u64, len: usize) -> Option<Vec<u8>> {
        let process = self.process()?;
        let mut bytes = vec![0; len];
        process.memory.read_bytes(addr, &mut bytes).ok()?;
        Some(bytes)
    }

    /// Writes memory, also where the program itself may not.
    pub fn write(&self, addr: u64, bytes: &[u8]) -> bool {
        let Some(process) = self.process() else { return false };
        let memory = &process.memory;
        let mut done = 0;
        while done < bytes.len() {
            let at = addr.wrapping_add(done as u64);
            let len = ((PAGE_SIZE - at % PAGE_SIZE) as usize).min(bytes.len() - done);
            let part = &bytes[done..done + len];
            let page = at & !(PAGE_SIZE - 1);
            let Some(pages) = memory.space().find(page) else { return false };
            let closed = pages.prot & libc::PROT_WRITE == 0;
            if closed && memory.protect(page, PAGE_SIZE, pages.prot | libc::PROT_WRITE).is_err() {
                return false;
            }
            let written = memory.write_bytes(at, part).is_ok();
            if closed {
                // It was so before.
                let _ = memory.protect(page, PAGE_SIZE, pages.prot);
            }
            memory.drop_code(page..page + PAGE_SIZE);
            if !written {
                return false;
            }
            done += len;
        }
        true
    }

    /// The auxiliary vector.
    pub fn auxv(&self) -> Vec<u8> {
        self.process().map(|process| process.auxv_bytes()).unwrap_or_default()
    }

    /// What was added to the addresses in the program's file.
    pub fn bias(&self) -> u64 {
        self.process().map_or(0, |process| process.bias)
    }

    /// Ends the process at once.
    pub fn end_process(&self, status: i32) -> ! {
        crate::thread::end_process(status)
    }
}

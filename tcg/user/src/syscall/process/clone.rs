//! `clone` and `clone3`: threads, processes, and processes that borrow their parent's memory.

use super::ForkWait;
use crate::debug::{Forked, Link};
use crate::host_threads::HOST_STACK;
use crate::memory::{Memory, Result};
use crate::process::Process;
use crate::signal::{SIGNALS, host as signals};
use crate::sys;
use crate::thread::Thread;
use crate::trace::{self, Tracee};
use base::PAGE_SIZE;
use libc::*;
use std::array::from_fn;
use std::ops::Range;
use std::sync::{Arc, Once, mpsc};

/// What is to be made.
#[derive(Clone, Copy, Debug, Default)]
struct Request {
    flags: u64,
    /// Where a pidfd is written.
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    /// Top of the stack; 0 for the parent's.
    stack: u64,
    tls: u64,
}

impl Request {
    fn has(&self, flag: i32) -> bool {
        self.flags & flag as u64 != 0
    }

    /// Refuses what the kernel refuses, whichever call asks for it.
    fn check(&self) -> Result<()> {
        let wrong = self.has(CLONE_THREAD) && !self.has(CLONE_SIGHAND)
            || self.has(CLONE_SIGHAND) && !self.has(CLONE_VM)
            || self.has(CLONE_PIDFD) && self.has(CLONE_THREAD)
            // Both would be written to one place.
            || self.has(CLONE_PIDFD) && self.has(CLONE_PARENT_SETTID) && self.pidfd == self.parent_tid;
        if wrong { Err(EINVAL) } else { Ok(()) }
    }

    /// Sets up the CPU of the child.
    fn apply(&self, cpu: &mut dyn crate::cpu::Cpu) {
        cpu.finish_call(0);
        if self.stack != 0 {
            cpu.set_sp(self.stack);
        }
        if self.has(CLONE_SETTLS) {
            cpu.set_tls(self.tls);
        }
    }

    /// What the child writes, and what is cleared at its end.
    fn child_words(&self, memory: &Memory, thread: &mut Thread) {
        let tid = sys::gettid() as u32;
        if self.has(CLONE_CHILD_SETTID) {
            // A bad address is nobody's fault but the guest's, as in the kernel.
            let _ = memory.write(self.child_tid, tid);
        }
        thread.clear_tid = if self.has(CLONE_CHILD_CLEARTID) { self.child_tid } else { 0 };
    }
}

/// `clone(flags, stack, parent_tid, tls, child_tid)`, the order of all architectures without `CLONE_BACKWARDS` variants
/// but x86's.
pub fn clone(thread: &mut Thread, [flags, stack, parent_tid, tls, child_tid, _]: [u64; 6]) -> Result<u64> {
    make(
        thread,
        Request {
            // The upper half is not looked at.
            flags: flags & 0xffff_ff00,
            pidfd: parent_tid,
            child_tid,
            parent_tid,
            exit_signal: flags & 0xff,
            stack,
            tls,
        },
    )
}

/// Smallest and largest known `struct clone_args`.
const CLONE_ARGS: Range<usize> = 64..88;
/// `CLONE_CLEAR_SIGHAND`, of `clone3` alone.
const CLEAR_HANDLERS: u64 = 1 << 32;
/// Flags that `clone3` takes no more: a signal's number, and what was never used.
const NOT_BY_CLONE3: u64 = 0xff | CLONE_DETACHED as u64;

/// `clone3`.
pub fn clone3(thread: &mut Thread, [addr, size, ..]: [u64; 6]) -> Result<u64> {
    let size = size as usize;
    if size < CLONE_ARGS.start {
        return Err(EINVAL);
    } else if size > PAGE_SIZE as usize {
        return Err(E2BIG);
    }
    let mut bytes = vec![0; size.max(CLONE_ARGS.end)];
    thread.process.memory.read_bytes(addr, &mut bytes[..size])?;
    if bytes[CLONE_ARGS.end..].iter().any(|byte| *byte != 0) {
        return Err(E2BIG);
    }
    let mut words =
        bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")));
    let mut word = || words.next().expect("all fields were made room for");
    let [flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls] = from_fn(|_| word());
    let [set_tid, set_tid_count, _cgroup] = from_fn(|_| word());
    let has_signal = exit_signal != 0 && flags & (CLONE_THREAD | CLONE_PARENT) as u64 != 0;
    let wrong = exit_signal > SIGNALS as u64
        || has_signal
        || flags & NOT_BY_CLONE3 != 0
        // Those above are unknown, or put the child into a control group, which is not there.
        || flags >= CLEAR_HANDLERS << 1
        || flags & CLEAR_HANDLERS != 0 && flags & CLONE_SIGHAND as u64 != 0
        || (stack == 0) != (stack_size == 0)
        // Nobody but checkpointing tools chooses numbers.
        || set_tid != 0
        || set_tid_count != 0;
    let top = stack.checked_add(stack_size).filter(|_| thread.process.memory.contains(stack, stack_size));
    let Some(stack) = top.filter(|_| !wrong) else { return Err(EINVAL) };
    make(thread, Request { flags, pidfd, child_tid, parent_tid, exit_signal, stack, tls })
}

fn make(thread: &mut Thread, request: Request) -> Result<u64> {
    request.check()?;
    let waits = request.has(CLONE_VFORK);
    if request.has(CLONE_VM) && !request.has(CLONE_THREAD) && !waits {
        // Two processes at once in one memory: not even their locks would be apart.
        static TOLD: Once = Once::new();
        TOLD.call_once(|| tracing::trace!(target: "unimp", "{NO_SHARED_MEMORY}"));
        return Err(EINVAL);
    }
    signals::block_all();
    let done = if request.has(CLONE_THREAD) {
        new_thread(thread, request)
    } else if request.has(CLONE_VM) && !thread.follows_forks() {
        borrow(thread, request)
    } else {
        fork(thread, request)
    };
    thread.caught.let_through(thread.mask);
    done
}

const NO_SHARED_MEMORY: &str = "Unsupported: clone with CLONE_VM, but neither CLONE_THREAD nor CLONE_VFORK";

/// A thread: a host thread with a CPU of its own.
fn new_thread(thread: &mut Thread, request: Request) -> Result<u64> {
    let mut cpu = thread.cpu.copy();
    request.apply(&mut *cpu);
    let (process, actions, mask) = (thread.process.clone(), thread.actions.clone(), thread.mask);
    let debug = thread.debug.clone();
    let traced = thread.trace.is_some();
    let (told, tell) = mpsc::sync_channel(1);
    let body = move || {
        let memory = process.memory.clone();
        let mut child = Thread::new(process, cpu, actions);
        child.debug = debug;
        child.trace = traced.then(Tracee::child);
        let tid = sys::gettid();
        if request.has(CLONE_PARENT_SETTID) {
            let _ = memory.write(request.parent_tid, tid as u32);
        }
        request.child_words(&memory, &mut child);
        // The parent waits for it.
        let _ = told.send(tid);
        child.enter(mask);
        child.run();
    };
    thread.process.host_threads.start(body).map_err(errno)?;
    tell.recv().map(|tid| tid as u64).map_err(|_| EAGAIN)
}

/// Flags of a new process that the host makes as it is told.
const HOST_FLAGS: i32 = CLONE_FS
    | CLONE_FILES
    | CLONE_PARENT
    | CLONE_NEWNS
    | CLONE_NEWCGROUP
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET
    | CLONE_IO
    | CLONE_SYSVSEM;

/// A process with a copy of everything.
fn fork(thread: &mut Thread, request: Request) -> Result<u64> {
    let mut flags = request.flags as i32 & (HOST_FLAGS | CLONE_PIDFD);
    if flags & CLONE_FILES != 0 && thread.debug.is_some() {
        // The child would close the debugger's descriptors.
        static TOLD: Once = Once::new();
        TOLD.call_once(|| tracing::trace!(target: "unimp", "{NO_SHARED_FILES}"));
        flags &= !CLONE_FILES;
    }
    let mut pidfd = 0i32;
    let pidfd_addr = &raw mut pidfd as u64;
    let (memory, actions) = (thread.process.memory.clone(), thread.actions.clone());
    let is_plain = flags == 0 && request.exit_signal == SIGCHLD as u64;
    let mut host_fork = || {
        if is_plain {
            // SAFETY: locks of the emulator that the child needs are held by this thread. The C library takes care of
            // its own.
            return match unsafe { libc::fork() } {
                -1 => sys::last_error(),
                pid => i64::from(pid),
            };
        }
        let args = [flags as u64 | request.exit_signal, 0, pidfd_addr, 0, 0, 0];
        // SAFETY: as above; threads that have ended for the guest are past the C library's locks. Of those that run on one
        // might be in the allocator, which nothing can wait for.
        unsafe { sys::call(SYS_clone, args) }
    };
    let link = if thread.follows_forks() { Some(Link::new().map_err(errno)?) } else { None };
    // Where descriptors are shared, neither's end closes alone.
    let own_files = flags & CLONE_FILES == 0;
    let waits = request.has(CLONE_VFORK) && own_files;
    let wait = if waits { Some(ForkWait::new().map_err(errno)?) } else { None };
    let (cpu, debug) = (&mut thread.cpu, thread.debug.clone());
    let Process { dying, host_threads, .. } = &*thread.process;
    if !is_plain {
        host_threads.wait_for_ends();
    }
    let mut fork = || cpu.fork(&mut host_fork);
    let mut fork = || memory.alone(|| actions.alone(|| dying.alone(|| host_threads.alone(&mut fork))));
    let done = match debug {
        Some(debug) => debug.alone(fork),
        None => fork(),
    };
    let pid = super::super::result(done.map_err(errno)?)?;
    if pid == 0 {
        thread.caught.forget();
        thread.trace = thread.trace.is_some().then(Tracee::child);
        trace::forget_all();
        thread.interrupted = None;
        thread.process.dying.forked();
        thread.process.host_threads.forked();
        if own_files {
            ForkWait::is_child(wait);
        }
        if request.stack != 0 {
            thread.cpu.set_sp(request.stack);
        }
        if request.has(CLONE_SETTLS) {
            thread.cpu.set_tls(request.tls);
        }
        if request.flags & CLEAR_HANDLERS != 0 {
            actions.clear_handlers();
            actions.refresh();
        }
        request.child_words(&memory, thread);
        thread.forked = Some(Forked::IsChild(link));
        return Ok(0);
    }
    told(&memory, request, pid, pidfd);
    if let Some(link) = link {
        let mut cpu = thread.cpu.copy();
        request.apply(&mut *cpu);
        thread.has_forked(pid as i32, link, cpu, wait);
    } else if let Some(wait) = wait {
        thread.in_call(|_| wait.wait());
    }
    Ok(pid)
}

const NO_SHARED_FILES: &str = "Unsupported under a debugger: clone with CLONE_FILES, but without CLONE_VM";

fn errno(error: std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(EAGAIN)
}

/// What the parent writes.
fn told(memory: &Memory, request: Request, pid: u64, pidfd: i32) {
    if request.has(CLONE_PIDFD) {
        let _ = memory.write(request.pidfd, pidfd);
    }
    if request.has(CLONE_PARENT_SETTID) {
        let _ = memory.write(request.parent_tid, pid as u32);
    }
}

extern "C" fn borrowed_main(child: *mut c_void) -> c_int {
    // SAFETY: `borrow` passes its own thread, and waits until this process is gone or has become another.
    let child = unsafe { &mut *child.cast::<Thread>() };
    let mask = child.mask;
    child.enter(mask);
    let status = child.run();
    // SAFETY: ends the process without touching what the parent shares.
    unsafe { libc::_exit(status) }
}

/// A process that has its parent's memory, and its parent's time: `vfork`, `posix_spawn`.
fn borrow(thread: &mut Thread, request: Request) -> Result<u64> {
    let mut cpu = thread.cpu.copy();
    request.apply(&mut *cpu);
    // Everything but memory is the child's own.
    let actions = thread.actions.copy();
    if request.flags & CLEAR_HANDLERS != 0 {
        actions.clear_handlers();
    }
    let mut child = Thread::new(thread.process.clone(), cpu, Arc::new(actions));
    child.mask = thread.mask;
    child.alt_stack = thread.alt_stack;
    child.is_vfork = true;
    child.trace = thread.trace.is_some().then(Tracee::child);
    let mut stack = vec![0u128; HOST_STACK / 16];
    let mut pidfd = 0i32;
    let flags = CLONE_VM
        | CLONE_VFORK
        | request.flags as i32 & (HOST_FLAGS | CLONE_PIDFD)
        | request.exit_signal as i32;
    let limits = thread.process.memory.limits();
    // SAFETY: the child runs on a stack of its own while this thread, whose thread-local state it uses, stands still.
    let pid = thread.in_call(|_| unsafe {
        let top = stack.as_mut_ptr().add(stack.len());
        libc::clone(borrowed_main, top.cast(), flags, (&raw mut child).cast(), &raw mut pidfd)
    });
    thread.caught.use_here();
    thread.process.memory.set_limits(limits);
    if pid < 0 {
        return Err(-sys::last_error() as i32);
    }
    told(&thread.process.memory, request, pid as u64, pidfd);
    Ok(pid as u64)
}

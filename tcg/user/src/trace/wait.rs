//! `wait4` and `waitid` of a tracer: the host's stops become those of a kernel of the guest's.

use super::call::host_options;
use super::tracer::{self, Stands, Tracee, find, forget, host, pass, set};
use super::{Block, Event, Request, STAND, STANDS};
use crate::memory::Result;
use crate::signal::{Info, fault_info, info_code};
use crate::thread::Thread;
use libc::*;

/// `PTRACE_EVENT_STOP`.
const EVENT_STOP: i32 = 128;

/// `wait4`.
pub fn wait4(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    let [pid, at, flags, usage, ..] = args;
    let memory = thread.process.memory.clone();
    loop {
        let mut status = 0i32;
        let done = thread.host_call(SYS_wait4, [pid, &raw mut status as u64, flags, usage, 0, 0])?;
        if done == 0 {
            return Ok(0);
        }
        let Some(status) = seen(done as i32, status) else { continue };
        if at != 0 {
            memory.write(at, status)?;
        }
        return Ok(done);
    }
}

/// `waitid`.
pub fn waitid(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    let [kind, id, at, options, usage, _] = args;
    let memory = thread.process.memory.clone();
    loop {
        let mut info: Info = [0; 128];
        thread.host_call(SYS_waitid, [kind, id, info.as_mut_ptr() as u64, options, usage, 0])?;
        let child = sender(&info);
        // What is only looked at is the host's to tell: nothing goes on by that.
        if child != 0 && options as i32 & WNOWAIT == 0 {
            let Some(status) = seen(child, host_status(&info)) else { continue };
            set_stop(&mut info, status);
        }
        if at != 0 {
            memory.write_bytes(at, &info)?;
        }
        return Ok(0);
    }
}

/// Where the status of a child is in its `siginfo`.
const STATUS: std::ops::Range<usize> = 24..28;

/// The status that `wait4` would give of the child that `info` tells of.
fn host_status(info: &Info) -> i32 {
    let value = i32::from_le_bytes(info[STATUS].try_into().expect("four bytes"));
    match info_code(info) {
        CLD_EXITED => (value & 0xff) << 8,
        CLD_KILLED => value,
        CLD_DUMPED => value | 0x80,
        CLD_CONTINUED => 0xffff,
        // CLD_STOPPED, CLD_TRAPPED.
        _ => value << 8 | 0x7f,
    }
}

/// Has `info` tell of a stop as `status` does, if it is one.
fn set_stop(info: &mut Info, status: i32) {
    if WIFSTOPPED(status) {
        info[STATUS].copy_from_slice(&(status >> 8).to_le_bytes());
    }
}

/// The status of a stop by `signal`, at `event` if that is not 0.
fn stopped(signal: i32, event: i32) -> i32 {
    event << 16 | signal << 8 | 0x7f
}

/// What the guest is told of `status` of process or thread `tid`; `None`: nothing, it goes on.
fn seen(tid: i32, status: i32) -> Option<i32> {
    if !WIFSTOPPED(status) {
        if tracer::any() && !WIFCONTINUED(status) {
            forget(tid);
        }
        return Some(status);
    }
    let (signal, event) = (WSTOPSIG(status), status >> 16);
    let info = tracer::host_info(tid);
    if let Err(ESRCH | EPERM) = info {
        // A child that is stopped and that nobody traces.
        return Some(status);
    }
    match event {
        0 => match info {
            Ok(info) => signal_stop(tid, signal, &info),
            Err(_) => Some(host_stop(tid, status)),
        },
        PTRACE_EVENT_EXEC => {
            let tracee = find(tid).unwrap_or(Tracee::NEW);
            set(tid, Tracee { block: 0, ..tracee });
            pass(tid, 0);
            None
        }
        EVENT_STOP if signal == SIGTRAP => {
            match find(tid) {
                // A child: it tells when it begins.
                None => begin(tid, tracer::child()),
                Some(tracee) if tracee.interrupting => {
                    set(tid, Tracee { interrupting: false, ..tracee });
                    tracer::ask(tid, Request::Interrupt);
                }
                // Its stop is over, by SIGCONT.
                Some(_) => return Some(host_stop(tid, status)),
            }
            None
        }
        EVENT_STOP => Some(host_stop(tid, status)),
        _ => {
            let wanted = find(tid).is_some_and(|tracee| tracee.has(1 << event));
            if wanted {
                return Some(host_stop(tid, status));
            }
            pass(tid, 0);
            None
        }
    }
}

/// A stop that the guest sees as the host does.
fn host_stop(tid: i32, status: i32) -> i32 {
    let tracee = find(tid).unwrap_or(Tracee::NEW);
    set(tid, Tracee { stands: Some(Stands::Host), ..tracee });
    status
}

/// A tracee is seen for the first time, and goes on.
fn begin(tid: i32, tracee: Tracee) {
    set(tid, tracee);
    pass(tid, 0);
}

/// The number in a `siginfo` that somebody queued.
fn value(info: &Info) -> u64 {
    u64::from_le_bytes(info[24..32].try_into().expect("eight bytes"))
}

/// The sender in a `siginfo`.
fn sender(info: &Info) -> i32 {
    i32::from_le_bytes([info[16], info[17], info[18], info[19]])
}

/// The host is about to give the tracee `signal`.
fn signal_stop(tid: i32, signal: i32, info: &Info) -> Option<i32> {
    let known = find(tid);
    let code = info_code(info);
    if known.is_none() {
        // How it came to be traced is not known yet; what it becomes is always of interest.
        let options = if signal == SIGSTOP && code == SI_USER && sender(info) == 0 {
            let child = tracer::child();
            begin(tid, child);
            return None;
        } else {
            host_options(0)
        };
        let _ = host(PTRACE_SETOPTIONS, tid, 0, options);
        set(tid, Tracee::NEW);
    }
    let tracee = known.unwrap_or(Tracee::NEW);
    match signal {
        SIGBUS if code == STANDS => return stands(tid, Tracee { block: value(info), ..tracee }),
        // Others may have been lost because this one was waiting.
        SIGBUS if code == STAND => tracer::ask_in_place(tid, value(info) as u32),
        SIGSTOP => {
            let itself = tracer::block(tid, &tracee).is_some_and(|block| block.stops != 0);
            if itself {
                pass(tid, SIGSTOP);
            } else {
                tracer::ask_in_place(tid, Request::Stop as u32);
            }
        }
        // The host tells of a new program; its emulator will.
        SIGTRAP if code == SI_USER && tracer::block(tid, &tracee).is_none() => pass(tid, 0),
        _ => pass(tid, signal),
    }
    None
}

/// The tracee stands, and its block tells at what.
fn stands(tid: i32, tracee: Tracee) -> Option<i32> {
    let block = tracer::block(tid, &tracee);
    let event = block.as_ref().and_then(|block| Event::of(block.event));
    let (Some(mut block), Some(event)) = (block, event) else {
        pass(tid, 0);
        return None;
    };
    block.heard = 1;
    tracer::set_block(tid, &tracee, &mut block);
    let status = match event {
        Event::Signal => stopped(block.signal, 0),
        Event::Enter | Event::Leave if tracee.has(PTRACE_O_TRACESYSGOOD) => stopped(SIGTRAP | 0x80, 0),
        Event::Enter | Event::Leave => stopped(SIGTRAP, 0),
        Event::Exec if tracee.has(PTRACE_O_TRACEEXEC) => stopped(SIGTRAP, PTRACE_EVENT_EXEC),
        Event::Exec | Event::Join if tracee.seized => {
            // Nobody wants to hear of it. It goes on as it did.
            block.resume = tracee.resume as u32;
            tracer::set_block(tid, &tracee, &mut block);
            set(tid, tracee);
            pass(tid, 0);
            return None;
        }
        Event::Exec | Event::Join => stopped(SIGTRAP, 0),
        Event::Begin if !tracee.seized => stopped(SIGSTOP, 0),
        Event::Begin | Event::Interrupt => stopped(SIGTRAP, EVENT_STOP),
    };
    set(tid, Tracee { stands: Some(Stands::At(event)), ..tracee });
    Some(status)
}

/// The `siginfo` of a tracee that stands at `event`.
pub fn info(block: &Block, event: Event, tracee: &Tracee) -> Info {
    let code = match event {
        Event::Signal => return block.info,
        Event::Enter | Event::Leave if tracee.has(PTRACE_O_TRACESYSGOOD) => SIGTRAP | 0x80,
        Event::Enter | Event::Leave => SIGTRAP,
        Event::Exec if tracee.has(PTRACE_O_TRACEEXEC) => SIGTRAP | PTRACE_EVENT_EXEC << 8,
        Event::Exec | Event::Join => SI_USER,
        Event::Begin if !tracee.seized => return fault_info(SIGSTOP, SI_USER, 0),
        Event::Begin | Event::Interrupt => SIGTRAP | EVENT_STOP << 8,
    };
    fault_info(SIGTRAP, code, 0)
}

//! The system call: what a tracer asks for and says.

use super::tracer::{self, Stands, Tracee, find, forget, host, result, set};
use super::{Block, Event, Request, Resume};
use crate::memory::{Memory, Result};
use crate::sys;
use crate::thread::Thread;
use libc::*;

/// `PTRACE_GET_SYSCALL_INFO`.
const GET_SYSCALL_INFO: u32 = 0x420e;
/// `PTRACE_LISTEN`, which the C library's bindings lack for some hosts.
const LISTEN: u32 = 0x4208;
/// Bytes of a register in a set.
const SLOT: u64 = 8;
/// `__AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE`.
const AUDIT_ARCH: u32 = 0xc000_0000;
/// Options that the host carries out.
const HOST_OPTIONS: i32 = PTRACE_O_TRACEFORK
    | PTRACE_O_TRACEVFORK
    | PTRACE_O_TRACECLONE
    | PTRACE_O_TRACEVFORKDONE
    | PTRACE_O_TRACEEXIT
    | PTRACE_O_EXITKILL;
/// Options that there are.
const ALL_OPTIONS: i32 = HOST_OPTIONS | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;

/// What the host is told of guest's `options`: that a tracee becomes another program is always wanted, to be passed over.
pub fn host_options(options: u64) -> u64 {
    (options as i32 & HOST_OPTIONS | PTRACE_O_TRACEEXEC) as u64
}

/// `ptrace`.
pub fn ptrace(thread: &mut Thread, [request, pid, addr, data, ..]: [u64; 6]) -> Result<u64> {
    let (request, tid) = (request as u32, pid as i32);
    match request {
        PTRACE_TRACEME => return thread.trace_me(),
        PTRACE_ATTACH => {
            host(request, tid, 0, 0)?;
            set(tid, Tracee::NEW);
            return Ok(0);
        }
        PTRACE_SEIZE => {
            check_options(data)?;
            host(request, tid, addr, host_options(data))?;
            set(tid, Tracee { options: data, seized: true, ..Tracee::NEW });
            tracer::queue(tid, Request::Join);
            return Ok(0);
        }
        PTRACE_KILL => {
            find(tid).ok_or(ESRCH)?;
            // SAFETY: ends the tracee, as the guest wants.
            return result(unsafe { sys::call(SYS_tkill, [tid as u64, SIGKILL as u64, 0, 0, 0, 0]) });
        }
        PTRACE_INTERRUPT => {
            let tracee = find(tid).ok_or(ESRCH)?;
            host(request, tid, 0, 0)?;
            set(tid, Tracee { interrupting: true, ..tracee });
            return Ok(0);
        }
        _ => {}
    }
    let tracee = find(tid).ok_or(ESRCH)?;
    let stands = tracee.stands.ok_or(ESRCH)?;
    let memory = thread.process.memory.clone();
    match request {
        PTRACE_PEEKTEXT | PTRACE_PEEKDATA => {
            check_address(&memory, addr)?;
            let mut word = 0u64;
            host(PTRACE_PEEKDATA, tid, addr, &raw mut word as u64)?;
            memory.write(data, word)?;
            Ok(0)
        }
        PTRACE_POKETEXT | PTRACE_POKEDATA => {
            check_address(&memory, addr)?;
            host(PTRACE_POKEDATA, tid, addr, data)?;
            tracer::poked(tid, addr);
            Ok(0)
        }
        PTRACE_CONT => go_on(tid, tracee, Resume::Run, data as i32),
        PTRACE_SYSCALL => go_on(tid, tracee, Resume::ToCall, data as i32),
        PTRACE_SINGLESTEP if thread.cpu.abi().has_single_step => {
            go_on(tid, tracee, Resume::Step, data as i32)
        }
        PTRACE_DETACH => detach(tid, tracee, data as i32),
        LISTEN => {
            host(request, tid, 0, 0)?;
            set(tid, Tracee { stands: None, ..tracee });
            Ok(0)
        }
        PTRACE_SETOPTIONS => {
            check_options(data)?;
            host(request, tid, 0, host_options(data))?;
            set(tid, Tracee { options: data, ..tracee });
            Ok(0)
        }
        PTRACE_GETEVENTMSG => {
            let mut message = 0u64;
            match stands {
                Stands::At(Event::Exec) => message = tid as u64,
                Stands::At(Event::Enter) => message = 1,
                Stands::At(Event::Leave) => message = 2,
                Stands::At(_) => {}
                Stands::Host => drop(host(request, tid, 0, &raw mut message as u64)?),
            }
            memory.write(data, message)?;
            Ok(0)
        }
        PTRACE_GETSIGINFO => {
            let info = match stands {
                Stands::At(event) => super::wait::info(&*block(tid, &tracee)?, event, &tracee),
                Stands::Host => tracer::host_info(tid)?,
            };
            memory.write_bytes(data, &info)?;
            Ok(0)
        }
        PTRACE_SETSIGINFO => {
            let mut block = block(tid, &tracee)?;
            memory.read_bytes(data, &mut block.info)?;
            write_back(tid, &tracee, &mut block)
        }
        PTRACE_GETREGSET | PTRACE_SETREGSET => {
            registers(&memory, tid, &tracee, (addr as u32, data), request == PTRACE_SETREGSET)
        }
        GET_SYSCALL_INFO => call_info(&memory, tid, &tracee, stands, (addr, data)),
        PTRACE_PEEKSIGINFO => host(request, tid, addr, data),
        _ => Err(EIO),
    }
}

fn check_options(options: u64) -> Result<()> {
    if options & !(ALL_OPTIONS as u64) == 0 { Ok(()) } else { Err(EINVAL) }
}

fn check_address(memory: &Memory, addr: u64) -> Result<()> {
    if memory.contains(addr, 8) { Ok(()) } else { Err(EIO) }
}

fn block(tid: i32, tracee: &Tracee) -> Result<Box<Block>> {
    tracer::block(tid, tracee).ok_or(EIO)
}

fn write_back(tid: i32, tracee: &Tracee, block: &mut Block) -> Result<u64> {
    if tracer::set_block(tid, tracee, block) { Ok(0) } else { Err(ESRCH) }
}

/// Lets the tracee go on, with `signal` or without.
fn go_on(tid: i32, tracee: Tracee, resume: Resume, signal: i32) -> Result<u64> {
    tell(tid, &tracee, resume, signal);
    set(tid, Tracee { stands: None, resume, ..tracee });
    host(PTRACE_CONT, tid, 0, host_signal(&tracee, signal))
}

fn detach(tid: i32, tracee: Tracee, signal: i32) -> Result<u64> {
    tell(tid, &tracee, Resume::Detached, signal);
    forget(tid);
    host(PTRACE_DETACH, tid, 0, host_signal(&tracee, signal))
}

/// The host gives the signal only where it is the host that has stopped the tracee.
fn host_signal(tracee: &Tracee, signal: i32) -> u64 {
    if tracee.stands == Some(Stands::Host) { signal as u64 } else { 0 }
}

fn tell(tid: i32, tracee: &Tracee, resume: Resume, signal: i32) {
    if let Some(mut block) = tracer::block(tid, tracee) {
        (block.resume, block.deliver) = (resume as u32, signal);
        tracer::set_block(tid, tracee, &mut block);
    }
}

/// `PTRACE_GETREGSET`, `PTRACE_SETREGSET`: set `kind`, and the address of a `struct iovec`.
fn registers(
    memory: &Memory,
    tid: i32,
    tracee: &Tracee,
    (kind, iovec): (u32, u64),
    sets: bool,
) -> Result<u64> {
    let [at, len] = memory.read::<[u64; 2]>(iovec)?;
    let mut block = block(tid, tracee)?;
    // A debugger finds out by this how wide registers are.
    let set = block.set(kind).filter(|_| len.is_multiple_of(SLOT)).ok_or(EINVAL)?;
    let len = set.len().min(usize::try_from(len).unwrap_or(usize::MAX));
    if sets {
        memory.read_bytes(at, &mut set[..len])?;
        block.changed = 1;
        write_back(tid, tracee, &mut block)?;
    } else {
        memory.write_bytes(at, &set[..len])?;
    }
    memory.write(iovec + 8, len as u64)?;
    Ok(0)
}

/// `PTRACE_GET_SYSCALL_INFO`: `struct ptrace_syscall_info`, of which the guest has room for so many bytes at that address.
fn call_info(
    memory: &Memory,
    tid: i32,
    tracee: &Tracee,
    stands: Stands,
    (room, at): (u64, u64),
) -> Result<u64> {
    let block = tracer::block(tid, tracee).unwrap_or_else(|| Box::new(Block::EMPTY));
    let mut info = Vec::with_capacity(88);
    let op = match stands {
        Stands::At(Event::Enter) => 1u32,
        Stands::At(Event::Leave) => 2,
        _ => 0,
    };
    info.extend(op.to_le_bytes());
    info.extend((AUDIT_ARCH | block.machine).to_le_bytes());
    block.place.iter().for_each(|word| info.extend(word.to_le_bytes()));
    match op {
        1 => block.call.iter().for_each(|word| info.extend(word.to_le_bytes())),
        2 => {
            let value = block.call[1];
            info.extend(value.to_le_bytes());
            info.push(u8::from((-4095..0).contains(&(value as i64))));
        }
        _ => {}
    }
    memory.write_bytes(at, &info[..info.len().min(usize::try_from(room).unwrap_or(usize::MAX))])?;
    Ok(info.len() as u64)
}

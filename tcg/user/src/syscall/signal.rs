//! Signals: actions, masks, sending, waiting.

use super::names::SIG_HOW;
use super::{JUMPED, Kind, Row, host, own};
use crate::memory::Result;
use crate::signal::{Action, AltStack, FAULTS, SIGNALS, allowed_mask};
use crate::thread::Thread;
use Kind::*;
use libc::*;

pub const ROWS: &[Row] = &[
    host(129, "kill", &[Int, Signal], SYS_kill),
    host(130, "tkill", &[Int, Signal], SYS_tkill),
    host(131, "tgkill", &[Int, Int, Signal], SYS_tgkill),
    own(132, "sigaltstack", &[Pointer, Pointer], sigaltstack_call),
    own(133, "rt_sigsuspend", &[SignalSet, Size], rt_sigsuspend).interrupted(),
    own(134, "rt_sigaction", &[Signal, Pointer, Pointer, Size], rt_sigaction),
    own(135, "rt_sigprocmask", &[Enum(SIG_HOW), SignalSet, Pointer, Size], rt_sigprocmask),
    own(136, "rt_sigpending", &[Pointer, Size], rt_sigpending),
    host(137, "rt_sigtimedwait", &[SignalSet, Pointer, Timespec, Size], SYS_rt_sigtimedwait).interrupted(),
    host(138, "rt_sigqueueinfo", &[Int, Signal, Pointer], SYS_rt_sigqueueinfo),
    own(139, "rt_sigreturn", &[], rt_sigreturn),
    host(240, "rt_tgsigqueueinfo", &[Int, Int, Signal, Pointer], SYS_rt_tgsigqueueinfo),
    host(424, "pidfd_send_signal", &[Fd, Signal, Pointer, Hex], SYS_pidfd_send_signal),
    host(434, "pidfd_open", &[Int, Hex], SYS_pidfd_open),
    host(438, "pidfd_getfd", &[Fd, Fd, Hex], SYS_pidfd_getfd),
];

/// Words of `struct sigaction`.
fn read_action(thread: &Thread, addr: u64) -> Result<Action> {
    let memory = &thread.process.memory;
    let [handler, flags, third] = memory.read::<[u64; 3]>(addr)?;
    Ok(match thread.cpu.abi().has_restorer {
        true => Action { handler, flags, restorer: third, mask: memory.read(addr + 24)? },
        false => Action { handler, flags, restorer: 0, mask: third },
    })
}

fn write_action(thread: &Thread, addr: u64, action: Action) -> Result<()> {
    let memory = &thread.process.memory;
    let Action { handler, flags, restorer, mask } = action;
    if thread.cpu.abi().has_restorer {
        memory.write(addr, [handler, flags, restorer])?;
        return memory.write(addr + 24, mask);
    }
    memory.write(addr, [handler, flags, mask])
}

fn rt_sigaction(thread: &mut Thread, [signal, new, old, size, ..]: [u64; 6]) -> Result<u64> {
    let signal = signal as i32;
    if size != 8 || signal < 1 || signal > SIGNALS as i32 {
        return Err(EINVAL);
    }
    let before = match new {
        0 => thread.actions.get(signal),
        _ if signal == SIGKILL || signal == SIGSTOP => return Err(EINVAL),
        _ => {
            let action = read_action(thread, new)?;
            let action = Action { mask: allowed_mask(action.mask), ..action };
            thread.actions.set(signal, action)
        }
    };
    if old != 0 {
        write_action(thread, old, before)?;
    }
    Ok(0)
}

impl Thread {
    /// Blocks exactly `mask`.
    pub fn set_mask(&mut self, mask: u64) {
        self.mask = allowed_mask(mask);
        self.caught.let_through(self.mask);
    }
}

fn rt_sigprocmask(thread: &mut Thread, [how, new, old, size, ..]: [u64; 6]) -> Result<u64> {
    if size != 8 {
        return Err(EINVAL);
    }
    let before = thread.mask;
    if new != 0 {
        let set = thread.process.memory.read::<u64>(new)?;
        let mask = match how as i32 {
            SIG_BLOCK => before | set,
            SIG_UNBLOCK => before & !set,
            SIG_SETMASK => set,
            _ => return Err(EINVAL),
        };
        thread.set_mask(mask);
    }
    if old != 0 {
        thread.process.memory.write(old, before)?;
    }
    Ok(0)
}

fn rt_sigpending(thread: &mut Thread, [set, size, ..]: [u64; 6]) -> Result<u64> {
    if size > 8 {
        return Err(EINVAL);
    }
    let mut pending = 0u64;
    thread.host_call(SYS_rt_sigpending, [&raw mut pending as u64, 8, 0, 0, 0, 0])?;
    pending |= thread.caught.sent();
    thread.process.memory.write_bytes(set, &pending.to_le_bytes()[..size as usize])?;
    Ok(0)
}

fn rt_sigsuspend(thread: &mut Thread, [set, size, ..]: [u64; 6]) -> Result<u64> {
    if set == 0 {
        return Err(EFAULT);
    }
    let mask = thread.suspend_mask(set, size)?.unwrap_or(0);
    if thread.caught.sent() & !mask & FAULTS != 0 {
        return Err(EINTR);
    }
    thread.host_call(SYS_rt_sigsuspend, [&raw const mask as u64, 8, 0, 0, 0, 0])
}

fn rt_sigreturn(thread: &mut Thread, _: [u64; 6]) -> Result<u64> {
    if thread.return_from_handler().is_err() {
        thread.bad_frame();
    }
    Err(JUMPED)
}

/// `MINSIGSTKSZ` of the generic kernel.
const MIN_STACK: u64 = 2048;

fn sigaltstack_call(thread: &mut Thread, [new, old, ..]: [u64; 6]) -> Result<u64> {
    let memory = thread.process.memory.clone();
    let on_it = thread.alt_stack.holds(thread.cpu.sp());
    let before = thread.alt_stack;
    if new != 0 {
        let [sp, flags, size] = memory.read::<[u64; 3]>(new)?;
        let flags = flags as i32;
        if on_it {
            return Err(EPERM);
        }
        thread.alt_stack = match flags & !(1 << 31) {
            SS_DISABLE => AltStack::NONE,
            0 | SS_ONSTACK if size < MIN_STACK => return Err(ENOMEM),
            0 | SS_ONSTACK => AltStack { sp, flags: flags & 1 << 31, size },
            _ => return Err(EINVAL),
        };
    }
    if old != 0 {
        let flags = before.flags | if on_it { SS_ONSTACK } else { 0 };
        memory.write(old, [before.sp, u64::from(flags as u32), before.size])?;
    }
    Ok(0)
}

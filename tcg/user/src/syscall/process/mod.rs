//! Processes: their begin, what they become, their end.

mod clone;
mod exec;
mod fork_wait;

pub use exec::HIDDEN;
pub use fork_wait::ForkWait;

use super::names::{AT, CLONE};
use super::{Gives, Kind, Row, host, own};
use crate::debug::End;
use crate::memory::Result;
use crate::thread::{Thread, end_process};
use Kind::*;
use libc::*;

pub const ROWS: &[Row] = &[
    own(93, "exit", &[Int], |thread, args| {
        thread.ends = Some(args[0] as i32 & 0xff);
        Ok(0)
    })
    .gives(Gives::Never),
    own(94, "exit_group", &[Int], exit_group).gives(Gives::Never),
    own(95, "waitid", &[Int, Int, Out(128), Hex, Pointer], crate::trace::waitid),
    host(154, "setpgid", &[Int, Int], SYS_setpgid),
    host(155, "getpgid", &[Int], SYS_getpgid),
    host(156, "getsid", &[Int], SYS_getsid),
    host(157, "setsid", &[], SYS_setsid),
    own(167, "prctl", &[Int, Hex, Hex, Hex, Hex], prctl_call),
    host(172, "getpid", &[], SYS_getpid),
    host(173, "getppid", &[], SYS_getppid),
    own(220, "clone", &[Flags(CLONE), Address, Address, Address, Address], clone::clone),
    own(221, "execve", &[Text, Texts, Pointer], exec::execve),
    own(260, "wait4", &[Int, Out(4), Hex, Pointer], crate::trace::wait4),
    own(281, "execveat", &[DirFd, Text, Texts, Pointer, Flags(AT)], exec::execveat),
    own(435, "clone3", &[Pointer, Size], clone::clone3),
];

/// `exit_group`: all threads end with the process.
fn exit_group(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    let status = args[0] as i32 & 0xff;
    thread.tell_end(End::Exited(status));
    thread.process.keep_translations();
    end_process(status)
}

/// `prctl`, but for what would hit the emulator.
fn prctl_call(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    match args[0] as i32 {
        // It is off.
        PR_SET_SYSCALL_USER_DISPATCH if args[1..5] == [0; 4] => Ok(0),
        PR_SET_SECCOMP | PR_SET_MM | PR_SET_SYSCALL_USER_DISPATCH => Err(EINVAL),
        PR_GET_TSC | PR_SET_TSC => Err(EINVAL),
        _ => {
            thread.check_pointer(args[1])?;
            thread.host_call(SYS_prctl, args)
        }
    }
}

const PR_SET_SYSCALL_USER_DISPATCH: i32 = 59;

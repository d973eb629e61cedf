//! What the system is, limits, identities, and calls that are not for guests.

use super::names::RLIMIT;
use super::{Kind, Row, host, own, refused};
use crate::limits::may_raise;
use crate::memory::Result;
use crate::sys;
use crate::thread::Thread;
use Kind::*;
use libc::*;

pub const ROWS: &[Row] = &[
    host(89, "acct", &[Text], SYS_acct),
    host(90, "capget", &[Pointer, Pointer], SYS_capget),
    host(91, "capset", &[Pointer, Pointer], SYS_capset),
    host(92, "personality", &[Hex], SYS_personality),
    host(105, "init_module", &[Pointer, Size, Text], SYS_init_module),
    host(116, "syslog", &[Int, OutBuffer(2), Int], SYS_syslog),
    host(142, "reboot", &[Hex, Hex, Hex, Pointer], SYS_reboot),
    host(143, "setregid", &[Int, Int], SYS_setregid),
    host(144, "setgid", &[Int], SYS_setgid),
    host(145, "setreuid", &[Int, Int], SYS_setreuid),
    host(146, "setuid", &[Int], SYS_setuid),
    host(147, "setresuid", &[Int, Int, Int], SYS_setresuid),
    host(148, "getresuid", &[Out(4), Out(4), Out(4)], SYS_getresuid),
    host(149, "setresgid", &[Int, Int, Int], SYS_setresgid),
    host(150, "getresgid", &[Out(4), Out(4), Out(4)], SYS_getresgid),
    host(151, "setfsuid", &[Int], SYS_setfsuid),
    host(152, "setfsgid", &[Int], SYS_setfsgid),
    host(158, "getgroups", &[Int, Pointer], SYS_getgroups),
    host(159, "setgroups", &[Int, Pointer], SYS_setgroups),
    own(160, "uname", &[Out(390)], uname_call),
    host(161, "sethostname", &[Text, Size], SYS_sethostname),
    host(162, "setdomainname", &[Text, Size], SYS_setdomainname),
    own(163, "getrlimit", &[Enum(RLIMIT), Pointer], |thread, [resource, old, ..]| {
        prlimit(thread, [0, resource, 0, old, 0, 0])
    }),
    own(164, "setrlimit", &[Enum(RLIMIT), Pointer], |thread, [resource, new, ..]| {
        prlimit(thread, [0, resource, new, 0, 0, 0])
    }),
    host(165, "getrusage", &[Int, Out(144)], SYS_getrusage),
    host(168, "getcpu", &[Pointer, Pointer, Pointer], SYS_getcpu),
    host(174, "getuid", &[], SYS_getuid),
    host(175, "geteuid", &[], SYS_geteuid),
    host(176, "getgid", &[], SYS_getgid),
    host(177, "getegid", &[], SYS_getegid),
    host(179, "sysinfo", &[Out(112)], SYS_sysinfo),
    host(217, "add_key", &[Text, Text, Pointer, Size, Int], SYS_add_key),
    host(218, "request_key", &[Text, Text, Text, Int], SYS_request_key),
    host(219, "keyctl", &[Int, Hex, Hex, Hex, Hex], SYS_keyctl),
    host(224, "swapon", &[Text, Hex], SYS_swapon),
    host(225, "swapoff", &[Text], SYS_swapoff),
    own(261, "prlimit64", &[Int, Enum(RLIMIT), Pointer, Pointer], prlimit),
    host(278, "getrandom", &[OutBuffer(1), Size, Hex], SYS_getrandom),
    // A filter would see the emulator's calls.
    refused(277, "seccomp", &[Hex, Hex, Pointer], EINVAL),
    own(117, "ptrace", &[Int, Int, Address, Address], crate::trace::ptrace),
    refused(241, "perf_event_open", &[Pointer, Int, Int, Fd, Hex], ENOSYS),
    refused(280, "bpf", &[Int, Pointer, Int], ENOSYS),
    refused(282, "userfaultfd", &[Hex], ENOSYS),
    refused(293, "rseq", &[Pointer, Size, Hex, Hex], ENOSYS),
    refused(425, "io_uring_setup", &[Int, Pointer], ENOSYS),
    refused(426, "io_uring_enter", &[Fd, Int, Int, Hex, Pointer, Size], ENOSYS),
    refused(427, "io_uring_register", &[Fd, Int, Pointer, Int], ENOSYS),
];

/// Bytes of a field of `struct utsname`.
const FIELD: usize = 65;

fn uname_call(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    let mut names = [[0u8; FIELD]; 6];
    thread.host_call(SYS_uname, [names.as_mut_ptr() as u64, 0, 0, 0, 0, 0])?;
    let mut set = |n: usize, text: &str| {
        let field: &mut [u8; FIELD] = &mut names[n];
        let len = text.len().min(FIELD - 1);
        field.fill(0);
        field[..len].copy_from_slice(&text.as_bytes()[..len]);
    };
    set(4, thread.cpu.abi().name);
    if let Some(release) = &thread.process.config.release {
        set(2, release);
    }
    thread.process.memory.write_bytes(args[0], names.as_flattened())?;
    Ok(0)
}

/// `prlimit64`. Limits of memory would hit the emulator: the process' own are kept by itself, those of others are not set.
fn prlimit(thread: &mut Thread, mut args: [u64; 6]) -> Result<u64> {
    let memory = thread.process.memory.clone();
    let [pid, resource, new, old, ..] = args;
    let mut limits = memory.limits();
    if let Some(limit) = limits.of(resource as u32) {
        if ![0, sys::getpid()].contains(&(pid as i32)) {
            args[2] = 0;
        } else {
            let before = *limit;
            if new != 0 {
                *limit = memory.read(new)?;
                match *limit {
                    [soft, hard] if soft > hard => return Err(EINVAL),
                    [_, hard] if hard > before[1] && !may_raise() => return Err(EPERM),
                    _ => memory.set_limits(limits),
                }
            }
            if old != 0 {
                memory.write(old, before)?;
            }
            return Ok(0);
        }
    }
    memory.prepare_write(old, 16);
    thread.host_call(SYS_prlimit64, args)
}

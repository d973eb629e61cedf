//! Calls on memory.

use super::names::{ADVICE, MAP, PROT};
use super::{Gives, Kind, Row, host, own, refused};
use crate::memory::{Backing, Result, pages_up};
use crate::thread::Thread;
use Kind::*;
use libc::*;

pub const ROWS: &[Row] = &[
    own(214, "brk", &[Address], |thread, args| Ok(thread.process.memory.set_break(args[0])))
        .gives(Gives::Address),
    own(215, "munmap", &[Address, Size], |thread, args| {
        thread.process.memory.unmap(args[0], args[1]).map(|()| 0)
    }),
    own(216, "mremap", &[Address, Size, Size, Hex, Address], |thread, args| {
        thread.process.memory.remap(args[0], args[1], args[2], args[3] as i32, args[4])
    })
    .gives(Gives::Address),
    own(222, "mmap", &[Address, Size, Flags(PROT), Flags(MAP), Fd, Hex], mmap_call).gives(Gives::Address),
    own(226, "mprotect", &[Address, Size, Flags(PROT)], |thread, args| {
        thread.process.memory.protect(args[0], args[1], args[2] as i32).map(|()| 0)
    }),
    host(227, "msync", &[Address, Size, Hex], SYS_msync),
    host(228, "mlock", &[Address, Size], SYS_mlock),
    host(229, "munlock", &[Address, Size], SYS_munlock),
    own(230, "mlockall", &[Hex], mlockall_call),
    own(231, "munlockall", &[], |_, _| Ok(0)),
    host(232, "mincore", &[Address, Size, Pointer], SYS_mincore),
    own(233, "madvise", &[Address, Size, Enum(ADVICE)], madvise_call),
    host(235, "mbind", &[Address, Size, Int, Pointer, Size, Hex], SYS_mbind),
    host(236, "get_mempolicy", &[Pointer, Pointer, Size, Address, Hex], SYS_get_mempolicy),
    host(237, "set_mempolicy", &[Int, Pointer, Size], SYS_set_mempolicy),
    host(283, "membarrier", &[Int, Hex, Int], SYS_membarrier),
    host(284, "mlock2", &[Address, Size, Hex], SYS_mlock2),
    refused(288, "pkey_mprotect", &[Address, Size, Flags(PROT), Int], ENOSYS),
    refused(289, "pkey_alloc", &[Hex, Hex], ENOSYS),
    refused(290, "pkey_free", &[Int], ENOSYS),
];

fn mmap_call(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    let backing = Backing { flags: args[3] as i32, fd: args[4] as i32, offset: args[5] };
    thread.process.memory.map(args[0], args[1], args[2] as i32, backing)
}

/// `mlockall`: of the emulator nothing need be locked.
fn mlockall_call(_: &mut Thread, [flags, ..]: [u64; 6]) -> Result<u64> {
    let known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    match flags as i32 {
        0 | MCL_ONFAULT => Err(EINVAL),
        flags if flags & !known != 0 => Err(EINVAL),
        _ => Ok(0),
    }
}

fn madvise_call(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    let memory = thread.process.memory.clone();
    if !memory.contains(args[0], args[1]) {
        return Err(ENOMEM);
    }
    let done = thread.host_call(SYS_madvise, args)?;
    if matches!(args[2] as i32, MADV_DONTNEED | MADV_FREE | MADV_REMOVE) {
        memory.drop_code(args[0]..args[0] + pages_up(args[1]));
    }
    Ok(done)
}

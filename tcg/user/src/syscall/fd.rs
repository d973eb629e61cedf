//! Calls on open files: reading, writing, descriptors, `ioctl`, `fcntl`.

use super::convert::{open_flags_to_guest, open_flags_to_host};
use super::names::{FCNTL, IOCTL, OPEN, SEEK};
use super::net::{has_receive_timeout, has_send_timeout};
use super::{Kind, Row, host, own, proc_mem};
use crate::memory::Result;
use crate::reserved::without;
use crate::thread::Thread;
use Kind::*;
use libc::*;

pub const ROWS: &[Row] = &[
    host(23, "dup", &[Fd], SYS_dup),
    host(24, "dup3", &[Fd, Fd, Hex], SYS_dup3),
    own(25, "fcntl", &[Fd, Enum(FCNTL), By(fcntl_third)], fcntl_call),
    own(29, "ioctl", &[Fd, Enum(IOCTL), By(ioctl_third)], ioctl_call),
    host(32, "flock", &[Fd, Int], SYS_flock),
    host(46, "ftruncate", &[Fd, Long], SYS_ftruncate),
    host(47, "fallocate", &[Fd, Int, Long, Long], SYS_fallocate),
    host(50, "fchdir", &[Fd], SYS_fchdir),
    host(52, "fchmod", &[Fd, Mode], SYS_fchmod),
    host(55, "fchown", &[Fd, Int, Int], SYS_fchown),
    // The descriptor is gone by then (close(2)).
    host(57, "close", &[Fd], SYS_close).interrupted(),
    host(59, "pipe2", &[Out(8), Hex], SYS_pipe2),
    host(61, "getdents64", &[Fd, OutBuffer(2), Size], SYS_getdents64),
    host(62, "lseek", &[Fd, Long, Enum(SEEK)], SYS_lseek),
    host(63, "read", &[Fd, OutBuffer(2), Size], SYS_read).interrupted_if(has_receive_timeout),
    own(64, "write", &[Fd, Buffer(2), Size], |thread, args| proc_mem::write(thread, SYS_write, args))
        .interrupted_if(has_send_timeout),
    host(65, "readv", &[Fd, Pointer, Int], SYS_readv).interrupted_if(has_receive_timeout),
    own(66, "writev", &[Fd, Pointer, Int], |thread, args| proc_mem::write(thread, SYS_writev, args))
        .interrupted_if(has_send_timeout),
    host(67, "pread64", &[Fd, OutBuffer(2), Size, Long], SYS_pread64),
    own(68, "pwrite64", &[Fd, Buffer(2), Size, Long], |thread, args| {
        proc_mem::write_at(thread, SYS_pwrite64, args)
    }),
    host(69, "preadv", &[Fd, Pointer, Int, Long, Long], SYS_preadv),
    own(70, "pwritev", &[Fd, Pointer, Int, Long, Long], |thread, args| {
        proc_mem::write_at(thread, SYS_pwritev, args)
    }),
    host(71, "sendfile", &[Fd, Fd, Pointer, Size], SYS_sendfile).interrupted_if(has_send_timeout),
    host(75, "vmsplice", &[Fd, Pointer, Size, Hex], SYS_vmsplice),
    host(76, "splice", &[Fd, Pointer, Fd, Pointer, Size, Hex], SYS_splice)
        .interrupted_if(|args| has_receive_timeout(args) || has_send_timeout(&[args[2]; 6])),
    host(77, "tee", &[Fd, Fd, Size, Hex], SYS_tee),
    host(81, "sync", &[], SYS_sync),
    host(82, "fsync", &[Fd], SYS_fsync),
    host(83, "fdatasync", &[Fd], SYS_fdatasync),
    host(84, "sync_file_range", &[Fd, Long, Long, Hex], SYS_sync_file_range),
    host(213, "readahead", &[Fd, Long, Size], SYS_readahead),
    host(223, "fadvise64", &[Fd, Long, Long, Int], SYS_fadvise64),
    host(267, "syncfs", &[Fd], SYS_syncfs),
    host(279, "memfd_create", &[Text, Hex], SYS_memfd_create),
    host(285, "copy_file_range", &[Fd, Pointer, Fd, Pointer, Size, Hex], SYS_copy_file_range),
    host(286, "preadv2", &[Fd, Pointer, Int, Long, Long, Hex], SYS_preadv2)
        .interrupted_if(has_receive_timeout),
    host(287, "pwritev2", &[Fd, Pointer, Int, Long, Long, Hex], SYS_pwritev2)
        .interrupted_if(has_send_timeout),
    own(436, "close_range", &[Size, Size, Hex], close_range_call),
];

/// What a command of `fcntl` takes; pointers are checked by [`fcntl_call`].
fn fcntl_third(args: &[u64; 6]) -> Option<Kind> {
    match args[1] as i32 {
        F_GETFD | F_GETFL | F_GETOWN | F_GETLEASE | F_GETPIPE_SZ | F_GET_SEALS => None,
        F_GETLK | F_SETLK | F_SETLKW | F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW => Some(Address),
        F_SETFL => Some(Parts(&OPEN)),
        F_DUPFD | F_DUPFD_CLOEXEC | F_SETFD | F_SETOWN | F_SETLEASE | F_SETPIPE_SZ => Some(Int),
        _ => Some(Hex),
    }
}

/// What a request of `ioctl` takes; [`ioctl_call`] checks it, whatever it is.
fn ioctl_third(args: &[u64; 6]) -> Option<Kind> {
    let known = IOCTL.iter().any(|(_, request)| *request == args[1]);
    Some(if known { Address } else { Hex })
}

/// `fcntl`: the flags of `open` may be numbered otherwise.
fn fcntl_call(thread: &mut Thread, mut args: [u64; 6]) -> Result<u64> {
    let pairs = thread.cpu.abi().open_flags;
    match args[1] as i32 {
        F_SETFL => args[2] = open_flags_to_host(pairs, args[2]),
        F_GETFL => {
            return thread.host_call(SYS_fcntl, args).map(|flags| open_flags_to_guest(pairs, flags));
        }
        F_GETLK | F_SETLK | F_SETLKW | F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW => {
            thread.check_pointer(args[2])?;
        }
        _ => {}
    }
    thread.host_call(SYS_fcntl, args)
}

/// `close_range`, without what is the emulator's.
fn close_range_call(thread: &mut Thread, [first, last, flags, ..]: [u64; 6]) -> Result<u64> {
    let (first, last) = (first as u32, last as u32);
    if first > last {
        return Err(EINVAL);
    }
    without(first, last).into_iter().try_fold(0, |_, (first, last)| {
        thread.host_call(SYS_close_range, [first.into(), last.into(), flags, 0, 0, 0])
    })
}

/// `ioctl`: numbers and structures of x86-64 are the generic ones.
fn ioctl_call(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    // A number or an address, as the request has it; the emulator's memory is neither.
    thread.check_pointer(args[2])?;
    thread.host_call(SYS_ioctl, args)
}

impl Thread {
    /// Refuses addresses of the emulator's.
    pub fn check_pointer(&self, addr: u64) -> Result<()> {
        let end = self.process.memory.space().range().end;
        if (end..1 << 47).contains(&addr) { Err(EFAULT) } else { Ok(()) }
    }
}

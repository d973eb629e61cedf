//! Calls that name files.

use super::convert::{open_flags_to_host, write_stat};
use super::names::{ACCESS, AT, OPEN};
use super::{Kind, Row, host, own, proc_self};
use crate::memory::Result;
use crate::thread::Thread;
use Kind::*;
use base::PAGE_SIZE;
use libc::*;
use std::ffi::CString;

pub const ROWS: &[Row] = &[
    host(5, "setxattr", &[Path, Text, Buffer(3), Size, Hex], SYS_setxattr),
    host(6, "lsetxattr", &[Path, Text, Buffer(3), Size, Hex], SYS_lsetxattr),
    host(7, "fsetxattr", &[Fd, Text, Buffer(3), Size, Hex], SYS_fsetxattr),
    host(8, "getxattr", &[Path, Text, OutBuffer(3), Size], SYS_getxattr),
    host(9, "lgetxattr", &[Path, Text, OutBuffer(3), Size], SYS_lgetxattr),
    host(10, "fgetxattr", &[Fd, Text, OutBuffer(3), Size], SYS_fgetxattr),
    host(11, "listxattr", &[Path, OutBuffer(2), Size], SYS_listxattr),
    host(12, "llistxattr", &[Path, OutBuffer(2), Size], SYS_llistxattr),
    host(13, "flistxattr", &[Fd, OutBuffer(2), Size], SYS_flistxattr),
    host(14, "removexattr", &[Path, Text], SYS_removexattr),
    host(15, "lremovexattr", &[Path, Text], SYS_lremovexattr),
    host(16, "fremovexattr", &[Fd, Text], SYS_fremovexattr),
    host(17, "getcwd", &[OutBuffer(1), Size], SYS_getcwd),
    host(26, "inotify_init1", &[Hex], SYS_inotify_init1),
    host(27, "inotify_add_watch", &[Fd, Path, Hex], SYS_inotify_add_watch),
    host(28, "inotify_rm_watch", &[Fd, Int], SYS_inotify_rm_watch),
    host(33, "mknodat", &[DirFd, Text, Mode, By(device)], SYS_mknodat),
    host(34, "mkdirat", &[DirFd, Text, Mode], SYS_mkdirat),
    host(35, "unlinkat", &[DirFd, Text, Flags(AT)], SYS_unlinkat),
    host(36, "symlinkat", &[Text, DirFd, Text], SYS_symlinkat),
    host(37, "linkat", &[DirFd, Text, DirFd, Text, Flags(AT)], SYS_linkat),
    host(38, "renameat", &[DirFd, Text, DirFd, Text], SYS_renameat),
    host(39, "umount2", &[Text, Hex], SYS_umount2),
    host(40, "mount", &[Text, Text, Text, Hex, Pointer], SYS_mount),
    host(41, "pivot_root", &[Text, Text], SYS_pivot_root),
    host(43, "statfs", &[Path, Out(120)], SYS_statfs),
    host(44, "fstatfs", &[Fd, Out(120)], SYS_fstatfs),
    host(45, "truncate", &[Path, Long], SYS_truncate),
    host(48, "faccessat", &[DirFd, Path, Flags(ACCESS)], SYS_faccessat),
    host(49, "chdir", &[Path], SYS_chdir),
    host(51, "chroot", &[Path], SYS_chroot),
    host(53, "fchmodat", &[DirFd, Path, Mode], SYS_fchmodat),
    host(54, "fchownat", &[DirFd, Path, Int, Int, Flags(AT)], SYS_fchownat),
    own(56, "openat", &[DirFd, Path, Parts(&OPEN), By(created_mode)], openat_call),
    own(78, "readlinkat", &[DirFd, Path, OutBuffer(3), Size], readlinkat_call),
    own(79, "newfstatat", &[DirFd, Path, Out(128), Flags(AT)], newfstatat),
    own(80, "fstat", &[Fd, Out(128)], fstat_call),
    host(88, "utimensat", &[DirFd, Path, Pointer, Flags(AT)], SYS_utimensat),
    host(166, "umask", &[Mode], SYS_umask),
    host(264, "name_to_handle_at", &[DirFd, Path, Pointer, Pointer, Hex], SYS_name_to_handle_at),
    host(265, "open_by_handle_at", &[Fd, Pointer, Hex], SYS_open_by_handle_at),
    host(276, "renameat2", &[DirFd, Text, DirFd, Text, Hex], SYS_renameat2),
    host(291, "statx", &[DirFd, Path, Flags(AT), Hex, Out(256)], SYS_statx),
    own(437, "openat2", &[DirFd, Path, Pointer, Size], openat2_call),
    host(439, "faccessat2", &[DirFd, Path, Flags(ACCESS), Flags(AT)], SYS_faccessat2),
    host(452, "fchmodat2", &[DirFd, Path, Mode, Flags(AT)], 452),
];

/// The rights of a file that `openat` makes.
fn created_mode(args: &[u64; 6]) -> Option<Kind> {
    let makes = args[2] as i32 & (O_CREAT | O_TMPFILE & !O_DIRECTORY) != 0;
    makes.then_some(Mode)
}

/// The number of a device that `mknodat` makes.
fn device(args: &[u64; 6]) -> Option<Kind> {
    [S_IFBLK, S_IFCHR].contains(&(args[2] as u32 & S_IFMT)).then_some(Hex)
}

/// The guest's own name of the file in argument 1, whatever was put in its place.
fn name(thread: &Thread, addr: u64) -> Option<CString> {
    let memory = &thread.process.memory;
    if memory.contains(addr, 1) { memory.read_string(addr).ok() } else { None }
}

fn openat_call(thread: &mut Thread, mut args: [u64; 6]) -> Result<u64> {
    if let Some(fd) = name(thread, args[1]).and_then(|name| proc_self::open(thread, &name, args[2])) {
        return fd;
    }
    args[2] = open_flags_to_host(thread.cpu.abi().open_flags, args[2]);
    thread.host_call(SYS_openat, args)
}

fn openat2_call(thread: &mut Thread, mut args: [u64; 6]) -> Result<u64> {
    let memory = thread.process.memory.clone();
    if args[3] > PAGE_SIZE {
        return Err(E2BIG);
    }
    let mut how = vec![0u8; args[3] as usize];
    memory.read_bytes(args[2], &mut how)?;
    if let Some(flags) = how.first_chunk_mut::<8>() {
        *flags = open_flags_to_host(thread.cpu.abi().open_flags, u64::from_le_bytes(*flags)).to_le_bytes();
    }
    args[2] = how.as_ptr() as u64;
    thread.host_call(SYS_openat2, args)
}

fn readlinkat_call(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    if let Some(text) = name(thread, args[1]).and_then(|name| proc_self::link(&thread.process, &name)) {
        let len = text.len().min(args[3] as usize);
        if len == 0 {
            return Err(EINVAL);
        }
        thread.process.memory.write_bytes(args[2], &text[..len])?;
        return Ok(len as u64);
    }
    thread.host_call(SYS_readlinkat, args)
}

fn newfstatat(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    stat_by(thread, SYS_newfstatat, [args[0], args[1], 0, args[3], 0, 0], 2, args[2])
}

fn fstat_call(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    stat_by(thread, SYS_fstat, [args[0], 0, 0, 0, 0, 0], 1, args[1])
}

/// Makes a call that gives a `struct stat` through argument `at`, for the guest's at `addr`.
fn stat_by(thread: &mut Thread, nr: i64, mut args: [u64; 6], at: usize, addr: u64) -> Result<u64> {
    // SAFETY: numbers, for which zeros are fine.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    args[at] = &raw mut stat as u64;
    let done = thread.host_call(nr, args)?;
    write_stat(&thread.process.memory, addr, &stat)?;
    Ok(done)
}

//! System V and POSIX message queues, semaphores and shared memory.

use super::{Gives, Kind, Row, host, own};
use crate::memory::{Place, Result, pages_up};
use crate::sys;
use crate::thread::Thread;
use Kind::*;
use base::PAGE_SIZE;
use libc::*;

pub const ROWS: &[Row] = &[
    host(180, "mq_open", &[Text, Hex, Mode, Pointer], SYS_mq_open),
    host(181, "mq_unlink", &[Text], SYS_mq_unlink),
    host(182, "mq_timedsend", &[Fd, Buffer(2), Size, Int, Timespec], SYS_mq_timedsend),
    host(183, "mq_timedreceive", &[Fd, OutBuffer(2), Size, Pointer, Timespec], SYS_mq_timedreceive),
    host(184, "mq_notify", &[Fd, Pointer], SYS_mq_notify),
    host(185, "mq_getsetattr", &[Fd, Pointer, Pointer], SYS_mq_getsetattr),
    host(186, "msgget", &[Hex, Hex], SYS_msgget),
    host(187, "msgctl", &[Int, Int, PointerIf(|args| args[1] as i32 != IPC_RMID)], SYS_msgctl),
    host(188, "msgrcv", &[Int, Pointer, Size, Long, Hex], SYS_msgrcv).interrupted(),
    host(189, "msgsnd", &[Int, Pointer, Size, Hex], SYS_msgsnd).interrupted(),
    host(190, "semget", &[Hex, Int, Hex], SYS_semget),
    own(191, "semctl", &[Int, Int, Int, Address], semctl_call),
    host(192, "semtimedop", &[Int, Pointer, Size, Timespec], SYS_semtimedop).interrupted(),
    host(193, "semop", &[Int, Pointer, Size], SYS_semop).interrupted(),
    host(194, "shmget", &[Hex, Size, Hex], SYS_shmget),
    host(195, "shmctl", &[Int, Int, PointerIf(shmctl_fills)], SYS_shmctl),
    own(196, "shmat", &[Int, Address, Hex], shmat_call).gives(Gives::Address),
    own(197, "shmdt", &[Address], shmdt_call),
];

fn shmctl_fills(args: &[u64; 6]) -> bool {
    ![IPC_RMID, SHM_LOCK, SHM_UNLOCK].contains(&(args[1] as i32))
}

/// Bytes of `struct ipc64_perm`, with which `struct semid64_ds` begins.
const IPC_PERM: usize = 48;

/// `semctl`: x86-64 has a word behind each of the two times of `struct semid64_ds`.
fn semctl_call(thread: &mut Thread, mut args: [u64; 6]) -> Result<u64> {
    const IPC_64: i32 = 0x100;
    const SEM_STAT: i32 = 18;
    const SEM_STAT_ANY: i32 = 20;
    let command = args[2] as i32 & !IPC_64;
    let memory = thread.process.memory.clone();
    let mut host = [0u8; IPC_PERM + 56];
    let addr = args[3];
    match command {
        IPC_STAT | SEM_STAT | SEM_STAT_ANY => {
            args[3] = host.as_mut_ptr() as u64;
            let done = thread.host_call(SYS_semctl, args)?;
            let mut guest = [0u8; IPC_PERM + 40];
            guest[..IPC_PERM].copy_from_slice(&host[..IPC_PERM]);
            for (to, from) in [(0, 0), (8, 16), (16, 32)] {
                guest[IPC_PERM + to..IPC_PERM + to + 8]
                    .copy_from_slice(&host[IPC_PERM + from..IPC_PERM + from + 8]);
            }
            memory.write_bytes(addr, &guest)?;
            Ok(done)
        }
        IPC_SET => {
            memory.read_bytes(addr, &mut host[..IPC_PERM])?;
            args[3] = host.as_ptr() as u64;
            thread.host_call(SYS_semctl, args)
        }
        _ => {
            thread.check_pointer(addr)?;
            thread.host_call(SYS_semctl, args)
        }
    }
}

fn segment_size(id: u64) -> Result<u64> {
    // SAFETY: numbers, for which zeros are fine.
    let mut info: shmid_ds = unsafe { std::mem::zeroed() };
    let args = [id, IPC_STAT as u64, &raw mut info as u64, 0, 0, 0];
    // SAFETY: the kernel writes the structure.
    super::result(unsafe { sys::call(SYS_shmctl, args) })?;
    Ok(info.shm_segsz as u64)
}

fn shmat_call(thread: &mut Thread, [id, addr, flags, ..]: [u64; 6]) -> Result<u64> {
    let len = pages_up(segment_size(id)?);
    let has = |flag| flags as i32 & flag != 0;
    let at = if has(SHM_RND) { addr & !(PAGE_SIZE - 1) } else { addr };
    if !at.is_multiple_of(PAGE_SIZE) || at == 0 && has(SHM_REMAP) {
        return Err(EINVAL);
    }
    let write = if has(SHM_RDONLY) { 0 } else { PROT_WRITE };
    let exec = if has(SHM_EXEC) { PROT_EXEC } else { 0 };
    let place = if at == 0 { Place::Any } else { Place::At { addr: at, over: has(SHM_REMAP) } };
    let flags = flags & !(SHM_RND | SHM_EXEC) as u64;
    thread.process.memory.attach(place, len, PROT_READ | write | exec, |at| {
        // SAFETY: a range of the guest's, which is free or may be mapped over.
        unsafe { sys::call(SYS_shmat, [id, at, flags, 0, 0, 0]) }
    })
}

fn shmdt_call(thread: &mut Thread, args: [u64; 6]) -> Result<u64> {
    let memory = thread.process.memory.clone();
    // The kernel alone knows how long the segment is: what is no longer mapped afterwards is gone.
    let before = memory.space().find(args[0]).filter(|pages| pages.shared).ok_or(EINVAL)?;
    let mut end = args[0];
    memory.space().each(|range, pages| {
        if range.contains(&args[0]) && pages == before {
            end = range.end;
        }
        end == args[0]
    });
    thread.host_call(SYS_shmdt, args)?;
    let mut at = args[0];
    let mut seen = 0u8;
    while at < end {
        // SAFETY: asks about one page; the kernel writes the variable.
        let mapped = unsafe { sys::call(SYS_mincore, [at, 4096, &raw mut seen as u64, 0, 0, 0]) } == 0;
        if mapped {
            break;
        }
        at += 4096;
    }
    memory.space().replace(args[0]..at, None, || Ok(())).map_err(|_| ENOMEM)?;
    Ok(0)
}

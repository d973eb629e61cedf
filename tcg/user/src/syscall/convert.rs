//! Structures that the guest has otherwise than the host.
//!
//! The generic layouts of 64-bit architectures are those of x86-64 but for these: `struct stat`, `struct epoll_event`,
//! `struct semid_ds`, and the flags of `open` where the architecture says so.

use crate::memory::{Memory, Result};

/// `struct stat` of `asm-generic/stat.h`.
pub fn write_stat(memory: &Memory, addr: u64, stat: &libc::stat) -> Result<()> {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend(stat.st_dev.to_le_bytes());
    bytes.extend(stat.st_ino.to_le_bytes());
    bytes.extend(stat.st_mode.to_le_bytes());
    bytes.extend((stat.st_nlink as u32).to_le_bytes());
    bytes.extend(stat.st_uid.to_le_bytes());
    bytes.extend(stat.st_gid.to_le_bytes());
    bytes.extend(stat.st_rdev.to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(stat.st_size.to_le_bytes());
    bytes.extend((stat.st_blksize as i32).to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(stat.st_blocks.to_le_bytes());
    for (seconds, nanoseconds) in [
        (stat.st_atime, stat.st_atime_nsec),
        (stat.st_mtime, stat.st_mtime_nsec),
        (stat.st_ctime, stat.st_ctime_nsec),
    ] {
        bytes.extend(seconds.to_le_bytes());
        bytes.extend(nanoseconds.to_le_bytes());
    }
    bytes.extend([0; 8]);
    memory.write_bytes(addr, &bytes)
}

/// Size of the guest's `struct epoll_event`: x86-64 alone has it packed.
const EPOLL_EVENT: u64 = 16;

/// Reads a `struct epoll_event`.
pub fn read_epoll_event(memory: &Memory, addr: u64) -> Result<libc::epoll_event> {
    Ok(libc::epoll_event { events: memory.read(addr)?, u64: memory.read(addr + 8)? })
}

/// Writes an array of `struct epoll_event`.
pub fn write_epoll_events(memory: &Memory, addr: u64, events: &[libc::epoll_event]) -> Result<()> {
    let mut bytes = Vec::with_capacity(events.len() * EPOLL_EVENT as usize);
    for event in events {
        bytes.extend({ event.events }.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend({ event.u64 }.to_le_bytes());
    }
    memory.write_bytes(addr, &bytes)
}

/// Flags of `open`, from the guest's bits to the host's.
pub fn open_flags_to_host(pairs: &[(u64, u64)], flags: u64) -> u64 {
    convert(pairs.iter().copied(), flags)
}

/// The reverse.
pub fn open_flags_to_guest(pairs: &[(u64, u64)], flags: u64) -> u64 {
    convert(pairs.iter().map(|(guest, host)| (*host, *guest)), flags)
}

fn convert(pairs: impl Iterator<Item = (u64, u64)> + Clone, flags: u64) -> u64 {
    let known = pairs.clone().fold(0, |all, (from, _)| all | from);
    pairs.filter(|(from, _)| flags & from != 0).fold(flags & !known, |all, (_, to)| all | to)
}

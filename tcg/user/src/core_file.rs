//! Core files of the guest: what a debugger for its architecture reads after a crash.
//!
//! From: System V gABI chapter 5, `core(5)` and `elf(5)`; the notes as `linux/elfcore.h` lays them out. The file gets
//! QEMU's name for it. The thread that crashed is the first. Left out: times in `NT_PRSTATUS`.

use crate::arch::Note;
use crate::process::Process;
use crate::signal::Info;
use crate::sys;
use crate::syscall::Mapping;
use base::PAGE_SIZE;
use object::elf::{
    NT_AUXV, NT_FILE, NT_PRPSINFO, NT_PRSTATUS, NT_SIGINFO, PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE,
};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;

const EHDR: usize = 64;
const PHDR: usize = 56;
/// Largest number of program headers that the ELF header can tell.
const MOST_SEGMENTS: usize = 0xfffe;

/// What a thread had.
pub struct ThreadState {
    /// Its number.
    pub tid: i32,
    /// Blocked signals.
    pub mask: u64,
    /// General registers, as `elf_gregset_t`.
    pub general: Vec<u8>,
    /// The other registers.
    pub others: Vec<Note>,
}

/// What ended the process.
pub struct Crash<'a> {
    /// The signal.
    pub signal: i32,
    /// Its `siginfo`.
    pub info: &'a Info,
    /// The threads; the first is the one that crashed.
    pub threads: Vec<ThreadState>,
}

/// Writes the core file of `process`, no longer than `limit` bytes.
pub fn write(process: &Process, machine: u16, crash: &Crash, limit: u64) -> io::Result<()> {
    let mut mappings = process.mappings();
    mappings.truncate(MOST_SEGMENTS - 1);
    let notes = notes(process, crash, &mappings);
    let table = EHDR + PHDR * (mappings.len() + 1);
    let mut at = (table + notes.len()).next_multiple_of(PAGE_SIZE as usize) as u64;
    let mut head = header(machine, mappings.len() as u16 + 1);
    segment(&mut head, [PT_NOTE.0, 0], [table as u64, 0, notes.len() as u64, 0, 4]);
    let mut contents = Vec::new();
    for mapping in &mappings {
        let len = mapping.range.end - mapping.range.start;
        let kept = kept(mapping);
        let bit = |prot, flag: u32| if mapping.prot & prot != 0 { flag } else { 0 };
        let flags =
            bit(libc::PROT_READ, PF_R.0) | bit(libc::PROT_WRITE, PF_W.0) | bit(libc::PROT_EXEC, PF_X.0);
        segment(&mut head, [PT_LOAD.0, flags], [at, mapping.range.start, kept, len, PAGE_SIZE]);
        contents.push((at, mapping.range.start, kept));
        at += kept;
    }
    head.extend(&notes);
    let mut file = create(process)?;
    file.write_all(&head[..head.len().min(limit as usize)])?;
    for (offset, addr, len) in contents {
        let room = limit.saturating_sub(offset);
        copy_memory(&file, offset, addr, len.min(room));
    }
    file.set_len(at.min(limit))
}

/// `qemu_NAME_DATE-TIME_PID.core` in the current folder.
fn create(process: &Process) -> io::Result<File> {
    // SAFETY: numbers, for which zeros are fine; then the C library fills it in.
    let time = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        libc::localtime_r(&libc::time(std::ptr::null_mut()), &mut time);
        time
    };
    let name = process.exe.file_name().unwrap_or_default().to_string_lossy();
    let date = format!("{:04}{:02}{:02}", time.tm_year + 1900, time.tm_mon + 1, time.tm_mday);
    let clock = format!("{:02}{:02}{:02}", time.tm_hour, time.tm_min, time.tm_sec);
    let path = format!("qemu_{name}_{date}-{clock}_{}.core", sys::getpid());
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn header(machine: u16, segments: u16) -> Vec<u8> {
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(16, 0);
    for half in [object::elf::ET_CORE.0, machine] {
        head.extend(half.to_le_bytes());
    }
    head.extend(1u32.to_le_bytes());
    // No entry, the table behind the header, no sections.
    for word in [0, EHDR as u64, 0] {
        head.extend(word.to_le_bytes());
    }
    head.extend(0u32.to_le_bytes());
    for half in [EHDR as u16, PHDR as u16, segments, 0, 0, 0] {
        head.extend(half.to_le_bytes());
    }
    head
}

/// A program header: type and flags; offset, address, bytes in the file and in memory, alignment.
fn segment(head: &mut Vec<u8>, kind: [u32; 2], [offset, addr, in_file, in_memory, align]: [u64; 5]) {
    kind.iter().for_each(|half| head.extend(half.to_le_bytes()));
    for word in [offset, addr, 0, in_file, in_memory, align] {
        head.extend(word.to_le_bytes());
    }
}

/// Bytes of a mapping that are kept: what a debugger cannot find in the file that is mapped, and the first page of that,
/// by which it is recognised.
fn kept(mapping: &Mapping) -> u64 {
    let len = mapping.range.end - mapping.range.start;
    if mapping.prot & libc::PROT_READ == 0 {
        return 0;
    }
    let from_file = mapping.name.starts_with('/') && mapping.prot & libc::PROT_WRITE == 0;
    match from_file {
        true if mapping.offset == 0 => PAGE_SIZE,
        true => 0,
        false => len,
    }
}

/// Copies guest memory that is there into the file; the rest stays a hole.
fn copy_memory(file: &File, offset: u64, addr: u64, len: u64) {
    const CHUNK: u64 = 256 * PAGE_SIZE;
    let mut done = 0;
    while done < len {
        let part = CHUNK.min(len - done);
        let mut present = [0u8; 256];
        // SAFETY: asks about pages of the guest's; the kernel writes the array, one byte a page.
        let asked = unsafe {
            sys::call(libc::SYS_mincore, [addr + done, part, present.as_mut_ptr() as u64, 0, 0, 0])
        };
        if asked < 0 || present.iter().any(|page| page & 1 != 0) {
            let args = [file.as_raw_fd() as u64, addr + done, part, offset + done, 0, 0];
            // SAFETY: the kernel reads guest memory; what it cannot read is left out.
            unsafe { sys::call(libc::SYS_pwrite64, args) };
        }
        done += part;
    }
}

fn note(to: &mut Vec<u8>, name: &str, kind: u32, contents: &[u8]) {
    to.extend((name.len() as u32 + 1).to_le_bytes());
    to.extend((contents.len() as u32).to_le_bytes());
    to.extend(kind.to_le_bytes());
    for part in [name.as_bytes(), &[0], &vec![0; (name.len() + 1).next_multiple_of(4) - name.len() - 1]] {
        to.extend(part);
    }
    to.extend(contents);
    to.resize(to.len().next_multiple_of(4), 0);
}

fn notes(process: &Process, crash: &Crash, mappings: &[Mapping]) -> Vec<u8> {
    let mut to = Vec::new();
    for (n, thread) in crash.threads.iter().enumerate() {
        note(&mut to, "CORE", NT_PRSTATUS.0, &status(crash, thread));
        if n == 0 {
            note(&mut to, "CORE", NT_PRPSINFO.0, &process_info(process));
            note(&mut to, "CORE", NT_SIGINFO.0, crash.info);
            note(&mut to, "CORE", NT_AUXV.0, &process.auxv_bytes());
            note(&mut to, "CORE", NT_FILE.0, &files(mappings));
        }
        for Note { name, kind, contents } in &thread.others {
            note(&mut to, name, *kind, contents);
        }
    }
    to
}

/// Identity of thread or process `number`: that, ppid, pgrp, sid.
fn identity(number: i32) -> [u8; 16] {
    // SAFETY: no effects.
    let ids = unsafe { [number, libc::getppid(), libc::getpgrp(), libc::getsid(0)] };
    let mut bytes = [0; 16];
    bytes.chunks_exact_mut(4).zip(ids).for_each(|(to, id)| to.copy_from_slice(&id.to_le_bytes()));
    bytes
}

/// `struct elf_prstatus`.
fn status(crash: &Crash, thread: &ThreadState) -> Vec<u8> {
    let mut to = Vec::new();
    // si_signo, si_code, si_errno.
    to.extend(crash.signal.to_le_bytes());
    to.extend(&crash.info[8..12]);
    to.extend(&crash.info[4..8]);
    to.extend((crash.signal as u32).to_le_bytes());
    // Pending and blocked signals.
    to.extend(0u64.to_le_bytes());
    to.extend(thread.mask.to_le_bytes());
    to.extend(identity(thread.tid));
    // Four times.
    to.extend([0; 64]);
    to.extend(&thread.general);
    // The float registers are there.
    to.extend(1u64.to_le_bytes());
    to
}

/// `struct elf_prpsinfo`.
fn process_info(process: &Process) -> Vec<u8> {
    // SAFETY: no effects.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    // State running, not a zombie, nice 0; flags.
    let mut to = vec![0, b'R', 0, 0, 0, 0, 0, 0];
    to.extend(0u64.to_le_bytes());
    to.extend(uid.to_le_bytes());
    to.extend(gid.to_le_bytes());
    to.extend(identity(sys::getpid()));
    let name = process.exe.file_name().unwrap_or_default().as_bytes();
    let words: Vec<u8> = process.arguments().iter().map(|b| if *b == 0 { b' ' } else { *b }).collect();
    for (text, len) in [(name, 16), (&words[..], 80)] {
        let shown = &text[..text.len().min(len - 1)];
        to.extend(shown);
        to.resize(to.len() + len - shown.len(), 0);
    }
    to
}

/// Contents of `NT_FILE`: which files are mapped where.
fn files(mappings: &[Mapping]) -> Vec<u8> {
    let mapped: Vec<&Mapping> = mappings.iter().filter(|mapping| mapping.name.starts_with('/')).collect();
    let mut words = vec![mapped.len() as u64, PAGE_SIZE];
    for mapping in &mapped {
        words.extend([mapping.range.start, mapping.range.end, mapping.offset / PAGE_SIZE]);
    }
    let mut to: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    for mapping in mapped {
        to.extend(mapping.name.bytes().chain([0]));
    }
    to
}

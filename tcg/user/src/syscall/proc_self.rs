//! Files under `/proc` that must tell of the guest, not of the emulator: `proc(5)`.

use super::convert::open_flags_to_host;
use super::proc_mem;
use crate::memory::Result;
use crate::process::Process;
use crate::sys;
use crate::thread::Thread;
use crate::trace::tracee_file;
use std::ffi::CStr;
use std::fmt::Write;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

/// The process of a name under `/proc`, and the part after `/proc/PID/` or `/proc/PID/task/TID/`.
pub fn parts(name: &CStr) -> Option<(i32, &str)> {
    let name = name.to_str().ok()?.strip_prefix("/proc/")?;
    let (who, file) = name.split_once('/')?;
    let pid = match who {
        "self" | "thread-self" => sys::getpid(),
        number => number.parse().ok()?,
    };
    let of_thread = file.strip_prefix("task/").and_then(|rest| rest.split_once('/'));
    Some((pid, of_thread.map_or(file, |(_, file)| file)))
}

/// The file of a name that means this process.
fn own_file(name: &CStr) -> Option<&str> {
    let (pid, file) = parts(name)?;
    (pid == sys::getpid()).then_some(file)
}

/// What the link `name` leads to, if it is one of the guest's.
pub fn link(process: &Process, name: &CStr) -> Option<Vec<u8>> {
    let (pid, file) = parts(name)?;
    if pid != sys::getpid() {
        return tracee_file(pid, file).filter(|_| file == "exe");
    }
    (file == "exe").then(|| process.exe.as_os_str().as_bytes().to_vec())
}

/// What is in the file `name`, if that tells of the process.
pub fn contents(process: &Process, name: &CStr) -> Option<Vec<u8>> {
    Some(match own_file(name)? {
        "maps" => maps(process, false).into_bytes(),
        "smaps" => maps(process, true).into_bytes(),
        "auxv" => process.auxv_bytes(),
        "cmdline" => process.arguments(),
        "environ" => process.strings(&process.env),
        "stat" => stat(process)?,
        "limits" => {
            let host = std::fs::read_to_string("/proc/self/limits").ok()?;
            process.memory.limits().shown(&host).into_bytes()
        }
        _ => return None,
    })
}

/// Opens `name`, if its contents are the guest's.
pub fn open(thread: &mut Thread, name: &CStr, flags: u64) -> Option<Result<u64>> {
    if name.to_bytes() == b"/proc/cpuinfo" {
        return Some(file_of(&cpu_info(thread), flags));
    }
    let (pid, file) = parts(name)?;
    if file == "mem" && flags & libc::O_ACCMODE as u64 != libc::O_RDONLY as u64 {
        proc_mem::note();
    }
    if pid != sys::getpid() {
        return tracee_file(pid, file).filter(|_| file != "exe").map(|contents| file_of(&contents, flags));
    }
    if file == "exe" {
        return Some(open_exe(thread, flags));
    }
    let contents = contents(&thread.process, name)?;
    Some(file_of(&contents, flags))
}

fn open_exe(thread: &mut Thread, flags: u64) -> Result<u64> {
    let path = std::ffi::CString::new(thread.process.exe.as_os_str().as_bytes()).map_err(|_| libc::ENOENT)?;
    let flags = open_flags_to_host(thread.cpu.abi().open_flags, flags);
    thread.host_call(libc::SYS_openat, [libc::AT_FDCWD as u64, path.as_ptr() as u64, flags, 0, 0, 0])
}

/// A file with these contents.
fn file_of(contents: &[u8], flags: u64) -> Result<u64> {
    let close = if flags & libc::O_CLOEXEC as u64 != 0 { libc::MFD_CLOEXEC } else { 0 };
    // SAFETY: the name is a string; then the kernel reads `contents`.
    unsafe {
        let name = c"proc".as_ptr() as u64;
        let fd = super::result(sys::call(libc::SYS_memfd_create, [name, close.into(), 0, 0, 0, 0]))?;
        let len = contents.len() as u64;
        super::result(sys::call(libc::SYS_pwrite64, [fd, contents.as_ptr() as u64, len, 0, 0, 0]))?;
        Ok(fd)
    }
}

/// `stat`: with the guest's addresses in place of the emulator's.
fn stat(process: &Process) -> Option<Vec<u8>> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (head, tail) = text.rsplit_once(") ")?;
    let mut fields: Vec<String> = tail.trim_end().split(' ').map(String::from).collect();
    let [code, data] = &process.segments;
    let (args, env, heap) = (&process.args, &process.env, process.memory.heap_range());
    let own = [
        (26, code.start),
        (27, code.end),
        (28, process.first_sp),
        (45, data.start),
        (46, data.end),
        (47, heap.start),
        (48, args.start),
        (49, args.end),
        (50, env.start),
        (51, env.end),
    ];
    for (number, value) in own {
        // Field 3 of the manual page is the first here.
        if let Some(field) = fields.get_mut(number - 3) {
            *field = value.to_string();
        }
    }
    Some(format!("{head}) {}\n", fields.join(" ")).into_bytes())
}

/// One line of the host's `maps`: range, rest after the rights.
fn parse(line: &str) -> Option<(Range<u64>, &str)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(start)?..number(end)?, rest.get(5..)?))
}

/// `maps`: the host's lines for the guest's memory, with the guest's rights. With `details`, `smaps`.
fn maps(process: &Process, details: bool) -> String {
    let (space, heap, stack) = (process.memory.space(), process.memory.heap_range(), process.memory.stack());
    let host = std::fs::read_to_string(if details { "/proc/self/smaps" } else { "/proc/self/maps" });
    let mut text = String::new();
    let mut shown = false;
    let mut last: Option<(Range<u64>, String)> = None;
    let flush = |last: &mut Option<(Range<u64>, String)>, text: &mut String| {
        if let Some((range, rest)) = last.take() {
            let line = format!("{:08x}-{:08x} {rest}", range.start, range.end);
            writeln!(text, "{line}").expect("a string takes everything");
        }
    };
    for line in host.unwrap_or_default().lines() {
        let Some((range, rest)) = parse(line) else {
            if shown && details {
                flush(&mut last, &mut text);
                writeln!(text, "{line}").expect("a string takes everything");
            }
            continue;
        };
        let pages = space.find(range.start);
        shown = pages.is_some() && range.end <= space.range().end;
        let Some(pages) = pages.filter(|_| shown) else { continue };
        let bit = |bit, c| if pages.prot & bit != 0 { c } else { '-' };
        let (r, w, x) = (bit(libc::PROT_READ, 'r'), bit(libc::PROT_WRITE, 'w'), bit(libc::PROT_EXEC, 'x'));
        let sharing = if pages.shared { 's' } else { 'p' };
        let mut rest = format!("{r}{w}{x}{sharing} {rest}");
        let name = [(&stack, "[stack]"), (&process.vdso, "[vdso]"), (&heap, "[heap]")];
        // What is zeros of the program may be one with the heap.
        let holds = |part: &Range<u64>| part.start < range.end && range.start < part.end;
        if let Some((_, name)) = name.iter().find(|(part, _)| holds(part) && !rest.contains('/')) {
            // The name stands in column 73.
            rest = format!("{:<55}{name}", rest.trim_end());
        }
        // The host parts a mapping where pages are watched.
        match &mut last {
            Some((before, same)) if !details && before.end == range.start && *same == rest => {
                before.end = range.end;
            }
            _ => {
                flush(&mut last, &mut text);
                last = Some((range, rest));
            }
        }
    }
    flush(&mut last, &mut text);
    text
}

/// A mapping of the guest's.
pub struct Mapping {
    /// Where it is.
    pub range: Range<u64>,
    /// What the guest may do there, as `mmap` has it.
    pub prot: i32,
    /// Offset in the file.
    pub offset: u64,
    /// The file, or a name in brackets; empty for none.
    pub name: String,
}

impl Process {
    /// The guest's mappings, as `/proc/self/maps` has them.
    pub fn mappings(&self) -> Vec<Mapping> {
        maps(self, false).lines().filter_map(mapping).collect()
    }
}

/// A line of `maps`.
fn mapping(line: &str) -> Option<Mapping> {
    let (range, _) = parse(line)?;
    let mut words = line.split_ascii_whitespace().skip(1);
    let rights = words.next()?;
    let bit = |c, bit| if rights.contains(c) { bit } else { 0 };
    let prot = bit('r', libc::PROT_READ) | bit('w', libc::PROT_WRITE) | bit('x', libc::PROT_EXEC);
    let offset = u64::from_str_radix(words.next()?, 16).ok()?;
    let name = words.skip(2).collect::<Vec<_>>().join(" ");
    Some(Mapping { range, prot, offset, name })
}

/// `/proc/cpuinfo`: as many CPUs of the guest's kind as the host has.
fn cpu_info(thread: &Thread) -> Vec<u8> {
    // SAFETY: no effects.
    let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }.max(1);
    let info = thread.cpu.cpu_info();
    (0..count).map(|n| format!("processor\t: {n}\n{info}\n")).collect::<String>().into_bytes()
}

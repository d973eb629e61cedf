//! `-strace`: one line a system call, as QEMU prints them.

use crate::memory::Memory;
use crate::process::Config;
use crate::reserved::reserve;
use crate::signal::{Info, info_code};
use crate::sys;
use crate::syscall::{JUMPED, Kind, Names, Row};
use std::fmt::Write;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{IntoRawFd, RawFd};
use std::path::Path;

/// Whether there are lines, and where they go.
pub struct Strace {
    calls: bool,
    to: RawFd,
}

/// Opens a log file, to be written at its end, under a descriptor of the emulator's.
pub fn open_log(path: &Path) -> io::Result<File> {
    reserve(&OpenOptions::new().create(true).append(true).open(path)?)
}

impl Strace {
    /// As `config` has it.
    pub fn new(config: &Config) -> io::Result<Self> {
        let to = match &config.log {
            Some(path) if config.strace => open_log(path)?.into_raw_fd(),
            _ => 2,
        };
        Ok(Self { calls: config.strace, to })
    }

    fn print(&self, text: &str) {
        // SAFETY: the kernel reads the text. That nobody reads the log is no fault.
        unsafe {
            sys::call(libc::SYS_write, [self.to as u64, text.as_ptr() as u64, text.len() as u64, 0, 0, 0])
        };
    }

    /// Before a call.
    pub fn enter(&self, memory: &Memory, row: &Row, args: &[u64; 6]) {
        if !self.calls {
            return;
        }
        let args: Vec<String> =
            row.args.iter().zip(args).map(|(kind, arg)| print(memory, *kind, *arg, args)).collect();
        self.print(&format!("{} {}({})", sys::getpid(), row.name, args.join(",")));
    }

    /// After it.
    pub fn leave(&self, row: &Row, done: &Result<u64, i32>) {
        if !self.calls {
            return;
        }
        self.print(&match done {
            Ok(value) if gives_address(row) => format!(" = {value:#018x}\n"),
            Ok(value) => format!(" = {}\n", *value as i64),
            Err(JUMPED) => " = ?\n".into(),
            Err(errno) => {
                // SAFETY: gives a string that lives until the next call on this thread.
                let text = unsafe { std::ffi::CStr::from_ptr(libc::strerror(*errno)) };
                format!(" = -1 errno={errno} ({})\n", text.to_string_lossy())
            }
        });
    }

    /// A call that there is no row for.
    pub fn unknown(&self, number: u64) {
        if self.calls {
            self.print(&format!("{} Unknown syscall {number}\n", sys::getpid()));
        }
    }

    /// A signal that the guest is given.
    pub fn signal(&self, signal: i32, info: &Info) {
        if self.calls {
            let name = signal_name(signal);
            let code = info_code(info);
            let addr = u64::from_le_bytes(info[16..24].try_into().expect("eight bytes"));
            let fault =
                matches!(signal, libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP);
            let addr = if code > 0 && fault { format!(", si_addr={addr:#018x}") } else { String::new() };
            self.print(&format!("--- {name} {{si_signo={name}, si_code={code}{addr}}} ---\n"));
        }
    }
}

fn gives_address(row: &Row) -> bool {
    matches!(row.name, "brk" | "mmap" | "mremap" | "shmat")
}

fn bits(names: Names, value: u64) -> String {
    let zero = names.iter().find(|(_, bit)| *bit == 0).map(|(name, _)| *name);
    let mut left = value;
    let mut words: Vec<String> = Vec::new();
    for (name, bit) in names.iter().filter(|(_, bit)| *bit != 0) {
        if left & bit == *bit {
            left &= !bit;
            words.push((*name).into());
        }
    }
    if let Some(zero) = zero.filter(|_| value & 3 == 0) {
        words.insert(0, zero.into());
    }
    if left != 0 || words.is_empty() {
        words.push(if left == 0 { "0".into() } else { format!("{left:#x}") });
    }
    words.join("|")
}

/// Most of a string that is shown.
const SHOWN: u64 = 32;

fn quoted(bytes: &[u8], cut: bool) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'\n' => text += "\\n",
            b'\t' => text += "\\t",
            b'"' => text += "\\\"",
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => write!(text, "\\{byte:o}").expect("a string takes everything"),
        }
    }
    text + if cut { "\"..." } else { "\"" }
}

fn address(value: u64) -> String {
    if value == 0 { "NULL".into() } else { format!("{value:#018x}") }
}

fn print(memory: &Memory, kind: Kind, value: u64, all: &[u64; 6]) -> String {
    match kind {
        Kind::Int | Kind::Fd => (value as i32).to_string(),
        Kind::Long => (value as i64).to_string(),
        Kind::Size => value.to_string(),
        Kind::Hex => format!("{value:#x}"),
        Kind::Mode => format!("{value:#o}"),
        Kind::DirFd if value as i32 == libc::AT_FDCWD => "AT_FDCWD".into(),
        Kind::DirFd => (value as i32).to_string(),
        Kind::Path | Kind::Text => match memory.read_string(value) {
            Ok(text) => quoted(text.as_bytes(), false),
            Err(_) => address(value),
        },
        Kind::Buffer(len) => {
            let len = all[len as usize];
            let mut bytes = vec![0; len.min(SHOWN) as usize];
            match memory.read_bytes(value, &mut bytes) {
                Ok(()) => quoted(&bytes, len > SHOWN),
                Err(_) => address(value),
            }
        }
        Kind::Address | Kind::Pointer | Kind::PointerIf(_) | Kind::OutBuffer(_) | Kind::Out(_) => {
            address(value)
        }
        Kind::Flags(names) => bits(names, value),
        Kind::Enum(names) => {
            let found = names.iter().find(|(_, known)| *known == value);
            found.map_or_else(|| (value as i64).to_string(), |(name, _)| (*name).into())
        }
        Kind::Signal => signal_name(value as i32),
    }
}

fn signal_name(signal: i32) -> String {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    let name = usize::try_from(signal - 1).ok().and_then(|n| NAMES.get(n));
    name.map_or_else(|| signal.to_string(), |name| (*name).into())
}

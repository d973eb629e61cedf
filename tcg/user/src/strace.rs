//! `-strace`: one line a system call, as QEMU prints them.

mod argument;

use crate::memory::Memory;
use crate::process::Config;
use crate::reserved::reserve;
use crate::signal::{Info, info_code};
use crate::sys;
use crate::syscall::{Gives, JUMPED, Row};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{IntoRawFd, RawFd};
use std::path::{Path, PathBuf};

/// Where a log goes.
#[derive(Clone, Debug)]
pub enum Log {
    /// To stderr.
    Stderr,
    /// To this file.
    File(PathBuf),
    /// To a file for each thread: `%d` in the name is the thread's number.
    OfThreads(String),
}

/// Whether there are lines, and where they go.
pub struct Strace {
    calls: bool,
    to: To,
}

enum To {
    File(RawFd),
    OfThreads(String),
}

/// Opens a log file, to be written at its end, under a descriptor of the emulator's.
pub fn open_log(path: &Path) -> io::Result<File> {
    reserve(&OpenOptions::new().create(true).append(true).open(path)?)
}

/// Writes to the present thread's file of the log `name`. It is open for no longer than that: threads are many, and one that is
/// forked has another.
pub fn log_of_thread(name: &str, bytes: &[u8]) -> io::Result<usize> {
    let path = name.replace("%d", &sys::gettid().to_string());
    OpenOptions::new().create(true).append(true).open(path)?.write(bytes)
}

impl Strace {
    /// As `config` has it.
    pub fn new(config: &Config) -> io::Result<Self> {
        let to = match &config.log {
            Log::File(path) if config.strace => To::File(open_log(path)?.into_raw_fd()),
            Log::OfThreads(name) => To::OfThreads(name.clone()),
            _ => To::File(2),
        };
        Ok(Self { calls: config.strace, to })
    }

    /// That nobody reads the log is no fault.
    fn print(&self, text: &str) {
        match &self.to {
            To::File(fd) => {
                let args = [*fd as u64, text.as_ptr() as u64, text.len() as u64, 0, 0, 0];
                // SAFETY: the kernel reads the text.
                unsafe { sys::call(libc::SYS_write, args) };
            }
            To::OfThreads(name) => drop(log_of_thread(name, text.as_bytes())),
        }
    }

    /// Before a call.
    pub fn enter(&self, memory: &Memory, row: &Row, args: &[u64; 6]) {
        if !self.calls {
            return;
        }
        let args = argument::all(memory, row.args, args);
        let end = if row.gives == Gives::Never { "\n" } else { "" };
        self.print(&format!("{} {}({args}){end}", sys::gettid(), row.name));
    }

    /// After it.
    pub fn leave(&self, row: &Row, done: &Result<u64, i32>) {
        if !self.calls {
            return;
        }
        self.print(&match done {
            _ if row.gives == Gives::Never => return,
            Ok(value) if row.gives == Gives::Address => format!(" = {value:#018x}\n"),
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
            self.print(&format!("{} Unknown syscall {number}\n", sys::gettid()));
        }
    }

    /// A signal that the guest is given.
    pub fn signal(&self, signal: i32, info: &Info) {
        if self.calls {
            let name = argument::signal(signal);
            let code = info_code(info);
            let addr = u64::from_le_bytes(info[16..24].try_into().expect("eight bytes"));
            let fault =
                matches!(signal, libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP);
            let addr = if code > 0 && fault { format!(", si_addr={addr:#018x}") } else { String::new() };
            self.print(&format!("--- {name} {{si_signo={name}, si_code={code}{addr}}} ---\n"));
        }
    }
}

//! `-strace`: one line a system call, as QEMU prints them.

mod argument;

use crate::memory::Memory;
use crate::process::Config;
use crate::reserved::reserve;
use crate::signal::{Info, info_code};
use crate::sys;
use crate::syscall::{Gives, JUMPED, Row};
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
        let args = argument::all(memory, row.args, args);
        let end = if row.gives == Gives::Never { "\n" } else { "" };
        self.print(&format!("{} {}({args}){end}", sys::getpid(), row.name));
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
            self.print(&format!("{} Unknown syscall {number}\n", sys::getpid()));
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

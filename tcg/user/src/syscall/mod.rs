//! System calls: one row each, in a file for each family.
//!
//! Numbers are those of the generic table (`asm-generic/unistd.h`), which riscv64 and aarch64 share. Most calls go to the
//! host as they are: memory is the same, and so are nearly all structures. What differs is converted by a function.

mod convert;
mod fd;
mod ipc;
mod kind;
mod memory;
pub mod names;
mod net;
mod path;
mod poll;
mod proc_mem;
pub mod proc_self;
mod process;
pub mod riscv;
mod signal;
mod system;
mod thread;
mod time;

pub use kind::{Kind, Names, Parts};
pub use proc_self::Mapping;
pub use process::{ForkWait, HIDDEN};

use crate::memory::Result;
use crate::reserved::is_reserved;
use crate::signal::{Again, Interrupted};
use crate::sys;
use crate::thread::Thread;
use std::ffi::CString;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// An error of a handler that is none of the guest's: the call is to be made again behind the signal that came first.
const ERESTARTNOINTR: i32 = sys::ERESTARTNOINTR as i32;
/// Another: the CPU already stands where the guest goes on.
pub const JUMPED: i32 = 600;

/// How a call is made.
#[derive(Clone, Copy)]
pub enum How {
    /// By the host, with this number.
    Host(i64),
    /// By a function here.
    Own(fn(&mut Thread, [u64; 6]) -> Result<u64>),
    /// Not at all: always this error.
    Refused(i32),
}

/// A system call.
#[derive(Clone, Copy)]
pub struct Row {
    /// Number.
    pub number: u16,
    /// Name.
    pub name: &'static str,
    /// What the arguments are.
    pub args: &'static [Kind],
    /// How it is made.
    pub how: How,
    /// What it gives.
    pub gives: Gives,
    /// Whether it is made again after a signal whose action has `SA_RESTART`.
    pub restarts: Restarts,
}

/// What a call gives, as `-strace` prints it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// A number.
    Number,
    /// An address.
    Address,
    /// Nothing: it does not come back.
    Never,
}

/// Whether a call that a handler with `SA_RESTART` interrupted is made again: `signal(7)`.
#[derive(Clone, Copy)]
pub enum Restarts {
    /// It is.
    Always,
    /// It is not.
    Never,
    /// Not if this holds of its arguments.
    Unless(fn(&[u64; 6]) -> bool),
}

impl Restarts {
    fn holds(self, args: &[u64; 6]) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Unless(interrupted) => !interrupted(args),
        }
    }
}

/// A call that the host makes.
pub const fn host(number: u16, name: &'static str, args: &'static [Kind], nr: i64) -> Row {
    Row { number, name, args, how: How::Host(nr), gives: Gives::Number, restarts: Restarts::Always }
}

/// A call that is made here.
pub const fn own(
    number: u16,
    name: &'static str,
    args: &'static [Kind],
    f: fn(&mut Thread, [u64; 6]) -> Result<u64>,
) -> Row {
    Row { number, name, args, how: How::Own(f), gives: Gives::Number, restarts: Restarts::Always }
}

/// A call that always fails.
pub const fn refused(number: u16, name: &'static str, args: &'static [Kind], errno: i32) -> Row {
    Row { number, name, args, how: How::Refused(errno), gives: Gives::Number, restarts: Restarts::Always }
}

impl Row {
    /// The same, which gives `what`.
    pub const fn gives(self, what: Gives) -> Self {
        Self { gives: what, ..self }
    }

    /// The same, but a handler always interrupts it.
    pub const fn interrupted(self) -> Self {
        Self { restarts: Restarts::Never, ..self }
    }

    /// The same, but a handler interrupts it if `holds` is true of its arguments.
    pub const fn interrupted_if(self, holds: fn(&[u64; 6]) -> bool) -> Self {
        Self { restarts: Restarts::Unless(holds), ..self }
    }
}

/// All families.
const FAMILIES: &[&[Row]] = &[
    fd::ROWS,
    ipc::ROWS,
    memory::ROWS,
    net::ROWS,
    path::ROWS,
    poll::ROWS,
    process::ROWS,
    signal::ROWS,
    system::ROWS,
    thread::ROWS,
    time::ROWS,
];

/// The row of call `number`.
pub fn row(own: &'static [Row], number: u64) -> Option<&'static Row> {
    static TABLE: OnceLock<Vec<Option<&'static Row>>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table = vec![None; 512];
        FAMILIES
            .iter()
            .flat_map(|rows| rows.iter())
            .for_each(|row| table[usize::from(row.number)] = Some(row));
        table
    });
    let common = table.get(usize::try_from(number).ok()?).copied().flatten();
    common.or_else(|| own.iter().find(|row| u64::from(row.number) == number))
}

/// System calls that were told of as missing, one bit a number.
#[derive(Default)]
pub struct Told([AtomicU64; 8]);

impl Told {
    /// Tells of call `number`, if it is the first time.
    fn missing(&self, number: u64, name: &str) {
        let (word, bit) = (number as usize / 64 % 8, 1 << (number % 64));
        if self.0[word].fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            let text = format!("Unsupported syscall: {number} {name}");
            tracing::trace!(target: "unimp", "{}", text.trim_end());
        }
    }
}

/// The result of a host call.
pub fn result(value: i64) -> Result<u64> {
    if (-4095..0).contains(&value) { Err(-value as i32) } else { Ok(value as u64) }
}

impl Thread {
    /// Makes the system call that the CPU stands at.
    pub fn system_call(&mut self, number: u64, args: [u64; 6]) {
        if self.trace.is_some() {
            return self.traced_call(number, args, Self::make_call);
        }
        self.make_call(number, args);
    }

    fn make_call(&mut self, number: u64, args: [u64; 6]) {
        let Some(row) = row(self.cpu.abi().rows, number) else {
            self.process.strace.unknown(number);
            self.process.told.missing(number, "");
            return self.cpu.finish_call(-i64::from(libc::ENOSYS) as u64);
        };
        let before = self.cpu.pc();
        self.tell_call(number, true);
        if self.cpu.pc() != before {
            // A debugger has it do something else.
            return;
        }
        let (_, args) = if self.debug.is_some() { self.cpu.call() } else { (number, args) };
        self.process.strace.enter(&self.process.memory, row, &args);
        let done = self.perform(row, args);
        self.process.strace.leave(row, &done);
        let value = match done {
            Ok(value) => value,
            Err(JUMPED) => return,
            Err(errno) => {
                let told = self.caught.take_leave();
                let cut_short = errno == libc::EINTR && (told || self.caught.is_waiting(self.mask));
                let again = match () {
                    () if errno == ERESTARTNOINTR => Some(Again::Always),
                    () if cut_short && row.restarts.holds(&args) => Some(Again::IfAsked),
                    () => cut_short.then_some(Again::Never),
                };
                self.interrupted = again.map(|again| Interrupted { first: args[0], again });
                -i64::from(if errno == ERESTARTNOINTR { libc::EINTR } else { errno }) as u64
            }
        };
        self.cpu.finish_call(value);
        self.tell_fork();
        self.tell_call(number, false);
    }

    fn perform(&mut self, row: &Row, mut args: [u64; 6]) -> Result<u64> {
        // Names of files in the sysroot take the place of the guest's, and live as long as the call.
        let mut names: [Option<CString>; 2] = [None, None];
        let mut used = names.iter_mut();
        let memory = self.process.memory.clone();
        for (n, kind) in row.args.iter().enumerate() {
            let arg = args[n];
            if kind.is_pointer(&args) && !memory.contains(arg, 0) {
                return Err(libc::EFAULT);
            }
            match kind.of(&args) {
                Some(Kind::Fd) if is_reserved(arg as i32) => return Err(libc::EBADF),
                Some(Kind::Path) if self.process.sysroot.folder().is_some() && arg != 0 => {
                    let name = self.process.sysroot.resolve(&memory.read_string(arg)?);
                    if let (Some(name), Some(slot)) = (name, used.next()) {
                        args[n] = slot.insert(name).as_ptr() as u64;
                    }
                }
                Some(Kind::OutBuffer(len)) => memory.prepare_write(arg, args[len as usize]),
                Some(Kind::Out(len)) => memory.prepare_write(arg, len),
                _ => {}
            }
        }
        match row.how {
            How::Host(nr) => self.host_call(nr, args),
            How::Own(f) => f(self, args),
            How::Refused(errno) => {
                self.process.told.missing(row.number.into(), row.name);
                Err(errno)
            }
        }
    }

    /// Makes host call `nr`, unless a signal is on its way.
    pub fn host_call(&mut self, nr: i64, args: [u64; 6]) -> Result<u64> {
        let done = self.in_call(|thread| {
            // SAFETY: the rows name calls whose effects on memory are inside what the guest names, which is its own: every
            // pointer was checked. What they do to the process is what the guest may do to it.
            result(unsafe { sys::interruptible(thread.caught.word(), nr, args) })
        });
        if done == Err(libc::EFAULT) {
            // Perhaps only because code is watched, or was.
            let all = self.process.memory.space().range();
            self.process.memory.prepare_write(all.start, all.end - all.start);
            // SAFETY: as above.
            return result(unsafe { sys::interruptible(self.caught.word(), nr, args) });
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_calls_are_never_made_again() {
        let never = FAMILIES
            .iter()
            .flat_map(|rows| rows.iter())
            .filter(|row| matches!(row.restarts, Restarts::Never));
        let mut names: Vec<&str> = never.map(|row| row.name).collect();
        names.sort_unstable();
        // signal(7), close(2).
        let known = [
            "clock_nanosleep",
            "close",
            "epoll_pwait",
            "epoll_pwait2",
            "io_getevents",
            "msgrcv",
            "msgsnd",
            "nanosleep",
            "ppoll",
            "pselect6",
            "rt_sigsuspend",
            "rt_sigtimedwait",
            "semop",
            "semtimedop",
        ];
        assert_eq!(names, known);
    }
}

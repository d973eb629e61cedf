//! Operations that a debugger carries out, with its own files and console.
//!
//! From: "Debugging with GDB", appendix E.13 (File-I/O Remote Protocol Extension).

use super::files::{CONSOLE, FEATURES, Handle};
use super::{EFAULT, FAILED, Memory, Platform, Semihosting, op, text, word};

/// What a debugger is asked for.
pub struct Request {
    /// The call with its arguments, as it follows `F` in a packet.
    pub text: String,
    result: Outcome,
}

/// What the debugger's answer is to the program.
enum Outcome {
    /// Nothing.
    None,
    /// The result itself.
    Value,
    /// That it is done.
    Done,
    /// The debugger's number of a file that is now open.
    Opened,
    /// The file of this handle is closed.
    Closed(u64),
    /// How many of so many bytes were moved; the program hears how many were not.
    Moved(u64),
    /// That one character was read; it is at this address.
    Character(u64),
    /// That a file's `struct stat` is at this address.
    Size(u64),
}

impl Request {
    /// The result of the operation where the debugger has not carried it out.
    pub fn failed(&self) -> u64 {
        match self.result {
            Outcome::None => 0,
            Outcome::Moved(len) => len,
            _ => FAILED,
        }
    }
}

/// The size of a `struct stat` of the protocol, and where its `st_size` is, of eight bytes with the highest first.
const STAT: u64 = 64;
const STAT_SIZE: u64 = 28;

/// The flags of `open`: not those of any host.
mod flag {
    pub const RDWR: u32 = 2;
    pub const WRONLY: u32 = 1;
    pub const APPEND: u32 = 8;
    pub const CREAT: u32 = 0x200;
    pub const TRUNC: u32 = 0x400;
}

/// The permissions of a new file.
const PERMISSIONS: u32 = 0o644;

/// The only number of an error that is not Linux'.
const ENAMETOOLONG: (i32, i32) = (91, 36);

fn flags(mode: u64) -> u32 {
    let updates = mode & 2 != 0;
    let access = match (mode / 4, updates) {
        (_, true) => flag::RDWR,
        (0, false) => 0,
        (_, false) => flag::WRONLY,
    };
    access
        | match mode / 4 {
            0 => 0,
            1 => flag::CREAT | flag::TRUNC,
            _ => flag::CREAT | flag::APPEND,
        }
}

impl Semihosting {
    /// What a debugger is to be asked for, so that operation `number` is carried out; `None`: it is not the debugger's.
    pub fn request(&mut self, platform: &mut dyn Platform, number: u64, parameter: u64) -> Option<Request> {
        if !self.files.of_debugger {
            return None;
        }
        let mut arg = |n| word(platform, parameter, n);
        let string = |addr: u64, len: u64| format!("{addr:x}/{:x}", len.wrapping_add(1));
        let (text, result) = match number {
            op::OPEN => {
                let (addr, mode, len) = (arg(0)?, arg(1)?, arg(2)?);
                let name = text(platform, addr, Some(len)).ok()?;
                if matches!(&*name, CONSOLE | FEATURES) || mode > 11 {
                    return None;
                }
                let (name, flags) = (string(addr, len), flags(mode));
                (format!("open,{name},{flags:x},{PERMISSIONS:x}"), Outcome::Opened)
            }
            op::CLOSE => {
                let handle = arg(0)?;
                (format!("close,{:x}", self.file(handle)?), Outcome::Closed(handle))
            }
            op::WRITEC => (format!("write,2,{parameter:x},1"), Outcome::None),
            op::WRITE0 => {
                let len = text(platform, parameter, None).ok()?.len();
                (format!("write,2,{parameter:x},{len:x}"), Outcome::None)
            }
            op::WRITE | op::READ => {
                let (handle, addr, len) = (arg(0)?, arg(1)?, arg(2)?);
                let call = if number == op::READ { "read" } else { "write" };
                (format!("{call},{:x},{addr:x},{len:x}", self.file(handle)?), Outcome::Moved(len))
            }
            op::READC => {
                let addr = platform.stack().wrapping_sub(1);
                (format!("read,0,{addr:x},1"), Outcome::Character(addr))
            }
            op::ISTTY => (format!("isatty,{:x}", self.file(arg(0)?)?), Outcome::Value),
            op::SEEK => {
                let (handle, at) = (arg(0)?, arg(1)?);
                (format!("lseek,{:x},{at:x},0", self.file(handle)?), Outcome::Done)
            }
            op::FLEN => {
                let file = self.file(arg(0)?)?;
                let addr = platform.stack().wrapping_sub(STAT);
                (format!("fstat,{file:x},{addr:x}"), Outcome::Size(addr))
            }
            op::REMOVE => (format!("unlink,{}", string(arg(0)?, arg(1)?)), Outcome::Value),
            op::RENAME => {
                let (from, to) = (string(arg(0)?, arg(1)?), string(arg(2)?, arg(3)?));
                (format!("rename,{from},{to}"), Outcome::Value)
            }
            op::SYSTEM => (format!("system,{}", string(arg(0)?, arg(1)?)), Outcome::Value),
            _ => return None,
        };
        Some(Request { text, result })
    }

    /// The debugger's number of the file that is open under `handle`.
    fn file(&mut self, handle: u64) -> Option<u64> {
        match self.files.get(handle) {
            Ok(Handle::Debugger(file)) => Some(*file),
            _ => None,
        }
    }

    /// The result of the operation that `request` was for: the debugger has answered with a value, or with the number of an error.
    pub fn answered(&mut self, memory: &mut dyn Memory, request: &Request, answer: Result<u64, i32>) -> u64 {
        let value = match answer {
            Ok(value) => value,
            Err(errno) => {
                self.errno = if errno == ENAMETOOLONG.0 { ENAMETOOLONG.1 } else { errno };
                return request.failed();
            }
        };
        match request.result {
            Outcome::None => 0,
            Outcome::Value => value,
            Outcome::Done => 0,
            Outcome::Opened => self.files.add(Handle::Debugger(value)).unwrap_or(FAILED),
            Outcome::Closed(handle) => self.files.close(handle).map_or(FAILED, |()| 0),
            Outcome::Moved(len) => len.saturating_sub(value),
            Outcome::Character(_) if value != 1 => FAILED,
            Outcome::Character(addr) => {
                let mut byte = [0];
                if memory.read_memory(addr, &mut byte) { byte[0].into() } else { self.fault() }
            }
            Outcome::Size(addr) => {
                let mut size = [0; 8];
                let read = memory.read_memory(addr.wrapping_add(STAT_SIZE), &mut size);
                if read { u64::from_be_bytes(size) } else { self.fault() }
            }
        }
    }

    /// There is no memory where the debugger was to put something.
    fn fault(&mut self) -> u64 {
        self.errno = EFAULT;
        FAILED
    }
}

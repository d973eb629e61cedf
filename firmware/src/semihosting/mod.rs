//! Semihosting: a program on bare metal uses the files, the console and the clock of whoever runs it.
//!
//! From: Arm "Semihosting for AArch32 and AArch64" 3.0 for the operations, RISC-V "Semihosting" 0.4 for the way they are
//! asked for. An operation has a number and a parameter, most often the address of a block of words in guest memory.
//! `SYS_SYSTEM` is refused: a guest runs no commands on the host. Files are those that the user can open, as in QEMU; so
//! semihosting is off unless it is asked for.

mod debugger;
mod files;

pub use debugger::Request;
pub use files::Files;

use files::Handle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What a text is written to the console for: a console that is one line mixes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The program's output: `:tt`, opened to be written.
    Output,
    /// Its complaints: `:tt`, opened to be appended to.
    Error,
    /// What it says without a file.
    Debug,
}

/// The memory of the program.
pub trait Memory {
    /// Reads; false where there is none.
    fn read_memory(&mut self, addr: u64, bytes: &mut [u8]) -> bool;
    /// Writes; false where there is none.
    fn write_memory(&mut self, addr: u64, bytes: &[u8]) -> bool;
}

/// What the operations work on.
pub trait Platform: Memory {
    /// Writes to the console.
    fn console_write(&mut self, stream: Stream, bytes: &[u8]);
    /// The next character of the console; `None` where there will be none.
    fn console_read(&mut self) -> Option<u8>;
    /// The program is done, with this status.
    fn exit(&mut self, status: u32);
    /// Heap and stack that a program may use: heap base and limit, stack base and limit.
    fn heap_and_stack(&self) -> [u64; 4];
    /// Where the program's stack ends; it uses nothing below.
    fn stack(&mut self) -> u64;
}

/// Operations by number.
mod op {
    pub const OPEN: u64 = 0x01;
    pub const CLOSE: u64 = 0x02;
    pub const WRITEC: u64 = 0x03;
    pub const WRITE0: u64 = 0x04;
    pub const WRITE: u64 = 0x05;
    pub const READ: u64 = 0x06;
    pub const READC: u64 = 0x07;
    pub const ISERROR: u64 = 0x08;
    pub const ISTTY: u64 = 0x09;
    pub const SEEK: u64 = 0x0a;
    pub const FLEN: u64 = 0x0c;
    pub const TMPNAM: u64 = 0x0d;
    pub const REMOVE: u64 = 0x0e;
    pub const RENAME: u64 = 0x0f;
    pub const CLOCK: u64 = 0x10;
    pub const TIME: u64 = 0x11;
    pub const SYSTEM: u64 = 0x12;
    pub const ERRNO: u64 = 0x13;
    pub const GET_CMDLINE: u64 = 0x15;
    pub const HEAPINFO: u64 = 0x16;
    pub const EXIT: u64 = 0x18;
    pub const EXIT_EXTENDED: u64 = 0x20;
    pub const ELAPSED: u64 = 0x30;
    pub const TICKFREQ: u64 = 0x31;
}

/// `ADP_Stopped_ApplicationExit`: the reason of a program that is done; its status comes with it.
const APPLICATION_EXIT: u64 = 0x20026;
/// What an operation that failed gives.
const FAILED: u64 = u64::MAX;
/// Ticks of `SYS_ELAPSED` a second.
const TICKS: u64 = 1_000_000_000;
/// Bytes that are moved at once.
const PIECE: usize = 64 << 10;
/// Bytes that one operation moves, at most.
const LONGEST: u64 = 256 << 20;
/// Longest text, in bytes.
const LONGEST_TEXT: usize = 64 << 10;

const EBADF: i32 = 9;
const EFAULT: i32 = 14;
const EINVAL: i32 = 22;
const ENOSYS: i32 = 38;

/// Semihosting of one machine.
pub struct Semihosting {
    command_line: String,
    files: Files,
    /// The last error, as the host numbers it.
    errno: i32,
    start: Instant,
}

/// Why an operation failed.
pub(crate) struct Failure(i32);

impl From<std::io::Error> for Failure {
    fn from(fault: std::io::Error) -> Self {
        Self(fault.raw_os_error().unwrap_or(EINVAL))
    }
}

type Outcome<T> = Result<T, Failure>;

impl Semihosting {
    /// Semihosting for a program that was started by `command_line`, with the host's files.
    pub fn new(command_line: String) -> Self {
        Self { command_line, files: Files::default(), errno: 0, start: Instant::now() }
    }

    /// The same with the files of a debugger, which [`Semihosting::request`] says what to ask for.
    pub fn with_debugger(command_line: String) -> Self {
        Self { files: Files::with_debugger(), ..Self::new(command_line) }
    }

    /// Carries out operation `number` with `parameter`; gives its result.
    pub fn call(&mut self, platform: &mut dyn Platform, number: u64, parameter: u64) -> u64 {
        match self.carry_out(platform, number, parameter) {
            Ok(value) => value,
            Err(Failure(errno)) => {
                self.errno = errno;
                match number {
                    // These give the number of bytes that were not moved: all.
                    op::WRITE | op::READ => word(platform, parameter, 2).unwrap_or(FAILED),
                    _ => FAILED,
                }
            }
        }
    }

    fn carry_out(&mut self, platform: &mut dyn Platform, number: u64, parameter: u64) -> Outcome<u64> {
        let mut arg = |n| word(platform, parameter, n).ok_or(Failure(EFAULT));
        match number {
            op::OPEN => {
                let (name, mode, len) = (arg(0)?, arg(1)?, arg(2)?);
                let name = text(platform, name, Some(len))?;
                self.files.open(&name, mode)
            }
            op::CLOSE => self.files.close(arg(0)?).map(|()| 0),
            op::WRITEC => {
                let mut byte = [0];
                read(platform, parameter, &mut byte)?;
                platform.console_write(Stream::Debug, &byte);
                Ok(0)
            }
            op::WRITE0 => {
                let text = text(platform, parameter, None)?;
                platform.console_write(Stream::Debug, &text);
                Ok(0)
            }
            op::WRITE => {
                let (handle, addr, len) = (arg(0)?, arg(1)?, arg(2)?);
                self.write(platform, handle, (addr, len))
            }
            op::READ => {
                let (handle, addr, len) = (arg(0)?, arg(1)?, arg(2)?);
                self.read(platform, handle, (addr, len))
            }
            op::READC => Ok(platform.console_read().map_or(FAILED, u64::from)),
            op::ISERROR => Ok(u64::from((arg(0)? as i64) < 0)),
            op::ISTTY => Ok(u64::from(matches!(self.files.get(arg(0)?)?, Handle::Console(_)))),
            op::SEEK => {
                let (handle, at) = (arg(0)?, arg(1)?);
                self.files.seek(handle, at).map(|()| 0)
            }
            op::FLEN => self.files.len(arg(0)?),
            op::TMPNAM => {
                let (addr, id, len) = (arg(0)?, arg(1)?, arg(2)?);
                let name =
                    format!("{}/mimic-{}-{id:02x}\0", std::env::temp_dir().display(), std::process::id());
                if name.len() as u64 > len {
                    return Err(Failure(EINVAL));
                }
                write(platform, addr, name.as_bytes()).map(|()| 0)
            }
            op::REMOVE => {
                let (addr, len) = (arg(0)?, arg(1)?);
                let name = text(platform, addr, Some(len))?;
                std::fs::remove_file(files::path(&name)?)?;
                Ok(0)
            }
            op::RENAME => {
                let [from, from_len, to, to_len] = [arg(0)?, arg(1)?, arg(2)?, arg(3)?];
                let (from, to) = (text(platform, from, Some(from_len))?, text(platform, to, Some(to_len))?);
                std::fs::rename(files::path(&from)?, files::path(&to)?)?;
                Ok(0)
            }
            op::CLOCK => Ok(self.start.elapsed().as_millis() as u64 / 10),
            op::TIME => Ok(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())),
            op::SYSTEM => Err(Failure(ENOSYS)),
            op::ERRNO => Ok(self.errno as u64),
            op::GET_CMDLINE => {
                let (addr, room) = (arg(0)?, arg(1)?);
                let line = [self.command_line.as_bytes(), b"\0"].concat();
                if line.len() as u64 > room {
                    return Err(Failure(EINVAL));
                }
                write(platform, addr, &line)?;
                write(platform, parameter.wrapping_add(8), &(line.len() as u64 - 1).to_le_bytes())?;
                Ok(0)
            }
            op::HEAPINFO => {
                let addr = arg(0)?;
                let words = platform.heap_and_stack();
                let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                write(platform, addr, &bytes).map(|()| 0)
            }
            op::EXIT | op::EXIT_EXTENDED => {
                let (reason, status) = (arg(0)?, arg(1)?);
                platform.exit(if reason == APPLICATION_EXIT { status as u32 } else { 1 });
                Ok(0)
            }
            op::ELAPSED => {
                let ticks = self.start.elapsed().as_nanos() as u64;
                write(platform, parameter, &ticks.to_le_bytes()).map(|()| 0)
            }
            op::TICKFREQ => Ok(TICKS),
            _ => Err(Failure(ENOSYS)),
        }
    }

    /// Gives the number of bytes that were not written.
    fn write(&mut self, platform: &mut dyn Platform, handle: u64, (addr, len): (u64, u64)) -> Outcome<u64> {
        let mut done = 0;
        while done < len.min(LONGEST) {
            let mut bytes = vec![0; PIECE.min((len - done) as usize)];
            read(platform, addr.wrapping_add(done), &mut bytes)?;
            match self.files.get(handle)? {
                Handle::Console(stream) => platform.console_write(*stream, &bytes),
                file => file.write_all(&bytes)?,
            }
            done += bytes.len() as u64;
        }
        Ok(len - done)
    }

    /// Gives the number of bytes that were not read.
    fn read(&mut self, platform: &mut dyn Platform, handle: u64, (addr, len): (u64, u64)) -> Outcome<u64> {
        let mut done = 0;
        while done < len.min(LONGEST) {
            let mut bytes = vec![0; PIECE.min((len - done) as usize)];
            let read = match self.files.get(handle)? {
                // A line of the console is given as it comes, a character at a time.
                Handle::Console(_) => {
                    let Some(byte) = platform.console_read() else { break };
                    bytes[0] = byte;
                    write(platform, addr.wrapping_add(done), &bytes[..1])?;
                    return Ok(len - done - 1);
                }
                file => file.read(&mut bytes)?,
            };
            if read == 0 {
                break;
            }
            write(platform, addr.wrapping_add(done), &bytes[..read])?;
            done += read as u64;
        }
        Ok(len - done)
    }
}

/// Word `n` of the block at `addr`.
fn word(platform: &mut dyn Platform, addr: u64, n: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    platform.read_memory(addr.wrapping_add(8 * n), &mut bytes).then(|| u64::from_le_bytes(bytes))
}

fn read(platform: &mut dyn Platform, addr: u64, bytes: &mut [u8]) -> Outcome<()> {
    if platform.read_memory(addr, bytes) { Ok(()) } else { Err(Failure(EFAULT)) }
}

fn write(platform: &mut dyn Platform, addr: u64, bytes: &[u8]) -> Outcome<()> {
    if platform.write_memory(addr, bytes) { Ok(()) } else { Err(Failure(EFAULT)) }
}

/// A text of `len` bytes, or one that ends with a zero.
fn text(platform: &mut dyn Platform, addr: u64, len: Option<u64>) -> Outcome<Vec<u8>> {
    if let Some(len) = len {
        let len = usize::try_from(len).ok().filter(|len| *len <= LONGEST_TEXT).ok_or(Failure(EINVAL))?;
        let mut bytes = vec![0; len];
        return read(platform, addr, &mut bytes).map(|()| bytes);
    }
    let mut bytes = Vec::new();
    loop {
        let mut byte = [0];
        read(platform, addr.wrapping_add(bytes.len() as u64), &mut byte)?;
        if byte == [0] || bytes.len() >= LONGEST_TEXT {
            return Ok(bytes);
        }
        bytes.push(byte[0]);
    }
}

#[cfg(test)]
mod tests;

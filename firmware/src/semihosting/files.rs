//! Open files, by the handles that the guest has.

use super::{EBADF, EINVAL, Failure, Outcome, Stream};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The name of the console.
pub const CONSOLE: &[u8] = b":tt";
/// The name of the file that tells what is supported: "SHFB", then bits; `SYS_EXIT_EXTENDED`, and stdout apart from
/// stderr.
pub const FEATURES: &[u8] = b":semihosting-features";
const SUPPORTED: [u8; 5] = [b'S', b'H', b'F', b'B', 0b11];
/// Handles, at most.
const MOST: usize = 256;

/// What a handle stands for.
pub enum Handle {
    /// The console.
    Console(Stream),
    /// A file of the host's.
    File(File),
    /// A file of a debugger's, by its number.
    Debugger(u64),
    /// [`FEATURES`].
    Features(Cursor<&'static [u8]>),
}

impl Handle {
    pub fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Console(_) | Self::Debugger(_) => Ok(0),
            Self::File(file) => file.read(to),
            Self::Features(cursor) => cursor.read(to),
        }
    }

    pub fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::File(file) => file.write_all(bytes),
            Self::Console(_) | Self::Debugger(_) | Self::Features(_) => {
                Err(std::io::Error::from_raw_os_error(EBADF))
            }
        }
    }
}

/// All open files. Handles begin with one, so that none is zero.
#[derive(Default)]
pub struct Files {
    open: Vec<Option<Handle>>,
    /// They are a debugger's, and so is the console.
    pub(super) of_debugger: bool,
}

/// A guest's name of a file as a path.
pub fn path(name: &[u8]) -> Outcome<&Path> {
    if name.is_empty() || name.contains(&0) {
        return Err(Failure(EINVAL));
    }
    Ok(Path::new(OsStr::from_bytes(name)))
}

/// The options of `mode`, the index of C's `r`, `rb`, `r+`, `r+b`, `w`, ..., `a+b`.
fn options(mode: u64) -> Outcome<OpenOptions> {
    let update = mode & 2 != 0;
    let mut options = OpenOptions::new();
    match mode / 4 {
        0 => options.read(true).write(update),
        1 => options.write(true).read(update).create(true).truncate(true),
        2 => options.append(true).read(update).create(true),
        _ => return Err(Failure(EINVAL)),
    };
    Ok(options)
}

impl Files {
    /// Those of a debugger.
    pub(super) fn with_debugger() -> Self {
        Self { of_debugger: true, ..Self::default() }
    }

    /// Opens a file; gives its handle.
    pub(super) fn open(&mut self, name: &[u8], mode: u64) -> Outcome<u64> {
        let options = options(mode)?;
        let handle = match name {
            // Its standard streams.
            CONSOLE if self.of_debugger => Handle::Debugger(mode / 4),
            CONSOLE if mode / 4 == 2 => Handle::Console(Stream::Error),
            CONSOLE => Handle::Console(Stream::Output),
            FEATURES if mode < 2 => Handle::Features(Cursor::new(&SUPPORTED)),
            FEATURES => return Err(Failure(EINVAL)),
            _ => Handle::File(options.open(path(name)?)?),
        };
        self.add(handle)
    }

    /// Gives `handle` its number.
    pub(super) fn add(&mut self, handle: Handle) -> Outcome<u64> {
        let free = self.open.iter().position(Option::is_none);
        let at = match free {
            Some(at) => at,
            // `EMFILE`.
            None if self.open.len() >= MOST => return Err(Failure(24)),
            None => {
                self.open.push(None);
                self.open.len() - 1
            }
        };
        self.open[at] = Some(handle);
        Ok(at as u64 + 1)
    }

    fn slot(&mut self, handle: u64) -> Outcome<&mut Option<Handle>> {
        let at = handle.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.open.get_mut(at)).filter(|slot| slot.is_some()).ok_or(Failure(EBADF))
    }

    pub(super) fn get(&mut self, handle: u64) -> Outcome<&mut Handle> {
        self.slot(handle)?.as_mut().ok_or(Failure(EBADF))
    }

    pub(super) fn close(&mut self, handle: u64) -> Outcome<()> {
        *self.slot(handle)? = None;
        Ok(())
    }

    pub(super) fn seek(&mut self, handle: u64, at: u64) -> Outcome<()> {
        match self.get(handle)? {
            Handle::Console(_) | Handle::Debugger(_) => return Err(Failure(EINVAL)),
            Handle::File(file) => file.seek(SeekFrom::Start(at))?,
            Handle::Features(cursor) => cursor.seek(SeekFrom::Start(at))?,
        };
        Ok(())
    }

    pub(super) fn len(&mut self, handle: u64) -> Outcome<u64> {
        match self.get(handle)? {
            Handle::Console(_) | Handle::Debugger(_) => Err(Failure(EINVAL)),
            Handle::File(file) => Ok(file.metadata()?.len()),
            Handle::Features(cursor) => Ok(cursor.get_ref().len() as u64),
        }
    }
}

//! Files as the program sees them, opened for a debugger.

use super::Debug;
use crate::syscall::proc_self;
use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Lowest descriptor of such a file: none that the program may come to expect.
const HIGH: i32 = 900;

/// What is in a file.
pub enum Contents {
    /// A file of the host's.
    File(File),
    /// What was made for the program, as some files of `/proc` are.
    Made(Vec<u8>),
}

/// A file that a debugger has opened.
pub struct Opened {
    /// What is in it.
    pub contents: Contents,
}

impl Opened {
    /// Reads at most `len` bytes at `offset`.
    pub fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        match &self.contents {
            Contents::File(file) => {
                let mut bytes = vec![0; len];
                let len = file.read_at(&mut bytes, offset)?;
                bytes.truncate(len);
                Ok(bytes)
            }
            Contents::Made(all) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| all.get(offset..)).unwrap_or(&[]);
                Ok(rest[..rest.len().min(len)].to_vec())
            }
        }
    }
}

impl Debug {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// Those of the host.
    pub fn open(&self, name: &CStr) -> io::Result<Opened> {
        let process = self.process().ok_or(io::ErrorKind::NotFound)?;
        if let Some(made) = proc_self::contents(&process, name) {
            return Ok(Opened { contents: Contents::Made(made) });
        }
        let path = match proc_self::link(&process, name) {
            Some(path) => Path::new(OsStr::from_bytes(&path)).to_path_buf(),
            None => process.sysroot.resolve_path(Path::new(OsStr::from_bytes(name.to_bytes()))),
        };
        // A debugger is not to wait for who opens the other end of a pipe.
        let file =
            OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
        // SAFETY: makes a descriptor.
        let fd = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, HIGH) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was made just now, and nobody else has it.
        Ok(Opened { contents: Contents::File(unsafe { File::from_raw_fd(fd) }) })
    }

    /// What the link `name` leads to.
    ///
    /// # Errors
    /// Those of the host.
    pub fn read_link(&self, name: &CStr) -> io::Result<Vec<u8>> {
        let process = self.process().ok_or(io::ErrorKind::NotFound)?;
        if let Some(link) = proc_self::link(&process, name) {
            return Ok(link);
        }
        let path = process.sysroot.resolve_path(Path::new(OsStr::from_bytes(name.to_bytes())));
        Ok(std::fs::read_link(path)?.as_os_str().as_bytes().to_vec())
    }

    /// The program's file.
    pub fn exec_file(&self) -> Vec<u8> {
        let name = |process: std::sync::Arc<crate::process::Process>| {
            CString::new(process.exe.as_os_str().as_bytes()).map(CString::into_bytes).unwrap_or_default()
        };
        self.process().map(name).unwrap_or_default()
    }
}

//! Code memory that is never writable and executable at one address: shared memory mapped twice.
//!
//! It has no file, so that profilers take it for what it is: `perf` looks into its map of generated code only for memory
//! without one. A copy for a new process is a `memfd`.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::ptr;

/// Two views of the same bytes.
pub struct CodeMemory {
    write: *mut u8,
    run: *const u8,
    len: usize,
}

// SAFETY: the two mappings belong to this value; writes go through `&mut self` or single aligned stores.
unsafe impl Send for CodeMemory {}

fn new_file(len: usize) -> io::Result<File> {
    // SAFETY: the name is a NUL-terminated literal.
    let fd = unsafe { libc::memfd_create(c"translations".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just handed out `fd`.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(len as u64)?;
    Ok(file)
}

/// Two mappings of the same new memory: to write and to run.
fn map_twice(len: usize) -> io::Result<(*mut u8, *mut u8)> {
    let failed = |at| at == libc::MAP_FAILED;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let write = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if failed(write) {
        return Err(io::Error::last_os_error());
    }
    // Of a shared mapping no bytes are moved: it is mapped once more.
    // SAFETY: leaves the mapping above as it is; the new one is at an address of the kernel's choice.
    let run = unsafe { libc::mremap(write, 0, len, libc::MREMAP_MAYMOVE) };
    // SAFETY: the mapping made just now.
    let done = !failed(run) && unsafe { libc::mprotect(run, len, libc::PROT_READ | libc::PROT_EXEC) } == 0;
    if done {
        return Ok((write.cast(), run.cast()));
    }
    let error = io::Error::last_os_error();
    for at in [write, run].into_iter().filter(|at| !failed(*at)) {
        // SAFETY: mapped above, not used yet.
        unsafe { libc::munmap(at, len) };
    }
    Err(error)
}

impl CodeMemory {
    /// `len` bytes of code memory.
    pub fn new(len: usize) -> io::Result<Self> {
        let (write, run) = map_twice(len)?;
        Ok(Self { write, run, len })
    }

    /// Size in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Where the code runs.
    pub fn run_base(&self) -> *const u8 {
        self.run
    }

    /// Copies code in; nobody runs these bytes yet.
    pub fn write(&mut self, at: usize, code: &[u8]) {
        assert!(at + code.len() <= self.len, "code lies inside the memory");
        // SAFETY: inside the writable mapping.
        unsafe { ptr::copy_nonoverlapping(code.as_ptr(), self.write.add(at), code.len()) };
    }

    /// Replaces 4 aligned bytes that others may be running.
    pub fn patch(&mut self, at: usize, word: u32) {
        assert!(at.is_multiple_of(4) && at + 4 <= self.len, "patches are aligned words inside the memory");
        // SAFETY: inside the writable mapping and aligned; the store is atomic.
        unsafe {
            (*self.write.add(at).cast::<std::sync::atomic::AtomicU32>())
                .store(word, std::sync::atomic::Ordering::Release);
        }
    }

    /// A copy of the first `used` bytes, for [`Self::replace`].
    pub fn copy(&self, used: usize) -> io::Result<File> {
        let file = new_file(self.len)?;
        file.write_all_at(self.bytes(0, used), 0)?;
        Ok(file)
    }

    /// Has a copy take the place of the memory, at the same addresses. Nobody runs code meanwhile.
    pub fn replace(&mut self, copy: &File) -> io::Result<()> {
        let views = [(self.write.cast_const(), libc::PROT_WRITE), (self.run, libc::PROT_EXEC)];
        for (at, protection) in views {
            let (flags, protection) = (libc::MAP_SHARED | libc::MAP_FIXED, protection | libc::PROT_READ);
            // SAFETY: replaces a mapping of this value.
            let done =
                unsafe { libc::mmap(at.cast_mut().cast(), self.len, protection, flags, copy.as_raw_fd(), 0) };
            if done == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// The bytes at `at`.
    pub fn bytes(&self, at: usize, len: usize) -> &[u8] {
        assert!(at + len <= self.len, "code lies inside the memory");
        // SAFETY: inside the mapping.
        unsafe { std::slice::from_raw_parts(self.run.add(at), len) }
    }
}

impl Drop for CodeMemory {
    fn drop(&mut self) {
        // SAFETY: both were mapped in `new`; nobody runs code of a dropped memory.
        unsafe {
            libc::munmap(self.write.cast(), self.len);
            libc::munmap(self.run.cast_mut().cast(), self.len);
        }
    }
}

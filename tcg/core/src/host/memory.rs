//! Code memory that is never writable and executable at one address: shared memory mapped twice.
//!
//! It has no file, so that profilers take it for what it is: `perf` looks into its map of generated code only for memory
//! without one. Nor has a copy for a new process, which may share its parent's descriptors.

use std::io;
use std::mem::ManuallyDrop;
use std::ptr;

/// Two views of the same bytes.
pub struct CodeMemory {
    write: *mut u8,
    run: *const u8,
    len: usize,
}

// SAFETY: the two mappings belong to this value; writes go through `&mut self` or single aligned stores.
unsafe impl Send for CodeMemory {}

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
    pub fn copy(&self, used: usize) -> io::Result<Self> {
        let mut copy = Self::new(self.len)?;
        // SAFETY: has the kernel make pages of the new mapping that are written next. That it cannot is no harm.
        unsafe { libc::madvise(copy.write.cast(), used.next_multiple_of(4096), libc::MADV_POPULATE_WRITE) };
        copy.write(0, self.bytes(0, used));
        Ok(copy)
    }

    /// Has a copy take the place of the memory, at the same addresses. Nobody runs code meanwhile.
    pub fn replace(&mut self, copy: Self) -> io::Result<()> {
        assert_eq!(copy.len, self.len, "it is a copy of this memory");
        // What has moved is this value's; what has not, after an error, nobody's.
        let copy = ManuallyDrop::new(copy);
        for (from, to) in [(copy.write.cast_const(), self.write.cast_const()), (copy.run, self.run)] {
            let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
            // SAFETY: moves a mapping of the copy's over one of this value's, both of `len` bytes.
            let done =
                unsafe { libc::mremap(from.cast_mut().cast(), self.len, self.len, flags, to.cast_mut()) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_takes_the_place_of_the_memory() {
        let mut memory = CodeMemory::new(16 << 10).expect("there is memory");
        memory.write(0, b"before");
        memory.write(5000, b"not copied");
        let (write, run) = (memory.write, memory.run);
        let copy = memory.copy(4096).expect("there is memory");
        memory.write(0, b"after!");
        memory.replace(copy).expect("it fits");
        assert_eq!((memory.write, memory.run), (write, run));
        assert_eq!((memory.bytes(0, 6), memory.bytes(5000, 3)), (&b"before"[..], &[0; 3][..]));
        memory.write(0, b"again!");
        assert_eq!(memory.bytes(0, 6), b"again!");
    }
}

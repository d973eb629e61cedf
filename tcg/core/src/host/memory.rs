//! Code memory that is never writable and executable at one address: shared memory mapped twice.
//!
//! It has no file, so that profilers take it for what it is: `perf` looks into its map of generated code only for memory
//! without one. Nor has a copy for a new process, which may share its parent's descriptors.
//!
//! As it fills it is put into the host's large pages: generated code is spread over megabytes.

use std::io;
use std::mem::ManuallyDrop;
use std::ptr;

/// Two views of the same bytes.
pub struct CodeMemory {
    write: *mut u8,
    run: *const u8,
    len: usize,
    /// How many bytes have been put into large pages, or are not to be.
    large: usize,
}

/// Size of a large page.
const LARGE: usize = 2 << 20;
/// How much of the first has to be in use before it is made: what runs little code need not pay for it.
const FIRST: usize = 512 << 10;

// SAFETY: the two mappings belong to this value; writes go through `&mut self` or single aligned stores.
unsafe impl Send for CodeMemory {}

/// Addresses for `len` bytes, at a multiple of [`LARGE`], that are mapped to nothing yet.
fn reserve(len: usize) -> io::Result<*mut libc::c_void> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let all = unsafe { libc::mmap(ptr::null_mut(), len + LARGE, libc::PROT_NONE, flags, -1, 0) };
    if all == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let before = all.align_offset(LARGE);
    // SAFETY: gives parts of it back, which nobody uses.
    unsafe {
        if before > 0 {
            libc::munmap(all, before);
        }
        libc::munmap(all.byte_add(before + len), LARGE - before);
        Ok(all.byte_add(before))
    }
}

/// Two mappings of the same new memory, at multiples of [`LARGE`]: to write and to run.
fn map_twice(len: usize) -> io::Result<(*mut u8, *mut u8)> {
    let unmap = |error, at: &[*mut libc::c_void]| {
        for at in at {
            // SAFETY: mapped here, not used yet.
            unsafe { libc::munmap(*at, len) };
        }
        Err(error)
    };
    let write = reserve(len)?;
    let run = match reserve(len) {
        Ok(run) => run,
        Err(error) => return unmap(error, &[write]),
    };
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: over what was reserved. Of a shared mapping no bytes are moved: it is mapped once more.
    let done = unsafe {
        libc::mmap(write, len, rights, flags, -1, 0) != libc::MAP_FAILED
            && libc::mremap(write, 0, len, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, run) != libc::MAP_FAILED
            && libc::mprotect(run, len, libc::PROT_READ | libc::PROT_EXEC) == 0
    };
    if done { Ok((write.cast(), run.cast())) } else { unmap(io::Error::last_os_error(), &[write, run]) }
}

impl CodeMemory {
    /// `len` bytes of code memory.
    pub fn new(len: usize) -> io::Result<Self> {
        let (write, run) = map_twice(len)?;
        Ok(Self { write, run, len, large: 0 })
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
        self.enlarge(at + code.len());
    }

    /// Has memory up to `used` be in large pages, once that pays.
    fn enlarge(&mut self, used: usize) {
        while used > self.large.max(FIRST) && self.large + LARGE <= self.len {
            for view in [self.write.cast_const(), self.run] {
                // SAFETY: moves bytes of this mapping, which stay where they are for whoever reads or runs them. That the kernel
                // can not, or does not know how, is no harm.
                unsafe { libc::madvise(view.add(self.large).cast_mut().cast(), LARGE, libc::MADV_COLLAPSE) };
            }
            self.large += LARGE;
        }
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

    /// A copy of the first `used` bytes, for [`Self::replace`]; in small pages, since most new processes live for a moment only.
    pub fn copy(&self, used: usize) -> io::Result<Self> {
        let mut copy = Self::new(self.len)?;
        copy.large = used.next_multiple_of(LARGE);
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
        self.large = copy.large;
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
    fn bytes_stay_as_pages_become_large() {
        let mut memory = CodeMemory::new(3 * LARGE).expect("there is memory");
        let byte = |at: usize| (at / 4096 % 251) as u8;
        for at in (0..3 * LARGE).step_by(4096) {
            memory.write(at, &[byte(at)]);
        }
        memory.patch(FIRST, u32::from_le_bytes([7; 4]));
        assert_eq!(memory.bytes(FIRST, 4), [7; 4]);
        assert!(
            (0..3 * LARGE)
                .step_by(4096)
                .filter(|at| *at != FIRST)
                .all(|at| memory.bytes(at, 2) == [byte(at), 0])
        );
        assert_eq!(
            (memory.write.align_offset(LARGE), memory.run.align_offset(LARGE), memory.large),
            (0, 0, 3 * LARGE)
        );
    }

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

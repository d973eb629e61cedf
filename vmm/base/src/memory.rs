//! Guest memory: RAM that devices reach through `vm-memory`, read-only regions, and the watch on pages that hold
//! translated code.
//!
//! RAM is private memory in large pages, as far as the host has them: the guest's memory is mapped by the guest, and once more by
//! the host, so that small ones cost a guest that uses much of it a third of its speed. Every write that goes
//! through `vm-memory` (DMA of a device, a kernel loader) reports itself to the region's [`WriteWatch`]; a vCPU's own
//! stores ask [`WriteWatch::is_watched`] when they fill their TLB.

use std::fmt;
use std::fs::File;
use std::os::fd::FromRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use thiserror::Error;
use vm_memory::bitmap::{Bitmap, BitmapSlice, NewBitmap, WithBitmapSlice};
use vm_memory::mmap::{MmapRegionBuilder, MmapRegionError};
use vm_memory::{GuestAddress, GuestMemoryMmap, GuestRegionMmap, MmapRegion};

/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
/// The grain of write watching, and the smallest page of every guest.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;

/// All RAM of a machine.
pub type GuestRam = GuestMemoryMmap<WriteWatch>;
/// One piece of RAM.
pub type RamRegion = GuestRegionMmap<WriteWatch>;

/// Why guest memory could not be had.
#[derive(Debug, Error)]
pub enum MemoryError {
    /// The host refused the file behind the memory.
    #[error("cannot allocate {bytes} bytes of guest memory: {source}")]
    Allocate {
        /// Size asked for.
        bytes: u64,
        /// The host's reason.
        source: std::io::Error,
    },
    /// The host refused the mapping.
    #[error("cannot map {bytes} bytes of guest memory: {source}")]
    Map {
        /// Size asked for.
        bytes: u64,
        /// The host's reason.
        source: MmapRegionError,
    },
    /// The host did not let contents be kept or put back.
    #[error("cannot exchange the contents of {bytes} bytes of guest memory: {source}")]
    Exchange {
        /// Size of the region.
        bytes: u64,
        /// The host's reason.
        source: std::io::Error,
    },
    /// Base and size do not make a range of guest-physical addresses.
    #[error("guest memory of {bytes} bytes at {base:#x} does not fit the address space")]
    Range {
        /// First guest-physical address.
        base: u64,
        /// Size asked for.
        bytes: u64,
    },
}

/// Is told of writes to watched pages.
pub trait WriteWatcher: Send + Sync {
    /// Bytes `addr .. addr + len` (guest-physical) were written, at least one of them in a watched page.
    fn written(&self, addr: u64, len: u64);
}

struct Watch {
    /// One bit a page.
    pages: Vec<AtomicU64>,
    base: AtomicU64,
    watcher: OnceLock<Weak<dyn WriteWatcher>>,
}

/// Which pages of one RAM region are watched, seen from `offset` bytes into the region.
#[derive(Clone)]
pub struct WriteWatch {
    watch: Arc<Watch>,
    offset: usize,
}

impl WriteWatch {
    /// Names who is told of writes, and the guest-physical address of the region; the first call counts.
    pub fn connect(&self, base: u64, watcher: Weak<dyn WriteWatcher>) {
        self.watch.base.store(base, Ordering::Relaxed);
        // A second watcher has no meaning: one machine owns the region.
        let _ = self.watch.watcher.set(watcher);
    }

    fn word(&self, offset: u64) -> Option<(&AtomicU64, u64)> {
        let page = offset >> PAGE_SHIFT;
        Some((self.watch.pages.get((page / 64) as usize)?, 1 << (page % 64)))
    }

    /// Starts watching the page at `offset` into the region; true if it was not watched before.
    pub fn watch(&self, offset: u64) -> bool {
        self.word(offset).is_some_and(|(word, bit)| word.fetch_or(bit, Ordering::SeqCst) & bit == 0)
    }

    /// Stops watching the page at `offset` into the region.
    pub fn unwatch(&self, offset: u64) {
        if let Some((word, bit)) = self.word(offset) {
            word.fetch_and(!bit, Ordering::SeqCst);
        }
    }

    /// Offsets of all watched pages.
    pub fn watched(&self) -> Vec<u64> {
        let mut watched = Vec::new();
        for (word, pages) in (0u64..).zip(&self.watch.pages) {
            let mut pages = pages.load(Ordering::SeqCst);
            while pages != 0 {
                watched.push((word * 64 + u64::from(pages.trailing_zeros())) << PAGE_SHIFT);
                pages &= pages - 1;
            }
        }
        watched
    }

    /// Whether the page at `offset` into the region is watched.
    pub fn is_watched(&self, offset: u64) -> bool {
        self.word(offset).is_some_and(|(word, bit)| word.load(Ordering::SeqCst) & bit != 0)
    }
}

impl fmt::Debug for WriteWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteWatch({} words)", self.watch.pages.len())
    }
}

impl Default for WriteWatch {
    fn default() -> Self {
        Self::with_len(0)
    }
}

impl NewBitmap for WriteWatch {
    fn with_len(len: usize) -> Self {
        let words = (len as u64).div_ceil(PAGE_SIZE).div_ceil(64);
        let pages = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self {
            watch: Arc::new(Watch { pages, base: AtomicU64::new(0), watcher: OnceLock::new() }),
            offset: 0,
        }
    }
}

impl WithBitmapSlice<'_> for WriteWatch {
    type S = Self;
}

impl BitmapSlice for WriteWatch {}

impl Bitmap for WriteWatch {
    fn mark_dirty(&self, offset: usize, len: usize) {
        if len == 0 {
            return;
        }
        let start = (self.offset + offset) as u64;
        let end = start + len as u64;
        let first = start & !(PAGE_SIZE - 1);
        let watched = (first..end).step_by(PAGE_SIZE as usize).any(|page| self.is_watched(page));
        if watched && let Some(watcher) = self.watch.watcher.get().and_then(Weak::upgrade) {
            watcher.written(self.watch.base.load(Ordering::Relaxed) + start, end - start);
        }
    }

    /// Nothing is remembered: a write is reported when it happens.
    fn dirty_at(&self, _offset: usize) -> bool {
        false
    }

    fn slice_at(&self, offset: usize) -> Self {
        Self { watch: self.watch.clone(), offset: self.offset + offset }
    }
}

/// A file of `bytes` zero bytes that is nowhere but in memory.
///
/// # Errors
/// The host has no memory left.
pub fn anonymous_file(bytes: u64) -> Result<File, MemoryError> {
    let failed = |source| MemoryError::Allocate { bytes, source };
    // SAFETY: the name is a NUL-terminated literal; the call has no other precondition.
    let fd = unsafe { libc::memfd_create(c"guest-memory".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(failed(std::io::Error::last_os_error()));
    }
    // SAFETY: the kernel has just handed out `fd`, nobody else owns it.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(bytes).map_err(failed)?;
    Ok(file)
}

/// Allocates RAM: `(base, bytes)` a region, bases page-aligned and not overlapping.
pub fn allocate_ram(ranges: &[(u64, u64)]) -> Result<GuestRam, MemoryError> {
    let regions =
        ranges.iter().map(|&(base, bytes)| allocate_region(base, bytes)).collect::<Result<_, _>>()?;
    GuestRam::from_regions(regions).map_err(|_| MemoryError::Range {
        base: ranges.first().map_or(0, |r| r.0),
        bytes: ranges.iter().map(|r| r.1).sum(),
    })
}

/// Allocates one piece of RAM, at a page-aligned base.
pub fn allocate_region(base: u64, bytes: u64) -> Result<RamRegion, MemoryError> {
    let mapping = MmapRegionBuilder::new_with_bitmap(bytes as usize, WriteWatch::with_len(bytes as usize))
        .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
        .with_mmap_flags(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE)
        .build()
        .map_err(|source| MemoryError::Map { bytes, source })?;
    // A host without large pages does without.
    // SAFETY: the range is that of the new mapping, whose contents stay.
    unsafe { libc::madvise(mapping.as_ptr().cast(), mapping.size(), libc::MADV_HUGEPAGE) };
    RamRegion::new(mapping, GuestAddress(base)).ok_or(MemoryError::Range { base, bytes })
}

/// Memory that the guest reads and executes directly but does not write: a mask ROM, or the array of a flash chip.
///
/// While [`RomRegion::direct`] is off (a flash chip that answers commands) accesses go to the device instead.
#[derive(Clone)]
pub struct RomRegion {
    mapping: Arc<MmapRegion<()>>,
    direct: Arc<AtomicBool>,
}

impl RomRegion {
    /// A zero-filled region of `bytes` bytes, rounded up to whole pages.
    pub fn new(bytes: u64) -> Result<Self, MemoryError> {
        let bytes = bytes.next_multiple_of(PAGE_SIZE);
        let mapping = MmapRegion::new(bytes as usize).map_err(|source| MemoryError::Map { bytes, source })?;
        Ok(Self { mapping: Arc::new(mapping), direct: Arc::new(AtomicBool::new(true)) })
    }

    /// Size in bytes, a multiple of [`PAGE_SIZE`].
    pub fn len(&self) -> u64 {
        self.mapping.size() as u64
    }

    /// Whether the region has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Host address of the first byte; lives as long as any clone of the region.
    pub fn as_ptr(&self) -> *mut u8 {
        self.mapping.as_ptr()
    }

    /// Whether accesses read the array rather than ask the device.
    pub fn direct(&self) -> bool {
        self.direct.load(Ordering::Acquire)
    }

    /// Switches between reading the array and asking the device. The caller then tells the address space
    /// ([`crate::AddressSpace::changed`]).
    pub fn set_direct(&self, direct: bool) {
        self.direct.store(direct, Ordering::Release);
    }

    /// Stores `bytes` at `offset`; what does not fit is left out. Returns how many bytes were stored.
    pub fn fill(&self, offset: u64, bytes: &[u8]) -> usize {
        let room = self.len().saturating_sub(offset) as usize;
        let n = room.min(bytes.len());
        if n > 0 {
            // SAFETY: `offset + n` is within the mapping, which the region keeps alive; guest readers see bytes, for
            // which any interleaving is a valid value.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.as_ptr().add(offset as usize), n) };
        }
        n
    }

    /// Copies bytes at `offset` out; what lies past the end reads as zero.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) {
        bytes.fill(0);
        let room = self.len().saturating_sub(offset) as usize;
        let n = room.min(bytes.len());
        if n > 0 {
            // SAFETY: as in `fill`.
            unsafe {
                std::ptr::copy_nonoverlapping(self.as_ptr().add(offset as usize), bytes.as_mut_ptr(), n)
            };
        }
    }
}

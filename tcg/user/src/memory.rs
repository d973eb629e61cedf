//! The memory of the guest process: placing mappings, the heap, and copying in and out with faults as errors.

mod limited;

use crate::limits::Limits;
use crate::sys;
use base::PAGE_SIZE;
use std::ffi::CString;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tcg_core::run::{
    CodeCache, CodeConfig, CodeWatch, HostFault, Pages, UserSpace, copy_in, copy_out, host_prot,
};

/// End of the guest's addresses, if the emulator is above: a 47-bit host places nothing of a position-independent program and its
/// libraries below two thirds of that. The allocator of gcc's sanitizers has to be at 0x5000_0000_0000.
const TOP: u64 = 0x5500_0000_0000;

/// Bytes below the stack that nothing is placed in, so that it is seen when it overflows.
const STACK_GAP: u64 = 1 << 20;

/// Errors of system calls.
pub type Result<T> = std::result::Result<T, i32>;

/// What an anonymous or file mapping is made of.
#[derive(Clone, Copy, Debug)]
pub struct Backing {
    /// `MAP_*`.
    pub flags: i32,
    /// File, or -1.
    pub fd: i32,
    /// Offset in it.
    pub offset: u64,
}

impl Backing {
    /// Private memory of zeros.
    pub const ZERO: Self = Self { flags: libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, fd: -1, offset: 0 };
}

/// Where something is to be mapped.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// Anywhere.
    Any,
    /// There.
    At {
        /// Where.
        addr: u64,
        /// In place of what is there, which is an error if not.
        over: bool,
    },
}

struct Placing {
    heap: Range<u64>,
    /// At the end of memory.
    stack: Range<u64>,
    limits: Limits,
}

/// Guest memory.
pub struct Memory {
    space: Arc<UserSpace>,
    code: Arc<CodeCache>,
    /// Where the highest mappings go: below the place of the stack.
    mmap_top: u64,
    /// Held while mappings are placed.
    placing: Mutex<Placing>,
}

/// Rounded up to whole pages.
pub fn pages_up(len: u64) -> u64 {
    len.saturating_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1)
}

/// Where the host has put the lowest of the emulator's own mappings.
fn lowest_own() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let first = maps.split('-').next().and_then(|word| u64::from_str_radix(word, 16).ok());
    first.unwrap_or(TOP)
}

impl Memory {
    /// Memory below `reserved` bytes, or as much as there can be, for a program under `limits`.
    pub fn new(reserved: Option<u64>, limits: Limits, config: CodeConfig) -> io::Result<Arc<Self>> {
        let lowest = std::fs::read_to_string("/proc/sys/vm/mmap_min_addr").unwrap_or_default();
        let start = pages_up(lowest.trim().parse().unwrap_or(65536)).max(PAGE_SIZE);
        // Room to grow downwards for what the host places below its lowest mapping.
        let end = TOP.min(lowest_own().saturating_sub(1 << 32)).min(reserved.unwrap_or(u64::MAX));
        let end = end & !(PAGE_SIZE - 1);
        let space = Arc::new(UserSpace::new(start..end));
        let code = CodeCache::for_process(space.clone(), config)?;
        let stack = limited::stack_size(&limits).min(end / 4).next_multiple_of(PAGE_SIZE);
        let mmap_top = end - (end / 8).min(1 << 30).max(stack + STACK_GAP);
        let top = end - PAGE_SIZE;
        let placing = Mutex::new(Placing { heap: 0..0, stack: top..top, limits });
        Ok(Arc::new(Self { space, code, mmap_top, placing }))
    }

    /// The page map.
    pub fn space(&self) -> &Arc<UserSpace> {
        &self.space
    }

    /// Translations of what is here.
    pub fn code(&self) -> &Arc<CodeCache> {
        &self.code
    }

    fn placing(&self) -> std::sync::MutexGuard<'_, Placing> {
        self.placing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `len` bytes at `addr` are addresses of the guest's.
    pub fn contains(&self, addr: u64, len: u64) -> bool {
        addr.checked_add(len).is_some_and(|end| end <= self.space.range().end)
    }

    fn in_range(&self, addr: u64, len: u64) -> Result<Range<u64>> {
        let end = addr.checked_add(len).ok_or(libc::ENOMEM)?;
        let all = self.space.range();
        if addr < all.start || end > all.end {
            return Err(libc::ENOMEM);
        }
        Ok(addr..end)
    }

    /// Maps at exactly `range`, over whatever is there.
    fn map_at(&self, range: Range<u64>, prot: i32, backing: Backing) -> Result<u64> {
        let pages = Pages { prot, shared: is_shared(backing) };
        let host = || {
            let flags = backing.flags & !libc::MAP_FIXED_NOREPLACE & !MAP_GROWSDOWN | libc::MAP_FIXED;
            let len = range.end - range.start;
            let args =
                [range.start, len, host_prot(prot) as u64, flags as u64, backing.fd as u64, backing.offset];
            // SAFETY: a range of the guest's, in which nothing of the emulator lies.
            let at = unsafe { sys::call(libc::SYS_mmap, args) };
            if at < 0 { Err(io::Error::from_raw_os_error(-at as i32)) } else { Ok(at as u64) }
        };
        let at = self.space.replace(range.clone(), Some(pages), host).map_err(errno)?;
        self.drop_code(range);
        self.log_pages("mmap");
        Ok(at)
    }

    /// `mmap`.
    pub fn map(&self, addr: u64, len: u64, prot: i32, backing: Backing) -> Result<u64> {
        if len == 0 || !backing.offset.is_multiple_of(PAGE_SIZE) {
            return Err(libc::EINVAL);
        }
        let len = pages_up(len);
        let prot = prot & RIGHTS;
        let placing = self.placing();
        let pages = Pages { prot, shared: is_shared(backing) };
        if backing.flags & (libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE) != 0 {
            if !addr.is_multiple_of(PAGE_SIZE) {
                return Err(libc::EINVAL);
            }
            let range = self.in_range(addr, len)?;
            let keep = backing.flags & libc::MAP_FIXED_NOREPLACE == libc::MAP_FIXED_NOREPLACE;
            if keep && !self.space.is_free(&range) {
                return Err(libc::EEXIST);
            }
            self.check_limits(&placing, len, pages, &range)?;
            return self.map_at(range, prot, backing);
        }
        self.check_limits(&placing, len, pages, &(0..0))?;
        let at = self.place(addr, len).ok_or(libc::ENOMEM)?;
        self.map_at(at..at + len, prot, backing)
    }

    /// A free place for `len` bytes, at `hint` if that is free.
    fn place(&self, hint: u64, len: u64) -> Option<u64> {
        let hint = hint & !(PAGE_SIZE - 1);
        if hint != 0
            && let Ok(range) = self.in_range(hint, len)
            && self.space.is_free(&range)
        {
            return Some(hint);
        }
        self.space.free_below(len, self.mmap_top)
    }

    /// `munmap`.
    pub fn unmap(&self, addr: u64, len: u64) -> Result<()> {
        if len == 0 || !addr.is_multiple_of(PAGE_SIZE) {
            return Err(libc::EINVAL);
        }
        let range = self.in_range(addr, pages_up(len)).map_err(|_| libc::EINVAL)?;
        let _placing = self.placing();
        self.unmap_at(range)
    }

    fn unmap_at(&self, range: Range<u64>) -> Result<()> {
        let host = || {
            // SAFETY: a range of the guest's, in which nothing of the emulator lies.
            let done =
                unsafe { sys::call(libc::SYS_munmap, [range.start, range.end - range.start, 0, 0, 0, 0]) };
            if done < 0 { Err(io::Error::from_raw_os_error(-done as i32)) } else { Ok(()) }
        };
        self.space.replace(range.clone(), None, host).map_err(errno)?;
        self.drop_code(range);
        Ok(())
    }

    /// `mprotect`.
    pub fn protect(&self, addr: u64, len: u64, prot: i32) -> Result<()> {
        let both_ways = PROT_GROWSDOWN | PROT_GROWSUP;
        if !addr.is_multiple_of(PAGE_SIZE) || prot & both_ways == both_ways {
            return Err(libc::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let mut range = self.in_range(addr, pages_up(len))?;
        if prot & !(RIGHTS | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP) != 0 {
            return Err(libc::EINVAL);
        }
        let placing = self.placing();
        if prot & PROT_GROWSDOWN != 0 {
            self.space.each(|part, _| {
                if part.contains(&range.start) {
                    range.start = part.start;
                }
                part.end <= range.start
            });
        }
        if !self.space.is_mapped(&range) {
            return Err(libc::ENOMEM);
        }
        let prot = prot & RIGHTS;
        if prot & libc::PROT_WRITE != 0 {
            self.check_made_writable(&placing, &range)?;
        }
        self.space.protect(range.clone(), prot).map_err(errno)?;
        if prot & libc::PROT_EXEC == 0 {
            self.drop_code(range);
        }
        Ok(())
    }

    /// `mremap`.
    pub fn remap(&self, old: u64, old_len: u64, new_len: u64, flags: i32, wanted: u64) -> Result<u64> {
        let known = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
        let fixed = flags & libc::MREMAP_FIXED != 0;
        let keep = flags & libc::MREMAP_DONTUNMAP != 0;
        let may_move = flags & libc::MREMAP_MAYMOVE != 0;
        if flags & !known != 0
            || new_len == 0
            || !old.is_multiple_of(PAGE_SIZE)
            || (fixed || keep) && !may_move
            || keep && pages_up(old_len) != pages_up(new_len)
        {
            return Err(libc::EINVAL);
        }
        let (old_len, new_len) = (pages_up(old_len), pages_up(new_len));
        let from = self.in_range(old, old_len).map_err(|_| libc::EFAULT)?;
        let placing = self.placing();
        let pages = self.space.find(old).ok_or(libc::EFAULT)?;
        if !self.space.is_mapped(&from) {
            return Err(libc::EFAULT);
        }
        let grown = old + old_len..old.saturating_add(new_len);
        let in_place = !fixed && !keep && old_len != 0;
        if in_place && new_len <= old_len {
            if new_len < old_len {
                self.unmap_at(old + new_len..from.end)?;
            }
            return Ok(old);
        }
        let over = if fixed { wanted..wanted.saturating_add(new_len) } else { 0..0 };
        let more = if keep { new_len } else { new_len.saturating_sub(old_len) };
        self.check_limits(&placing, more, pages, &over)?;
        let to = if fixed {
            if !wanted.is_multiple_of(PAGE_SIZE) {
                return Err(libc::EINVAL);
            }
            let to = self.in_range(wanted, new_len)?;
            if to.start < from.end && from.start < to.end {
                return Err(libc::EINVAL);
            }
            to.start
        } else if in_place && grown.end <= self.space.range().end && self.space.is_free(&grown) {
            old
        } else if may_move {
            self.space.free_below(new_len, self.mmap_top).ok_or(libc::ENOMEM)?
        } else {
            return Err(libc::ENOMEM);
        };
        // Pages move with the rights that they have, so watched ones get theirs back first.
        self.code.code_written(old, old_len.max(PAGE_SIZE));
        let host = || {
            let flags = if to == old { 0 } else { flags | libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED };
            // SAFETY: both are ranges of the guest's, in which nothing of the emulator lies.
            let at = unsafe { sys::call(libc::SYS_mremap, [old, old_len, new_len, flags as u64, to, 0]) };
            if at < 0 { Err(io::Error::from_raw_os_error(-at as i32)) } else { Ok(at as u64) }
        };
        self.space.replace(to..to + new_len, Some(pages), host).map_err(errno)?;
        self.drop_code(to..to + new_len);
        if to != old && old_len != 0 && !keep {
            self.space.replace(from.clone(), None, || Ok(())).map_err(errno)?;
        }
        self.drop_code(from);
        Ok(to)
    }

    /// Where the heap is.
    pub fn heap_range(&self) -> Range<u64> {
        self.placing().heap.clone()
    }

    /// Says where the heap begins.
    pub fn set_heap(&self, start: u64) {
        self.placing().heap = start..start;
    }

    /// `brk`.
    pub fn set_break(&self, wanted: u64) -> u64 {
        let mut placing = self.placing();
        let (start, end) = (placing.heap.start, placing.heap.end);
        let (old, new) = (pages_up(end), pages_up(wanted));
        if wanted < start || new > self.space.range().end {
            return end;
        }
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let done = if new > old {
            let range = old..new;
            self.space.is_free(&range)
                && self.check_limits(&placing, new - old, Pages { prot, shared: false }, &(0..0)).is_ok()
                && self.map_at(range, prot, Backing::ZERO).is_ok()
        } else {
            new == old || self.unmap_at(new..old).is_ok()
        };
        if done {
            placing.heap.end = wanted;
        }
        placing.heap.end
    }

    /// Attaches a System V segment of `len` bytes by `attach`, which is given the address.
    pub fn attach(&self, place: Place, len: u64, prot: i32, attach: impl FnOnce(u64) -> i64) -> Result<u64> {
        let len = pages_up(len);
        let placing = self.placing();
        let pages = Pages { prot, shared: true };
        let range = match place {
            Place::Any => self.place(0, len).map(|at| at..at + len).ok_or(libc::ENOMEM)?,
            Place::At { addr, over } => {
                let range = self.in_range(addr, len)?;
                if !over && !self.space.is_free(&range) {
                    return Err(libc::EINVAL);
                }
                range
            }
        };
        let host = || match attach(range.start) {
            error if error < 0 => Err(io::Error::from_raw_os_error(-error as i32)),
            at => Ok(at as u64),
        };
        self.check_limits(&placing, len, pages, &range)?;
        let at = self.space.replace(range.clone(), Some(pages), host).map_err(errno)?;
        self.drop_code(range);
        Ok(at)
    }

    /// Keeps everybody else from placing mappings while `f` runs.
    pub fn alone<T>(&self, f: impl FnOnce() -> T) -> T {
        let _placing = self.placing();
        f()
    }

    /// The contents of `range` change in a way that no store shows.
    pub fn drop_code(&self, range: Range<u64>) {
        self.code.code_written(range.start, range.end - range.start);
    }

    /// Makes way for a write of `len` bytes at `addr` by the kernel: pages that only fault because they are watched do
    /// no longer.
    pub fn prepare_write(&self, addr: u64, len: u64) {
        let end = addr.saturating_add(len).min(self.space.range().end);
        if addr < end {
            for page in self.space.withheld_in(addr..end) {
                self.code.code_written(page, PAGE_SIZE);
            }
        }
    }

    /// Copies guest memory.
    pub fn read_bytes(&self, addr: u64, to: &mut [u8]) -> Result<()> {
        if !self.contains(addr, to.len() as u64) {
            return Err(libc::EFAULT);
        }
        copy_in(to, addr).map_err(|_| libc::EFAULT)
    }

    /// Copies to guest memory.
    pub fn write_bytes(&self, addr: u64, from: &[u8]) -> Result<()> {
        if !self.contains(addr, from.len() as u64) {
            return Err(libc::EFAULT);
        }
        loop {
            self.prepare_write(addr, from.len() as u64);
            match copy_out(addr, from) {
                Ok(()) => return Ok(()),
                // Translations were made from the page meanwhile.
                Err(HostFault { signal: libc::SIGSEGV, code: ACCERR, addr })
                    if self.space.may_write(addr) => {}
                Err(_) => return Err(libc::EFAULT),
            }
        }
    }

    /// A value of guest memory.
    pub fn read<T: Plain>(&self, addr: u64) -> Result<T> {
        let mut value = T::ZERO;
        // SAFETY: `Plain` values are any bytes.
        let bytes = unsafe { std::slice::from_raw_parts_mut((&raw mut value).cast(), size_of::<T>()) };
        self.read_bytes(addr, bytes)?;
        Ok(value)
    }

    /// Writes a value.
    pub fn write<T: Plain>(&self, addr: u64, value: T) -> Result<()> {
        // SAFETY: `Plain` values have no padding.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const value).cast(), size_of::<T>()) };
        self.write_bytes(addr, bytes)
    }

    /// A string, without its end, of at most `PATH_MAX` bytes.
    pub fn read_string(&self, addr: u64) -> Result<CString> {
        let bytes = self.read_string_up_to(addr, libc::PATH_MAX as u64)?;
        Ok(CString::new(bytes).expect("it ends before the first zero"))
    }

    /// A string, without its end, of less than `most` bytes.
    pub fn read_string_up_to(&self, addr: u64, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut at = addr;
        while (bytes.len() as u64) < most {
            let mut chunk = [0; 256];
            // Not into the next page, which may not be there.
            let room = (PAGE_SIZE - at % PAGE_SIZE).min(chunk.len() as u64) as usize;
            self.read_bytes(at, &mut chunk[..room])?;
            if let Some(end) = chunk[..room].iter().position(|byte| *byte == 0) {
                bytes.extend(&chunk[..end]);
                return if (bytes.len() as u64) < most { Ok(bytes) } else { Err(libc::ENAMETOOLONG) };
            }
            bytes.extend(&chunk[..room]);
            at += room as u64;
        }
        Err(libc::ENAMETOOLONG)
    }

    /// A list of addresses that ends with zero.
    pub fn read_pointers(&self, addr: u64) -> Result<Vec<u64>> {
        let mut list = Vec::new();
        if addr == 0 {
            return Ok(list);
        }
        loop {
            match self.read::<u64>(addr.wrapping_add(list.len() as u64 * 8))? {
                0 => return Ok(list),
                pointer => list.push(pointer),
            }
        }
    }
}

/// `SEGV_ACCERR`: what is mapped does not allow the access.
const ACCERR: i32 = 2;
const RIGHTS: i32 = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
const PROT_SEM: i32 = 8;
const PROT_GROWSDOWN: i32 = 0x0100_0000;
const PROT_GROWSUP: i32 = 0x0200_0000;
const MAP_GROWSDOWN: i32 = 0x0100;

/// Whether a mapping of that may change without a store to it.
fn is_shared(backing: Backing) -> bool {
    backing.flags & libc::MAP_TYPE != libc::MAP_PRIVATE
}

/// The errno of a host error.
fn errno(error: io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::ENOMEM)
}

/// Types whose values are any bytes and have no padding.
///
/// # Safety
/// That is so.
pub unsafe trait Plain: Copy {
    /// All zeros.
    const ZERO: Self;
}

macro_rules! plain {
    ($($t:ty = $zero:expr),*) => { $(
        // SAFETY: an integer, or an array of them.
        unsafe impl Plain for $t { const ZERO: Self = $zero; }
    )* };
}
plain!(
    u8 = 0,
    u16 = 0,
    u32 = 0,
    i32 = 0,
    u64 = 0,
    i64 = 0,
    [u64; 2] = [0; 2],
    [u64; 3] = [0; 3],
    [u32; 2] = [0; 2]
);

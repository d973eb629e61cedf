//! Faults of generated code that reaches guest memory directly: which host instructions may fault, and where the guest's
//! state is put in order for each.

use super::access;
use crate::cpu::exit;
use serde::{Deserialize, Serialize};
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Host code that may fault, as offsets in the code buffer, and the state record to leave through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(C)]
pub struct Fault {
    /// First byte of the code.
    pub start: u32,
    /// Byte behind it.
    pub end: u32,
    /// Number of the record.
    pub record: u32,
}

/// The faults of one code buffer, in ascending order; a signal handler reads it while its owner appends.
pub struct FaultTable {
    code: u64,
    code_len: u64,
    /// Address of the shared code that leaves through a record.
    leave: u64,
    entries: *mut Fault,
    room: usize,
    used: AtomicU32,
}

// SAFETY: entries below `used` do not change until `clear`, which nobody runs code of the buffer during.
unsafe impl Send for FaultTable {}
// SAFETY: as above.
unsafe impl Sync for FaultTable {}

/// Tables that a handler looks at. A process has one code buffer; tests have a few.
static TABLES: [AtomicPtr<FaultTable>; 16] = [const { AtomicPtr::new(ptr::null_mut()) }; 16];

/// Least bytes of host code of an access, with what it takes to make use of it.
const LEAST_BYTES: usize = 4;

impl FaultTable {
    /// The table of the code at `code`, known to [`recover`] from now on. At offset `leave` is the shared code that leaves
    /// through a record.
    pub fn new(code: *const u8, len: usize, leave: u32) -> io::Result<Box<Self>> {
        let room = len / LEAST_BYTES;
        let bytes = room * size_of::<Fault>();
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at =
            unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags | libc::MAP_NORESERVE, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let used = AtomicU32::new(0);
        let (code, code_len) = (code as u64, len as u64);
        let leave = code + u64::from(leave);
        let table = Box::new(Self { code, code_len, leave, entries: at.cast(), room, used });
        let this = ptr::from_ref(&*table).cast_mut();
        let free = |slot: &AtomicPtr<Self>| {
            slot.compare_exchange(ptr::null_mut(), this, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        };
        if TABLES.iter().any(free) { Ok(table) } else { Err(io::ErrorKind::OutOfMemory.into()) }
    }

    /// Whether `count` more fit.
    pub fn has_room(&self, count: usize) -> bool {
        self.used.load(Ordering::Relaxed) as usize + count <= self.room
    }

    /// Adds faults that lie behind all there are.
    pub fn append(&self, faults: &[Fault]) {
        let used = self.used.load(Ordering::Relaxed) as usize;
        assert!(used + faults.len() <= self.room, "the table has room for the code's faults");
        // SAFETY: inside the mapping, and nobody reads behind `used`.
        unsafe { ptr::copy_nonoverlapping(faults.as_ptr(), self.entries.add(used), faults.len()) };
        self.used.store((used + faults.len()) as u32, Ordering::Release);
    }

    /// Forgets all faults.
    pub fn clear(&self) {
        self.used.store(0, Ordering::Release);
    }

    /// The record to leave the code at host address `pc` through after a fault.
    fn record(&self, pc: u64) -> Option<u32> {
        let offset = pc.checked_sub(self.code).filter(|offset| *offset < self.code_len)? as u32;
        let used = self.used.load(Ordering::Acquire) as usize;
        // SAFETY: entries below `used` are written.
        let entries = unsafe { std::slice::from_raw_parts(self.entries, used) };
        let behind = entries.partition_point(|fault| fault.start <= offset);
        let fault = entries[..behind].last().filter(|fault| offset < fault.end)?;
        Some(fault.record)
    }
}

impl Drop for FaultTable {
    fn drop(&mut self) {
        let this = ptr::from_mut(self);
        for slot in &TABLES {
            let _ = slot.compare_exchange(this, ptr::null_mut(), Ordering::SeqCst, Ordering::Relaxed);
        }
        // SAFETY: mapped in `new`; no code of the buffer runs any more.
        unsafe { libc::munmap(self.entries.cast(), self.room * size_of::<Fault>()) };
    }
}

/// `si_code` of a fault whose address the host does not tell (a non-canonical one).
const SI_KERNEL: i32 = 0x80;

/// Has a thread that faulted in an access to guest memory go on where the fault is dealt with; false if the fault was
/// somewhere else. Safe to call in a signal handler.
///
/// # Safety
/// Both are what the handler of a SIGSEGV or SIGBUS was given.
pub unsafe fn recover(info: *const libc::siginfo_t, context: *mut libc::c_void) -> bool {
    // SAFETY: the caller's promise.
    let (info, context) = unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>()) };
    let regs = &mut context.uc_mcontext.gregs;
    let pc = regs[libc::REG_RIP as usize] as u64;
    if let Some(next) = access::continuation(pc) {
        // SAFETY: faults have an address.
        let told = unsafe { info.si_addr() } as i64;
        let unknown = info.si_code == SI_KERNEL;
        regs[libc::REG_RAX as usize] = if unknown { regs[libc::REG_RDI as usize] } else { told };
        let code = if unknown { 1 } else { info.si_code };
        regs[libc::REG_RDX as usize] = access::pack_fault(info.si_signo, code) as i64;
        regs[libc::REG_RIP as usize] = next as i64;
        return true;
    }
    for slot in &TABLES {
        // SAFETY: a table takes itself out before it goes, when no code of its buffer runs.
        let Some(table) = (unsafe { slot.load(Ordering::Acquire).as_ref() }) else { continue };
        if let Some(record) = table.record(pc) {
            regs[libc::REG_RCX as usize] = record.into();
            regs[libc::REG_RDX as usize] = exit::RETRY.into();
            regs[libc::REG_RIP as usize] = table.leave as i64;
            return true;
        }
    }
    false
}

//! Accesses to memory that may not be there, for code that runs with a handler of SIGSEGV and SIGBUS which calls
//! [`super::faults::recover`]: a fault inside these functions makes them return it.
//!
//! They are leaves that use no stack, so that the handler only has to continue at a `ret`, with the fault in the two
//! result registers; the one that borrows rbx is the last, and gives it back first.

use std::arch::global_asm;

/// What an access gives back. `fault` is zero if all is well, else what [`pack_fault`] makes; `value` then is the
/// address.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Outcome {
    pub value: u64,
    pub fault: u64,
}

/// Signal number and `si_code` as one word.
pub fn pack_fault(signal: i32, code: i32) -> u64 {
    u64::from(signal as u8) | u64::from(code as u32) << 8
}

/// The reverse of [`pack_fault`].
pub fn unpack_fault(fault: u64) -> (i32, i32) {
    ((fault & 0xff) as i32, (fault >> 8) as i32)
}

global_asm!(
    ".pushsection .text.mimic_access,\"ax\",@progbits",
    ".hidden mimic_access_begin, mimic_access_end, mimic_access_fault, mimic_access_fault16",
    ".globl mimic_access_begin, mimic_access_end, mimic_access_fault, mimic_access_fault16",
    ".irp name, load1, load2, load4, load8, store1, store2, store4, store8, cas1, cas2, cas4, cas8, cas16, copy",
    ".globl mimic_access_\\name",
    ".hidden mimic_access_\\name",
    ".endr",
    "mimic_access_begin:",
    "mimic_access_load1: movzx eax, byte ptr [rdi]; xor edx, edx; ret",
    "mimic_access_load2: movzx eax, word ptr [rdi]; xor edx, edx; ret",
    "mimic_access_load4: mov eax, dword ptr [rdi]; xor edx, edx; ret",
    "mimic_access_load8: mov rax, qword ptr [rdi]; xor edx, edx; ret",
    "mimic_access_store1: mov byte ptr [rdi], sil; xor edx, edx; ret",
    "mimic_access_store2: mov word ptr [rdi], si; xor edx, edx; ret",
    "mimic_access_store4: mov dword ptr [rdi], esi; xor edx, edx; ret",
    "mimic_access_store8: mov qword ptr [rdi], rsi; xor edx, edx; ret",
    "mimic_access_cas1: mov rax, rsi; lock cmpxchg byte ptr [rdi], dl; xor edx, edx; ret",
    "mimic_access_cas2: mov rax, rsi; lock cmpxchg word ptr [rdi], dx; xor edx, edx; ret",
    "mimic_access_cas4: mov rax, rsi; lock cmpxchg dword ptr [rdi], edx; xor edx, edx; ret",
    "mimic_access_cas8: mov rax, rsi; lock cmpxchg qword ptr [rdi], rdx; xor edx, edx; ret",
    "mimic_access_copy: mov rcx, rdx; rep movsb; xor edx, edx; ret",
    "mimic_access_cas16: mov r9, rbx; mov r10, rsi",
    "mov rax, [rsi]; mov rbx, [rdx]; mov rcx, [rdx + 8]; mov rdx, [rsi + 8]",
    "lock cmpxchg16b xmmword ptr [rdi]",
    "mov [r10], rax; mov [r10 + 8], rdx; mov rbx, r9; xor edx, edx; ret",
    "mimic_access_end:",
    "mimic_access_fault16: mov rbx, r9",
    "mimic_access_fault: ret",
    ".popsection",
);

unsafe extern "sysv64" {
    static mimic_access_begin: u8;
    static mimic_access_end: u8;
    static mimic_access_fault: u8;
    static mimic_access_fault16: u8;
    fn mimic_access_load1(addr: u64) -> Outcome;
    fn mimic_access_load2(addr: u64) -> Outcome;
    fn mimic_access_load4(addr: u64) -> Outcome;
    fn mimic_access_load8(addr: u64) -> Outcome;
    fn mimic_access_store1(addr: u64, value: u64) -> Outcome;
    fn mimic_access_store2(addr: u64, value: u64) -> Outcome;
    fn mimic_access_store4(addr: u64, value: u64) -> Outcome;
    fn mimic_access_store8(addr: u64, value: u64) -> Outcome;
    fn mimic_access_cas1(addr: u64, old: u64, new: u64) -> Outcome;
    fn mimic_access_cas2(addr: u64, old: u64, new: u64) -> Outcome;
    fn mimic_access_cas4(addr: u64, old: u64, new: u64) -> Outcome;
    fn mimic_access_cas8(addr: u64, old: u64, new: u64) -> Outcome;
    fn mimic_access_cas16(addr: u64, old: *mut u128, new: *const u128) -> Outcome;
    fn mimic_access_copy(to: u64, from: u64, len: u64) -> Outcome;
}

/// Where a fault at `pc` inside one of these functions goes on; `None` if `pc` is elsewhere.
pub fn continuation(pc: u64) -> Option<u64> {
    let (begin, end) = (&raw const mimic_access_begin as u64, &raw const mimic_access_end as u64);
    let next = match pc < mimic_access_cas16 as *const () as u64 {
        true => &raw const mimic_access_fault,
        false => &raw const mimic_access_fault16,
    };
    (begin..end).contains(&pc).then_some(next as u64)
}

/// Loads `1 << size` bytes, with zeros above them.
///
/// # Safety
/// The handler of faults is installed. Whoever owns the memory lets others read it.
pub unsafe fn load(addr: u64, size: u8) -> Outcome {
    // SAFETY: the caller's promise.
    unsafe {
        match size {
            0 => mimic_access_load1(addr),
            1 => mimic_access_load2(addr),
            2 => mimic_access_load4(addr),
            _ => mimic_access_load8(addr),
        }
    }
}

/// Stores the low `1 << size` bytes of `value`.
///
/// # Safety
/// The handler of faults is installed. Whoever owns the memory lets others write it.
pub unsafe fn store(addr: u64, value: u64, size: u8) -> Outcome {
    // SAFETY: the caller's promise.
    unsafe {
        match size {
            0 => mimic_access_store1(addr, value),
            1 => mimic_access_store2(addr, value),
            2 => mimic_access_store4(addr, value),
            _ => mimic_access_store8(addr, value),
        }
    }
}

/// Atomic compare and swap of `1 << size` aligned bytes; gives what was there, with the bits of `old` above it.
///
/// # Safety
/// As for [`store`].
pub unsafe fn cas(addr: u64, old: u64, new: u64, size: u8) -> Outcome {
    // SAFETY: the caller's promise.
    unsafe {
        match size {
            0 => mimic_access_cas1(addr, old, new),
            1 => mimic_access_cas2(addr, old, new),
            2 => mimic_access_cas4(addr, old, new),
            _ => mimic_access_cas8(addr, old, new),
        }
    }
}

/// Atomic compare and swap of 16 aligned bytes: `old` becomes what was there.
///
/// # Safety
/// As for [`store`].
pub unsafe fn cas_128(addr: u64, old: &mut u128, new: u128) -> Outcome {
    // SAFETY: the caller's promise.
    unsafe { mimic_access_cas16(addr, old, &new) }
}

/// Copies `len` bytes; after a fault some of them are copied.
///
/// # Safety
/// The handler of faults is installed. The owners of both ranges let others read and write them.
pub unsafe fn copy(to: u64, from: u64, len: u64) -> Outcome {
    // SAFETY: the caller's promise.
    unsafe { mimic_access_copy(to, from, len) }
}

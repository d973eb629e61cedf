//! Host system calls as the kernel gives them: a negative errno, and no window in which a signal is lost before a call
//! that blocks.

use std::arch::{asm, global_asm};
use std::sync::atomic::AtomicU32;

/// What a call gives that is to be made again whatever handles the signal that came first; as inside the kernel.
pub const ERESTARTNOINTR: i64 = 513;

/// Makes host call `nr`.
///
/// # Safety
/// What the call does to memory and to the process must be sound here.
pub unsafe fn call(nr: i64, args: [u64; 6]) -> i64 {
    let result;
    // SAFETY: the caller's promise; the kernel changes rcx and r11 beside the result.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

global_asm!(
    ".pushsection .text.mimic_interruptible,\"ax\",@progbits",
    ".globl mimic_interruptible, mimic_interruptible_begin, mimic_interruptible_end, mimic_interruptible_abort",
    ".hidden mimic_interruptible, mimic_interruptible_begin, mimic_interruptible_end, mimic_interruptible_abort",
    "mimic_interruptible:",
    "mov rcx, rdi; mov rax, rsi; mov r11, rdx",
    "mov rdi, [r11]; mov rsi, [r11 + 8]; mov rdx, [r11 + 16]",
    "mov r10, [r11 + 24]; mov r8, [r11 + 32]; mov r9, [r11 + 40]",
    "mimic_interruptible_begin:",
    "cmp dword ptr [rcx], 0",
    "jne mimic_interruptible_abort",
    "syscall",
    "mimic_interruptible_end:",
    "ret",
    "mimic_interruptible_abort:",
    "mov rax, -513",
    "ret",
    // Where a signal handler returns to: rt_sigreturn.
    ".globl mimic_restorer",
    ".hidden mimic_restorer",
    "mimic_restorer:",
    "mov eax, 15",
    "syscall",
    ".popsection",
);

unsafe extern "sysv64" {
    static mimic_interruptible_begin: u8;
    static mimic_interruptible_end: u8;
    static mimic_interruptible_abort: u8;
    static mimic_restorer: u8;
    fn mimic_interruptible(caught: *const AtomicU32, nr: i64, args: *const [u64; 6]) -> i64;
}

/// Makes host call `nr`, which may block, unless `caught` is not zero: then, and if a handler that calls [`abort`] runs
/// before the kernel has begun, the result is `-ERESTARTNOINTR`. So it is if the kernel wants to begin anew behind the handler.
///
/// # Safety
/// As for [`call`].
pub unsafe fn interruptible(caught: &AtomicU32, nr: i64, args: [u64; 6]) -> i64 {
    // SAFETY: the caller's promise.
    unsafe { mimic_interruptible(caught, nr, &args) }
}

/// For the handler of a signal that came at host address `pc`: where to go on instead.
pub fn abort(pc: u64) -> Option<u64> {
    let (begin, end) =
        (&raw const mimic_interruptible_begin as u64, &raw const mimic_interruptible_end as u64);
    (begin..end).contains(&pc).then_some(&raw const mimic_interruptible_abort as u64)
}

/// The address that signal handlers return to.
pub fn restorer() -> u64 {
    &raw const mimic_restorer as u64
}

/// The thread's own number.
pub fn gettid() -> i32 {
    // SAFETY: no arguments, no effect.
    unsafe { call(libc::SYS_gettid, [0; 6]) as i32 }
}

/// The process' number.
pub fn getpid() -> i32 {
    // SAFETY: no arguments, no effect.
    unsafe { call(libc::SYS_getpid, [0; 6]) as i32 }
}

/// The last error of the C library as a negative errno.
pub fn last_error() -> i64 {
    -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

//! Linux user mode: a program of another architecture runs as if it were native.
//!
//! The guest lives in the lower part of the emulator's own address space ([`memory`]), so that most system calls go to
//! the host as they are; what is different stands in [`syscall`]'s rows. A guest thread is a host thread ([`thread`]),
//! a guest process a host process. Signals are recorded by host handlers and given at safe points ([`signal`]).
//!
//! An architecture takes part by implementing [`arch::Arch`]; `riscv` is the pattern.
//!
//! Programs of the guest trace each other ([`trace`]).
//!
//! Left out: seccomp filters, and a base address other than zero.

mod aarch64;
pub mod arch;
mod core_file;
mod cpu;
mod crash;
pub mod debug;
mod host_threads;
mod layout;
mod limits;
mod load;
mod memory;
mod observed;
mod process;
mod random;
mod reserved;
mod riscv;
mod signal;
mod stack;
mod strace;
mod sys;
mod syscall;
mod sysroot;
#[cfg(feature = "testing")]
pub mod testing;
mod thread;
mod time;
mod trace;
mod vdso;

pub use limits::LIMITS;
pub use load::{Kind, LoadError, kind};
pub use observed::end;
pub use process::{Config, DEBUGGER, EXEC_NAME, OWN_FILE, StartError, run};
pub use reserved::Reserved;
pub use strace::{Log, log_of_thread, open_log};
pub use syscall::HIDDEN;
pub use trace::TRACED;

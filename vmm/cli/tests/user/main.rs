//! `qemu-riscv64` and `qemu-aarch64` as people use them: C programs, compiled here, that go through what a kernel gives a
//! process. Skipped where there is no cross compiler for a guest.
//!
//! What a program must print stands beside it. Where QEMU's user mode is installed it has to print the same, so that the
//! expectation is not ours alone; lines in which it is known to be wrong are left out of that comparison.

mod binfmt;
mod crashes;
mod fuzz;
mod gdb;
mod options;
mod plugins;
mod programs;
#[path = "../program/rsp.rs"]
mod rsp;
mod strace;
mod support;

//! `qemu-riscv64` as people use it: C programs, compiled here, that go through what a kernel gives a process. Skipped where
//! there is no cross compiler.
//!
//! What a program must print stands beside it. Where QEMU's user mode is installed it has to print the same, so that the
//! expectation is not ours alone; lines in which it is known to be wrong are left out of that comparison.

mod fuzz;
mod options;
mod programs;
mod support;

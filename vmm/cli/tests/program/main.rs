//! The program as people use it: started as a process, with its standard streams, signals and exit status.

mod arm;
#[path = "../../build/assemble.rs"]
mod assemble;
mod bare;
mod beside;
mod control;
mod coverage;
mod debian;
mod file_io;
mod gdb;
mod hello;
mod hotplug;
mod icount;
mod log;
mod peer;
mod replay;
mod rsp;
mod secure;
mod snapshots;
mod support;
mod system;
mod terminal;
mod tree;
mod virtualization;

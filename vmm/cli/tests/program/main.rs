//! The program as people use it: started as a process, with its standard streams, signals and exit status.

#[path = "../../build/assemble.rs"]
mod assemble;
mod bare;
mod debian;
mod hello;
mod log;
mod support;
mod system;
mod terminal;
mod tree;

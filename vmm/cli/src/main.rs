//! The `mimic` program.

#[allow(dead_code, unused_imports, reason = "read by the machine builder")]
mod options;
#[allow(dead_code, unused_imports, reason = "read by the machine builder")]
mod personality;

fn main() {}

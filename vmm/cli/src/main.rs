//! The `mimic` program.

fn main() {}

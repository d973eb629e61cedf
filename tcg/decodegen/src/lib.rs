//! Turns instruction tables into Rust decoders at build time.

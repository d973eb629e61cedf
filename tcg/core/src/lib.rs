//! The dynamic binary translator: semantics trait, IR, optimiser, hosts, run-time.

//! The riscv64 guest: instruction tables, semantics, CSRs, MMU, traps.

//! Shared vocabulary of Mimic: address space, mmio, interrupt lines, clock, device trait, state.

//! The interrupt inputs of a PE, by their number in the levels that [`Guest::take_interrupt`] gets.
//!
//! [`Guest::take_interrupt`]: tcg_core::guest::Guest::take_interrupt

/// IRQ.
pub const IRQ: u32 = 0;
/// FIQ.
pub const FIQ: u32 = 1;
/// Virtual IRQ.
pub const VIRQ: u32 = 2;
/// Virtual FIQ.
pub const VFIQ: u32 = 3;

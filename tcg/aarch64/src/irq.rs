//! The interrupt inputs of a PE, by their number in the levels that [`Guest::take_interrupt`] gets.
//!
//! [`Guest::take_interrupt`]: tcg_core::guest::Guest::take_interrupt

use crate::sysreg::System;

/// IRQ.
pub const IRQ: u32 = 0;
/// FIQ.
pub const FIQ: u32 = 1;
/// Virtual IRQ.
pub const VIRQ: u32 = 2;
/// Virtual FIQ.
pub const VFIQ: u32 = 3;
/// Group 1 of the Secure world, of a GIC with system registers: IRQ in that world below EL3, FIQ everywhere else (IHI 0069, 4.6.2).
pub const SECURE_GROUP_1: u32 = 4;
/// Group 1 of the Non-secure world where there are two worlds: IRQ there, FIQ everywhere else.
pub const NON_SECURE_GROUP_1: u32 = 5;

/// `levels` with those of both groups 1 in the places of IRQ and FIQ, as they are at the present level.
pub fn as_signalled(system: &System, levels: u64) -> u64 {
    let group = |line: u32, is_irq: bool| {
        let to = if is_irq { IRQ } else { FIQ };
        (levels >> line & 1) << to
    };
    if levels & (1 << SECURE_GROUP_1 | 1 << NON_SECURE_GROUP_1) == 0 {
        return levels;
    }
    let secure = system.is_secure(system.el);
    levels | group(SECURE_GROUP_1, secure && system.el < 3) | group(NON_SECURE_GROUP_1, !secure)
}

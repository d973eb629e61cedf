//! DC ZVA: which bytes it clears, here and by QEMU.
//!
//! Skipped where QEMU or binutils are missing.

mod support;

use support::bare::{Machine, Program, peers};
use tcg_core::run::Tiers;

/// Fills 512 bytes of the results, clears blocks from places inside of them, and does so often enough to be translated.
const TEXT: &str = "
    movz x1, #0x4400, lsl #16
    mov x4, #20
1:  mov x2, #0
2:  str x2, [x1, x2, lsl #3]
    sub x3, x2, #1
    str x3, [x1, x2, lsl #3]
    add x2, x2, #1
    cmp x2, #64
    b.ne 2b
    add x5, x1, #64
    dc zva, x5
    add x5, x1, #191
    dc zva, x5
    mov x5, x1
    add x5, x5, #0x110
    dc zva, x5
    subs x4, x4, #1
    b.ne 1b
    mrs x2, dczid_el0
    str x2, [x1, #504]
    mov x0, #512
    b finish
";

#[test]
fn qemu_clears_the_same() {
    if !peers() {
        return;
    }
    let folder = support::scratch("zero_block");
    let program = Program::assemble(&folder, "zero", TEXT);
    for cpu in ["cortex-a57", "neoverse-n1", "max"] {
        let there = program.there(Machine::el1(cpu));
        assert_eq!(there[8..16], [0; 8], "{cpu}");
        for translate_after in [u32::MAX, 0] {
            let here = program.here(Machine::el1(cpu), Tiers { translate_after });
            assert_eq!(here, there, "{cpu}");
        }
    }
}

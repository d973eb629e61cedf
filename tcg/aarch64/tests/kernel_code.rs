//! Code of a kernel's half of the addresses under several ASIDs: pages of all of them, pages of one, and what is done when they change.
//! Here and by QEMU.
//!
//! Skipped where QEMU or binutils are missing.

mod support;

use support::bare::{Machine, Program, peers};
use tcg_core::run::Tiers;

/// The first page of the upper half is a function that gives 1 or 2, whatever is mapped there; the program itself is in the upper half as
/// well. `call` notes what the function gives under an ASID, `map` puts one of both there.
const TEXT: &str = "
    .set GLOBAL, 0x403
    .set LOCAL, 0xc03
    .macro call asid
    mov x2, #\\asid
    bfi x25, x2, #48, #16
    msr ttbr0_el1, x25
    isb
    blr x26
    str x0, [x21], #8
    .endm
    .macro map page, attributes
    ldr x2, =(\\page | \\attributes)
    str x2, [x24]
    dsb ish
    isb
    .endm
    .macro forget what
    tlbi \\what
    dsb ish
    isb
    .endm
    // Two functions.
    movz x1, #0x4500, lsl #16
    ldr x2, =0xd65f03c0d2800020
    str x2, [x1]
    add x1, x1, #0x1000
    ldr x2, =0xd65f03c0d2800040
    str x2, [x1]
    // Tables: the program in both halves, below it in the upper one the function.
    movz x1, #0x4510, lsl #16
    ldr x2, =0x40000401
    str x2, [x1, #8]
    ldr x3, =0x45101003
    str x3, [x1]
    add x3, x1, #0x1000
    ldr x4, =0x45102003
    str x4, [x3]
    add x24, x1, #0x2000
    movz x25, #0x4520, lsl #16
    str x2, [x25, #8]
    msr ttbr1_el1, x1
    msr ttbr0_el1, x25
    mov x0, #0xff
    msr mair_el1, x0
    ldr x0, =0x280190019
    msr tcr_el1, x0
    tlbi vmalle1
    dsb ish
    isb
    mrs x0, sctlr_el1
    orr x0, x0, #1
    msr sctlr_el1, x0
    isb
    ldr x26, =0xffffff8000000000
    adr x2, upper
    orr x2, x2, x26
    br x2
upper:
    movz x21, #0x4400, lsl #16
    mov x27, #4
again:
    map 0x45000000, GLOBAL
    forget vmalle1
    call 1
    call 2
    // Changed for all, by address and as a whole.
    map 0x45001000, GLOBAL
    lsr x3, x26, #12
    and x3, x3, #0xfffffffffff
    forget \"vaae1, x3\"
    call 2
    call 1
    map 0x45000000, GLOBAL
    forget vmalle1
    call 1
    // One page for each ASID.
    map 0x45000000, LOCAL
    forget vmalle1
    call 3
    map 0x45001000, LOCAL
    call 4
    map 0x45000000, LOCAL
    call 5
    mov x3, #4 << 48
    forget \"aside1, x3\"
    call 4
    // For all again.
    map 0x45001000, GLOBAL
    forget vmalle1
    call 6
    call 7
    call 3
    // And one again.
    map 0x45000000, LOCAL
    forget vmalle1
    call 8
    map 0x45001000, LOCAL
    call 9
    subs x27, x27, #1
    b.ne again
    // Without translation again, for semihosting.
    adr x2, flat
    ldr x0, =0x7fffffffff
    and x2, x2, x0
    br x2
flat:
    mrs x0, sctlr_el1
    bic x0, x0, #1
    msr sctlr_el1, x0
    isb
    movz x1, #0x4400, lsl #16
    sub x0, x21, x1
    b finish
";

/// What the functions give, in turn.
const GIVEN: [u64; 14] = [1, 1, 2, 2, 1, 1, 2, 1, 1, 2, 2, 2, 1, 2];

#[test]
fn a_kernel_is_the_same_in_all_address_spaces_where_its_pages_are_global() {
    if !peers() {
        return;
    }
    let folder = support::scratch("kernel_code");
    let program = Program::assemble(&folder, "kernel", TEXT);
    for cpu in ["cortex-a57", "neoverse-n1"] {
        let there = program.there(Machine::el1(cpu));
        assert_eq!(there, GIVEN.repeat(4), "{cpu}");
        for translate_after in [u32::MAX, 0, 2] {
            let here = program.here(Machine::el1(cpu), Tiers { translate_after });
            assert_eq!(here, there, "{cpu}, translated after {translate_after}");
        }
    }
}

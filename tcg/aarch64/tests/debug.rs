//! Breakpoints, watchpoints and software step as a kernel uses them on itself, here and by QEMU: where and with which syndrome they
//! stop a program.
//!
//! Skipped where QEMU or binutils are missing.

mod support;

use support::bare::{Machine, Program, peers};
use tcg_core::run::Tiers;

/// A handler writes syndrome, FAR and return address down; it lets the program past a point by switching it off, and ends stepping
/// after some instructions. The program runs at EL1 and, for the second part, at EL0.
const TEXT: &str = "
    .macro arm_breakpoint label
    adr x0, \\label
    msr dbgbvr0_el1, x0
    ldr x0, =0x1e7
    msr dbgbcr0_el1, x0
    .endm
    .macro arm_watchpoint addr, control
    ldr x0, =\\addr
    msr dbgwvr0_el1, x0
    ldr x0, =\\control
    msr dbgwcr0_el1, x0
    isb
    .endm
    adr x0, vectors
    msr vbar_el1, x0
    msr oslar_el1, xzr
    mov x0, #3 << 20
    msr cpacr_el1, x0
    ldr x21, =0x44000000
    ldr x1, =0x44800000
    mov x26, #0
    // Debug exceptions within EL1.
    mov x0, #0xa000
    msr mdscr_el1, x0
    msr daifclr, #8
    isb
    arm_breakpoint here
    isb
    mov x10, #0
loop:
    add x10, x10, #1
here:
    add x11, x10, #1
    cmp x10, #3
    b.ne loop
    // Loads and stores that touch what is watched, and others.
    arm_watchpoint 0x44800008, 0x1ff7 | 0x18
    ldr x2, [x1]
    ldr x2, [x1, #8]
    arm_watchpoint 0x44800008, 0x1ff7 | 0x18
    str w2, [x1, #12]
    arm_watchpoint 0x44800008, 0x1ff7 | 0x18
    ldp x2, x3, [x1]
    arm_watchpoint 0x44800008, 0x1ff7 | 0x18
    str q0, [x1]
    // Loads only; stores only; two bytes only.
    arm_watchpoint 0x44800010, 0x1fef
    str x2, [x1, #16]
    ldr x2, [x1, #16]
    arm_watchpoint 0x44800010, 0x1ff7
    ldr x2, [x1, #16]
    str x2, [x1, #16]
    arm_watchpoint 0x44800010, 0xc0 << 5 | 0x1f
    strb w2, [x1, #16]
    strb w2, [x1, #17]
    strb w2, [x1, #22]
    // Sixteen bytes by a mask.
    arm_watchpoint 0x44800020, 4 << 24 | 0x1fff
    strb w2, [x1, #0x1f]
    strb w2, [x1, #0x2f]
    // Levels: EL0 only.
    arm_watchpoint 0x44800040, 0x1ffd
    ldr x2, [x1, #0x40]
    msr dbgwcr0_el1, xzr
    // EL0 is stepped from its first instruction on.
    mov x0, #0x1001
    msr mdscr_el1, x0
    mov x26, #8
    adr x0, user
    msr elr_el1, x0
    mov x0, #0x200000
    msr spsr_el1, x0
    eret
user:
    mov x4, #1
    add x4, x4, #1
    cbz xzr, 1f
    nop
1:  ldr x5, [x1]
    ldxr x6, [x1]
    add x4, x4, #1
    svc #5
    nop
    svc #0
    .balign 2048
vectors:
    .rept 16
    b handler
    .balign 128
    .endr
handler:
    mrs x22, esr_el1
    mrs x23, far_el1
    mrs x24, elr_el1
    mrs x25, spsr_el1
    lsr x27, x22, #26
    cmp x27, #0x32
    b.eq step
    cmp x27, #0x15
    b.eq call
    stp x22, x23, [x21], #16
    stp x24, x25, [x21], #16
    // Past it: the breakpoint comes again in the next round.
    cmp x27, #0x31
    b.ne 1f
    adr x0, here
    add x0, x0, #4
    mrs x2, dbgbvr0_el1
    cmp x0, x2
    b.eq 2f
    msr dbgbvr0_el1, x0
    isb
    eret
2:  sub x0, x0, #4
    msr dbgbvr0_el1, x0
    isb
    eret
1:  msr dbgwcr0_el1, xzr
    isb
    eret
step:
    stp x22, xzr, [x21], #16
    stp x24, x25, [x21], #16
    orr x25, x25, #0x200000
    subs x26, x26, #1
    b.ne 3f
    mov x0, #0x1000
    msr mdscr_el1, x0
3:  msr spsr_el1, x25
    eret
call:
    stp x22, xzr, [x21], #16
    stp x24, x25, [x21], #16
    and x0, x22, #0xff
    cbz x0, end
    orr x25, x25, #0x200000
    msr spsr_el1, x25
    eret
end:
    msr mdscr_el1, xzr
    ldr x1, =0x44000000
    sub x0, x21, x1
    b finish
";

fn agree(cpu: &'static str) {
    if !peers() {
        return;
    }
    let machine = Machine::el1(cpu);
    let program = Program::assemble(&support::scratch("debug"), cpu, TEXT);
    let mut theirs = program.there(machine);
    for (how, translate_after) in [("interpreted", u32::MAX), ("translated", 0), ("mixed", 2)] {
        let mut ours = program.here(machine, Tiers { translate_after });
        for all in [&mut ours, &mut theirs] {
            // FAR of exceptions that set none; flags that QEMU clears.
            all.iter_mut().skip(3).step_by(4).for_each(|spsr| *spsr &= 0x0fff_ffff);
        }
        let rows = |all: &[u64]| all.chunks(4).map(<[u64]>::to_vec).collect::<Vec<_>>();
        assert!(ours.len() > 40);
        for (n, (ours, theirs)) in rows(&ours).iter().zip(&rows(&theirs)).enumerate() {
            assert_eq!(ours, theirs, "{cpu}, {how}: exception {n}: {ours:x?} here, {theirs:x?} there");
        }
        assert_eq!(
            ours.len(),
            theirs.len(),
            "{cpu}, {how}: {:x?} here, {:x?} there",
            rows(&ours),
            rows(&theirs)
        );
    }
}

#[test]
fn cortex_a57() {
    agree("cortex-a57");
}

#[test]
fn max() {
    agree("max");
}

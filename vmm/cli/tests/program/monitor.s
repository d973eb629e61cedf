// A monitor in the flash chip of the Secure world. It says on the UART what it finds: at EL3, at EL1 in both states, and on
// a second CPU. It runs at address 0; what the Non-secure state runs is a copy in RAM.

    .arch armv8-a
    .text
    .global _start
    .set COPY, 0x40200000
    .set SECURE_RAM, 0xe000000

_start:
    ldr x27, =SECURE_RAM
    mrs x0, mpidr_el1
    ands x0, x0, #0xff
    b.ne second
    ldr x28, =0x9040000
    mov x0, #0x5ec
    bl hex
    ldr x28, =0x9000000
    mrs x0, currentel
    bl hex
    // But for RW: lower levels here are never AArch32.
    mrs x0, scr_el3
    bic x0, x0, #0x400
    bl hex
    ldr x0, =0x1122334455667788
    str x0, [x27, #0x100]
    ldr x0, [x27, #0x100]
    bl hex
    adr x0, vectors3
    msr vbar_el3, x0
    // The copy.
    mov x1, #0
    ldr x2, =COPY
    mov x3, #0x4000
1:  ldr x0, [x1], #8
    str x0, [x2], #8
    subs x3, x3, #8
    b.ne 1b
    // Private interrupt 29, the Secure timer, is group 0, and all others are group 1.
    ldr x24, =0x8000000
    mrs x0, id_aa64pfr0_el1
    ubfx x23, x0, #24, #4
    mov w1, #0x20000000
    mvn w2, w1
    mov w3, #0x20
    cbz x23, version2
    mov w0, #0x37
    str w0, [x24]
    ldr x25, =0x80a0000
    str wzr, [x25, #0x14]
    add x25, x25, #0x10, lsl #12
    str w2, [x25, #0x80]
    str w1, [x25, #0x100]
    strb w3, [x25, #0x41d]
    mov x0, #0xff
    msr s3_0_c4_c6_0, x0            // ICC_PMR_EL1
    mov x0, #1
    msr s3_0_c12_c12_6, x0          // ICC_IGRPEN0_EL1
    mov x0, #3
    msr s3_6_c12_c12_7, x0          // ICC_IGRPEN1_EL3
    isb
    b to_non_secure
version2:
    mov w0, #3
    str w0, [x24]
    mov x25, x24
    str w2, [x24, #0x80]
    str w1, [x24, #0x100]
    strb w3, [x24, #0x41d]
    ldr x26, =0x8010000
    mov w0, #0xff
    str w0, [x26, #4]
    mov w0, #0xb
    str w0, [x26]
to_non_secure:
    // NS, FIQ, ST, RW.
    mov x0, #0x835
    orr x0, x0, #0x400
    msr scr_el3, x0
    msr sctlr_el1, xzr
    ldr x0, =COPY
    adr x1, vectors1
    add x1, x1, x0
    msr vbar_el1, x1
    adr x1, non_secure
    add x1, x1, x0
    msr elr_el3, x1
    mov x0, #0x3c5
    msr spsr_el3, x0
    eret

// EL1, Non-secure: x22 counts what it has asked the monitor for.
non_secure:
    mov x22, #0
    mrs x0, currentel
    bl hex
    // What is the Secure world's is not there.
    ldr x19, [x27, #0x100]
    ldr x21, =0x9040000
    ldr w19, [x21, #0x18]
    mov x21, #0x100
    ldr w19, [x21]
    ldr w0, [x24]
    bl hex
    ldr w0, [x25, #0x80]
    bl hex
    ldrb w0, [x25, #0x41d]
    bl hex
    mov w0, #0x20000000
    str w0, [x25, #0x180]
    ldr w0, [x25, #0x100]
    bl hex
    mov x22, #1
    smc #1
    bl hex
    // The monitor's timer comes in between.
    mov x22, #2
    smc #2
2:  cbnz x22, 2b
    mov x22, #3
    smc #3
    b .

// EL1, Secure.
secure:
    mrs x0, currentel
    bl hex
    mrs x0, cntps_ctl_el1
    bl hex
    ldr x0, [x27, #0x100]
    bl hex
    mov x22, #4
    smc #4
    b .

smc3:
    mrs x0, esr_el3
    bl hex
    cmp x22, #1
    b.eq 1f
    cmp x22, #2
    b.eq 2f
    cmp x22, #3
    b.eq 3f
    b end
1:  ldr x0, =0xabcd
    eret
    // The timer fires in a while.
2:  mov x0, #0x1000
    msr cntps_tval_el1, x0
    mov x0, #1
    msr cntps_ctl_el1, x0
    eret
3:  mov x0, #0xc30
    msr scr_el3, x0
    adr x0, secure
    msr elr_el3, x0
    mov x0, #0x3c5
    msr spsr_el3, x0
    eret

fiq3:
    mov x0, #0xf19
    bl hex
    cbz x23, 1f
    mrs x20, s3_0_c12_c8_0          // ICC_IAR0_EL1
    mov x0, x20
    bl hex
    msr cntps_ctl_el1, xzr
    isb
    msr s3_0_c12_c8_1, x20          // ICC_EOIR0_EL1
    b 2f
1:  ldr w20, [x26, #0xc]
    mov x0, x20
    bl hex
    msr cntps_ctl_el1, xzr
    isb
    str w20, [x26, #0x10]
2:  mov x22, #0
    eret

// The second CPU, which has waited since the reset.
end:
    mov x0, #1
    dsb sy
    str x0, [x27, #0x200]
1:  ldr x0, [x27, #0x208]
    cbz x0, 1b
    bl hex
    // Off, by the pin.
    ldr x21, =0x90b0000
    mov w0, #1
    str w0, [x21, #0x400]
    str w0, [x21, #4]
    b .

second:
    ldr x0, [x27, #0x200]
    cbz x0, second
    mrs x0, mpidr_el1
    str x0, [x27, #0x208]
    wfi
    b .

// Says x0 in hexadecimal at x28.
hex:
    mov x2, #60
1:  lsr x1, x0, x2
    and x1, x1, #15
    cmp x1, #10
    add x3, x1, #'0'
    add x4, x1, #'a' - 10
    csel x3, x3, x4, lo
    str w3, [x28]
    subs x2, x2, #4
    b.pl 1b
    mov w3, #'\n'
    str w3, [x28]
    ret

// An exception at EL1 says its syndrome and address and goes on behind the instruction.
exception1:
    mov x18, x30
    mrs x0, esr_el1
    bl hex
    mrs x0, far_el1
    bl hex
    mrs x0, elr_el1
    add x0, x0, #4
    msr elr_el1, x0
    mov x30, x18
    eret

    .ltorg
    .balign 2048
vectors1:
    .rept 16
    b exception1
    .balign 128
    .endr
vectors3:
    .skip 0x400
    b smc3
    .balign 128
    b .
    .balign 128
    b fiq3
    .balign 128
    b .

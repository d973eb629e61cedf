# Waits for an interrupt that can not come (HANG=1), or goes round for ever (HANG=0).
.include "riscv.inc"
.section .text.start
.globl _start
_start:
    csrr a0, mhartid
    bnez a0, stop
    la   sp, stack_top
    la   a0, words
    call puts
    csrw mie, zero
.if HANG
    j    stop
.else
round:
    j    round
.endif
.section .rodata
words: .asciz "and now nothing\r\n"

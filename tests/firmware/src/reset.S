# Panics as a kernel with panic=-1 does: says so, and resets the machine.
.include "riscv.inc"
.section .text.start
.globl _start
_start:
    la   sp, stack_top
    la   a0, words
    call puts
    li   t0, FINISHER
    li   t1, 0x7777
    sw   t1, 0(t0)
    j    stop
.section .rodata
words: .asciz "[    1.000000] Kernel panic - not syncing: no init found\r\n"

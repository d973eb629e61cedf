# Says a line every 100 ms of the board's time.
.include "riscv.inc"
.section .text.start
.globl _start
_start:
    la   sp, stack_top
    li   s0, 0
tick:
    la   a0, words
    call puts
    csrr t0, time
    li   t1, 1000000
    add  t0, t0, t1
1:  csrr t1, time
    bltu t1, t0, 1b
    j    tick
.section .rodata
words: .asciz "tick\r\n"

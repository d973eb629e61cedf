# Repeats what it hears in capitals.
.include "riscv.inc"
.section .text.start
.globl _start
_start:
    la   sp, stack_top
    la   a0, ready
    call puts
1:  call getc
    li   t0, 'a'
    bltu a0, t0, 2f
    li   t0, 'z'
    bgtu a0, t0, 2f
    addi a0, a0, -32
2:  la   t0, echo
    sb   a0, 0(t0)
    la   a0, echo
    call puts
    j    1b
.section .rodata
ready: .asciz "ready\r\n"
.data
echo:  .asciz "?"

# Says hello, echoes what is typed up to a q, and passes.
.include "riscv.inc"
.section .text.start
.globl _start
_start:
    csrr a0, mhartid
    bnez a0, stop
    la   sp, stack_top
    la   a0, hello
    call puts
    li   s1, 0x1234
    la   t0, mark
    sd   s1, 0(t0)
again:
    la   a0, prompt
    call puts
    call getc
    li   t0, 'q'
    beq  a0, t0, bye
    la   t0, echo
    sb   a0, 0(t0)
    la   a0, echo
    call puts
    j    again
bye:
    la   a0, goodbye
    call puts
    li   a0, 0
    call finish
.section .rodata
hello:   .asciz "Hello from bare metal\r\n"
prompt:  .asciz "> "
goodbye: .asciz "bye\r\n"
.data
.balign 8
.globl mark
mark:    .dword 0
echo:    .asciz "?\r\n"

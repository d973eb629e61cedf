# Crashes as a kernel does: says so on the serial port, tells pvpanic EVENT, and stays.
.include "riscv.inc"
.section .text.start
.globl _start
_start:
    la   sp, stack_top
    la   a0, words
    call puts
    li   a0, 0x00111b36
    li   a1, PCI_MEMORY
    call pci_find
    beqz a0, missing
    li   t0, PCI_MEMORY
    lbu  s1, 0(t0)
    li   t1, EVENT
    sb   t1, 0(t0)
    la   a0, after
    call puts
    j    stop
missing:
    li   a0, 9
    call finish
.section .rodata
words: .asciz "[    1.000000] Kernel panic - not syncing: no init found\r\n"
after: .asciz "still here\r\n"

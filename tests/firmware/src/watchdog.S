# Starts the 6300ESB's watchdog, each stage TICKS of a millisecond, and feeds it FEED times before it hangs. A second life tells that the
# first one was bitten.
.include "riscv.inc"
.section .text.start
.globl _start
_start:
    la   sp, stack_top
    li   a0, 0x25ab8086
    li   a1, PCI_MEMORY
    call pci_find
    beqz a0, missing
    mv   s0, a0
    li   s1, PCI_MEMORY
    lhu  t0, 0x0c(s1)
    andi t0, t0, 0x200
    beqz t0, first
    la   a0, bitten
    call puts
    li   a0, 0
    call finish
first:
    li   t0, 3
    sh   t0, 0x60(s0)
    call unlock
    li   t0, TICKS
    sw   t0, 0(s1)
    call unlock
    li   t0, TICKS
    sw   t0, 4(s1)
    call feed
    li   t0, 2
    sb   t0, 0x68(s0)
    la   a0, armed
    call puts
    li   s2, FEED
feeding:
    beqz s2, round
    addi s2, s2, -1
    # 100 ms of the board's timer, 10 MHz.
    csrr t0, time
    li   t1, 1000000
    add  t0, t0, t1
1:  csrr t1, time
    bltu t1, t0, 1b
    call feed
    j    feeding
round:
    la   a0, hungry
    call puts
2:  j    2b
feed:
    mv   s3, ra
    call unlock
    li   t0, 0x100
    sh   t0, 0x0c(s1)
    jr   s3
unlock:
    li   t0, 0x80
    sh   t0, 0x0c(s1)
    li   t0, 0x86
    sh   t0, 0x0c(s1)
    ret
missing:
    li   a0, 9
    call finish
.section .rodata
armed:  .asciz "the watchdog is armed\r\n"
hungry: .asciz "nobody feeds it now\r\n"
bitten: .asciz "the watchdog has bitten\r\n"

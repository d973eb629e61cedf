# The guest of `mimic run hello`: a program for S-mode on any SBI 0.3 or later. It says what machine it sees, echoes
# keys, and powers off on q or Ctrl-D.
#
# Entered as a kernel is: a0 the hart's number, a1 the device tree. Registers throughout:
#   s0  where the device tree's structure is read     s4  the node being read is memory
#   s1  the device tree's strings                     s5  the ISA has been told
#   s2  the UART                                      s6  interrupt controller, context of hart 0 in S-mode

.equ UART, 0x10000000           # NS16550A
.equ UART_IRQ, 10
.equ RECEIVED, 1                # data ready: in IER, and in LSR
.equ THR_EMPTY, 0x20            # in LSR
.equ PLIC_PRIORITY, 0xc000000
.equ PLIC_ENABLE, 0xc002080     # of context 1
.equ PLIC_CONTEXT, 0xc201000    # its threshold, and behind that claim
.equ SEIE, 0x200                # external interrupts, in sie

.equ SBI_BASE, 0x10
.equ SBI_HSM, 0x48534d
.equ SBI_SRST, 0x53525354

# Tokens of a device tree
.equ BEGIN_NODE, 1
.equ PROP, 3
.equ END, 9

start:
    la   sp, stack_end
    li   s2, UART
    lwu  t0, 8(a1)              # off_dt_struct
    mv   s0, a1
    mv   s1, a1
    mv   a0, t0
    call swap
    add  s0, s0, a0
    lwu  a0, 12(s1)             # off_dt_strings
    call swap
    add  s1, s1, a0
    la   a0, greeting
    call puts

# Harts: HSM knows the state of those that there are.
    li   s3, 0
next_hart:
    mv   a0, s3
    li   a6, 2                  # hart_get_status
    li   a7, SBI_HSM
    ecall
    bnez a0, no_more_harts
    addi s3, s3, 1
    j    next_hart
no_more_harts:
    la   a0, harts
    call puts
    mv   a0, s3
    call decimal
    li   a6, 0                  # get_spec_version
    li   a7, SBI_BASE
    ecall
    mv   s3, a1
    la   a0, sbi
    call puts
    srli a0, s3, 24
    call decimal
    li   a0, '.'
    call putc
    li   t0, 0xffffff
    and  a0, s3, t0
    call decimal

# The device tree, from one token to the next.
    li   s4, 0
    li   s5, 0
next_token:
    lwu  a0, 0(s0)
    addi s0, s0, 4
    call swap
    li   t0, END
    beq  a0, t0, told
    li   t0, PROP
    beq  a0, t0, property
    li   t0, BEGIN_NODE
    bne  a0, t0, next_token
    mv   a0, s0
    la   a1, memory_node
    call starts_with
    mv   s4, a0
skip_name:                      # and the zeroes behind it, to a multiple of 4
    lbu  t0, 3(s0)
    addi s0, s0, 4
    bnez t0, skip_name
    j    next_token

property:
    lwu  a0, 0(s0)              # length
    call swap
    mv   s3, a0
    lwu  a0, 4(s0)              # offset of the name
    call swap
    add  s7, s1, a0
    addi s0, s0, 8              # the value
    mv   a0, s7
    la   a1, model
    call equal
    la   a1, board
    bnez a0, tell_text
    mv   a0, s7
    la   a1, isa
    call equal
    la   a1, isa_is
    slli t0, s5, 1
    add  t0, t0, a0
    li   t1, 1
    beq  t0, t1, tell_isa
    beqz s4, property_told
    mv   a0, s7
    la   a1, reg
    call equal
    bnez a0, tell_memory
property_told:
    addi s3, s3, 3
    andi s3, s3, -4
    add  s0, s0, s3
    j    next_token

tell_isa:
    li   s5, 1
tell_text:
    mv   a0, a1
    call puts
    mv   a0, s0
    call puts
    j    property_told

tell_memory:
    la   a0, memory
    call puts
    lwu  a0, 8(s0)              # size, upper half
    call swap
    slli s8, a0, 32
    lwu  a0, 12(s0)
    call swap
    or   a0, a0, s8
    srli a0, a0, 20
    call decimal
    la   a0, mebibytes
    call puts
    j    property_told

# Keys come with an interrupt, which is pending but not taken: it only ends wfi.
told:
    la   a0, invitation
    call puts
    li   t0, PLIC_PRIORITY
    li   t1, 1
    sw   t1, 40(t0)             # of source 10
    li   t0, PLIC_ENABLE
    li   t1, 0x400
    sw   t1, 0(t0)
    li   s6, PLIC_CONTEXT
    sw   zero, 0(s6)
    li   t0, SEIE
    csrs sie, t0
    li   t0, RECEIVED
    sb   t0, 1(s2)
wait:
    wfi
    lwu  s3, 4(s6)              # claim
keys:
    lbu  t0, 5(s2)              # LSR
    andi t0, t0, RECEIVED
    beqz t0, no_more_keys
    lbu  a0, 0(s2)
    li   t0, 'q'
    beq  a0, t0, bye
    li   t0, 4                  # Ctrl-D
    beq  a0, t0, bye
    li   t0, 13
    beq  a0, t0, return_key
    call putc
    j    keys
return_key:
    la   a0, prompt
    call puts
    j    keys
no_more_keys:
    sw   s3, 4(s6)              # complete
    j    wait

bye:
    la   a0, farewell
    call puts
    li   a0, 0                  # shutdown
    li   a1, 0                  # for no particular reason
    li   a6, 0                  # system_reset
    li   a7, SBI_SRST
    ecall
    j    wait

# puts: the text at a0.
puts:
    addi sp, sp, -16
    sd   ra, 0(sp)
    sd   s9, 8(sp)
    mv   s9, a0
puts_next:
    lbu  a0, 0(s9)
    beqz a0, puts_done
    addi s9, s9, 1
    call putc
    j    puts_next
puts_done:
    ld   ra, 0(sp)
    ld   s9, 8(sp)
    addi sp, sp, 16
    ret

# putc: the character a0; changes t0.
putc:
    lbu  t0, 5(s2)
    andi t0, t0, THR_EMPTY
    beqz t0, putc
    sb   a0, 0(s2)
    ret

# decimal: the number a0.
decimal:
    addi sp, sp, -16
    sd   ra, 0(sp)
    li   t0, 10
    remu t1, a0, t0
    sd   t1, 8(sp)
    divu a0, a0, t0
    beqz a0, last_digit
    call decimal
last_digit:
    ld   a0, 8(sp)
    addi a0, a0, '0'
    call putc
    ld   ra, 0(sp)
    addi sp, sp, 16
    ret

# swap: the bytes of the word a0; changes t0, t1.
swap:
    li   t1, 0xff00
    srli t0, a0, 24
    slli a2, a0, 24
    or   t0, t0, a2
    and  a2, a0, t1
    slli a2, a2, 8
    or   t0, t0, a2
    srli a0, a0, 8
    and  a0, a0, t1
    or   a0, a0, t0
    slli a0, a0, 32
    srli a0, a0, 32
    ret

# equal: whether the texts at a0 and a1 are the same. starts_with: whether the first begins with the second.
equal:
    li   t2, 0
    j    compare
starts_with:
    li   t2, 1
compare:
    lbu  t0, 0(a0)
    lbu  t1, 0(a1)
    beqz t1, compare_end
    bne  t0, t1, different
    addi a0, a0, 1
    addi a1, a1, 1
    j    compare
compare_end:
    bnez t2, same
    bnez t0, different
same:
    li   a0, 1
    ret
different:
    li   a0, 0
    ret

greeting:    .asciz "\r\nHello from a machine inside Mimic.\r\n"
harts:       .asciz "\r\n  harts   "
sbi:         .asciz "\r\n  SBI     "
board:       .asciz "\r\n  board   "
memory:      .asciz "\r\n  memory  "
mebibytes:   .asciz " MiB"
isa_is:      .asciz "\r\n  ISA     "
invitation:  .asciz "\r\n\r\nIt says again what you type; q or Ctrl-D powers it off.\r\n> "
prompt:      .asciz "\r\n> "
farewell:    .asciz "\r\nGood bye.\r\n"
memory_node: .asciz "memory@"
model:       .asciz "model"
isa:         .asciz "riscv,isa"
reg:         .asciz "reg"
    .align 16
    .space 1024
stack_end:

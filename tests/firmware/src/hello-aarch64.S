// Says hello on the PL011, leaves a mark in memory and in x19, and turns the machine off by PSCI when something is typed.
.section .text.start
.globl _start
_start:
    ldr  x20, =0x09000000
    ldr  x0, =words
    bl   puts
    mov  x19, #0x1234
    ldr  x0, =mark
    str  x19, [x0]
    ldr  x0, =ready
    bl   puts
1:  ldr  w1, [x20, #0x18]
    tbnz w1, #4, 1b
    ldr  w0, =0x84000008
    hvc  #0
2:  wfi
    b    2b
puts:
    ldrb w1, [x0], #1
    cbz  w1, 4f
3:  ldr  w2, [x20, #0x18]
    tbnz w2, #5, 3b
    str  w1, [x20]
    b    puts
4:  ret
.section .rodata
words: .asciz "Hello from the other bare metal\r\n"
ready: .asciz "press a key\r\n"
.data
.balign 8
.globl mark
mark: .quad 0

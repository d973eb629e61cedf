/* A program that has the machine to itself. Behind each line that becomes instructions stands how often it runs, counted by hand. */
__asm__(".section .text.start, \"ax\"\n"
	".globl _start\n"
	"_start:\n"
#ifdef __riscv
	"	la sp, stack + 4096\n"
	"	call start\n"
	"	li t0, 0x100000\n"
	"	li t1, 0x5555\n"
	"	beqz a0, 1f\n"
	"	li t1, 0x13333\n"
	"1:	sw t1, 0(t0)\n"
	"2:	wfi\n"
	"	j 2b\n"
#else
	"	adrp x0, stack\n"
	"	add x0, x0, :lo12:stack\n"
	"	add sp, x0, 4096\n"
	"	bl start\n"
	"	ldr w0, =0x84000008\n"
	"	hvc 0\n"
	"2:	wfi\n"
	"	b 2b\n"
#endif
	"	.text\n");

char stack[4096] __attribute__((aligned(16)));

static int classify(int n)
{						// 10
	if (n % 3 == 0)				// 10
		return 0;			// 4
	if (n > 100)				// 6
		return 2;			// 0
	return 1;				// 6
}						// 10

static int never(int n)
{						// 0
	return n + 1;				// 0
}						// 0

int start(void)
{						// 1
	int sum = 0;				// 1
	for (int n = 0; n < 10; n++)		// 11
		sum += classify(n);		// 10
	if (sum > 10)				// 1
		sum = never(sum);		// 0
	while (sum > 0)				// 4
		sum -= 2;			// 3
	return sum;				// 1
}						// 1

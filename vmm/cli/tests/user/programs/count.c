/* Without a C library, so that every instruction that is executed is here. */
#ifdef __riscv
static long call(long number, long a, long b, long c)
{
	register long a7 __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c;
	__asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
	return a0;
}
#else
static long call(long number, long a, long b, long c)
{
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
}
#endif

static volatile long words[64];

__attribute__((noinline)) long fib(long n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

__attribute__((noinline)) long fill(long rounds)
{
	long sum = 0;
	for (long n = 0; n < rounds; n++) {
		words[n % 64] = n;
		sum += words[(n * 7) % 64];
	}
	return sum;
}

void _start(void)
{
	long sum = fib(15) + fill(21000);
	for (long n = 0; n < 3; n++)
		call(64, 1, (long)"hello\n", 6);
	call(94, sum & 15, 0, 0);
}

// A function that returns a constant (below 1024), as machine code: two instructions.
#if defined(__aarch64__)
#define LOAD_CONSTANT(n) (0x52800000u | (n) << 5) // mov w0, n
#define RETURN 0xd65f03c0u
#elif defined(__x86_64__)
#define LOAD_CONSTANT(n) (0xb8 | (n) << 8) // mov eax, n
#define RETURN 0x0000c300u // Its last byte, and ret.
#else
#define LOAD_CONSTANT(n) ((n) << 20 | 10 << 7 | 0x13) // addi a0, zero, n
#define RETURN 0x00008067u
#endif

/* Loops over arrays of any length, as compilers and libraries write them for vector registers whose size the CPU tells: each
 * turn asks how much it may do, so that ends and short arrays are turns of fewer elements. In assembly for the vector
 * extension of RISC-V; elsewhere the compiler makes of the plain loops what it likes. */
#include "bench.h"

enum { COUNT = 1003 };

static float points[COUNT], moved[COUNT];
static uint8_t from[COUNT], onto[COUNT], mixed[COUNT], pixels[3 * COUNT], gray[COUNT], text[COUNT + 1];
static int16_t wave[COUNT], echo[COUNT];
static int32_t levels[COUNT], cut[COUNT];

#ifdef __riscv
#define VECTORS ".option push\n.option arch, +v\n"
#define END ".option pop\n"
#define CLOBBERS "memory", "t0", "t1"

static void scale_and_add(float *to, const float *x, float by, long n)
{
    asm volatile(VECTORS
        "1: vsetvli t0, %[n], e32, m4, ta, ma\n vle32.v v0, (%[x])\n vle32.v v4, (%[to])\n"
        "vfmul.vf v0, v0, %[by]\n vfadd.vv v4, v4, v0\n vse32.v v4, (%[to])\n"
        "sub %[n], %[n], t0\n slli t0, t0, 2\n add %[x], %[x], t0\n add %[to], %[to], t0\n bnez %[n], 1b\n" END
        : [to] "+r"(to), [x] "+r"(x), [n] "+r"(n) : [by] "f"(by) : CLOBBERS);
}

static void mix_bytes(uint8_t *to, const uint8_t *a, const uint8_t *b, int weight, long n)
{
    asm volatile(VECTORS
        "1: vsetvli t0, %[n], e8, m2, ta, ma\n vle8.v v0, (%[a])\n vle8.v v2, (%[b])\n"
        "vwmulu.vx v4, v0, %[w]\n vwmaccu.vx v4, %[v], v2\n vnsrl.wi v0, v4, 8\n vse8.v v0, (%[to])\n"
        "sub %[n], %[n], t0\n add %[a], %[a], t0\n add %[b], %[b], t0\n add %[to], %[to], t0\n bnez %[n], 1b\n" END
        : [to] "+r"(to), [a] "+r"(a), [b] "+r"(b), [n] "+r"(n) : [w] "r"(weight), [v] "r"(255 - weight) : CLOBBERS);
}

static void copy(uint8_t *to, const uint8_t *x, long n)
{
    asm volatile(VECTORS
        "1: vsetvli t0, %[n], e8, m8, ta, ma\n vle8.v v0, (%[x])\n vse8.v v0, (%[to])\n"
        "sub %[n], %[n], t0\n add %[x], %[x], t0\n add %[to], %[to], t0\n bnez %[n], 1b\n" END
        : [to] "+r"(to), [x] "+r"(x), [n] "+r"(n) : : CLOBBERS);
}

static long length(const uint8_t *x)
{
    const uint8_t *start = x;
    asm volatile(VECTORS
        "1: vsetvli t0, zero, e8, m2, ta, ma\n vle8ff.v v0, (%[x])\n csrr t0, vl\n"
        "vmseq.vi v4, v0, 0\n vfirst.m t1, v4\n add %[x], %[x], t0\n bltz t1, 1b\n"
        "sub %[x], %[x], t0\n add %[x], %[x], t1\n" END
        : [x] "+r"(x) : : CLOBBERS);
    return x - start;
}

static int32_t product(const int16_t *a, const int16_t *b, long n)
{
    int32_t sum;
    asm volatile(VECTORS
        "vsetvli t0, zero, e32, m4, ta, ma\n vmv.v.i v8, 0\n"
        "1: vsetvli t0, %[n], e16, m2, tu, ma\n vle16.v v0, (%[a])\n vle16.v v2, (%[b])\n vwmacc.vv v8, v0, v2\n"
        "sub %[n], %[n], t0\n slli t0, t0, 1\n add %[a], %[a], t0\n add %[b], %[b], t0\n bnez %[n], 1b\n"
        "vsetvli t0, zero, e32, m4, ta, ma\n vmv.s.x v0, zero\n vredsum.vs v0, v8, v0\n vmv.x.s %[sum], v0\n" END
        : [a] "+r"(a), [b] "+r"(b), [n] "+r"(n), [sum] "=r"(sum) : : CLOBBERS);
    return sum;
}

static void cut_above(int32_t *to, const int32_t *x, int32_t limit, long n)
{
    asm volatile(VECTORS
        "1: vsetvli t0, %[n], e32, m2, ta, mu\n vle32.v v4, (%[x])\n vmsgt.vx v0, v4, %[limit]\n"
        "vsub.vx v6, v4, %[limit], v0.t\n vse32.v v6, (%[to]), v0.t\n"
        "sub %[n], %[n], t0\n slli t0, t0, 2\n add %[x], %[x], t0\n add %[to], %[to], t0\n bnez %[n], 1b\n" END
        : [to] "+r"(to), [x] "+r"(x), [n] "+r"(n) : [limit] "r"(limit) : CLOBBERS);
}

static void to_gray(uint8_t *to, const uint8_t *rgb, long n)
{
    asm volatile(VECTORS
        "1: vsetvli t0, %[n], e8, m1, ta, ma\n vlseg3e8.v v0, (%[rgb])\n"
        "vwmulu.vx v4, v0, %[r]\n vwmaccu.vx v4, %[g], v1\n vwmaccu.vx v4, %[b], v2\n"
        "vnsrl.wi v0, v4, 8\n vse8.v v0, (%[to])\n"
        "sub %[n], %[n], t0\n add %[to], %[to], t0\n slli t1, t0, 1\n add t0, t0, t1\n add %[rgb], %[rgb], t0\n"
        "bnez %[n], 1b\n" END
        : [to] "+r"(to), [rgb] "+r"(rgb), [n] "+r"(n) : [r] "r"(77), [g] "r"(150), [b] "r"(29) : CLOBBERS);
}

static void add_echo(int16_t *to, const int16_t *x, long n)
{
    asm volatile(VECTORS
        "1: vsetvli t0, %[n], e16, m4, ta, ma\n vle16.v v0, (%[x])\n vle16.v v4, (%[to])\n vsra.vi v4, v4, 1\n"
        "vsadd.vv v4, v4, v0\n vse16.v v4, (%[to])\n"
        "sub %[n], %[n], t0\n slli t0, t0, 1\n add %[x], %[x], t0\n add %[to], %[to], t0\n bnez %[n], 1b\n" END
        : [to] "+r"(to), [x] "+r"(x), [n] "+r"(n) : : CLOBBERS);
}

static void every_third(uint8_t *to, const uint8_t *x, long n)
{
    asm volatile(VECTORS "li t1, 3\n"
        "1: vsetvli t0, %[n], e8, m1, ta, ma\n vlse8.v v0, (%[x]), t1\n vse8.v v0, (%[to])\n"
        "sub %[n], %[n], t0\n add %[to], %[to], t0\n add %[x], %[x], t0\n add %[x], %[x], t0\n add %[x], %[x], t0\n"
        "bnez %[n], 1b\n" END
        : [to] "+r"(to), [x] "+r"(x), [n] "+r"(n) : : CLOBBERS);
}
#else
#define PLAIN static __attribute__((noinline, optimize("O3")))

PLAIN void scale_and_add(float *restrict to, const float *restrict x, float by, long n)
{
    for (long i = 0; i < n; i++)
        to[i] += x[i] * by;
}

PLAIN void mix_bytes(uint8_t *restrict to, const uint8_t *restrict a, const uint8_t *restrict b, int weight, long n)
{
    for (long i = 0; i < n; i++)
        to[i] = (uint16_t)(a[i] * weight + b[i] * (255 - weight)) >> 8;
}

static void copy(uint8_t *to, const uint8_t *x, long n)
{
    memcpy(to, x, n);
}

static long length(const uint8_t *x)
{
    return strlen((const char *)x);
}

PLAIN int32_t product(const int16_t *a, const int16_t *b, long n)
{
    uint32_t sum = 0;
    for (long i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

PLAIN void cut_above(int32_t *restrict to, const int32_t *restrict x, int32_t limit, long n)
{
    for (long i = 0; i < n; i++)
        if (x[i] > limit)
            to[i] = x[i] - limit;
}

PLAIN void to_gray(uint8_t *restrict to, const uint8_t *restrict rgb, long n)
{
    for (long i = 0; i < n; i++)
        to[i] = (rgb[3 * i] * 77 + rgb[3 * i + 1] * 150 + rgb[3 * i + 2] * 29) >> 8;
}

PLAIN void add_echo(int16_t *restrict to, const int16_t *restrict x, long n)
{
    for (long i = 0; i < n; i++) {
        int sum = (to[i] >> 1) + x[i];
        to[i] = sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum;
    }
}

PLAIN void every_third(uint8_t *restrict to, const uint8_t *restrict x, long n)
{
    for (long i = 0; i < n; i++)
        to[i] = x[3 * i];
}
#endif

/* Which loops run: all of them, or the one whose number is the argument. */
static int chosen = -1;

static int turns(int loop, int count)
{
    return chosen < 0 || chosen == loop ? count : 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        chosen = atoi(argv[1]);
    for (int i = 0; i < COUNT; i++) {
        points[i] = random_bits() % 1000;
        from[i] = random_bits();
        onto[i] = random_bits();
        wave[i] = random_bits();
        levels[i] = random_bits() % 10000;
        text[i] = 1 + random_bits() % 255;
        pixels[3 * i] = random_bits();
        pixels[3 * i + 1] = random_bits();
        pixels[3 * i + 2] = random_bits();
    }
    uint64_t sum = 0;
    for (int turn = 0; turn < turns(0, 40000); turn++)
        scale_and_add(moved, points, (turn & 15) - 7.5f, COUNT);
    for (int turn = 0; turn < turns(1, 40000); turn++)
        mix_bytes(mixed, from, onto, turn & 255, COUNT);
    for (int turn = 0; turn < turns(2, 1000000); turn++)
        copy(gray + (turn & 63), from + turn % 100, 1 + turn * 7 % 150);
    for (int turn = 0; turn < turns(3, 400000); turn++)
        sum = mix(sum, length(text + turn * 13 % COUNT));
    for (int turn = 0; turn < turns(4, 40000); turn++)
        sum = mix(sum, product(wave, echo, COUNT - turn % 50)), echo[turn % COUNT] = turn;
    for (int turn = 0; turn < turns(5, 40000); turn++)
        cut_above(cut, levels, turn % 10000, COUNT);
    for (int turn = 0; turn < turns(6, 40000); turn++)
        to_gray(gray, pixels, COUNT - turn % 50);
    for (int turn = 0; turn < turns(7, 40000); turn++)
        add_echo(echo, wave, COUNT);
    for (int turn = 0; turn < turns(8, 40000); turn++)
        every_third(onto, pixels, COUNT - turn % 50);
    for (int i = 0; i < COUNT; i++)
        sum = mix(mix(mix(sum, (int64_t)moved[i]), mixed[i] << 8 | gray[i]), (uint32_t)cut[i] ^ echo[i] ^ onto[i]);
    return finish(sum, chosen < 0 ? 0xb088332cf229ab8b : sum);
}

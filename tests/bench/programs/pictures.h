/* Two pictures mixed, and a filter of 16-bit samples, with vectors of 16 bytes. */
#include "bench.h"

typedef uint8_t bytes __attribute__((vector_size(16)));
typedef uint16_t halves __attribute__((vector_size(16)));
typedef int16_t samples __attribute__((vector_size(16)));

enum { COUNT = 1 << 12 };

static bytes from[COUNT], onto[COUNT], mixed[COUNT];
static samples wave[COUNT], filtered[COUNT];

/* Whoever has functions of its own says ASSEMBLY, and REGISTERS is what the compiler's may use. */
#ifndef REGISTERS
#define REGISTERS
#endif
#ifndef ASSEMBLY
static __attribute__((noinline)) REGISTERS void mix_pictures(int weight)
{
    for (int i = 0; i < COUNT; i++) {
        halves a = (halves)from[i], b = (halves)onto[i];
        halves low = (a & 255) * (uint16_t)weight + (b & 255) * (uint16_t)(256 - weight);
        halves high = (a >> 8) * (uint16_t)weight + (b >> 8) * (uint16_t)(256 - weight);
        mixed[i] = (bytes)((low >> 8) | (high & 0xff00));
    }
}

static __attribute__((noinline)) REGISTERS void filter(void)
{
    for (int i = 2; i < COUNT; i++) {
        samples sum = wave[i] * 5 - wave[i - 1] * 4 + wave[i - 2];
        samples limit = sum > 4000;
        filtered[i] = (sum & ~limit) | (limit & 4000);
    }
}
#endif

/* Puts random numbers into a lane of the inputs. */
static void draw(int i, int lane)
{
    from[i][lane] = random_bits();
    onto[i][lane] = random_bits();
    wave[i][lane % 8] = random_bits() % 2000;
}

/* Mixes 16 bytes into a checksum. */
static uint64_t mix_vector(uint64_t sum, const void *vector)
{
    uint64_t parts[2];
    memcpy(parts, vector, sizeof parts);
    return mix(mix(sum, parts[0]), parts[1]);
}

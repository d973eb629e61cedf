/* Vectors of 16 bytes: two pictures mixed, a filter of 16-bit samples, and a float transformation. Where the CPU has no such
 * registers the compiler makes scalar code of it. */
#include "bench.h"

typedef uint8_t bytes __attribute__((vector_size(16)));
typedef uint16_t halves __attribute__((vector_size(16)));
typedef int16_t samples __attribute__((vector_size(16)));
typedef float floats __attribute__((vector_size(16)));

enum { COUNT = 1 << 12 };

static bytes from[COUNT], onto[COUNT], mixed[COUNT];
static samples wave[COUNT], filtered[COUNT];
static floats points[COUNT];

static __attribute__((noinline)) void mix_pictures(int weight)
{
    for (int i = 0; i < COUNT; i++) {
        halves a = (halves)from[i], b = (halves)onto[i];
        halves low = (a & 255) * (uint16_t)weight + (b & 255) * (uint16_t)(256 - weight);
        halves high = (a >> 8) * (uint16_t)weight + (b >> 8) * (uint16_t)(256 - weight);
        mixed[i] = (bytes)((low >> 8) | (high & 0xff00));
    }
}

static __attribute__((noinline)) void filter(void)
{
    for (int i = 2; i < COUNT; i++) {
        samples sum = wave[i] * 5 - wave[i - 1] * 4 + wave[i - 2];
        samples limit = sum > 4000;
        filtered[i] = (sum & ~limit) | (limit & 4000);
    }
}

static __attribute__((noinline)) void transform(void)
{
    const floats turn = {0.75f, -0.5f, 0.25f, 1.0f}, shift = {1.0f, 2.0f, -3.0f, 0.5f};
    for (int i = 0; i < COUNT; i++) {
        floats p = points[i];
        points[i] = p * turn + shift - p * p * 0.001f;
    }
}

int main(void)
{
    for (int i = 0; i < COUNT; i++)
        for (int lane = 0; lane < 16; lane++) {
            from[i][lane] = random_bits();
            onto[i][lane] = random_bits();
            wave[i][lane % 8] = random_bits() % 2000;
            points[i][lane % 4] = (float)(random_bits() % 1000);
        }
    uint64_t sum = 0;
    for (int turn = 0; turn < 1500; turn++) {
        mix_pictures(turn & 255);
        filter();
        transform();
        int at = turn * 7 % COUNT;
        uint64_t parts[2];
        memcpy(parts, &mixed[at], sizeof parts);
        sum = mix(mix(sum, parts[0]), parts[1]);
        memcpy(parts, &filtered[at], sizeof parts);
        sum = mix(mix(sum, parts[0]), parts[1]);
        memcpy(parts, &points[at], sizeof parts);
        sum = mix(mix(sum, parts[0]), parts[1]);
    }
    return finish(sum, 0x115a7b165ec027b9);
}

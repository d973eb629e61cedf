/* Vectors of 16 bytes: two pictures mixed, a filter of 16-bit samples, and a float transformation. For RISC-V in assembly,
 * as newer compilers make it for the vector extension, since older ones make scalar code (which is what lanes.c measures). */
#ifdef __riscv
#define ASSEMBLY
#endif
#include "pictures.h"

typedef float floats __attribute__((vector_size(16)));

static floats points[COUNT];
static const floats turn_by = {0.75f, -0.5f, 0.25f, 1.0f}, shift_by = {1.0f, 2.0f, -3.0f, 0.5f};

#ifdef __riscv
#define VECTORS ".option push\n.option arch, +v\n"
#define END ".option pop\n"

static void mix_pictures(int weight)
{
    const bytes *a = from, *b = onto;
    bytes *to = mixed;
    asm volatile(VECTORS
        "vsetivli zero, 8, e16, m1, ta, ma\n vmv.v.x v7, %[v]\n vmv.v.x v6, %[w]\n vmv.v.x v5, %[low]\n vmv.v.x v8, %[high]\n"
        "1: vle16.v v2, (%[b])\n vle16.v v1, (%[a])\n addi %[a], %[a], 16\n addi %[b], %[b], 16\n"
        "vand.vv v4, v2, v5\n vsrl.vi v3, v2, 8\n vand.vv v2, v1, v5\n vmul.vv v4, v4, v7\n vmul.vv v3, v3, v7\n"
        "vsrl.vi v1, v1, 8\n vmadd.vv v2, v6, v4\n vmadd.vv v1, v6, v3\n vsrl.vi v2, v2, 8\n vand.vv v1, v1, v8\n"
        "vor.vv v1, v2, v1\n vse16.v v1, (%[to])\n addi %[to], %[to], 16\n bne %[a], %[end], 1b\n" END
        : [a] "+r"(a), [b] "+r"(b), [to] "+r"(to)
        : [w] "r"(weight), [v] "r"(256 - weight), [low] "r"(255), [high] "r"(-256), [end] "r"(from + COUNT) : "memory");
}

static void filter(void)
{
    const samples *x = wave + 2;
    samples *to = filtered + 2;
    asm volatile(VECTORS
        "vsetivli zero, 8, e16, m1, ta, ma\n vmv.v.i v6, 5\n vmv.v.i v5, 4\n vmv.v.x v7, %[limit]\n"
        "vle16.v v4, (%[first])\n vle16.v v2, (%[second])\n"
        "1: vmv1r.v v3, v2\n vle16.v v2, (%[x])\n addi %[x], %[x], 16\n vmul.vv v1, v2, v6\n vnmsac.vv v1, v3, v5\n"
        "vadd.vv v1, v1, v4\n vmv1r.v v4, v3\n vmin.vv v1, v1, v7\n vse16.v v1, (%[to])\n addi %[to], %[to], 16\n"
        "bne %[x], %[end], 1b\n" END
        : [x] "+r"(x), [to] "+r"(to)
        : [first] "r"(wave), [second] "r"(wave + 1), [limit] "r"(4000), [end] "r"(wave + COUNT) : "memory");
}

static void transform(void)
{
    floats *p = points;
    asm volatile(VECTORS
        "vsetivli zero, 4, e32, m1, ta, ma\n vle32.v v4, (%[turn])\n vle32.v v3, (%[shift])\n"
        "1: vle32.v v1, (%[p])\n vfmul.vv v2, v1, v4\n vfmul.vv v1, v1, v1\n vfadd.vv v2, v2, v3\n vfmul.vf v1, v1, %[f]\n"
        "vfsub.vv v2, v2, v1\n vse32.v v2, (%[p])\n addi %[p], %[p], 16\n bne %[p], %[end], 1b\n" END
        : [p] "+r"(p)
        : [turn] "r"(&turn_by), [shift] "r"(&shift_by), [f] "f"(0.001f), [end] "r"(points + COUNT) : "memory");
}
#else
static __attribute__((noinline)) void transform(void)
{
    for (int i = 0; i < COUNT; i++) {
        floats p = points[i];
        points[i] = p * turn_by + shift_by - p * p * 0.001f;
    }
}
#endif

int main(void)
{
    for (int i = 0; i < COUNT; i++)
        for (int lane = 0; lane < 16; lane++) {
            draw(i, lane);
            points[i][lane % 4] = (float)(random_bits() % 1000);
        }
    uint64_t sum = 0;
    for (int turn = 0; turn < 1500; turn++) {
        mix_pictures(turn & 255);
        filter();
        transform();
        int at = turn * 7 % COUNT;
        sum = mix_vector(mix_vector(mix_vector(sum, &mixed[at]), &filtered[at]), &points[at]);
    }
    return finish(sum, 0x115a7b165ec027b9);
}

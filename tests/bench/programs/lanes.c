/* Vectors of 16 bytes where the CPU has no registers for them: what the compiler makes of them in general registers. */
#ifndef __riscv
#define REGISTERS __attribute__((target("general-regs-only")))
#endif
#include "pictures.h"

int main(void)
{
    for (int i = 0; i < COUNT; i++)
        for (int lane = 0; lane < 16; lane++)
            draw(i, lane);
    uint64_t sum = 0;
    for (int turn = 0; turn < 1500; turn++) {
        mix_pictures(turn & 255);
        filter();
        int at = turn * 7 % COUNT;
        sum = mix_vector(mix_vector(sum, &mixed[at]), &filtered[at]);
    }
    return finish(sum, 0xddcaa0ea4a399e3b);
}

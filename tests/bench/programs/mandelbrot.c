/* Float: the Mandelbrot set, in double precision: short loops with a comparison in each turn. */
#include "bench.h"

enum { SIZE = 320, MOST = 500 };

int main(void)
{
    uint64_t sum = 0;
    for (int row = 0; row < SIZE; row++)
        for (int column = 0; column < SIZE; column++) {
            double cr = column * 3.0 / SIZE - 2.25, ci = row * 2.5 / SIZE - 1.25, r = 0, i = 0;
            int n = 0;
            for (; n < MOST && r * r + i * i < 4.0; n++) {
                double next = r * r - i * i + cr;
                i = 2 * r * i + ci;
                r = next;
            }
            sum = mix(sum, n);
        }
    return finish(sum, 0xb32639e9c2d5d282);
}

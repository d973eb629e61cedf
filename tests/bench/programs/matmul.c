/* Float: products of matrices in single precision. */
#include "bench.h"

enum { SIZE = 256, TURNS = 3 };

static float a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

int main(void)
{
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            a[i][j] = (int)(random_bits() % 200) / 128.0f - 0.75f;
            b[i][j] = (int)(random_bits() % 200) / 512.0f - 0.1875f;
        }
    uint64_t sum = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        memset(c, 0, sizeof c);
        for (int i = 0; i < SIZE; i++)
            for (int k = 0; k < SIZE; k++)
                for (int j = 0; j < SIZE; j++)
                    c[i][j] += a[i][k] * b[k][j];
        for (int i = 0; i < SIZE; i++)
            for (int j = 0; j < SIZE; j++) {
                sum = mix(sum, bits_of(c[i][j]) >> 29);
                a[i][j] = c[i][j] / 8;
            }
    }
    return finish(sum, 0xc96ee9eba374fcf7);
}

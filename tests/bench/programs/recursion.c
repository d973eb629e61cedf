/* Control: calls and returns: Takeuchi's function, the eight queens on a larger board, Ackermann's function. */
#include "bench.h"

#define CALLED __attribute__((noinline, noclone))

static CALLED int tak(int x, int y, int z)
{
    if (y >= x)
        return z;
    return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

static CALLED int queens(unsigned all, unsigned columns, unsigned left, unsigned right)
{
    int count = columns == all;
    for (unsigned open = all & ~(columns | left | right); open; open &= open - 1) {
        unsigned here = open & -open;
        count += queens(all, columns | here, (left | here) << 1, (right | here) >> 1);
    }
    return count;
}

static CALLED int ackermann(int m, int n)
{
    if (m == 0)
        return n + 1;
    return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

int main(void)
{
    uint64_t sum = 0;
    for (int turn = 0; turn < 14; turn++) {
        sum = mix(sum, tak(18 + turn % 3, 12, 4));
        sum = mix(sum, queens((1u << 10) - 1, 0, 0, 0));
        sum = mix(sum, ackermann(2 + turn % 2, 9));
    }
    return finish(sum, 0x78cdf9ab6cf859ff);
}

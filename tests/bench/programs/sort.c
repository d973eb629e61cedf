/* Integer: heap sort and binary search of 32-bit numbers. */
#include "bench.h"

enum { COUNT = 1 << 17 };

static uint32_t numbers[COUNT];

static void sift(size_t at, size_t end)
{
    uint32_t value = numbers[at];
    for (size_t child; (child = 2 * at + 1) < end; at = child) {
        if (child + 1 < end && numbers[child + 1] > numbers[child])
            child++;
        if (numbers[child] <= value)
            break;
        numbers[at] = numbers[child];
    }
    numbers[at] = value;
}

static size_t find(uint32_t value)
{
    size_t low = 0, high = COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (numbers[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int main(void)
{
    uint64_t sum = 0;
    for (int turn = 0; turn < 8; turn++) {
        for (size_t i = 0; i < COUNT; i++)
            numbers[i] = random_bits() >> 20;
        for (size_t i = COUNT / 2; i-- > 0;)
            sift(i, COUNT);
        for (size_t end = COUNT - 1; end > 0; end--) {
            uint32_t largest = numbers[0];
            numbers[0] = numbers[end];
            numbers[end] = largest;
            sift(0, end);
        }
        for (size_t i = 1; i < COUNT; i++)
            if (numbers[i - 1] > numbers[i])
                return 2;
        for (int i = 0; i < COUNT; i++)
            sum = mix(sum, find(random_bits() >> 20));
    }
    return finish(sum, 0xabc6de3ad96c7f17);
}

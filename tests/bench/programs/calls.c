/* System: calls of the kernel that do little each: positions, reads and writes of a small file in memory. */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>
#include "bench.h"

#define RECORDS 512

int main(void)
{
    uint64_t sum = 1;
    int file = memfd_create("records", 0);
    if (file < 0 || ftruncate(file, RECORDS * sizeof sum) != 0)
        return 1;
    for (int turn = 0; turn < 60000; turn++) {
        uint64_t bits = random_bits(), old = 0;
        off_t at = (off_t)(bits % RECORDS) * (off_t)sizeof old;
        if (lseek(file, at, SEEK_SET) != at || read(file, &old, sizeof old) != sizeof old)
            return 1;
        sum = mix(sum, old);
        if (pwrite(file, &sum, sizeof sum, at) != sizeof sum)
            return 1;
    }
    return finish(sum, 0x46d889cf18fb4380);
}

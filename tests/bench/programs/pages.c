/* System: memory that is mapped, touched a page at a time, protected, copied by a new process that writes to it, and given back. */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define PAGE 4096
#define PAGES 1024

/* Writes to each fourth page of what it shares with its parent; the status is of what was there. */
static int child(volatile uint8_t *at)
{
    unsigned sum = 0;
    for (int n = 0; n < PAGES; n += 4)
        sum += at[n * PAGE]++;
    return (int)(sum % 251);
}

int main(void)
{
    uint64_t sum = 0;
    for (int turn = 0; turn < 30; turn++) {
        uint8_t *at = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED || madvise(at, PAGES * PAGE, MADV_NOHUGEPAGE) != 0)
            return 1;
        for (int n = 0; n < PAGES; n++)
            at[n * PAGE] = (uint8_t)(random_bits() >> 40);
        pid_t pid = fork();
        if (pid == 0)
            _exit(child(at));
        int status = 0;
        if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
            return 1;
        sum = mix(sum, (uint64_t)WEXITSTATUS(status));
        for (int n = 0; n < PAGES; n += 64)
            if (mprotect(at + n * PAGE, PAGE, PROT_READ) != 0)
                return 1;
        for (int n = 0; n < PAGES; n++)
            sum = mix(sum, at[n * PAGE]);
        munmap(at, PAGES * PAGE);
    }
    return finish(sum, 0x5b4d9846ad4fd825);
}

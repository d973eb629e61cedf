/* System: two processes of one CPU that wait for each other: numbers go to and fro through pipes. */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define ROUNDS 20000

/* On several CPUs it would be measured how soon another one wakes. */
static int stay_on_one_cpu(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return -1;
    int cpu = 0;
    while (!CPU_ISSET(cpu, &set))
        cpu++;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

int main(void)
{
    int to[2], from[2];
    if (stay_on_one_cpu() != 0 || pipe(to) != 0 || pipe(from) != 0)
        return 1;
    pid_t pid = fork();
    if (pid < 0)
        return 1;
    uint64_t value = 0;
    if (pid == 0) {
        close(to[1]);
        while (read(to[0], &value, sizeof value) == sizeof value) {
            value = mix(value, value >> 7);
            if (write(from[1], &value, sizeof value) != sizeof value)
                _exit(1);
        }
        _exit(0);
    }
    uint64_t sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        value = random_bits();
        if (write(to[1], &value, sizeof value) != sizeof value || read(from[0], &value, sizeof value) != sizeof value)
            return 1;
        sum = mix(sum, value);
    }
    close(to[1]);
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 1;
    return finish(sum, 0x3d55f5b3debc5f42);
}

// System calls with random numbers and arguments, each run of them in a process of its own that an alarm ends.
#define _GNU_SOURCE
#include "constant.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t state = 88172645463325252ull;
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

// What ends or starts processes, signals or traces others, or changes the machine and its files.
static int left_out(int n) {
    static const short list[] = {5,  6,  7,  14, 15, 16, 33,  34,  35,  36,  37,  38,  39,  40,  41,  45,  46,  47,  51,  52,  53,
                                 54, 55, 58, 60, 89, 91, 93,  94,  104, 105, 106, 112, 116, 117, 129, 130, 131, 138, 140, 142, 143,
                                 144, 145, 146, 147, 149, 151, 152, 159, 161, 162, 164, 170, 171, 180, 181, 186, 190, 194, 220,
                                 221, 224, 225, 240, 261, 264, 265, 266, 273, 276, 281, 294, 424, 434, 435, 436, 452, 57, 88, 97, 268, 154, 157, 56, 437};
    for (unsigned i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i] == n) return 1;
    return 0;
}

int main(void);
static char *data, *code;
static uint64_t argument(void) {
    switch (next() % 12) {
    case 0: return 0;
    case 1: return -1;
    case 2: return next() % 64;
    case 3: return (uint64_t)data + next() % 8192;
    case 4: return (uint64_t)code + next() % 4096;
    case 5: return (uint64_t)main;
    case 6: return 0x7f0000000000ull + (next() & 0xffffffffff000ull) % 0xffffffffffull;
    case 7: return 0x550000000000ull + next() % 0x10000000000ull;
    case 8: return 0x8000000000000000ull | next();
    case 9: return 4096;
    case 10: return (uint64_t)data + 8190;
    default: return next();
    }
}

int main(void) {
    data = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 4096; i += 4) *(uint32_t *)(code + i) = RETURN;
    for (int i = 0; i < 20; i++) ((void (*)(void))code)();
    for (int run = 0; run < 60; run++) {
        next();
        pid_t p = fork();
        if (p == 0) {
            state += run * 0x9e3779b97f4a7c15ull;
            alarm(1);
            close(0);
            close(1);
            for (int n = 0; n < 300; n++) {
                int number = next() % 470;
                if (!left_out(number)) syscall(number, argument(), argument(), argument(), argument(), argument(), argument());
            }
            _exit(0);
        }
        int status;
        waitpid(p, &status, 0);
    }
    puts("done");
    return 0;
}

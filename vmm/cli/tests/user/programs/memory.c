// Memory: every form of mmap, protection, moving, and code that is written while it runs.
#define _GNU_SOURCE
#include "constant.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf env;
static int code;
static void on_fault(int s, siginfo_t *i, void *c) {
    code = s * 100 + i->si_code;
    siglongjmp(env, 1);
}
static int faults(volatile char *p, int write) {
    code = 0;
    if (sigsetjmp(env, 1) == 0) {
        if (write) *p = 1;
        else (void)*p;
    }
    return code;
}

static void put(uint32_t *at, int n) {
    at[0] = LOAD_CONSTANT(n);
    at[1] = RETURN;
}
static int call(void *at) { return ((int (*)(void))at)(); }

int main(int argc, char **argv) {
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &sa, 0);
    sigaction(SIGBUS, &sa, 0);
    char *p = mmap(0, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p[0x5000] = 1;
    munmap(p + 0x4000, 0x4000);
    printf("hole: %d %d %d\n", faults(p + 0x3fff, 1), faults(p + 0x4000, 1), faults(p + 0x8000, 1));
    char *q = mmap(p + 0x3000, 0x2000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    printf("noreplace: %d\n", q == MAP_FAILED ? errno : 0);
    q = mmap(p + 0x4000, 0x1000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    printf("noreplace: %d, read %d, write %d\n", q == p + 0x4000, faults(q, 0), faults(q, 1));
    mprotect(p, 0x1000, PROT_NONE);
    printf("none: %d\n", faults(p, 0));
    char *r = mmap(0, 0x3000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(r + 0x2000, "moved");
    r = mremap(r, 0x3000, 0x100000, MREMAP_MAYMOVE);
    printf("remap: %s, %d\n", r + 0x2000, faults(r + 0xff000, 1));
    r = mremap(r, 0x100000, 0x1000, 0);
    printf("shrunk: %d\n", faults(r + 0x1000, 0));
    char name[] = "/tmp/mimic-memory-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    ftruncate(fd, 0x1800);
    char *f = mmap(0, 0x4000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    printf("file: %d, past its end %d\n", faults(f + 0x1900, 1), faults(f + 0x2000, 1));
    pwrite(fd, "shared", 6, 0x100);
    printf("file: %.6s\n", f + 0x100);
    void *brk0 = sbrk(0);
    char *heap = sbrk(0x5000);
    heap[0x4fff] = 1;
    sbrk(-0x5000);
    printf("brk: %d\n", sbrk(0) == brk0);
    printf("huge: %d\n", mmap(0, 1ull << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);

    // Code that changes.
    uint32_t *j = mmap(0, 0x2000, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long sum = 0;
    for (int n = 0; n < 500; n++) {
        put(j + n % 7 * 4, n);
        __builtin___clear_cache((char *)j, (char *)j + 0x1000);
        for (int k = 0; k < 10; k++) sum += call(j + n % 7 * 4);
    }
    printf("rwx: %ld\n", sum);
    for (int n = 0; n < 200; n++) {
        mprotect(j, 0x1000, PROT_READ | PROT_WRITE);
        put(j, n);
        mprotect(j, 0x1000, PROT_READ | PROT_EXEC);
        __builtin___clear_cache((char *)j, (char *)j + 0x1000);
        for (int k = 0; k < 10; k++) sum += call(j);
    }
    printf("flips: %ld\n", sum);
    mprotect(j, 0x1000, PROT_READ);
    code = 0;
    if (sigsetjmp(env, 1) == 0) call(j);
    printf("not executable: %d\n", code);
    int mem = memfd_create("code", 0);
    ftruncate(mem, 0x1000);
    uint32_t *w = mmap(0, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, mem, 0);
    uint32_t *x = mmap(0, 0x1000, PROT_READ | PROT_EXEC, MAP_SHARED, mem, 0);
    for (int n = 0; n < 200; n++) {
        put(w, n);
        __builtin___clear_cache((char *)x, (char *)x + 0x1000);
        for (int k = 0; k < 10; k++) sum += call(x);
    }
    printf("dual mapping: %ld\n", sum);
    // Code read from a file over code that has run.
    mprotect(j, 0x1000, PROT_READ | PROT_WRITE | PROT_EXEC);
    put(j, 1);
    for (int k = 0; k < 20; k++) sum += call(j);
    uint32_t other[2];
    put(other, 77);
    pwrite(fd, other, 8, 0);
    pread(fd, j, 8, 0);
    printf("read over code: %d\n", call(j));

    // What /proc tells of addresses.
    char line[1000], *words[60];
    FILE *stat = fopen("/proc/self/stat", "r");
    fgets(line, sizeof line, stat);
    fclose(stat);
    for (int n = 0; n < 60; n++) words[n] = "0";
    int count = 2;
    for (char *word = strtok(strrchr(line, ')') + 1, " "); word && count < 59; word = strtok(0, " ")) words[++count] = word;
#define FIELD(n) strtoul(words[n], 0, 10)
    unsigned long here = (unsigned long)main, top = (unsigned long)sbrk(0);
    printf("stat: code %d, heap %d, arguments %d, environment %d\n", FIELD(26) <= here && here < FIELD(27),
           FIELD(47) && FIELD(47) <= top, FIELD(48) == (unsigned long)argv[0], FIELD(50) == (unsigned long)environ[0]);
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long from, to, found = 0;
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "[heap]") && sscanf(line, "%lx-%lx", &from, &to) == 2) found |= from < top && top <= to;
    printf("maps: heap %lu\n", found);
    return 0;
}

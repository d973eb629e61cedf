// Unwinding from a handler through the signal frame, by the vDSO's call frame information; clocks by the vDSO.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unwind.h>

static int seen_main, seen_crash;
__attribute__((noinline)) void crash(void) { *(volatile int *)16 = 1; }

static _Unwind_Reason_Code step(struct _Unwind_Context *c, void *p) {
    char *ip = (char *)_Unwind_GetIP(c);
    if (ip >= (char *)crash && ip < (char *)crash + 64) seen_crash = 1;
    if (ip == 0) return _URC_END_OF_STACK;
    (*(int *)p)++;
    extern int main(void);
    if (ip >= (char *)main && ip < (char *)main + 400) seen_main = 1;
    return _URC_NO_REASON;
}

static void on_fault(int s, siginfo_t *i, void *c) {
    int frames = 0;
    _Unwind_Backtrace(step, &frames);
    printf("through the frame: crash %d, main %d\n", seen_crash, seen_main);
    fflush(stdout);
    _Exit(0);
}

int main(void) {
    struct timespec t;
    printf("vdso %d\n", getauxval(AT_SYSINFO_EHDR) != 0);
    printf("clock %d\n", clock_gettime(CLOCK_MONOTONIC, &t));
    printf("symbol %d\n", dlvsym(RTLD_DEFAULT, "no_such_symbol", "LINUX_4.15") == 0);
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &sa, 0);
    crash();
    return 1;
}

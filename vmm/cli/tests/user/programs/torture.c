// Everything at once, for as many seconds as the argument says: threads that repair faults, write code, wait on pipes, signal
// each other and fork, under a timer. Ends by itself only if nothing is lost and nothing hangs.
#define _GNU_SOURCE
#include "constant.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8 };
static pthread_t threads[THREADS];
static atomic_int stop, wrong;
static atomic_long ticks, repaired, asked, answered, code, passed, forked;
static __thread char *page;

static void on_tick(int s) { atomic_fetch_add(&ticks, 1); }
static void on_ask(int s, siginfo_t *i, void *c) { atomic_fetch_add(&answered, 1); }
static void on_fault(int s, siginfo_t *i, void *c) {
    if (page == 0 || i->si_addr != page + 7) _exit(99);
    atomic_fetch_add(&repaired, 1);
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void *repair(void *p) {
    page = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int n = 0; !stop; n++) {
        *(volatile int *)(page + 7) = n;
        if (*(volatile int *)(page + 7) != n) wrong++;
        mprotect(page, 4096, PROT_NONE);
    }
    return 0;
}

static void *write_code(void *p) {
    uint32_t *j = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int n = 0; !stop; n++) {
        j[0] = LOAD_CONSTANT(n & 1023);
        j[1] = RETURN;
        __builtin___clear_cache((char *)j, (char *)(j + 2));
        for (int k = 0; k < 12; k++)
            if (((int (*)(void))j)() != (n & 1023)) wrong++;
        code++;
    }
    return 0;
}

static int pipes[2];
static void *writer(void *p) {
    for (unsigned char n = 0; !stop; n++)
        while (write(pipes[1], &n, 1) != 1)
            if (errno != EINTR) wrong++;
    close(pipes[1]);
    return 0;
}
static void *reader(void *p) {
    unsigned char want = 0, got;
    for (;;) {
        int r = read(pipes[0], &got, 1);
        if (r == 0) return 0;
        if (r < 0) {
            if (errno != EINTR) wrong++;
            continue;
        }
        if (got != want++) wrong++;
        passed++;
    }
}

static void *ask(void *p) {
    while (!stop) {
        // Rounds of queued signals: none may be lost.
        if (asked - answered < 100) {
            if (pthread_sigqueue(threads[random() % 4], SIGRTMIN + 3, (union sigval){.sival_int = 1}) == 0) asked++;
        } else {
            sched_yield();
        }
    }
    return 0;
}

static void *forks(void *p) {
    while (!stop) {
        pid_t child = forked % 3 ? fork() : vfork();
        if (child == 0) _exit(forked & 63);
        int status;
        while (waitpid(child, &status, 0) < 0)
            if (errno != EINTR) wrong++;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != (forked & 63)) wrong++;
        forked++;
    }
    return 0;
}

static long resident(void) {
    long size, pages;
    FILE *f = fopen("/proc/self/statm", "r");
    fscanf(f, "%ld %ld", &size, &pages);
    fclose(f);
    return pages / 256;
}

int main(int argc, char **argv) {
    int seconds = argc > 1 ? atoi(argv[1]) : 3;
    struct sigaction sa = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &sa, 0);
    sa.sa_flags = SA_SIGINFO;
    sa.sa_sigaction = on_ask;
    sigaction(SIGRTMIN + 3, &sa, 0);
    sa.sa_sigaction = on_fault;
    sigaction(SIGSEGV, &sa, 0);
    pipe(pipes);
    void *(*bodies[THREADS])(void *) = {repair, write_code, writer, reader, repair, write_code, ask, forks};
    struct itimerval t = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_REAL, &t, 0);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, bodies[i], 0);
    struct timespec end, now;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += seconds;
    long at_first = 0;
    do {
        usleep(100000);
        if (at_first == 0 && forked > 20) at_first = resident();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
    // Those that are asked stay until all answers are there.
    while (asked - answered >= 100) usleep(1000);
    stop = 1;
    pthread_join(threads[6], 0);
    for (int i = 0; i < THREADS; i++)
        if (i != 6) pthread_join(threads[i], 0);
    memset(&t, 0, sizeof t);
    setitimer(ITIMER_REAL, &t, 0);
    long grown = at_first ? resident() - at_first : 0;
    fprintf(stderr, "ticks %ld repaired %ld code %ld passed %ld asked %ld answered %ld forked %ld, grown by %ld MiB\n",
            (long)ticks, (long)repaired, (long)code, (long)passed, (long)asked, (long)answered, (long)forked, grown);
    printf("wrong %d, idle %d, grows %d\n", wrong, !ticks || !repaired || !code || !passed || !answered || !forked, grown > 64);
    return wrong != 0;
}

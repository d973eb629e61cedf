// Calls that a handler interrupts and that are made again whatever its flags: the kernel's ERESTARTNOINTR, and calls that had not begun.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static int mutex, condition;
static volatile int count;
static pthread_barrier_t begun;

static void handler(int signal) {
    count++;
}

static void say(const char *name, long result) {
    int error = errno;
    printf("%s: %s\n", name, result < 0 ? strerror(error) : "done");
}

static void wait_for_signals(void) {
    int before = count;
    while (count < before + 5) usleep(1000);
}

static void *owner(void *nothing) {
    mutex = syscall(SYS_gettid);
    pthread_barrier_wait(&begun);
    wait_for_signals();
    syscall(SYS_futex, &mutex, FUTEX_UNLOCK_PI, 0, 0, 0, 0);
    return 0;
}

static void *waker(void *nothing) {
    pthread_barrier_wait(&begun);
    wait_for_signals();
    while (syscall(SYS_futex, &condition, FUTEX_CMP_REQUEUE_PI, 1, 0l, &mutex, 0) < 1) usleep(1000);
    return 0;
}

static pthread_t start(void *(*what)(void *)) {
    pthread_t thread;
    sigset_t set, old;
    sigfillset(&set);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    pthread_create(&thread, 0, what, 0);
    pthread_sigmask(SIG_SETMASK, &old, 0);
    pthread_barrier_wait(&begun);
    return thread;
}

static void lock(const char *name, int operation, struct timespec *until) {
    pthread_t thread = start(owner);
    say(name, syscall(SYS_futex, &mutex, operation, 0, until, 0, 0));
    pthread_join(thread, 0);
    mutex = 0;
}

int main(void) {
    setvbuf(stdout, 0, _IOLBF, 0);
    pthread_barrier_init(&begun, 0, 2);
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGALRM, &action, 0);
    struct itimerval rarely = {{0, 20000}, {0, 20000}}, often = {{0, 100}, {0, 100}};
    setitimer(ITIMER_REAL, &rarely, 0);
    struct timespec real, monotonic;
    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    real.tv_sec += 60, monotonic.tv_sec += 60;

    lock("lock", FUTEX_LOCK_PI, 0);
    lock("lock until a time", FUTEX_LOCK_PI, &real);
    lock("lock by another clock", FUTEX_LOCK_PI2, &monotonic);
    pthread_t thread = start(waker);
    say("wait for a lock", syscall(SYS_futex, &condition, FUTEX_WAIT_REQUEUE_PI, 0, 0, &mutex, 0));
    pthread_join(thread, 0);

    // Signals that come between the guest's instruction and the host's.
    setitimer(ITIMER_REAL, &often, 0);
    int failed = 0;
    for (int until = count + 3000; count < until;) failed += syscall(SYS_getppid) < 0;
    printf("calls that never fail: %d failed\n", failed);
    return 0;
}

// Threads: futexes, thread-local memory, conditions, cancellation, robust mutexes, signals to threads, races of exit.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8, ROUNDS = 20000 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static long locked;
static atomic_long counted;
static __thread long own;

static void *work(void *n) {
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        locked++;
        pthread_mutex_unlock(&lock);
        atomic_fetch_add(&counted, 1);
        own += (long)n;
    }
    return (void *)own;
}

static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn;
static void *ping(void *me) {
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&lock);
        while (turn != (int)(long)me) pthread_cond_wait(&cond, &lock);
        turn = !turn;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&lock);
    }
    return 0;
}

static void cleanup(void *p) { *(int *)p = 1; }
static int cleaned;
static void *sleeper(void *p) {
    pthread_cleanup_push(cleanup, &cleaned);
    for (;;) pause();
    pthread_cleanup_pop(0);
    return 0;
}

static pthread_mutex_t robust;
static void *dies(void *p) {
    pthread_mutex_lock(&robust);
    return 0;
}

static atomic_int hits;
static void on_usr(int n) { atomic_fetch_add(&hits, 1); }
static atomic_int stop;
static void *spin(void *p) {
    while (!atomic_load(&stop)) {}
    return 0;
}
static void *crowd(void *p) {
    for (;;) { void *m = malloc(100); free(m); }
}

// With an argument: without robust mutexes and without forks.
int main(int argc, char **argv) {
    setvbuf(stdout, 0, _IOLBF, 0);
    pthread_t t[THREADS];
    pthread_barrier_init(&barrier, 0, THREADS);
    for (long i = 0; i < THREADS; i++) pthread_create(&t[i], 0, work, (void *)i);
    long sum = 0;
    for (int i = 0; i < THREADS; i++) {
        void *r;
        pthread_join(t[i], &r);
        sum += (long)r;
    }
    printf("locked %ld counted %ld own %ld\n", locked, (long)counted, sum);
    pthread_create(&t[0], 0, ping, (void *)0);
    pthread_create(&t[1], 0, ping, (void *)1);
    pthread_join(t[0], 0);
    pthread_join(t[1], 0);
    printf("turns taken\n");
    void *r;
    pthread_create(&t[0], 0, sleeper, 0);
    usleep(10000);
    pthread_cancel(t[0]);
    pthread_join(t[0], &r);
    printf("cancelled %d cleaned %d\n", r == PTHREAD_CANCELED, cleaned);
    if (argc > 1) goto signals;
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &a);
    pthread_create(&t[0], 0, dies, 0);
    pthread_join(t[0], 0);
    printf("owner died: %s\n", strerror(pthread_mutex_lock(&robust)));
signals:
    signal(SIGUSR1, on_usr);
    for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, spin, 0);
    for (int n = 0; n < 200; n++) {
        int before = hits;
        pthread_kill(t[n % 4], SIGUSR1);
        while (hits == before) {}
    }
    stop = 1;
    for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
    printf("signals to threads: %d\n", hits);
    // Short-lived threads, many.
    for (int n = 0; n < 300; n++) {
        for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, spin, 0);
        for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
    }
    printf("threads came and went\n");
    if (argc > 1) return 0;
    for (int n = 0; n < 20; n++) {
        pid_t p = fork();
        if (p == 0) {
            for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, crowd, 0);
            usleep(1000);
            exit(n);
        }
        int status;
        waitpid(p, &status, 0);
        if (WEXITSTATUS(status) != n) printf("exit of %d: %x\n", n, status);
    }
    // Forks while others run.
    stop = 0;
    for (int i = 0; i < 3; i++) pthread_create(&t[i], 0, i ? crowd : spin, 0);
    for (int n = 0; n < 50; n++) {
        pid_t p = fork();
        if (p == 0) {
            void *m = malloc(1000);
            memset(m, 1, 1000);
            _exit(n);
        }
        int status;
        waitpid(p, &status, 0);
        if (WEXITSTATUS(status) != n) printf("fork of %d: %x\n", n, status);
    }
    printf("forks among threads\n");
    fflush(stdout);
    _exit(0);
}

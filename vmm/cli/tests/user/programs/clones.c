// clone and clone3: what a new process shares with its parent, and what is refused.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char stack[1 << 16];

static const char *answer(long child) {
    if (child < 0) return strerror(errno);
    if (child == 0) _exit(0);
    waitpid(child, 0, __WALL);
    return "made";
}

static long clone3_call(struct clone_args args) {
    return syscall(SYS_clone3, &args, sizeof args);
}

static void *nothing(void *argument) {
    return argument;
}

static void handler(int signal) {}

// Loops, so that there are translations, in memory that both processes must not have in common.
static int works(int times) {
    volatile unsigned sum = 0;
    for (int n = 0; n < times; n++) sum += n ^ sum << 3;
    pthread_t thread;
    return pthread_create(&thread, 0, nothing, 0) == 0 && pthread_join(thread, 0) == 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "more")) return 4;
    setvbuf(stdout, 0, _IOLBF, 0);
    printf("clone, handlers without memory: %s\n", answer(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0)));
    printf("clone, a thread without handlers: %s\n", answer(syscall(SYS_clone, CLONE_VM | CLONE_THREAD, 0, 0, 0, 0)));
    // Two processes at once in one memory: the kernel does that, emulators do not.
    printf("clone, memory alone: %s\n", answer(syscall(SYS_clone, CLONE_VM | SIGCHLD, 0, 0, 0, 0)));
    int word;
    printf("clone, two results in one: %s\n",
           answer(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &word, 0, 0)));

    if (argc > 1) return 0;

    struct clone_args plain = {.exit_signal = SIGCHLD};
    printf("clone3: %s\n", answer(clone3_call(plain)));
    struct clone_args args = plain;
    args.exit_signal = 999;
    printf("clone3, signal 999: %s\n", answer(clone3_call(args)));
    args.exit_signal = SIGCHLD | 1ull << 32;
    printf("clone3, a signal of 33 bits: %s\n", answer(clone3_call(args)));
    args = plain, args.stack = (uintptr_t)stack;
    printf("clone3, a stack without size: %s\n", answer(clone3_call(args)));
    args = plain, args.stack_size = sizeof stack;
    printf("clone3, a size without stack: %s\n", answer(clone3_call(args)));
    args = plain, args.flags = CLONE_SIGHAND;
    printf("clone3, handlers without memory: %s\n", answer(clone3_call(args)));
    args = plain, args.flags = CLONE_PARENT;
    printf("clone3, a sibling with a signal: %s\n", answer(clone3_call(args)));
    args = plain, args.flags = SIGCHLD;
    printf("clone3, a signal among the flags: %s\n", answer(clone3_call(args)));
    args = plain, args.flags = 1ull << 60;
    printf("clone3, an unknown flag: %s\n", answer(clone3_call(args)));
    printf("clone3, too small: %s\n", answer(syscall(SYS_clone3, &plain, 63)));
    char large[200] = {0};
    memcpy(large, &plain, sizeof plain);
    printf("clone3, larger: %s\n", answer(syscall(SYS_clone3, large, sizeof large)));
    large[150] = 1;
    printf("clone3, unknown contents: %s\n", answer(syscall(SYS_clone3, large, sizeof large)));
    printf("clone3, too large: %s\n", answer(syscall(SYS_clone3, large, 5000)));

    signal(SIGUSR1, handler);
    signal(SIGUSR2, SIG_IGN);
    args = plain, args.flags = 0x100000000; // CLONE_CLEAR_SIGHAND
    int status;
    long child = clone3_call(args);
    if (child == 0) {
        struct sigaction one, two;
        sigaction(SIGUSR1, 0, &one);
        sigaction(SIGUSR2, 0, &two);
        _exit((one.sa_handler == SIG_DFL) + 2 * (two.sa_handler == SIG_IGN));
    }
    waitpid(child, &status, 0);
    printf("clone3, without handlers: %d\n", WEXITSTATUS(status));

    int good = 0;
    for (int n = 0; n < 20; n++) {
        child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
        if (child == 0) {
            int fd = open("/dev/null", O_RDONLY);
            _exit(works(100000) ? fd : 0);
        }
        int worked = works(100000);
        waitpid(child, &status, 0);
        int fd = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
        good += worked && fd > 2 && close(fd) == 0;
    }
    printf("shared descriptors: %d\n", good);
    // As soon as threads have ended, which the emulator's may not have.
    for (good = 0; good < 300; good++) {
        pthread_t threads[4];
        for (int n = 0; n < 4; n++) pthread_create(&threads[n], 0, nothing, 0);
        for (int n = 0; n < 4; n++) pthread_join(threads[n], 0);
        child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
        if (child == 0) _exit(works(1) ? 7 : 8);
        if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7) break;
    }
    printf("behind the ends of threads: %d\n", good);
    child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
        // Becoming another program parts them again.
        execl("/proc/self/exe", "clones", "more", (char *)0);
        _exit(9);
    }
    waitpid(child, &status, 0);
    printf("a program of its own: %s\n", WIFEXITED(status) && WEXITSTATUS(status) == 4 ? "yes" : "no");
    child = fork();
    if (child == 0) _exit(works(1000) ? 5 : 6);
    waitpid(child, &status, 0);
    printf("afterwards: %d\n", WEXITSTATUS(status));
    return 0;
}

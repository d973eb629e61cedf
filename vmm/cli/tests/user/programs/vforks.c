// CLONE_VFORK without CLONE_VM: memory is a copy, and yet the parent waits until the child ends or becomes another program.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int *shared, own;
static int ends[2];

static int make(void) {
    fflush(stdout);
    return syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
}

static int status_of(int child) {
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int read_one(void) {
    char byte;
    return read(ends[0], &byte, 1);
}

// Lets somebody go, after a while in which memory is mapped.
static void *release(void *nothing) {
    usleep(30000);
    munmap(mmap(0, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1 << 20);
    write(ends[1], "x", 1);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        ends[0] = 0;
        return read_one() + 6;
    }
    shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pipe(ends);

    int child = make();
    if (child == 0) {
        usleep(50000);
        *shared = own = 1;
        _exit(3);
    }
    printf("end: %d, memory %d, status %d\n", *shared, own, status_of(child));

    child = make();
    if (child == 0) {
        // Nothing but the standard files stays open.
        dup2(ends[0], 0);
        syscall(SYS_close_range, 3, ~0u, 0);
        usleep(50000);
        *shared = 2;
        execl("/proc/self/exe", "vforks", "other", (char *)0);
        _exit(9);
    }
    // The other program waits for this.
    int seen = *shared;
    write(ends[1], "x", 1);
    printf("another program: %d, status %d\n", seen, status_of(child));

    child = make();
    if (child == 0) {
        if (fork() == 0) {
            int got = read_one();
            *shared += 10 * got;
            _exit(write(ends[1], "y", 1));
        }
        usleep(50000);
        *shared = 3;
        _exit(0);
    }
    seen = *shared;
    write(ends[1], "x", 1);
    int status = status_of(child);
    while (*shared < 13) usleep(1000);
    read_one();
    printf("a child of its own: %d, then %d, status %d\n", seen, *shared, status);

    child = make();
    if (child == 0) {
        usleep(50000);
        *shared = 4;
        raise(SIGKILL);
    }
    printf("a signal: %d, status %d\n", *shared, status_of(child));

    // The other threads go on meanwhile.
    pthread_t thread;
    pthread_create(&thread, 0, release, 0);
    child = make();
    if (child == 0) {
        *shared = 5;
        _exit(read_one());
    }
    printf("another thread: %d, status %d\n", *shared, status_of(child));
    pthread_join(thread, 0);
    return 0;
}

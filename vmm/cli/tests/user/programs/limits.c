// RLIMIT_AS, RLIMIT_DATA and RLIMIT_STACK: what they keep a program from, and who inherits them.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#define M (1l << 20)
#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)

static void say(const char *what, int good) {
    int error = errno;
    printf("%s: %s\n", what, good ? "done" : strerror(error));
    fflush(stdout);
}

static void *map(const char *what, void *at, long size, int rights, int flags) {
    void *got = mmap(at, size, rights, flags, -1, 0);
    say(what, got != MAP_FAILED);
    return got;
}

static void set(int resource, rlim_t soft) {
    struct rlimit limit;
    getrlimit(resource, &limit);
    limit.rlim_cur = soft;
    if (setrlimit(resource, &limit)) say("setrlimit", 0);
}

static void show(const char *who) {
    printf("%s:", who);
    int resources[] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK};
    for (int n = 0; n < 3; n++) {
        struct rlimit limit;
        getrlimit(resources[n], &limit);
        if (limit.rlim_cur == RLIM_INFINITY) printf(" none");
        else printf(" %ldM", (long)(limit.rlim_cur / M));
    }
    printf("\n");
    fflush(stdout);
}

static void show_file(void) {
    char line[200];
    FILE *file = fopen("/proc/self/limits", "r");
    while (fgets(line, sizeof line, file))
        if (strstr(line, "stack") || strstr(line, "data") || strstr(line, "address")) fputs(line, stdout);
    fclose(file);
}

static int deep(long bytes) {
    volatile char frame[4096];
    frame[0] = bytes;
    return bytes < 4096 ? 0 : deep(bytes - 4096) + frame[0];
}

static void tell(const char *what, int child) {
    int status;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) printf("%s: %s\n", what, strsignal(WTERMSIG(status)));
    else printf("%s: status %d\n", what, WEXITSTATUS(status));
    fflush(stdout);
}

// Needs so much of the stack, with such a limit, as a program of its own or not.
static void recurse(const char *what, rlim_t limit, long bytes, int as_program) {
    char text[30];
    sprintf(text, "%ld", bytes);
    int child = fork();
    if (child == 0) {
        set(RLIMIT_STACK, limit);
        if (as_program) execl("/proc/self/exe", "limits", "deep", text, (char *)0);
        deep(bytes);
        _exit(0);
    }
    tell(what, child);
}

int main(int argc, char **argv) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    if (argc > 2) {
        deep(atol(argv[2]));
        return 0;
    } else if (argc > 1) {
        show(argv[1]);
        map("  200M", 0, 200 * M, PROT_NONE, PRIVATE);
        return 0;
    }
    show("at first");

    set(RLIMIT_AS, 256 * M);
    show("address space");
    char *first = map("  half", 0, 128 * M, RW, PRIVATE);
    map("  the other half", 0, 128 * M, RW, PRIVATE);
    map("  without rights", 0, 128 * M, PROT_NONE, PRIVATE);
    map("  in its place", first, 128 * M, RW, PRIVATE | MAP_FIXED);
    map("  partly in its place", first + 64 * M, 128 * M, RW, PRIVATE | MAP_FIXED);
    map("  too much of that", first + 64 * M, 256 * M, RW, PRIVATE | MAP_FIXED);
    say("  growing", mremap(first, 64 * M, 192 * M, MREMAP_MAYMOVE) != MAP_FAILED);
    munmap(first + 64 * M, 128 * M);
    say("  growing less", (first = mremap(first, 64 * M, 130 * M, MREMAP_MAYMOVE)) != MAP_FAILED);
    say("  moving, and staying", mremap(first, 130 * M, 130 * M, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) != MAP_FAILED);
    say("  more heap", sbrk(128 * M) != (void *)-1);
    say("  some more heap", sbrk(100 * M) != (void *)-1);
    sbrk(-100 * M);
    int segment = shmget(IPC_PRIVATE, 128 * M, 0600);
    say("  a segment", shmat(segment, 0, 0) != (void *)-1);
    shmctl(segment, IPC_RMID, 0);
    munmap(first, 130 * M);
    first = map("  something unmapped", 0, 128 * M, RW, PRIVATE);
    if (fork() == 0) {
        map("  a child's", 0, 128 * M, RW, PRIVATE);
        execl("/proc/self/exe", "limits", "  another program", (char *)0);
    }
    wait(0);
    int child = vfork();
    if (child == 0) {
        set(RLIMIT_AS, 100 * M);
        execl("/proc/self/exe", "limits", "  another program by vfork", (char *)0);
    }
    wait(0);
    if (fork() == 0) {
        set(RLIMIT_STACK, 4 * M);
        execl("/bin/sh", "sh", "-c", "echo \"  the host's own: $(ulimit -v) $(ulimit -s)\"", (char *)0);
    }
    wait(0);
    show("  still");
    munmap(first, 128 * M);
    set(RLIMIT_AS, RLIM_INFINITY);

    set(RLIMIT_DATA, 64 * M);
    show("data");
    show_file();
    map("  private", 0, 128 * M, RW, PRIVATE);
    map("  shared", 0, 128 * M, RW, MAP_SHARED | MAP_ANONYMOUS);
    char *fixed = map("  read only", 0, 128 * M, PROT_READ, PRIVATE);
    say("  made writable", !mprotect(fixed, 128 * M, RW));
    say("  a part of it", !mprotect(fixed, 32 * M, RW));
    say("  another part", !mprotect(fixed + 40 * M, 32 * M, RW));
    say("  again", !mprotect(fixed, 32 * M, RW));
    say("  growing what is read only", mremap(fixed + 64 * M, 64 * M, 100 * M, MREMAP_MAYMOVE) != MAP_FAILED);
    say("  growing", mremap(fixed, 32 * M, 70 * M, MREMAP_MAYMOVE) != MAP_FAILED);
    say("  more heap", sbrk(40 * M) != (void *)-1);
    say("  some more heap", sbrk(4 * M) != (void *)-1);
    set(RLIMIT_DATA, 0);
    map("  none", 0, M, RW, PRIVATE);
    set(RLIMIT_DATA, RLIM_INFINITY);

    recurse("stack of 8M", 8 * M, 6 * M, 0);
    recurse("stack of 2M", 2 * M, 6 * M, 0);
    recurse("stack of 32M", 32 * M, 24 * M, 0);
    recurse("stack of 2M, a program", 2 * M, 6 * M, 1);
    recurse("stack of 32M, a program", 32 * M, 24 * M, 1);
    recurse("stack without limit", RLIM_INFINITY, 200 * M, 1);

    struct rlimit wrong = {2 * M, M}, hard = {M, M}, harder = {M, 2 * M};
    say("more than the hard limit", !setrlimit(RLIMIT_DATA, &wrong));
    if (fork() == 0) {
        setuid(65534);
        say("hard limit", !setrlimit(RLIMIT_STACK, &hard));
        say("hard limit again", !setrlimit(RLIMIT_STACK, &harder));
        _exit(0);
    }
    wait(0);
    return 0;
}

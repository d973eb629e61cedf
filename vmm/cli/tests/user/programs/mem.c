// Writing to /proc/PID/mem, which no rights of private pages keep anybody from, and process_vm_writev.
#define _GNU_SOURCE
#include "constant.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char constant[] = "constant";

static void say(const char *what, long got, const char *text) {
    int error = errno;
    if (got < 0) printf("%s: %s\n", what, strerror(error));
    else printf("%s: %ld %s\n", what, got, text);
    fflush(stdout);
}

static int (*make(int rights, int n))(void) {
    uint32_t *at = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    at[0] = LOAD_CONSTANT(n), at[1] = RETURN;
    __builtin___clear_cache((char *)at, (char *)(at + 2));
    mprotect(at, 4096, rights);
    return (int (*)(void))at;
}

// So often that there are translations of it, and of loops that it is in.
static int call(int (*function)(void)) {
    int sum = 0;
    for (int n = 0; n < 10000; n++) sum += function();
    return sum / 10000;
}

static int open_of(int pid) {
    char name[40];
    sprintf(name, "/proc/%d/mem", pid);
    return open(name, O_RDWR);
}

static int patch(int fd, void *at, int n) {
    uint32_t word = LOAD_CONSTANT(n);
    return pwrite(fd, &word, 4, (uintptr_t)at);
}

int main(int argc, char **argv) {
    int fd = open("/proc/self/mem", O_RDWR);
    say("read only", pwrite(fd, "CONST", 5, (uintptr_t)constant), (const char *)(volatile char *)constant);
    char *none = mmap(0, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long got = pwrite(fd, "hidden", 7, (uintptr_t)none);
    mprotect(none, 4096, PROT_READ);
    say("no rights", got, none);
    munmap(none + 4096, 4096);
    say("nothing", pwrite(fd, "x", 1, (uintptr_t)none + 4096), "");
    say("partly nothing", pwrite(fd, "0123456789", 10, (uintptr_t)none + 4090), "");
    say("too high", pwrite(fd, "x", 1, 1ull << 62), "");
    say("from nowhere", pwrite(fd, (void *)8, 1, (uintptr_t)none), "");
    char *shared = mmap(0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    say("shared", pwrite(fd, "x", 1, (uintptr_t)shared), "");
    lseek(fd, (uintptr_t)none, SEEK_SET);
    got = write(fd, "seek", 4);
    struct iovec parts[] = {{"and ", 4}, {"on", 3}};
    say("from a position on", got + writev(fd, parts, 2), none);
    say("in parts", pwritev(fd, parts + 1, 1, (uintptr_t)none), none);
    int reading = open("/proc/self/mem", O_RDONLY);
    say("for reading", pwrite(reading, "x", 1, (uintptr_t)none), "");

    if (argc > 1) return 0;

    int rights[] = {PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC};
    for (int n = 0; n < 2; n++) {
        int (*function)(void) = make(rights[n], 1);
        int before = call(function);
        got = patch(fd, function, 2);
        printf("code: %ld, %d then %d\n", got, before, call(function));
        lseek(fd, (uintptr_t)function, SEEK_SET);
        uint32_t word = LOAD_CONSTANT(3);
        write(fd, &word, 4);
        printf("  again: %d\n", call(function));
        word = LOAD_CONSTANT(4);
        struct iovec from = {&word, 4}, to = {function, 4};
        got = process_vm_writev(getpid(), &from, 1, &to, 1, 0);
        say("  by process_vm_writev", got, "");
        printf("  then: %d\n", call(function));
    }

    // A child that runs meanwhile.
    int (*function)(void) = make(PROT_READ | PROT_EXEC, 5);
    int ends[2];
    pipe(ends);
    int child = fork(), status;
    if (child == 0) {
        int before = call(function);
        write(ends[1], "x", 1);
        while (call(function) == before) {}
        _exit(function() + (constant[0] == 'c'));
    }
    char byte;
    read(ends[0], &byte, 1);
    int other = open_of(child);
    pwrite(other, "c", 1, (uintptr_t)constant);
    got = patch(other, function, 6);
    waitpid(child, &status, 0);
    printf("a child: %ld, status %d, here %d %s\n", got, WEXITSTATUS(status), call(function), (const char *)(volatile char *)constant);
    say("  that is gone", pwrite(other, "x", 1, (uintptr_t)none), "");

    // One that is traced.
    child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        int before = call(function);
        raise(SIGSTOP);
        _exit(before * 10 + call(function));
    }
    waitpid(child, &status, 0);
    other = open_of(child);
    got = patch(other, function, 7);
    ptrace(PTRACE_CONT, child, 0, 0);
    waitpid(child, &status, 0);
    printf("a tracee: %ld, status %d\n", got, WEXITSTATUS(status));
    return 0;
}

// Processes: fork storms, vfork, posix_spawn, pipes, exec with arguments and environment.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "child")) {
        printf("child: %s %s, FOO=%s\n", argv[2], argc > 3 ? argv[3] : "-", getenv("FOO"));
        return 7;
    }
    setvbuf(stdout, 0, _IOLBF, 0);
    int status;
    pid_t p;
    int bad = 0;
    for (int n = 0; n < 40; n++) {
        pid_t list[10];
        for (int i = 0; i < 10; i++)
            if ((list[i] = fork()) == 0) _exit(i);
        for (int i = 0; i < 10; i++) {
            waitpid(list[i], &status, 0);
            bad += WEXITSTATUS(status) != i;
        }
    }
    printf("storm: %d bad\n", bad);
    char *missing[] = {"/nowhere", 0};
    printf("spawn of nothing: %s\n", strerror(posix_spawn(&p, "/nowhere", 0, 0, missing, environ)));
    setenv("FOO", "bar", 1);
    char *self[] = {"renamed", "child", "spawned", 0};
    int r = posix_spawn(&p, "/proc/self/exe", 0, 0, self, environ);
    waitpid(p, &status, 0);
    printf("spawned: %d, exit %d\n", r, WEXITSTATUS(status));
    volatile int shared = 0;
    p = vfork();
    if (p == 0) {
        shared = 5;
        _exit(3);
    }
    waitpid(p, &status, 0);
    printf("vfork: exit %d\n", WEXITSTATUS(status));
    int pipes[2];
    pipe(pipes);
    p = fork();
    if (p == 0) {
        dup2(pipes[1], 1);
        close(pipes[0]);
        char *args[] = {"sh", "-c", "echo from a native shell $FOO", 0};
        execv("/bin/sh", args);
        _exit(1);
    }
    close(pipes[1]);
    char text[100] = "";
    int n = read(pipes[0], text, 99);
    waitpid(p, &status, 0);
    printf("native: %d %s", n, text);
    char script[] = "/tmp/mimic-script-XXXXXX";
    int fd = mkostemp(script, O_CLOEXEC);
    char line[600], own[500];
    int len = readlink("/proc/self/exe", own, 499);
    own[len] = 0;
    snprintf(line, 600, "#!%s child\nnothing\n", own);
    write(fd, line, strlen(line));
    fchmod(fd, 0700);
    close(fd);
    p = fork();
    if (p == 0) {
        char *args[] = {"ignored", "more", 0};
        execv(script, args);
        _exit(1);
    }
    waitpid(p, &status, 0);
    unlink(script);
    printf("script: exit %d\n", WEXITSTATUS(status));
    struct stat st, st2;
    stat("/bin/sh", &st);
    fd = open("/bin/sh", O_RDONLY);
    fstat(fd, &st2);
    printf("lowest descriptor: %d, stat agrees %d\n", fd, st.st_ino == st2.st_ino && st.st_size == st2.st_size && S_ISREG(st.st_mode));
    struct utsname u;
    uname(&u);
    printf("machine: %s\n", u.machine);
    printf("access: %d\n", access("/nowhere", R_OK) < 0 ? errno : 0);
    return 0;
}

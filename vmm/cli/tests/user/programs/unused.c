// What a system call does not use of its arguments may hold anything, such as numbers that look like addresses of nothing.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long anything = 0x7ff012345678;

static void say(const char *name, long result) {
    printf("%s: %s\n", name, result < 0 ? strerror(errno) : "done");
}

int main(void) {
    int word = 0;
    say("futex, waking", syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, anything, anything, 0));

    long child = syscall(SYS_clone, SIGCHLD, 0, anything, anything, anything);
    if (child == 0) _exit(7);
    int status = 0;
    say("clone, a child", child);
    waitpid(child, &status, 0);
    printf("its status: %d\n", WEXITSTATUS(status));

    int poll = epoll_create1(0), pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(poll, EPOLL_CTL_ADD, pair[0], &event);
    say("epoll_ctl, removing", syscall(SYS_epoll_ctl, poll, EPOLL_CTL_DEL, pair[0], anything));
    say("epoll_ctl, adding", syscall(SYS_epoll_ctl, poll, EPOLL_CTL_ADD, pair[0], anything));
    say("sendto, of a stream", syscall(SYS_sendto, pair[0], "x", 1, 0, anything, 0));

    int queue = msgget(IPC_PRIVATE, 0600), memory = shmget(IPC_PRIVATE, 4096, 0600);
    say("msgctl, asking", syscall(SYS_msgctl, queue, IPC_STAT, anything));
    say("msgctl, removing", syscall(SYS_msgctl, queue, IPC_RMID, anything));
    say("shmctl, asking", syscall(SYS_shmctl, memory, IPC_STAT, anything));
    say("shmctl, removing", syscall(SYS_shmctl, memory, IPC_RMID, anything));

    struct timespec past = {0, 1}, soon = {0, 1000};
    say("clock_nanosleep, until", syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &past, anything));
    say("clock_nanosleep, for", syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &soon, 0));
}

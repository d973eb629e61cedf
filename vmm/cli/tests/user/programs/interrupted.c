// Calls that a handler with SA_RESTART interrupts while a timer runs: those that wait for a limited time end with EINTR, the others
// are made again (signal(7)).
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int pair[2], listener, word;
static volatile int count;

static void handler(int signal) {
    count++;
}

static void say(const char *name, long result) {
    int error = errno;
    printf("%s: %s\n", name, result < 0 ? strerror(error) : "done");
}

// Ends the waits that are made again: after some signals.
static void *helper(void *what) {
    int before = count;
    while (count < before + 5) usleep(1000);
    if (what == &word) {
        word = 1;
        syscall(SYS_futex, &word, FUTEX_WAKE, 1, 0, 0, 0);
    } else {
        write(pair[1], "x", 1);
    }
    return 0;
}

static pthread_t help(void *what) {
    pthread_t thread;
    sigset_t set, old;
    sigfillset(&set);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    pthread_create(&thread, 0, helper, what);
    pthread_sigmask(SIG_SETMASK, &old, 0);
    return thread;
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, 0);
    struct itimerval often = {{0, 20000}, {0, 20000}};
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {AF_UNIX, "\0mimic-interrupted"};
    int len = sizeof(sa_family_t) + 1 + snprintf(address.sun_path + 1, 90, "mimic-interrupted-%d", getpid());
    bind(listener, (void *)&address, len);
    listen(listener, 0);
    setitimer(ITIMER_REAL, &often, 0);

    // Made again.
    char byte;
    pthread_t thread = help(&word);
    say("futex", syscall(SYS_futex, &word, FUTEX_WAIT, 0, 0, 0, 0));
    pthread_join(thread, 0);
    thread = help(pair);
    say("read", read(pair[0], &byte, 1));
    pthread_join(thread, 0);
    thread = help(pair);
    say("recv", recv(pair[0], &byte, 1, 0));
    pthread_join(thread, 0);

    if (argc > 1) return 0;

    // Not made again.
    struct timespec second = {1, 0}, until;
    word = 0;
    say("futex for a time", syscall(SYS_futex, &word, FUTEX_WAIT, 0, &second, 0, 0));
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    say("futex until a time", syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &until, 0, -1));
    struct timeval limit = {1, 0};
    setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    say("recv for a time", recv(pair[0], &byte, 1, 0));
    say("recvmsg for a time", recvmsg(pair[0], &message, 0));
    say("read for a time", read(pair[0], &byte, 1));
    say("readv for a time", readv(pair[0], &vector, 1));
    say("accept for a time", accept(listener, 0, 0));
    static char much[1 << 16];
    while (send(pair[0], much, sizeof much, MSG_DONTWAIT) > 0) {}
    say("send for a time", send(pair[0], much, sizeof much, 0));
    say("sendmsg for a time", sendmsg(pair[0], &message, 0));
    say("write for a time", write(pair[0], much, sizeof much));
    int client[3];
    for (int n = 0; n < 3; n++) {
        client[n] = socket(AF_UNIX, SOCK_STREAM, 0);
        setsockopt(client[n], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    connect(client[0], (void *)&address, len);
    say("connect for a time", connect(client[1], (void *)&address, len));
    say("nanosleep", nanosleep(&second, 0));
    say("poll", poll(0, 0, 1000));
    struct epoll_event event;
    say("epoll_wait", epoll_wait(epoll_create1(0), &event, 1, 1000));
    say("pause", pause());
    return 0;
}

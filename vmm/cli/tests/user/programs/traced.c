// Calls whose arguments -strace has names for.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#define call(name, ...) syscall(SYS_##name, ##__VA_ARGS__)
int main(void) {
    int pair[2], word = 5, size;
    call(socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    call(socket, AF_INET, SOCK_DGRAM, 17);
    call(socketpair, AF_UNIX, SOCK_STREAM, 0, pair);
    call(fcntl, 3, F_GETFD);
    call(fcntl, 3, F_SETFD, FD_CLOEXEC);
    call(fcntl, 3, F_SETFL, O_RDWR | O_NONBLOCK);
    call(fcntl, 3, F_DUPFD, 20);
    call(ioctl, 3, TCGETS, 0);
    call(ioctl, pair[0], FIONREAD, &size);
    call(ioctl, 3, 0x1234, 5);
    uint64_t set = 1 << 9 | 1 << 11, more = 0xffffffff;
    call(rt_sigprocmask, SIG_BLOCK, &set, &more, 8);
    call(rt_sigprocmask, SIG_SETMASK, 0, 0, 8);
    struct timespec t = {0, 1000000};
    call(futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 6, &t);
    call(futex, &word, FUTEX_WAKE, 1);
    call(futex, &word, FUTEX_WAIT_BITSET|FUTEX_PRIVATE_FLAG, 6, 0, 0, -1);
    call(nanosleep, &t, 0);
    call(clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0);
    struct pollfd p = {pair[0], POLLIN};
    call(ppoll, &p, 1, &t, 0, 8);
    struct itimerval i = {{0, 0}, {1, 5}};
    call(setitimer, ITIMER_REAL, &i, 0);
    call(setitimer, ITIMER_VIRTUAL, 0, 0);
    char *m = mmap(0, 8192, 3, 34, -1, 0);
    call(madvise, m, 4096, MADV_DONTNEED);
    call(sendto, pair[0], "abc", 3, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
    call(recvfrom, pair[1], m, 3, MSG_PEEK, 0, 0);
    call(faccessat, AT_FDCWD, "/etc/passwd", R_OK | W_OK);
    call(faccessat, AT_FDCWD, "/etc/passwd", F_OK);
    call(lseek, 3, 0, SEEK_DATA);
    call(lseek, 3, 0, SEEK_CUR);
    call(mknodat, AT_FDCWD, "/nowhere/x", S_IFIFO | 0600, 0);
    call(openat, AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC, 0123);
    call(openat, AT_FDCWD, "/nowhere/x", O_CREAT | O_WRONLY, 0644);
    call(shutdown, pair[0], SHUT_RDWR);
    call(setsockopt, pair[0], SOL_SOCKET, SO_RCVTIMEO, &t, 16);
    call(mremap, m, 4096, 8192, MREMAP_MAYMOVE, 0);
    char *args[] = {"a", "b c", 0}, *env[] = {"X=1", "Y=2", 0};
    call(execve, "/nowhere", args, env);
    call(exit_group, 3);
}

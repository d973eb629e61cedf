// A tracer and what it traces: signals, system calls, memory, registers, a breakpoint, a child, another program.
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __riscv
#define BREAK() asm volatile(".option push\n.option norvc\nebreak\n.option pop")
enum { PC = 0, SP = 2 };
#else
#define BREAK() asm volatile("brk #0")
enum { PC = 32, SP = 31 };
#endif

struct call_info {
    uint8_t op, pad[3];
    uint32_t arch;
    uint64_t ip, sp;
    union {
        struct { uint64_t nr, args[6]; } entry;
        struct { int64_t value; uint8_t is_error; } exit;
    };
};

static volatile long word = 1;
static volatile int handled;

static void handler(int signal) { handled = signal; }
static void *thread(void *arg) { return syscall(SYS_gettid) == getpid() ? 0 : arg; }

static void traced(char *self) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(98);
    raise(SIGSTOP);
    printf("  word %ld\n", word);
    syscall(SYS_getppid);
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
    printf("  handled %d\n", handled);
    handled = 0;
    signal(SIGUSR2, handler);
    raise(SIGUSR2);
    printf("  swallowed %d\n", handled);
    BREAK();
    printf("  behind the breakpoint\n");
    pthread_t other;
    void *result;
    pthread_create(&other, 0, thread, &word);
    pthread_join(other, &result);
    printf("  thread %d\n", result == &word);
    pid_t pid = fork();
    if (!pid) _exit(3);
    int status;
    waitpid(pid, &status, 0);
    printf("  child %d\n", WEXITSTATUS(status));
    execl(self, self, "second", NULL);
}

static const char *name(uint64_t nr) {
    return nr == SYS_getppid ? "getppid" : nr == SYS_execve ? "execve" : nr == SYS_exit_group ? "exit_group" : 0;
}

static int registers(pid_t pid, int request, uint64_t *regs, size_t len) {
    struct iovec iov = {regs, len};
    return ptrace(request, pid, NT_PRSTATUS, &iov) ? -1 : (int)iov.iov_len;
}

// The next child there is to tell of: by waitid if the environment wants that.
static pid_t wait_any(int *status) {
    siginfo_t info;
    if (!getenv("WAITID")) return waitpid(-1, status, __WALL);
    if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | __WALL)) return -1;
    if (info.si_code == CLD_EXITED) *status = info.si_status << 8;
    else if (info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) *status = info.si_status;
    else *status = info.si_status << 8 | 0x7f;
    return info.si_pid;
}

int main(int argc, char **argv) {
    setvbuf(stdout, 0, _IONBF, 0);
    if (argc > 1) {
        printf("  second program\n");
        return 7;
    }
    pid_t child = fork();
    if (!child) {
        traced(argv[0]);
        _exit(99);
    }
    int threads = 0, forks = 0, strangers = 0, ended = 0;
    const char *last = 0;
    for (;;) {
        int status;
        pid_t pid = wait_any(&status);
        if (pid < 0) break;
        if (!WIFSTOPPED(status)) {
            if (pid == child) {
                printf("end: exited %d with %d\n", WIFEXITED(status), WEXITSTATUS(status));
                break;
            }
            ended++;
            continue;
        }
        int signal = WSTOPSIG(status), event = status >> 16, deliver = 0;
        unsigned long message = 0;
        if (event) {
            ptrace(PTRACE_GETEVENTMSG, pid, 0, &message);
            if (event == PTRACE_EVENT_CLONE) threads++;
            else if (event == PTRACE_EVENT_FORK) forks += message != 0 && message != pid;
            else printf("event %d of itself %d\n", event, message == pid);
        } else if (pid != child) {
            strangers += signal == SIGSTOP;
        } else if (signal == (SIGTRAP | 0x80)) {
            struct call_info info;
            memset(&info, 0, sizeof info);
            long len = ptrace(0x420e, pid, sizeof info, &info);
            uint64_t regs[64];
            registers(pid, PTRACE_GETREGSET, regs, sizeof regs);
            if (info.op == 1) {
                last = name(info.entry.nr);
                if (last) printf("enter %s: %ld bytes, sp %d\n", last, len, info.sp == regs[SP]);
            } else if (last) {
                printf("leave %s: %ld bytes, op %d, error %d\n", last, len, info.op, info.exit.is_error);
                last = 0;
            }
        } else {
            siginfo_t info;
            ptrace(PTRACE_GETSIGINFO, pid, 0, &info);
            printf("signal %d of %d\n", signal, info.si_signo);
            if (signal == SIGSTOP) {
                long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
                printf("options %ld\n", ptrace(PTRACE_SETOPTIONS, pid, 0, options));
                errno = 0;
                printf("peek %ld\n", ptrace(PTRACE_PEEKDATA, pid, &word, 0));
                printf("poke %ld\n", ptrace(PTRACE_POKEDATA, pid, &word, 42));
                printf("nowhere %ld\n", ptrace(PTRACE_PEEKDATA, pid, 8, 0));
            } else if (signal == SIGUSR1) {
                deliver = SIGUSR1;
            } else if (signal == SIGTRAP) {
                uint64_t regs[64];
                int len = registers(pid, PTRACE_GETREGSET, regs, sizeof regs);
                regs[PC] += 4;
                printf("registers %d\n", len > 0 && registers(pid, PTRACE_SETREGSET, regs, len) == len);
            }
        }
        ptrace(PTRACE_SYSCALL, pid, 0, deliver);
    }
    printf("threads %d, forks %d, begun %d, ended %d\n", threads, forks, strangers, ended);
    return 0;
}

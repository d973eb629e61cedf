// The mask is set, and handlers return, while signals of two kinds keep coming: none is taken for another.
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

// Shared with who sends.
static volatile struct { long first, second; } *came;
static void on_first(int signal) { came->first += signal == SIGRTMIN + 3; }
static void on_second(int signal) { came->second += signal == SIGALRM; }

int main(void) {
    came = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    signal(SIGRTMIN + 3, on_first);
    signal(SIGALRM, on_second);
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        for (long sent = 0; getppid() == parent;) {
            if (sent - came->first >= 4) continue;
            if (sigqueue(parent, SIGRTMIN + 3, (union sigval){0}) == 0) sent++;
            kill(parent, SIGALRM);
        }
        _exit(0);
    }
    sigset_t none, other;
    sigemptyset(&none);
    sigemptyset(&other);
    sigaddset(&other, SIGUSR1);
    while (came->first < 3000 || came->second < 600) {
        sigprocmask(SIG_SETMASK, &other, 0);
        sigprocmask(SIG_SETMASK, &none, 0);
    }
    kill(child, SIGKILL);
    int status;
    while (waitpid(child, &status, 0) != child) {}
    printf("both kinds came\n");
    return 0;
}

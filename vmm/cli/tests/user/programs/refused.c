// What the kernel refuses of arguments, and what it does of those that look alike.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

static void say(const char *name, long result) {
    printf("%s: %s\n", name, result < 0 ? strerror(errno) : "done");
}

static int attached(int id) {
    struct shmid_ds info;
    shmctl(id, IPC_STAT, &info);
    return info.shm_nattch;
}

int main(void) {
    char *pages = mmap(0, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("mprotect, unknown rights", mprotect(pages, 0x1000, 0x100));
    say("mprotect, PROT_SEM", mprotect(pages, 0x1000, PROT_READ | PROT_WRITE | 8));
    say("mprotect, both ways", mprotect(pages, 0x1000, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP));
    say("mlockall, nothing", mlockall(0));
    say("mlockall, unknown", mlockall(0x80));
    say("mlockall, only on fault", mlockall(MCL_ONFAULT));
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
    say("mremap onto itself", (long)mremap(pages, 0x2000, 0x2000, flags, pages));
    say("mremap over its end", (long)mremap(pages, 0x2000, 0x2000, flags, pages + 0x1000));
    say("mremap beside", (long)mremap(pages, 0x1000, 0x1000, flags, pages + 0x1000));

    char how[200] = {0};
    ((struct open_how *)how)->flags = O_RDONLY;
    say("openat2, larger", syscall(SYS_openat2, AT_FDCWD, "/dev/null", how, sizeof how));
    how[100] = 1;
    say("openat2, unknown contents", syscall(SYS_openat2, AT_FDCWD, "/dev/null", how, sizeof how));
    say("openat2, too large", syscall(SYS_openat2, AT_FDCWD, "/dev/null", how, 5000));
    say("prctl, no dispatch", prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 0, 0, 0, 0));

    int id = shmget(IPC_PRIVATE, 10000, 0600 | IPC_CREAT);
    char *first = shmat(id, 0, 0);
    say("shmat, nowhere over it", (long)shmat(id, 0, SHM_REMAP));
    say("shmat, where it is", (long)shmat(id, first, 0));
    say("shmat, not on a page", (long)shmat(id, pages + 0x4008, 0));
    printf("attached: %d\n", attached(id));
    printf("over itself: %d\n", shmat(id, first, SHM_REMAP) == first);
    printf("attached: %d\n", attached(id));
    printf("over other pages: %d\n", shmat(id, pages + 0x4008, SHM_REMAP | SHM_RND) == pages + 0x4000);
    printf("attached: %d\n", attached(id));
    first[100] = 7;
    printf("the same bytes: %d\n", pages[0x4064]);
    say("shmdt", shmdt(pages + 0x4000));
    say("shmdt", shmdt(first));
    printf("attached: %d\n", attached(id));
    shmctl(id, IPC_RMID, 0);
    return 0;
}

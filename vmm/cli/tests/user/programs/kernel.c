// What the kernel tells of itself: calls that are not there, files under /proc.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int holds(const char *path, const char *what, int len) {
    static char text[1 << 16];
    FILE *file = fopen(path, "r");
    size_t got = file ? fread(text, 1, sizeof text, file) : 0;
    return memmem(text, got, what, len) != 0;
}

int main(int argc, char **argv) {
    for (int n = 0; n < 3; n++)
        printf("%d %d\n", syscall(425, 1, 0) < 0 ? errno : 0, syscall(9999) < 0 ? errno : 0);
#ifdef __aarch64__
    printf("cpuinfo: %d\n", holds("/proc/cpuinfo", "CPU implementer", 15));
#else
    printf("cpuinfo: %d\n", holds("/proc/cpuinfo", "rv64ima", 7));
#endif
    printf("environ: %d\n", holds("/proc/self/environ", "MIMIC_TEST=x", 13));
    printf("cmdline: %d\n", holds("/proc/self/cmdline", argv[0], strlen(argv[0]) + 1));
    printf("maps: %d %d\n", holds("/proc/self/maps", "[stack]", 7), holds("/proc/self/maps", "mimic", 5));
    if (argc == 1) {
        fflush(stdout);
        // The loader of the host must not see this; the guest must.
        setenv("LD_PRELOAD", "/nowhere.so", 1);
        execl("/proc/self/exe", "again", "x", 0);
    }
    printf("preload: %d\n", holds("/proc/self/environ", "LD_PRELOAD=/nowhere.so", 23));
    return 0;
}

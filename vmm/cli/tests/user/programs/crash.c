// Ends in the way that the argument says.
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <stdatomic.h>
#include <sys/mman.h>
#if defined(__aarch64__)
#define BREAK "brk #0"
#else
#define BREAK "ebreak"
#endif
static int deep(int n) { volatile char b[9999]; b[0] = n; return n < 0 ? 0 : deep(n + 1) + b[0]; }
int main(int argc, char **argv) {
    char *how = argv[1];
    if (!strcmp(how, "segv")) *(volatile int *)8 = 1;
    if (!strcmp(how, "abort")) abort();
    if (!strcmp(how, "ill")) asm volatile(".word 0");
    if (!strcmp(how, "trap")) asm volatile(BREAK);
    if (!strcmp(how, "bus")) {
        FILE *f = tmpfile();
        *(volatile char *)mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0) = 1;
    }
    if (!strcmp(how, "pc")) ((void (*)(void))0x10)();
    if (!strcmp(how, "stack")) return deep(0);
    return 0;
}

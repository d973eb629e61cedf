// Accesses of FEAT_LSE2: at every place within sixteen bytes, and one that is across, which faults.
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static _Alignas(64) unsigned char bytes[64];
static sigjmp_buf env;

static void on_fault(int signal) { siglongjmp(env, signal); }

static uint64_t at(int offset) {
    uint64_t value;
    memcpy(&value, bytes + offset, 8);
    return value;
}

int main(void) {
    uint64_t value, sum = 0, old;
    uint32_t status, word;
    for (int i = 0; i < 64; i++) bytes[i] = i;
    for (int i = 0; i <= 8; i++) {
        asm volatile("ldaddal %1, %0, [%2]" : "=&r"(value) : "r"(1l << i), "r"(bytes + i) : "memory");
        sum = sum * 31 + value;
    }
    printf("added %016lx, left %016lx %016lx\n", sum, at(0), at(8));
    for (int i = 0; i <= 12; i++) {
        asm volatile("swpa %w1, %w0, [%2]" : "=&r"(word) : "r"(i), "r"(bytes + 16 + i) : "memory");
        sum = sum * 31 + word;
    }
    printf("swapped %016lx, left %016lx %016lx\n", sum, at(16), at(24));
    for (int i = 0; i <= 8; i++) {
        old = at(i);
        asm volatile("casal %0, %1, [%2]" : "+r"(old) : "r"(old + 3), "r"(bytes + i) : "memory");
        asm volatile("ldar %0, [%1]" : "=r"(value) : "r"(bytes + i) : "memory");
        sum = sum * 31 + value;
        asm volatile("stlr %0, [%1]" ::"r"(value ^ 7), "r"(bytes + 8 - i) : "memory");
    }
    printf("compared %016lx, left %016lx %016lx\n", sum, at(0), at(8));
    for (int i = 0; i <= 8; i++) {
        do
            asm volatile("ldxr %0, [%2]\n add %0, %0, #5\n stxr %w1, %0, [%2]"
                         : "=&r"(value), "=&r"(status) : "r"(bytes + 32 + i) : "memory");
        while (status);
        sum = sum * 31 + value;
    }
    asm volatile("clrex\n stxr %w0, %1, [%2]" : "=&r"(status) : "r"(value), "r"(bytes + 3) : "memory");
    printf("exclusive %016lx, left %016lx %016lx, not reserved %u\n", sum, at(32), at(40), status);
    signal(SIGBUS, on_fault);
    if (!sigsetjmp(env, 1)) asm volatile("ldadd %0, %0, [%1]" ::"r"(1l), "r"(bytes + 9) : "memory");
    else printf("across: SIGBUS\n");
    return 0;
}

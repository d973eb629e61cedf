// What a handler finds in its frame, and what becomes of it: all float and vector registers and their modes.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

typedef struct {
    uint64_t before[64], seen[64], after[64];
} State;
static State vectors, floats;
// Modes and flags: before, in the frame, after.
static uint64_t control[3], flags[3];
static int found_record, well_ended;

#ifdef __aarch64__
// asm/sigcontext.h: struct _aarch64_ctx; struct fpsimd_context; struct esr_context.
typedef struct {
    uint32_t magic, size;
} Head;
static void look(ucontext_t *uc) {
    char *at = (char *)uc->uc_mcontext.__reserved;
    for (Head *h = (Head *)at; h->magic; at += h->size, h = (Head *)at) {
        if (h->magic != 0x46508001) continue;
        found_record = h->size == 528 && at == (char *)uc->uc_mcontext.__reserved;
        uint32_t *words = (uint32_t *)(h + 1);
        flags[1] = words[0];
        control[1] = words[1];
        memcpy(vectors.seen, words + 2, 512);
        uint64_t *v31 = (uint64_t *)(words + 2) + 62;
        v31[0] = 0x1111, v31[1] = 0x2222;
        words[0] = 0x1f;
    }
    well_ended = ((Head *)at)->size == 0;
    uc->uc_mcontext.pc += 4;
}
#define V2(op, n, m, at) #op " q" #n ", q" #m ", [%0, #" #at "]\n"
#define ALL(op)                                                                                                        \
    V2(op, 0, 1, 0) V2(op, 2, 3, 32) V2(op, 4, 5, 64) V2(op, 6, 7, 96) V2(op, 8, 9, 128) V2(op, 10, 11, 160)           \
    V2(op, 12, 13, 192) V2(op, 14, 15, 224) V2(op, 16, 17, 256) V2(op, 18, 19, 288) V2(op, 20, 21, 320)                \
    V2(op, 22, 23, 352) V2(op, 24, 25, 384) V2(op, 26, 27, 416) V2(op, 28, 29, 448) V2(op, 30, 31, 480)
#define CLOBBERS                                                                                                       \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16",       \
        "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"
static void run(void) {
    // Round to zero, default NaN; invalid and inexact raised.
    control[0] = 0x2c00000, flags[0] = 0x11;
    asm volatile("msr fpcr, %1\nmsr fpsr, %2\n" ALL(ldp) "brk #0\n" ALL(stp)
                 :: "r"(memcpy(vectors.after, vectors.before, 512)), "r"(control[0]), "r"(flags[0]) : CLOBBERS, "memory");
    asm volatile("mrs %0, fpcr\nmrs %1, fpsr\nmsr fpcr, xzr" : "=r"(control[2]), "=r"(flags[2]));
}
static void spoil(void) {
    asm volatile("movi v31.16b, #0\nmovi v8.16b, #0\nmovi v0.16b, #0\nmsr fpcr, xzr\nmsr fpsr, xzr" ::: "v0", "v8", "v31");
}
#else
static void look(ucontext_t *uc) {
    // asm/sigcontext.h: __riscv_d_ext_state, __riscv_extra_ext_header, __sc_riscv_v_state.
    memcpy(floats.seen, &uc->uc_mcontext.__fpregs.__d, 256);
    control[1] = uc->uc_mcontext.__fpregs.__d.__fcsr >> 5;
    flags[1] = uc->uc_mcontext.__fpregs.__d.__fcsr & 31;
    uint32_t *head = (uint32_t *)((char *)&uc->uc_mcontext.__fpregs + 520);
    uint64_t *state = (uint64_t *)(head + 2);
    // vstart, vl, vtype, vcsr, vlenb, datap.
    found_record = head[0] == 0x53465457 && head[1] == 568 && state[1] == 2 && state[2] == 0xd8 && state[4] == 16 &&
                   state[5] == (uint64_t)(state + 6);
    memcpy(vectors.seen, state + 6, 512);
    state[6 + 62] = 0x1111, state[6 + 63] = 0x2222;
    uc->uc_mcontext.__fpregs.__d.__fcsr = control[1] << 5 | 31;
    uint32_t *end = (uint32_t *)((char *)head + 568);
    well_ended = end[0] == 0 && end[1] == 0;
    uc->uc_mcontext.__gregs[0] += 4;
}
#define V(op, n, at) "addi t0, %0, " #at "\n" #op " v" #n ", (t0)\n"
#define ALL_V(op) V(op, 0, 0) V(op, 8, 128) V(op, 16, 256) V(op, 24, 384)
#define F(op, n) #op " f" #n ", " #n "*8(%1)\n"
#define ALL_F(op)                                                                                                      \
    F(op, 0) F(op, 1) F(op, 2) F(op, 3) F(op, 4) F(op, 5) F(op, 6) F(op, 7) F(op, 8) F(op, 9) F(op, 10) F(op, 11)      \
    F(op, 12) F(op, 13) F(op, 14) F(op, 15) F(op, 16) F(op, 17) F(op, 18) F(op, 19) F(op, 20) F(op, 21) F(op, 22)      \
    F(op, 23) F(op, 24) F(op, 25) F(op, 26) F(op, 27) F(op, 28) F(op, 29) F(op, 30) F(op, 31)
static void run(void) {
    // Round to zero; invalid and inexact raised.
    control[0] = 1, flags[0] = 0x11;
    memcpy(vectors.after, vectors.before, 512);
    memcpy(floats.after, floats.before, 256);
    asm volatile(".option push\n.option arch, +v\n"
                 "csrw fcsr, %2\nvsetivli zero, 2, e64, m1, ta, ma\n" ALL_V(vl8re8.v) ALL_F(fld)
                 ".option norvc\nebreak\n" ALL_F(fsd) ALL_V(vs8r.v) ".option pop\n"
                 :: "r"(vectors.after), "r"(floats.after), "r"(control[0] << 5 | flags[0])
                 : "t0", "memory", "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1",
                   "fa2", "fa3", "fa4", "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9",
                   "fs10", "fs11", "ft8", "ft9", "ft10", "ft11");
    uint64_t fcsr;
    asm volatile("csrr %0, fcsr\ncsrw fcsr, zero" : "=r"(fcsr));
    control[2] = fcsr >> 5, flags[2] = fcsr & 31;
}
static void spoil(void) {
    asm volatile(".option push\n.option arch, +v\nvsetvli zero, zero, e8, m1, ta, ma\nvmv.v.i v31, 0\nvmv.v.i v8, 0\n"
                 "vmv.v.i v0, 0\n.option pop\nfmv.d.x ft0, zero\nfmv.d.x ft11, zero\ncsrw fcsr, zero" ::: "ft0", "ft11");
}
#endif

static void on_trap(int n, siginfo_t *i, void *uc) {
    look(uc);
    spoil();
}

int main(void) {
    struct sigaction sa = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &sa, 0);
    for (int n = 0; n < 64; n++) {
        vectors.before[n] = 0x0123456789abcdefull * (n + 3);
        floats.before[n] = 0x3ff0000000000001ull + n;
    }
    run();
    printf("record %d, ended %d\n", found_record, well_ended);
    printf("vectors in the frame: %d\n", memcmp(vectors.before, vectors.seen, 512));
    printf("vectors afterwards: %d %lx %lx\n", memcmp(vectors.before, vectors.after, 496), vectors.after[62], vectors.after[63]);
#ifndef __aarch64__
    if (memcmp(floats.before, floats.seen, 256) || memcmp(floats.before, floats.after, 256)) printf("floats differ\n");
#endif
    printf("mode kept: %d %d\n", control[1] == control[0], control[2] == control[0]);
    printf("flags: %lx, then %lx\n", flags[1], flags[2]);
    return 0;
}

/* Control: an interpreter that jumps from operation to operation by computed gotos. Its program counts the steps of
 * Collatz sequences. */
#include "bench.h"

enum op { LOAD, MOVE, ADD, MULTIPLY, HALVE, IS_ODD, JUMP_IF, JUMP_LESS, JUMP, STOP };

struct insn {
    uint8_t op, to, a, b;
};

/* r0: number, r1: limit, r2: present value, r3: steps in all, r4: one, r5: three, r6: whether it is odd */
static const struct insn program[] = {
    {LOAD, 0, 1, 0},      /*  0 */
    {LOAD, 3, 0, 0},      /*  1 */
    {LOAD, 4, 1, 0},      /*  2 */
    {LOAD, 5, 3, 0},      /*  3 */
    {MOVE, 2, 0, 0},      /*  4: next number */
    {JUMP, 12, 0, 0},     /*  5 */
    {IS_ODD, 6, 2, 0},    /*  6: next step */
    {JUMP_IF, 10, 6, 0},  /*  7 */
    {HALVE, 2, 2, 0},     /*  8 */
    {JUMP, 11, 0, 0},     /*  9 */
    {MULTIPLY, 2, 2, 5},  /* 10 */
    {ADD, 2, 2, 6},       /* 11: adds one to three times an odd number, zero to half an even one */
    {ADD, 3, 3, 4},       /* 12 */
    {JUMP_LESS, 6, 4, 2}, /* 13: until it is one */
    {ADD, 0, 0, 4},       /* 14 */
    {JUMP_LESS, 4, 0, 1}, /* 15 */
    {STOP, 0, 0, 0},      /* 16 */
};

static uint64_t run(uint64_t limit)
{
    static const void *const labels[] = {
        &&load, &&move, &&add, &&multiply, &&halve, &&is_odd, &&jump_if, &&jump_less, &&jump, &&stop,
    };
    uint64_t r[8] = {0, limit};
    const struct insn *at = program;
#define NEXT goto *labels[at->op]
    NEXT;
load:
    r[at->to] = at->a;
    at++;
    NEXT;
move:
    r[at->to] = r[at->a];
    at++;
    NEXT;
add:
    r[at->to] = r[at->a] + r[at->b];
    at++;
    NEXT;
multiply:
    r[at->to] = r[at->a] * r[at->b];
    at++;
    NEXT;
halve:
    r[at->to] = r[at->a] / 2;
    at++;
    NEXT;
is_odd:
    r[at->to] = r[at->a] & 1;
    at++;
    NEXT;
jump_if:
    at = r[at->a] ? program + at->to : at + 1;
    NEXT;
jump_less:
    at = r[at->a] < r[at->b] ? program + at->to : at + 1;
    NEXT;
jump:
    at = program + at->to;
    NEXT;
stop:
    return r[3];
}

int main(void)
{
    uint64_t sum = 0;
    for (int turn = 0; turn < 12; turn++)
        sum = mix(sum, run(12000 + turn));
    return finish(sum, 0x94bcd1ad388d89f8);
}

/* Strings: bytes copied, measured, compared, searched, split, and numbers to digits and back. Written out here: the C
 * library's own differ from CPU to CPU. */
#include "bench.h"

#define CALLED __attribute__((noinline, noclone, optimize("no-tree-loop-distribute-patterns")))

enum { SIZE = 1 << 16 };

static char text[SIZE], copy[SIZE];

static CALLED size_t length(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

static CALLED char *append(char *to, const char *from)
{
    while ((*to = *from++))
        to++;
    return to;
}

static CALLED int compare(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (unsigned char)*a - (unsigned char)*b;
}

static CALLED const char *search(const char *in, const char *what)
{
    for (; *in; in++) {
        size_t n = 0;
        while (what[n] && in[n] == what[n])
            n++;
        if (!what[n])
            return in;
    }
    return 0;
}

static CALLED char *digits(char *to, uint64_t number)
{
    char reversed[20];
    int n = 0;
    do
        reversed[n++] = '0' + number % 10;
    while (number /= 10);
    while (n > 0)
        *to++ = reversed[--n];
    *to = 0;
    return to;
}

static CALLED uint64_t number(const char *s)
{
    uint64_t value = 0;
    for (; *s >= '0' && *s <= '9'; s++)
        value = value * 10 + (*s - '0');
    return value;
}

int main(void)
{
    uint64_t sum = 0;
    for (int turn = 0; turn < 300; turn++) {
        char *end = text;
        while (end < text + SIZE - 40) {
            end = digits(end, random_bits() >> random_bits() % 64);
            end = append(end, turn & 1 ? ", " : "; ");
        }
        sum = mix(sum, length(text));
        *append(copy, text) = 0;
        sum = mix(sum, compare(text, copy) == 0);
        for (const char *at = copy; at && *at; at = search(at, turn & 1 ? ", " : "; ")) {
            while (*at == ',' || *at == ';' || *at == ' ')
                at++;
            sum = mix(sum, number(at));
        }
        sum = mix(sum, search(text, "31415") != 0);
    }
    return finish(sum, 0x3e49f7f6c47139b5);
}

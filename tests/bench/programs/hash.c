/* A dictionary: words into a hash table that grows, with chains from the allocator, looked up, counted and removed again. */
#include "bench.h"

struct entry {
    struct entry *next;
    uint64_t count;
    uint32_t hash;
    char word[];
};

static struct entry **table;
static size_t size = 64, used;

static __attribute__((noinline)) uint32_t hash_of(const char *word)
{
    uint32_t hash = 2166136261;
    while (*word)
        hash = (hash ^ (unsigned char)*word++) * 16777619;
    return hash;
}

static void grow(void)
{
    struct entry **old = table;
    size_t count = size;
    size *= 2;
    table = calloc(size, sizeof *table);
    for (size_t i = 0; i < count; i++)
        for (struct entry *next, *e = old[i]; e; e = next) {
            next = e->next;
            e->next = table[e->hash & (size - 1)];
            table[e->hash & (size - 1)] = e;
        }
    free(old);
}

static __attribute__((noinline)) struct entry *find(const char *word)
{
    uint32_t hash = hash_of(word);
    for (struct entry *e = table[hash & (size - 1)]; e; e = e->next)
        if (e->hash == hash && strcmp(e->word, word) == 0)
            return e;
    struct entry *e = malloc(sizeof *e + strlen(word) + 1);
    strcpy(e->word, word);
    e->hash = hash;
    e->count = 0;
    e->next = table[hash & (size - 1)];
    table[hash & (size - 1)] = e;
    if (++used > size)
        grow();
    return e;
}

static void drop_rare(void)
{
    for (size_t i = 0; i < size; i++)
        for (struct entry **at = &table[i]; *at;) {
            struct entry *e = *at;
            if (e->count > 1) {
                at = &e->next;
                continue;
            }
            *at = e->next;
            free(e);
            used--;
        }
}

int main(void)
{
    uint64_t sum = 0;
    table = calloc(size, sizeof *table);
    for (int turn = 0; turn < 1500000; turn++) {
        char word[12];
        int length = 2 + random_bits() % 3;
        for (int i = 0; i < length; i++)
            word[i] = 'a' + random_bits() % 13;
        word[length] = 0;
        sum = mix(sum, ++find(word)->count);
        if (turn % 300000 == 299999)
            drop_rare();
    }
    return finish(mix(sum, used), 0x13e28029fe770b5b);
}

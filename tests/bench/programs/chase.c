/* Memory: following pointers through one random cycle, in a table that caches hold and in one that they do not. */
#include "bench.h"

enum { LARGE = 1 << 20, SMALL = 1 << 10 };

struct node {
    struct node *next;
    uint64_t value;
};

/* Sattolo's shuffle makes a single cycle. */
static struct node *cycle(size_t count)
{
    struct node *nodes = malloc(count * sizeof *nodes);
    uint32_t *order = malloc(count * sizeof *order);
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = random_bits() % i;
        uint32_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    for (size_t i = 0; i < count; i++) {
        nodes[order[i]].next = &nodes[order[(i + 1) % count]];
        nodes[order[i]].value = i;
    }
    free(order);
    return nodes;
}

static uint64_t follow(const struct node *node, size_t steps)
{
    uint64_t sum = 0;
    for (; steps > 0; steps--) {
        sum += node->value ^ steps;
        node = node->next;
    }
    return sum;
}

int main(void)
{
    const struct node *small = cycle(SMALL), *large = cycle(LARGE);
    uint64_t sum = follow(small, 30000000);
    sum = mix(sum, follow(large, 1000000));
    return finish(sum, 0x835be6555a97f240);
}

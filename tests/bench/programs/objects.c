/* Objects: trees of shapes whose methods are called through tables of functions, built and taken down again. */
#include "bench.h"

struct shape;

struct class {
    int64_t (*area)(const struct shape *);
    void (*scale)(struct shape *, int);
    void (*drop)(struct shape *);
};

struct shape {
    const struct class *class;
    struct shape *parts[2];
    int32_t a, b;
};

static int64_t area_of_box(const struct shape *s) { return (int64_t)s->a * s->b; }
static int64_t area_of_triangle(const struct shape *s) { return (int64_t)s->a * s->b / 2; }
static int64_t area_of_group(const struct shape *s)
{
    int64_t sum = 0;
    for (int i = 0; i < 2; i++)
        sum += s->parts[i]->class->area(s->parts[i]);
    return sum;
}

static void scale_plain(struct shape *s, int by)
{
    s->a = (s->a * by + 1) % 1000;
    s->b = (s->b + by) % 1000;
}
static void scale_group(struct shape *s, int by)
{
    for (int i = 0; i < 2; i++)
        s->parts[i]->class->scale(s->parts[i], by + i);
}

static void drop_plain(struct shape *s) { free(s); }
static void drop_group(struct shape *s)
{
    for (int i = 0; i < 2; i++)
        s->parts[i]->class->drop(s->parts[i]);
    free(s);
}

static const struct class box = {area_of_box, scale_plain, drop_plain};
static const struct class triangle = {area_of_triangle, scale_plain, drop_plain};
static const struct class group = {area_of_group, scale_group, drop_group};

static struct shape *make(int depth)
{
    struct shape *s = malloc(sizeof *s);
    uint64_t bits = random_bits();
    s->a = bits % 1000;
    s->b = bits / 1000 % 1000;
    s->class = depth > 0 ? &group : bits & 4096 ? &box : &triangle;
    for (int i = 0; depth > 0 && i < 2; i++)
        s->parts[i] = make(depth - 1);
    return s;
}

int main(void)
{
    uint64_t sum = 0;
    for (int turn = 0; turn < 60; turn++) {
        struct shape *all = make(12);
        for (int i = 0; i < 25; i++) {
            sum = mix(sum, all->class->area(all));
            all->class->scale(all, i + turn);
        }
        all->class->drop(all);
    }
    return finish(sum, 0x7af827f75426b321);
}

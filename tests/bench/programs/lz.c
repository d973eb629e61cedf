/* Memory: LZ77 with a hash table of positions, packed and unpacked again. */
#include "bench.h"

enum { SIZE = 1 << 20, TABLE = 1 << 15, LEAST = 4, MOST = 255 + LEAST };

static uint8_t text[SIZE], packed[SIZE * 2], unpacked[SIZE];
static uint32_t table[TABLE];

/* Text of a small vocabulary. */
static void write_text(void)
{
    uint8_t words[512][12];
    for (int i = 0; i < 512; i++)
        for (int j = 0; j < 12; j++)
            words[i][j] = 'a' + random_bits() % 26;
    for (size_t at = 0; at < SIZE;) {
        uint64_t any = random_bits();
        size_t length = 2 + any % 10;
        const uint8_t *word = words[(any >> 8) % 512 & (any >> 20)];
        for (size_t i = 0; i < length && at < SIZE; i++)
            text[at++] = word[i];
        if (at < SIZE)
            text[at++] = ' ';
    }
}

static uint32_t four(const uint8_t *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/* A flag byte, then a literal or a length and a distance. */
static size_t pack(void)
{
    memset(table, 0, sizeof table);
    size_t out = 0;
    for (size_t at = 0; at < SIZE;) {
        size_t length = 0, from = 0;
        if (at + LEAST <= SIZE) {
            uint32_t *slot = &table[four(text + at) * 2654435761u >> 17];
            from = *slot;
            *slot = at;
            if (from < at && at - from < 1 << 16)
                while (at + length < SIZE && length < MOST && text[from + length] == text[at + length])
                    length++;
        }
        if (length < LEAST) {
            packed[out++] = 0;
            packed[out++] = text[at++];
        } else {
            packed[out++] = 1;
            packed[out++] = length - LEAST;
            packed[out++] = at - from;
            packed[out++] = (at - from) >> 8;
            at += length;
        }
    }
    return out;
}

static void unpack(size_t size)
{
    for (size_t in = 0, at = 0; in < size;) {
        if (packed[in] == 0) {
            unpacked[at++] = packed[in + 1];
            in += 2;
        } else {
            size_t length = packed[in + 1] + LEAST, back = packed[in + 2] | packed[in + 3] << 8;
            for (; length > 0; length--, at++)
                unpacked[at] = unpacked[at - back];
            in += 4;
        }
    }
}

int main(void)
{
    uint64_t sum = 0;
    write_text();
    for (int turn = 0; turn < 30; turn++) {
        text[random_bits() % SIZE] = turn;
        size_t size = pack();
        unpack(size);
        if (memcmp(text, unpacked, SIZE))
            return 2;
        sum = mix(sum, size);
    }
    return finish(sum, 0xbd6e852dd99cb12e);
}

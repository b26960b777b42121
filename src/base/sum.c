/* sum.c - four sums side by side, each of every fourth word, so that a processor adds to them at
 * once.
 *
 * Invariant: a step is a bijection of the sum for every word, and of the word for every sum; so a
 * word that alone is another one changes its sum, and what follows does not change it back. */
#include "base/sum.h"

#include <endian.h>
#include <string.h>

#define WORD sizeof(uint64_t)
#define SIDE_BY_SIDE 4u

static uint64_t
step(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15); /* odd: 2^64 over the golden ratio */
    return sum >> 29 | sum << 35;
}

static uint64_t
word_at(const char *p)
{
    uint64_t word;

    memcpy(&word, p, WORD);
    return le64toh(word);
}

uint64_t
hd_sum(struct hd_slice data)
{
    uint64_t sums[SIDE_BY_SIDE] = { 1, 2, 3, 4 }, all = data.n;
    const char *p = data.p;
    size_t n = data.n;
    char rest[WORD] = { 0 };

    for (; n >= SIDE_BY_SIDE * WORD; n -= SIDE_BY_SIDE * WORD, p += SIDE_BY_SIDE * WORD)
        for (unsigned i = 0; i < SIDE_BY_SIDE; i++)
            sums[i] = step(sums[i], word_at(p + i * WORD));
    for (unsigned i = 0; n >= WORD; i++, n -= WORD, p += WORD)
        sums[i] = step(sums[i], word_at(p));
    if (n)
        memcpy(rest, p, n);
    all = step(all, word_at(rest));
    for (unsigned i = 0; i < SIDE_BY_SIDE; i++)
        all = step(all, sums[i]);
    return all;
}

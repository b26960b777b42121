/* tally.c - open addressing over words of hash and count.
 * Linear probing; a removal moves back what follows, so there are no tombstones.
 * Invariants: used stays at or below 4/5 of cap, so every probe ends at a free word; a word's place
 * and its home have no free word between them. */
#include "base/tally.h"

#include <stdbool.h>
#include <stdlib.h>

#define COUNT_BITS 24
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)
#define CAP_MIN 16u
#define CAP_MAX (UINT32_MAX / 2)

/* The hash as a word has it, above a count of 0. */
static inline uint64_t
tag_of(uint64_t hash)
{
    return hash * UINT64_C(0x9e3779b97f4a7c15) & ~COUNT_MASK;
}

static inline uint32_t
home_of(const struct hd_tally *tally, uint64_t word)
{
    return (uint32_t)((word >> 32) * tally->cap >> 32);
}

static inline uint32_t
after(const struct hd_tally *tally, uint32_t at)
{
    return at + 1 == tally->cap ? 0 : at + 1;
}

/* How far at is from home, going upwards. */
static inline uint32_t
distance(const struct hd_tally *tally, uint32_t home, uint32_t at)
{
    return at >= home ? at - home : at + tally->cap - home;
}

void
hd_tally_init(struct hd_tally *tally)
{
    *tally = (struct hd_tally){ 0 };
}

void
hd_tally_done(struct hd_tally *tally)
{
    free(tally->words);
    hd_tally_init(tally);
}

/* The place of a tag, or the free one where it would go; there is one. */
static uint32_t
find(const struct hd_tally *tally, uint64_t tag)
{
    uint32_t at = home_of(tally, tag);

    while (tally->words[at] && (tally->words[at] & ~COUNT_MASK) != tag)
        at = after(tally, at);
    return at;
}

/* To three fifths full, whether it grows or most of it has gone. */
static enum hd_err
rehash(struct hd_tally *tally)
{
    uint64_t cap = (uint64_t)tally->used * 5 / 3 + 1;
    struct hd_tally next = { .used = tally->used };

    if (cap > CAP_MAX)
        return HD_ENOMEM;
    next.cap = cap < CAP_MIN ? CAP_MIN : (uint32_t)cap;
    next.words = calloc(next.cap, sizeof(*next.words));
    if (!next.words)
        return HD_ENOMEM;
    for (uint32_t i = 0; i < tally->cap; i++)
        if (tally->words[i])
            next.words[find(&next, tally->words[i] & ~COUNT_MASK)] = tally->words[i];
    free(tally->words);
    *tally = next;
    return HD_OK;
}

enum hd_err
hd_tally_add(struct hd_tally *tally, uint64_t hash, uint32_t most)
{
    uint64_t tag = tag_of(hash);

    if (tally->used >= tally->cap - tally->cap / 5) {
        enum hd_err err = rehash(tally);
        if (err)
            return err;
    }
    uint64_t *word = &tally->words[find(tally, tag)];
    uint32_t n = (uint32_t)(*word & COUNT_MASK);
    if (n >= most || n == HD_TALLY_MOST)
        return HD_EDENIED;
    tally->used += n == 0;
    *word = tag | (n + 1);
    return HD_OK;
}

void
hd_tally_prefetch(const struct hd_tally *tally, uint64_t hash)
{
    if (tally->cap)
        __builtin_prefetch(&tally->words[home_of(tally, tag_of(hash))], 1);
}

/* Closes the gap at a place: whoever stands behind it and may stand nearer to his home moves. */
static void
close_gap(struct hd_tally *tally, uint32_t gap)
{
    for (uint32_t at = after(tally, gap); tally->words[at]; at = after(tally, at)) {
        uint32_t home = home_of(tally, tally->words[at]);
        if (distance(tally, home, at) < distance(tally, gap, at))
            continue;
        tally->words[gap] = tally->words[at];
        gap = at;
    }
    tally->words[gap] = 0;
}

void
hd_tally_drop(struct hd_tally *tally, uint64_t hash)
{
    if (tally->cap == 0)
        return;
    uint32_t at = find(tally, tag_of(hash));
    if (!tally->words[at])
        return;
    if ((--tally->words[at] & COUNT_MASK) > 0)
        return;
    tally->used--;
    close_gap(tally, at);
}

uint32_t
hd_tally_get(const struct hd_tally *tally, uint64_t hash)
{
    return tally->cap ? (uint32_t)(tally->words[find(tally, tag_of(hash))] & COUNT_MASK) : 0;
}

/* index.c - open addressing, between three and four fifths full.
 *
 * No tombstones: a removal closes the gap that it leaves, so that years of changes do not make a
 * search longer. */
#include "store/index.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hash.h"

#define HUGE_PAGE ((size_t)2 << 20)

void
sto_index_done(struct sto_index *index)
{
    free(index->places);
    *index = (struct sto_index){ .places = NULL };
}

static uint64_t
place_id(const struct sto_place *place)
{
    return (uint64_t)place->id_high << 32 | place->id_low;
}

static uint64_t
index_start(const struct sto_index *index, uint64_t id)
{
    return (hd_hash_mix(id, id) >> 32) * index->cap >> 32;
}

static uint64_t
index_after(const struct sto_index *index, uint64_t at)
{
    return at + 1 == index->cap ? 0 : at + 1;
}

/* How far at is from its start, going upwards. */
static uint64_t
index_distance(const struct sto_index *index, uint64_t start, uint64_t at)
{
    return at >= start ? at - start : at + index->cap - start;
}

static struct sto_place *
find(const struct sto_index *index, uint64_t id)
{
    if (index->cap == 0)
        return NULL;
    for (uint64_t i = index_start(index, id); index->places[i].row; i = index_after(index, i))
        if (place_id(&index->places[i]) == id)
            return &index->places[i];
    return NULL;
}

const struct sto_place *
sto_index_find(const struct sto_index *index, uint64_t id)
{
    return find(index, id);
}

void
sto_index_prefetch(const struct sto_index *index, uint64_t id)
{
    if (index->cap)
        __builtin_prefetch(&index->places[index_start(index, id)], 1);
}

/* Where a free place is sure to come. */
static void
index_add(struct sto_index *index, struct sto_place place)
{
    uint64_t at = index_start(index, place_id(&place));

    while (index->places[at].row)
        at = index_after(index, at);
    index->places[at] = place;
}

/* Free places.  A search goes anywhere: with pages of 2 MiB it misses the cache, but not the table
 * of pages as well. */
static struct sto_place *
places_new(uint64_t n)
{
    size_t size = n * sizeof(struct sto_place);

    if (size < HUGE_PAGE)
        return calloc(n, sizeof(struct sto_place));
    size = (size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    struct sto_place *places = aligned_alloc(HUGE_PAGE, size);
    if (!places)
        return NULL;
    (void)madvise(places, size, MADV_HUGEPAGE);
    memset(places, 0, size);
    return places;
}

enum hd_err
sto_index_reserve(struct sto_index *index, uint64_t n)
{
    if (index->used + n <= index->cap - index->cap / 5)
        return HD_OK;
    struct sto_index bigger = { .cap = (index->used + n) * 5 / 3 + 1024, .used = index->used };
    bigger.places = places_new(bigger.cap);
    if (!bigger.places)
        return HD_ENOMEM;
    for (uint64_t i = 0; i < index->cap; i++)
        if (index->places[i].row)
            index_add(&bigger, index->places[i]);
    free(index->places);
    *index = bigger;
    return HD_OK;
}

struct sto_held
sto_index_put(struct sto_index *index, uint64_t id, struct sto_held held)
{
    struct sto_place *place = find(index, id);

    HD_ASSERT(held.row != 0);
    if (place) {
        struct sto_held before = { place->row, place->size };
        place->row = held.row;
        place->size = held.size;
        return before;
    }
    index_add(index, (struct sto_place){ (uint32_t)id, (uint32_t)(id >> 32), held.row, held.size });
    index->used++;
    return (struct sto_held){ .row = 0 };
}

/* Closes the gap that a removal leaves, so that no tombstones are needed. */
struct sto_held
sto_index_remove(struct sto_index *index, uint64_t id)
{
    struct sto_place *place = find(index, id);

    if (!place)
        return (struct sto_held){ .row = 0 };
    struct sto_held before = { place->row, place->size };
    uint64_t hole = (uint64_t)(place - index->places);
    for (uint64_t i = index_after(index, hole); index->places[i].row; i = index_after(index, i)) {
        uint64_t start = index_start(index, place_id(&index->places[i]));
        if (index_distance(index, start, i) >= index_distance(index, hole, i)) {
            index->places[hole] = index->places[i];
            hole = i;
        }
    }
    index->places[hole].row = 0;
    index->used--;
    return before;
}

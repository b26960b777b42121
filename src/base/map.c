/* map.c - open addressing with linear probing over 8-octet slots.
 * A tag of 32 bits that every bit of the hash goes into is kept with the value, so a walk touches
 * the slots only and a rehash asks nobody.  The place grows with the tag, whatever the size of the
 * map: a rehash reads and writes in order, and the map need not double when it grows.
 * Invariants: used + gone stays at or below 4/5 of cap, so every probe ends at a free slot; a
 * tombstone never stands before a free slot. */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#define MAP_FREE UINT32_MAX
#define MAP_GONE (UINT32_MAX - 1)
#define MAP_CAP_MIN 16u
#define MAP_CAP_MAX (UINT32_MAX / 2)

static inline uint32_t
tag_of(uint64_t hash)
{
    return (uint32_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static inline uint32_t
place_of(const struct hd_map *map, uint32_t tag)
{
    return (uint32_t)((uint64_t)tag * map->cap >> 32);
}

static inline uint32_t
after(const struct hd_map *map, uint32_t at)
{
    return at + 1 == map->cap ? 0 : at + 1;
}

static inline uint32_t
before(const struct hd_map *map, uint32_t at)
{
    return at ? at - 1 : map->cap - 1;
}

void
hd_map_init(struct hd_map *map)
{
    *map = (struct hd_map){ 0 };
}

void
hd_map_done(struct hd_map *map)
{
    free(map->slots);
    hd_map_init(map);
}

/* Puts where a free slot is sure to come; tombstones on the way are taken. */
static void
put(struct hd_map *map, uint32_t tag, uint32_t value)
{
    uint32_t at = place_of(map, tag);

    while (map->slots[at].value < MAP_GONE)
        at = after(map, at);
    if (map->slots[at].value == MAP_GONE)
        map->gone--;
    map->slots[at] = (struct hd_map_slot){ tag, value };
    map->used++;
}

/* To three fifths full: a third larger when nothing was removed, or as large as it was. */
static enum hd_err
rehash(struct hd_map *map)
{
    uint64_t cap = (uint64_t)map->used * 5 / 3 + 1;
    struct hd_map next = { 0 };

    if (cap > MAP_CAP_MAX)
        return HD_ENOMEM;
    next.cap = cap < MAP_CAP_MIN ? MAP_CAP_MIN : (uint32_t)cap;
    next.slots = malloc((size_t)next.cap * sizeof(*next.slots));
    if (!next.slots)
        return HD_ENOMEM;
    memset(next.slots, 0xff, (size_t)next.cap * sizeof(*next.slots));
    for (uint32_t i = 0; i < map->cap; i++)
        if (map->slots[i].value < MAP_GONE)
            put(&next, map->slots[i].tag, map->slots[i].value);
    free(map->slots);
    *map = next;
    return HD_OK;
}

enum hd_err
hd_map_put(struct hd_map *map, uint64_t hash, uint32_t value)
{
    HD_ASSERT(value < MAP_GONE);
    if (map->used + map->gone >= map->cap - map->cap / 5) {
        enum hd_err err = rehash(map);
        if (err)
            return err;
    }
    put(map, tag_of(hash), value);
    return HD_OK;
}

void
hd_map_prefetch(const struct hd_map *map, uint64_t hash)
{
    if (map->cap)
        __builtin_prefetch(&map->slots[place_of(map, tag_of(hash))], 1);
}

bool
hd_map_remove(struct hd_map *map, uint64_t hash, uint32_t value)
{
    uint32_t tag = tag_of(hash), at = place_of(map, tag);

    HD_ASSERT(value < MAP_GONE);
    if (map->cap == 0)
        return false;
    while (map->slots[at].value != value || map->slots[at].tag != tag) {
        if (map->slots[at].value == MAP_FREE)
            return false;
        at = after(map, at);
    }
    map->slots[at].value = MAP_GONE;
    map->used--;
    map->gone++;
    /* A probe that would go on to a free slot can as well end here. */
    if (map->slots[after(map, at)].value != MAP_FREE)
        return true;
    while (map->slots[at].value == MAP_GONE) {
        map->slots[at].value = MAP_FREE;
        map->gone--;
        at = before(map, at);
    }
    return true;
}

uint32_t
hd_map_first(struct hd_map_walk *walk, const struct hd_map *map, uint64_t hash)
{
    uint32_t tag = tag_of(hash);

    *walk =
        (struct hd_map_walk){ .map = map, .tag = tag, .at = place_of(map, tag), .left = map->cap };
    return hd_map_more(walk);
}

uint32_t
hd_map_more(struct hd_map_walk *walk)
{
    const struct hd_map *map = walk->map;

    while (walk->left > 0) {
        const struct hd_map_slot *slot = &map->slots[walk->at];
        if (slot->value == MAP_FREE)
            break;
        walk->at = after(map, walk->at);
        walk->left--;
        if (slot->value != MAP_GONE && slot->tag == walk->tag)
            return slot->value;
    }
    walk->left = 0;
    return HD_MAP_NONE;
}

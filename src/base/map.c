/* map.c - open addressing with linear probing over 12-octet slots.
 * The whole hash is kept with the value, so a walk touches the slots only and a rehash asks nobody.
 * The place comes from the lower bits, since the upper ones are the bucket and alike in one shard.
 * Invariants: cap is a power of two or 0; used + gone stays at or below 3/4 of cap, so every probe
 * ends at a free slot; a tombstone never stands before a free slot. */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#define MAP_FREE UINT32_MAX
#define MAP_GONE (UINT32_MAX - 1)
#define MAP_CAP_MIN 16u
#define MAP_CAP_MAX (1u << 31)

static bool
slot_is(const struct hd_map_slot *slot, uint64_t hash)
{
    return slot->low == (uint32_t)hash && slot->high == (uint32_t)(hash >> 32);
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
put(struct hd_map *map, uint32_t low, uint32_t high, uint32_t value)
{
    uint32_t mask = map->cap - 1, at = low & mask;

    while (map->slots[at].value < MAP_GONE)
        at = (at + 1) & mask;
    if (map->slots[at].value == MAP_GONE)
        map->gone--;
    map->slots[at] = (struct hd_map_slot){ low, high, value };
    map->used++;
}

static enum hd_err
rehash(struct hd_map *map)
{
    struct hd_map next = { .cap = map->cap };

    /* With few tombstones the map doubles; with many a rehash of the same size makes room enough.
     */
    if (map->cap == 0)
        next.cap = MAP_CAP_MIN;
    else if (map->used >= map->cap / 8 * 3) {
        if (map->cap == MAP_CAP_MAX)
            return HD_ENOMEM;
        next.cap = map->cap * 2;
    }
    next.slots = malloc((size_t)next.cap * sizeof(*next.slots));
    if (!next.slots)
        return HD_ENOMEM;
    memset(next.slots, 0xff, (size_t)next.cap * sizeof(*next.slots));
    for (uint32_t i = 0; i < map->cap; i++) {
        const struct hd_map_slot *slot = &map->slots[i];
        if (slot->value < MAP_GONE)
            put(&next, slot->low, slot->high, slot->value);
    }
    free(map->slots);
    *map = next;
    return HD_OK;
}

enum hd_err
hd_map_put(struct hd_map *map, uint64_t hash, uint32_t value)
{
    HD_ASSERT(value < MAP_GONE);
    if (map->used + map->gone >= map->cap / 4 * 3) {
        enum hd_err err = rehash(map);
        if (err)
            return err;
    }
    put(map, (uint32_t)hash, (uint32_t)(hash >> 32), value);
    return HD_OK;
}

bool
hd_map_remove(struct hd_map *map, uint64_t hash, uint32_t value)
{
    uint32_t mask = map->cap - 1, at = (uint32_t)hash & mask;

    HD_ASSERT(value < MAP_GONE);
    if (map->cap == 0)
        return false;
    while (map->slots[at].value != value || !slot_is(&map->slots[at], hash)) {
        if (map->slots[at].value == MAP_FREE)
            return false;
        at = (at + 1) & mask;
    }
    map->slots[at].value = MAP_GONE;
    map->used--;
    map->gone++;
    /* A probe that would go on to a free slot can as well end here. */
    if (map->slots[(at + 1) & mask].value != MAP_FREE)
        return true;
    while (map->slots[at].value == MAP_GONE) {
        map->slots[at].value = MAP_FREE;
        map->gone--;
        at = (at - 1) & mask;
    }
    return true;
}

uint32_t
hd_map_first(struct hd_map_walk *walk, const struct hd_map *map, uint64_t hash)
{
    *walk =
        (struct hd_map_walk){ .map = map, .hash = hash, .at = (uint32_t)hash, .left = map->cap };
    return hd_map_more(walk);
}

uint32_t
hd_map_more(struct hd_map_walk *walk)
{
    const struct hd_map *map = walk->map;

    while (walk->left > 0) {
        const struct hd_map_slot *slot = &map->slots[walk->at & (map->cap - 1)];
        if (slot->value == MAP_FREE)
            break;
        walk->at++;
        walk->left--;
        if (slot->value != MAP_GONE && slot_is(slot, walk->hash))
            return slot->value;
    }
    walk->left = 0;
    return HD_MAP_NONE;
}

/* map.h - from a 64-bit hash to 32-bit values (table indexes); open addressing, several values per
 * hash. Thread: its shard's.  Memory: 8 octets a slot, 10 to 14 a value.  Half of the hash is kept:
 * two hashes may share their values (one pair in 2^32), so the caller compares the objects in full.
 */
#ifndef HD_BASE_MAP_H
#define HD_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct hd_map_slot {
    uint32_t tag;   /* of the hash; it also says where the probe begins */
    uint32_t value; /* free, a tombstone, or a value */
};

struct hd_map {
    struct hd_map_slot *slots;
    uint32_t cap;  /* 0 before the first put */
    uint32_t used; /* values */
    uint32_t gone; /* tombstones */
};

#define HD_MAP_NONE UINT32_MAX

/** An empty map, without memory until the first put / frees it; values are not visited. */
void hd_map_init(struct hd_map *map);
void hd_map_done(struct hd_map *map);
/** Adds value (below UINT32_MAX - 1) under hash; the same pair twice is two entries.  HD_ENOMEM:
 * nothing changed. */
HD_NODISCARD enum hd_err hd_map_put(struct hd_map *map, uint64_t hash, uint32_t value);
/** A put of that hash is to come: its place is fetched meanwhile. */
void hd_map_prefetch(const struct hd_map *map, uint64_t hash);
/** Removes one entry with this hash and value; false when there was none. */
bool hd_map_remove(struct hd_map *map, uint64_t hash, uint32_t value);

/* Walks the values under one hash:  for (v = hd_map_first(&it, map, hash); v != HD_MAP_NONE; v =
 * hd_map_more(&it)) The map must not change during the walk. */
struct hd_map_walk {
    const struct hd_map *map;
    uint32_t tag, at, left;
};
uint32_t hd_map_first(struct hd_map_walk *walk, const struct hd_map *map, uint64_t hash);
uint32_t hd_map_more(struct hd_map_walk *walk);

#endif

/* table.h - objects of one kind that belong to one shard, addressed by handles.
 * Thread: its shard's.  Memory: chunks that never move, so a pointer holds as long as the object.
 * A handle holds a generation: after removal it finds nothing, even when the place is used again.
 */
#ifndef HD_BASE_TABLE_H
#define HD_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HD_TABLE_NONE UINT32_MAX
#define HD_TABLE_CHUNK_BITS 10
#define HD_TABLE_CHUNK_LEN (1u << HD_TABLE_CHUNK_BITS) /* objects in a chunk */

struct hd_handle {
    uint32_t index;      /* HD_TABLE_NONE: no object */
    uint32_t generation; /* odd while the place is in use */
};

struct hd_table {
    size_t object_size; /* octets, rounded up to 8 */
    uint32_t max;       /* cap on objects */
    uint32_t count;     /* objects in use */
    uint32_t high;      /* places ever used */
    uint32_t free_head; /* index of the first free place or HD_TABLE_NONE */
    uint32_t n_chunks;
    char **chunks;
    uint32_t **generations;
};

/** An empty table, without memory until the first add, for at most max objects. */
void hd_table_init(struct hd_table *table, size_t object_size, uint32_t max);
/** Frees the chunks; objects are not visited. */
void hd_table_done(struct hd_table *table);
/** A zeroed object.  HD_EFULL: max objects are in use; HD_ENOMEM.  ret_object points to it. */
HD_NODISCARD enum hd_err hd_table_add(struct hd_table *table, struct hd_handle *ret_handle,
                                      void **ret_object);
struct hd_map;
/** The same for an object that is found by a hash: its index is put into a map under that; both or
 * neither. */
HD_NODISCARD enum hd_err hd_table_add_keyed(struct hd_table *table, struct hd_map *map,
                                            uint64_t hash, uint32_t *ret_index, void **ret_object);
/** The object of a handle, or NULL when it was removed. */
void *hd_table_find(const struct hd_table *table, struct hd_handle handle);
/** The object at an index in use, or NULL.  Here, since each message asks some twenty times. */
static inline void *
hd_table_at(const struct hd_table *table, uint32_t index)
{
    const uint32_t chunk = index >> HD_TABLE_CHUNK_BITS, at = index & (HD_TABLE_CHUNK_LEN - 1);

    if (index >= table->high || !(table->generations[chunk][at] & 1))
        return NULL;
    return table->chunks[chunk] + at * table->object_size;
}
/** The handle of an object in use at index. */
struct hd_handle hd_table_handle(const struct hd_table *table, uint32_t index);
/** Removes the object at index, which must be in use (asserted). */
void hd_table_remove(struct hd_table *table, uint32_t index);
/** The first index in use at or after from, HD_TABLE_NONE at the end: for walks that may be
 * interrupted. */
uint32_t hd_table_next(const struct hd_table *table, uint32_t from);

#endif

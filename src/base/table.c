/* table.c - places for objects, in chunks that never move.
 * Invariants: places below high have been used; a place in use has an odd generation; a free place
 * below high has an even one and holds the index of the next free place in its first octets.  A
 * generation comes round after 2^31 uses of one place, far beyond the life of any handle. */
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"

#define CHUNK_BITS HD_TABLE_CHUNK_BITS
#define CHUNK_LEN HD_TABLE_CHUNK_LEN
#define CACHE_LINE 64

static char *
place(const struct hd_table *table, uint32_t index)
{
    return table->chunks[index >> CHUNK_BITS] + (index & (CHUNK_LEN - 1)) * table->object_size;
}

static uint32_t *
generation(const struct hd_table *table, uint32_t index)
{
    return &table->generations[index >> CHUNK_BITS][index & (CHUNK_LEN - 1)];
}

static bool
in_use(const struct hd_table *table, uint32_t index)
{
    return index < table->high && (*generation(table, index) & 1);
}

void
hd_table_init(struct hd_table *table, size_t object_size, uint32_t max)
{
    HD_ASSERT(object_size > 0 && max < HD_TABLE_NONE);
    *table = (struct hd_table){
        .object_size = (object_size + 7) & ~(size_t)7,
        .max = max,
        .free_head = HD_TABLE_NONE,
    };
}

void
hd_table_done(struct hd_table *table)
{
    for (uint32_t i = 0; i < table->n_chunks; i++) {
        free(table->chunks[i]);
        free(table->generations[i]);
    }
    free(table->chunks);
    free(table->generations);
    hd_table_init(table, table->object_size, table->max);
}

/* The arrays of pointers double; the chunks they point to stay where they are. */
static enum hd_err
grow_arrays(struct hd_table *table)
{
    uint32_t n = table->n_chunks;
    size_t cap;
    char **chunks;
    uint32_t **generations;

    if (n & (n - 1)) /* room is there up to the next power of two */
        return HD_OK;
    cap = n ? (size_t)n * 2 : 1;
    chunks = realloc(table->chunks, cap * sizeof(*chunks));
    if (!chunks)
        return HD_ENOMEM;
    table->chunks = chunks;
    generations = realloc(table->generations, cap * sizeof(*generations));
    if (!generations)
        return HD_ENOMEM;
    table->generations = generations;
    return HD_OK;
}

static enum hd_err
add_chunk(struct hd_table *table)
{
    enum hd_err err = grow_arrays(table);
    char *chunk = NULL;
    uint32_t *generations = NULL;

    if (err)
        return err;
    if (table->object_size > (SIZE_MAX >> 1) / CHUNK_LEN)
        return HD_ENOMEM;
    /* CHUNK_LEN * 8 is a multiple of the cache line, so objects of whole lines sit on whole lines.
     */
    chunk = aligned_alloc(CACHE_LINE, table->object_size * CHUNK_LEN);
    generations = calloc(CHUNK_LEN, sizeof(*generations));
    if (!chunk || !generations) {
        free(chunk);
        free(generations);
        return HD_ENOMEM;
    }
    table->chunks[table->n_chunks] = chunk;
    table->generations[table->n_chunks] = generations;
    table->n_chunks++;
    return HD_OK;
}

enum hd_err
hd_table_add(struct hd_table *table, struct hd_handle *ret_handle, void **ret_object)
{
    uint32_t index;
    char *object;

    if (table->count >= table->max)
        return HD_EFULL;
    if (table->free_head != HD_TABLE_NONE) {
        index = table->free_head;
        object = place(table, index);
        memcpy(&table->free_head, object, sizeof(table->free_head));
    } else {
        index = table->high;
        if (index >> CHUNK_BITS == table->n_chunks) {
            enum hd_err err = add_chunk(table);
            if (err)
                return err;
        }
        object = place(table, index);
        table->high++;
    }
    HD_ASSERT((*generation(table, index) & 1) == 0);
    memset(object, 0, table->object_size);
    table->count++;
    *ret_handle = (struct hd_handle){ index, ++*generation(table, index) };
    *ret_object = object;
    return HD_OK;
}

enum hd_err
hd_table_add_keyed(struct hd_table *table, struct hd_map *map, uint64_t hash, uint32_t *ret_index,
                   void **ret_object)
{
    struct hd_handle handle;
    void *object;
    enum hd_err err = hd_table_add(table, &handle, &object);

    if (err)
        return err;
    err = hd_map_put(map, hash, handle.index);
    if (err) {
        hd_table_remove(table, handle.index);
        return err;
    }
    *ret_index = handle.index;
    *ret_object = object;
    return HD_OK;
}

void *
hd_table_find(const struct hd_table *table, struct hd_handle handle)
{
    if (!in_use(table, handle.index) || *generation(table, handle.index) != handle.generation)
        return NULL;
    return place(table, handle.index);
}

struct hd_handle
hd_table_handle(const struct hd_table *table, uint32_t index)
{
    HD_ASSERT(in_use(table, index));
    return (struct hd_handle){ index, *generation(table, index) };
}

void
hd_table_remove(struct hd_table *table, uint32_t index)
{
    HD_ASSERT(in_use(table, index));
    ++*generation(table, index);
    memcpy(place(table, index), &table->free_head, sizeof(table->free_head));
    table->free_head = index;
    table->count--;
}

uint32_t
hd_table_next(const struct hd_table *table, uint32_t from)
{
    for (uint32_t i = from; i < table->high; i++)
        if (*generation(table, i) & 1)
            return i;
    return HD_TABLE_NONE;
}

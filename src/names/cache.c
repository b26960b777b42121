/* cache.c - the table of names that were asked for.
 * Invariant: an entry that is pending is never taken away: its answer comes to its place. */
#include "names/cache.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_AT 16u /* entries among which one that has to go is chosen */

void
nam_cache_init(struct nam_cache *cache, const struct hd_hash_key *key, uint32_t max)
{
    memset(cache, 0, sizeof(*cache));
    hd_table_init(&cache->entries, sizeof(struct nam_entry), max);
    hd_map_init(&cache->by_name);
    cache->key = *key;
}

static void
entry_free(struct nam_cache *cache, struct nam_entry *entry)
{
    nam_entry_clear(entry);
    hd_map_remove(&cache->by_name, entry->hash, entry->index);
    free(entry->waiters);
    free((void *)(uintptr_t)entry->name.p);
    entry->magic = 0;
    hd_table_remove(&cache->entries, entry->index);
}

void
nam_cache_done(struct nam_cache *cache)
{
    for (uint32_t i = 0; (i = hd_table_next(&cache->entries, i)) != HD_TABLE_NONE; i++)
        entry_free(cache, hd_table_at(&cache->entries, i));
    hd_table_done(&cache->entries);
    hd_map_done(&cache->by_name);
}

static uint64_t
name_hash(const struct nam_cache *cache, struct hd_slice name, enum nam_type type)
{
    return hd_hash_mix(hd_hash(&cache->key, name), (uint64_t)type);
}

struct nam_entry *
nam_cache_find(struct nam_cache *cache, struct hd_slice name, enum nam_type type)
{
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &cache->by_name, name_hash(cache, name, type));
         i != HD_MAP_NONE; i = hd_map_more(&walk)) {
        struct nam_entry *entry = hd_table_at(&cache->entries, i);
        HD_ASSERT_OBJ(entry, NAM_ENTRY_MAGIC);
        if (entry->type == type && hd_slice_eq(entry->name, name))
            return entry;
    }
    return NULL;
}

/* Makes room for one; false: all that were looked at are in use. */
static bool
make_room(struct nam_cache *cache, uint64_t run)
{
    struct nam_entry *first = NULL;

    if (cache->entries.count < cache->entries.max)
        return true;
    for (unsigned looked = 0; looked < LOOK_AT; looked++) {
        uint32_t i = hd_table_next(&cache->entries, cache->hand);
        if (i == HD_TABLE_NONE)
            i = hd_table_next(&cache->entries, 0);
        cache->hand = i + 1;
        struct nam_entry *entry = hd_table_at(&cache->entries, i);
        if (entry->state != NAM_PENDING && entry->run != run &&
            (!first || entry->until_ms < first->until_ms))
            first = entry;
    }
    if (first)
        entry_free(cache, first);
    return first != NULL;
}

struct nam_entry *
nam_cache_add(struct nam_cache *cache, struct hd_slice name, enum nam_type type, uint64_t run)
{
    const uint64_t hash = name_hash(cache, name, type);
    struct nam_entry *entry;
    uint32_t index;
    void *object;
    char *copy;

    if (!make_room(cache, run))
        return NULL;
    copy = hd_slice_strdup(name);
    if (!copy || hd_table_add_keyed(&cache->entries, &cache->by_name, hash, &index, &object)) {
        free(copy);
        return NULL;
    }
    entry = object;
    *entry = (struct nam_entry){ .magic = NAM_ENTRY_MAGIC,
                                 .index = index,
                                 .hash = hash,
                                 .type = type,
                                 .run = run,
                                 .name = hd_slice(copy, name.n) };
    return entry;
}

void
nam_entry_clear(struct nam_entry *entry)
{
    free(entry->set);
    entry->set = NULL;
}

enum hd_err
nam_entry_fill(struct nam_entry *entry, const struct nam_answer *answer)
{
    size_t records = answer->n * sizeof(answer->record[0]);
    struct nam_set *set;
    char *text;

    nam_entry_clear(entry);
    entry->state = answer->n ? NAM_FOUND : answer->alias_n ? NAM_ALIAS : NAM_NOTHING;
    if (entry->state == NAM_NOTHING)
        return HD_OK;
    set = malloc(sizeof(*set) + records + answer->text_n);
    if (!set) {
        entry->state = NAM_FAILED;
        return HD_ENOMEM;
    }
    text = (char *)set->record + records;
    memcpy(text, answer->text, answer->text_n);
    set->n = answer->n;
    set->text = text;
    set->alias = hd_slice(text + answer->alias, answer->alias_n);
    memcpy(set->record, answer->record, records);
    entry->set = set;
    return HD_OK;
}

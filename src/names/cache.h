/* cache.h - what name servers said, by name and type: found, nothing, an alias, a failure, or asked
 * and not yet answered.
 *
 * Thread: its shard's.  Capped: when it is full, of a few entries that are not in use the one that
 * would go first goes. */
#ifndef HD_NAMES_CACHE_H
#define HD_NAMES_CACHE_H

#include "base/map.h"
#include "base/table.h"
#include "names/answer.h"

#define NAM_ENTRY_MAGIC 0x4e616d45u

enum nam_state { NAM_PENDING = 0, NAM_FOUND, NAM_NOTHING, NAM_ALIAS, NAM_FAILED };

/* An answer as it is kept: one block of just its size. */
struct nam_set {
    unsigned n;
    struct hd_slice alias;
    const char *text;
    struct nam_record record[];
};

struct nam_entry {
    unsigned magic;
    uint32_t index;
    uint64_t hash;
    enum nam_type type;
    enum nam_state state;
    uint64_t stored_ms, until_ms;
    uint64_t run;         /* the resolver's last run that used it: it stays until that is over */
    struct nam_set *set;  /* FOUND and ALIAS */
    struct hd_slice name; /* heap, ends with NUL */
    uint32_t *waiters;    /* PENDING: questions that wait for it */
    uint32_t n_waiters, cap_waiters;
};

struct nam_cache {
    struct hd_table entries;
    struct hd_map by_name;
    struct hd_hash_key key;
    uint32_t hand; /* where the search for one to go begins */
};

void nam_cache_init(struct nam_cache *cache, const struct hd_hash_key *key, uint32_t max);
void nam_cache_done(struct nam_cache *cache);
/** NULL: not there. */
struct nam_entry *nam_cache_find(struct nam_cache *cache, struct hd_slice name, enum nam_type type);
/** A pending one; another may go for it, but none that is pending or used by this run.  NULL: full,
 * or memory is short. */
struct nam_entry *nam_cache_add(struct nam_cache *cache, struct hd_slice name, enum nam_type type,
                                uint64_t run);
/** Takes an answer into an entry; HD_ENOMEM. */
HD_NODISCARD enum hd_err nam_entry_fill(struct nam_entry *entry, const struct nam_answer *answer);
/** Forgets what it held. */
void nam_entry_clear(struct nam_entry *entry);
/** The name of a record. */
static inline struct hd_slice
nam_set_name(const struct nam_set *set, const struct nam_record *record)
{
    return hd_slice(set->text + record->name, record->name_n);
}

#endif

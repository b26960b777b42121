/* index.h - items by key that many threads read while one edits: what a book is made of.
 *
 * Items are immutable and reference-counted; they hang in pages, sorted by their keyed hash, and an
 * index is a fixed array of pages.  A copy shares all pages; an edit of the copy replaces the one
 * page that changes.  Thread: an index that one thread alone sees may be edited by it; one that was
 * handed out is read only, by any. */
#ifndef HD_POLICY_INDEX_H
#define HD_POLICY_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

#define POL_PAGE_BITS 10
#define POL_PAGES (1u << POL_PAGE_BITS)

/* The first member of what an index holds; one block from malloc(). */
struct pol_item {
    _Atomic uint32_t refs;
    struct hd_slice key;                    /* in the same block */
    void (*release)(struct pol_item *item); /* of what the item refers to, before it is freed; NULL:
                                               nothing */
};

struct pol_page;
struct pol_index {
    size_t n; /* items */
    struct pol_page *pages[POL_PAGES];
};

/** One reference, the caller's. */
void pol_item_init(struct pol_item *item, struct hd_slice key);
struct pol_item *pol_item_ref(struct pol_item *item);
void pol_item_unref(struct pol_item *item); /* accepts NULL */

/** Another index with the same pages; to is all zero before. */
void pol_index_copy(struct pol_index *to, const struct pol_index *from);
void pol_index_done(struct pol_index *index);
/** The item with that key, borrowed, or NULL.  hash: of the key, the same everywhere. */
struct pol_item *pol_index_find(const struct pol_index *index, uint64_t hash, struct hd_slice key);
/** Adds the item or puts it in the place of the one with its key; takes the caller's reference on
 * HD_OK.  HD_EFULL: max items are there; HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_index_put(struct pol_index *index, uint64_t hash,
                                       struct pol_item *item, size_t max);
/** HD_ENOMATCH: there is none; HD_ENOMEM. */
HD_NODISCARD enum hd_err pol_index_remove(struct pol_index *index, uint64_t hash,
                                          struct hd_slice key);
/** Visits what stands in one index and not, or not the same, in another: a page that both share is
 * not looked at.  other: the item with its key there, or NULL. */
void pol_index_diff(const struct pol_index *index, const struct pol_index *than,
                    void (*visit)(void *context, struct pol_item *item, struct pol_item *other),
                    void *context);
/** Visits items in no particular order until visit says no. */
void pol_index_each(const struct pol_index *index,
                    bool (*visit)(void *context, struct pol_item *item), void *context);

#endif

/* index.h - from an id to the row that counts, for very many of them.
 *
 * Fourteen octets each.  Rows are told apart by the lower half of their number, since a log never
 * spans 2^32 of them; a number whose lower half is 0 is not given, and marks a free place.  How
 * large the row is stands beside, in a unit that is the caller's.  Thread: one at a time.  Memory:
 * embedded by who uses it; zeroed is empty. */
#ifndef HD_STORE_INDEX_H
#define HD_STORE_INDEX_H

#include <stdint.h>

#include "base/err.h"

struct __attribute__((packed, aligned(2))) sto_place {
    uint32_t id_low, id_high;
    uint32_t row;
    uint16_t size;
};

/* The row of an id: the lower half of its number (0: it has none), and its size. */
struct sto_held {
    uint32_t row;
    uint16_t size;
};

struct sto_index {
    struct sto_place *places;
    uint64_t cap, used;
};

/** Frees what it holds; it is empty then. */
void sto_index_done(struct sto_index *index);
/** A look-up or change of that id is to come: its place is fetched meanwhile. */
void sto_index_prefetch(const struct sto_index *index, uint64_t id);
/** The place of an id, borrowed until the next change; NULL: it is not there. */
const struct sto_place *sto_index_find(const struct sto_index *index, uint64_t id);
/** Room for n more, so that as many sto_index_put cannot fail.  HD_ENOMEM: it is as it was. */
HD_NODISCARD enum hd_err sto_index_reserve(struct sto_index *index, uint64_t n);
/** Sets the row of an id (row is not 0); one that is new needs reserved room.  @return what it had
 */
struct sto_held sto_index_put(struct sto_index *index, uint64_t id, struct sto_held held);
/** Forgets an id.  @return what it had */
struct sto_held sto_index_remove(struct sto_index *index, uint64_t id);

#endif

/* index.h - from an id to the number of the row that counts, for very many of them.
 *
 * Twelve octets each.  Rows are told apart by their lower half, since a file never holds 2^32 of
 * them; a number whose lower half is 0 is not given, and marks a free place.  Thread: one at a
 * time.  Memory: embedded by who uses it; zeroed is empty. */
#ifndef HD_STORE_INDEX_H
#define HD_STORE_INDEX_H

#include <stdint.h>

#include "base/err.h"

struct sto_place {
    uint32_t id_low, id_high;
    uint32_t row;
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
struct sto_place *sto_index_find(const struct sto_index *index, uint64_t id);
/** Room for n more, so that as many sto_index_put cannot fail.  HD_ENOMEM: it is as it was. */
HD_NODISCARD enum hd_err sto_index_reserve(struct sto_index *index, uint64_t n);
/** Sets the row of an id (its lower half is not 0); one that is new needs reserved room.
 *  @return the lower half of the row that it had, 0: it is new */
uint32_t sto_index_put(struct sto_index *index, uint64_t id, uint64_t row);
/** Forgets an id.  @return the lower half of the row that it had, 0: it was not there */
uint32_t sto_index_remove(struct sto_index *index, uint64_t id);

#endif

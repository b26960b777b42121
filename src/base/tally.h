/* tally.h - how many of each: a count per 64-bit hash, for quotas of very many.
 * Thread: its shard's.  Memory: 8 octets a place, 10 to 14 a hash; a count that comes to 0 is
 * forgotten.  40 bits of the hash are kept: among a million, one in a million shares its count with
 * another.  The hash has to be keyed, so that nobody can choose with whom. */
#ifndef HD_BASE_TALLY_H
#define HD_BASE_TALLY_H

#include <stdint.h>

#include "base/err.h"

struct hd_tally {
    uint64_t *words; /* 40 bits of hash, 24 of count; 0: free */
    uint32_t cap;    /* 0 before the first */
    uint32_t used;   /* hashes with a count */
};

#define HD_TALLY_MOST ((UINT32_C(1) << 24) - 1) /* of one hash */

/** An empty tally, without memory until the first / frees it. */
void hd_tally_init(struct hd_tally *tally);
void hd_tally_done(struct hd_tally *tally);
/** One more.  HD_EDENIED: there are most (or HD_TALLY_MOST) already; HD_ENOMEM. */
HD_NODISCARD enum hd_err hd_tally_add(struct hd_tally *tally, uint64_t hash, uint32_t most);
/** An add of that hash is to come: its place is fetched meanwhile. */
void hd_tally_prefetch(const struct hd_tally *tally, uint64_t hash);
/** One less; nothing happens when there is none. */
void hd_tally_drop(struct hd_tally *tally, uint64_t hash);
uint32_t hd_tally_get(const struct hd_tally *tally, uint64_t hash);

#endif

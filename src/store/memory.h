/* memory.h - a store that keeps records in memory only: for a laboratory broker, and for tests that
 * want it to commit late, out of step, or not at all.
 *
 * Each shard has a part of its own, so no lock is taken: put and flush of one part are called on
 * that shard's thread.  What was put commits at the next flush, which the host calls at the end of
 * each turn; one post carries the outcomes of the whole turn. Memory: kept and waiting records
 * belong to the store. */
#ifndef HD_STORE_MEMORY_H
#define HD_STORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "event/ports.h"

struct evt_shard;
struct sto_memory;

struct sto_memory_params {
    unsigned shards; /* > 0 */
    bool keep;       /* false: records are counted and forgotten (a daemon that never reads them) */
    uint64_t max_octets; /* per shard, kept and waiting, 0: no cap; above it put answers HD_EFULL */
};

/** HD_OK, HD_ENOMEM.  Every shard must be attached before something is put for it. */
HD_NODISCARD enum hd_err sto_memory_new(const struct sto_memory_params *params,
                                        struct sto_memory **ret_store);
/** Forgets everything, also what waits; accepts NULL.  After the shards have stopped. */
void sto_memory_free(struct sto_memory *store);
/** Outcomes of this part go to shard, which must outlive the last flush. */
void sto_memory_attach(struct sto_memory *store, unsigned shard, struct evt_shard *event_shard);

/** The port; its context is the struct sto_memory. */
extern const struct evt_store_ops sto_memory_ops;

/**
 * Commits what waits in one part and posts the outcomes, in the order of the puts.  What could not
 * be posted for want of memory is posted by the next flush.  Held parts (below) commit nothing.
 * @return how many outcomes were posted; when > 0 the shard has a mail
 */
size_t sto_memory_flush(struct sto_memory *store, unsigned shard);
/** Whether a flush would post something: the host may not sleep. */
bool sto_memory_pending(const struct sto_memory *store, unsigned shard);

/* --- what is kept, for tests and tools; on the part's thread --------------------------------- */

/** Records kept / waiting for their commit in one part. */
size_t sto_memory_count(const struct sto_memory *store, unsigned shard);
size_t sto_memory_waiting(const struct sto_memory *store, unsigned shard);
/** Octets kept and waiting in one part. */
uint64_t sto_memory_octets(const struct sto_memory *store, unsigned shard);
/** A kept record: HD_OK, borrowed until the next commit; HD_ENOMATCH. */
HD_NODISCARD enum hd_err sto_memory_find(const struct sto_memory *store, unsigned shard,
                                         enum evt_record_kind kind, uint64_t id,
                                         struct hd_slice *ret_record);

/* --- the end of the shards and their next start, with the same number of them ------------------
 */

/** The clock of what commits from now on, in milliseconds; without it records do not age. */
void sto_memory_clock(struct sto_memory *store, uint64_t now_ms);
/** The shards are gone: what waits is kept when the end is clean and lost in a crash, outcomes that
 * nobody was told are forgotten, commands of tests (below) end.  Attach again after it.
 * @return whether all that was taken since the last end is kept */
bool sto_memory_end(struct sto_memory *store, bool clean);
/** One kept record; anything but HD_OK ends the walk. */
typedef enum hd_err (*sto_memory_visit_f)(void *context, enum evt_record_kind kind, unsigned bucket,
                                          uint64_t id, struct hd_slice record, uint64_t age_ms);
/** Hands out all that is kept as a start reads it: kind by kind in the order of the journal
 * (store/journal.c), the oldest of a kind first.  What the visitor puts meanwhile comes after it.
 * @return HD_OK, HD_ENOMEM, or what the visitor said */
HD_NODISCARD enum hd_err sto_memory_load(const struct sto_memory *store, sto_memory_visit_f visit,
                                         void *context);

/* --- commands of tests ----------------------------------------------------------------------- */

/** From now on a flush commits nothing in this part / it does again, beginning with the next one.
 */
void sto_memory_hold(struct sto_memory *store, unsigned shard, bool held);
/** Commits the n oldest that wait, held or not, and posts their outcomes.  Returns how many. */
size_t sto_memory_release(struct sto_memory *store, unsigned shard, size_t n);
/** The same out of step: the bucket of the newest comes first.  Within a bucket the order stays. */
size_t sto_memory_release_newest(struct sto_memory *store, unsigned shard, size_t n);
/** The next n commits of this part fail: nothing is kept of them, the outcome is HD_ESTORE. */
void sto_memory_fail(struct sto_memory *store, unsigned shard, size_t n);
/** The next n puts are refused at once with HD_ESTORE. */
void sto_memory_refuse(struct sto_memory *store, unsigned shard, size_t n);

#endif

/* live.h - the live store: a thread that commits what all shards put, many records at a time.
 *
 * Put and flush of a part are called on that shard's thread; a flush at the end of its turn hands
 * what was put to the store's thread, which commits whenever it is idle and something waits.  The
 * outcomes are posted back to the shards. Memory: records are copied at put; outcomes belong to the
 * shard. */
#ifndef HD_STORE_LIVE_H
#define HD_STORE_LIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "event/ports.h"
#include "store/audit.h"
#include "store/journal.h"

struct evt_shard;
struct sto_live;

enum sto_durability {
    STO_COMMIT = 0, /* the answer waits until the record is on the disk */
    STO_ASYNC       /* the answer leaves at once, the record is on the disk soon after */
};

struct sto_live_params {
    unsigned shards;
    struct sto_journal_params file;
    enum sto_durability durability;
    uint32_t spacing_us;             /* least time between the starts of two commits */
    struct sto_stamp (*clock)(void); /* for the rows; any thread */
    struct sto_audit_params audit;   /* path NULL: no trail is kept */
};

/** Opens the file; nothing runs yet.  Errors as sto_journal_open. */
HD_NODISCARD enum hd_err sto_live_new(const struct sto_live_params *params, char ret_problem[256],
                                      struct sto_live **ret_store);
/** Visits what the file holds, before the start, as sto_journal_load. */
HD_NODISCARD enum hd_err sto_live_load(struct sto_live *store,
                                       const struct sto_journal_visitor *visitor,
                                       char ret_problem[256]);
/** Outcomes of this part go to shard.  Before the start. */
void sto_live_attach(struct sto_live *store, unsigned shard, struct evt_shard *event_shard);
/** HD_OK; HD_EIO no thread could be made. */
HD_NODISCARD enum hd_err sto_live_start(struct sto_live *store);
/** The number of this start, see sto_journal_start. */
uint32_t sto_live_start_number(const struct sto_live *store);
/** From here on what is flushed is written for the next start, and nobody waits for it: it is
 * committed in large pieces, and what cannot be kept is given up.  The shards do not run. */
void sto_live_end(struct sto_live *store);
/** Behind that: sleeps until little of what was flushed is still to be committed. */
void sto_live_await(const struct sto_live *store);
/** Commits what was flushed and ends the thread; outcomes are still posted.  The shards must be
 * there.  exact: what was flushed last makes the next start exact; when all since the start was
 * kept, it has the number of this one. */
void sto_live_stop(struct sto_live *store, bool exact);
/** Stops and closes; accepts NULL. */
void sto_live_free(struct sto_live *store);

/** The port; its context is the struct sto_live. */
extern const struct evt_store_ops sto_live_ops;
/** The audit trail's, with the same context; for a store that was opened with one. */
extern const struct evt_audit_ops sto_live_audit_ops;

/** Hands what was put to the store's thread, and what was noted to the trail's.  STO_ASYNC: returns
 * how many outcomes were posted at once, else 0. */
size_t sto_live_flush(struct sto_live *store, unsigned shard);

/* --- for operators; any thread ----------------------------------------------------------- */

struct sto_status {
    bool healthy;      /* what failed last, or as much, would be kept now */
    char problem[160]; /* why not, else empty */
    uint64_t commits, failures, records;
    uint64_t commit_us_sum, commit_us_most; /* time of commits; most: since the last call */
    uint64_t live, rows;
    uint64_t depth;      /* batches that wait */
    uint64_t lost;       /* places of the file that could not be read, at the start or since */
    uint64_t audit_lost; /* lines of the audit trail that could not be kept */
};
void sto_live_status(struct sto_live *store, struct sto_status *ret_status);

/** Asks for a copy at path (which must not exist), and of the trail in the same folder; done is
 * called on the store's thread or the trail's, at the latest by sto_live_stop, with HD_OK or
 * HD_ESTORE.  HD_EBUSY: one is under way; HD_ENOMEM. */
HD_NODISCARD enum hd_err sto_live_backup(struct sto_live *store, const char *path,
                                         void (*done)(void *context, enum hd_err err),
                                         void *context);

#endif

/* live.h - where the live state of the daemon (subscriptions, publications, registrations) is kept:
 * in a file, or in memory alone, behind one face.
 *
 * Thread: the main thread's, but flush and pending, which are called on their shard's. */
#ifndef HD_HERALDD_LIVE_H
#define HD_HERALDD_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/ports.h"
#include "event/shard.h"
#include "heraldd/config.h"
#include "store/live.h"

#define HD_LIVE_FILE "live-0.log"

struct hd_live;

struct hd_live_params {
    const char *folder; /* the state folder, which is there; not needed for HD_KEEP_MEMORY */
    enum hd_durability durability;
    uint32_t spacing_us;
    unsigned shards;
    bool audit; /* a trail of who watched what is kept beside it */
    uint32_t audit_keep_s, audit_most;
};

/** HD_OK; HD_EIO, HD_EVERSION with a line in ret_problem; HD_ENOMEM. */
HD_NODISCARD enum hd_err hd_live_open(const struct hd_live_params *params, char ret_problem[256],
                                      struct hd_live **ret_live);
/** Stops and closes; accepts NULL.  After the shards have been freed or will post no more. */
void hd_live_free(struct hd_live *live);

/** Whether it outlives the daemon. */
bool hd_live_is_kept(const struct hd_live *live);
const struct evt_store_ops *hd_live_ops(const struct hd_live *live);
void *hd_live_context(struct hd_live *live);
/** The audit trail's port, with the same context; NULL: none is kept. */
const struct evt_audit_ops *hd_live_audit_ops(const struct hd_live *live);
/** Its file, NULL: none is kept. */
const char *hd_live_audit_path(const struct hd_live *live);
/** Outcomes of a shard's records go to it; all before the restore. */
void hd_live_attach(struct hd_live *live, unsigned shard, struct evt_shard *evt);
/**
 * Gives everything that is kept back to the shards, which are connected and do not run yet, and
 * says so in the log.
 * @return HD_OK; HD_EIO, HD_EVERSION with a line in ret_problem; HD_ENOMEM
 */
HD_NODISCARD enum hd_err hd_live_restore(struct hd_live *live, uint64_t now_us,
                                         char ret_problem[256]);
/** Begins to keep what is put.  HD_EIO: no thread could be made. */
HD_NODISCARD enum hd_err hd_live_start(struct hd_live *live);

/** The number of this start, for struct evt_shard_params. */
uint32_t hd_live_start_number(const struct hd_live *live);

/** Hands on what the shard has put; whether it has outcomes in its mailbox now. */
bool hd_live_flush(struct hd_live *live, unsigned shard);
/** Whether a flush would do more. */
bool hd_live_pending(const struct hd_live *live, unsigned shard);

/** The clean end, after the shards' threads: what makes the next start exact is written, and all of
 * it is on the disk when this returns.  Without effect when it was not started. */
void hd_live_settle(struct hd_live *live, uint64_t now_us);

/** False: it is in memory. */
bool hd_live_status(struct hd_live *live, struct sto_status *ret_status);

/** Copies the file to path, which must not exist; done is called on another thread, at the latest
 * by hd_live_settle.  As sto_live_backup; for what is kept. */
HD_NODISCARD enum hd_err hd_live_backup(struct hd_live *live, const char *path,
                                        void (*done)(void *context, enum hd_err err),
                                        void *context);

#endif

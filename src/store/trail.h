/* trail.h - the audit trail's own thread: what the shards note is written there, and neither a
 * request nor its record ever waits for it.
 *
 * note and flush are called on the thread of their shard; a flush at the end of a turn hands over
 * what was noted.  The rest belongs to whoever made the trail.
 * Memory: lines are copied when they are noted. */
#ifndef HD_STORE_TRAIL_H
#define HD_STORE_TRAIL_H

#include "store/audit.h"
#include "store/journal.h"

struct sto_trail;

struct sto_trail_params {
    unsigned shards;
    struct sto_audit_params file;
    struct sto_stamp (*clock)(void); /* any thread */
};

/** Opens the file; nothing runs yet.  Errors as sto_audit_open. */
HD_NODISCARD enum hd_err sto_trail_new(const struct sto_trail_params *params, char ret_problem[256],
                                       struct sto_trail **ret_trail);
/** HD_OK; HD_EIO no thread could be made. */
HD_NODISCARD enum hd_err sto_trail_start(struct sto_trail *trail);
/** Notes a line; one that cannot be is counted. */
void sto_trail_note(struct sto_trail *trail, unsigned shard, const struct evt_audit *row);
void sto_trail_flush(struct sto_trail *trail, unsigned shard);
/** Lines that could not be kept since the start; any thread. */
uint64_t sto_trail_lost(const struct sto_trail *trail);
/** Copies the trail to a path that does not exist, which is borrowed until done is called, on the
 * trail's thread, with HD_OK or HD_EIO.  One at a time; any thread; it is still running. */
void sto_trail_copy(struct sto_trail *trail, const char *path,
                    void (*done)(void *context, enum hd_err err), void *context);
/** Writes what was flushed and ends the thread; a copy under way fails.  Accepts NULL. */
void sto_trail_stop(struct sto_trail *trail);
/** Stops and closes; accepts NULL. */
void sto_trail_free(struct sto_trail *trail);

#endif

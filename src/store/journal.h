/* journal.h - the live file: records, append and trim.
 *
 * A change of a record is a row at the end of a log; the newest row of an id counts, an empty one
 * removes it.  Each commit also takes rows off the old end: those that still count are appended
 * again first.  So the file is written in order, once, and holds about twice what lives.  Every row
 * carries a check sum and when it was written, on the clock of this boot and on the wall. Thread:
 * one at a time (its store thread, or the starting daemon). */
#ifndef HD_STORE_JOURNAL_H
#define HD_STORE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "event/ports.h"

struct sto_journal;

#define STO_BOOT_ID 16

/* When: the clock that goes on while the machine sleeps (CLOCK_BOOTTIME), and the wall's. */
struct sto_stamp {
    uint64_t boot_ms;
    uint64_t wall_ms;
};

struct sto_journal_params {
    const char *path;
    uint8_t boot_id[STO_BOOT_ID]; /* unlike that of every other boot of every machine */
    struct sto_stamp now;
    bool durable;    /* a commit is on the disk when it returns; false: soon after */
    const char *vfs; /* name of a SQLite VFS, NULL: the system's */
};

/** What is damaged is kept in the file of this name beside it: lines of text that say what follows,
 * and the octets as they were. */
#define STO_DAMAGED ".damaged"

/**
 * Opens or makes the file, takes it for this process alone, and finds what counts in it.
 * @param ret_problem  one line that names the file and what is wrong
 * @return HD_OK; HD_EVERSION no live file, or written by a newer herald; HD_EIO; HD_ENOMEM
 */
HD_NODISCARD enum hd_err sto_journal_open(const struct sto_journal_params *params,
                                          char ret_problem[256], struct sto_journal **ret_journal);
/** The number of this start in the file: one more than that of the last one.  Where it cannot be
 * written (a full disk) the first batch writes it. */
uint32_t sto_journal_start(const struct sto_journal *journal);
/** All that was given to it since it was opened has been kept, and the last row of each record is
 * exact: the next start gets the number of this one.  HD_ESTORE: it does not. */
HD_NODISCARD enum hd_err sto_journal_end_start(struct sto_journal *journal);
/** Closes it; what was not committed is gone.  Accepts NULL. */
void sto_journal_close(struct sto_journal *journal);

/* Who takes what the file holds. */
struct sto_journal_visitor {
    /**
     * One record that lives.
     * @param age_ms  since it was written: by this boot's clock, or by the wall when the machine
     * was started again in between; a wall clock that was set back counts as standing still
     * @return HD_OK; HD_ESYNTAX: it cannot be read, and is put aside as a damaged one; anything
     * else ends the visit
     */
    enum hd_err (*visit)(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id,
                         struct hd_slice record, uint64_t age_ms);
    /** Told of each row that was put aside, and of octets in which no row can be found; may be
     * NULL. table is a static string, row a place in the log. */
    void (*damaged)(void *context, const char *table, uint64_t row);
    void *context;
};
/**
 * Visits every record that lives: publications, registrations, subscriptions, what was seen; each
 * kind oldest row first.  Once, before the first batch.  A row whose check sum is wrong, or that
 * the visitor cannot read, is put aside (STO_DAMAGED), and counts as removed.
 * @return HD_OK; HD_EIO (ret_problem); HD_ENOMEM; or what visit returned
 */
HD_NODISCARD enum hd_err sto_journal_load(struct sto_journal *journal,
                                          const struct sto_journal_visitor *visitor,
                                          char ret_problem[256]);

/** Begins a batch. */
void sto_journal_begin(struct sto_journal *journal);
/** Adds a row to the batch; an empty record removes.  HD_ENOMEM: roll back. */
HD_NODISCARD enum hd_err sto_journal_append(struct sto_journal *journal, enum evt_record_kind kind,
                                            unsigned bucket, uint64_t id, struct hd_slice record,
                                            struct sto_stamp now);
/** Trims and commits.  HD_ESTORE: nothing of the batch is kept. */
HD_NODISCARD enum hd_err sto_journal_commit(struct sto_journal *journal);
/** Without durable commits: something was committed that is not on the disk. */
bool sto_journal_unsynced(const struct sto_journal *journal);
/** What was committed is on the disk when it returns.  HD_ESTORE. */
HD_NODISCARD enum hd_err sto_journal_sync(struct sto_journal *journal);
/** Gives the batch up. */
void sto_journal_rollback(struct sto_journal *journal);
/** Why the last call failed, in words that stay until the next failure. */
const char *sto_journal_problem(const struct sto_journal *journal);
/** Asks the disk, between batches: writes so many octets that mean nothing.
 *  @return HD_OK; HD_ESTORE see sto_journal_problem */
HD_NODISCARD enum hd_err sto_journal_probe(struct sto_journal *journal, uint64_t octets);
/**
 * Copies the file, as of the last commit, to another path, which must not exist, in steps of a
 * megabyte; the whole takes turns with batches.  A copy that fails is removed.
 * @param ret_done  false: call again
 * @return HD_OK, HD_ESTORE
 */
HD_NODISCARD enum hd_err sto_journal_backup(struct sto_journal *journal, const char *path,
                                            bool *ret_done);

/** Places that could not be read, as the file was opened and since. */
uint64_t sto_journal_lost(const struct sto_journal *journal);
/** Records that live / rows in the file. */
uint64_t sto_journal_live(const struct sto_journal *journal);
uint64_t sto_journal_rows(const struct sto_journal *journal);

#endif

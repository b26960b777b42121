/* outbox.h - what waits to be delivered elsewhere: records by group and number, in a file of their
 * own.
 *
 * Who delivers holds all of it in memory and is the only one who changes it; the file is there for
 * the next start.  Changes are jobs, which a thread of its own commits, many with one write to the
 * disk, in the order in which they were posted.
 * Thread: open, load, start, stop and close by one; post and copy by any. */
#ifndef HD_STORE_OUTBOX_H
#define HD_STORE_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mailbox.h"
#include "base/slice.h"

#define STO_OUTBOX_FILE "webhooks.db"
#define STO_OUTBOX_GROUP 15 /* characters of a group's name at most */
#define STO_OUTBOX_ROWS 2

struct sto_outbox;

struct sto_outbox_params {
    const char *path; /* of the file; made when it is not there, for its owner alone */
    bool durable;     /* on the disk when a job is done, not only with the system */
    const char *vfs;  /* name of a SQLite VFS, NULL: the system's */
};

/** Opens the file for this process alone.  HD_EIO with a line in ret_problem; HD_EVERSION: written
 * by a newer herald; HD_ENOMEM. */
HD_NODISCARD enum hd_err sto_outbox_open(const struct sto_outbox_params *params,
                                         char ret_problem[256], struct sto_outbox **ret_outbox);
/** Stops it first.  Accepts NULL. */
void sto_outbox_close(struct sto_outbox *outbox);
/** Visits all records by group, and by number in it; group is NUL-terminated, both are borrowed for
 * the visit.  Before the start.  HD_EIO (ret_problem). */
HD_NODISCARD enum hd_err sto_outbox_load(struct sto_outbox *outbox,
                                         void (*visit)(void *context, const char *group,
                                                       uint64_t number, struct hd_slice record),
                                         void *context, char ret_problem[256]);

struct sto_outbox_row {
    char group[STO_OUTBOX_GROUP + 1];
    uint64_t number;        /* below 2^63 */
    struct hd_slice record; /* p NULL: the row goes */
};
/* A change: its rows in one transaction, or none of them. */
struct sto_outbox_job {
    struct hd_mail mail;
    struct sto_outbox_row rows[STO_OUTBOX_ROWS]; /* records are borrowed until it is done */
    unsigned n;
    bool forgets;    /* all of the group of rows[0]; n is 0 */
    enum hd_err err; /* the answer: HD_OK, HD_ESTORE */
    /** Called once, on the outbox's thread, or on the one that stops it; the last use. */
    void (*done)(struct sto_outbox_job *job);
};

/** Starts the thread, which has the signal mask of the caller.  HD_EIO. */
HD_NODISCARD enum hd_err sto_outbox_start(struct sto_outbox *outbox);
/** Hands a job over.  Any thread, also before the start; behind a stop it waits for the next one.
 */
void sto_outbox_post(struct sto_outbox *outbox, struct sto_outbox_job *job);
/* A copy of the file. */
struct sto_outbox_copy {
    struct hd_mail mail;
    const char *path; /* must not exist; borrowed until it is done */
    enum hd_err err;  /* the answer: HD_OK; HD_EBUSY another one is under way, or the outbox stops;
                         HD_EIO.  Then there is no file */
    /** As that of a job. */
    void (*done)(struct sto_outbox_copy *copy);
};
/** Has the thread copy the file between its commits, with all that was posted before.  As
 * sto_outbox_post. */
void sto_outbox_copy(struct sto_outbox *outbox, struct sto_outbox_copy *copy);
/** Does what was posted, and ends the thread; a copy is broken off.  Accepts NULL. */
void sto_outbox_stop(struct sto_outbox *outbox);

#endif
